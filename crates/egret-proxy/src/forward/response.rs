//! Writing the head of a response as the client gets it.

use egret_core::record::Protocol;
use egret_core::settings::HttpSettings;

use super::request::{Named, copy, line, write_via};
use crate::body::Sink;
use crate::http1::fields::FieldName;
use crate::http1::{BodyLength, ResponseHead};

/// How a response goes to a client that speaks HTTP/1.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// How the body is framed.
    pub sink: Sink,
    /// The client's connection is kept after it.
    pub keep_alive: bool,
}

/// Chooses how a response goes to an HTTP/1 client.
#[must_use]
pub fn delivery(head: &ResponseHead, client: Protocol, keep_alive: bool) -> Delivery {
    match (head.body, client) {
        (BodyLength::Chunked, Protocol::Http10) => Delivery { sink: Sink::Data, keep_alive: false },
        (BodyLength::UntilClose, Protocol::Http10) => Delivery { sink: Sink::Same, keep_alive: false },
        (BodyLength::UntilClose, _) => Delivery { sink: Sink::Encode, keep_alive },
        _ => Delivery { sink: Sink::Same, keep_alive },
    }
}

/// How the head of a response is written.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    /// What the client speaks.
    pub client: Protocol,
    /// How it goes to the client.
    pub delivery: Delivery,
    /// It answers HEAD.
    pub to_head_request: bool,
    /// Settings.
    pub http: &'a HttpSettings,
    /// `Alt-Svc` is left out.
    pub strip_alt_svc: bool,
}

/// Writes the head of a response to `out`. A 101 ends HTTP on this connection.
pub fn write(out: &mut Vec<u8>, input: &[u8], head: &ResponseHead, written: &Written<'_>) {
    let Written { client, delivery, to_head_request, http, strip_alt_svc } = *written;
    out.clear();
    let interim = head.status < 200;
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(head.status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(&input[head.reason.clone()]);
    out.extend_from_slice(b"\r\n");
    let named = Named::read(input, &head.fields);
    let mut length_written = false;
    for field in &head.fields {
        match field.name {
            FieldName::ContentLength if interim || head.status == 204 => {}
            FieldName::ContentLength => {
                // May stand more than once with the same value; once is enough.
                if !length_written {
                    length_written = true;
                    let value = field.value(input);
                    let first = value.split(|byte| *byte == b',').next().unwrap_or(value);
                    line(out, field.name_bytes(input), crate::http1::fields::trim(first));
                }
            }
            FieldName::TransferEncoding if is_chunked_here(head, client, to_head_request) => {
                line(out, field.name_bytes(input), b"chunked");
            }
            // Tells what to switch to; everywhere else it speaks of the upstream connection alone.
            FieldName::Upgrade if matches!(head.status, 101 | 426) => copy(out, input, field),
            name if name.is_hop_by_hop() => {}
            FieldName::Other if named.contains(field.name_bytes(input)) => {}
            FieldName::Other if strip_alt_svc && field.name_bytes(input).eq_ignore_ascii_case(b"alt-svc") => {
            }
            _ => copy(out, input, field),
        }
    }
    if delivery.sink == Sink::Encode && !to_head_request {
        line(out, b"Transfer-Encoding", b"chunked");
    }
    if head.status == 101 {
        line(out, b"Connection", b"Upgrade");
    } else if !interim {
        if !delivery.keep_alive {
            line(out, b"Connection", b"close");
        } else if client == Protocol::Http10 {
            line(out, b"Connection", b"keep-alive");
        }
        if head.status == 426 {
            line(out, b"Connection", b"Upgrade");
        }
    }
    if http.send_via && !interim {
        write_via(out, head.version, &http.via);
    }
    out.extend_from_slice(b"\r\n");
}

fn is_chunked_here(head: &ResponseHead, client: Protocol, to_head_request: bool) -> bool {
    client != Protocol::Http10
        && head.status >= 200
        && head.status != 204
        && (head.body == BodyLength::Chunked || to_head_request || head.status == 304)
}
