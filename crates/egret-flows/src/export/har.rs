//! HAR 1.2, as the tools of browsers read it.
//!
//! It is written flow by flow, so that a large export takes no more memory than its largest flow.

mod entry;

use std::borrow::Borrow;
use std::io::{self, Write};

use crate::flow::{Flow, Treatment};

use super::CapturedBodies;

/// What became of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Flows that were written.
    pub written: usize,
    /// Flows that are no HTTP that was seen, such as tunnels: HAR has no place for them.
    pub skipped: usize,
}

/// Writes flows as HAR 1.2. Bodies are decoded, within bounds; what is binary is in base64.
///
/// # Errors
/// `out` cannot be written, or a body cannot be read.
pub fn write<F: Borrow<Flow>>(
    flows: impl IntoIterator<Item = F>,
    bodies: &dyn CapturedBodies,
    mut out: impl Write,
) -> io::Result<Exported> {
    let mut exported = Exported::default();
    write!(
        out,
        r#"{{"log":{{"version":"1.2","creator":{{"name":"Egret","version":"{}"}},"pages":[],"entries":["#,
        env!("CARGO_PKG_VERSION")
    )?;
    for flow in flows {
        let flow = flow.borrow();
        if !is_exported(flow) {
            exported.skipped += 1;
            continue;
        }
        out.write_all(if exported.written == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut out, &entry::entry(flow, bodies)?)?;
        exported.written += 1;
    }
    out.write_all(b"\n]}}\n")?;
    out.flush()?;
    Ok(exported)
}

/// Whether HAR has a place for this flow.
#[must_use]
pub fn is_exported(flow: &Flow) -> bool {
    let request = &flow.request;
    flow.treatment != Treatment::Tunnel
        && request.method != "CONNECT"
        && matches!(&*request.scheme, "http" | "https")
        && !request.host.is_empty()
        && !request.method.is_empty()
}
