//! `egret policy lint`: rules that do not do what their author thinks.

mod cover;
mod hosts;
mod rules;
mod setting;
mod shadow;

use std::fmt::Write as _;
use std::process::ExitCode;

use egret_config::{Place, PolicyBook, Problem, Severity, WrittenPolicy, render_one};
use serde_json::{Value, json};

use super::args::{LintArgs, LintOutput};
use super::output::{Paint, count};
use super::{FOUND, ToolError, other};

/// So many findings are said: nobody reads more.
const MOST_FINDINGS: usize = 1000;

/// Something that is worth saying.
#[derive(Clone, Debug)]
struct Finding {
    severity: Severity,
    /// The word by which tools know it.
    code: &'static str,
    problem: Problem,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings {
    list: Vec<Finding>,
    more: u64,
}

impl Findings {
    fn add(&mut self, severity: Severity, code: &'static str, problem: Problem) {
        if self.list.len() < MOST_FINDINGS {
            self.list.push(Finding { severity, code, problem });
        } else {
            self.more += 1;
        }
    }

    /// Of a field of a policy, as in `spec/rules/0`.
    fn of_policy(
        &mut self,
        (severity, code): (Severity, &'static str),
        policy: &WrittenPolicy,
        field: &str,
        message: impl AsRef<str>,
        help: &str,
    ) {
        let help = (!help.is_empty()).then_some(help);
        self.add(severity, code, policy.problem(field, message.as_ref(), help));
    }
}

/// Looks at policies.
pub(super) fn run(args: &LintArgs) -> Result<ExitCode, ToolError> {
    for path in &args.files {
        std::fs::metadata(path).map_err(|error| {
            other(format!("{} cannot be read: {error}; is it the right path?", path.display()))
        })?;
    }
    let mut findings = Findings::default();
    match PolicyBook::read(&args.files) {
        Ok(book) => look(&book, &mut findings),
        Err(problems) => {
            problems.into_iter().for_each(|problem| findings.add(Severity::Error, "invalid", problem));
        }
    }
    let Findings { mut list, more } = findings;
    if args.no_hints {
        list.retain(|finding| finding.severity != Severity::Hint);
    }
    list.sort_by_cached_key(|finding| match &finding.problem.place {
        Place::Line(quote) => (quote.file.to_string(), quote.line, quote.column, finding.severity),
        Place::File(file) => (file.to_string(), 0, 0, finding.severity),
        Place::Flag(flag) => (flag.to_string(), 0, 0, finding.severity),
    });
    let of = |severity| list.iter().filter(|finding| finding.severity == severity).count();
    let is_bad = of(Severity::Error) > 0 || args.deny_warnings && of(Severity::Warning) > 0;
    let text = match args.format {
        LintOutput::Text => as_text(&list, more, Paint::of_stdout()),
        LintOutput::Json => format!("{:#}\n", as_json(&list)),
        LintOutput::Github => list.iter().map(annotation).collect(),
    };
    let printed = crate::print(&text);
    Ok(if is_bad { ExitCode::from(FOUND) } else { printed })
}

fn look(book: &PolicyBook, findings: &mut Findings) {
    for warning in &book.warnings {
        findings.add(Severity::Warning, "needs-interception", warning.clone());
    }
    shadow::look(book, findings);
    rules::look(book, findings);
    hosts::look(book, findings);
    setting::look(book, findings);
}

fn as_text(list: &[Finding], more: u64, paint: Paint) -> String {
    let mut text = String::new();
    for finding in list {
        // Writing to memory cannot fail, here and below.
        let _ = writeln!(text, "{}", render_one(&finding.problem, finding.severity, paint.0));
        let _ = writeln!(text, "  {}\n", paint.faint(&format!("[{}]", finding.code)));
    }
    if more > 0 {
        let _ = writeln!(text, "{} not shown", count(more, "more finding"));
    }
    let of = |severity| list.iter().filter(|finding| finding.severity == severity).count() as u64;
    let _ = writeln!(
        text,
        "{}, {}, {}",
        count(of(Severity::Error), "error"),
        count(of(Severity::Warning), "warning"),
        count(of(Severity::Hint), "hint")
    );
    text
}

fn as_json(list: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        let mut object = finding.problem.to_json();
        object["severity"] = json!(finding.severity.as_str());
        object["code"] = json!(finding.code);
        object
    };
    Value::Array(list.iter().map(one).collect())
}

/// A workflow command of GitHub Actions, which becomes an annotation beside the line.
fn annotation(finding: &Finding) -> String {
    let text = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |value: &str| text(value).replace(':', "%3A").replace(',', "%2C");
    let word = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Hint => "notice",
    };
    let place = match &finding.problem.place {
        Place::Line(quote) => {
            format!("file={},line={},col={},", property(&quote.file), quote.line, quote.column)
        }
        Place::File(file) | Place::Flag(file) => format!("file={},", property(file)),
    };
    let mut message = finding.problem.message.clone();
    if let Some(help) = &finding.problem.help {
        message.push_str("; ");
        message.push_str(help);
    }
    format!("::{word} {place}title=egret policy lint ({})::{}\n", finding.code, text(&message))
}

#[cfg(test)]
mod tests;
