//! SOCKS from clients: byte by byte, by curl, and with datagrams.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod bytes;
mod curl;
mod listeners;
mod udp;

use std::net::SocketAddr;

use egret_testkit::{Egret, EgretBuilder};

fn builder() -> EgretBuilder {
    Egret::builder(env!("CARGO_BIN_EXE_egret"))
}

/// A request of SOCKS5 for an IPv4 address.
fn request(command: u8, to: SocketAddr) -> Vec<u8> {
    let SocketAddr::V4(to) = to else { panic!("{to} is not IPv4") };
    let mut bytes = vec![5, command, 0, 1];
    bytes.extend(to.ip().octets());
    bytes.extend(to.port().to_be_bytes());
    bytes
}

/// A request of SOCKS5 for a name.
fn named(name: &str, port: u16) -> Vec<u8> {
    let mut bytes = vec![5, 1, 0, 3, u8::try_from(name.len()).unwrap()];
    bytes.extend(name.as_bytes());
    bytes.extend(port.to_be_bytes());
    bytes
}
