//! Who speaks, and how that was proven.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The identity of a client, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The address and port that the client connected from.
    pub client: SocketAddr,
    /// The user, where credentials were asked for and proved to be good.
    pub user: Option<User>,
}

/// A user, as proved by credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name, at most 255 bytes without control characters.
    pub name: Arc<str>,
    /// How it was proved.
    pub proof: Proof,
}

/// What proved who a user is. Further kinds are added here (a Kubernetes service account's token).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// The password of an htpasswd file.
    Htpasswd,
    /// The password of a directory.
    Ldap,
    /// A signed token.
    Jwt,
}

impl Proof {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Htpasswd => "htpasswd",
            Self::Ldap => "ldap",
            Self::Jwt => "jwt",
        }
    }
}

impl Identity {
    /// An identity of which only the source address is known.
    #[must_use]
    pub fn from_address(client: SocketAddr) -> Self {
        Self { client: SocketAddr::new(client.ip().to_canonical(), client.port()), user: None }
    }

    /// The client's address, IPv4-mapped IPv6 reduced to IPv4.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.client.ip()
    }
}
