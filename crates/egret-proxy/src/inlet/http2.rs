//! Requests over HTTP/2.

use std::net::SocketAddr;

use egret_core::reason::Reason;

use crate::client::Client;
use crate::refuse::Refusal;

/// Serves an HTTP/2 connection.
pub async fn serve(mut client: Client, listener: SocketAddr) {
    let _ = listener;
    super::refuse_unread(&mut client, &Refusal::new(Reason::HttpVersion, "")).await;
}
