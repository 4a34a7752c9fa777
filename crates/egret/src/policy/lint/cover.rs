//! Whether all that one rule matches is matched by another.

use std::sync::Arc;

use egret_core::pattern::{Glob, HostPattern, PortRange};
use egret_core::policy::NameList;
use egret_core::policy::model::{Policy, Rule, Source, Target, Tier};
use ipnet::IpNet;

/// Whether `wide` matches every flow that `narrow` matches. It may say no where the answer is yes.
pub(super) fn rule_covers(wide: &Rule, narrow: &Rule) -> bool {
    let when = wide
        .when
        .as_ref()
        .is_none_or(|when| narrow.when.as_ref().is_some_and(|other| other.text() == when.text()));
    when && http_covers(wide, narrow) && to_covers(&wide.to, &narrow.to)
}

fn http_covers(wide: &Rule, narrow: &Rule) -> bool {
    let Some(asked) = wide.http.as_ref().filter(|http| http.asks()) else { return true };
    // What cannot be seen is matched by rules that deny and not by those that allow.
    let same_sight = wide.action == narrow.action && wide.tls.treatment == narrow.tls.treatment;
    same_sight && narrow.http.as_ref().is_some_and(|other| format!("{other:?}") == format!("{asked:?}"))
}

fn to_covers(wide: &[Target], narrow: &[Target]) -> bool {
    if wide.is_empty() {
        return true;
    }
    let everywhere = [Target::default()];
    let narrow = if narrow.is_empty() { &everywhere } else { narrow };
    narrow.iter().all(|target| target_is_covered(wide, target))
}

/// What a target asks of the host.
#[derive(Clone, Copy)]
enum Atom<'a> {
    Anything,
    Host(&'a HostPattern),
    List(&'a Arc<NameList>),
}

fn target_is_covered(wide: &[Target], narrow: &Target) -> bool {
    let hosts = narrow.hosts.iter().map(Atom::Host);
    let lists = narrow.lists.iter().map(Atom::List);
    let mut atoms: Vec<Atom<'_>> = hosts.chain(lists).collect();
    if atoms.is_empty() {
        atoms.push(Atom::Anything);
    }
    let all_ports = [PortRange { first: 1, last: u16::MAX }];
    let ports = if narrow.ports.is_empty() { &all_ports[..] } else { &narrow.ports };
    atoms.iter().all(|atom| {
        ports.iter().all(|range| {
            wide.iter().any(|target| {
                ports_cover(&target.ports, *range)
                    && networks_cover(&target.networks, narrow)
                    && host_is_covered(target, *atom)
            })
        })
    })
}

fn ports_cover(wide: &[PortRange], narrow: PortRange) -> bool {
    wide.is_empty() || wide.iter().any(|range| range.first <= narrow.first && narrow.last <= range.last)
}

fn networks_cover(wide: &[IpNet], narrow: &Target) -> bool {
    let within = |network: &IpNet| wide.iter().any(|wide| wide.contains(network));
    wide.is_empty()
        || is_every_address(wide)
        || !narrow.networks.is_empty() && narrow.networks.iter().all(within)
        || !narrow.hosts.is_empty()
            && narrow.lists.is_empty()
            && narrow.hosts.iter().all(|host| match host {
                HostPattern::Exact(egret_core::destination::Host::Address(address)) => {
                    within(&IpNet::from(*address))
                }
                _ => false,
            })
}

/// Whether these are all addresses there are.
pub(super) fn is_every_address(networks: &[IpNet]) -> bool {
    let has = |is_v4: bool| networks.iter().any(|net| net.prefix_len() == 0 && net.addr().is_ipv4() == is_v4);
    has(true) && has(false)
}

fn host_is_covered(wide: &Target, narrow: Atom<'_>) -> bool {
    if wide.names_no_host() || wide.hosts.contains(&HostPattern::Any) {
        return true;
    }
    match narrow {
        Atom::Anything => false,
        Atom::Host(host) => wide.hosts.iter().any(|wide| host_covers(wide, host)),
        Atom::List(list) => wide.lists.iter().any(|other| Arc::ptr_eq(other, list)),
    }
}

/// Whether a pattern stands for all that another stands for.
pub(super) fn host_covers(wide: &HostPattern, narrow: &HostPattern) -> bool {
    let is_below =
        |suffix: &str, name: &str| name.strip_suffix(suffix).is_some_and(|front| front.ends_with('.'));
    match (wide, narrow) {
        (HostPattern::Any, _) => true,
        (wide, HostPattern::Exact(host)) => wide.matches(host),
        (HostPattern::OneLabel(wide), HostPattern::OneLabel(narrow)) => wide == narrow,
        (HostPattern::AnyDepth(wide), HostPattern::OneLabel(narrow) | HostPattern::AnyDepth(narrow)) => {
            wide == narrow || is_below(wide, narrow)
        }
        _ => false,
    }
}

/// Whether every client that `narrow` is for is one that `wide` is for.
pub(super) fn from_covers(wide: &Policy, narrow: &Policy) -> bool {
    match (&wide.tier, &narrow.tier) {
        (Tier::Namespace { namespace: wide }, Tier::Namespace { namespace: narrow }) if wide != narrow => {
            return false;
        }
        (Tier::Namespace { .. }, Tier::Cluster { .. }) => return false,
        _ => {}
    }
    if wide.from.is_empty() {
        return true;
    }
    let mut sources = narrow.from.clone();
    if sources.is_empty() {
        sources.push(Source::default());
    }
    if let Tier::Namespace { namespace } = &narrow.tier
        && let Ok(glob) = Glob::new(namespace)
    {
        // It is for this namespace alone, whatever else it says.
        sources.iter_mut().for_each(|source| source.namespaces = vec![glob.clone()]);
    }
    sources.iter().all(|narrow| wide.from.iter().any(|wide| source_covers(wide, narrow)))
}

fn source_covers(wide: &Source, narrow: &Source) -> bool {
    let globs = |wide: &[Glob], narrow: &[Glob]| {
        wide.is_empty()
            || !narrow.is_empty()
                && narrow.iter().all(|narrow| wide.iter().any(|wide| glob_covers(wide, narrow)))
    };
    let all_in = |wide: &[IpNet], narrow: &[IpNet]| {
        wide.is_empty()
            || !narrow.is_empty() && narrow.iter().all(|narrow| wide.iter().any(|wide| wide.contains(narrow)))
    };
    globs(&wide.users, &narrow.users)
        && globs(&wide.groups, &narrow.groups)
        && globs(&wide.namespaces, &narrow.namespaces)
        && globs(&wide.service_accounts, &narrow.service_accounts)
        && all_in(&wide.networks, &narrow.networks)
        && (wide.certificates.is_empty()
            || !narrow.certificates.is_empty()
                && narrow.certificates.iter().all(|name| wide.certificates.contains(name)))
        && (wide.namespace_selector.is_none() || wide.namespace_selector == narrow.namespace_selector)
        && (wide.pod_selector.is_none() || wide.pod_selector == narrow.pod_selector)
}

fn glob_covers(wide: &Glob, narrow: &Glob) -> bool {
    wide == narrow || wide.as_str() == "**" || narrow.is_exact() && wide.matches(narrow.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_it_is_wider_than() {
        let table = [
            ("*", "a.test", true),
            ("*.a.test", "b.a.test", true),
            ("*.a.test", "c.b.a.test", false),
            ("*.a.test", "*.a.test", true),
            ("*.a.test", "**.a.test", false),
            ("**.a.test", "*.a.test", true),
            ("**.a.test", "*.b.a.test", true),
            ("**.a.test", "**.xa.test", false),
            ("**.a.test", "a.test", false),
            ("a.test", "*", false),
            ("192.0.2.1", "192.0.2.1", true),
        ];
        for (wide, narrow, expected) in table {
            let (wide, narrow) = (HostPattern::parse(wide).unwrap(), HostPattern::parse(narrow).unwrap());
            assert_eq!(host_covers(&wide, &narrow), expected, "{wide} {narrow}");
        }
    }
}
