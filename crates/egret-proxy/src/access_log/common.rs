//! The Common Log Format, as Apache and most programs that read logs know it.
//!
//! `client - name [time] "method target protocol" status bytes`; the time is that of the request, the name
//! that of a client that proved who it is.

use egret_core::record::FlowRecord;

use super::clock::Clock;
use super::text;

pub(super) fn append(out: &mut Vec<u8>, record: &FlowRecord, clock: &mut Clock) {
    text::ip(out, record.client.ip());
    out.extend_from_slice(b" - ");
    text::user(out, record);
    out.extend_from_slice(b" [");
    clock.common(out, record.started);
    out.extend_from_slice(b"] \"");
    if record.method.as_str().is_empty() && record.target.is_empty() {
        out.push(b'-'); // Nothing that could be called a request was read.
    } else {
        text::common_escaped(out, record.method.as_str());
        out.push(b' ');
        text::common_escaped(out, &record.target);
        out.push(b' ');
        out.extend_from_slice(record.downstream.as_str().as_bytes());
    }
    out.extend_from_slice(b"\" ");
    text::three_digits(out, record.status);
    out.push(b' ');
    match record.bytes_down {
        0 => out.push(b'-'),
        bytes => text::number(out, bytes),
    }
}
