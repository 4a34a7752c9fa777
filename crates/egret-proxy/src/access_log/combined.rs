//! The Combined Log Format: the common one, with the Referer and the User-Agent.

use egret_core::record::FlowRecord;

use super::clock::Clock;
use super::{common, text};

pub(super) fn append(out: &mut Vec<u8>, record: &FlowRecord, clock: &mut Clock) {
    common::append(out, record, clock);
    for header in [&record.referer, &record.user_agent] {
        out.extend_from_slice(b" \"");
        text::common_escaped(out, header.as_deref().unwrap_or("-"));
        out.push(b'"');
    }
}
