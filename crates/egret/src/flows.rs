//! The flow store of the process, and what fills it.

use std::sync::Arc;

use egret_core::record::FlowRecord;
use egret_flows::capture::CaptureHandle;
use egret_flows::redact::RedactionSettings;
use egret_flows::store::{FlowStore, StoreError, StoreSettings};
use egret_proxy::worker::RecordSink;

use crate::otlp::OtlpHandle;

/// Opens the store.
///
/// # Errors
/// Its directory cannot be used, or there is no thread for it.
pub(crate) fn open() -> Result<FlowStore, StoreError> {
    FlowStore::open(StoreSettings::default(), &RedactionSettings::default())
}

/// Who receives every record besides the access log.
pub(crate) fn sink(traces: Option<OtlpHandle>, store: Option<&FlowStore>) -> Option<Arc<dyn RecordSink>> {
    let flows = store.map(FlowStore::handle);
    (traces.is_some() || flows.is_some()).then(|| Arc::new(Sinks { traces, flows }) as Arc<dyn RecordSink>)
}

struct Sinks {
    traces: Option<OtlpHandle>,
    flows: Option<CaptureHandle>,
}

impl RecordSink for Sinks {
    fn record(&self, record: &FlowRecord) {
        if let Some(traces) = &self.traces {
            traces.record(record);
        }
        if let Some(flows) = &self.flows {
            flows.record(record.clone(), None);
        }
    }
}
