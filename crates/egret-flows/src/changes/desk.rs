//! Flows that are held at breakpoints, until somebody lets them go on.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use egret_core::flow_id::FlowId;
use tokio::sync::oneshot;

use super::{Changes, OnTimeout};
use crate::edit::{EditError, RequestEdit, ResponseEdit, has_no_body};
use crate::flow::{Flow, Headers, Response, Side};
use crate::redact::{Redaction, Redactor};
use crate::rules::{Answer, AnswerBody};
use crate::view::decode::{self, DecodeLimits};

/// The longest that a breakpoint may hold a flow.
pub const MAX_HELD_TIME: Duration = Duration::from_secs(600);
/// How long after somebody asked for breakpoints or what they hold, without a live stream, they go on holding.
const WATCHED: Duration = Duration::from_secs(60);

/// The body of a message that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldBody {
    /// There is none.
    None,
    /// All of it, as it was sent.
    Whole(Bytes),
    /// It is longer than may be held, or has no end; it passes as it is.
    TooLong,
}

/// What is to be held.
#[derive(Debug)]
pub struct Holding {
    /// The flow as it is now, unredacted. Nobody sees it so.
    pub flow: Flow,
    /// Which message.
    pub side: Side,
    /// The id of the breakpoint, or the name of the rule.
    pub breakpoint: Arc<str>,
    /// What the breakpoint is called where it is shown: its filter.
    pub written: Arc<str>,
    /// How long.
    pub time: Duration,
    /// What becomes of it then.
    pub on_timeout: OnTimeout,
    /// Its body.
    pub body: HeldBody,
}

/// Why a flow is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHeld {
    /// As many are held as may be.
    Full,
    /// Nobody is there who could let it go on.
    Unwatched,
}

/// What somebody decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It goes on as it is.
    GoOn,
    /// It goes on as another: request or response of this flow, and this body if it has another.
    Changed(Box<Flow>, Option<Bytes>),
    /// The client is given this in place of what the origin would say.
    Answer(Answer),
    /// It is refused.
    Drop,
}

/// What to do with a flow that is held.
#[derive(Clone, Debug, PartialEq)]
pub enum Release {
    /// Let it go on, as it was edited.
    GoOn {
        /// Changes of a request that is held.
        request: Option<RequestEdit>,
        /// Changes of a response that is held.
        response: Option<ResponseEdit>,
    },
    /// Answer a request in place of the origin.
    Answer(ResponseEdit),
    /// Refuse it.
    Drop,
}

/// Why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// It is held no more.
    #[error("this flow is not held; its time was over, somebody let it go on, or its client has gone")]
    NotHeld,
    /// The edit cannot be used.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The body may not be edited.
    #[error(
        "the body is longer than {0} bytes or has no end, so it is not held and passes as it is; edit the head alone, or raise `limits.heldBodyBytes`"
    )]
    BodyTooLong(usize),
}

/// A flow that is held, as it may be shown.
#[derive(Clone, Debug)]
pub struct HeldView {
    /// The flow, redacted.
    pub flow: Flow,
    /// Which message.
    pub side: Side,
    /// The id of the breakpoint.
    pub breakpoint: Arc<str>,
    /// What the breakpoint is called.
    pub written: Arc<str>,
    /// Since when.
    pub since: SystemTime,
    /// Until when.
    pub deadline: SystemTime,
    /// What becomes of it then.
    pub on_timeout: OnTimeout,
    /// The body can be edited.
    pub body_editable: bool,
    /// The body, redacted, where it is held; and whether something was taken out of it.
    pub body: Option<(Bytes, bool)>,
}

#[derive(Debug)]
struct Held {
    holding: Holding,
    since: SystemTime,
    verdict: oneshot::Sender<Verdict>,
}

#[derive(Debug, Default)]
pub(super) struct Desk {
    held: BTreeMap<u64, Held>,
    next: u64,
    streams: usize,
    asked: Option<Instant>,
}

impl Desk {
    fn is_watched(&self) -> bool {
        self.streams > 0 || self.asked.is_some_and(|asked| asked.elapsed() < WATCHED)
    }
}

/// A flow's place among those that are held. Dropped, it is held no more.
#[derive(Debug)]
pub struct Ticket {
    changes: Changes,
    number: u64,
    verdict: oneshot::Receiver<Verdict>,
    /// How long it may wait.
    pub time: Duration,
    /// What becomes of it then.
    pub on_timeout: OnTimeout,
}

impl Ticket {
    /// Ready when somebody has decided.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Verdict> {
        // Without anybody to decide any more, it goes on.
        Pin::new(&mut self.verdict).poll(context).map(|verdict| verdict.unwrap_or(Verdict::GoOn))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let there = self.changes.desk().held.remove(&self.number).is_some();
        if there {
            self.changes.tell(|news| news.held += 1);
        }
    }
}

/// Somebody who looks, live. Dropped, they have gone.
#[derive(Debug)]
pub struct Watching(Changes);

impl Drop for Watching {
    fn drop(&mut self) {
        let mut desk = self.0.desk();
        desk.streams = desk.streams.saturating_sub(1);
        if desk.streams == 0 {
            // Whoever looks again says so.
            desk.asked = None;
        }
    }
}

impl Changes {
    /// Holds a flow, until its ticket says otherwise.
    ///
    /// # Errors
    /// Why it is not held and goes on.
    pub fn hold(&self, holding: Holding) -> Result<Ticket, NotHeld> {
        let limit = self.limits().flows;
        let (sender, verdict) = oneshot::channel();
        let (time, on_timeout) = (holding.time.min(MAX_HELD_TIME), holding.on_timeout);
        let number = {
            let mut desk = self.desk();
            if !desk.is_watched() {
                return Err(NotHeld::Unwatched);
            }
            if desk.held.len() >= limit {
                return Err(NotHeld::Full);
            }
            desk.next += 1;
            let number = desk.next;
            let since = SystemTime::now();
            desk.held.insert(number, Held { holding: Holding { time, ..holding }, since, verdict: sender });
            number
        };
        self.tell(|news| news.held += 1);
        Ok(Ticket { changes: self.clone(), number, verdict, time, on_timeout })
    }

    /// Whether a breakpoint would hold: somebody is there, and there is room.
    ///
    /// # Errors
    /// Why it would not.
    pub fn may_hold(&self) -> Result<(), NotHeld> {
        let limit = self.limits().flows;
        let desk = self.desk();
        match (desk.is_watched(), desk.held.len() >= limit) {
            (false, _) => Err(NotHeld::Unwatched),
            (true, true) => Err(NotHeld::Full),
            (true, false) => Ok(()),
        }
    }

    /// Somebody looks from now on, until that is dropped.
    #[must_use]
    pub fn watch(&self) -> Watching {
        self.desk().streams += 1;
        Watching(self.clone())
    }

    /// Somebody has asked, without a live stream.
    pub fn asked(&self) {
        self.desk().asked = Some(Instant::now());
    }

    /// Lets everything go on, if nobody looks any more. Says how much that was.
    pub fn release_if_unwatched(&self) -> usize {
        if self.desk().is_watched() { 0 } else { self.release_all() }
    }

    /// Lets everything go on. Says how much that was.
    pub fn release_all(&self) -> usize {
        self.release_where(|_| true)
    }

    pub(super) fn release_where(&self, is_meant: impl Fn(&str) -> bool) -> usize {
        let meant: Vec<Held> = {
            let mut desk = self.desk();
            let numbers = desk.held.iter().filter(|(_, held)| is_meant(&held.holding.breakpoint));
            let numbers: Vec<u64> = numbers.map(|(number, _)| *number).collect();
            numbers.iter().filter_map(|number| desk.held.remove(number)).collect()
        };
        let count = meant.len();
        for held in meant {
            // It may have gone in this moment.
            let _ = held.verdict.send(Verdict::GoOn);
        }
        if count > 0 {
            self.tell(|news| news.held += 1);
        }
        count
    }

    /// How many flows are held.
    #[must_use]
    pub fn held_count(&self) -> usize {
        self.desk().held.len()
    }

    /// What is held, in the order in which it came, as it may be shown.
    #[must_use]
    pub fn held(&self, redactor: &Redactor) -> Vec<HeldView> {
        self.desk().held.values().map(|held| held.view(redactor, false)).collect()
    }

    /// A flow that is held, with its body.
    #[must_use]
    pub fn held_flow(&self, id: FlowId, redactor: &Redactor) -> Option<HeldView> {
        let desk = self.desk();
        let held = desk.held.values().find(|held| held.holding.flow.id == id)?;
        Some(held.view(redactor, true))
    }

    /// Whether this flow is held.
    #[must_use]
    pub fn is_held(&self, id: FlowId) -> bool {
        self.desk().held.values().any(|held| held.holding.flow.id == id)
    }

    /// Does with a flow that is held what somebody wants. One that cannot be done leaves it held.
    ///
    /// # Errors
    /// It is held no more, or cannot be edited so.
    pub fn release(&self, id: FlowId, release: &Release) -> Result<(), ReleaseError> {
        let limit = self.limits().body_bytes;
        {
            let mut desk = self.desk();
            let found = desk.held.iter().find(|(_, held)| held.holding.flow.id == id);
            let (number, verdict) = match found {
                Some((number, held)) => (*number, held.holding.judge(release, limit)?),
                None => return Err(ReleaseError::NotHeld),
            };
            let held = desk.held.remove(&number).ok_or(ReleaseError::NotHeld)?;
            held.verdict.send(verdict).map_err(|_| ReleaseError::NotHeld)?;
        }
        self.tell(|news| news.held += 1);
        Ok(())
    }
}

impl Holding {
    fn judge(&self, release: &Release, limit: usize) -> Result<Verdict, ReleaseError> {
        let wrong = |what: &str| ReleaseError::Edit(EditError::Wrong(what.to_owned()));
        match release {
            Release::Drop => Ok(Verdict::Drop),
            Release::Answer(edit) if self.side == Side::Request => {
                let mut response = Response { status: 200, ..Response::default() };
                let body = edit.apply(&mut response)?;
                Ok(Verdict::Answer(Answer {
                    status: response.status,
                    headers: without_framing(&response.headers),
                    body: AnswerBody::Inline(body.unwrap_or_default().to_vec()),
                }))
            }
            Release::Answer(_) => Err(wrong("the response is held, so there is one already; edit it")),
            Release::GoOn { request, response } => match (self.side, request, response) {
                (Side::Request, _, Some(_)) => Err(wrong(
                    "the request is held; there is no response to edit yet; use `answer` to give one",
                )),
                (Side::Response, Some(_), _) => {
                    Err(wrong("the response is held; the request has gone already"))
                }
                (Side::Request, Some(edit), None) if !edit.is_empty() => self.edit_request(edit, limit),
                (Side::Response, None, Some(edit)) if !edit.is_empty() => self.edit_response(edit, limit),
                _ => Ok(Verdict::GoOn),
            },
        }
    }

    fn edit_request(&self, edit: &RequestEdit, limit: usize) -> Result<Verdict, ReleaseError> {
        if edit.body.is_some() && self.body == HeldBody::TooLong {
            return Err(ReleaseError::BodyTooLong(limit));
        }
        let mut flow = self.flow.clone();
        let mut missing = Vec::new();
        let body = edit.apply(&mut flow.request, &mut missing)?;
        if let Some(name) = missing.first() {
            return Err(EditError::Redacted(name.clone()).into());
        }
        flow.destination = flow.request.endpoint();
        Ok(Verdict::Changed(Box::new(flow), body))
    }

    fn edit_response(&self, edit: &ResponseEdit, limit: usize) -> Result<Verdict, ReleaseError> {
        let mut flow = self.flow.clone();
        let Some(response) = &mut flow.response else { return Err(ReleaseError::NotHeld) };
        let ended_with_head = has_no_body(response.status);
        let body = edit.apply(response)?;
        if body.is_some() && self.body == HeldBody::TooLong {
            return Err(ReleaseError::BodyTooLong(limit));
        }
        // Where there was no body, the head says nothing of one that now has to be there.
        let body = match body {
            None if ended_with_head && !has_no_body(response.status) => Some(Bytes::new()),
            body => body,
        };
        flow.status = response.status;
        Ok(Verdict::Changed(Box::new(flow), body))
    }
}

fn without_framing(headers: &Headers) -> Headers {
    let mut kept = crate::flow::HeadersBuilder::default();
    for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(b"content-length")) {
        kept.push(name, value);
    }
    kept.finish()
}

/// A body as it is edited: without its encodings, which an edited one has no more.
fn decoded(headers: &Headers, bytes: &Bytes) -> Option<Bytes> {
    let encoding =
        headers.all(b"content-encoding").map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
    if encoding.is_empty() {
        return Some(bytes.clone());
    }
    let decoded = decode::decode(&encoding, bytes, &DecodeLimits::default());
    decoded.stopped.is_none().then(|| Bytes::copy_from_slice(&decoded.bytes))
}

impl Held {
    fn view(&self, redactor: &Redactor, with_body: bool) -> HeldView {
        let Holding { flow, side, breakpoint, written, time, on_timeout, body } = &self.holding;
        let mut shown = flow.clone();
        shown.request.path = redactor.target(&flow.request.path).into_owned();
        shown.request.headers = redactor.headers(flow.request.headers.iter());
        if let Some(response) = &mut shown.response {
            response.headers = redactor.headers(response.headers.iter());
        }
        let body = match body {
            HeldBody::Whole(bytes) if with_body => {
                let headers = flow.headers(*side).cloned().unwrap_or_default();
                match redactor.body(&headers, bytes, true) {
                    Redaction::Same => decoded(&headers, bytes).map(|bytes| (bytes, false)),
                    Redaction::Replaced { bytes, .. } => Some((bytes, true)),
                    Redaction::Unreadable => None,
                }
            }
            _ => None,
        };
        HeldView {
            flow: shown,
            side: *side,
            breakpoint: breakpoint.clone(),
            written: written.clone(),
            since: self.since,
            deadline: self.since + *time,
            on_timeout: *on_timeout,
            body_editable: self.holding.body != HeldBody::TooLong,
            body,
        }
    }
}
