//! What a condition is decided over.

use std::net::IpAddr;
use std::time::SystemTime;

use crate::destination::{Destination, Host};
use crate::identity::Identity;
use crate::policy::{Ask, RequestFacts, Seen};

/// What is known of a flow when it is decided.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Who asks.
    pub identity: &'a Identity,
    /// What is asked for.
    pub destination: &'a Destination,
    /// The address that would be dialled, once it is known.
    pub address: Option<IpAddr>,
    /// The request, where one is seen; `None` on a tunnel.
    pub request: Option<&'a RequestFacts<'a>>,
    /// The time of the decision.
    pub now: SystemTime,
}

impl<'a> From<&'a Ask<'a>> for Facts<'a> {
    fn from(ask: &'a Ask<'a>) -> Self {
        let &Ask { identity, destination, address, now, .. } = ask;
        let request = match &ask.seen {
            Seen::Request(request) => Some(request),
            Seen::Tunnel | Seen::TunnelToOpen => None,
        };
        let literal = match destination.host {
            Host::Address(address) => Some(address),
            Host::Name(_) => None,
        };
        Self { identity, destination, address: literal.or(address), request, now }
    }
}
