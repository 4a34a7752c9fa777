//! Taking part in traces (W3C trace context).

use egret_core::trace_context::TraceContext;

use crate::flow::Flow;

/// Notes the client's trace context and gives what the upstream gets in its place. `None`: tracing is
/// off, and what the client sent is passed on as it is.
pub fn begin(flow: &mut Flow, sent: Option<&[u8]>) -> Option<[u8; 55]> {
    let parent = sent.and_then(TraceContext::parse);
    if let (Some(_), Some(text)) = (&parent, sent) {
        flow.record.traceparent = std::str::from_utf8(text).ok().map(str::to_owned);
    }
    let ratio = flow.worker.shared.trace_ratio?;
    let context = TraceContext::for_flow(parent.as_ref(), &mut rand::rng(), ratio);
    if context.is_sampled() {
        flow.record.span = Some((context.trace_id(), context.span_id()));
    }
    Some(context.header_value())
}
