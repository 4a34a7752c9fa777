//! `upstream` and `dns`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::settings::{AddressFamily, DnsSettings, UpstreamSettings};

use super::OriginRule;
use super::limits::small;
use crate::values::{DnsServer, Domain, FilePath, FilePathOrOff, SourceAddress, Time};

/// Connections to origins and parents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Upstream {
    /// The local addresses to connect from, at most one IPv4 and one IPv6 address. By default the system
    /// chooses.
    #[schemars(length(max = 2), example = serde_json::json!(["192.0.2.10", "2001:db8::10"]))]
    pub source_addresses: Vec<SourceAddress>,
    /// A PEM file with CAs that origins may be signed by, in addition to the usual ones. It is read again
    /// when it changes. None by default.
    #[serde(rename = "trustedCA", skip_serializing_if = "Option::is_none")]
    #[schemars(example = "/etc/egret/ca.pem")]
    pub trusted_ca: Option<FilePath>,
    /// What holds for TLS with some hosts: private CAs, client certificates, versions, and what may be wrong with
    /// their certificates. The first entry that names a host holds for it; CAs add up.
    #[schemars(length(max = 10_000), example = serde_json::json!([{"hosts": ["old.example"], "accept": ["expired"]}]))]
    pub origins: Vec<OriginRule>,
    /// Revocation lists, in PEM or DER. What stands in one is refused; they are read again when they change.
    #[schemars(length(max = 1000), example = serde_json::json!(["/etc/egret/ca.crl"]))]
    pub crl: Vec<FilePath>,
    /// Connections that are kept for the next request.
    pub pool: Pool,
    /// TCP keep-alive towards upstreams: the time before the first probe, and between probes; 0s for none.
    pub keepalive: Time,
    /// The delay between attempts at the addresses of one destination (happy eyeballs, RFC 8305 section
    /// 5), at least 10ms.
    pub attempt_delay: Time,
}

/// Connections that are kept for the next request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Pool {
    /// Kept connections for one origin, in each worker; 0 keeps none.
    #[schemars(range(max = 1_000_000))]
    pub per_origin: u32,
    /// Kept connections in all, in each worker; 0 keeps none.
    #[schemars(range(max = 1_000_000))]
    pub total: u32,
    /// How long a kept connection may wait for its next request.
    pub idle: Time,
}

impl Default for Upstream {
    fn default() -> Self {
        let settings = UpstreamSettings::default();
        Self {
            source_addresses: Vec::new(),
            trusted_ca: None,
            origins: Vec::new(),
            crl: Vec::new(),
            pool: Pool::default(),
            keepalive: Time(settings.keepalive),
            attempt_delay: Time(settings.attempt_delay),
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        let settings = UpstreamSettings::default();
        Self {
            per_origin: small(settings.pool_per_origin),
            total: small(settings.pool_total),
            idle: Time(settings.pool_idle),
        }
    }
}

/// All but what is in files.
impl From<&Upstream> for UpstreamSettings {
    fn from(upstream: &Upstream) -> Self {
        let source = |want_v4: bool| {
            upstream
                .source_addresses
                .iter()
                .map(|address| address.0)
                .find(|address| address.is_ipv4() == want_v4)
        };
        Self {
            source_v4: source(true),
            source_v6: source(false),
            trusted_ca: None,
            origins: Vec::new(),
            crls: Vec::new(),
            pool_per_origin: upstream.pool.per_origin as usize,
            pool_total: upstream.pool.total as usize,
            pool_idle: upstream.pool.idle.0,
            keepalive: upstream.keepalive.0,
            attempt_delay: upstream.attempt_delay.0,
        }
    }
}

/// The resolver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Dns {
    /// Name servers, asked in this order. By default those of `/etc/resolv.conf`.
    #[schemars(length(max = 16), example = serde_json::json!(["10.0.0.10", "[fd00::1]:53"]))]
    pub servers: Vec<DnsServer>,
    /// The hosts file, whose names are not asked for; `off` for none.
    pub hosts_file: FilePathOrOff,
    /// Search domains for short names; an empty list for none. By default those of `/etc/resolv.conf`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), example = serde_json::json!(["svc.cluster.local"]))]
    pub search: Option<Vec<Domain>>,
    /// How many dots a name must have to be tried as it is before the search domains are. By default what
    /// `/etc/resolv.conf` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 15), example = 1)]
    pub ndots: Option<u32>,
    /// The time limit of one query.
    pub timeout: Time,
    /// How often a query is tried in all.
    #[schemars(range(min = 1, max = 10))]
    pub attempts: u32,
    /// The shortest time that an answer is kept, whatever its TTL.
    #[serde(rename = "minTTL")]
    pub min_ttl: Time,
    /// The longest time that an answer is kept, whatever its TTL.
    #[serde(rename = "maxTTL")]
    pub max_ttl: Time,
    /// The longest time that "there is no such name" is kept.
    #[serde(rename = "negativeTTL")]
    pub negative_ttl: Time,
    /// How long a failure (SERVFAIL, no answer) is kept, so that a broken server is not asked for each
    /// request; 0s for not at all.
    #[serde(rename = "failureTTL")]
    pub failure_ttl: Time,
    /// How many names are kept.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub cache_entries: u32,
    /// Which kinds of addresses are asked for, and which is tried first.
    pub family: Family,
}

impl Default for Dns {
    fn default() -> Self {
        let settings = DnsSettings::default();
        Self {
            servers: settings.servers.into_iter().map(DnsServer).collect(),
            hosts_file: FilePathOrOff(settings.hosts_file),
            search: None,
            ndots: settings.ndots.map(small),
            timeout: Time(settings.timeout),
            attempts: small(settings.attempts),
            min_ttl: Time(settings.min_ttl),
            max_ttl: Time(settings.max_ttl),
            negative_ttl: Time(settings.negative_ttl),
            failure_ttl: Time(settings.failure_ttl),
            cache_entries: small(settings.cache_entries),
            family: settings.family.into(),
        }
    }
}

impl From<&Dns> for DnsSettings {
    fn from(dns: &Dns) -> Self {
        Self {
            servers: dns.servers.iter().map(|server| server.0).collect(),
            hosts_file: dns.hosts_file.0.clone(),
            search: dns.search.as_ref().map(|search| search.iter().map(|domain| domain.0.clone()).collect()),
            ndots: dns.ndots.map(|ndots| ndots as usize),
            timeout: dns.timeout.0,
            attempts: dns.attempts as usize,
            min_ttl: dns.min_ttl.0,
            max_ttl: dns.max_ttl.0,
            negative_ttl: dns.negative_ttl.0,
            failure_ttl: dns.failure_ttl.0,
            cache_entries: dns.cache_entries as usize,
            family: dns.family.into(),
        }
    }
}

/// Which kinds of addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Family {
    /// Both; IPv6 is tried first (RFC 8305).
    PreferIpv6,
    /// Both; IPv4 is tried first.
    PreferIpv4,
    /// IPv4 alone.
    Ipv4Only,
    /// IPv6 alone.
    Ipv6Only,
}

impl From<AddressFamily> for Family {
    fn from(family: AddressFamily) -> Self {
        match family {
            AddressFamily::PreferIpv6 => Self::PreferIpv6,
            AddressFamily::PreferIpv4 => Self::PreferIpv4,
            AddressFamily::Ipv4Only => Self::Ipv4Only,
            AddressFamily::Ipv6Only => Self::Ipv6Only,
        }
    }
}

impl From<Family> for AddressFamily {
    fn from(family: Family) -> Self {
        match family {
            Family::PreferIpv6 => Self::PreferIpv6,
            Family::PreferIpv4 => Self::PreferIpv4,
            Family::Ipv4Only => Self::Ipv4Only,
            Family::Ipv6Only => Self::Ipv6Only,
        }
    }
}
