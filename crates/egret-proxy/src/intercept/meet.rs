//! What a client is answered with: the protocol that the origin speaks, and a certificate like the origin's.
//!
//! Both are the origin's to say. Where they are not known from before, it is connected to while the client waits.

use std::future::{Future as _, poll_fn};
use std::task::Poll;

use egret_core::destination::{Destination, Host};
use egret_tls::hello::ClientHello;
use egret_tls::interception::LeafNames;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use super::Failure;
use crate::client::Client;
use crate::control::{CLOSE, CLOSE_IDLE};
use crate::flow::Flow;
use crate::forward::connect::{self, Reached, Way};
use crate::gate::{self, Decision};
use crate::http1::target::Scheme;
use crate::refuse::Refusal;
use crate::upstream::Alpn;
use crate::upstream::met::Met;

/// Protocols that are spoken inside, the most wanted first.
const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];
const HTTP1: &[&[u8]] = &[b"http/1.1"];

/// What a client is answered with.
pub(super) struct Answer {
    /// The protocols that it may choose from, the most wanted first.
    pub(super) alpn: &'static [&'static [u8]],
    /// The names of its certificate.
    pub(super) names: LeafNames,
    /// The origin was to be asked, and could not be.
    pub(super) failure: Option<Failure>,
}

impl Answer {
    /// As the client likes it, without a word from the origin.
    pub(super) fn own(host: &Host) -> Self {
        Self { alpn: BOTH, names: LeafNames::of(host), failure: None }
    }
}

/// What is to be found out before the client is answered.
struct Question<'a> {
    /// Whom the client takes the proxy for.
    host: &'a Host,
    /// Where requests will go.
    destination: &'a Destination,
    /// The client leaves the choice between HTTP/2 and HTTP/1.1 to the server.
    choice: bool,
    /// HTTP/2 may be offered to the origin.
    http2: bool,
    /// The origin's certificate says what another may be for.
    wildcards: bool,
}

/// Finds out what a client is to be answered with. `None`: the proxy is closing.
pub(super) async fn meet(
    client: &Client,
    flow: &mut Flow,
    hello: &ClientHello,
    host: &Host,
    destination: &Destination,
) -> Option<Answer> {
    let choice = BOTH.iter().all(|protocol| hello.alpn.offers(protocol));
    let upstream = flow.worker.shared.upstream.clone();
    let question = Question {
        host,
        destination,
        choice,
        http2: choice && upstream.offers_http2(&destination.host),
        wildcards: flow.snapshot.interception.wildcards && host.name().is_some() && *host == destination.host,
    };
    if !question.http2 && !question.wildcards {
        return Some(question.answer(&Met::default(), None));
    }
    // Where no request can go there, none is needed; each will be told why.
    let Ok(decision) = gate::decide_ahead(flow, destination) else {
        return Some(question.answer(&Met::default(), None));
    };
    let way = connect::way(Scheme::Https, destination, &decision);
    let met = upstream.met().find(&way.key);
    if question.is_answered_by(&met) {
        return Some(question.answer(&met, None));
    }
    let outcome = {
        // Boxed: it is rare, and dialling keeps many things in mind.
        let mut reaching = Box::pin(reach(flow, &question, &decision, &way));
        let control = &client.control;
        poll_fn(|context| {
            control.register(context);
            if control.has(CLOSE | CLOSE_IDLE) {
                return Poll::Ready(None);
            }
            reaching.as_mut().poll(context).map(Some)
        })
        .await?
    };
    let failure = outcome.err().map(|refusal| Failure::new(refusal, flow));
    Some(question.answer(&upstream.met().find(&way.key), failure))
}

impl Question<'_> {
    fn is_answered_by(&self, met: &Met) -> bool {
        (!self.http2 || met.http2.is_some()) && (!self.wildcards || met.names.is_some())
    }

    fn answer(&self, met: &Met, failure: Option<Failure>) -> Answer {
        let http1 = self.choice && (!self.http2 || met.http2 == Some(false));
        let names = met.names.clone().filter(|_| self.wildcards);
        Answer {
            alpn: if http1 { HTTP1 } else { BOTH },
            names: names.unwrap_or_else(|| LeafNames::of(self.host)),
            failure,
        }
    }
}

/// Connects to the origin. The connection waits for the first request.
async fn reach(
    flow: &mut Flow,
    question: &Question<'_>,
    decision: &Decision,
    way: &Way,
) -> Result<(), Refusal> {
    let Question { destination, http2, .. } = question;
    let grant = gate::grant(flow, destination, decision).await?;
    let alpn = if *http2 { Alpn::Http2OrHttp1 } else { Alpn::Http1 };
    let reached = connect::reach(flow, Scheme::Https, destination, decision, way, &grant, alpn).await?;
    match reached {
        // The worker has it already, for all who want it.
        Reached::Http2(_) => {}
        Reached::Http1(mut connection) => {
            // The end of the handshake goes out now: the request may come late.
            let flushed = connection.stream.flush().await;
            if flushed.is_ok() && connection.generation == flow.worker.snapshot.load().generation {
                let key = way.key.clone();
                flow.worker.pool.put(key, connection, &flow.snapshot.upstream, Instant::now());
            }
        }
    }
    Ok(())
}
