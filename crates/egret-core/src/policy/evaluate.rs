//! The way from a question to its answer.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::ask::{Ask, RuleFacts, Seen, Verdict};
use super::bits::Bits;
use super::compiled::{Compiled, CompiledRule, CompiledTarget, Finds, Found};
use super::http;
use super::model::Action;
use super::names::Suffixes;
use super::when::FaultKind;
use crate::address::embedded_ipv4;
use crate::destination::Host;

/// What one pass over the rules found.
struct Outcome {
    allowed: bool,
    by: Option<u32>,
    look_inside: bool,
    unseen: bool,
    /// Where in the order of targets it was decided.
    at: u32,
}

/// What a rule says to a question.
enum Answer {
    No,
    Yes,
    /// It asks about requests: they will be asked about in their turn.
    Later,
    /// It denies, and asks about what cannot be seen.
    Unseen,
}

impl Compiled {
    pub(super) fn evaluate(&self, ask: &Ask<'_>, default_allow: bool, opens_by_default: bool) -> Verdict {
        let units = self.who.units_for(ask.identity);
        let pass = Pass::new(self, ask, default_allow, opens_by_default);
        let (outcome, audit) = if units.meets(&self.audited) {
            let trial = pass.run(&units);
            let audit = if trial.allowed { None } else { trial.by };
            let audit = audit.filter(|rule| self.audited.has(self.rules[*rule as usize].unit));
            (pass.run(&units.and(&self.enforced)), audit)
        } else {
            (pass.run(&units), None)
        };
        let wants_address =
            |denying| pass.address.is_none() && pass.wants_address(&units, outcome.at, denying);
        Verdict {
            allowed: outcome.allowed,
            by: outcome.by.map(|rule| self.facts(rule)),
            audit: audit.map(|rule| self.facts(rule)),
            open_to_address: !outcome.allowed && wants_address(false),
            address_matters: wants_address(true),
            look_inside: outcome.look_inside,
            unseen: outcome.unseen,
        }
    }

    fn facts(&self, rule: u32) -> Arc<RuleFacts> {
        self.rules[rule as usize].facts.clone()
    }
}

/// A question with everything that is looked up once.
struct Pass<'a> {
    compiled: &'a Compiled,
    ask: &'a Ask<'a>,
    default_allow: bool,
    opens_by_default: bool,
    address: Option<IpAddr>,
    /// IPv4 addresses that hide in an IPv6 one.
    hidden: SmallVec<[IpAddr; 4]>,
    suffixes: Option<Suffixes<'a>>,
    finds: Finds<'a>,
}

impl<'a> Pass<'a> {
    fn new(compiled: &'a Compiled, ask: &'a Ask<'a>, default_allow: bool, opens_by_default: bool) -> Self {
        let (suffixes, address) = match &ask.destination.host {
            Host::Name(name) => (Some(Suffixes::of(name)), ask.address),
            Host::Address(address) => (None, Some(*address)),
        };
        let address = address.map(|address| address.to_canonical());
        let hidden = match address {
            Some(IpAddr::V6(v6)) => embedded_ipv4(v6).iter().map(|found| found.address.into()).collect(),
            _ => SmallVec::new(),
        };
        let finds = compiled.index.find(suffixes.as_ref(), address, &hidden);
        Self { compiled, ask, default_allow, opens_by_default, address, hidden, suffixes, finds }
    }

    /// The first rule of these units that decides.
    fn run(&self, units: &Bits) -> Outcome {
        let mut unseen_denial = None;
        let mut from = 0;
        let decided = loop {
            let next = self.first(units, from, |target, found| match self.answer(target, found) {
                Answer::No => None,
                Answer::Yes => Some(target.rule),
                Answer::Later if self.rule(target).facts.action == Action::Deny => {
                    unseen_denial = unseen_denial.or(Some(target.rule));
                    None
                }
                Answer::Later => Some(target.rule),
                Answer::Unseen => {
                    unseen_denial = unseen_denial.or(Some(target.rule));
                    Some(target.rule)
                }
            });
            match next {
                // On to the policies of the namespace.
                Some((_, rule)) if self.compiled.rules[rule as usize].facts.action == Action::Pass => {
                    from = self.compiled.unit_start(self.compiled.namespace_units);
                }
                other => break other,
            }
        };
        let by = decided.map(|(_, rule)| rule);
        let allowed = match by {
            Some(rule) => self.compiled.rules[rule as usize].facts.action == Action::Allow,
            None => self.default_allow,
        };
        let intercepts = match by {
            Some(rule) => self.compiled.rules[rule as usize].opens_tunnels(),
            None => self.opens_by_default,
        };
        let look_inside = matches!(self.ask.seen, Seen::TunnelToOpen) && allowed && intercepts;
        // What no rule can look at is denied by the first that would have had to.
        let (allowed, by, unseen) = match unseen_denial {
            Some(rule) if allowed && !look_inside => (false, Some(rule), true),
            Some(rule) if by == Some(rule) => (allowed, by, true),
            _ => (allowed, by, false),
        };
        let decided_at = decided.map_or(u32::MAX, |(at, _)| at);
        Outcome { allowed, by, look_inside, unseen, at: decided_at }
    }

    /// The first target from this one on that is in one of the units, may be about the destination, and
    /// that `accept` takes.
    fn first<T>(
        &self,
        units: &Bits,
        from: u32,
        mut accept: impl FnMut(&CompiledTarget, Found) -> Option<T>,
    ) -> Option<(u32, T)> {
        let mut cursors = self.finds.clone();
        let mut at = from;
        loop {
            // Skip what lies before, then take the lowest head.
            let mut lowest: Option<(u32, Found)> = None;
            for (numbers, found) in &mut cursors {
                if numbers.first().is_some_and(|head| *head < at) {
                    *numbers = &numbers[skipped(numbers, at)..];
                }
                let Some(head) = numbers.first() else { continue };
                // Of several ways to find a target the surest counts.
                let better = lowest.is_none_or(|(best, how)| *head < best || *head == best && *found < how);
                if better {
                    lowest = Some((*head, *found));
                }
            }
            let (number, found) = lowest?;
            let target = &self.compiled.targets[number as usize];
            let unit = self.rule(target).unit;
            if !units.has(unit) {
                at = self.compiled.unit_start(units.next(unit + 1)?);
                continue;
            }
            if let Some(accepted) = accept(target, found) {
                return Some((number, accepted));
            }
            at = number + 1;
        }
    }

    fn rule(&self, target: &CompiledTarget) -> &'a CompiledRule {
        &self.compiled.rules[target.rule as usize]
    }

    fn answer(&self, target: &CompiledTarget, found: Found) -> Answer {
        let rule = self.rule(target);
        if !self.is_about(target, found, rule.facts.action) {
            return Answer::No;
        }
        match (&rule.http, self.ask.seen) {
            (None, _) => {}
            (Some(asked), Seen::Request(request)) => {
                if http::mismatch(asked, &request, rule.readings()).is_some() {
                    return Answer::No;
                }
            }
            (Some(_), _) => return self.without_request(rule),
        }
        let Some(when) = &rule.when else { return Answer::Yes };
        if self.address.is_none() && when.needs_address() {
            return Answer::No;
        }
        match when.evaluate(self.ask) {
            Ok(true) => Answer::Yes,
            Ok(false) => Answer::No,
            Err(fault) if *fault.kind() == FaultKind::NoRequest => self.without_request(rule),
            // What cannot be said must not open anything.
            Err(_) if rule.facts.action == Action::Deny => Answer::Yes,
            Err(_) => Answer::No,
        }
    }

    /// What a rule says that asks about a request, where none can be seen.
    fn without_request(&self, rule: &CompiledRule) -> Answer {
        let denies = rule.facts.action == Action::Deny;
        match self.ask.seen {
            Seen::TunnelToOpen if denies || rule.opens_tunnels() => Answer::Later,
            _ if denies => Answer::Unseen,
            _ => Answer::No,
        }
    }

    /// Whether a target is about the destination, all of it.
    fn is_about(&self, target: &CompiledTarget, found: Found, action: Action) -> bool {
        let port = self.ask.destination.port;
        if !target.ports.is_empty() && !target.ports.iter().any(|range| range.contains(port)) {
            return false;
        }
        let denies = action == Action::Deny;
        let by_host = match found {
            Found::Surely => true,
            Found::Hidden => denies,
            Found::Perhaps => false,
        };
        if !by_host && !target.lists.iter().any(|list| self.is_listed(list, denies)) {
            return false;
        }
        let Some(networks) = &target.networks else { return true };
        self.address.is_some_and(|address| networks.contains(address))
            || denies && self.hidden.iter().any(|address| networks.contains(*address))
    }

    fn is_listed(&self, list: &super::NameList, denies: bool) -> bool {
        self.suffixes.as_ref().is_some_and(|suffixes| list.contains_name(suffixes))
            || self.address.is_some_and(|address| list.contains_address(address))
            || denies && self.hidden.iter().any(|address| list.contains_address(*address))
    }

    /// Whether a rule that comes before would have something to say if it knew the address.
    /// With `denying`, be it one that denies.
    fn wants_address(&self, units: &Bits, before: u32, denying: bool) -> bool {
        let port = self.ask.destination.port;
        let wanting = &self.compiled.wanting_address;
        let mut at = 0;
        while let Some(number) = wanting.get(at).filter(|number| **number < before) {
            let target = &self.compiled.targets[*number as usize];
            let unit = self.rule(target).unit;
            if units.has(unit) {
                let is_on_port =
                    target.ports.is_empty() || target.ports.iter().any(|range| range.contains(port));
                if is_on_port && (denying || self.rule(target).facts.action != Action::Deny) {
                    return true;
                }
                at += 1;
                continue;
            }
            let Some(next) = units.next(unit + 1) else { return false };
            at += skipped(&wanting[at..], self.compiled.unit_start(next)).max(1);
        }
        false
    }
}

impl Compiled {
    fn unit_start(&self, unit: u32) -> u32 {
        self.unit_starts.get(unit as usize).copied().unwrap_or(u32::MAX)
    }
}

/// How many of the ascending numbers are below this one. Looks near the front first, where it is likely.
fn skipped(numbers: &[u32], below: u32) -> usize {
    let mut step = 1;
    while numbers.get(step).is_some_and(|number| *number < below) {
        step *= 2;
    }
    let end = numbers.len().min(step + 1);
    let start = step / 2;
    start + numbers[start..end].partition_point(|number| *number < below)
}
