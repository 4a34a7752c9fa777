//! The response, from HTTP/1.1 bytes to frames.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use egret_core::reason::Reason;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::sender::Sender;
use crate::http1::chunked::{Decoder, Emit, Ranges};
use crate::http1::response::{Asked, parse};
use crate::http1::{BodyLength, Field, FieldName, Fields, HeadLimits, Parsed, ResponseHead};
use crate::refuse::Refusal;

/// Bytes handed to the frame layer at once.
const PIECE: usize = 64 * 1024;

/// A chunk's framing, trailers included, that is read without a window for data.
const FRAMING: usize = 32 * 1024;

/// What the data path itself has written is read here; the bounds on what others write were kept where
/// it was read. The head of a response grows on its way by what the proxy adds.
const LIMITS: HeadLimits = HeadLimits { bytes: 1024 * 1024, fields: 16 * 1024, target: 0 };

#[derive(Debug)]
enum State {
    /// A head, interim or final.
    Head,
    /// So many bytes of the body are left.
    Fixed(u64),
    Chunked(Decoder),
    /// Bytes until the end: a tunnel.
    Open,
    Done,
}

/// Reads the response that the shared path writes and sends it.
#[derive(Debug)]
pub(super) struct Writer {
    state: State,
    asked: Asked,
    /// The value of `Sec-WebSocket-Accept` that proves the origin's consent (RFC 6455 section 4.2.2).
    accept: Option<String>,
    /// The beginning of something that is not whole yet.
    carry: Vec<u8>,
    tunnel: bool,
}

impl Writer {
    /// A writer for the response to HEAD, or to an extended CONNECT for WebSocket.
    pub(super) fn new(head: bool, accept: Option<String>) -> Self {
        let asked = Asked { head, upgrade: accept.is_some() };
        Self { state: State::Head, asked, accept, carry: Vec::new(), tunnel: false }
    }

    /// Everything of the response was sent.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The response is a tunnel, whether it stands or has ended.
    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel
    }

    /// Forgets a head that could not be sent, so that another can be.
    pub(super) fn start_over(&mut self, head: bool) {
        *self = Self::new(head, None);
    }

    /// Takes bytes: as many as there is a window for. Never 0 of some.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        sender: &Sender,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        match &mut self.state {
            State::Head => Poll::Ready(self.write_head(sender, bytes)),
            State::Fixed(left) => {
                if bytes.len() as u64 > *left {
                    return Poll::Ready(Err(invalid("more than Content-Length says")));
                }
                let count = ready!(sender.poll_capacity(context, bytes.len().min(PIECE)))?;
                *left -= count as u64;
                let end = *left == 0;
                sender.send(Bytes::copy_from_slice(&bytes[..count]), end)?;
                if end {
                    self.state = State::Done;
                }
                Poll::Ready(Ok(count))
            }
            State::Open => {
                let count = ready!(sender.poll_capacity(context, bytes.len().min(PIECE)))?;
                sender.send(Bytes::copy_from_slice(&bytes[..count]), false)?;
                Poll::Ready(Ok(count))
            }
            State::Chunked(_) => self.poll_write_chunks(context, sender, bytes),
            State::Done => Poll::Ready(Err(invalid("bytes behind the response"))),
        }
    }

    /// Ends a body that has no other end. One that has, and is not through, is not ended: it is reset
    /// when the stream is dropped.
    pub(super) fn finish(&mut self, sender: &Sender) -> io::Result<()> {
        if matches!(self.state, State::Open) {
            self.state = State::Done;
            return sender.send(Bytes::new(), true);
        }
        Ok(())
    }

    fn write_head(&mut self, sender: &Sender, bytes: &[u8]) -> io::Result<usize> {
        let before = self.carry.len();
        self.carry.extend_from_slice(&bytes[..bytes.len().min(PIECE)]);
        let head = match parse(&self.carry, &LIMITS, self.asked, Fields::new()) {
            Ok(Parsed::Complete(head)) => head,
            Ok(Parsed::Partial) => return Ok(self.carry.len() - before),
            Err(error) => return Err(invalid(error.describe())),
        };
        // A head that was complete without these bytes would have been read before.
        let used = head.length.saturating_sub(before);
        let input = std::mem::take(&mut self.carry);
        self.send_head(sender, &head, &input)?;
        Ok(used)
    }

    fn send_head(&mut self, sender: &Sender, head: &ResponseHead, input: &[u8]) -> io::Result<()> {
        let status = StatusCode::from_u16(head.status).map_err(io::Error::other)?;
        if status == StatusCode::SWITCHING_PROTOCOLS {
            self.check_switch(sender, head, input)?;
            let response = response(StatusCode::OK, head, input, self.accept.is_some())?;
            sender.respond(response, false)?;
            self.state = State::Open;
            self.tunnel = true;
            return Ok(());
        }
        let response = response(status, head, input, false)?;
        if status.is_informational() {
            return sender.inform(response);
        }
        if self.accept.is_some() && status.is_success() {
            // To the client it would mean that the tunnel stands.
            return Err(refuse(sender, format!("the origin answered {status} and did not switch")));
        }
        sender.respond(response, head.body == BodyLength::None)?;
        self.state = match head.body {
            BodyLength::None => State::Done,
            BodyLength::Fixed(length) => State::Fixed(length),
            BodyLength::Chunked => State::Chunked(Decoder::default()),
            BodyLength::UntilClose => State::Open,
        };
        // Whatever else the shared path sends to a client that is not HTTP/1.0 has an end of its own.
        self.tunnel = head.body == BodyLength::UntilClose;
        Ok(())
    }

    /// What the client of a WebSocket over HTTP/1.1 checks is checked here, because the client of an
    /// extended CONNECT does not see it (RFC 8441 section 5).
    fn check_switch(&self, sender: &Sender, head: &ResponseHead, input: &[u8]) -> io::Result<()> {
        let upgrade = head.fields.iter().find(|field| field.name == FieldName::Upgrade);
        if !upgrade.is_some_and(|field| field.value(input).eq_ignore_ascii_case(b"websocket")) {
            return Err(refuse(sender, "the origin switched to something other than WebSocket"));
        }
        let mut accepts = head.fields.iter().filter(|field| is_accept(field, input));
        let wanted = self.accept.as_deref().unwrap_or_default().as_bytes();
        match (accepts.next(), accepts.next()) {
            (Some(accept), None) if accept.value(input) == wanted => Ok(()),
            _ => Err(refuse(sender, "Sec-WebSocket-Accept does not answer the key (RFC 6455 section 4.1)")),
        }
    }

    fn poll_write_chunks(
        &mut self,
        context: &mut Context<'_>,
        sender: &Sender,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let capacity = sender.poll_capacity(context, bytes.len().min(PIECE))?;
        let State::Chunked(decoder) = &mut self.state else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        let count = match capacity {
            Poll::Ready(capacity) => capacity,
            Poll::Pending => bytes.len().min(FRAMING),
        };
        // What was carried over is framing alone, so there are never more data than capacity.
        let mut carried = std::mem::take(&mut self.carry);
        let before = carried.len();
        let input = if before == 0 {
            &bytes[..count]
        } else {
            carried.extend_from_slice(&bytes[..count]);
            carried.as_slice()
        };
        let mut next = decoder.clone();
        let decoded = decode(&mut next, input)?;
        if capacity.is_pending() && !decoded.data.is_empty() {
            // Without a window only framing is taken, so that the end does not wait for one.
            carried.truncate(before);
            self.carry = carried;
            return Poll::Pending;
        }
        *decoder = next;
        let rest = &input[decoded.consumed..];
        let done = decoded.trailers.is_some();
        let trailers = decoded.trailers.unwrap_or_default();
        let end = done && trailers.is_empty();
        if done && !rest.is_empty() {
            return Poll::Ready(Err(invalid("bytes behind the last chunk")));
        }
        self.carry = rest.to_vec();
        if end || !decoded.data.is_empty() {
            sender.send(decoded.data, end)?;
        }
        if done {
            self.state = State::Done;
            if !end {
                sender.finish(trailers)?;
            }
        }
        Poll::Ready(Ok(count))
    }
}

#[derive(Default)]
struct Decoded {
    consumed: usize,
    data: Bytes,
    /// The end was read, with these.
    trailers: Option<HeaderMap>,
}

fn decode(decoder: &mut Decoder, input: &[u8]) -> io::Result<Decoded> {
    let mut decoded = Decoded::default();
    let mut data = BytesMut::new();
    loop {
        let rest = &input[decoded.consumed..];
        let mut ranges = Ranges::new();
        let progress = decoder
            .advance(rest, Emit::Data, &LIMITS, &mut ranges)
            .map_err(|error| invalid(error.describe()))?;
        for range in ranges {
            if data.is_empty() {
                data.reserve(rest.len());
            }
            data.extend_from_slice(&rest[range]);
        }
        decoded.consumed += progress.consumed;
        if progress.done {
            let mut trailers = HeaderMap::new();
            if let Some((range, fields)) = progress.trailers {
                let section = &rest[range];
                for field in fields.iter().filter(|field| !field.is_forbidden_in_trailers(section)) {
                    append(&mut trailers, field, section)?;
                }
            }
            decoded.trailers = Some(trailers);
            break;
        }
        if progress.consumed == 0 {
            break;
        }
    }
    decoded.data = data.freeze();
    Ok(decoded)
}

/// The head for the client. Fields that concern an HTTP/1.1 connection have no place in HTTP/2 (RFC
/// 9113 section 8.2.2).
fn response(
    status: StatusCode,
    head: &ResponseHead,
    input: &[u8],
    switched: bool,
) -> io::Result<Response<()>> {
    let mut fields = HeaderMap::with_capacity(head.fields.len());
    for field in &head.fields {
        let dropped = match field.name {
            FieldName::Connection
            | FieldName::KeepAlive
            | FieldName::ProxyConnection
            | FieldName::TransferEncoding
            | FieldName::Upgrade
            | FieldName::Http2Settings => true,
            // A tunnel has no length (RFC 9110 section 9.3.6).
            FieldName::ContentLength => switched,
            _ => switched && is_accept(field, input),
        };
        if !dropped {
            append(&mut fields, field, input)?;
        }
    }
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    Ok(response)
}

fn append(fields: &mut HeaderMap, field: &Field, input: &[u8]) -> io::Result<()> {
    let name = HeaderName::from_bytes(field.name_bytes(input)).map_err(io::Error::other)?;
    let value = HeaderValue::from_bytes(field.value(input)).map_err(io::Error::other)?;
    fields.try_append(name, value).map_err(io::Error::other)?;
    Ok(())
}

fn is_accept(field: &Field, input: &[u8]) -> bool {
    field.name == FieldName::Other && field.name_bytes(input).eq_ignore_ascii_case(b"sec-websocket-accept")
}

fn refuse(sender: &Sender, detail: impl Into<String>) -> io::Error {
    sender.blame(Refusal::new(Reason::UpgradeRefused, detail));
    invalid("the upgrade was not accepted")
}

fn invalid(detail: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail)
}
