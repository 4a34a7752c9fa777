//! `egret check`.

mod named;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use egret_config::{Further, ObjectFile, Problem};

use crate::cli::{CheckArgs, Format};

/// Checks files. Exit status 1 when something is wrong with one.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    let form = match args.format {
        Format::Json => egret_config::Form::Json,
        Format::Text => egret_config::Form::Text { colour: std::io::stdout().is_terminal() },
    };
    let further = Further { configuration: &named::problems, objects: &certificates };
    let verdict = egret_config::check_files_with(&args.files, form, &further);
    let printed = crate::print(&verdict.text);
    if verdict.valid { printed } else { ExitCode::FAILURE }
}

/// What is wrong with the certificates of `EgressProxy` objects, and what is worth a look.
fn certificates(file: &ObjectFile) -> (Vec<Problem>, Vec<Problem>) {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    for proxy in &file.proxies {
        let report = egret_kube::validate::trusted_certificates(&proxy.document);
        let said = |found: egret_kube::validate::FieldProblem| {
            let pointer = format!("/{}", found.path.replace('.', "/"));
            file.problem(proxy, &pointer, &found.message, found.help.as_deref())
        };
        problems.extend(report.errors.into_iter().map(said));
        warnings.extend(report.warnings.into_iter().map(said));
    }
    (problems, warnings)
}
