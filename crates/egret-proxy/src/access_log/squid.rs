//! Squid's native format, for the programs that read Squid's logs:
//! `end elapsed client code/status bytes method url user hierarchy/address type`.

use egret_core::reason::{Blame, Reason};
use egret_core::record::{FlowRecord, MethodName, Treatment};

use super::clock::{ended, since_epoch};
use super::text;

pub(super) fn append(out: &mut Vec<u8>, record: &FlowRecord) {
    let end = since_epoch(ended(record));
    text::number(out, end.as_secs());
    out.push(b'.');
    text::three_digits(out, end.subsec_millis() as u16);
    out.push(b' ');
    right_aligned(out, u64::try_from(record.phases.total.as_millis()).unwrap_or(u64::MAX));
    out.push(b' ');
    text::ip(out, record.client.ip());
    out.push(b' ');
    out.extend_from_slice(result_code(record).as_bytes());
    out.push(b'/');
    text::three_digits(out, record.status);
    out.push(b' ');
    text::number(out, record.bytes_down);
    out.push(b' ');
    word_or(out, record.method.as_str(), "NONE");
    out.push(b' ');
    word_or(out, &record.target, "error:invalid-request");
    out.push(b' ');
    text::user(out, record);
    out.push(b' ');
    hierarchy(out, record);
    out.extend_from_slice(b" -");
}

/// What Squid would have called this outcome of a transaction without a cache.
fn result_code(record: &FlowRecord) -> &'static str {
    let refused_before_dialling = record.reason.is_some() && record.dialled.is_none();
    match (record.reason, record.treatment) {
        (Some(reason), _) if reason.blame() == Blame::Policy && record.dialled.is_none() => "TCP_DENIED",
        (Some(Reason::ClientAborted), Treatment::Tunnel) => "TCP_TUNNEL_ABORTED",
        (Some(Reason::ClientAborted), Treatment::Forward | Treatment::Intercept) => "TCP_MISS_ABORTED",
        (Some(Reason::IdleTimeout | Reason::LifetimeExceeded), Treatment::Tunnel) => "TCP_TUNNEL_TIMEDOUT",
        (_, Treatment::Local) => "NONE_NONE",
        (Some(reason), Treatment::Forward | Treatment::Intercept)
            if refused_before_dialling && reason.blame() == Blame::Upstream =>
        {
            "TCP_MISS"
        }
        _ if refused_before_dialling => "NONE_NONE",
        (_, Treatment::Intercept) if record.method == MethodName::Known("CONNECT") => "NONE_NONE",
        (_, Treatment::Forward | Treatment::Intercept) => "TCP_MISS",
        (_, Treatment::Tunnel) => "TCP_TUNNEL",
    }
}

fn hierarchy(out: &mut Vec<u8>, record: &FlowRecord) {
    match (record.dialled, &record.parent) {
        (Some(address), Some(_)) => {
            out.extend_from_slice(b"FIRSTUP_PARENT/");
            text::ip(out, address.ip());
        }
        (Some(address), None) => {
            out.extend_from_slice(b"HIER_DIRECT/");
            text::ip(out, address.ip());
        }
        (None, _) => out.extend_from_slice(b"HIER_NONE/-"),
    }
}

fn word_or(out: &mut Vec<u8>, value: &str, otherwise: &str) {
    text::word(out, if value.is_empty() { otherwise } else { value });
}

/// `%6tr`: right-aligned in six columns, wider when it must be.
fn right_aligned(out: &mut Vec<u8>, value: u64) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value).as_bytes();
    out.extend_from_slice(&b"      "[..6_usize.saturating_sub(digits.len())]);
    out.extend_from_slice(digits);
}
