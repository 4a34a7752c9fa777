//! Pages of flows.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::{FlowStore, Inner, bodies};
use crate::filter::{Bodies, Filter};
use crate::flow::{Content, Flow, Side};
use crate::view::decode::{self, DecodeLimits};

/// The most flows on a page.
pub const MAX_PAGE: usize = 1000;
/// How many bytes of bodies one listing reads for its filter, before it goes on without.
pub const FILTER_BODY_BYTES: u64 = 256 << 20;
/// How many flows are taken out of the ring at once.
const CHUNK: usize = 2048;

/// What to list.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which flows.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// How many at most; no more than [`MAX_PAGE`].
    pub limit: usize,
    /// After which one. It must come from a page of the same order.
    pub after: Option<Cursor>,
    /// How many to pass over before the first.
    pub offset: usize,
    /// Leave out flows with a higher number.
    pub until: Option<u64>,
    /// Count all that match, which means looking at each.
    pub count: bool,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            sort: Sort::default(),
            limit: 100,
            after: None,
            offset: 0,
            until: None,
            count: false,
        }
    }
}

/// An order. Flows that are equal in it stand in that of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortKey,
    /// The largest first.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self { by: SortKey::Seq, descending: true }
    }
}

/// What flows are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortKey {
    /// Their number: the order in which they came.
    #[default]
    Seq,
    /// When they began.
    Started,
    /// How long they took.
    Time,
    /// How long the first byte of the response took.
    FirstByte,
    /// Bytes both ways.
    Bytes,
    /// Status.
    Status,
    /// Method.
    Method,
    /// Host.
    Host,
    /// Path.
    Path,
    /// Name of the client, or its address.
    Identity,
    /// What was done.
    Treatment,
}

impl SortKey {
    /// Every key.
    pub const ALL: [Self; 11] = [
        Self::Seq,
        Self::Started,
        Self::Time,
        Self::FirstByte,
        Self::Bytes,
        Self::Status,
        Self::Method,
        Self::Host,
        Self::Path,
        Self::Identity,
        Self::Treatment,
    ];

    /// As the API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seq => "seq",
            Self::Started => "started",
            Self::Time => "time",
            Self::FirstByte => "first-byte",
            Self::Bytes => "bytes",
            Self::Status => "status",
            Self::Method => "method",
            Self::Host => "host",
            Self::Path => "path",
            Self::Identity => "identity",
            Self::Treatment => "treatment",
        }
    }

    /// The key of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == name)
    }

    fn of(self, flow: &Flow) -> Key {
        match self {
            Self::Seq => Key::Number(0),
            Self::Started => Key::Number(flow.started),
            Self::Time => Key::Number(flow.timings.total.unwrap_or(0)),
            Self::FirstByte => Key::Number(flow.timings.first_byte.unwrap_or(0)),
            Self::Bytes => Key::Number(flow.bytes_up.saturating_add(flow.bytes_down)),
            Self::Status => Key::Number(u64::from(flow.status)),
            Self::Method => Key::text(&flow.request.method),
            Self::Host => Key::text(&flow.request.host),
            Self::Path => Key::text(&flow.request.path),
            Self::Identity => match &flow.identity.name {
                Some(name) => Key::text(name),
                None => Key::text(&flow.client.ip().to_string()),
            },
            Self::Treatment => Key::text(flow.treatment.as_str()),
        }
    }
}

impl FromStr for Sort {
    type Err = String;

    /// Reads `host`, or `-host` for the largest first.
    fn from_str(text: &str) -> Result<Self, String> {
        let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let by = SortKey::parse(name).ok_or_else(|| {
            let names: Vec<_> = SortKey::ALL.iter().map(|key| key.as_str()).collect();
            format!(
                "`{name}` is nothing to sort by; there are {}, each with a - before it for the largest first",
                names.join(", ")
            )
        })?;
        Ok(Self { by, descending })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(u64),
    Text(String),
}

/// The most bytes of a text that are compared.
const MAX_KEY_BYTES: usize = 200;

impl Key {
    fn text(text: &str) -> Self {
        let mut end = text.len().min(MAX_KEY_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self::Text(text[..end].to_owned())
    }
}

/// A place in an order. It stays where it is when flows come and go. As text it can stand in a URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    key: Key,
    seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = match &self.key {
            Key::Number(number) => format!("{}n{number}", self.seq),
            Key::Text(text) => format!("{}t{text}", self.seq),
        };
        f.write_str(&URL_SAFE_NO_PAD.encode(plain))
    }
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the cursor of a page; take `next` from a page as it is, or leave it out to begin anew")]
pub struct BadCursor;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let plain = URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|plain| String::from_utf8(plain).ok())
            .ok_or(BadCursor)?;
        let end = plain.find(['n', 't']).ok_or(BadCursor)?;
        let seq = plain[..end].parse().map_err(|_| BadCursor)?;
        let rest = &plain[end + 1..];
        let key = match plain.as_bytes()[end] {
            b'n' => Key::Number(rest.parse().map_err(|_| BadCursor)?),
            _ => Key::text(rest),
        };
        Ok(Self { key, seq })
    }
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The flows.
    pub flows: Vec<Arc<Flow>>,
    /// What to go on with; `None` at the end.
    pub next: Option<Cursor>,
    /// How many match in all, where that was asked for.
    pub matched: Option<usize>,
    /// How many there are.
    pub total: usize,
    /// The revision of the store when the listing began: changes of a feed with lower ones are in it.
    pub revision: u64,
    /// The number of the newest flow when the listing began, whether or not it matches: with it as
    /// [`Query::until`], further pages are of the same flows.
    pub newest: u64,
    /// Some bodies were not looked at for the filter, because that would have meant reading too much.
    pub incomplete: bool,
}

/// Reads bodies for a filter, as long as there is room.
struct Reading {
    left: Cell<u64>,
    incomplete: Cell<bool>,
}

impl Bodies for Reading {
    fn decoded(&self, flow: &Flow, side: Side) -> Option<Bytes> {
        let body = flow.body(side)?;
        if body.captured > self.left.get() {
            self.incomplete.set(true);
            return None;
        }
        self.left.set(self.left.get() - body.captured);
        let bytes = match &body.content {
            Content::None => return None,
            Content::Memory(bytes) => bytes.clone(),
            Content::File(file) => bodies::read(file).ok()??,
        };
        let encoded = !body.decoded && flow.headers(side)?.first(b"content-encoding").is_some();
        if !encoded {
            return Some(bytes);
        }
        let encodings = flow
            .headers(side)?
            .all(b"content-encoding")
            .map(String::from_utf8_lossy)
            .collect::<Vec<_>>()
            .join(",");
        let decoded = decode::decode(&encodings, &bytes, &DecodeLimits::default()).bytes;
        self.left.set(self.left.get().saturating_sub(decoded.len() as u64));
        Some(decoded)
    }
}

impl FlowStore {
    /// Whether a flow is let through by a filter, its bodies read where that is needed.
    #[must_use]
    pub fn matches(&self, filter: &Filter, flow: &Flow) -> bool {
        let reading = Reading { left: Cell::new(FILTER_BODY_BYTES), incomplete: Cell::new(false) };
        filter.matches(flow, Inner::now(), &reading)
    }
}

pub(super) fn list(inner: &Inner, query: &Query) -> Page {
    let limit = query.limit.clamp(1, MAX_PAGE).saturating_add(query.offset);
    let reading = Reading { left: Cell::new(FILTER_BODY_BYTES), incomplete: Cell::new(false) };
    let now = Inner::now();
    let (total, revision, newest) = {
        let ring = inner.ring();
        (ring.len(), ring.revision(), ring.newest())
    };
    let until = query.until.unwrap_or(u64::MAX);
    let matches = |flow: &Flow| {
        flow.seq <= until && (query.filter.is_all() || query.filter.matches(flow, now, &reading))
    };
    let by_seq = query.sort.by == SortKey::Seq;
    let descending = query.sort.descending;
    let after = query.after.as_ref();
    let mut found: Vec<(Cursor, Arc<Flow>)> = Vec::new();
    let mut matched = 0;
    // Flows by their numbers need no sorting, and the first page of them no more than a look.
    let mut last = match (by_seq && !query.count, after, descending) {
        (true, Some(after), _) => after.seq,
        (_, _, true) => u64::MAX,
        (_, _, false) => 0,
    };
    'all: loop {
        let chunk = match descending {
            true => inner.ring().before(last, CHUNK),
            false => inner.ring().after(last, CHUNK),
        };
        let Some(end) = chunk.last() else { break };
        last = end.seq;
        for flow in chunk {
            if !matches(&flow) {
                continue;
            }
            matched += 1;
            let place = Cursor { key: query.sort.by.of(&flow), seq: flow.seq };
            let beyond = after.is_none_or(|after| if descending { place < *after } else { place > *after });
            if !beyond || (by_seq && found.len() > limit) {
                continue;
            }
            found.push((place, flow));
            if by_seq && !query.count && found.len() > limit {
                break 'all;
            }
        }
        // What cannot be on the page any more need not be kept until the end.
        if !by_seq && found.len() > limit.saturating_mul(2).max(4 * CHUNK) {
            keep_first(&mut found, limit + 1, descending);
        }
    }
    keep_first(&mut found, limit + 1, descending);
    let more = found.len() > limit;
    found.truncate(limit);
    Page {
        next: found.last().filter(|_| more).map(|(place, _)| place.clone()),
        flows: found.into_iter().skip(query.offset).map(|(_, flow)| flow).collect(),
        matched: query.count.then_some(matched),
        total,
        revision,
        newest,
        incomplete: reading.incomplete.get(),
    }
}

/// Sorts, and keeps so many.
fn keep_first(found: &mut Vec<(Cursor, Arc<Flow>)>, count: usize, descending: bool) {
    found.sort_unstable_by(|(a, _), (b, _)| if descending { b.cmp(a) } else { a.cmp(b) });
    found.truncate(count);
}
