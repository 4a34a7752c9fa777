//! What goes wrong around a proxy, and what it makes of it: origins, name servers and clients that
//! fail in every phase, limits, refusals, reload and drain. Everywhere, a flow leaves one record.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod client;
mod descriptors;
mod dns;
mod drain;
mod guard;
mod http2;
mod lists;
mod origin;
mod pool;
mod refusal;
mod reload;
mod tunnel;

use std::net::SocketAddr;

use egret_testkit::{Egret, EgretBuilder};

/// The proxy, with this configuration.
fn configured(yaml: &str) -> Egret {
    builder().config(yaml).start()
}

fn builder() -> EgretBuilder {
    Egret::builder(env!("CARGO_BIN_EXE_egret"))
}

/// A GET through the proxy.
fn get(authority: impl ToString, path: &str) -> String {
    let authority = authority.to_string();
    format!("GET http://{authority}{path} HTTP/1.1\r\nHost: {authority}\r\n\r\n")
}

/// A POST through the proxy.
fn post(authority: SocketAddr, body: &str) -> String {
    let length = body.len();
    format!(
        "POST http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
