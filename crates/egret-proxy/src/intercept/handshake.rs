//! From the answer to CONNECT to the first request inside.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use egret_core::destination::{Destination, Host};
use egret_core::identity::TlsVersion;
use egret_core::policy::model::ServerNameRule;
use egret_core::reason::Reason;
use egret_core::record::Treatment;
use egret_core::settings::OtherProtocols;
use egret_tls::hello::{self, ClientHello, Hello, Look, ServerName, Version};
use egret_tls::interception::{Cause, End, Observed, Rejection, Stage, classify};
use jiff::Timestamp;
use rustls::ServerConnection;
use rustls::server::Acceptor;
use tokio::time::{Duration, Instant};

use super::meet::{self, Answer};
use super::{Inside, Opening, name_of};
use crate::buffer;
use crate::client::Client;
use crate::control::{CLOSE, CLOSE_IDLE, Registered};
use crate::flow::Flow;
use crate::inlet::{Onward, http1, http2, tls};
use crate::inspect;
use crate::refuse::{Format, Refusal, Reply};
use crate::stream::Stream;
use crate::tls_stream::TlsStream;
use crate::tunnel::{self, Tunnel};

/// How long a client may be silent before it is taken for one that waits for the server to speak, where such a
/// tunnel may pass.
const SILENCE: Duration = Duration::from_secs(2);

/// A client that goes away so soon after the handshake does so for the certificate.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Alerts (RFC 8446 section 6) that are sent before there are any keys.
const DECODE_ERROR: u8 = 50;

pub(super) async fn serve(
    mut client: Client,
    mut flow: Flow,
    opening: Box<Opening>,
    registered: Registered,
    listener: SocketAddr,
) -> Option<Box<Tunnel>> {
    flow.record.treatment = Treatment::Intercept;
    flow.record.status = 200;
    // Who speaks was proved by now, and is so for every request inside.
    client.identity = flow.identity.clone();
    let limit = flow.snapshot.timeouts.client_tls;
    if let Err(error) = client.write_all(&opening.say, limit).await {
        flow.failed(&Refusal::new(Reason::ClientAborted, error.to_string()));
        return None;
    }
    flow.first_byte();
    let Some(present) = tls::Present::take(&client.worker) else {
        flow.failed(&Refusal::new(Reason::TooManyHandshakes, ""));
        close(client, flow, &tls::alert(tls::INTERNAL_ERROR)).await;
        return None;
    };
    let began = Instant::now();
    let hello = match greet(&mut client, &flow, began + limit).await {
        Ok(hello) => hello,
        Err(None) => return None,
        Err(Some(refusal)) => {
            flow.failed(&refusal);
            return None;
        }
    };
    let hello = match hello {
        Hello::Complete(hello) => hello,
        Hello::NotTls(look) => {
            drop(present);
            return other_protocol(client, flow, opening, registered, look).await;
        }
        Hello::Malformed(malformed) => {
            flow.failed(&Refusal::new(Reason::ClientHelloMalformed, malformed.to_string()));
            close(client, flow, &tls::alert(DECODE_ERROR)).await;
            return None;
        }
        Hello::NeedMore => {
            flow.failed(&Refusal::new(Reason::Internal, "a hello without an end"));
            return None;
        }
    };
    inspect::note_name(&hello, &mut flow);
    let host = match judge(&hello, &opening) {
        Judged::Serve { host, refusal } => {
            let refusal = opening.refusal.clone().or(refusal);
            if let Some(refusal) = &refusal {
                flow.failed(refusal);
            }
            (host, refusal)
        }
        Judged::Refuse { refusal, alert } => {
            flow.failed(&refusal);
            close(client, flow, &tls::alert(alert)).await;
            return None;
        }
    };
    let (host, refusal) = host;
    let destination = match (&opening.destination.host, &host) {
        (Host::Address(_), Host::Name(_)) => Destination::new(host.clone(), opening.destination.port),
        _ => opening.destination.clone(),
    };
    // Whoever waits for an origin does not shake hands: its place is for others.
    drop(present);
    let waited = Instant::now();
    let answer = match refusal {
        Some(_) => Answer::own(&host),
        None => match meet::meet(&client, &mut flow, &hello, &host, &destination).await {
            Some(answer) => answer,
            None => {
                flow.failed(&Refusal::new(Reason::Draining, ""));
                return None;
            }
        },
    };
    let began = began + waited.elapsed();
    let Some(present) = tls::Present::take(&client.worker) else {
        flow.failed(&Refusal::new(Reason::TooManyHandshakes, ""));
        close(client, flow, &tls::alert(tls::INTERNAL_ERROR)).await;
        return None;
    };
    let connection = match accept(&mut client, &opening, &answer).await {
        Ok(connection) => connection,
        Err((refusal, alert)) => {
            flow.failed(&refusal);
            close(client, flow, &alert).await;
            return None;
        }
    };
    let mut client = shake(client, connection, &mut flow, &opening, began).await?;
    drop(present);
    let generation = flow.snapshot.generation;
    let tls = flow.worker.flows.as_ref().and_then(|_| client.stream.tls_facts()).map(Arc::new);
    let id = flow.record.id;
    if !begins(&mut client, &mut flow, &opening).await {
        drop(flow);
        client.linger().await;
        return None;
    }
    drop(flow);
    let failure = Mutex::new(answer.failure);
    let inside = Inside { destination, refusal, generation, flow: id, tls, failure };
    drop(opening);
    client.inside = Some(Arc::new(inside));
    if client.stream.alpn() == Some(b"h2") {
        http2::serve(client, listener).await;
        return None;
    }
    match http1::serve(&mut client, listener).await? {
        (flow, Onward::Tunnel(opened)) => Some(Box::new(Tunnel { opened, flow, client, registered })),
        // A request inside opens nothing.
        (_, Onward::Inside(_)) => None,
    }
}

/// Reads what the client says first. `Err(None)`: it went without a word, or the proxy is closing.
async fn greet(client: &mut Client, flow: &Flow, deadline: Instant) -> Result<Hello, Option<Refusal>> {
    let may_be_silent = flow.snapshot.interception.other_protocols == OtherProtocols::Tunnel;
    client.deadline.set(if may_be_silent { deadline.min(Instant::now() + SILENCE) } else { deadline });
    poll_fn(|context| {
        client.control.register(context);
        if client.control.has(CLOSE | CLOSE_IDLE) {
            return Poll::Ready(Err(Some(Refusal::new(Reason::Draining, ""))));
        }
        loop {
            match hello::peek(buffer::filled(&client.input)) {
                Hello::NeedMore => {}
                known => return Poll::Ready(Ok(known)),
            }
            match buffer::poll_fill(context, &mut client.stream, &mut client.input) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) if client.input.is_none() => return Poll::Ready(Err(None)),
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Ok(hello::peek_last(buffer::filled(&client.input))));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => {
                    let detail = format!("the connection failed before the TLS handshake: {error}");
                    return Poll::Ready(Err(Some(Refusal::new(Reason::ClientAborted, detail))));
                }
            }
        }
        if client.deadline.poll(context).is_ready() {
            return Poll::Ready(Ok(hello::peek_last(buffer::filled(&client.input))));
        }
        Poll::Pending
    })
    .await
}

/// What becomes of a tunnel without TLS.
async fn other_protocol(
    mut client: Client,
    mut flow: Flow,
    opening: Box<Opening>,
    registered: Registered,
    look: Look,
) -> Option<Box<Tunnel>> {
    let refused = opening.refusal.clone();
    if refused.is_none() && flow.snapshot.interception.other_protocols == OtherProtocols::Tunnel {
        // As a tunnel that nobody looks into, it has to pass the gate as such.
        return match tunnel::open(&mut flow, &opening.destination, |_, _| Vec::new()).await {
            Ok(opened) => Some(Box::new(Tunnel { opened, flow, client, registered })),
            Err(refusal) => {
                flow.failed(&refusal);
                client.reset();
                None
            }
        };
    }
    let refusal = refused.unwrap_or_else(|| Refusal::new(Reason::TlsExpected, seen(look)));
    flow.failed(&refusal);
    let page = if look == Look::Http1 { page(&flow, &refusal) } else { Vec::new() };
    close(client, flow, &page).await;
    None
}

fn seen(look: Look) -> String {
    let what = match look {
        Look::Http1 => "it sends plain HTTP",
        Look::Http2 => "it sends HTTP/2 without TLS",
        Look::Ssh => "it speaks SSH",
        Look::Smtp => "it speaks SMTP",
        Look::Postgres => "it speaks the protocol of PostgreSQL",
        Look::Silence => "it waits for the server to speak first, as with SSH, SMTP or MySQL",
        Look::Unknown => "what it sends is of no protocol that is known here",
    };
    format!("the client does not begin with TLS: {what}")
}

/// A refusal as plain HTTP.
fn page(flow: &Flow, refusal: &Refusal) -> Vec<u8> {
    let http = &flow.snapshot.http;
    refusal.http1(&Reply {
        id: flow.record.id,
        proxy: &http.via,
        format: Format::Text,
        contact: http.contact.as_deref(),
        head: false,
        keep_alive: false,
        target: &flow.record.target,
    })
}

/// What a hello is answered with.
enum Judged {
    /// The handshake, as this host; and then requests, or this refusal of each.
    Serve { host: Host, refusal: Option<Refusal> },
    /// An alert.
    Refuse { refusal: Refusal, alert: u8 },
}

fn judge(hello: &ClientHello, opening: &Opening) -> Judged {
    let asked = &opening.destination.host;
    let demand = &opening.demand;
    let lowest = match demand.min_version {
        Some(TlsVersion::Tls13) => Version::TLS13,
        Some(TlsVersion::Tls12) | None => Version::TLS12,
    };
    if hello.max_version() < lowest {
        let detail =
            format!("the client offers no more than {}, and {lowest} is required", hello.max_version());
        // What no rule asks for, the TLS library does.
        let by_rule = demand.min_version.is_some();
        let reason = if by_rule { Reason::TlsVersionTooLow } else { Reason::ClientTlsFailed };
        let refusal = Refusal::new(reason, detail);
        return Judged::Refuse { refusal, alert: tls::PROTOCOL_VERSION };
    }
    let any_name = demand.server_name == Some(ServerNameRule::Any);
    match &hello.server_name {
        ServerName::Absent => Judged::Serve { host: asked.clone(), refusal: None },
        ServerName::Host(named) if named == asked || any_name => {
            Judged::Serve { host: named.clone(), refusal: None }
        }
        // Who asks for an address and names a host means that host: requests are for it, and are decided as such.
        ServerName::Host(named @ Host::Name(_)) if asked.name().is_none() => {
            Judged::Serve { host: named.clone(), refusal: None }
        }
        ServerName::Host(named) => {
            // With the certificate that the client expects, so that it can read the answer.
            let detail = format!(
                "domain fronting: the client asked for {asked}, and its TLS handshake is for {named}"
            );
            let refusal = Refusal::new(Reason::SniMismatch, detail);
            Judged::Serve { host: named.clone(), refusal: Some(refusal) }
        }
        ServerName::Invalid(_) => {
            let detail = "the server name in the TLS hello is no host";
            let refusal = Refusal::new(Reason::SniMismatch, detail);
            Judged::Refuse { refusal, alert: DECODE_ERROR }
        }
    }
}

/// Takes the hello on, with a certificate for the host.
async fn accept(
    client: &mut Client,
    opening: &Opening,
    answer: &Answer,
) -> Result<ServerConnection, (Refusal, Vec<u8>)> {
    let interceptor = &opening.interceptor;
    let leaf = interceptor.minter.leaf(&answer.names, Timestamp::now()).await;
    let leaf = leaf.map_err(|error| {
        let refusal = Refusal::new(Reason::CannotMint, error.to_string());
        (refusal, tls::alert(tls::INTERNAL_ERROR).to_vec())
    })?;
    let failed = |error: &rustls::Error, alert| {
        let rejection =
            Observed { stage: Stage::BeforeCertificate, end: End::Refused, trusts_ca_elsewhere: false };
        let detail = classify(&rejection).map_or("", Rejection::advice);
        (Refusal::new(Reason::ClientTlsFailed, format!("{error}; {detail}")), tls::bytes_of(alert))
    };
    let mut acceptor = Acceptor::default();
    loop {
        let mut bytes = client.filled();
        let count = acceptor.read_tls(&mut bytes).unwrap_or(0);
        client.consume(count);
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let config = interceptor.server.config(&leaf, answer.alpn);
                return accepted.into_connection(config).map_err(|(error, alert)| failed(&error, alert));
            }
            Ok(None) if count > 0 => {}
            Ok(None) => {
                let refusal = Refusal::new(Reason::ClientTlsFailed, "the ClientHello ends in the middle");
                return Err((refusal, tls::alert(DECODE_ERROR).to_vec()));
            }
            Err((error, alert)) => return Err(failed(&error, alert)),
        }
    }
}

/// The rest of the handshake. Gives the client over TLS.
async fn shake(
    mut client: Client,
    connection: ServerConnection,
    flow: &mut Flow,
    opening: &Opening,
    began: Instant,
) -> Option<Client> {
    let limit = flow.snapshot.timeouts.client_tls;
    client.deadline.set(began + limit);
    let mut stream = Box::new(TlsStream::server(client.stream, connection, client.input.take()));
    let (control, deadline) = (&client.control, &mut client.deadline);
    let outcome = poll_fn(|context| {
        control.register(context);
        if control.has(CLOSE | CLOSE_IDLE) {
            return Poll::Ready(Err(None));
        }
        if let Poll::Ready(outcome) = stream.poll_handshake(context) {
            return Poll::Ready(outcome.map_err(Some));
        }
        deadline.poll(context).map(|()| Err(Some(io::ErrorKind::TimedOut.into())))
    })
    .await;
    let error = match outcome {
        Ok(()) => {
            let resumed = stream.connection().handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            let version = match stream.connection().protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
                _ => TlsVersion::Tls13,
            };
            flow.worker.metrics.handshake(version, resumed, began.elapsed());
            return Some(Client { stream: Stream::TlsServer(stream), ..client });
        }
        Err(error) => error,
    };
    let Some(error) = error else {
        flow.failed(&Refusal::new(Reason::Draining, ""));
        return None;
    };
    note_rejection(flow, opening, Stage::AfterCertificate, &error);
    flow.worker.metrics.handshake_failed(flow.record.reason.unwrap_or(Reason::ClientTlsFailed));
    // The alert was sent; it must not be taken away by closing.
    let mut client = Client { stream: stream.into_io(), ..client };
    client.linger().await;
    None
}

/// Waits for the first byte inside. Some programs look at the certificate only when the handshake is over, and go
/// away then.
async fn begins(client: &mut Client, flow: &mut Flow, opening: &Opening) -> bool {
    let began = Instant::now();
    client.deadline.set_after(flow.snapshot.timeouts.head);
    let outcome = poll_fn(|context| {
        client.control.register(context);
        if client.control.has(CLOSE | CLOSE_IDLE) {
            return Poll::Ready(None);
        }
        if let Poll::Ready(outcome) = buffer::poll_fill(context, &mut client.stream, &mut client.input) {
            return Poll::Ready(Some(outcome));
        }
        client.deadline.poll(context).map(|()| None)
    })
    .await;
    let error = match outcome {
        Some(Ok(1..)) => {
            opening.interceptor.rejections.accepted(&name_of(&flow.identity), &opening.destination.host);
            return true;
        }
        // It did not need the connection after all, as browsers do that connect ahead.
        None => return false,
        Some(Ok(0)) if began.elapsed() > AT_ONCE => return false,
        Some(Ok(0)) => io::ErrorKind::UnexpectedEof.into(),
        Some(Err(error)) => error,
    };
    note_rejection(flow, opening, Stage::Finished, &error);
    false
}

/// Notes what a client means that goes away when it has been shown the certificate.
fn note_rejection(flow: &mut Flow, opening: &Opening, stage: Stage, error: &io::Error) {
    let end = End::of(error);
    let client = name_of(&flow.identity);
    let host = &opening.destination.host;
    let refused = opening.interceptor.rejections.rejected(&client, host, stage, end, Timestamp::now());
    let Some(refused) = refused else { return };
    let rejection = refused.rejection;
    let reason = match rejection {
        Rejection::CaNotTrusted | Rejection::Pinned => Reason::InterceptionRejected,
        Rejection::Other(Cause::Clock | Cause::Certificate) => Reason::InterceptionRejected,
        Rejection::Other(Cause::GaveUp) => Reason::ClientAborted,
        Rejection::Other(Cause::TimedOut) => Reason::ClientTlsTimeout,
        Rejection::Other(Cause::NothingInCommon | Cause::Protocol) => Reason::ClientTlsFailed,
    };
    let said = match end {
        End::Alert(alert) => format!("alert {alert:?}"),
        End::Closed => "it closed the connection when it had seen the certificate".to_owned(),
        End::Reset => "it reset the connection when it had seen the certificate".to_owned(),
        End::Refused => error.to_string(),
        End::TimedOut => "the TLS handshake was not complete in time (`timeouts.clientTLS`)".to_owned(),
    };
    let times = if refused.count > 1 { format!(", {} times in a row", refused.count) } else { String::new() };
    let detail = format!("{}{times}: {said}; {}", rejection.code(), rejection.advice());
    // A refusal of the tunnel itself says more.
    if flow.record.reason.is_none() {
        flow.failed(&Refusal::new(reason, detail));
    }
}

/// Closes behind what the client is to read yet. The flow is over.
async fn close(mut client: Client, flow: Flow, bytes: &[u8]) {
    let limit = flow.snapshot.timeouts.client_tls;
    flow.worker.metrics.handshake_failed(flow.record.reason.unwrap_or(Reason::ClientTlsFailed));
    drop(flow);
    if client.write_all(bytes, limit).await.is_ok() {
        client.linger().await;
    }
}
