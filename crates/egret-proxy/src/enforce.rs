//! What a rule that allows demands besides: how much, how fast, how long a body.

use std::sync::Arc;

use egret_core::identity::Identity;
use egret_core::policy::RuleFacts;
use egret_core::reason::Reason;
use tokio::time::{Duration, Instant};

use crate::flow::Flow;
use crate::http1::BodyLength;
use crate::metrics::Limit;
use crate::rates::{Lease, Over, Who};
use crate::refuse::Refusal;

/// Holds a flow to the rule that allows it, before anything of it goes upstream. Asked again by the same rule,
/// it costs nothing.
///
/// # Errors
/// The refusal.
pub fn admit(flow: &mut Flow, body: BodyLength) -> Result<(), Refusal> {
    let Some(rule) = flow.record.basis.by.clone() else {
        flow.lease = None;
        return Ok(());
    };
    if let (Some(most), BodyLength::Fixed(length)) = (rule.max_body_bytes, body)
        && length > most
    {
        let detail = format!("{length} bytes, and {most} are the most under {}", named(&rule));
        return Err(refusal(flow, Reason::BodyTooLarge, detail));
    }
    hold_to_rate(flow, &rule)
}

fn hold_to_rate(flow: &mut Flow, rule: &Arc<RuleFacts>) -> Result<(), Refusal> {
    let Some(limit) = &rule.rate_limit else {
        flow.lease = None;
        return Ok(());
    };
    if flow.lease.as_ref().is_some_and(|lease| lease.is_under(rule)) {
        return Ok(());
    }
    flow.lease = None;
    let account = account(flow, rule);
    let over = match Lease::take(account, rule, limit, Instant::now()) {
        Ok(lease) => {
            flow.lease = Some(Box::new(lease));
            return Ok(());
        }
        Err(over) => over,
    };
    let who = Who::of(&flow.identity);
    let (detail, wait) = match (over, limit.requests, limit.bytes) {
        (Over::Requests(wait), Some(rate), _) => {
            (format!("more than {} requests in {:?} by {who}", rate.amount, rate.per), wait)
        }
        (Over::Bytes(wait), _, Some(rate)) => {
            (format!("more than {} bytes in {:?} by {who}", rate.amount, rate.per), wait)
        }
        _ => {
            let most = limit.connections.unwrap_or(0);
            (format!("more than {most} tunnels and requests at once by {who}"), Duration::from_secs(1))
        }
    };
    let mut refusal = refusal(flow, Reason::RateLimited, format!("{detail} under {}", named(rule)));
    refusal.fields.push(("Retry-After", wait.as_secs_f64().ceil().max(1.0).to_string()));
    Err(refusal)
}

fn account(flow: &Flow, rule: &RuleFacts) -> Arc<crate::rates::Account> {
    let most = flow.snapshot.limits.rate_limit_entries;
    let rates = &flow.worker.shared.rates;
    let (account, is_shared) = rates.account(rule, Who::of(&flow.identity), most, Instant::now());
    if is_shared {
        flow.worker.metrics.limit_hit(Limit::RateLimitEntries);
    }
    account
}

/// Has a flow that is under way counted under the rule that allows it now. It was admitted: only what it still
/// moves counts.
pub fn move_to_rule(flow: &mut Flow) {
    let Some((rule, limit)) =
        flow.record.basis.by.clone().and_then(|rule| rule.rate_limit.clone().map(|limit| (rule, limit)))
    else {
        flow.lease = None;
        return;
    };
    if flow.lease.as_ref().is_some_and(|lease| lease.is_under(&rule)) {
        return;
    }
    let account = account(flow, &rule);
    let before = flow.lease.take();
    flow.lease = Some(Box::new(Lease::take_over(account, &rule, &limit, before.as_deref())));
}

/// Whether a datagram may pass now. One that comes too early is lost, as datagrams are.
pub fn lets_datagram_pass(flow: &mut Flow) -> bool {
    let moved = flow.record.bytes_up + flow.record.bytes_down;
    let pacer = flow.lease.as_mut().and_then(|lease| lease.own_pacer());
    !pacer.is_some_and(|pacer| pacer.is_in_debt(moved))
}

/// A refusal by what the rule that allowed the flow demands, with what it says to whoever is refused.
#[must_use]
pub fn refusal(flow: &Flow, reason: Reason, mut detail: String) -> Refusal {
    if let Some(said) = flow.record.rule().and_then(|facts| facts.reason.as_ref()) {
        detail.push_str(": ");
        detail.push_str(said);
    }
    Refusal { basis: flow.record.basis.clone(), ..Refusal::new(reason, detail) }
}

/// The refusal of a body that turned out to be too long on its way.
#[must_use]
pub fn body_too_long(flow: &Flow) -> Refusal {
    let detail = match flow.record.rule() {
        Some(rule) => format!("more than {} bytes under {}", rule.max_body_bytes.unwrap_or(0), named(rule)),
        None => String::new(),
    };
    refusal(flow, Reason::BodyTooLarge, detail)
}

fn named(rule: &RuleFacts) -> String {
    format!("rule `{}` of policy `{}`", rule.rule, rule.policy)
}

impl Who {
    /// For whom it is counted: the user, else the name of the certificate, else the workload, else the address.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        // A service account is the same by its token and by its address.
        let user = identity.user.as_ref().filter(|user| user.workload.is_none());
        if let Some(user) = user {
            return Self::User(user.name.clone());
        }
        if let Some(certificate) = identity.certificate() {
            return Self::Certificate(certificate.name().clone());
        }
        match &identity.workload {
            Some(workload) => {
                let name = workload.service_account.as_ref().or(workload.pod.as_ref());
                Self::Workload(workload.namespace.clone(), name.cloned().unwrap_or_default())
            }
            None => Self::Address(identity.ip()),
        }
    }
}

#[cfg(test)]
mod tests {
    use egret_core::identity::{
        CertificateName, ClientCertificate, ClientTls, NameKind, Proof, TlsVersion, User, Workload,
    };

    use super::*;

    #[test]
    fn an_identity_is_counted_by_the_best_that_is_known_of_it() {
        let address = "[::ffff:192.0.2.1]:9".parse().unwrap();
        let mut identity = Identity::from_address(address);
        assert_eq!(Who::of(&identity).to_string(), "192.0.2.1", "whatever its port");
        let workload =
            Workload { namespace: "shop".into(), pod: Some("cart-1".into()), ..Default::default() };
        identity.workload = Some(Arc::new(workload.clone()));
        assert_eq!(Who::of(&identity).to_string(), "shop/cart-1");
        let workload = Workload { service_account: Some("cart".into()), ..workload };
        identity.workload = Some(Arc::new(workload));
        assert_eq!(Who::of(&identity).to_string(), "shop/cart", "all pods of an account together");
        let name = CertificateName::new(NameKind::Uri, "spiffe://td/ns/shop/sa/cart");
        identity.tls = Some(Arc::new(ClientTls {
            version: TlsVersion::Tls13,
            cipher_suite: "",
            server_name: None,
            resumed: false,
            certificate: Some(Arc::new(ClientCertificate::new(vec![name]))),
            listener: address,
            judged_by: 0,
        }));
        assert_eq!(Who::of(&identity), Who::Certificate("spiffe://td/ns/shop/sa/cart".into()));
        let groups = Vec::<Arc<str>>::new().into();
        identity.user = Some(User { name: "alice".into(), proof: Proof::Jwt, groups, workload: None });
        assert_eq!(Who::of(&identity), Who::User("alice".into()));
    }
}
