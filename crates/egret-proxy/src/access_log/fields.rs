//! The fields of a record in their order, for the formats that name them (JSON and logfmt).

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use egret_core::record::FlowRecord;

use super::clock::ended;

/// A format that writes named fields. Keys are ours, so only values are ever escaped.
pub(super) trait Fields {
    fn time(&mut self, key: &str, value: SystemTime);
    /// Text that may hold anything.
    fn text(&mut self, key: &str, value: &str);
    /// A word of ours, which needs no care.
    fn word(&mut self, key: &str, value: &str);
    /// Two pieces of text as one value; the first is ours.
    fn joined(&mut self, key: &str, prefix: &str, value: &str);
    fn number(&mut self, key: &str, value: u64);
    fn flag(&mut self, key: &str, value: bool);
    fn millis(&mut self, key: &str, value: Duration);
    fn address(&mut self, key: &str, value: SocketAddr);
    fn hex(&mut self, key: &str, value: &[u8]);
}

/// Walks through the fields. What is unknown or does not apply is left out.
pub(super) fn walk(record: &FlowRecord, out: &mut impl Fields) {
    // The moment the line was made, not that of the request: lines then come in the order of their
    // times, which log stores ask for, however long a tunnel was open.
    out.time("time", ended(record));
    out.word("flow", record.id.as_str());
    out.address("client", record.client);
    if let Some(user) = &record.user {
        out.text("user", &user.name);
        out.word("proof", user.proof.as_str());
    }
    if let Some(tls) = &record.tls {
        if let Some(certificate) = &tls.certificate {
            out.text("clientName", certificate.name());
        }
        out.word("tlsVersion", tls.version.as_str());
        out.word("tlsCipher", tls.cipher_suite);
        optional(tls.server_name.as_deref(), |name| out.text("sni", name));
        out.flag("tlsResumed", tls.resumed);
    }
    if let Some(workload) = &record.workload {
        out.text("namespace", &workload.namespace);
        optional(workload.service_account.as_deref(), |account| out.text("serviceAccount", account));
        optional(workload.pod.as_deref(), |pod| out.text("pod", pod));
        optional(workload.owner.as_ref(), |owner| out.text("owner", &owner.to_string()));
        optional(workload.node.as_deref(), |node| out.text("node", node));
    }
    optional(record.unattributed, |why| out.word("source", why.as_str()));
    out.text("method", record.method.as_str());
    out.text("target", &record.target);
    out.word("treatment", record.treatment.as_str());
    out.number("status", u64::from(record.status));
    if let Some(reason) = record.reason {
        out.word("reason", reason.code());
        out.word("blame", reason.blame().as_str());
    }
    optional(record.detail.as_deref(), |detail| out.text("detail", detail));
    if let Some(facts) = record.rule() {
        out.text("policy", &facts.policy);
        out.text("rule", &facts.rule);
        out.word("mode", facts.mode.as_str());
    }
    if let Some(facts) = &record.basis.audit {
        out.text("auditPolicy", &facts.policy);
        out.text("auditRule", &facts.rule);
    }
    let changes = record.changes.as_deref();
    if let Some(changes) = changes {
        if !changes.rules.is_empty() {
            out.text("changes", &changes.rules.join(", "));
        }
        optional(changes.target.as_deref(), |target| out.text("changedTarget", target));
    }
    optional(record.replay_of, |id| out.word("replayOf", id.as_str()));
    optional(record.tunnel_sni.as_deref(), |name| out.text("tunnelSni", name));
    match &record.parent {
        Some(parent) => out.joined("route", "parent:", parent),
        // What was never dialled took no route.
        None => optional(record.dialled, |_| out.word("route", "direct")),
    }
    optional(record.dialled, |dialled| out.address("dialled", dialled));
    out.flag("reused", record.reused);
    out.number("bytesUp", record.bytes_up);
    out.number("bytesDown", record.bytes_down);
    optional(record.phases.dns, |dns| out.millis("dnsMs", dns));
    optional(record.phases.connect, |connect| out.millis("connectMs", connect));
    optional(record.phases.tls, |tls| out.millis("tlsMs", tls));
    let held = changes.map(|changes| [changes.held, changes.held_response]).unwrap_or_default();
    optional(held.into_iter().flatten().reduce(|one, other| one + other), |held| out.millis("heldMs", held));
    optional(record.phases.first_byte, |first| out.millis("firstByteMs", first));
    out.millis("totalMs", record.phases.total);
    optional(record.user_agent.as_deref(), |agent| out.text("userAgent", agent));
    out.word("downstream", record.downstream.as_str());
    optional(record.upstream, |upstream| out.word("upstream", upstream.as_str()));
    if let Some(tls) = &record.upstream_tls {
        out.word("upstreamTls", tls.version.as_str());
        optional(tls.excused.as_deref(), |excused| out.word("upstreamTlsExcused", excused));
    }
    optional(record.traceparent.as_deref(), |parent| out.text("traceparent", parent));
    if let Some((trace, span)) = &record.span {
        out.hex("traceId", trace);
        out.hex("spanId", span);
    }
    if record.interim {
        out.flag("interim", true);
    }
}

fn optional<T>(value: Option<T>, write: impl FnOnce(T)) {
    if let Some(value) = value {
        write(value);
    }
}
