//! Flows to take along: HAR 1.2, a `curl` command, the messages as they were.

pub mod curl;
pub mod har;
pub mod raw;

use std::io;

use bytes::Bytes;

use crate::flow::{Flow, Side};
use crate::store::FlowStore;

/// Gives the bodies of flows as they were captured.
pub trait CapturedBodies {
    /// The body of one side; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    fn captured(&self, flow: &Flow, side: Side) -> io::Result<Option<Bytes>>;
}

impl CapturedBodies for FlowStore {
    fn captured(&self, flow: &Flow, side: Side) -> io::Result<Option<Bytes>> {
        flow.body(side).map_or(Ok(None), |body| self.body(body))
    }
}

/// Bodies that are in memory, and no others.
impl CapturedBodies for () {
    fn captured(&self, flow: &Flow, side: Side) -> io::Result<Option<Bytes>> {
        Ok(flow.body(side).and_then(|body| body.in_memory()).cloned())
    }
}

/// The encodings of a body that is stored as it was sent, as one list.
pub(crate) fn encodings(flow: &Flow, side: Side) -> String {
    let decoded = flow.body(side).is_none_or(|body| body.decoded);
    match flow.headers(side) {
        Some(headers) if !decoded => {
            headers.all(b"content-encoding").map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
        }
        _ => String::new(),
    }
}
