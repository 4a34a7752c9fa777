//! What rules do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Effect, End, MAX_DELAY, Rewrite};
use crate::filter::Glob;
use crate::flow::{Flow, Headers, HeadersBuilder, Side};

/// One thing that a rule does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Gives a header field this value: the first of the name in its place, and the others go.
    SetHeader {
        /// Of which message.
        side: Side,
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
    /// Adds a header field at the end.
    AddHeader {
        /// Of which message.
        side: Side,
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
    /// Takes header fields away.
    RemoveHeader {
        /// Of which message.
        side: Side,
        /// Their names; `*` stands for any run of characters.
        name: Glob,
    },
    /// Sends the request elsewhere.
    Rewrite(Rewrite),
    /// Gives the client an answer, and the origin nothing.
    Answer(Answer),
    /// Waits.
    Delay {
        /// Before which message goes on.
        side: Side,
        /// How long.
        time: Duration,
    },
    /// Refuses the request.
    Block(Block),
    /// Holds it until somebody lets it go on: a breakpoint.
    Hold {
        /// Which message.
        side: Side,
    },
    /// Tags the flow.
    Tag(String),
}

/// An answer in place of the origin's.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The header fields; the length of the body is not among them.
    pub headers: Headers,
    /// The body.
    pub body: AnswerBody,
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// What this file has when it is needed. A folder's files are not served.
    File(PathBuf),
    /// This.
    Inline(Vec<u8>),
}

/// The status of a [`Block`] that closes the connection without a word, as it is written for mitmproxy and nginx.
pub const CLOSES: u16 = 444;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The status, 403 if it is `None`; [`CLOSES`] closes the connection without a word.
    pub status: Option<u16>,
    /// What the client reads besides.
    pub message: String,
}

impl Action {
    /// On which way it acts.
    #[must_use]
    pub fn side(&self) -> Side {
        match self {
            Self::SetHeader { side, .. }
            | Self::AddHeader { side, .. }
            | Self::RemoveHeader { side, .. }
            | Self::Delay { side, .. }
            | Self::Hold { side } => *side,
            Self::Rewrite(_) | Self::Answer(_) | Self::Block(_) | Self::Tag(_) => Side::Request,
        }
    }

    pub(super) fn apply(&self, rule: &Arc<str>, flow: &mut Flow, effect: &mut Effect) {
        match self {
            Self::SetHeader { side, name, value } => {
                edit(flow, *side, effect, |headers| set(headers, name, value))
            }
            Self::AddHeader { side, name, value } => edit(flow, *side, effect, |headers| {
                let mut kept = filtered(headers, |_| true);
                kept.push(name.as_bytes(), value.as_bytes());
                kept.finish()
            }),
            Self::RemoveHeader { side, name } => {
                // A request without Host would be none (RFC 9112 section 3.2).
                let stays = |other: &[u8]| {
                    !name.matches(other) || (*side == Side::Request && other.eq_ignore_ascii_case(b"host"))
                };
                edit(flow, *side, effect, |headers| filtered(headers, stays).finish());
            }
            Self::Rewrite(rewrite) => {
                if rewrite.apply(&mut flow.request) {
                    // Host follows the target, or the origin would answer for another (RFC 9112 section 3.2).
                    let authority = flow.request.authority();
                    flow.request.headers = set(&flow.request.headers, "Host", &authority);
                    flow.destination = flow.request.endpoint();
                    (effect.changed, effect.retargeted) = (true, true);
                }
            }
            Self::Answer(answer) => effect.end = Some(End::Answer(answer.clone())),
            Self::Block(block) => effect.end = Some(End::Block(block.clone())),
            Self::Delay { time, .. } => effect.delay = effect.delay.saturating_add(*time).min(MAX_DELAY),
            Self::Hold { .. } => effect.hold = Some(rule.clone()),
            Self::Tag(tag) => {
                if !flow.tags.contains(tag) {
                    flow.tags.push(tag.clone());
                }
            }
        }
    }
}

fn edit(flow: &mut Flow, side: Side, effect: &mut Effect, change: impl FnOnce(&Headers) -> Headers) {
    let headers = match (side, &mut flow.response) {
        (Side::Request, _) => &mut flow.request.headers,
        (Side::Response, Some(response)) => &mut response.headers,
        (Side::Response, None) => return,
    };
    let changed = change(headers);
    effect.changed |= changed != *headers;
    *headers = changed;
}

fn filtered(headers: &Headers, keep: impl Fn(&[u8]) -> bool) -> HeadersBuilder {
    let mut kept = HeadersBuilder::default();
    for (name, value) in headers.iter().filter(|(name, _)| keep(name)) {
        kept.push(name, value);
    }
    kept
}

/// The same with this field, in the place and the spelling of the first of its name.
pub(crate) fn set(headers: &Headers, name: &str, value: &str) -> Headers {
    let mut kept = HeadersBuilder::default();
    let mut there = false;
    for (other, old) in headers.iter() {
        if !other.eq_ignore_ascii_case(name.as_bytes()) {
            kept.push(other, old);
        } else if !std::mem::replace(&mut there, true) {
            kept.push(other, value.as_bytes());
        }
    }
    if !there {
        kept.push(name.as_bytes(), value.as_bytes());
    }
    kept.finish()
}
