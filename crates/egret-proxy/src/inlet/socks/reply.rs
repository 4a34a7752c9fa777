//! What SOCKS can say of a reason.

use std::net::SocketAddr;

use egret_core::reason::{Blame, Reason};

use super::wire::{reply4, reply5};

/// A general failure.
const FAILURE: u8 = 1;
/// Not allowed by the rules.
const NOT_ALLOWED: u8 = 2;
/// The network cannot be reached.
const NETWORK: u8 = 3;
/// The host cannot be reached.
const HOST: u8 = 4;
/// The connection was refused.
const REFUSED: u8 = 5;
/// The command is not supported.
const COMMAND: u8 = 7;
/// The type of address is not supported.
pub(super) const ADDRESS_TYPE: u8 = 8;

/// The version that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// SOCKS4 and SOCKS4a.
    Four,
    /// SOCKS5.
    Five,
}

impl Version {
    /// The reply to a request that is granted.
    pub(super) fn success(self, bound: Option<SocketAddr>) -> Vec<u8> {
        match self {
            Self::Four => reply4(90, bound),
            Self::Five => reply5(0, bound),
        }
    }

    /// The reply to a request that is refused or failed.
    pub(super) fn refusal(self, reason: Reason) -> Vec<u8> {
        match self {
            Self::Four => reply4(91, None),
            Self::Five => reply5(code(reason), None),
        }
    }

    /// The reply to a command that is not served.
    pub(super) fn unsupported(self) -> Vec<u8> {
        match self {
            Self::Four => reply4(91, None),
            Self::Five => reply5(COMMAND, None),
        }
    }
}

/// The code for a reason (RFC 1928 section 6).
fn code(reason: Reason) -> u8 {
    match reason {
        Reason::ConnectRefused => REFUSED,
        Reason::ConnectUnreachable => NETWORK,
        Reason::ConnectTimeout | Reason::DnsNotFound | Reason::DnsFailed | Reason::DnsTimeout => HOST,
        reason if reason.facts().blame == Blame::Policy => NOT_ALLOWED,
        _ => FAILURE,
    }
}
