//! A span of a record, in the words of OpenTelemetry's semantic conventions for HTTP.

use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use egret_core::destination::{Destination, Host};
use egret_core::record::{FlowRecord, MethodName, Protocol, Treatment};
use egret_core::trace_context::{TraceContext, falls_within};

/// Whether a span is made of this record: it finished, tracing is on for it, and it is sampled.
pub(super) fn is_exported(record: &FlowRecord, ratio: f64) -> bool {
    if record.interim {
        return false;
    }
    record.span.is_some_and(|(trace, _)| match parent(record) {
        Some(parent) => parent.is_sampled(),
        None => falls_within(trace, ratio),
    })
}

/// What the client sent, where it is valid and our span belongs to the same trace.
fn parent(record: &FlowRecord) -> Option<TraceContext> {
    let (trace, _) = record.span?;
    let context = TraceContext::parse(record.traceparent.as_deref()?.as_bytes())?;
    (context.trace_id() == trace).then_some(context)
}

/// Makes spans.
pub(super) struct Spans {
    include_query: bool,
    scope: InstrumentationScope,
}

impl Spans {
    pub(super) fn new(include_query: bool) -> Self {
        let scope = InstrumentationScope::builder("egret").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { include_query, scope }
    }

    pub(super) fn of(&self, record: &FlowRecord) -> Option<SpanData> {
        let (trace, span) = record.span?;
        let parent = parent(record);
        Some(SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(trace),
                SpanId::from_bytes(span),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span_id())),
            parent_span_is_remote: parent.is_some(),
            span_kind: kind(record),
            // The method alone: names must be few, and targets are not.
            name: method(record).into(),
            start_time: record.started,
            end_time: record.started.checked_add(record.phases.total).unwrap_or(record.started),
            attributes: self.attributes(record),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: status(record),
            instrumentation_scope: self.scope.clone(),
        })
    }

    fn attributes(&self, record: &FlowRecord) -> Vec<KeyValue> {
        let mut out = Vec::with_capacity(24);
        http(record, &mut out);
        self.target(record, &mut out);
        network(record, &mut out);
        own(record, &mut out);
        out
    }

    fn target(&self, record: &FlowRecord, out: &mut Vec<KeyValue>) {
        let target = record.target.as_str();
        let destination = match target.split_once("://") {
            Some((scheme, rest)) => {
                let full = if self.include_query { target } else { without_query(target) };
                out.push(KeyValue::new("url.full", full.to_owned()));
                let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
                let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
                Destination::parse_with_default(authority, Some(port))
            }
            None => Destination::parse_authority(target),
        };
        if let Ok(Destination { host, port }) = destination {
            let address = match host {
                Host::Name(name) => name.to_string(),
                Host::Address(address) => address.to_string(),
            };
            out.push(KeyValue::new("server.address", address));
            out.push(KeyValue::new("server.port", i64::from(port)));
        }
    }
}

fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

/// A request that Egret passes on is a client span, since the origin's own span hangs below it; one
/// that it answers itself is a server span.
fn kind(record: &FlowRecord) -> SpanKind {
    match record.treatment {
        Treatment::Local => SpanKind::Server,
        Treatment::Forward | Treatment::Tunnel | Treatment::Intercept => SpanKind::Client,
    }
}

fn method(record: &FlowRecord) -> &'static str {
    match record.method {
        MethodName::Known(name) => name,
        MethodName::Other(_) | MethodName::None => "HTTP",
    }
}

/// A failure of ours or, for a client span, any status from 400 on; for a server span, from 500 on.
fn status(record: &FlowRecord) -> Status {
    let threshold = if kind(record) == SpanKind::Client { 400 } else { 500 };
    match record.reason {
        Some(reason) => {
            Status::error(record.detail.clone().unwrap_or_else(|| reason.facts().what.to_owned()))
        }
        None if record.status >= threshold => Status::error(""),
        None => Status::Unset,
    }
}

fn http(record: &FlowRecord, out: &mut Vec<KeyValue>) {
    match &record.method {
        MethodName::Known(name) => out.push(KeyValue::new("http.request.method", *name)),
        MethodName::Other(name) => {
            out.push(KeyValue::new("http.request.method", "_OTHER"));
            out.push(KeyValue::new("http.request.method_original", name.to_string()));
        }
        MethodName::None => {}
    }
    if record.status != 0 {
        out.push(KeyValue::new("http.response.status_code", i64::from(record.status)));
    }
    match (record.reason, status(record)) {
        (Some(reason), _) => out.push(KeyValue::new("error.type", reason.code())),
        (None, Status::Error { .. }) => out.push(KeyValue::new("error.type", record.status.to_string())),
        _ => {}
    }
    if let Some(agent) = &record.user_agent {
        out.push(KeyValue::new("user_agent.original", agent.clone()));
    }
}

fn network(record: &FlowRecord, out: &mut Vec<KeyValue>) {
    out.push(KeyValue::new("client.address", record.client.ip().to_string()));
    out.push(KeyValue::new("client.port", i64::from(record.client.port())));
    // The peer is the other end of the span: the upstream for a client span.
    let (peer, protocol) = match kind(record) {
        SpanKind::Server => (Some(record.client), Some(record.downstream)),
        _ => (record.dialled, record.upstream),
    };
    if let Some(peer) = peer {
        out.push(KeyValue::new("network.peer.address", peer.ip().to_string()));
        out.push(KeyValue::new("network.peer.port", i64::from(peer.port())));
    }
    if let Some(protocol) = protocol {
        let version = match protocol {
            Protocol::Http10 => Some("1.0"),
            Protocol::Http11 => Some("1.1"),
            Protocol::Http2 => Some("2"),
            Protocol::Socks4 => Some("4"),
            Protocol::Socks5 => Some("5"),
            Protocol::Tls => None,
        };
        out.extend(version.map(|version| KeyValue::new("network.protocol.version", version)));
    }
    if let Some(tls) = &record.tls {
        out.push(KeyValue::new("tls.protocol.version", tls.version.as_str()));
        out.push(KeyValue::new("tls.cipher", tls.cipher_suite));
        out.push(KeyValue::new("tls.resumed", tls.resumed));
        if let Some(name) = &tls.server_name {
            out.push(KeyValue::new("tls.client.server_name", name.to_string()));
        }
    }
    if let Some(name) = record.client_name() {
        out.push(KeyValue::new("enduser.id", name.to_string()));
    }
    if let Some(workload) = &record.workload {
        out.push(KeyValue::new("k8s.namespace.name", workload.namespace.to_string()));
        if let Some(pod) = &workload.pod {
            out.push(KeyValue::new("k8s.pod.name", pod.to_string()));
        }
        if let Some(uid) = &workload.pod_uid {
            out.push(KeyValue::new("k8s.pod.uid", uid.to_string()));
        }
        if let Some(account) = &workload.service_account {
            out.push(KeyValue::new("k8s.serviceaccount.name", account.to_string()));
        }
    }
}

/// What the conventions have no name for.
fn own(record: &FlowRecord, out: &mut Vec<KeyValue>) {
    out.push(KeyValue::new("egret.flow", record.id.as_str().to_owned()));
    out.push(KeyValue::new("egret.treatment", record.treatment.as_str()));
    if let Some(reason) = record.reason {
        out.push(KeyValue::new("egret.reason", reason.code()));
        out.push(KeyValue::new("egret.blame", reason.blame().as_str()));
    }
    let rule = record.rule();
    let texts = [
        ("egret.policy", rule.map(|facts| &facts.policy)),
        ("egret.rule", rule.map(|facts| &facts.rule)),
        ("egret.parent", record.parent.as_ref()),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            out.push(KeyValue::new(key, value.to_string()));
        }
    }
    out.push(KeyValue::new("egret.reused", record.reused));
    for (key, bytes) in [("egret.bytes_up", record.bytes_up), ("egret.bytes_down", record.bytes_down)] {
        out.push(KeyValue::new(key, i64::try_from(bytes).unwrap_or(i64::MAX)));
    }
    let phases = &record.phases;
    let durations = [
        ("egret.dns_ms", phases.dns),
        ("egret.connect_ms", phases.connect),
        ("egret.tls_ms", phases.tls),
        ("egret.first_byte_ms", phases.first_byte),
    ];
    for (key, duration) in durations {
        if let Some(duration) = duration {
            out.push(KeyValue::new(key, milliseconds(duration)));
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
