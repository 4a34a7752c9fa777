//! Who speaks, and how that was proven.

use std::net::{IpAddr, SocketAddr};

/// The identity of a client, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The address and port that the client connected from.
    pub client: SocketAddr,
}

impl Identity {
    /// An identity of which only the source address is known.
    #[must_use]
    pub fn from_address(client: SocketAddr) -> Self {
        Self { client: SocketAddr::new(client.ip().to_canonical(), client.port()) }
    }

    /// The client's address, IPv4-mapped IPv6 reduced to IPv4.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.client.ip()
    }
}
