//! Problems as a person reads them in a terminal.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::problem::{Place, Problem};

/// All problems, one after the other, and how many there are. `colour` writes ANSI escapes.
#[must_use]
pub fn render(problems: &[Problem], colour: bool) -> String {
    let mut text = String::new();
    for one in problems {
        text.push_str(&problem(one, colour));
        text.push_str("\n\n");
    }
    match problems.len() {
        0 => {}
        1 => text.push_str("1 error\n"),
        count => text.push_str(&format!("{count} errors\n")),
    }
    text
}

/// All problems as a JSON array, for programs.
#[must_use]
pub fn render_json(problems: &[Problem]) -> String {
    let list = problems.iter().map(Problem::to_json).collect();
    format!("{:#}\n", serde_json::Value::Array(list))
}

pub(crate) fn problem(problem: &Problem, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let title = match &problem.place {
        Place::Flag(flag) => format!("{flag}: {}", problem.message),
        Place::Line(_) if !problem.path.is_empty() => format!("{}: {}", problem.path, problem.message),
        _ => problem.message.clone(),
    };
    let mut group = Group::with_title(Level::ERROR.primary_title(title));
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
