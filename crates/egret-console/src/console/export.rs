//! Flows to take along: HAR and curl.

use std::io::{self, BufWriter, Write};

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use egret_flows::export::{CapturedBodies, curl as curl_export, har as har_export};
use egret_flows::flow::{Flow, Side};
use egret_flows::store::{FlowStore, MAX_PAGE, Query, Sort};
use futures_util::stream;
use tokio::sync::mpsc;

use super::api::Call;
use super::blocking;
use super::flows::find;
use super::problem::Problem;
use super::query::Params;

/// The most ids of one export.
const MAX_IDS: usize = 1000;
/// Pieces of an export that wait for a slow reader.
const PIECES: usize = 4;
const PIECE: usize = 64 << 10;

/// No bodies, where nobody wants them.
struct NoBodies;

impl CapturedBodies for NoBodies {
    fn captured(&self, _: &Flow, _: Side) -> io::Result<Option<bytes::Bytes>> {
        Ok(None)
    }
}

pub(crate) async fn har(call: Call) -> Result<Response<Body>, Problem> {
    let params = Params::read(&call.uri, &["id", "filter", "bodies"])?;
    let with_bodies = match params.text("bodies") {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(Problem::bad_request("`bodies` has to be true or false")),
    };
    let filter = params.filter()?;
    let ids: Option<Vec<String>> = params
        .text("id")
        .filter(|ids| !ids.is_empty())
        .map(|ids| ids.split(',').map(str::to_owned).collect());
    if ids.is_some() && params.text("filter").is_some() {
        return Err(Problem::bad_request("`id` and `filter` exclude each other"));
    }
    if ids.as_ref().is_some_and(|ids| ids.len() > MAX_IDS) {
        return Err(Problem::bad_request(format!("at most {MAX_IDS} ids")));
    }
    let mut flows = None;
    if let Some(ids) = &ids {
        let mut found = ids.iter().map(|id| find(&call.inner, id)).collect::<Result<Vec<_>, _>>()?;
        found.sort_by_key(|flow| flow.seq);
        flows = Some(found);
    }
    call.note("export-har", params.text("id").or(params.text("filter")).unwrap_or_default(), "");
    let store = call.inner.store.clone();
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let out = BufWriter::with_capacity(PIECE, Pieces(sender));
        let bodies: &dyn CapturedBodies = if with_bodies { &store } else { &NoBodies };
        let written = match flows {
            Some(flows) => har_export::write(flows.iter().map(|flow| &**flow), bodies, out),
            None => {
                let query = Query {
                    filter,
                    sort: Sort { descending: false, ..Sort::default() },
                    limit: MAX_PAGE,
                    ..Query::default()
                };
                har_export::write(Pages::new(&store, query), bodies, out)
            }
        };
        if let Err(error) = written {
            tracing::debug!(%error, "an export ended early");
        }
    });
    let chunks = stream::unfold(receiver, |mut receiver| async move {
        let chunk: Bytes = receiver.recv().await?;
        Some((Ok::<_, io::Error>(chunk), receiver))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"egret.har\""));
    Ok(response)
}

/// Writes into a channel. A reader that has gone ends it.
struct Pieces(mpsc::Sender<Bytes>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every flow that a query finds, page by page.
struct Pages<'a> {
    store: &'a FlowStore,
    query: Option<Query>,
    page: std::vec::IntoIter<std::sync::Arc<Flow>>,
}

impl<'a> Pages<'a> {
    fn new(store: &'a FlowStore, query: Query) -> Self {
        Self { store, query: Some(query), page: Vec::new().into_iter() }
    }
}

impl Iterator for Pages<'_> {
    type Item = std::sync::Arc<Flow>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(flow) = self.page.next() {
                return Some(flow);
            }
            let mut query = self.query.take()?;
            let page = self.store.list(&query);
            self.page = page.flows.into_iter();
            if let Some(next) = page.next {
                query.after = Some(next);
                self.query = Some(query);
            }
        }
    }
}

pub(crate) async fn curl(call: Call, id: String) -> Result<Response<Body>, Problem> {
    Params::read(&call.uri, &[])?;
    let flow = find(&call.inner, &id)?;
    blocking(move || {
        let body = flow.body(Side::Request).and_then(|body| call.inner.store.body(body).ok().flatten());
        let Some(made) = curl_export::command(&flow, body.as_deref()) else {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "not-http",
                "The flow is no request that was seen",
            )
            .advice("Choose one of the requests within the tunnel"));
        };
        // A note is a comment of one line, whatever stands in it.
        let notes: String = made
            .notes
            .iter()
            .map(|note| format!("# {}\n", note.replace(|c: char| c.is_control(), " ")))
            .collect();
        call.note("export-curl", &id, "");
        let mut response = Response::new(Body::from(format!("{notes}{}\n", made.command)));
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        Ok(response)
    })
    .await?
}
