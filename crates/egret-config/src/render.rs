//! Problems as a person reads them in a terminal.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::problem::{Place, Problem};

/// All problems, one after the other, and how many there are. `colour` writes ANSI escapes.
#[must_use]
pub fn render(problems: &[Problem], colour: bool) -> String {
    let mut text = String::new();
    for one in problems {
        text.push_str(&element(one, Level::ERROR, colour));
        text.push_str("\n\n");
    }
    match problems.len() {
        0 => {}
        1 => text.push_str("1 error\n"),
        count => text.push_str(&format!("{count} errors\n")),
    }
    text
}

/// What is worth a look, one after the other. `colour` writes ANSI escapes.
#[must_use]
pub fn render_warnings(warnings: &[Problem], colour: bool) -> String {
    warnings.iter().map(|one| format!("{}\n\n", element(one, Level::WARNING, colour))).collect()
}

/// All problems as a JSON array, for programs: `severity` is `error` for what is wrong, and `warning` for
/// what is worth a look.
#[must_use]
pub fn render_json(problems: &[Problem], warnings: &[Problem]) -> String {
    let with = |severity: &'static str| {
        move |problem: &Problem| {
            let mut object = problem.to_json();
            object["severity"] = severity.into();
            object
        }
    };
    let list = problems.iter().map(with("error")).chain(warnings.iter().map(with("warning"))).collect();
    format!("{:#}\n", serde_json::Value::Array(list))
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is wrong.
    Error,
    /// It is most likely not what was meant.
    Warning,
    /// It is worth a thought.
    Hint,
}

impl Severity {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Hint => "hint",
        }
    }
}

/// One problem under the word for how bad it is. `colour` writes ANSI escapes.
#[must_use]
pub fn render_one(problem: &Problem, severity: Severity, colour: bool) -> String {
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Hint => Level::NOTE.with_name("hint"),
    };
    element(problem, level, colour)
}

pub(crate) fn problem(problem: &Problem, colour: bool) -> String {
    element(problem, Level::ERROR, colour)
}

fn element(problem: &Problem, level: Level<'_>, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let title = match &problem.place {
        Place::Flag(flag) => format!("{flag}: {}", problem.message),
        Place::Line(_) if !problem.path.is_empty() => format!("{}: {}", problem.path, problem.message),
        _ => problem.message.clone(),
    };
    let mut group = Group::with_title(level.primary_title(title));
    group = match &problem.place {
        Place::Line(quote) => group.element(
            Snippet::source(quote.text.as_str())
                .line_start(quote.line)
                .path(&*quote.file)
                .annotation(AnnotationKind::Primary.span(quote.mark.clone())),
        ),
        Place::File(file) => group.element(Origin::path(&**file)),
        Place::Flag(_) => group,
    };
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group]).to_string()
}
