//! The store of flows: opened as the configuration asks for it, and read in the terminal (`egret flows`).

mod args;
mod client;
mod print;
mod replay;
mod source;
mod tail;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use egret_config::Compiled;
use egret_core::policy::model::{CaptureLevel, CapturePlan};
use egret_core::settings::{FlowRedaction, FlowSettings};
use egret_flows::changes::{ChangeError, Changes, HoldLimits};
use egret_flows::redact::{BadPath, RedactionSettings};
use egret_flows::store::{FlowStore, StoreError, StoreSettings};

use crate::machine;
use crate::policy::output::{Paint, plain};

pub(crate) use args::FlowsArgs;
use args::{ExportArgs, FlowsCommand, Format};
use source::Source;

/// The command could not do its work.
const CANNOT: u8 = 2;

/// Why a command could not do its work, with what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct FlowsError(String);

fn other(message: impl Into<String>) -> FlowsError {
    FlowsError(message.into())
}

/// The store's place in the state directory.
pub(crate) const DIRECTORY: &str = "flows";

/// Opens the store. Without a state directory everything stays in memory; flows that are to survive a restart
/// go to the user's own where none is given.
///
/// # Errors
/// The directory cannot be used, or a JSON path for redaction is wrong.
pub(crate) fn open(settings: &FlowSettings, state_dir: Option<&Path>) -> Result<FlowStore, StoreError> {
    let directory = state_dir.map(Path::to_owned);
    let directory = directory.or_else(|| settings.persistent.then(machine::default_state_dir).flatten());
    let directory = directory.map(|directory| directory.join(DIRECTORY));
    let store = StoreSettings { directory, ..settings.into() };
    FlowStore::open(store, &redaction(&settings.redaction))
}

/// Redacts by other settings from now on.
///
/// # Errors
/// A JSON path is wrong; then nothing changes.
pub(crate) fn redact_by(store: &FlowStore, settings: &FlowSettings) -> Result<(), BadPath> {
    store.redact_by(&redaction(&settings.redaction))
}

fn redaction(settings: &FlowRedaction) -> RedactionSettings {
    let usual = if settings.defaults { RedactionSettings::default() } else { RedactionSettings::none() };
    usual.and(RedactionSettings {
        headers: settings.headers.clone(),
        query_keys: settings.query_keys.clone(),
        form_fields: settings.form_fields.clone(),
        json_paths: settings.json_paths.clone(),
    })
}

/// Puts the change rules of a configuration into force, and the bounds of breakpoints.
///
/// # Errors
/// There are too many, with those of the console; then nothing changes.
pub(crate) fn put_changes_into_force(changes: &Changes, compiled: &Compiled) -> Result<(), ChangeError> {
    changes.set_configured(&compiled.changes)?;
    let (limits, timeouts) = (&compiled.snapshot.limits, &compiled.snapshot.timeouts);
    changes.set_limits(HoldLimits {
        flows: limits.held_flows,
        body_bytes: limits.held_body_bytes,
        time: timeouts.held,
    });
    Ok(())
}

/// Sets what is captured where nobody wrote it: without a configuration file, heads, if there is a console to
/// look at them.
pub(crate) fn settle(compiled: &mut Compiled, has_config: bool, has_console: bool) {
    if !compiled.capture_written && !has_config && has_console {
        compiled.snapshot.capture = CapturePlan::of(CaptureLevel::Headers);
    }
}

/// Whether anybody asks for flows: there is a console, something is captured, or flows survive a restart.
#[must_use]
pub(crate) fn are_wanted(compiled: &Compiled, has_console: bool) -> bool {
    let captures = |plan: &CapturePlan| plan.level != CaptureLevel::None && plan.sample > 0;
    let policies = compiled.policies.policies.policies();
    let mut rules = policies.iter().flat_map(|policy| &policy.rules);
    has_console
        || compiled.flows.persistent
        || captures(&compiled.snapshot.capture)
        || rules.any(|rule| rule.capture.as_ref().is_some_and(captures))
}

/// Runs `egret flows`. Exit status 2 when it could not do its work.
pub(crate) fn run(args: &FlowsArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime
        .map_err(|error| other(format!("the runtime cannot be started: {error}")))
        .and_then(|runtime| runtime.block_on(command(args)));
    match outcome {
        Ok(text) => crate::print(&text),
        Err(error) => {
            anstream::eprintln!("egret: {error}");
            ExitCode::from(CANNOT)
        }
    }
}

/// Does what was asked for, and gives what is to be printed.
async fn command(args: &FlowsArgs) -> Result<String, FlowsError> {
    let paint = Paint::of_stdout();
    match &args.command {
        FlowsCommand::Tail(tail) => tail::run(tail, &args.from).await.map(|()| String::new()),
        FlowsCommand::List(list) => {
            let flows = Source::open(&args.from)?.list(&list.filter.join(" "), list.limit as usize).await?;
            Ok(match list.format {
                Format::Text => flows.iter().map(|flow| print::line(flow, paint)).collect(),
                Format::Json => flows.iter().map(|flow| format!("{flow}\n")).collect(),
            })
        }
        FlowsCommand::Show(show) => {
            let (flow, bodies) = Source::open(&args.from)?.flow(&show.id).await?;
            Ok(match show.format {
                Format::Text => print::whole(&flow, paint, &bodies),
                Format::Json => format!("{flow}\n"),
            })
        }
        FlowsCommand::Export(export) => self::export(export, &Source::open(&args.from)?).await,
        FlowsCommand::Replay(replay) => replay::run(replay, &args.from).await,
    }
}

async fn export(args: &ExportArgs, source: &Source) -> Result<String, FlowsError> {
    if let Some(id) = &args.curl {
        return source.curl(id).await;
    }
    let path = args.har.as_deref().unwrap_or(Path::new("-"));
    let filter = args.filter.join(" ");
    if path == Path::new("-") {
        source.har(&filter, &args.id, std::io::stdout().lock()).await?;
        return Ok(String::new());
    }
    // What was captured is for whoever exports it alone.
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let file = file.map_err(|error| other(format!("{} cannot be written: {error}", path.display())))?;
    let mut out = std::io::BufWriter::new(file);
    let written = source.har(&filter, &args.id, &mut out).await?;
    out.flush().map_err(|error| other(format!("{} cannot be written: {error}", path.display())))?;
    if let Some(written) = written {
        anstream::eprintln!("{written} flows were written to {}", path.display());
    }
    Ok(String::new())
}
