//! What the connection is told, and what it is held to.

use std::time::Duration;

use egret_core::settings::Limits;
use h2::server::Builder;

/// Bytes of a body that may be on their way to the proxy on one stream, read or not: what a socket's
/// buffers hold for an HTTP/1 connection. Enough for 2 Gbit/s at 1 ms, which is the round trip of a
/// cluster, or 40 Mbit/s at 50 ms.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The largest window there is (RFC 9113 section 6.9.1).
const MAX_WINDOW: u64 = (1 << 31) - 1;

/// Bytes of a response that may wait for the socket on one stream. The window bounds it as well, but
/// that is the client's to choose.
const SEND_BUFFER: usize = 128 * 1024;

/// The largest frame taken. Four times the least, so that an upload costs fewer frames; a client that
/// shares the connection fairly chooses smaller ones.
const FRAME: u32 = 64 * 1024;

/// What DATA frames of a few bytes may cost in bookkeeping while nobody has read them. The default is
/// half of the connection's window, which is large here.
const SMALL_FRAMES: usize = 4 * 1024 * 1024;

/// Malformed streams and frames for streams long gone that are forgiven on one connection.
const ERRORS: usize = 1024;

/// How long a stream that was reset is remembered, so that what was on its way is dropped without
/// taking it for an error.
const REMEMBERED: Duration = Duration::from_secs(5);

/// The settings of a connection under these limits.
pub(super) fn builder(limits: &Limits) -> Builder {
    let streams = limits.h2_streams.max(1);
    // What one stream leaves unread counts against the connection's window too. It has room for all
    // streams, so that no number of stalled tunnels can stop one that moves.
    let connection_window = (u64::from(STREAM_WINDOW) * u64::from(streams)).min(MAX_WINDOW);
    // HTTP/2 counts 32 bytes more for each field. Beyond that there is room for heads that are too
    // large by no more than as much again: those are refused with a reason and leave a record, while
    // larger ones get a bare 431 from the frame layer.
    let list = 2 * limits.head_bytes + 32 * limits.head_fields;
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(u32::try_from(connection_window).unwrap_or(u32::MAX >> 1))
        .max_frame_size(FRAME)
        .max_concurrent_streams(streams)
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES)
        // "Rapid reset" (CVE-2023-44487): streams that are opened and reset faster than they are
        // looked at. A client may give up all it has open at once, and no more.
        .max_pending_accept_reset_streams(streams as usize)
        .max_concurrent_reset_streams(2 * streams as usize)
        .reset_stream_duration(REMEMBERED)
        .max_local_error_reset_streams(Some(ERRORS))
        .enable_connect_protocol();
    builder
}
