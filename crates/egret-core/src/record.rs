//! What one flow leaves behind.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::flow_id::FlowId;
use crate::gate::Basis;
use crate::identity::{ClientTls, TlsVersion, Unattributed, User, Workload};
use crate::policy::RuleFacts;
use crate::reason::Reason;

/// The protocol on one side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
    /// SOCKS4 or SOCKS4a.
    Socks4,
    /// SOCKS5.
    Socks5,
    /// TLS, of which nothing was seen but a handshake that failed.
    Tls,
}

impl Protocol {
    /// As logs write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Socks4 => "SOCKS4",
            Self::Socks5 => "SOCKS5",
            Self::Tls => "TLS",
        }
    }
}

/// What was done with a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Treatment {
    /// A plain request, forwarded.
    Forward,
    /// Bytes relayed unseen (CONNECT, or after an upgrade).
    Tunnel,
    /// TLS was ended here: a tunnel that was looked into, or a request in one.
    Intercept,
    /// Answered by the proxy itself (its own page, a refusal before the gate).
    Local,
}

impl Treatment {
    /// As logs write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Tunnel => "tunnel",
            Self::Intercept => "intercept",
            Self::Local => "local",
        }
    }
}

/// How long each phase took. `None`: the phase did not happen (a kept connection needs no DNS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Resolving the name.
    pub dns: Option<Duration>,
    /// Connecting to the upstream, a parent's answer to CONNECT included.
    pub connect: Option<Duration>,
    /// The TLS handshake with the upstream.
    pub tls: Option<Duration>,
    /// From the request's arrival to the first byte of the response.
    pub first_byte: Option<Duration>,
    /// From the request's arrival to the end.
    pub total: Duration,
}

/// A TLS session with an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The version that was agreed.
    pub version: TlsVersion,
    /// What was wrong with the certificate and accepted by a setting: codes with commas between; `None` for
    /// nothing.
    pub excused: Option<Box<str>>,
}

/// What change rules and breakpoints did with a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeFacts {
    /// The change rules that touched it, in order; `breakpoint` for what somebody changed by hand.
    pub rules: Vec<Arc<str>>,
    /// Where it was sent instead: a URL.
    pub target: Option<Box<str>>,
    /// How long the request was delayed or held.
    pub held: Option<Duration>,
    /// How long the response was.
    pub held_response: Option<Duration>,
}

/// The record of one flow.
#[derive(Clone, Debug)]
pub struct FlowRecord {
    /// The flow's id.
    pub id: FlowId,
    /// When the request arrived.
    pub started: SystemTime,
    /// The client's address.
    pub client: SocketAddr,
    /// The user, where credentials proved who it is.
    pub user: Option<User>,
    /// The TLS session that the client spoke through, and whose certificate it showed there.
    pub tls: Option<Arc<ClientTls>>,
    /// The workload that the client is, where that is known.
    pub workload: Option<Arc<Workload>>,
    /// Why no workload is known behind the client's address, where it was looked for.
    pub unattributed: Option<Unattributed>,
    /// The request method. Empty when no request could be read.
    pub method: MethodName,
    /// The target: the absolute URL without user information, or `host:port` for CONNECT.
    pub target: String,
    /// What was done.
    pub treatment: Treatment,
    /// The status sent to the client, 0 if none was.
    pub status: u16,
    /// Why it failed, `None` when it went well.
    pub reason: Option<Reason>,
    /// Particulars of the failure, for people.
    pub detail: Option<String>,
    /// The rule that decided, and the one that is only watched and would have refused.
    pub basis: Basis,
    /// The server name (SNI) in the TLS hello that the client sent through the tunnel, where it was read.
    pub tunnel_sni: Option<Box<str>>,
    /// The parent group it went through, `None` for direct.
    pub parent: Option<Arc<str>>,
    /// The address dialled.
    pub dialled: Option<SocketAddr>,
    /// The upstream connection was a kept one.
    pub reused: bool,
    /// Payload bytes from client to upstream (body, or tunnel bytes).
    pub bytes_up: u64,
    /// Payload bytes from upstream to client.
    pub bytes_down: u64,
    /// Durations.
    pub phases: Phases,
    /// The client's User-Agent.
    pub user_agent: Option<String>,
    /// The client's Referer, for the combined format.
    pub referer: Option<String>,
    /// The protocol the client spoke.
    pub downstream: Protocol,
    /// The protocol the upstream spoke.
    pub upstream: Option<Protocol>,
    /// The TLS session with the upstream, where it is an origin that TLS was spoken with here.
    pub upstream_tls: Option<Arc<UpstreamTls>>,
    /// What change rules and breakpoints did with it. Boxed: few flows are changed, and open tunnels hold a record.
    pub changes: Option<Box<ChangeFacts>>,
    /// The flow that it repeats.
    pub replay_of: Option<FlowId>,
    /// The `traceparent` (W3C trace context) that the client sent, if it did.
    pub traceparent: Option<String>,
    /// The span that this flow is, where tracing is on: trace id and span id.
    pub span: Option<([u8; 16], [u8; 8])>,
    /// This is an interim line of a tunnel that is still open.
    pub interim: bool,
}

/// A method's name, without an allocation for the well-known ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum MethodName {
    /// No method could be read.
    #[default]
    None,
    /// One of the methods that everybody knows.
    Known(&'static str),
    /// Any other.
    Other(Box<str>),
}

impl FlowRecord {
    /// The rule that decided, where one did.
    #[must_use]
    pub fn rule(&self) -> Option<&RuleFacts> {
        self.basis.by.as_deref()
    }

    /// The name that stands for the client, where one was proven: its user's, else its certificate's.
    #[must_use]
    pub fn client_name(&self) -> Option<&Arc<str>> {
        if let Some(user) = &self.user {
            return Some(&user.name);
        }
        Some(self.tls.as_ref()?.certificate.as_ref()?.name())
    }
}

impl MethodName {
    const KNOWN: [&'static str; 11] = [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "CONNECT",
        "OPTIONS",
        "TRACE",
        "PATCH",
        "UDP",
        "UDP-ASSOCIATE",
    ];

    /// The name for a method (case matters, RFC 9110 section 9.1).
    #[must_use]
    pub fn new(method: &str) -> Self {
        match Self::KNOWN.iter().find(|known| **known == method) {
            Some(known) => Self::Known(known),
            None => Self::Other(method.into()),
        }
    }

    /// As logs write it; empty when none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::None => "",
            Self::Known(name) => name,
            Self::Other(name) => name,
        }
    }
}
