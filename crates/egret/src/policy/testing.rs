//! `egret policy test`: tables of who asks for what, and what is to come of it.

mod cases;
mod file;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use egret_config::{Problem, TypedFile, schema_of};
use serde_json::{Value, json};

use self::cases::{Outcome, Suite};
use self::file::TestFile;
use super::args::{Output, TestArgs};
use super::output::{Paint, count, plain, write_file};
use super::{FOUND, ToolError, junit, other};

/// Runs all tests of all files.
pub(super) fn run(args: &TestArgs) -> Result<ExitCode, ToolError> {
    if args.schema {
        return Ok(crate::print(&format!("{:#}\n", schema_of::<TestFile>())));
    }
    let mut problems: Vec<Problem> = Vec::new();
    let mut suites = Vec::new();
    for path in &args.files {
        match read(path).and_then(|file| Suite::prepare(path, &file, &args.policies)) {
            Ok(suite) => suites.push(suite),
            Err(ToolError::Problems(found)) => problems.extend(found),
            Err(error) => return Err(error),
        }
    }
    if !problems.is_empty() {
        return Err(ToolError::Problems(problems));
    }
    let outcomes: Vec<Outcome> = suites.iter().flat_map(Suite::run).collect();
    if let Some(path) = &args.junit {
        write_junit(path, &outcomes)?;
    }
    let printed = match args.format {
        Output::Json => crate::print(&format!("{:#}\n", as_json(&outcomes))),
        Output::Text => crate::print(&as_text(&outcomes, args.verbose, Paint::of_stdout())),
    };
    let all_pass = outcomes.iter().all(|outcome| outcome.mismatches.is_empty());
    Ok(if all_pass { printed } else { ExitCode::from(FOUND) })
}

fn read(path: &Path) -> Result<TypedFile<TestFile>, ToolError> {
    let bytes = std::fs::read(path).map_err(|error| {
        other(format!("{} cannot be read: {error}; is it the right path?", path.display()))
    })?;
    Ok(TypedFile::read(&bytes, &path.display().to_string())?)
}

fn write_junit(path: &Path, outcomes: &[Outcome]) -> Result<(), ToolError> {
    let texts: Vec<_> =
        outcomes.iter().map(|outcome| (outcome.summary(), outcome.details(Paint(false)))).collect();
    let cases: Vec<_> = outcomes
        .iter()
        .zip(&texts)
        .map(|(outcome, (summary, details))| junit::Case {
            suite: &outcome.file,
            name: &outcome.name,
            failure: (!outcome.mismatches.is_empty()).then_some((summary.as_str(), details.as_str())),
        })
        .collect();
    write_file(path, &junit::render(&cases))
}

fn as_json(outcomes: &[Outcome]) -> Value {
    let failed = outcomes.iter().filter(|outcome| !outcome.mismatches.is_empty()).count();
    json!({
        "passed": outcomes.len() - failed,
        "failed": failed,
        "tests": outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
    })
}

fn as_text(outcomes: &[Outcome], verbose: bool, paint: Paint) -> String {
    let mut text = String::new();
    let mut failed = 0;
    for outcome in outcomes {
        let name = format!("{}: {}", outcome.file, plain(&outcome.name, 200));
        // Writing to memory cannot fail, here and below.
        if outcome.mismatches.is_empty() {
            if verbose {
                let _ = writeln!(text, "{} {name}", paint.good("pass"));
            }
            continue;
        }
        failed += 1;
        let _ = writeln!(text, "{} {}", paint.bad("FAIL"), paint.strong(&name));
        text.push_str(&outcome.details(paint));
        text.push('\n');
    }
    let passed = (outcomes.len() - failed) as u64;
    let sum = format!("{} passed, {failed} failed", count(passed, "test"));
    let _ = writeln!(text, "{}", if failed == 0 { paint.good(&sum) } else { paint.bad(&sum) });
    text
}
