//! `egret policy`: test, explain, suggest, backtest and lint policies, away from a proxy that runs.

mod args;
mod backtest;
mod console;
mod decide;
mod explain;
mod junit;
mod lint;
pub(crate) mod output;
mod records;
mod subject;
mod suggest;
mod target;
mod testing;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use egret_config::{PolicyBook, Problem};
use egret_core::policy::Policies;
use egret_core::policy::model::Action;
use serde_json::json;

pub(crate) use args::PolicyArgs;
use args::{DefaultArg, PolicyCommand};
pub(crate) use console::explain_for_console;

/// Something was found: a test failed, a flow would be denied, a policy has errors.
const FOUND: u8 = 1;
/// The command could not do its work.
const CANNOT: u8 = 2;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
enum ToolError {
    /// Files are wrong, each at a place.
    #[error("{}", egret_config::render(.0, false).trim_end())]
    Problems(Vec<Problem>),
    /// Anything else, with what to do.
    #[error("{0}")]
    Other(String),
}

impl From<Vec<Problem>> for ToolError {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Problems(problems)
    }
}

fn other(message: impl Into<String>) -> ToolError {
    ToolError::Other(message.into())
}

/// Runs a command. Exit status 1 when it found something, 2 when it could not do its work.
pub(crate) fn run(args: &PolicyArgs) -> ExitCode {
    let result = match &args.command {
        PolicyCommand::Test(args) => testing::run(args),
        PolicyCommand::Explain(args) => explain::run(args),
        PolicyCommand::Suggest(args) => suggest::run(args),
        PolicyCommand::Backtest(args) => backtest::run(args),
        PolicyCommand::Lint(args) => lint::run(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            fail(&error, args.command.wants_json());
            ExitCode::from(CANNOT)
        }
    }
}

fn fail(error: &ToolError, as_json: bool) {
    if as_json {
        let value = match error {
            ToolError::Problems(problems) => {
                let list: Vec<_> = problems.iter().map(Problem::to_json).collect();
                json!({ "error": "the files cannot be used", "problems": list })
            }
            ToolError::Other(message) => json!({ "error": message }),
        };
        crate::print(&format!("{value:#}\n"));
    }
    match error {
        ToolError::Problems(problems) => {
            anstream::eprint!("{}", egret_config::render(problems, std::io::stderr().is_terminal()));
        }
        ToolError::Other(message) => anstream::eprintln!("egret: {message}"),
    }
}

/// Reads policies; `default` stands where they say nothing about it.
fn read_book(paths: &[PathBuf], default: Option<DefaultArg>) -> Result<PolicyBook, ToolError> {
    let mut book = PolicyBook::read(paths)?;
    if let Some(default) = default {
        let says =
            book.config.file().default_action.is_some() || book.policies.iter().any(|p| p.is_short_form());
        if says {
            return Err(other("the configuration says what happens by default; leave --default out"));
        }
        book.default = match default {
            DefaultArg::Allow => Action::Allow,
            DefaultArg::Deny => Action::Deny,
        };
        let policies = book.policies.iter().map(|written| written.policy.clone()).collect();
        book.gate.policies = Policies::compile(policies, book.default == Action::Allow);
    }
    Ok(book)
}
