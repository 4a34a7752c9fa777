//! Requests over HTTP/2 (RFC 9113), extended CONNECT included (RFC 8441).
//!
//! The connection's frames are the `h2` crate's. Each stream becomes a task with a [`Client`] of its
//! own, whose bytes come and go through a [`Bridge`]: the request is written out as HTTP/1.1 and read
//! by the one strict parser, and what the shared path answers in HTTP/1.1 is read back and sent as
//! frames. So an HTTP/2 request passes the same gate, the same forwarding and the same refusals as any
//! other, and there is no second opinion on what a request means.

mod bridge;
mod connection;
mod head;
mod io;
mod reader;
mod sender;
mod settings;
mod stream;
mod wire;
mod writer;

use std::net::SocketAddr;

use crate::client::Client;

pub use bridge::Bridge;

/// Serves an HTTP/2 connection: from its preface, which may stand in the client's input already, or
/// after a TLS handshake that agreed on `h2`.
pub async fn serve(client: Client, listener: SocketAddr) {
    connection::serve(client, listener).await;
}
