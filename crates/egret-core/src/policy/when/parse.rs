//! From the text to the tree, by the parser of the `cel` crate.

use cel::Env;
use cel::common::ast::{IdedExpr, SourceInfo};
use cel::parser::ParseError;

use super::error::{self, WhenError};
use super::scan::{MAX_NESTING, Token};

/// The tree and where its nodes stand. Macros (`has`, `all`, …) are left as the calls that they are written as.
///
/// # Errors
/// What does not follow the grammar.
pub(super) fn parse(text: &str, tokens: &[Token]) -> Result<(IdedExpr, SourceInfo), Vec<WhenError>> {
    let parser = Env::default().with_optional_support(false).parser();
    // What `scan` lets through has no more levels than this; each bracket can be two for the parser.
    let parser = parser.max_recursion_depth(2 * MAX_NESTING as u16 + 8);
    parser.parse_with_source_info(text).map_err(|errors| {
        let mut found: Vec<WhenError> = Vec::new();
        for error in &errors.errors {
            let unexpected = error.msg.starts_with("Syntax error");
            // After the first one the parser guesses where to go on.
            if !(unexpected && !found.is_empty() || error.msg.starts_with("Incomplete")) {
                found.push(told(text, tokens, error));
            }
        }
        if found.is_empty() {
            found.push(WhenError::new("the condition is no CEL expression"));
        }
        found
    })
}

/// The parser's error in other words.
fn told(text: &str, tokens: &[Token], error: &ParseError) -> WhenError {
    let (line, column) = (error.pos.0.try_into().unwrap_or(0), error.pos.1.try_into().unwrap_or(0));
    let at = error::offset(text, line, column);
    let token = tokens.iter().find(|token| token.end > at).map(|token| &text[token.start..token.end]);
    let Some(token) = token else {
        return WhenError::new("the condition ends where a value is missing").at(text, text.trim_end().len());
    };
    if error.msg.starts_with("Syntax error") || error.msg.is_empty() {
        let error = WhenError::new(format!("`{token}` is not expected here")).at(text, at);
        return match token {
            "=" => error.help("write `==`"),
            _ if token.starts_with(['"', '\'']) => {
                error.help("an operator or a comma may be missing before it")
            }
            _ => error,
        };
    }
    let message = match error.msg.as_str() {
        "invalid int literal" => format!("{token} does not fit an int (64 bits, with a sign)"),
        message if message.starts_with("reserved identifier") => format!("`{token}` is a reserved word"),
        message if message.starts_with("unsupported syntax") => format!("`{token}` is not expected here"),
        message if message.starts_with("invalid string literal") => {
            "an escape in the text is no character".into()
        }
        message => message.to_owned(),
    };
    WhenError::new(message).at(text, at)
}
