//! The live stream: server-sent events.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use egret_flows::changes::Revisions;
use egret_flows::filter::Filter;
use egret_flows::store::ChangeKind;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep};

use super::Inner;
use super::auth::Caller;
use super::changes::Watch;
use super::problem::Problem;
use super::query::Params;
use super::shape::lean;

/// The most streams at once.
pub(crate) const MAX_STREAMS: usize = 64;
/// How long changes gather: ten batches a second at most.
const GATHER: Duration = Duration::from_millis(100);
/// How often a comment says that the stream lives.
const ALIVE: Duration = Duration::from_secs(15);
const TOPICS: [&str; 4] = ["flows", "stats", "held", "rules"];

struct Stream {
    inner: Arc<Inner>,
    caller: Caller,
    filter: Filter,
    flows: bool,
    stats: bool,
    held: bool,
    rules: bool,
    /// The last revision that was told.
    last: u64,
    /// What stands at the beginning.
    opening: Option<String>,
    revisions: watch::Receiver<u64>,
    seconds: watch::Receiver<Value>,
    news: watch::Receiver<Revisions>,
    /// What of those was told.
    told: Revisions,
    alive: Instant,
    /// As long as somebody sees what is held, breakpoints hold.
    _watch: Option<Watch>,
    _permit: OwnedSemaphorePermit,
}

/// Begins a stream.
pub(crate) fn events(
    inner: &Arc<Inner>,
    caller: Caller,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Response<Body>, Problem> {
    let params = Params::read(uri, &["topics", "filter", "lastEventId"])?;
    let filter = params.filter()?;
    let topics: Vec<&str> = match params.text("topics") {
        Some(text) => text.split(',').map(str::trim).filter(|topic| !topic.is_empty()).collect(),
        None => TOPICS.to_vec(),
    };
    if let Some(unknown) =
        topics.iter().find(|topic| !TOPICS.contains(topic) && !["hello", "lost"].contains(topic))
    {
        let shown: String = unknown.chars().take(40).collect();
        return Err(Problem::bad_request(format!("there is no topic `{shown}`")));
    }
    let permit = inner.streams.clone().try_acquire_owned().map_err(|_| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", "There are too many live streams")
            .detail(format!("{MAX_STREAMS} are open"))
            .advice("Close other tabs of the console")
            .retry_after(10)
    })?;
    let asked = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let asked = asked.or_else(|| params.text("lastEventId")).filter(|id| !id.is_empty());
    let now = inner.hub.revision();
    let (last, lost) = match asked.map(|id| inner.revision_of(id)) {
        None => (now, None),
        Some(Some(revision)) if revision <= now && inner.hub.since(revision).is_some() => (revision, None),
        Some(Some(_)) => (now, Some("too-old")),
        Some(None) => (now, Some("restarted")),
    };
    let mut opening = String::new();
    let resumed = asked.is_some() && lost.is_none();
    inner.event(
        &mut opening,
        "hello",
        last,
        &json!({ "revision": inner.revision_text(last), "resumed": resumed }),
    );
    if let Some(why) = lost {
        inner.event(
            &mut opening,
            "lost",
            last,
            &json!({ "why": why, "revision": inner.revision_text(last) }),
        );
    }
    let news = inner.changes.news();
    let told = *news.borrow();
    if topics.contains(&"held") {
        // Also for whoever comes back: what was held meanwhile is not among the changes that are kept.
        inner.event(&mut opening, "held", last, &json!({ "held": super::held::list(inner) }));
    }
    let stream = Stream {
        inner: inner.clone(),
        caller,
        filter,
        flows: topics.contains(&"flows"),
        stats: topics.contains(&"stats"),
        held: topics.contains(&"held"),
        rules: topics.contains(&"rules"),
        last,
        opening: Some(opening),
        revisions: inner.hub.revisions(),
        seconds: inner.hub.seconds(),
        told,
        news,
        _watch: topics.contains(&"held").then(|| Watch::begin(&inner.changes)),
        alive: Instant::now() + ALIVE,
        _permit: permit,
    };
    let chunks = stream::unfold(stream, |mut stream| async move {
        let chunk = stream.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(chunk)), stream))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

impl Inner {
    fn event(&self, out: &mut String, name: &str, revision: u64, data: &Value) {
        out.push_str(&format!("event: {name}\nid: {}\ndata: {data}\n\n", self.revision_text(revision)));
    }
}

impl Stream {
    /// What comes next; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        loop {
            // Whoever logs out, or whose session ends, sees nothing more.
            if let Some(session) = &self.caller.session
                && self.inner.auth.session(&session.id).is_none()
            {
                return None;
            }
            let behind = self.flows && *self.revisions.borrow_and_update() > self.last;
            if behind {
                sleep(GATHER).await;
                if let Some(batch) = self.batch().await {
                    return Some(batch);
                }
                continue;
            }
            tokio::select! {
                changed = self.revisions.changed(), if self.flows => changed.ok()?,
                changed = self.seconds.changed(), if self.stats => {
                    changed.ok()?;
                    let point = self.seconds.borrow_and_update().clone();
                    let mut text = String::new();
                    self.inner.event(&mut text, "stats", self.last, &point);
                    return Some(text);
                }
                changed = self.news.changed(), if self.held || self.rules => {
                    changed.ok()?;
                    if let Some(text) = self.news() {
                        return Some(text);
                    }
                }
                () = tokio::time::sleep_until(self.alive) => {
                    self.alive = Instant::now() + ALIVE;
                    return Some(":\n\n".to_owned());
                }
            }
        }
    }

    /// What changed of rules, breakpoints and what they hold.
    fn news(&mut self) -> Option<String> {
        let now = *self.news.borrow_and_update();
        let before = std::mem::replace(&mut self.told, now);
        let mut text = String::new();
        let words =
            [(now.rules != before.rules, "changes"), (now.breakpoints != before.breakpoints, "breakpoints")];
        for (_, what) in words.iter().filter(|(changed, _)| *changed && self.rules) {
            self.inner.event(&mut text, "rules", self.last, &json!({ "what": what }));
        }
        if self.held && now.held != before.held {
            self.inner.event(
                &mut text,
                "held",
                self.last,
                &json!({ "held": super::held::list(&self.inner) }),
            );
        }
        (!text.is_empty()).then_some(text)
    }

    /// What changed since the last batch.
    async fn batch(&mut self) -> Option<String> {
        let (inner, filter, last) = (self.inner.clone(), self.filter.clone(), self.last);
        // A filter may read bodies from disk.
        let made = tokio::task::spawn_blocking(move || batch(&inner, &filter, last)).await.ok()?;
        let mut text = String::new();
        match made {
            Some((revision, data)) => {
                self.last = revision;
                self.inner.event(&mut text, "flows", revision, &data?);
            }
            None => {
                self.last = self.inner.hub.revision();
                let data = json!({ "why": "too-slow", "revision": self.inner.revision_text(self.last) });
                self.inner.event(&mut text, "lost", self.last, &data);
            }
        }
        Some(text)
    }
}

/// The flows that changed, each once, and the revision up to which they did; `None` if too much is forgotten.
fn batch(inner: &Inner, filter: &Filter, last: u64) -> Option<(u64, Option<Value>)> {
    let changes = inner.hub.since(last)?;
    let revision = changes.last().map_or(last, |change| change.revision);
    let mut seen = HashSet::new();
    let (mut flows, mut gone) = (Vec::new(), Vec::new());
    // The last word on each flow.
    for change in changes.iter().rev() {
        let Some(id) = change.id else { continue };
        if !seen.insert(change.seq) {
            continue;
        }
        let flow =
            (change.kind != ChangeKind::Removed).then(|| inner.store.flow_by_seq(change.seq)).flatten();
        match flow {
            Some(flow) if inner.store.matches(filter, &flow) => flows.push(inner.summary(&flow)),
            Some(_) if change.kind == ChangeKind::Added => {}
            _ => gone.push(id.as_str().to_owned()),
        }
    }
    if flows.is_empty() && gone.is_empty() {
        return Some((revision, None));
    }
    flows.reverse();
    let data = lean(json!({
        "flows": flows,
        "gone": gone,
        "total": inner.store.counts().flows,
        "revision": inner.revision_text(revision),
    }));
    Some((revision, Some(data)))
}
