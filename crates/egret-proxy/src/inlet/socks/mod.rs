//! SOCKS5 (RFC 1928), SOCKS4 and SOCKS4a, on the same port as HTTP: the same gate, guard, routes, record
//! and reasons.

mod reply;
mod udp;
pub mod wire;

use std::future::poll_fn;
use std::task::Poll;

use egret_core::destination::Destination;
use egret_core::reason::Reason;
use egret_core::record::{MethodName, Protocol};
use tokio::time::Duration;
use zeroize::Zeroizing;

use crate::buffer;
use crate::client::Client;
use crate::control::{CLOSE, CLOSE_IDLE};
use crate::credentials::{self, Asked};
use crate::flow::Flow;
use crate::forward::{After, Served};
use crate::inlet::Onward;
use crate::intercept;
use crate::refuse::Refusal;
use crate::relay::Opened;
use crate::tunnel;

use reply::Version;
use wire::{Command, Read, Request, SocksError};

/// Serves a connection that began with this version number, as far as it does not become a tunnel.
pub async fn serve(client: &mut Client, version: u8) -> Option<(Flow, Onward)> {
    let (version, protocol) = match version {
        4 => (Version::Four, Protocol::Socks4),
        _ => (Version::Five, Protocol::Socks5),
    };
    let request = match negotiate(client, version).await {
        Ok(request) => request,
        Err(Stop::Gone) => return None,
        Err(Stop::Refused { refusal, said }) => {
            let flow = Flow::begin(&client.worker, &client.identity, protocol);
            let bytes = said.unwrap_or_else(|| version.refusal(refusal.reason));
            refuse(client, flow, &refusal, &bytes).await;
            return None;
        }
    };
    let mut flow = Flow::begin(&client.worker, &client.identity, protocol);
    flow.record.target = text(&request.destination);
    let outcome = match request.command {
        Command::Connect => {
            flow.record.method = MethodName::new("CONNECT");
            match intercept::opening(&mut flow, &request.destination, || version.success(None)).await {
                Some(opening) => Ok(Served::Inside(opening)),
                None => connect(&mut flow, &request.destination, version).await.map(Served::Tunnel),
            }
        }
        Command::UdpAssociate => {
            flow.record.method = MethodName::new("UDP-ASSOCIATE");
            udp::serve(client, &mut flow, &request.destination).await.map(Served::Answered)
        }
        Command::Bind => {
            flow.record.method = MethodName::new("BIND");
            let detail = "SOCKS BIND is not served: nothing connects to clients through this proxy";
            Err(Refusal::new(Reason::MethodUnsupported, detail))
        }
    };
    match outcome {
        Ok(Served::Tunnel(opened)) => return Some((flow, Onward::Tunnel(opened))),
        Ok(Served::Inside(opening)) => return Some((flow, Onward::Inside(opening))),
        Ok(Served::Answered(After::Reset)) => client.reset(),
        Ok(Served::Answered(_)) => {}
        Err(refusal) => {
            let bytes = match (request.command, refusal.reason) {
                (Command::Bind, _) => version.unsupported(),
                (_, reason) => version.refusal(reason),
            };
            refuse(client, flow, &refusal, &bytes).await;
        }
    }
    None
}

/// As it is recorded: `host:port`, IPv6 in brackets.
fn text(destination: &Destination) -> String {
    destination.to_string()
}

async fn connect(flow: &mut Flow, destination: &Destination, version: Version) -> Result<Opened, Refusal> {
    tunnel::open(flow, destination, |flow, upstream| {
        // Through a parent the address is the connection's to the parent, which says nothing to clients.
        let bound = match flow.record.parent {
            None => upstream.tcp_beneath().and_then(|tcp| tcp.local_addr().ok()),
            Some(_) => None,
        };
        version.success(bound)
    })
    .await
}

/// Why a negotiation ended without a request.
enum Stop {
    /// The client left before it asked for anything.
    Gone,
    /// Refused; `said` is what the client is told where it is not the reply to a request.
    Refused { refusal: Refusal, said: Option<Vec<u8>> },
}

impl Stop {
    fn refused(refusal: Refusal) -> Self {
        Self::Refused { refusal, said: None }
    }
}

async fn negotiate(client: &mut Client, version: Version) -> Result<Request, Stop> {
    let head = client.worker.snapshot.load().timeouts.head;
    client.deadline.set_after(head);
    let asked = credentials::asked(&client.worker.snapshot.load(), client.identity.ip());
    if version == Version::Four {
        let request = read(client, wire::request4, head).await?;
        // It has room for a name, but for nothing that proves it.
        return match asked {
            Asked::Required => Err(Stop::refused(Refusal::new(
                Reason::AuthenticationRequired,
                "SOCKS4 carries no password: use SOCKS5",
            ))),
            Asked::Nothing | Asked::Optional => Ok(request),
        };
    }
    let methods = read(client, wire::methods, head).await?;
    // Who offers a password where one may be given means to give it; where none is asked for, it is the
    // last choice, for clients that know no other way.
    if methods.password && (asked != Asked::Nothing || !methods.none) {
        say(client, &[5, 2], head).await?;
        client.deadline.set_after(head);
        let (user, password) = read(client, login, head).await?;
        if asked != Asked::Nothing {
            check(client, &user, &password).await?;
        }
        say(client, &[1, 0], head).await?;
    } else if methods.none && asked != Asked::Required {
        say(client, &[5, 0], head).await?;
    } else {
        let detail = match asked {
            Asked::Required => "the client offers no user and password (RFC 1929)",
            Asked::Nothing | Asked::Optional => {
                "the client offers neither \"no authentication\" nor user and password (RFC 1928 section 3)"
            }
        };
        let refusal = Refusal::new(Reason::AuthenticationRequired, detail);
        return Err(Stop::Refused { refusal, said: Some(vec![5, 0xff]) });
    }
    client.deadline.set_after(head);
    read(client, wire::request5, head).await
}

/// Reads user name and password.
fn login(bytes: &[u8]) -> Read<(Vec<u8>, Zeroizing<Vec<u8>>)> {
    let Some(((user, password), length)) = wire::password(bytes)? else { return Ok(None) };
    Ok(Some(((bytes[user].to_vec(), Zeroizing::new(bytes[password].to_vec())), length)))
}

/// Finds out whether they belong together; the connection's flows are the user's then.
async fn check(client: &mut Client, user: &[u8], password: &[u8]) -> Result<(), Stop> {
    let worker = client.worker.clone();
    let checking = credentials::check_password(&worker, client.identity.ip(), user, password);
    match Box::pin(checking).await {
        Ok(user) => client.identity.user = Some(user),
        Err(refusal) => return Err(Stop::Refused { refusal, said: Some(vec![1, 1]) }),
    }
    Ok(())
}

async fn say(client: &mut Client, bytes: &[u8], limit: Duration) -> Result<(), Stop> {
    client.write_all(bytes, limit).await.map_err(|_| Stop::Gone)
}

/// Reads one message of the negotiation and takes it off the input.
async fn read<T>(client: &mut Client, parse: impl Fn(&[u8]) -> Read<T>, limit: Duration) -> Result<T, Stop> {
    poll_fn(|context| {
        loop {
            match parse(client.filled()) {
                Ok(Some((value, length))) => {
                    client.consume(length);
                    return Poll::Ready(Ok(value));
                }
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(malformed(error))),
            }
            match buffer::poll_fill(context, &mut client.stream, &mut client.input) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(malformed(SocksError::Truncated))),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Stop::Gone)),
                Poll::Pending => break,
            }
        }
        client.control.register(context);
        if client.control.has(CLOSE | CLOSE_IDLE) {
            let refusal = Refusal::new(Reason::Draining, "before the request was complete");
            return Poll::Ready(Err(Stop::refused(refusal)));
        }
        if client.deadline.poll(context).is_ready() {
            let detail = format!("the SOCKS request was not complete within {limit:?}");
            return Poll::Ready(Err(Stop::refused(Refusal::new(Reason::RequestTimeout, detail))));
        }
        Poll::Pending
    })
    .await
}

fn malformed(error: SocksError) -> Stop {
    let refusal = Refusal::new(Reason::MalformedRequest, format!("SOCKS: {error}"));
    let said = match error {
        SocksError::Command(_) => Some(Version::Five.unsupported()),
        SocksError::AddressType(_) => Some(wire::reply5(reply::ADDRESS_TYPE, None)),
        _ => None,
    };
    Stop::Refused { refusal, said }
}

async fn refuse(client: &mut Client, mut flow: Flow, refusal: &Refusal, bytes: &[u8]) {
    flow.refused(refusal);
    let limit = flow.snapshot.timeouts.head;
    let written = client.write_all(bytes, limit).await;
    drop(flow);
    if written.is_ok() {
        client.linger().await;
    }
}
