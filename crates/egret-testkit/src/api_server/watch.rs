//! Watches: what was, what changes, bookmarks, and an end.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::access::Shared;
use super::failure::Failure;
use super::http::{self, Request};
use super::present;
use super::selector::Selector;
use super::store::{Change, ChangeKind};
use super::verbs::Target;

/// How long a watch lasts that asks for no end; the real server takes half an hour or more.
const NO_TIMEOUT: Duration = Duration::from_secs(1800);

/// Refuses what can never be watched.
pub(crate) fn check(shared: &Shared, request: &Request, target: &Target) -> Result<(), Failure> {
    selector(request, target)?;
    let version = request.parameter("resourceVersion");
    if !version.is_empty() && version.parse::<u64>().is_err() {
        return Err(Failure::bad_version(version));
    }
    if !request.parameter("sendInitialEvents").is_empty() {
        let invalid = |reason: &str, field: &str, detail: &str| {
            Failure::invalid("ListOptions", "meta.k8s.io", "", reason, field, detail)
        };
        if shared.state.lock().unwrap().without_watch_lists {
            let detail = "Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
            return Err(invalid("FieldValueForbidden", "sendInitialEvents", detail));
        }
        if request.parameter("resourceVersionMatch") != "NotOlderThan" {
            let detail =
                "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(invalid("FieldValueForbidden", "resourceVersionMatch", detail));
        }
    }
    Ok(())
}

fn selector(request: &Request, target: &Target) -> Result<Selector, Failure> {
    Selector::parse(request.parameter("labelSelector"), request.parameter("fieldSelector"), &target.resource)
}

/// The event that a watcher with this selector sees of a change, if any.
fn event(change: &Change, selector: &Selector) -> Option<(&'static str, Arc<Value>)> {
    let before = change.previous.as_ref().is_some_and(|p| selector.matches(p));
    let after = change.kind != ChangeKind::Deleted && selector.matches(&change.object);
    match (before, after) {
        (false, true) => Some(("ADDED", change.object.clone())),
        (true, true) => Some(("MODIFIED", change.object.clone())),
        (true, false) if change.kind == ChangeKind::Deleted => Some(("DELETED", change.object.clone())),
        (true, false) => {
            // It left the selection: as it was when it last belonged, at the version of the change.
            let mut last = (**change.previous.as_ref()?).clone();
            last["metadata"]["resourceVersion"] = change.object["metadata"]["resourceVersion"].clone();
            Some(("DELETED", Arc::new(last)))
        }
        (false, false) => None,
    }
}

/// Writes the stream; `false` when the connection must not be used again.
pub(crate) fn stream(
    shared: &Shared,
    request: &Request,
    target: &Target,
    out: &mut impl Write,
) -> io::Result<bool> {
    let Ok(selector) = selector(request, target) else { return Ok(false) };
    let metadata_only = present::wants_metadata(request.field("accept"));
    let resource = &target.resource;
    let show = |object: &Value| present::object(resource, object, metadata_only);
    let bookmarks = request.flag("allowWatchBookmarks");
    let asked: u64 = request.parameter("resourceVersion").parse().unwrap_or(0);
    let wants_initial = request.parameter("sendInitialEvents") == "true";
    let no_initial = request.parameter("sendInitialEvents") == "false";
    let end =
        Instant::now() + request.parameter("timeoutSeconds").parse().map_or(NO_TIMEOUT, Duration::from_secs);
    http::begin_stream(out)?;

    let (mut seen, epoch, period, initial) = {
        let state = shared.state.lock().unwrap();
        let store = &state.store;
        let stale = asked != 0 && asked < store.floor && !wants_initial;
        if stale {
            let failure = Failure::too_old(asked, store.floor);
            drop(state);
            http::write_event(out, "ERROR", &failure.body)?;
            http::end_stream(out)?;
            return Ok(true);
        }
        let from_state = wants_initial || (asked == 0 && !no_initial);
        let seen = if from_state || asked == 0 { store.version } else { asked };
        let initial = from_state.then(|| store.list(resource, &target.namespace, store.version));
        (seen, state.watch_epoch, state.bookmark_every, initial)
    };
    for object in initial.into_iter().flatten().filter(|o| selector.matches(o)) {
        http::write_event(out, "ADDED", &show(&object))?;
    }
    if wants_initial && bookmarks {
        http::write_event(out, "BOOKMARK", &present::bookmark(resource, seen, true, metadata_only))?;
    }
    let mut next_bookmark = Instant::now() + period;
    let first = super::store::Store::key(resource, &target.namespace, "");
    loop {
        let mut events = Vec::new();
        {
            let mut state = shared.state.lock().unwrap();
            loop {
                if state.watch_epoch != epoch {
                    return Ok(false);
                }
                let start = state.store.log.partition_point(|c| c.version <= seen);
                for change in &state.store.log[start..] {
                    let key = &change.key;
                    let within = key.0 == first.0
                        && key.1 == first.1
                        && (target.namespace.is_empty() || key.2 == target.namespace);
                    if within {
                        events.extend(event(change, &selector));
                    }
                }
                seen = seen.max(state.store.version);
                let now = Instant::now();
                if !events.is_empty() || now >= end || (bookmarks && now >= next_bookmark) {
                    break;
                }
                let wait = end.min(next_bookmark).saturating_duration_since(now).min(Duration::from_secs(5));
                state = shared.changed.wait_timeout(state, wait.max(Duration::from_millis(1))).unwrap().0;
            }
        }
        for (kind, object) in events {
            http::write_event(out, kind, &show(&object))?;
        }
        let now = Instant::now();
        if bookmarks && (now >= next_bookmark || now >= end) {
            next_bookmark = now + period;
            http::write_event(out, "BOOKMARK", &present::bookmark(resource, seen, false, metadata_only))?;
        }
        if now >= end {
            http::end_stream(out)?;
            return Ok(true);
        }
    }
}
