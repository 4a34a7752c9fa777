//! `egret ca`: the CA of interception. What it is and how it is changed is decided in `egret-tls`; this reads the
//! command line, and writes what people and programs read.

mod args;
mod export;
mod rotate;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use egret_tls::files::{FileError, Password};
use egret_tls::interception::{CaError, CaSet, CaStore, InterceptionCa};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use args::CaArgs;
use args::{CaCommand, Form, SourceArgs, StateArgs};

use crate::certs::Output;

/// What a command has to say.
enum Outcome {
    /// The same for people and for programs.
    Report { text: String, json: Value },
    /// Bytes for standard output as they are.
    Bytes(Vec<u8>),
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0}")]
    Usage(String),
}

/// Runs a command. Exit status 1 when it failed.
pub(crate) fn run(args: &CaArgs) -> ExitCode {
    let (result, format) = match &args.command {
        CaCommand::Show(show) => (show::show(show), show.format),
        CaCommand::Export(export) => {
            let format = if export.to == Form::Json { Output::Json } else { Output::Text };
            (export::export(export), format)
        }
        CaCommand::Rotate(rotate) => (rotate::rotate(rotate), rotate.format),
    };
    match (result, format) {
        (Ok(Outcome::Report { text, .. }), Output::Text) => crate::print(&text),
        (Ok(Outcome::Report { json, .. }), Output::Json) => crate::print(&format!("{json:#}\n")),
        (Ok(Outcome::Bytes(bytes)), _) => crate::print_bytes(&bytes),
        (Err(failure), format) => {
            if format == Output::Json {
                crate::print(&format!("{:#}\n", json!({ "error": failure.to_string() })));
            }
            anstream::eprintln!("egret: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Where the CA was found.
enum Source {
    /// In a state directory.
    State(CaStore, Box<CaSet>),
    /// In files of somebody else.
    Files(PathBuf, Box<InterceptionCa>),
}

impl Source {
    fn open(args: &SourceArgs, create: bool) -> Result<Self, Failure> {
        let now = Timestamp::now();
        if let Some(path) = &args.ca {
            let password = password(args.password_file.as_deref(), "EGRET_CERTS_PASSWORD")?;
            let ca = InterceptionCa::load(path, args.ca_key.as_deref(), password.as_ref(), now)?;
            return Ok(Self::Files(path.clone(), Box::new(ca)));
        }
        let store = store(&args.state)?;
        if !create {
            let set = store.open(now)?;
            return Ok(Self::State(store, Box::new(set)));
        }
        let (set, made) = store.open_or_create(now)?;
        if made {
            anstream::eprintln!("egret: made a CA for interception in {}", store.path().display());
        }
        Ok(Self::State(store, Box::new(set)))
    }

    fn current(&self) -> &InterceptionCa {
        match self {
            Self::State(_, set) => &set.current,
            Self::Files(_, ca) => ca,
        }
    }

    fn warnings(&self) -> &[String] {
        match self {
            Self::State(_, set) => &set.warnings,
            Self::Files(_, ca) => ca.warnings(),
        }
    }
}

fn store(args: &StateArgs) -> Result<CaStore, Failure> {
    let dir = args.state_dir.clone().or_else(crate::machine::default_state_dir).ok_or_else(|| {
        Failure::Usage(
            "there is no home directory to keep the CA in; give a directory with --state-dir".to_owned(),
        )
    })?;
    Ok(CaStore::new(&dir))
}

fn password(file: Option<&Path>, variable: &str) -> Result<Option<Password>, Failure> {
    match file {
        Some(path) => Ok(Some(Password::load(path)?)),
        None => Ok(std::env::var(variable).ok().map(Password::new)),
    }
}
