//! `egret check`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use crate::cli::{CheckArgs, Format};

/// Checks files. Exit status 1 when something is wrong with one.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    let form = match args.format {
        Format::Json => egret_config::Form::Json,
        Format::Text => egret_config::Form::Text { colour: std::io::stdout().is_terminal() },
    };
    let verdict = egret_config::check_files_with(&args.files, form, |loaded| {
        crate::tls::load(loaded, &[]).err().unwrap_or_default()
    });
    let printed = crate::print(&verdict.text);
    if verdict.valid { printed } else { ExitCode::FAILURE }
}
