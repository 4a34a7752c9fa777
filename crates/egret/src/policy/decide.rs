//! A decision as the gate makes it: by name, then by address.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use egret_config::PolicyBook;
use egret_core::destination::Host;
use egret_core::gate::Gate;
use egret_core::identity::Identity;
use egret_core::policy::model::Action;
use egret_core::policy::{Ask, RuleFacts, Seen};
use egret_core::reason::Reason;

use super::target::{Request, Target};

/// What was decided.
#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) allowed: bool,
    /// The rule; `None` for the default, or the guard.
    pub(super) by: Option<Arc<RuleFacts>>,
    /// The rule of a policy in mode Audit that would have denied it.
    pub(super) audit: Option<Arc<RuleFacts>>,
    /// The guard refused it, and why.
    pub(super) guard: Option<String>,
    /// The tunnel is looked into, and its requests are asked about again.
    pub(super) look_inside: bool,
    /// Rules on addresses could change it, and no address is known.
    pub(super) wants_address: bool,
    /// The address that was decided on.
    pub(super) address: Option<IpAddr>,
}

impl Decision {
    /// `Allow` or `Deny`.
    pub(super) fn word(&self) -> &'static str {
        if self.allowed { Action::Allow.as_str() } else { Action::Deny.as_str() }
    }

    /// What decided, in words: the policy and its rule, `default`, or `guard`.
    pub(super) fn by_words(&self) -> (Arc<str>, Option<Arc<str>>) {
        match (&self.guard, &self.by) {
            (Some(_), _) => ("guard".into(), None),
            (None, Some(facts)) => (facts.policy.clone(), Some(facts.rule.clone())),
            (None, None) => ("default".into(), None),
        }
    }
}

/// Decides as the gate does. With several addresses, one that is allowed is enough.
pub(super) fn decide(gate: &Gate, ask: &Ask<'_>, addresses: &[IpAddr]) -> Decision {
    let ask = Ask { address: None, ..*ask };
    let permit = match gate.evaluate(&ask) {
        Ok(permit) => permit,
        Err(denial) => return denied(denial, ask.destination.host.address()),
    };
    let addresses = match &ask.destination.host {
        Host::Address(address) => std::slice::from_ref(address),
        Host::Name(_) => addresses,
    };
    let mut first_denial = None;
    for address in addresses {
        match gate.check_address(&ask, &permit, *address) {
            Ok(basis) => {
                let verdict = gate.policies.evaluate(&Ask { address: Some(*address), ..ask });
                return Decision {
                    allowed: true,
                    by: basis.by,
                    audit: basis.audit,
                    guard: None,
                    look_inside: verdict.look_inside,
                    wants_address: false,
                    address: Some(*address),
                };
            }
            Err(denial) => first_denial = first_denial.or(Some(denied(denial, Some(*address)))),
        }
    }
    first_denial.unwrap_or_else(|| {
        let verdict = permit.verdict();
        Decision {
            allowed: verdict.allowed,
            by: verdict.by.clone(),
            audit: verdict.audit.clone(),
            guard: None,
            look_inside: verdict.look_inside,
            wants_address: verdict.address_matters || verdict.open_to_address,
            address: None,
        }
    })
}

fn denied(denial: egret_core::gate::Denial, address: Option<IpAddr>) -> Decision {
    let by_guard = matches!(denial.reason, Reason::DeniedByGuard | Reason::LoopDetected);
    Decision {
        allowed: false,
        by: denial.by,
        audit: denial.audit,
        guard: by_guard.then_some(denial.detail),
        look_inside: false,
        wants_address: false,
        address,
    }
}

/// Whether tunnels can be looked into, as far as the configuration says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interception {
    /// They are where a rule says so.
    On,
    /// The configuration has switched it off.
    Off,
}

/// Whether tunnels can be looked into.
pub(super) fn interception(book: &PolicyBook) -> Interception {
    let file = serde_json::to_value(book.config.file()).unwrap_or_default();
    interception_of(&file)
}

/// Rules switch it on by saying `tls: Intercept`, unless the configuration has it off.
fn interception_of(file: &serde_json::Value) -> Interception {
    match file.pointer("/interception/enabled").and_then(serde_json::Value::as_bool) {
        Some(false) => Interception::Off,
        _ => Interception::On,
    }
}

/// A question about one flow.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub(super) identity: &'a Identity,
    pub(super) target: &'a Target,
    pub(super) request: &'a Request,
    /// Addresses that the name resolves to; none where they are not known.
    pub(super) addresses: &'a [IpAddr],
    pub(super) now: SystemTime,
    /// Whether tunnels can be looked into.
    pub(super) can_open: bool,
}

/// What becomes of a flow.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The final word: of the tunnel, or of the request in it.
    pub(super) decision: Decision,
    /// `Forward`, `Tunnel` or `Intercept`.
    pub(super) treatment: &'static str,
    /// The tunnel that a request in it goes through.
    pub(super) tunnel: Option<Decision>,
}

impl Question<'_> {
    /// What is seen of the tunnel.
    pub(super) fn tunnel_ask(&self) -> Ask<'_> {
        self.ask(if self.can_open { Seen::TunnelToOpen } else { Seen::Tunnel })
    }

    /// The request: a plain one, or one inside a tunnel. `None` where there is no URL.
    pub(super) fn request_ask(&self) -> Option<Ask<'_>> {
        let url = self.target.url.as_ref()?;
        Some(self.ask(Seen::Request(self.request.facts(url))))
    }

    fn ask<'a>(&'a self, seen: Seen<'a>) -> Ask<'a> {
        let Self { identity, target, now, .. } = self;
        Ask { identity, destination: &target.destination, address: None, seen, now: *now }
    }

    /// Decides as the proxy does: the tunnel first, then what is in it where it is looked into.
    pub(super) fn answer(&self, gate: &Gate) -> Answer {
        if !self.target.is_tunnel() {
            let ask = self.request_ask().unwrap_or_else(|| self.tunnel_ask());
            let decision = decide(gate, &ask, self.addresses);
            return Answer { decision, treatment: "Forward", tunnel: None };
        }
        let tunnel = decide(gate, &self.tunnel_ask(), self.addresses);
        if !tunnel.look_inside {
            return Answer { decision: tunnel, treatment: "Tunnel", tunnel: None };
        }
        match self.request_ask() {
            Some(ask) => Answer {
                decision: decide(gate, &ask, self.addresses),
                treatment: "Intercept",
                tunnel: Some(tunnel),
            },
            None => Answer { decision: tunnel, treatment: "Intercept", tunnel: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_intercept_unless_the_configuration_has_it_off() {
        for (file, expected) in [
            (json!({}), Interception::On),
            (json!({"interception": {"enabled": null}}), Interception::On),
            (json!({"interception": {"enabled": true}}), Interception::On),
            (json!({"interception": {"enabled": false}}), Interception::Off),
        ] {
            assert_eq!(interception_of(&file), expected, "{file}");
        }
    }
}
