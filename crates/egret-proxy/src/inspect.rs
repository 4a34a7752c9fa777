//! A look at the first bytes that a client sends through a tunnel: where they are a TLS hello, the name in it
//! has to be the host that the tunnel was asked for. A host that is allowed would otherwise hide one that is not
//! (domain fronting). Nothing of it goes on before it was looked at; what the upstream says is not held up.

use std::io;
use std::task::{Context, Poll};

use egret_core::destination::{Destination, Host};
use egret_core::identity::TlsVersion;
use egret_core::policy::Ask;
use egret_core::policy::model::ServerNameRule;
use egret_core::reason::Reason;
use egret_tls::hello::{ClientHello, Hello, ServerName, Version, peek, peek_last};
use tokio::time::{Duration, Instant};

use crate::buffer::{self, Buffer};
use crate::client::Client;
use crate::enforce;
use crate::flow::Flow;
use crate::gate;
use crate::refuse::Refusal;
use crate::stream::Stream;

/// The longest name that a record holds. A name in DNS has 253 bytes; a hello may hold thousands.
const RECORDED: usize = 255;

/// What is said to a TLS client that is refused (RFC 8446 section 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Alert {
    /// The name is none that is allowed.
    AccessDenied = 49,
    /// The hello is malformed.
    DecodeError = 50,
    /// The versions are too low.
    ProtocolVersion = 70,
    /// The name is another than the tunnel's host.
    UnrecognizedName = 112,
}

impl Alert {
    /// The alert as a TLS record: fatal, and in the clear, because no keys were agreed yet.
    #[must_use]
    pub const fn record(self) -> [u8; 7] {
        [0x15, 3, 3, 0, 2, 2, self as u8]
    }
}

/// Why the look ended the tunnel.
#[derive(Debug)]
pub enum Stop {
    /// What was said is refused.
    Refused(Box<Refusal>, Alert),
    /// The client's side failed.
    Broken(io::Error),
}

/// A look that is not finished.
#[derive(Debug)]
pub struct Inspection {
    /// Until when a hello that has begun has to be whole.
    until: Option<Instant>,
    /// How long it may take.
    limit: Duration,
    /// Whether hellos of SSL 2.0 are waited for as well: they hold no name, but a version.
    for_version: bool,
}

/// Begins to look, where the rule that allowed the tunnel asks for it.
#[must_use]
pub fn begin(flow: &Flow) -> Option<Box<Inspection>> {
    // What an upgrade has led to is another protocol, to a host that was named in the request.
    flow.asked.as_ref().filter(|asked| asked.request.is_none())?;
    if !flow.snapshot.gate.policies.enforces() {
        return None;
    }
    let demand = flow.record.rule().map(|facts| facts.tls).unwrap_or_default();
    let any_name = demand.server_name == Some(ServerNameRule::Any);
    if any_name && demand.min_version.is_none() {
        return None;
    }
    let for_version = demand.min_version.is_some();
    Some(Box::new(Inspection { until: None, limit: flow.snapshot.timeouts.client_tls, for_version }))
}

impl Inspection {
    /// When to look again although nothing has come.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Reads until it is known what the client begins with. Ready with `Ok` when that may go on: it waits in
    /// the buffer, all of it.
    ///
    /// # Errors
    /// Why the tunnel ends.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Stream,
        waiting: &mut Option<Buffer>,
        flow: &mut Flow,
    ) -> Poll<Result<(), Stop>> {
        loop {
            let bytes = buffer::filled(waiting);
            if !bytes.is_empty() {
                match peek(bytes) {
                    Hello::NeedMore if self.may_be_hello(bytes[0]) => {}
                    hello => return Poll::Ready(judge(&hello, flow)),
                }
            }
            match buffer::poll_fill(context, from, waiting) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) => return Poll::Ready(judge(&peek_last(buffer::filled(waiting)), flow)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Stop::Broken(error))),
                Poll::Pending => break,
            }
        }
        // Whoever sends half a hello is not given a whole buffer for as long as that takes.
        let Some(buffer) = waiting else { return Poll::Pending };
        buffer.shrink();
        let limit = self.limit;
        let until = *self.until.get_or_insert_with(|| Instant::now() + limit);
        if !limit.is_zero() && Instant::now() >= until {
            return Poll::Ready(judge(&peek_last(buffer.filled()), flow));
        }
        Poll::Pending
    }

    /// Whether more is waited for after this first byte. Of what only looks like the beginning of some text it
    /// is not: its client may be waiting for an answer.
    fn may_be_hello(&self, first: u8) -> bool {
        matches!(first, 0x14..=0x17) || (self.for_version && first & 0x80 != 0)
    }
}

/// Decides on what a client begins with.
fn judge(hello: &Hello, flow: &mut Flow) -> Result<(), Stop> {
    match hello {
        Hello::NeedMore | Hello::NotTls(_) => Ok(()),
        Hello::Malformed(malformed) => {
            Err(stop(flow, Reason::ClientHelloMalformed, Alert::DecodeError, malformed.to_string()))
        }
        Hello::Complete(hello) => {
            note_name(hello, flow);
            check_version(hello, flow)?;
            check_name(hello, flow)
        }
    }
}

/// Notes the name in a hello for the record.
pub fn note_name(hello: &ClientHello, flow: &mut Flow) {
    if let Some(name) = written(&hello.server_name) {
        flow.record.tunnel_sni = Some(name.chars().take(RECORDED).collect::<String>().into());
    }
}

/// The name as it is shown; `None` where the client names none.
fn written(name: &ServerName) -> Option<String> {
    match name {
        ServerName::Absent => None,
        ServerName::Host(host) => Some(host.to_string()),
        ServerName::Invalid(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

fn check_version(hello: &ClientHello, flow: &Flow) -> Result<(), Stop> {
    let Some(lowest) = flow.record.rule().and_then(|facts| facts.tls.min_version) else { return Ok(()) };
    let wanted = match lowest {
        TlsVersion::Tls12 => Version::TLS12,
        TlsVersion::Tls13 => Version::TLS13,
    };
    let offered = hello.max_version();
    if offered >= wanted {
        return Ok(());
    }
    let detail = format!("the client offers {offered} at most, and {wanted} is the least here");
    Err(stop(flow, Reason::TlsVersionTooLow, Alert::ProtocolVersion, detail))
}

fn check_name(hello: &ClientHello, flow: &Flow) -> Result<(), Stop> {
    let any = flow.record.rule().is_some_and(|facts| facts.tls.server_name == Some(ServerNameRule::Any));
    let Some(asked) = flow.asked.as_ref().filter(|_| !any) else { return Ok(()) };
    let destination = &asked.destination;
    // What is meant may stand in a part that only the server can read. What can be read is what counts.
    let hidden = if hello.has_ech { "; the hello has another inside, encrypted (ECH)" } else { "" };
    let name = match &hello.server_name {
        ServerName::Absent => return Ok(()),
        ServerName::Host(host) if *host == destination.host => return Ok(()),
        ServerName::Host(host) => host,
        ServerName::Invalid(bytes) => {
            let name = String::from_utf8_lossy(&bytes[..bytes.len().min(RECORDED)]);
            let detail = format!(
                "the TLS hello in a tunnel to {destination} names `{name}`, which is no host{hidden}"
            );
            return Err(stop(flow, Reason::SniMismatch, Alert::UnrecognizedName, detail));
        }
    };
    if let (Host::Address(_), Host::Name(_)) = (&destination.host, name) {
        return ask_for_name(name, destination, hidden, flow);
    }
    let detail = format!("domain fronting: the TLS hello in a tunnel to {destination} names {name}{hidden}");
    Err(stop(flow, Reason::SniMismatch, Alert::UnrecognizedName, detail))
}

/// Asks whether the name may be reached: who asks the proxy for an address must not get to a name that way
/// that is denied.
fn ask_for_name(name: &Host, asked: &Destination, hidden: &str, flow: &Flow) -> Result<(), Stop> {
    let named = Destination { host: name.clone(), port: asked.port };
    let address = match asked.host {
        Host::Address(address) => Some(address),
        Host::Name(_) => None,
    };
    let ask = Ask { address, ..gate::ask_about_tunnel(flow, &named) };
    let Err(denial) = flow.snapshot.gate.evaluate(&ask) else { return Ok(()) };
    let detail = format!(
        "domain fronting: the TLS hello in a tunnel to {asked} names {name}, which is denied ({}){hidden}",
        denial.detail
    );
    let refusal = Refusal { reason: Reason::SniMismatch, detail, ..denial.into() };
    Err(Stop::Refused(Box::new(refusal), Alert::AccessDenied))
}

fn stop(flow: &Flow, reason: Reason, alert: Alert, detail: String) -> Stop {
    Stop::Refused(Box::new(enforce::refusal(flow, reason, detail)), alert)
}

/// Says so to the client, behind what is on its way to it.
pub async fn say(client: &mut Client, on_its_way: &[u8], alert: Alert) {
    let mut bytes = on_its_way.to_vec();
    bytes.extend_from_slice(&alert.record());
    let limit = client.worker.snapshot.load().timeouts.head;
    // A client that is gone needs no answer.
    let _ = client.write_all(&bytes, limit).await;
}
