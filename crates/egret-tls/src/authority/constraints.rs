//! Name constraints of a CA (RFC 5280 section 4.2.1.10): which names it may sign for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use rcgen::{CidrSubnet, GeneralSubtree};

use super::names::{Name, NameError};

/// A part of the name space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subtree {
    /// A domain and all below it.
    Dns(String),
    /// A network.
    Ip(IpNet),
    /// E-mail addresses at this very host; with a leading dot, at all hosts below it.
    Email(String),
}

impl Subtree {
    /// The kind of the names that it rules.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Dns(_) => "DNS",
            Self::Ip(_) => "IP",
            Self::Email(_) => "email",
        }
    }

    fn holds(&self, name: &Name) -> bool {
        match (self, name) {
            (Self::Dns(domain), Name::Dns(name)) => {
                // Those of other CAs may have a dot before them.
                let domain = domain.strip_prefix('.').unwrap_or(domain);
                name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
            }
            (Self::Ip(net), Name::Ip(address)) => net.contains(address),
            (Self::Email(host), Name::Email(address)) => {
                let at = address.rsplit_once('@').map_or("", |(_, at)| at);
                if host.starts_with('.') { at.ends_with(host.as_str()) } else { at == host }
            }
            _ => false,
        }
    }

    /// A name of a server within it, where there can be one.
    pub(crate) fn example(&self) -> Option<Name> {
        match self {
            Self::Dns(domain) => {
                Some(Name::Dns(format!("probe.{}", domain.strip_prefix('.').unwrap_or(domain))))
            }
            Self::Ip(net) => Some(Name::Ip(net.addr())),
            Self::Email(_) => None,
        }
    }

    pub(super) fn to_rcgen(&self) -> GeneralSubtree {
        match self {
            Self::Dns(domain) => GeneralSubtree::DnsName(domain.clone()),
            Self::Ip(net) => {
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(net.network(), net.prefix_len()))
            }
            Self::Email(host) => GeneralSubtree::Rfc822Name(host.clone()),
        }
    }
}

impl FromStr for Subtree {
    type Err = NameError;

    /// `example.com`, `10.0.0.0/8` or an address alone, `@example.com` (also with openssl's `DNS:`, `IP:` and
    /// `email:` before it).
    fn from_str(text: &str) -> Result<Self, NameError> {
        let refused = |detail: &str| NameError { name: text.to_owned(), detail: detail.to_owned() };
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) if ["dns", "ip", "email"].contains(&kind.to_ascii_lowercase().as_str()) => {
                (kind.to_ascii_lowercase(), rest)
            }
            _ => (String::new(), text),
        };
        let net = rest.parse::<IpNet>().ok().or_else(|| rest.parse::<IpAddr>().ok().map(IpNet::from));
        let domain = |text: &str| match text.parse::<Name>()? {
            Name::Dns(domain) if !domain.starts_with('*') => Ok(domain),
            _ => Err(refused("a constraint is a domain (with all below it), a network, or @host")),
        };
        match (kind.as_str(), net) {
            ("" | "ip", Some(net)) => Ok(Self::Ip(net.trunc())),
            ("ip", None) => Err(refused("it is no network; write 10.0.0.0/8")),
            ("email", _) => {
                let host = rest.strip_prefix('@').unwrap_or(rest);
                let (dot, bare) = host.strip_prefix('.').map_or(("", host), |bare| (".", bare));
                Ok(Self::Email(format!("{dot}{}", domain(bare)?)))
            }
            ("", None) if rest.starts_with('@') => Ok(Self::Email(domain(&rest[1..])?)),
            // With a leading dot, OpenSSL leaves the domain itself out and others do not; RFC 5280 knows none.
            _ if rest.starts_with('.') => {
                Err(refused("write the domain without the dot; it holds for all below it too"))
            }
            _ => Ok(Self::Dns(domain(rest)?)),
        }
    }
}

impl fmt::Display for Subtree {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(text) | Self::Email(text) => write!(out, "{}:{text}", self.kind()),
            Self::Ip(net) => write!(out, "IP:{net}"),
        }
    }
}

/// Which names a CA may sign for. Names of a kind without permitted subtrees are free, but for the excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Only these, of each kind that is listed.
    pub permitted: Vec<Subtree>,
    /// Never these.
    pub excluded: Vec<Subtree>,
}

impl Constraints {
    /// Whether a certificate for this name would be valid under them.
    #[must_use]
    pub fn permit(&self, name: &Name) -> bool {
        let ruled = self.permitted.iter().any(|subtree| subtree.kind() == name.kind());
        let held = |subtrees: &[Subtree]| subtrees.iter().any(|subtree| subtree.holds(name));
        !held(&self.excluded) && (!ruled || held(&self.permitted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constraints(permitted: &[&str], excluded: &[&str]) -> Constraints {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Constraints { permitted: parse(permitted), excluded: parse(excluded) }
    }

    #[test]
    fn rules_only_the_kinds_that_are_listed() {
        let rules = constraints(&["corp.example"], &["secret.corp.example", "10.0.0.0/8"]);
        for (name, permitted) in [
            ("corp.example", true),
            ("a.b.corp.example", true),
            ("notcorp.example", false),
            ("secret.corp.example", false),
            ("x.secret.corp.example", false),
            ("localhost", false),
            ("127.0.0.1", true),
            ("10.1.2.3", false),
            ("spiffe://other/x", true),
            ("a@other.example", true),
        ] {
            assert_eq!(rules.permit(&name.parse().unwrap()), permitted, "{name}");
        }
    }

    #[test]
    fn reads_all_kinds_and_refuses_doubtful_ones() {
        for (text, shown) in [
            ("Corp.Example", "DNS:corp.example"),
            ("10.1.2.3/8", "IP:10.0.0.0/8"),
            ("::1", "IP:::1/128"),
            ("@corp.example", "email:corp.example"),
            ("email:.corp.example", "email:.corp.example"),
        ] {
            assert_eq!(text.parse::<Subtree>().unwrap().to_string(), shown);
        }
        for text in ["*.corp.example", ".corp.example", "ip:corp.example", "spiffe://corp.example", ""] {
            assert!(text.parse::<Subtree>().is_err(), "{text}");
        }
    }
}
