//! Flows as people read them.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Paint, plain};

/// The longest target on a line.
const TARGET: usize = 200;
/// The longest value of a header field.
const VALUE: usize = 4096;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// One line for a flow.
pub(super) fn line(flow: &Value, paint: Paint) -> String {
    let status = number(flow, "status");
    let shown = if status == 0 { "---".to_owned() } else { status.to_string() };
    let shown = match status {
        _ if !text(flow, "reason").is_empty() => paint.bad(&shown),
        200..400 => paint.good(&shown),
        400.. => paint.bad(&shown),
        _ => shown,
    };
    let started = text(flow, "started");
    let clock = started.split_once('T').map_or(started, |(_, clock)| clock.trim_end_matches('Z'));
    let mut out = format!(
        "{} {} {} {} {shown} {}",
        paint.faint(clock),
        text(flow, "id"),
        plain(text(flow, "identity"), 40),
        paint.strong(&plain(text(flow, "method"), 16)),
        plain(text(flow, "target"), TARGET),
    );
    let bytes = number(flow, "bytesUp") + number(flow, "bytesDown");
    let total = flow.get("totalMs").and_then(Value::as_f64);
    let took = total.map(|ms| format!(" {ms:.0}ms")).unwrap_or_default();
    let _ = write!(out, " {}", paint.faint(&format!("{}{took} {}", size(bytes), text(flow, "treatment"))));
    if text(flow, "state") == "open" {
        out.push_str(" …");
    }
    if !text(flow, "reason").is_empty() {
        let _ = write!(out, " {}", paint.bad(&plain(text(flow, "reason"), 64)));
    }
    out.push('\n');
    out
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes}B"),
        10_000..10_000_000 => format!("{:.1}kB", bytes as f64 / 1e3),
        _ => format!("{:.1}MB", bytes as f64 / 1e6),
    }
}

/// All of a flow; bodies are asked for by their side.
pub(super) fn whole(flow: &Value, paint: Paint, bodies: &[(&str, Option<String>)]) -> String {
    let mut out = line(flow, paint);
    let changes = flow.get("changes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let changes = changes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    let facts = [
        ("client", text(flow, "client")),
        ("identity", text(flow, "identity")),
        ("dialled", text(flow, "dialled")),
        ("route", text(flow, "route")),
        ("tunnel", text(flow, "tunnel")),
        ("policy", text(flow, "policy")),
        ("rule", text(flow, "rule")),
        ("reason", text(flow, "reason")),
        ("detail", text(flow, "detail")),
        ("capture", text(flow, "capture")),
        ("replay of", text(flow, "replayOf")),
        ("changed by", changes.as_str()),
        ("sent to", text(flow.get("changedRequest").unwrap_or(&Value::Null), "target")),
    ];
    for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(out, "  {} {}", paint.faint(&format!("{name:<9}")), plain(value, VALUE));
    }
    let phases = flow.get("phases").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let phases = phases.iter().map(|phase| {
        let ms = phase.get("ms").and_then(Value::as_f64).unwrap_or(0.0);
        format!("{} {ms:.1}ms", text(phase, "name"))
    });
    let phases: Vec<String> = phases.collect();
    if !phases.is_empty() {
        let _ = writeln!(out, "  {} {}", paint.faint("timings  "), plain(&phases.join(", "), VALUE));
    }
    for (name, side) in
        [("client TLS", "clientTls"), ("inner TLS", "downstreamTls"), ("origin TLS", "upstreamTls")]
    {
        if let Some(tls) = flow.get(side) {
            let said = [text(tls, "version"), text(tls, "cipherSuite"), text(tls, "alpn"), text(tls, "sni")];
            let said = said.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
            let _ = writeln!(out, "  {} {}", paint.faint(name), plain(&said, VALUE));
        }
    }
    let steps = flow.pointer("/trace/steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for step in steps {
        let said = format!(
            "{}/{}: {} {}",
            text(step, "policy"),
            text(step, "name"),
            text(step, "outcome"),
            text(step, "why")
        );
        let _ = writeln!(out, "  {} {}", paint.faint("decision "), plain(&said, VALUE));
    }
    for (side, body) in bodies {
        let Some(part) = flow.get(*side) else { continue };
        message(&mut out, part, *side == "request", paint);
        let sent = if *side == "request" { "changedRequest" } else { "changedResponse" };
        if let Some(changed) = flow.get(sent) {
            let _ = write!(out, "\n{}", paint.faint("changed, and sent as:"));
            message(&mut out, changed, *side == "request", paint);
        }
        if let Some(body) = body {
            out.push('\n');
            body.lines().for_each(|line| {
                let _ = writeln!(out, "{}", plain(line, 1 << 20));
            });
        }
    }
    out
}

fn message(out: &mut String, part: &Value, is_request: bool, paint: Paint) {
    let first = match is_request {
        true => format!("{} {} {}", text(part, "method"), text(part, "target"), text(part, "version")),
        false => {
            format!("{} {} {}", text(part, "version"), number(part, "status"), text(part, "statusText"))
        }
    };
    let _ = writeln!(out, "\n{}", paint.strong(&plain(first.trim_end(), VALUE)));
    for list in ["headers", "trailers"] {
        let fields = part.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for field in fields {
            let value = field.get("value").or_else(|| field.get("base64")).and_then(Value::as_str);
            let name = paint.faint(&format!("{}:", plain(text(field, "name"), VALUE)));
            let _ = writeln!(out, "{name} {}", plain(value.unwrap_or_default(), VALUE));
        }
    }
    if let Some(body) = part.get("body") {
        let (size, captured) = (number(body, "size"), number(body, "captured"));
        if size > captured {
            let _ = writeln!(
                out,
                "{}",
                paint.faint(&format!("({size} bytes, of which {captured} were captured)"))
            );
        }
    }
}
