//! Whom to ask and which names to try: the settings, filled up from resolv.conf.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::SystemTime;

use egret_core::settings::DnsSettings;
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::parse_resolv_conf;

use super::super::error::UpstreamError;

/// The system's resolver configuration (resolv.conf(5)).
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Whom to ask, and which names to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Name servers.
    pub(super) servers: Vec<SocketAddr>,
    /// Search domains, absolute.
    search: Vec<Name>,
    /// Dots a name must have to be tried as it is first.
    ndots: usize,
}

impl Plan {
    pub(super) fn new(settings: &DnsSettings, resolv_conf: &Path) -> Result<Self, UpstreamError> {
        let system = match std::fs::read(resolv_conf) {
            Ok(text) => Self::parse(&text)?,
            Err(error) => {
                if settings.servers.is_empty() {
                    let file = resolv_conf.display();
                    tracing::warn!(%file, %error, "no name servers are configured; 127.0.0.1 is asked");
                }
                Self::parse(b"")?
            }
        };
        let search = match &settings.search {
            None => system.search,
            Some(domains) => domains.iter().map(|domain| absolute(domain)).collect::<Result<_, _>>()?,
        };
        let servers = if settings.servers.is_empty() { system.servers } else { settings.servers.clone() };
        Ok(Self { servers, search, ndots: settings.ndots.unwrap_or(system.ndots) })
    }

    /// Reads a resolv.conf. Without a name server in it, the local machine is asked (resolv.conf(5)).
    fn parse(text: &[u8]) -> Result<Self, UpstreamError> {
        let unusable = |error| UpstreamError::Resolver(format!("{RESOLV_CONF}: {error}"));
        let (config, options) = match parse_resolv_conf(text) {
            Ok(parsed) => parsed,
            Err(_) => parse_resolv_conf([text, b"\nnameserver 127.0.0.1\n"].concat()).map_err(unusable)?,
        };
        let (_, search, servers) = ResolverConfig::into_parts(config);
        let search = search
            .into_iter()
            .map(|mut name| {
                name.set_fqdn(true);
                name
            })
            // `search .` means no search domain at all.
            .filter(|name| !name.is_root())
            .collect();
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for server in servers {
            let address = SocketAddr::new(server.ip, 53);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            addresses.push(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53));
        }
        Ok(Self { servers: addresses, search, ndots: options.ndots })
    }

    /// The absolute names to try for a name, in order (resolv.conf(5), `search` and `ndots`). `None`
    /// when the text is no name.
    pub(super) fn candidates(&self, name: &str) -> Option<Vec<Name>> {
        let plain = absolute(name).ok()?;
        if name.ends_with('.') {
            return Some(vec![plain]);
        }
        let relative = Name::from_str_relaxed(name).ok()?;
        let found = self.search.iter().filter_map(|domain| relative.clone().append_domain(domain).ok());
        let mut candidates: Vec<Name> = found.collect();
        if name.matches('.').count() >= self.ndots {
            candidates.insert(0, plain);
        } else {
            candidates.push(plain);
        }
        Some(candidates)
    }
}

fn absolute(text: &str) -> Result<Name, UpstreamError> {
    let mut name = Name::from_str_relaxed(text)
        .map_err(|error| UpstreamError::Resolver(format!("{text:?} is no domain name: {error}")))?;
    name.set_fqdn(true);
    Ok(name)
}

/// By which a change of a file is seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp(Option<(SystemTime, u64, u64)>);

impl Stamp {
    pub(super) fn of(file: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        // Follows symlinks: a ConfigMap is swapped by one.
        let stamp = std::fs::metadata(file)
            .ok()
            .and_then(|metadata| Some((metadata.modified().ok()?, metadata.len(), metadata.ino())));
        Self(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(resolv_conf: &str, name: &str) -> Vec<String> {
        let plan = Plan::parse(resolv_conf.as_bytes()).unwrap();
        plan.candidates(name).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tries_names_in_the_order_of_resolv_conf() {
        let conf = "search a.test b.test\noptions ndots:2\nnameserver 10.0.0.1";
        assert_eq!(candidates(conf, "x"), ["x.a.test.", "x.b.test.", "x."]);
        assert_eq!(candidates(conf, "x.y"), ["x.y.a.test.", "x.y.b.test.", "x.y."]);
        assert_eq!(candidates(conf, "x.y.z"), ["x.y.z.", "x.y.z.a.test.", "x.y.z.b.test."]);
        assert_eq!(candidates(conf, "x."), ["x."]);
        assert_eq!(candidates("nameserver 10.0.0.1\nsearch .", "_x"), ["_x."]);
    }

    #[test]
    fn asks_this_machine_when_no_server_is_named() {
        for conf in ["", "search a.test", "# nothing"] {
            let plan = Plan::parse(conf.as_bytes()).unwrap();
            assert_eq!(plan.servers, ["127.0.0.1:53".parse().unwrap()]);
        }
        assert_eq!(candidates("search a.test", "x"), ["x.a.test.", "x."]);
    }

    #[test]
    fn settings_win_over_resolv_conf() {
        let settings = DnsSettings {
            servers: vec!["10.0.0.9:5353".parse().unwrap()],
            search: Some(vec!["set.test".to_owned()]),
            ndots: Some(1),
            ..DnsSettings::default()
        };
        let plan = Plan::new(&settings, Path::new("/nonexistent/resolv.conf")).unwrap();
        assert_eq!(plan.servers, settings.servers);
        let names = plan.candidates("x.y").unwrap();
        assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["x.y.", "x.y.set.test."]);
    }

    #[test]
    fn refuses_a_search_domain_that_is_no_name() {
        let settings = DnsSettings { search: Some(vec!["a..b".to_owned()]), ..DnsSettings::default() };
        let error = Plan::new(&settings, Path::new("/nonexistent")).unwrap_err();
        assert!(error.to_string().contains("a..b"), "{error}");
    }
}
