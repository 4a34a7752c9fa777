//! What no schema says about `to`.

use egret_core::destination::Host;
use egret_core::pattern::{HostPattern, any_network_contains};

use super::lists::suggestion;
use super::{Findings, Placed};
use crate::file::Target;
use crate::lists::ListKind;
use crate::values::Name;

/// Names of the lists that rules can name.
pub(super) struct KnownLists<'a> {
    pub(super) host_lists: Vec<&'a str>,
    pub(super) categories: Vec<&'a str>,
}

impl KnownLists<'_> {
    fn of(&self, kind: ListKind) -> &[&str] {
        match kind {
            ListKind::HostLists => &self.host_lists,
            ListKind::Categories => &self.categories,
        }
    }
}

/// Everything that is wrong with a destination.
pub(super) fn check(
    findings: &mut Findings,
    placed: &Placed<'_>,
    field: &str,
    target: &Target,
    known: Option<&KnownLists<'_>>,
    complete: bool,
) {
    if complete && *target == Target::default() {
        let help = "leave `to` out for every destination, or say where to";
        findings.find(placed, field, "this names no destination, and so would be every one", help);
    }
    if let Some(known) = known.filter(|_| complete) {
        lists(findings, placed, field, &target.host_lists, ListKind::HostLists, known);
        lists(findings, placed, field, &target.categories, ListKind::Categories, known);
    }
    addresses(findings, placed, field, target);
}

fn lists(
    findings: &mut Findings,
    placed: &Placed<'_>,
    field: &str,
    names: &[Name],
    kind: ListKind,
    known: &KnownLists<'_>,
) {
    let (own, other) = match kind {
        ListKind::HostLists => (known.of(kind), ListKind::Categories),
        ListKind::Categories => (known.of(kind), ListKind::HostLists),
    };
    for (index, name) in names.iter().enumerate() {
        let name = name.0.as_str();
        if own.contains(&name) {
            continue;
        }
        let help = if known.of(other).contains(&name) {
            format!("it is a {}; name it under `{}`", other.noun(), other.field())
        } else {
            suggestion(name, own, kind)
        };
        let message = format!("there is no {} `{name}`", kind.noun());
        findings.find(placed, &format!("{field}/{}/{index}", kind.field()), message, &help);
    }
}

/// Whether two rules name a host in common, or one of them names none and so is about all.
pub(super) fn share_hosts(some: &[Target], others: &[Target]) -> bool {
    let names_none = |target: &Target| {
        target.hosts.is_empty() && target.host_lists.is_empty() && target.categories.is_empty()
    };
    let share = |one: &Target, other: &Target| {
        names_none(one)
            || names_none(other)
            || one.hosts.iter().any(|host| other.hosts.contains(host))
            || one.host_lists.iter().any(|list| other.host_lists.contains(list))
            || one.categories.iter().any(|list| other.categories.contains(list))
    };
    some.is_empty()
        || others.is_empty()
        || some.iter().any(|one| others.iter().any(|other| share(one, other)))
}

/// Addresses under `hosts` that none of the networks holds: the entry matches nothing by them.
fn addresses(findings: &mut Findings, placed: &Placed<'_>, field: &str, target: &Target) {
    if target.cidrs.is_empty() {
        return;
    }
    let networks: Vec<_> = target.cidrs.iter().map(|network| network.0).collect();
    for (index, host) in target.hosts.iter().enumerate() {
        if let HostPattern::Exact(Host::Address(address)) = &host.pattern
            && !any_network_contains(&networks, *address)
        {
            let message = format!("`{address}` can never match: it is in none of the `cidrs` beside it");
            let help = "hosts and cidrs of one entry have to match both; make them two entries";
            findings.find(placed, &format!("{field}/hosts/{index}"), message, help);
        }
    }
}
