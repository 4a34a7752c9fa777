//! What policies demand of the flows that they allow, kept in the data path: the name in a TLS hello, versions,
//! the length of bodies, rates; and what becomes of flows when policies change under load.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod bodies;
mod hello;
mod names;
mod rates;
mod reload;
mod tunnels;
mod words;

use egret_testkit::{DnsServer, Egret, EgretBuilder};

/// The proxy with one policy that has these rules, and `Deny` for everything else.
fn ruled(rules: &str) -> EgretBuilder {
    builder().config(&policy(rules))
}

fn policy(rules: &str) -> String {
    format!("default: Deny\npolicies:\n  - name: web\n    rules:\n{rules}")
}

fn builder() -> EgretBuilder {
    Egret::builder(env!("CARGO_BIN_EXE_egret"))
}

/// A name server for names that all lead to this machine.
fn names() -> DnsServer {
    DnsServer::knowing(&[
        ("front.test", "127.0.0.1"),
        ("hidden.test", "127.0.0.1"),
        ("stay.test", "127.0.0.1"),
        ("leave.test", "127.0.0.1"),
    ])
}

/// A GET through the proxy.
fn get(authority: impl ToString, path: &str) -> String {
    let authority = authority.to_string();
    format!("GET http://{authority}{path} HTTP/1.1\r\nHost: {authority}\r\n\r\n")
}

/// Writes as editors do: beside it, then renamed over it.
fn replace(egret: &Egret, text: &str) {
    let beside = egret.config_path().with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, egret.config_path()).unwrap();
}
