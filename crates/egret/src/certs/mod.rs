//! `egret certs`: certificates by one command. What a certificate is to be is decided in `egret-tls`; this reads
//! the command line, finds files, and writes what people and programs read.

mod args;
mod bundle;
mod export;
mod make;
mod output;
mod renew;
mod secrets;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use egret_tls::authority::AuthorityError;
use egret_tls::files::{FileError, FileProblem, Password};
use serde_json::{Value, json};

use args::CertsCommand;
pub(crate) use args::{CertsArgs, Output};

/// What a command has to say.
struct Outcome {
    /// For people.
    text: String,
    /// For programs.
    json: Value,
    /// Nothing must be put right.
    good: bool,
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
enum CertsError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{}: {error}", path.display())]
    Renewal { path: PathBuf, error: AuthorityError },
    #[error("{0}")]
    Usage(String),
}

/// Runs a command. Exit status 1 when it failed, or when something must be put right.
pub(crate) fn run(args: &CertsArgs) -> ExitCode {
    let result = match &args.command {
        CertsCommand::Init(args) => make::init(args),
        CertsCommand::Ca(args) => make::ca(args),
        CertsCommand::Server(args) => make::server(args),
        CertsCommand::Client(args) => make::client(args),
        CertsCommand::Renew(args) => renew::renew(args),
        CertsCommand::Show(args) => show::show(args),
        CertsCommand::Bundle(args) => bundle::bundle(args),
        CertsCommand::Export(args) => export::export(args),
        CertsCommand::Secrets(args) => secrets::secrets(args),
    };
    match result {
        Ok(outcome) => {
            let printed = match args.format {
                Output::Text => crate::print(&outcome.text),
                Output::Json => crate::print(&format!("{:#}\n", outcome.json)),
            };
            if outcome.good { printed } else { ExitCode::FAILURE }
        }
        Err(error) => {
            if args.format == Output::Json {
                crate::print(&format!("{:#}\n", json!({ "error": error.to_string() })));
            }
            anstream::eprintln!("egret: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The password from a file, or from the environment.
fn password(file: Option<&Path>, variable: &str) -> Result<Option<Password>, CertsError> {
    match file {
        Some(path) => Ok(Some(Password::load(path)?)),
        None => Ok(std::env::var(variable).ok().map(Password::new)),
    }
}

/// What opens files that are read.
fn password_to_read(file: Option<&Path>) -> Result<Option<Password>, CertsError> {
    password(file, "EGRET_CERTS_PASSWORD")
}

fn file_error(path: &Path, problem: FileProblem) -> CertsError {
    CertsError::File(FileError { path: path.to_owned(), problem })
}

/// A file of this name beside the one that was named, if it is there and another.
fn beside(file: &Path, name: &str) -> Option<PathBuf> {
    Some(file.with_file_name(name)).filter(|path| path.is_file() && path != file)
}

/// The file of the same name with `.key`, if it is there and another.
fn key_beside(file: &Path) -> Option<PathBuf> {
    Some(file.with_extension("key")).filter(|path| path.is_file() && path != file)
}
