//! Asking the name servers.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use egret_core::reason::Reason;
use egret_core::settings::{AddressFamily, DnsSettings};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::super::error::{ResolveError, UpstreamError};
use super::cache::Answer;
use super::plan::Plan;
use super::{Addresses, arrange};

/// How long AAAA may be waited for when A has arrived (RFC 8305 section 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// Addresses of one name that are kept at most; more are never tried.
const MAX_ADDRESSES: usize = 32;

/// Questions in flight to one name server, above which it counts as busy. hickory's 32 are few for a
/// proxy that has just been started.
const MAX_IN_FLIGHT: usize = 1024;

/// The client that asks. It has no cache: ours stands in front of it.
pub(super) fn client(plan: &Plan, settings: &DnsSettings) -> Result<TokioResolver, UpstreamError> {
    let servers = plan.servers.iter().map(|server| {
        let at_port = |mut connection: ConnectionConfig| {
            connection.port = server.port();
            connection
        };
        let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
        NameServerConfig::new(server.ip(), true, connections)
    });
    let config = ResolverConfig::from_name_servers(servers.collect());
    let mut options = ResolverOpts::default();
    options.timeout = settings.timeout;
    // hickory counts the tries after the first.
    options.attempts = settings.attempts.saturating_sub(1);
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.max_active_requests = MAX_IN_FLIGHT;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(|error| UpstreamError::Resolver(error.to_string()))
}

/// Asks for a name, with the search domains. `early` is called with the IPv4 addresses when IPv6 is
/// slow; the whole answer follows.
pub(super) async fn ask(
    client: &TokioResolver,
    plan: &Plan,
    settings: &DnsSettings,
    name: &str,
    early: &(impl Fn(Addresses) + Sync),
) -> Answer {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Answer { resolution: Ok([address].into()), lifetime: settings.max_ttl };
    }
    let Some(candidates) = plan.candidates(name) else {
        let error = ResolveError::new(Reason::DnsNotFound, format!("{name} is no valid domain name"));
        return Answer { resolution: Err(error), lifetime: settings.negative_ttl };
    };
    let mut failure = None;
    let mut negative_ttl = settings.negative_ttl;
    let mut exists = false;
    for candidate in &candidates {
        match ask_one(client, candidate, settings.family, early).await {
            Outcome::Found { addresses, ttl, partial } => {
                let longest = if partial { settings.negative_ttl } else { settings.max_ttl };
                let lifetime = ttl.min(longest).max(settings.min_ttl);
                return Answer { resolution: Ok(addresses), lifetime };
            }
            // Without a SOA it must not be kept (RFC 2308 section 5); but not asked for in a storm either.
            Outcome::Nothing { ttl, nxdomain } => {
                negative_ttl = negative_ttl.min(ttl.unwrap_or(settings.failure_ttl));
                exists |= !nxdomain;
            }
            // Going on after a silence could answer with another host than the one that is meant.
            Outcome::Failed(error) if error.reason == Reason::DnsTimeout => {
                return Answer { resolution: Err(error), lifetime: settings.failure_ttl };
            }
            Outcome::Failed(error) => failure = failure.or(Some(error)),
        }
    }
    if let Some(error) = failure {
        return Answer { resolution: Err(error), lifetime: settings.failure_ttl };
    }
    let tried = match candidates.as_slice() {
        [_] => String::new(),
        many => format!(" (tried {})", many.iter().map(printed).collect::<Vec<_>>().join(", ")),
    };
    let what = if exists { no_address(settings.family) } else { "does not exist" };
    let error = ResolveError::new(Reason::DnsNotFound, format!("{name} {what}{tried}"));
    Answer { resolution: Err(error), lifetime: negative_ttl.max(settings.min_ttl) }
}

fn no_address(family: AddressFamily) -> &'static str {
    match family {
        AddressFamily::Ipv4Only => "has no IPv4 address",
        AddressFamily::Ipv6Only => "has no IPv6 address",
        AddressFamily::PreferIpv4 | AddressFamily::PreferIpv6 => "has no address",
    }
}

fn printed(name: &Name) -> String {
    name.to_string().trim_end_matches('.').to_owned()
}

enum Outcome {
    Found {
        addresses: Addresses,
        ttl: Duration,
        /// One of the two families could not be learnt.
        partial: bool,
    },
    Nothing {
        ttl: Option<Duration>,
        nxdomain: bool,
    },
    Failed(ResolveError),
}

/// The answer to one question of one type.
enum Records {
    Some { addresses: Vec<IpAddr>, ttl: Duration },
    None { ttl: Option<Duration>, nxdomain: bool },
    Failed(ResolveError),
}

async fn ask_one(
    client: &TokioResolver,
    name: &Name,
    family: AddressFamily,
    early: &(impl Fn(Addresses) + Sync),
) -> Outcome {
    let (v4, v6) = match family {
        AddressFamily::Ipv4Only => return combine(ask_type(client, name, RecordType::A).await, None, family),
        AddressFamily::Ipv6Only => {
            return combine(ask_type(client, name, RecordType::AAAA).await, None, family);
        }
        AddressFamily::PreferIpv4 | AddressFamily::PreferIpv6 => {
            (ask_type(client, name, RecordType::A), ask_type(client, name, RecordType::AAAA))
        }
    };
    tokio::pin!(v4, v6);
    let (v4, v6) = tokio::select! {
        v6 = &mut v6 => (v4.await, v6),
        v4 = &mut v4 => match &v4 {
            // The name has no records of any type (RFC 8020).
            Records::None { nxdomain: true, .. } => return combine(v4, None, family),
            Records::Some { addresses, .. } => {
                match tokio::time::timeout(RESOLUTION_DELAY, &mut v6).await {
                    Ok(v6) => (v4, v6),
                    Err(_) => {
                        early(order(addresses.clone(), family));
                        (v4, v6.await)
                    }
                }
            }
            Records::None { .. } | Records::Failed(_) => (v4, v6.await),
        },
    };
    combine(v4, Some(v6), family)
}

fn combine(one: Records, other: Option<Records>, family: AddressFamily) -> Outcome {
    use Records::{Failed, None as Absent, Some as Present};
    let Some(other) = other else {
        return match one {
            Present { addresses, ttl } => {
                Outcome::Found { addresses: order(addresses, family), ttl, partial: false }
            }
            Absent { ttl, nxdomain } => Outcome::Nothing { ttl, nxdomain },
            Failed(error) => Outcome::Failed(error),
        };
    };
    match (one, other) {
        (Present { mut addresses, ttl }, Present { addresses: more, ttl: other_ttl }) => {
            addresses.extend(more);
            Outcome::Found { addresses: order(addresses, family), ttl: ttl.min(other_ttl), partial: false }
        }
        (Present { addresses, ttl }, Absent { .. }) | (Absent { .. }, Present { addresses, ttl }) => {
            Outcome::Found { addresses: order(addresses, family), ttl, partial: false }
        }
        (Present { addresses, ttl }, Failed(_)) | (Failed(_), Present { addresses, ttl }) => {
            Outcome::Found { addresses: order(addresses, family), ttl, partial: true }
        }
        (Absent { nxdomain: true, ttl }, _) | (_, Absent { nxdomain: true, ttl }) => {
            Outcome::Nothing { ttl, nxdomain: true }
        }
        // The family that failed may be the one that the name has.
        (Failed(error), _) | (_, Failed(error)) => Outcome::Failed(error),
        (Absent { ttl: one, .. }, Absent { ttl: other, .. }) => {
            let ttl = one.into_iter().chain(other).min();
            Outcome::Nothing { ttl, nxdomain: false }
        }
    }
}

async fn ask_type(client: &TokioResolver, name: &Name, record_type: RecordType) -> Records {
    match client.lookup(name.clone(), record_type).await {
        Ok(lookup) => records(&lookup),
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            use hickory_resolver::proto::op::ResponseCode;
            match none.response_code {
                code @ (ResponseCode::NoError | ResponseCode::NXDomain) => Records::None {
                    ttl: none.negative_ttl.map(|seconds| Duration::from_secs(seconds.into())),
                    nxdomain: code == ResponseCode::NXDomain,
                },
                code => failed(name, &format!("the name server answered {code}")),
            }
        }
        Err(NetError::Dns(DnsError::ResponseCode(code))) => {
            failed(name, &format!("the name server answered {code}"))
        }
        Err(NetError::Timeout) => {
            let detail = format!("no name server answered for {} in time", printed(name));
            Records::Failed(ResolveError::new(Reason::DnsTimeout, detail))
        }
        Err(error) => failed(name, &format!("the name servers cannot be asked ({error})")),
    }
}

fn failed(name: &Name, why: &str) -> Records {
    let detail = format!("{} cannot be resolved: {why}", printed(name));
    Records::Failed(ResolveError::new(Reason::DnsFailed, detail))
}

fn records(lookup: &Lookup) -> Records {
    let mut addresses = Vec::new();
    let mut ttl = u32::MAX;
    for record in lookup.answers() {
        match &record.data {
            RData::A(address) => addresses.push(IpAddr::V4(address.0)),
            RData::AAAA(address) => addresses.push(IpAddr::V6(address.0)),
            // The answer lives no longer than the shortest-lived link of its chain.
            RData::CNAME(_) => {}
            _ => continue,
        }
        ttl = ttl.min(record.ttl);
    }
    if addresses.is_empty() {
        return Records::None { ttl: None, nxdomain: false };
    }
    Records::Some { addresses, ttl: Duration::from_secs(ttl.into()) }
}

/// The order in which addresses are to be tried: the preferred family first, unless this machine has
/// no way to it (RFC 6724 section 6, rule 1): then every connection would begin with a failure.
fn order(addresses: Vec<IpAddr>, family: AddressFamily) -> Addresses {
    let mut arranged = arrange(addresses.into_iter(), family);
    arranged.truncate(MAX_ADDRESSES);
    let first = arranged.first().copied();
    let other =
        arranged.iter().copied().find(|other| first.is_some_and(|first| first.is_ipv6() != other.is_ipv6()));
    if let (Some(first), Some(other)) = (first, other)
        && !has_route(first)
        && has_route(other)
    {
        arranged.sort_by_key(|address| address.is_ipv6() == first.is_ipv6());
    }
    arranged.into()
}

/// Whether this machine knows a way to an address. Connecting a UDP socket sends nothing.
fn has_route(address: IpAddr) -> bool {
    let any: SocketAddr = if address.is_ipv6() {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
    };
    UdpSocket::bind(any).and_then(|socket| socket.connect((address, 53))).is_ok()
}
