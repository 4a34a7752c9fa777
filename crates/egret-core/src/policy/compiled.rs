//! Policies compiled: every rule has its place in one order, and is found by what it is about.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::ask::RuleFacts;
use super::bits::Bits;
use super::http::Readings;
use super::list::NameList;
use super::model::{Action, HttpMatch, Mode, Policy, Rule, Target, Tier, TlsTreatment};
use super::names::{Depth, NameTable, Suffixes};
use super::networks::NetworkTable;
use super::when::When;
use super::who::Who;
use crate::destination::Host;
use crate::pattern::{HostPattern, PortRange};

/// Rules in the order in which they are asked, each in its unit. A unit is what a client is subject to or
/// not: a policy of the cluster, or what a policy of a namespace denies, or what it allows.
#[derive(Clone, Debug, Default)]
pub(super) struct Compiled {
    pub(super) who: Who,
    pub(super) rules: Vec<CompiledRule>,
    pub(super) targets: Vec<CompiledTarget>,
    /// Where the targets of each unit begin.
    pub(super) unit_starts: Vec<u32>,
    /// The first unit of a namespace.
    pub(super) namespace_units: u32,
    /// Units of policies that are enforced, and of those that are only watched.
    pub(super) enforced: Bits,
    pub(super) audited: Bits,
    pub(super) index: Index,
    /// Targets of rules that want to know the address.
    pub(super) wanting_address: Vec<u32>,
    /// Some rule asks about requests.
    pub(super) asks_requests: bool,
    /// Some rule says to look into tunnels.
    pub(super) opens_tunnels: bool,
}

/// A rule.
#[derive(Clone, Debug)]
pub(super) struct CompiledRule {
    pub(super) facts: Arc<RuleFacts>,
    pub(super) unit: u32,
    pub(super) http: Option<HttpMatch>,
    pub(super) when: Option<When>,
}

impl CompiledRule {
    /// It allows, and has tunnels looked into.
    pub(super) fn opens_tunnels(&self) -> bool {
        self.facts.action == Action::Allow && self.facts.tls.treatment == Some(TlsTreatment::Intercept)
    }

    pub(super) fn readings(&self) -> Readings {
        if self.facts.action == Action::Deny { Readings::Any } else { Readings::All }
    }
}

/// A destination of a rule.
#[derive(Clone, Debug)]
pub(super) struct CompiledTarget {
    pub(super) rule: u32,
    pub(super) lists: SmallVec<[Arc<NameList>; 1]>,
    pub(super) networks: Option<Box<NetworkTable>>,
    pub(super) ports: SmallVec<[PortRange; 2]>,
}

/// Targets by what they are about. All lists of numbers ascend.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    any: Vec<u32>,
    names: NameTable,
    by_name: Vec<[SmallVec<[u32; 2]>; 3]>,
    /// Hosts that are addresses, and networks of targets that name no host.
    networks: NetworkTable,
    /// Targets with lists.
    listed: Vec<u32>,
}

/// How a target was found, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    /// It is about the host.
    Surely,
    /// It is about an address that hides in the real one: enough for rules that deny.
    Hidden,
    /// It has lists, and the host may be on one.
    Perhaps,
}

pub(super) type Finds<'a> = SmallVec<[(&'a [u32], Found); 16]>;

impl Index {
    fn insert(&mut self, target: &Target, number: u32) {
        if !target.lists.is_empty() {
            self.listed.push(number);
        }
        for host in &target.hosts {
            match host {
                HostPattern::Any => push(&mut self.any, number),
                HostPattern::Exact(Host::Name(name)) => self.insert_name(name, Depth::None, number),
                HostPattern::Exact(Host::Address(address)) => self.networks.insert((*address).into(), number),
                HostPattern::OneLabel(suffix) => self.insert_name(suffix, Depth::One, number),
                HostPattern::AnyDepth(suffix) => self.insert_name(suffix, Depth::Some, number),
            }
        }
        if target.names_no_host() {
            if target.networks.is_empty() {
                self.any.push(number);
            }
            target.networks.iter().for_each(|network| self.networks.insert(*network, number));
        }
    }

    fn insert_name(&mut self, name: &str, depth: Depth, number: u32) {
        let Some(at) = self.names.insert(name) else { return };
        let at = at as usize;
        if at == self.by_name.len() {
            self.by_name.push(Default::default());
        }
        let numbers = &mut self.by_name[at][depth as usize];
        if numbers.last() != Some(&number) {
            numbers.push(number);
        }
    }

    /// Every list of targets that may be about this destination.
    pub(super) fn find<'a>(
        &'a self,
        suffixes: Option<&Suffixes<'_>>,
        address: Option<IpAddr>,
        hidden: &[IpAddr],
    ) -> Finds<'a> {
        let mut finds = Finds::new();
        let mut add = |numbers: &'a [u32], found| {
            if !numbers.is_empty() {
                finds.push((numbers, found));
            }
        };
        add(&self.any, Found::Surely);
        add(&self.listed, Found::Perhaps);
        if let Some(suffixes) = suffixes {
            self.names.find_all(suffixes, |number, depth| {
                let [none, one, some] = &self.by_name[number as usize];
                match depth {
                    0 => add(none, Found::Surely),
                    1 => {
                        add(one, Found::Surely);
                        add(some, Found::Surely);
                    }
                    _ => add(some, Found::Surely),
                }
                false
            });
        }
        if let Some(address) = address {
            self.networks.find(address, |numbers| add(numbers, Found::Surely));
        }
        for address in hidden {
            self.networks.find(*address, |numbers| add(numbers, Found::Hidden));
        }
        finds
    }
}

fn push(numbers: &mut Vec<u32>, number: u32) {
    if numbers.last() != Some(&number) {
        numbers.push(number);
    }
}

/// The order in which policies are asked.
pub(super) fn sort(policies: &mut [Policy]) {
    policies.sort_by(|one, other| match (&one.tier, &other.tier) {
        (Tier::Cluster { priority: one_priority }, Tier::Cluster { priority }) => {
            one_priority.cmp(priority).then_with(|| one.name.cmp(&other.name))
        }
        (Tier::Cluster { .. }, Tier::Namespace { .. }) => std::cmp::Ordering::Less,
        (Tier::Namespace { .. }, Tier::Cluster { .. }) => std::cmp::Ordering::Greater,
        (Tier::Namespace { namespace: one_namespace }, Tier::Namespace { namespace }) => {
            one_namespace.cmp(namespace).then_with(|| one.name.cmp(&other.name))
        }
    });
}

/// A policy's name as records write it.
pub(super) fn full_name(policy: &Policy) -> Arc<str> {
    match &policy.tier {
        Tier::Cluster { .. } => policy.name.clone(),
        Tier::Namespace { namespace } => format!("{namespace}/{}", policy.name).into(),
    }
}

/// Compiles policies that are sorted.
pub(super) fn compile(policies: &[Policy]) -> Compiled {
    let mut compiled = Compiled::default();
    let is_cluster = |policy: &&Policy| matches!(policy.tier, Tier::Cluster { .. });
    let mut units: HashMap<usize, SmallVec<[u32; 2]>> = HashMap::new();
    for (number, policy) in policies.iter().enumerate().filter(|(_, policy)| is_cluster(policy)) {
        let unit = compiled.begin_unit(policy.mode);
        units.entry(number).or_default().push(unit);
        policy.rules.iter().for_each(|rule| compiled.add_rule(policy, rule, unit));
    }
    compiled.namespace_units = u32::try_from(compiled.unit_starts.len()).unwrap_or(u32::MAX);
    for action in [Action::Deny, Action::Allow] {
        for (number, policy) in policies.iter().enumerate().filter(|(_, policy)| !is_cluster(policy)) {
            let unit = compiled.begin_unit(policy.mode);
            units.entry(number).or_default().push(unit);
            let rules = policy.rules.iter().filter(|rule| rule.action == action);
            rules.for_each(|rule| compiled.add_rule(policy, rule, unit));
        }
    }
    for (number, policy) in policies.iter().enumerate() {
        let namespace = match &policy.tier {
            Tier::Cluster { .. } => None,
            Tier::Namespace { namespace } => Some(namespace),
        };
        compiled.who.insert(&policy.from, namespace, &units[&number]);
    }
    compiled
}

impl Compiled {
    fn begin_unit(&mut self, mode: Mode) -> u32 {
        let unit = u32::try_from(self.unit_starts.len()).unwrap_or(u32::MAX);
        self.unit_starts.push(u32::try_from(self.targets.len()).unwrap_or(u32::MAX));
        match mode {
            Mode::Enforce => self.enforced.set(unit),
            Mode::Audit => self.audited.set(unit),
        }
        unit
    }

    fn add_rule(&mut self, policy: &Policy, rule: &Rule, unit: u32) {
        let number = u32::try_from(self.rules.len()).unwrap_or(u32::MAX);
        let http = rule.http.as_ref().filter(|http| http.asks());
        self.asks_requests |= http.is_some() || rule.when.as_ref().is_some_and(When::needs_request);
        self.opens_tunnels |= rule.tls.treatment == Some(TlsTreatment::Intercept);
        self.rules.push(CompiledRule {
            facts: Arc::new(facts(policy, rule)),
            unit,
            http: http.cloned(),
            when: rule.when.clone(),
        });
        let everywhere = [Target::default()];
        for target in if rule.to.is_empty() { &everywhere } else { &*rule.to } {
            self.add_target(rule, target, number);
        }
    }

    fn add_target(&mut self, rule: &Rule, target: &Target, number: u32) {
        let at = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        self.index.insert(target, at);
        let wants_address = !target.networks.is_empty()
            || target.hosts.iter().any(|host| matches!(host, HostPattern::Exact(Host::Address(_))))
            || target.lists.iter().any(|list| list.has_addresses())
            || rule.when.as_ref().is_some_and(When::needs_address);
        if wants_address {
            self.wanting_address.push(at);
        }
        let networks = (!target.networks.is_empty()).then(|| {
            let mut table = NetworkTable::default();
            target.networks.iter().for_each(|network| table.insert(*network, 0));
            Box::new(table)
        });
        self.targets.push(CompiledTarget {
            rule: number,
            lists: target.lists.iter().cloned().collect(),
            networks,
            ports: target.ports.iter().copied().collect(),
        });
    }
}

fn facts(policy: &Policy, rule: &Rule) -> RuleFacts {
    RuleFacts {
        policy: full_name(policy),
        rule: rule.name.clone(),
        action: rule.action,
        mode: policy.mode,
        tls: rule.tls,
        rate_limit: rule.rate_limit.clone(),
        capture: rule.capture,
        max_body_bytes: rule.http.as_ref().and_then(|http| http.max_body_bytes),
        reason: rule.reason.clone(),
        contact: rule.contact.clone(),
    }
}
