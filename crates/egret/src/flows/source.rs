//! Where flows are read: a console, or what a proxy has written.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egret_console::console;
use egret_core::flow_id::FlowId;
use egret_flows::export::{CapturedBodies as _, curl, har};
use egret_flows::filter::Filter;
use egret_flows::flow::{Flow, Side};
use egret_flows::store::{DATABASE, FlowStore, Query, Sort, SortKey};
use egret_flows::view::decode::DecodeLimits;
use egret_flows::view::text;
use http_body_util::BodyExt as _;
use hyper::Method;
use serde_json::Value;

use super::args::FromArgs;
use super::client::{Client, encoded};
use super::{DIRECTORY, FlowsError, other};

/// The sides of a flow, as the API calls them.
const SIDES: [(&str, Side); 2] = [("request", Side::Request), ("response", Side::Response)];

/// Where flows are.
pub(super) enum Source {
    /// With a proxy that runs.
    Console(Client),
    /// In a directory.
    Store(FlowStore),
}

/// The store's directory, from what the command line says: that itself, the state directory, or the file.
pub(super) fn directory(path: &Path) -> PathBuf {
    let within = path.join(DIRECTORY);
    match () {
        () if path.is_file() => path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned),
        () if !path.join(DATABASE).exists() && within.join(DATABASE).exists() => within,
        () => path.to_owned(),
    }
}

impl Source {
    /// The one that the command line names.
    pub(super) fn open(from: &FromArgs) -> Result<Self, FlowsError> {
        match &from.store {
            Some(path) => {
                FlowStore::read(&directory(path)).map(Self::Store).map_err(|error| other(error.to_string()))
            }
            None => Client::new(from).map(Self::Console),
        }
    }

    /// So many of the newest flows that match, oldest first.
    pub(super) async fn list(&self, filter: &str, limit: usize) -> Result<Vec<Value>, FlowsError> {
        let mut rows = Vec::new();
        match self {
            Self::Store(store) => {
                let filter = parse(filter)?;
                let mut query = Query { filter, limit: limit.min(1000), ..Query::default() };
                loop {
                    let page = store.list(&query);
                    rows.extend(page.flows.iter().map(|flow| console::summary(flow)));
                    query.after = page.next;
                    if rows.len() >= limit || query.after.is_none() {
                        break;
                    }
                }
            }
            Self::Console(client) => {
                let mut path = format!("/flows?limit={}&filter={}", limit.min(1000), encoded(filter));
                loop {
                    let page = client.json(&path).await?;
                    let flows = page.get("flows").and_then(Value::as_array).cloned().unwrap_or_default();
                    rows.extend(flows);
                    let Some(next) = page.get("next").and_then(Value::as_str).filter(|_| rows.len() < limit)
                    else {
                        break;
                    };
                    path = format!("/flows?limit={}&cursor={}", limit.min(1000), encoded(next));
                }
            }
        }
        rows.truncate(limit);
        rows.reverse();
        // The store numbers flows as their pieces reach it, which for flows that are nearly at once is not
        // the order in which they began.
        rows.sort_by(|a, b| a["started"].as_str().cmp(&b["started"].as_str()));
        Ok(rows)
    }

    /// All of a flow, and its bodies as text.
    pub(super) async fn flow(
        &self,
        id: &str,
    ) -> Result<(Value, Vec<(&'static str, Option<String>)>), FlowsError> {
        match self {
            Self::Store(store) => {
                let flow = find(store, id)?;
                let bodies = SIDES.into_iter().map(|(name, side)| {
                    let text = body_text(store, &flow, side);
                    text.map(|text| (name, text))
                        .map_err(|error| other(format!("the {name}'s body cannot be read: {error}")))
                });
                Ok((console::detail(store, &flow), bodies.collect::<Result<_, _>>()?))
            }
            Self::Console(client) => {
                let id = encoded(id);
                let flow = client.json(&format!("/flows/{id}")).await?;
                let mut bodies = Vec::new();
                for (name, _) in SIDES {
                    let has =
                        flow.pointer(&format!("/{name}/body/captured")).and_then(Value::as_u64).unwrap_or(0)
                            > 0;
                    let text = match has {
                        true => client.json(&format!("/flows/{id}/{name}/text")).await.ok(),
                        false => None,
                    };
                    let text = text.and_then(|body| Some(body.get("text")?.as_str()?.to_owned()));
                    bodies.push((name, text));
                }
                Ok((flow, bodies))
            }
        }
    }

    /// Writes HAR, oldest flow first. Says how many flows were written, where that is known.
    pub(super) async fn har(
        &self,
        filter: &str,
        ids: &[String],
        mut out: impl Write,
    ) -> Result<Option<usize>, FlowsError> {
        let failed = |error: std::io::Error| other(format!("the export cannot be written: {error}"));
        match self {
            Self::Store(store) if !ids.is_empty() => {
                let flows = ids.iter().map(|id| find(store, id)).collect::<Result<Vec<_>, _>>()?;
                let flows = flows.iter().map(|flow| &**flow);
                har::write(flows, store, out).map(|done| Some(done.written)).map_err(failed)
            }
            Self::Store(store) => {
                let pages = Pages::new(store, parse(filter)?);
                har::write(pages.map(|flow| Flow::clone(&flow)), store, out)
                    .map(|done| Some(done.written))
                    .map_err(failed)
            }
            Self::Console(client) => {
                let query = match ids {
                    [] => format!("filter={}", encoded(filter)),
                    ids => format!("id={}", encoded(&ids.join(","))),
                };
                let response = client.open(Method::GET, &format!("/export/har?{query}"), None).await?;
                let mut body = response.into_body();
                while let Some(frame) = body.frame().await {
                    let frame = frame.map_err(|error| other(format!("the export broke off: {error}")))?;
                    if let Some(bytes) = frame.data_ref() {
                        out.write_all(bytes).map_err(failed)?;
                    }
                }
                out.flush().map_err(failed)?;
                Ok(None)
            }
        }
    }

    /// The request of a flow as a curl command.
    pub(super) async fn curl(&self, id: &str) -> Result<String, FlowsError> {
        match self {
            Self::Store(store) => {
                let flow = find(store, id)?;
                let body = store
                    .captured(&flow, Side::Request)
                    .map_err(|error| other(format!("the body cannot be read: {error}")))?;
                let command = curl::command(&flow, body.as_deref()).ok_or_else(|| {
                    other(format!("flow {id} is no request that was seen, so there is no command for it"))
                })?;
                let notes = command.notes.iter().map(|note| format!("# {note}\n"));
                Ok(format!("{}{}\n", notes.collect::<String>(), command.command))
            }
            Self::Console(client) => {
                let bytes = client.bytes(&format!("/flows/{}/curl", encoded(id))).await?;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                Ok(if text.ends_with('\n') { text } else { text + "\n" })
            }
        }
    }
}

/// Reads a filter.
pub(super) fn parse(filter: &str) -> Result<Filter, FlowsError> {
    Filter::parse(filter).map_err(|error| other(error.to_string()))
}

/// A body as text, as far as it is one.
fn body_text(store: &FlowStore, flow: &Flow, side: Side) -> std::io::Result<Option<String>> {
    let Some(decoded) = store.decoded(flow, side, &DecodeLimits::default())? else { return Ok(None) };
    let kind = flow.headers(side).and_then(|headers| headers.text("content-type")).unwrap_or_default();
    Ok(Some(match text::text(kind, &decoded.bytes) {
        Some(text) => text.into_owned(),
        None => text::hex(&decoded.bytes, 4096),
    }))
}

fn find(store: &FlowStore, id: &str) -> Result<Arc<Flow>, FlowsError> {
    FlowId::parse(id).and_then(|id| store.flow(id)).ok_or_else(|| {
        let id = super::plain(id, 64);
        other(format!("there is no flow `{id}`; `egret flows list` shows those that there are"))
    })
}

/// All flows that match, oldest first.
struct Pages<'a> {
    store: &'a FlowStore,
    query: Option<Query>,
    page: std::vec::IntoIter<Arc<Flow>>,
}

impl<'a> Pages<'a> {
    fn new(store: &'a FlowStore, filter: Filter) -> Self {
        let sort = Sort { by: SortKey::Seq, descending: false };
        let query = Query { filter, sort, limit: 1000, ..Query::default() };
        Self { store, query: Some(query), page: Vec::new().into_iter() }
    }
}

impl Iterator for Pages<'_> {
    type Item = Arc<Flow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(flow) = self.page.next() {
                return Some(flow);
            }
            let mut query = self.query.take()?;
            let page = self.store.list(&query);
            self.page = page.flows.into_iter();
            query.after = page.next;
            self.query = query.after.is_some().then_some(query);
        }
    }
}
