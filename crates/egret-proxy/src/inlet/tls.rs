//! TLS from the client: the handshake, and what is left behind when it fails.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use arc_swap::ArcSwap;
use egret_core::identity::Identity;
use egret_core::reason::Reason;
use egret_core::record::Protocol;
use egret_tls::server::{Failure, ServerTls, failure, is_too_old};
use rustls::ServerConnection;
use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use tokio::time::{Duration, Instant};

use crate::buffer;
use crate::client::Client;
use crate::control::{CLOSE, CLOSE_IDLE};
use crate::flow::Flow;
use crate::metrics::Limit;
use crate::refuse::Refusal;
use crate::stream::Stream;
use crate::tls_stream::TlsStream;
use crate::worker::Worker;

/// Alerts (RFC 8446 section 6) that are sent before there are any keys.
const UNEXPECTED_MESSAGE: u8 = 10;
pub(crate) const PROTOCOL_VERSION: u8 = 70;
pub(crate) const INTERNAL_ERROR: u8 = 80;

/// The record of a fatal alert.
pub(crate) const fn alert(description: u8) -> [u8; 7] {
    [0x15, 3, 3, 0, 2, 2, description]
}

/// A handshake's place among those that are under way.
pub(crate) struct Present {
    worker: Arc<Worker>,
}

impl Present {
    /// Takes a place; `None` where there is none left, which is counted.
    pub(crate) fn take(worker: &Arc<Worker>) -> Option<Self> {
        let most = worker.snapshot.load().limits.handshakes;
        let open = &worker.shared.handshakes;
        if open.fetch_add(1, Ordering::Relaxed) >= most {
            open.fetch_sub(1, Ordering::Relaxed);
            worker.metrics.limit_hit(Limit::Handshakes);
            return None;
        }
        Some(Self { worker: worker.clone() })
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.worker.shared.handshakes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How a handshake can end other than well.
enum End {
    /// The client went without a word, or the proxy is closing: nothing to record.
    Silent,
    /// It sent plain HTTP.
    Plain,
    /// It failed. What the handshake itself had to say to the client was said.
    Failed(Failure),
}

impl End {
    fn timed_out(limit: Duration) -> Self {
        let detail = format!("the TLS handshake was not complete after {limit:?}");
        Self::Failed(Failure { reason: Reason::ClientTlsTimeout, detail })
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::Failed(failure(error));
        }
        let detail = match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the client closed the connection during the TLS handshake".to_owned()
            }
            _ => format!("the connection failed during the TLS handshake: {error}"),
        };
        Self::Failed(Failure { reason: Reason::ClientAborted, detail })
    }
}

/// Shakes hands. Gives the client with the TLS stream in place of the plain one, and with its identity;
/// `None` when that failed, which is then recorded and answered.
pub(super) async fn accept(
    mut client: Client,
    tls: &ArcSwap<ServerTls>,
    listener: SocketAddr,
) -> Option<Client> {
    let began = Instant::now();
    let limit = client.worker.snapshot.load().timeouts.client_tls;
    client.deadline.set(began + limit);
    let Some(present) = Present::take(&client.worker) else {
        record(&client, began, Failure { reason: Reason::TooManyHandshakes, detail: String::new() });
        close(client, &alert(INTERNAL_ERROR)).await;
        return None;
    };
    let tls = tls.load_full();
    let accepted = match hello(&mut client, limit).await {
        Ok(accepted) => accepted,
        Err((end, alert)) => {
            drop(present);
            refuse(client, end, &alert, began).await;
            return None;
        }
    };
    let config = tls.config_for(&accepted.client_hello()).clone();
    let connection = match accepted.into_connection(config) {
        Ok(connection) => connection,
        Err((error, alert)) => {
            drop(present);
            refuse(client, End::Failed(failure(&error)), &bytes_of(alert), began).await;
            return None;
        }
    };
    let (client, outcome) = finish(client, connection, began).await;
    drop(present);
    let mut client = client?;
    if let Err(end) = outcome {
        refuse(client, end, &[], began).await;
        return None;
    }
    let Stream::TlsServer(stream) = &client.stream else { return None };
    match tls.session(stream.connection(), listener) {
        Ok(session) => {
            client.worker.metrics.handshake(session.version, session.resumed, began.elapsed());
            let workload = session.certificate.as_ref().and_then(|certificate| certificate.workload());
            client.identity.workload = workload.map(Arc::new);
            client.identity.tls = Some(Arc::new(session));
            Some(client)
        }
        Err(failure) => {
            // The handshake is complete, so there is no alert any more that could say it. The reply can.
            note(&client.worker, &client.identity, &failure);
            super::refuse_unread(&mut client, &Refusal::new(failure.reason, failure.detail)).await;
            None
        }
    }
}

/// An alert as it is sent.
pub(crate) fn bytes_of(mut alert: AcceptedAlert) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _ = alert.write_all(&mut bytes);
    bytes
}

/// Reads until there is a whole ClientHello. Bytes behind it are left in the client's input.
async fn hello(client: &mut Client, limit: Duration) -> Result<Accepted, (End, Vec<u8>)> {
    let mut acceptor = Acceptor::default();
    let mut begun = false;
    poll_fn(|context| {
        client.control.register(context);
        if client.control.has(CLOSE | CLOSE_IDLE) {
            return Poll::Ready(Err((End::Silent, Vec::new())));
        }
        loop {
            while !buffer::filled(&client.input).is_empty() {
                if !begun && is_http(buffer::filled(&client.input)) {
                    return Poll::Ready(Err((End::Plain, Vec::new())));
                }
                begun = true;
                let mut bytes = buffer::filled(&client.input);
                let count = acceptor.read_tls(&mut bytes).map_err(|error| (error.into(), Vec::new()))?;
                client.consume(count);
                match acceptor.accept() {
                    Ok(Some(accepted)) => return Poll::Ready(Ok(accepted)),
                    Ok(None) => {}
                    Err((error, its_alert)) => {
                        let mut bytes = bytes_of(its_alert);
                        if is_too_old(&error) {
                            bytes = alert(PROTOCOL_VERSION).to_vec();
                        } else if bytes.is_empty() {
                            // A first message that is not ClientHello.
                            bytes = alert(UNEXPECTED_MESSAGE).to_vec();
                        }
                        return Poll::Ready(Err((End::Failed(failure(&error)), bytes)));
                    }
                }
            }
            let end = match buffer::poll_fill(context, &mut client.stream, &mut client.input) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) if begun => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
                Poll::Ready(Err(error)) if begun => error.into(),
                Poll::Ready(Ok(0) | Err(_)) => End::Silent,
                Poll::Ready(Ok(_)) => continue,
            };
            return Poll::Ready(Err((end, Vec::new())));
        }
        client.deadline.poll(context).map(|()| {
            if !begun {
                client.worker.metrics.handshake_failed(Reason::ClientTlsTimeout);
                return Err((End::Silent, Vec::new()));
            }
            Err((End::timed_out(limit), Vec::new()))
        })
    })
    .await
}

/// Whether these first bytes are plain HTTP: a method, or the empty line before one.
fn is_http(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|first| first.is_ascii_alphabetic() || b"\r\n".contains(first))
}

/// The rest of the handshake. Gives the client back unless its connection is gone: over TLS, or with the
/// plain stream when the handshake failed.
async fn finish(
    mut client: Client,
    connection: ServerConnection,
    began: Instant,
) -> (Option<Client>, Result<(), End>) {
    let limit = client.worker.snapshot.load().timeouts.client_tls;
    let mut stream = Box::new(TlsStream::server(client.stream, connection, client.input.take()));
    let outcome = poll_fn(|context| {
        client.control.register(context);
        if client.control.has(CLOSE | CLOSE_IDLE) {
            return Poll::Ready(Err((End::Silent, false)));
        }
        if let Poll::Ready(outcome) = stream.poll_handshake(context) {
            return Poll::Ready(outcome.map_err(|error| (End::from(error), true)));
        }
        client.deadline.poll(context).map(|()| Err((End::timed_out(limit), false)))
    })
    .await;
    match outcome {
        Ok(()) => (Some(Client { stream: Stream::TlsServer(stream), ..client }), Ok(())),
        Err((end, true)) => (Some(Client { stream: stream.into_io(), ..client }), Err(end)),
        Err((end, false)) => {
            // Nobody is left to talk to.
            if let End::Failed(failure) = &end {
                note(&client.worker, &client.identity, failure);
                leave_record(&client.worker, &client.identity, began, failure);
            }
            (None, Err(end))
        }
    }
}

/// Records a handshake that failed, and closes so that the client can read the alert.
async fn refuse(mut client: Client, end: End, alert: &[u8], began: Instant) {
    match end {
        End::Silent => {}
        End::Plain => {
            client.worker.metrics.handshake_failed(Reason::PlainToTlsPort);
            super::refuse_unread(&mut client, &Refusal::new(Reason::PlainToTlsPort, "")).await;
        }
        End::Failed(failure) => {
            let gone = failure.reason == Reason::ClientAborted;
            record(&client, began, failure);
            if !gone {
                close(client, alert).await;
            }
        }
    }
}

/// Closes behind an alert. What the client is still sending is swallowed for a moment: in TLS 1.3 it may
/// take the handshake for complete and send its request, and a reset would take the alert away.
async fn close(mut client: Client, alert: &[u8]) {
    let limit = client.worker.snapshot.load().timeouts.client_tls;
    if client.write_all(alert, limit).await.is_ok() {
        client.linger().await;
    }
}

fn record(client: &Client, began: Instant, failure: Failure) {
    note(&client.worker, &client.identity, &failure);
    leave_record(&client.worker, &client.identity, began, &failure);
}

/// The record of a handshake that failed: no request stands for it.
fn leave_record(worker: &Arc<Worker>, identity: &Identity, began: Instant, failure: &Failure) {
    let mut flow = Flow::begin(worker, identity, Protocol::Tls);
    flow.record.started -= began.elapsed();
    flow.started = began;
    flow.failed(&Refusal::new(failure.reason, &*failure.detail));
}

/// Counts a handshake that failed, and says it in the diagnostic log as well, because not every format of
/// the access log has the reason.
fn note(worker: &Worker, identity: &Identity, failure: &Failure) {
    worker.metrics.handshake_failed(failure.reason);
    if worker.shared.handshake_log.permits() {
        let (client, reason, detail) = (identity.client, failure.reason.code(), &failure.detail);
        tracing::info!(%client, reason, detail, "a TLS handshake with a client failed");
    }
}

/// Whether the client would be let in today: its listener's rules for certificates may have changed since
/// the handshake.
///
/// # Errors
/// It would not.
pub(crate) fn still_admits(worker: &Worker, identity: &Identity) -> Result<(), Failure> {
    let Some(session) = &identity.tls else { return Ok(()) };
    let listener = worker.shared.tls.iter().find(|(address, _)| *address == session.listener);
    listener.map_or(Ok(()), |(_, tls)| tls.load().still_admits(session))
}
