//! The store of flows, as the configuration asks for it.

use std::path::Path;

use egret_flows::redact::RedactionSettings;
use egret_flows::store::{FlowStore, StoreError, StoreSettings};

/// Opens the store. Without a state directory everything stays in memory.
///
/// # Errors
/// The directory cannot be used.
pub(crate) fn open(
    settings: StoreSettings,
    redaction: &RedactionSettings,
    state_dir: Option<&Path>,
) -> Result<FlowStore, StoreError> {
    let directory = state_dir.map(|directory| directory.join("flows"));
    FlowStore::open(StoreSettings { directory, ..settings }, redaction)
}
