//! Requests over HTTP/1.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;

use egret_core::destination::Destination;
use egret_core::reason::Reason;
use egret_core::record::{MethodName, Protocol};
use tokio::time::Instant;

use crate::buffer;
use crate::client::{Client, head_limits};
use crate::control::{CLOSE, CLOSE_IDLE};
use crate::credentials;
use crate::flow::Flow;
use crate::forward::exchange::HeadReader;
use crate::forward::{self, After, Served};
use crate::http1::fields::FieldName;
use crate::http1::request::parse;
use crate::http1::target::Target;
use crate::http1::{BodyLength, ParseError, Parsed, RequestHead};
use crate::inlet::Onward;
use crate::intercept;
use crate::local;
use crate::metrics::Limit;
use crate::refuse::{Format, Refusal, Reply};
use crate::tunnel;

/// The longest target and user agent that a record holds.
const RECORDED: usize = 2048;

enum Next {
    Request(RequestHead),
    Wrong(Refusal),
    End,
}

/// Serves requests until the connection ends, or one of them becomes a tunnel.
pub async fn serve(client: &mut Client, listener: SocketAddr) -> Option<(Flow, Onward)> {
    let mut after = After::Keep;
    let mut first = true;
    while after == After::Keep {
        // Looked at where it is: every move into another variable would be kept in the task's memory.
        let mut next = next_head(client, first).await;
        let head = match &mut next {
            Next::Request(head) => head,
            Next::Wrong(refusal) => {
                super::refuse_unread(client, refusal).await;
                return None;
            }
            Next::End => return None,
        };
        first = false;
        let mut flow = Flow::begin(&client.worker, &client.identity, head.version);
        note(&mut flow, client, head);
        after = match serve_request(client, &mut flow, head, &listener).await {
            Served::Answered(after) => after,
            Served::Tunnel(opened) => return Some((flow, Onward::Tunnel(opened))),
            Served::Inside(opening) => return Some((flow, Onward::Inside(opening))),
        };
    }
    match after {
        After::Close => client.linger().await,
        After::Reset => client.reset(),
        After::Keep | After::Done => {}
    }
    None
}

/// Waits for a request head.
async fn next_head(client: &mut Client, first: bool) -> Next {
    let (limits, in_head, between) = {
        let snapshot = client.worker.snapshot.load();
        (head_limits(&snapshot.limits), snapshot.timeouts.head, snapshot.timeouts.keep_alive)
    };
    let mut reader = HeadReader::default();
    let mut begun = first || client.input.is_some();
    // What the wait is bounded by, once there is a wait: reading the clock costs more than a short
    // head that is already there.
    let mut wait = Some(if begun { in_head } else { between });
    poll_fn(|context| {
        loop {
            if reader.worth_parsing(buffer::filled(&client.input), &limits) {
                let fields = std::mem::take(&mut client.spare.request_fields);
                match parse(buffer::filled(&client.input), &limits, fields) {
                    Ok(Parsed::Complete(head)) => return Poll::Ready(Next::Request(head)),
                    Ok(Parsed::Partial) => {}
                    Err(error) => return Poll::Ready(Next::Wrong(wrong(client, error))),
                }
            }
            match buffer::poll_fill(context, &mut client.stream, &mut client.input) {
                Poll::Ready(Ok(0)) => {
                    let only_space = buffer::filled(&client.input).iter().all(|byte| b"\r\n".contains(byte));
                    if only_space {
                        return Poll::Ready(Next::End);
                    }
                    let detail = ParseError::TruncatedHead.describe();
                    return Poll::Ready(Next::Wrong(Refusal::new(Reason::MalformedRequest, detail)));
                }
                Poll::Ready(Err(error)) => {
                    super::note_broken_off(client, &error);
                    return Poll::Ready(Next::End);
                }
                Poll::Ready(Ok(_)) => {
                    if !begun {
                        begun = true;
                        wait = Some(in_head);
                    }
                }
                Poll::Pending => break,
            }
        }
        client.control.register(context);
        if client.control.has(CLOSE) || (client.control.has(CLOSE_IDLE) && client.input.is_none()) {
            return Poll::Ready(Next::End);
        }
        if let Some(wait) = wait.take() {
            client.deadline.set_after(wait);
        }
        if client.deadline.poll(context).is_ready() {
            if client.input.is_none() {
                return Poll::Ready(Next::End);
            }
            let detail = format!("the request head was not complete within {in_head:?}");
            return Poll::Ready(Next::Wrong(Refusal::new(Reason::RequestTimeout, detail)));
        }
        Poll::Pending
    })
    .await
}

/// The refusal of a head that was not understood.
pub(super) fn wrong(client: &Client, error: ParseError) -> Refusal {
    match error {
        ParseError::HeadTooLarge => client.worker.metrics.limit_hit(Limit::HeadBytes),
        ParseError::TooManyFields => client.worker.metrics.limit_hit(Limit::HeadFields),
        ParseError::TargetTooLong => client.worker.metrics.limit_hit(Limit::TargetBytes),
        _ => {}
    }
    Refusal::new(error.request_reason(), error.describe())
}

/// Serves one request, whose head stands at the front of the client's input.
pub(crate) async fn serve_request(
    client: &mut Client,
    flow: &mut Flow,
    head: &mut RequestHead,
    listener: &SocketAddr,
) -> Served {
    let mut wish = Wish {
        format: Format::for_accept(head.value(FieldName::Accept, client.filled())),
        keep_alive: head.keep_alive,
        head: head.method_text(client.filled()) == "HEAD",
        has_body: head.body != BodyLength::None,
    };
    let is_inside = client.inside.is_some();
    if is_inside && let Err(refusal) = intercept::aim(client, flow, head) {
        client.consume(head.length);
        client.spare.request_fields = std::mem::take(&mut head.fields);
        wish.keep_alive &= refusal.reason != Reason::Misdirected;
        return Served::Answered(refuse(client, flow, &refusal, &wish).await);
    }
    let is_for_the_proxy = matches!(head.target, Target::Origin | Target::Asterisk);
    // Inside a tunnel it was proved already who speaks, and what is in the head is for the origin.
    if !is_for_the_proxy
        && !is_inside
        // Whoever sends something again has logged in to the console.
        && flow.record.replay_of.is_none()
        && let Err(refusal) = credentials::admit(client, flow, head).await
    {
        client.consume(head.length);
        client.spare.request_fields = std::mem::take(&mut head.fields);
        if matches!(head.target, Target::Authority { .. }) {
            wish.keep_alive &= !has_early_bytes(client).await;
        }
        return Served::Answered(refuse(client, flow, &refusal, &wish).await);
    }
    let outcome = match &head.target {
        Target::Authority { destination } => {
            let destination = destination.clone();
            client.consume(head.length);
            client.spare.request_fields = std::mem::take(&mut head.fields);
            if let Some(opening) =
                intercept::opening(flow, &destination, || tunnel::ESTABLISHED.to_vec()).await
            {
                return Served::Inside(opening);
            }
            match tunnel::open_http1(flow, &destination).await {
                Ok(tunnel) => Ok(Served::Tunnel(tunnel)),
                Err(refusal) => {
                    wish.keep_alive &= !has_early_bytes(client).await;
                    Err(refusal)
                }
            }
        }
        Target::Absolute { .. } if head.max_forwards == Some(0) => {
            let answer = local::last_hop(client, head);
            client.consume(head.length);
            Ok(Served::Answered(answer_locally(client, flow, &answer, &wish).await))
        }
        Target::Absolute { .. } => forward::serve(client, flow, head).await,
        Target::Origin | Target::Asterisk => {
            let input = client.filled();
            let path = String::from_utf8_lossy(&input[head.target_text.clone()]).into_owned();
            // As the client calls the proxy: its listener may be behind another address.
            let port = if flow.identity.tls.is_some() { 443 } else { 80 };
            let called = head.value(FieldName::Host, input);
            let called = called.and_then(|host| Destination::parse_bytes(host, Some(port)).ok());
            let authority = called.map_or_else(|| listener.to_string(), |called| called.to_string());
            let outcome = local::answer(flow, head.method_text(input), &path, &authority);
            client.consume(head.length);
            match outcome {
                Ok(answer) => Ok(Served::Answered(answer_locally(client, flow, &answer, &wish).await)),
                Err(refusal) => Err(refusal),
            }
        }
    };
    match outcome {
        Ok(served) => served,
        Err(refusal) => Served::Answered(refuse(client, flow, &refusal, &wish).await),
    }
}

/// Whether bytes for a tunnel that was refused are there already. They may be from somebody whom the
/// client lets speak through its tunnels, so they must not be read as requests of the client's.
async fn has_early_bytes(client: &mut Client) -> bool {
    if client.input.is_none() && client.stream.tcp_beneath().is_some() {
        // An end or an error shows again at the next use.
        poll_fn(|context| {
            let _ = buffer::poll_fill(context, &mut client.stream, &mut client.input);
            Poll::Ready(())
        })
        .await;
    }
    !client.filled().is_empty()
}

/// What the client wants of an answer that the proxy itself writes.
pub(super) struct Wish {
    pub(super) format: Format,
    pub(super) keep_alive: bool,
    pub(super) head: bool,
    pub(super) has_body: bool,
}

impl Wish {
    /// The connection can go on after an answer only when no body of the request is left on it.
    fn keeps(&self, client: &Client) -> bool {
        self.keep_alive && !self.has_body && !client.worker.draining()
    }
}

/// Notes for the record what the head says.
pub(crate) fn note(flow: &mut Flow, client: &Client, head: &RequestHead) {
    let input = client.filled();
    flow.record.method = MethodName::new(head.method_text(input));
    flow.record.target = recorded(&input[head.target_text.clone()]);
    flow.record.user_agent = head.value(FieldName::UserAgent, input).map(recorded);
    flow.record.referer = head.value(FieldName::Referer, input).map(recorded);
}

/// As much of a text as a record holds.
pub(super) fn recorded(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(RECORDED)];
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

async fn answer_locally(client: &mut Client, flow: &mut Flow, answer: &local::Answer, wish: &Wish) -> After {
    let keep_alive = wish.keeps(client);
    flow.record.status = answer.status.0;
    flow.record.bytes_down = answer.body.len() as u64;
    let bytes = answer.http1(wish.head, keep_alive);
    finish(client, flow, &bytes, keep_alive).await
}

/// Writes a refusal and notes it.
pub(super) async fn refuse(client: &mut Client, flow: &mut Flow, refusal: &Refusal, wish: &Wish) -> After {
    flow.refused(refusal);
    if refusal.reason == Reason::ClientAborted {
        return After::Reset;
    }
    if refusal.is_silent() {
        return After::Close;
    }
    let keep_alive = wish.keeps(client) && !matches!(refusal.reason, Reason::Internal | Reason::Draining);
    let http = &flow.snapshot.http;
    let reply = Reply {
        id: flow.record.id,
        proxy: &http.via,
        format: wish.format,
        contact: http.contact.as_deref(),
        head: wish.head,
        keep_alive,
        target: &flow.record.target,
    };
    let mut bytes = refusal.http1(&reply);
    if flow.record.downstream == Protocol::Http10 && keep_alive {
        let at = memchr::memmem::find(&bytes, b"\r\n").map_or(0, |end| end + 2);
        bytes.splice(at..at, *b"Connection: keep-alive\r\n");
    }
    if let Some(capture) = &mut flow.capture {
        capture.answer(&bytes);
    }
    finish(client, flow, &bytes, keep_alive).await
}

async fn finish(client: &mut Client, flow: &mut Flow, bytes: &[u8], keep_alive: bool) -> After {
    let limit = flow.snapshot.timeouts.head;
    let began = Instant::now();
    let outcome = client.write_all(bytes, limit).await;
    flow.record.phases.first_byte.get_or_insert(flow.started.elapsed() - began.elapsed());
    match outcome {
        Err(error) => {
            flow.failed(&Refusal::new(Reason::ClientAborted, error.to_string()));
            After::Reset
        }
        Ok(()) if keep_alive => After::Keep,
        Ok(()) => After::Close,
    }
}
