//! `/changes` and `/breakpoints`: rules that change traffic, and what stops it.

use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::{Method, Response, StatusCode};
use egret_flows::changes::{
    BreakpointSpec, BreakpointView, ChangeError, Changes, OnTimeout, RuleSource, RuleView,
};
use egret_flows::filter::FilterError;
use egret_flows::rules::{ActionSpec, RuleError, RuleSpec};
use serde_json::{Value, json};

use super::api::{Call, json_response, no_content};
use super::problem::Problem;
use super::query::FilterFault;
use super::shape::{lean, micros_time};

/// Lists, adds, replaces and removes rules.
pub(crate) fn rules(
    call: &Call,
    method: &Method,
    id: Option<&str>,
    body: Option<Value>,
) -> Result<Response<Body>, Problem> {
    let (changes, files) = (&call.inner.changes, call.inner.answer_files.as_deref());
    match (method.as_str(), id, body) {
        ("GET", None, _) => {
            let rules = changes.rules();
            let rules: Vec<Value> = rules.iter().map(|rule| rule_json(rule, files)).collect();
            Ok(json_response(&json!({ "rules": rules })))
        }
        ("POST", None, Some(body)) => {
            let (spec, written) = read_rule(body, files)?;
            let view = changes.add_rule(spec).map_err(|error| problem(&error, &written))?;
            call.note("add-change", &view.spec.name, &written);
            Ok(created(&rule_json(&view, files)))
        }
        ("PUT", Some(id), Some(body)) => {
            let (spec, written) = read_rule(body, files)?;
            let view = changes.replace_rule(id, spec).map_err(|error| problem(&error, &written))?;
            let state = if view.spec.enabled { "" } else { "switched off " };
            call.note("change-change", &view.spec.name, &format!("{state}{written}"));
            Ok(json_response(&rule_json(&view, files)))
        }
        ("DELETE", Some(id), _) => {
            let name = changes.rules().into_iter().find(|rule| rule.id == id).map(|rule| rule.spec.name);
            changes.remove_rule(id).map_err(|error| problem(&error, ""))?;
            call.note("remove-change", &name.unwrap_or_default(), "");
            Ok(no_content())
        }
        _ => Err(not_for_this(method)),
    }
}

/// Lists, adds, replaces and removes breakpoints.
pub(crate) fn breakpoints(
    call: &Call,
    method: &Method,
    id: Option<&str>,
    body: Option<Value>,
) -> Result<Response<Body>, Problem> {
    let changes = &call.inner.changes;
    match (method.as_str(), id, body) {
        ("GET", None, _) => {
            let points: Vec<Value> = changes.breakpoints().iter().map(breakpoint_json).collect();
            Ok(json_response(&json!({ "breakpoints": points, "held": super::held::list(&call.inner) })))
        }
        ("POST", None, Some(body)) => {
            let spec = read_breakpoint(body)?;
            let filter = spec.filter.clone();
            let view = changes.add_breakpoint(spec).map_err(|error| problem(&error, &filter))?;
            call.note("add-breakpoint", &view.id, &filter);
            Ok(created(&breakpoint_json(&view)))
        }
        ("PUT", Some(id), Some(body)) => {
            let spec = read_breakpoint(body)?;
            let filter = spec.filter.clone();
            let view = changes.replace_breakpoint(id, spec).map_err(|error| problem(&error, &filter))?;
            let state = if view.spec.enabled { "" } else { "switched off " };
            call.note("change-breakpoint", id, &format!("{state}{filter}"));
            Ok(json_response(&breakpoint_json(&view)))
        }
        ("DELETE", Some(id), _) => {
            changes.remove_breakpoint(id).map_err(|error| problem(&error, ""))?;
            call.note("remove-breakpoint", id, "");
            Ok(no_content())
        }
        _ => Err(not_for_this(method)),
    }
}

fn not_for_this(method: &Method) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("{method} is not for this path"),
    )
    .advice("See docs/openapi.yaml")
}

fn created(value: &Value) -> Response<Body> {
    let mut response = json_response(value);
    *response.status_mut() = StatusCode::CREATED;
    response
}

/// A rule as it was sent, and its filter. Files that it answers with are those of one directory.
fn read_rule(body: Value, files: Option<&Path>) -> Result<(RuleSpec, String), Problem> {
    let mut spec: RuleSpec =
        serde_json::from_value(body).map_err(|error| Problem::bad_request(error.to_string()))?;
    for action in &mut spec.actions {
        if let ActionSpec::Answer { file: Some(file), .. } = action {
            *file = confined(file, files)?;
        }
    }
    let filter = spec.filter.clone();
    Ok((spec, filter))
}

/// The file below the directory that rules may answer from.
fn confined(file: &Path, files: Option<&Path>) -> Result<PathBuf, Problem> {
    let refused = |detail: String| {
        Problem::new(StatusCode::BAD_REQUEST, "bad-rule", "The rule cannot answer with this file")
            .detail(detail)
            .advice("Give a body, or put the file into the directory that `console.answerFiles` names")
    };
    let Some(directory) = files else {
        return Err(refused("There is no directory for such files".to_owned()));
    };
    let shown = directory.display();
    let root =
        directory.canonicalize().map_err(|error| refused(format!("{shown} cannot be used: {error}")))?;
    let path = root.join(file).canonicalize().map_err(|error| {
        refused(format!("`{}` cannot be read in {shown}: {error}", file.display().to_string().escape_debug()))
    })?;
    if !path.starts_with(&root) || !path.is_file() {
        return Err(refused(format!(
            "`{}` is no file in {shown}",
            file.display().to_string().escape_debug()
        )));
    }
    Ok(path)
}

fn read_breakpoint(body: Value) -> Result<BreakpointSpec, Problem> {
    serde_json::from_value(body).map_err(|error| Problem::bad_request(error.to_string()))
}

fn rule_json(rule: &RuleView, files: Option<&Path>) -> Value {
    let mut spec = rule.spec.clone();
    let root = files.and_then(|files| files.canonicalize().ok());
    for action in &mut spec.actions {
        // As it was written.
        if let (ActionSpec::Answer { file: Some(file), .. }, Some(root), RuleSource::Console) =
            (action, &root, rule.source)
            && let Ok(relative) = file.strip_prefix(root)
        {
            *file = relative.to_owned();
        }
    }
    lean(json!({
        "id": rule.id,
        "name": spec.name,
        "filter": spec.filter,
        "enabled": spec.enabled,
        "source": match rule.source { RuleSource::Config => "config", RuleSource::Console => "console" },
        "actions": spec.actions,
        "hits": rule.hits,
        "lastHit": rule.last_hit.map(micros_time),
    }))
}

fn breakpoint_json(point: &BreakpointView) -> Value {
    json!({
        "id": point.id,
        "filter": point.spec.filter,
        "phase": point.spec.phase,
        "enabled": point.spec.enabled,
        "timeoutMs": u64::try_from(point.time.as_millis()).unwrap_or(u64::MAX),
        "onTimeout": on_timeout(point.spec.on_timeout),
        "hits": point.hits,
    })
}

pub(crate) fn on_timeout(then: OnTimeout) -> &'static str {
    match then {
        OnTimeout::GoOn => "go-on",
        OnTimeout::Drop => "drop",
    }
}

fn problem(error: &ChangeError, filter: &str) -> Problem {
    let wrong = |code: &'static str, title: &str| {
        Problem::new(StatusCode::BAD_REQUEST, code, title).detail(error.to_string())
    };
    match error {
        ChangeError::Unknown(_) => {
            Problem::new(StatusCode::NOT_FOUND, "no-such-rule", "There is none of this id")
                .detail(error.to_string())
                .advice("List them again")
        }
        ChangeError::FromConfig(_) => {
            Problem::new(StatusCode::CONFLICT, "from-config", "This rule is from the configuration")
                .detail(error.to_string())
                .advice("Change it in the file; it is read again when it changes")
        }
        ChangeError::Filter(fault) | ChangeError::Rule(RuleError::Filter { error: fault, .. }) => {
            bad_filter(filter, fault)
        }
        ChangeError::Rule(_) => {
            wrong("bad-rule", "The rule cannot be used").advice("docs/flows.md has all actions")
        }
        ChangeError::Breakpoint(_) => wrong("bad-breakpoint", "The breakpoint cannot be used")
            .advice("docs/console.md has what breakpoints take"),
    }
}

fn bad_filter(text: &str, error: &FilterError) -> Problem {
    let fault = FilterFault::of(text, error);
    let mut problem = Problem::new(StatusCode::BAD_REQUEST, "bad-filter", "The filter does not read")
        .detail(fault.message.clone())
        .advice("GET /api/v1/filter checks one; docs/flows.md has the language")
        .with("position", fault.position)
        .with("length", fault.length);
    if let Some(suggestion) = fault.suggestion {
        problem = problem.with("suggestion", suggestion);
    }
    problem
}

/// How long a page may be away, as when it is loaded again, before what is held goes on.
const GRACE: std::time::Duration = std::time::Duration::from_secs(3);

/// Somebody who looks at what is held. When the last one has gone, everything goes on.
#[derive(Debug)]
pub(crate) struct Watch {
    watching: Option<egret_flows::changes::Watching>,
    changes: Changes,
}

impl Watch {
    pub(crate) fn begin(changes: &Changes) -> Self {
        Self { watching: Some(changes.watch()), changes: changes.clone() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watching = None;
        let changes = self.changes.clone();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    tokio::time::sleep(GRACE).await;
                    let released = changes.release_if_unwatched();
                    if released > 0 {
                        tracing::info!(
                            released,
                            "nobody looks at the console; what breakpoints held goes on"
                        );
                    }
                });
            }
            // The console itself has ended.
            Err(_) => {
                changes.release_if_unwatched();
            }
        }
    }
}
