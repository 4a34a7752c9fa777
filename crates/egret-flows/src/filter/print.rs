//! From expressions to text that reads as the same expression.

use std::fmt::{self, Display, Formatter, Write as _};

use super::ast::{Expr, Test, TextMatch};
use crate::flow::Side;

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("~all"),
            Self::Not(inner) => {
                f.write_char('!')?;
                grouped(inner, f, matches!(**inner, Self::And(_) | Self::Or(_)))
            }
            Self::And(all) => {
                for (index, expr) in all.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { " & " })?;
                    grouped(expr, f, matches!(expr, Self::And(_) | Self::Or(_)))?;
                }
                Ok(())
            }
            Self::Or(all) => {
                for (index, expr) in all.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { " | " })?;
                    grouped(expr, f, matches!(expr, Self::Or(_)))?;
                }
                Ok(())
            }
            Self::Test(test) => test.fmt(f),
        }
    }
}

fn grouped(expr: &Expr, f: &mut Formatter<'_>, group: bool) -> fmt::Result {
    if group { write!(f, "({expr})") } else { expr.fmt(f) }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regex(atom, pattern) => {
                write!(f, "~{} ", atom.as_str())?;
                quote(pattern.source(), f)
            }
            Self::Is(flag) => write!(f, "is:{}", flag.as_str()),
            Self::Text(field, how) => {
                write!(f, "{}:", field.as_str())?;
                match how {
                    TextMatch::Glob(glob) => word(glob.source(), f),
                    TextMatch::Regex(pattern) => {
                        f.write_char('~')?;
                        quote(pattern.source(), f)
                    }
                }
            }
            Self::Number(field, range) => {
                write!(f, "{}:", field.as_str())?;
                range.print(*field, f)
            }
            Self::Net(field, network) => write!(f, "{}:{network}", field.as_str()),
            Self::Header(side, name, value) => {
                f.write_str(match side {
                    None => "header:",
                    Some(Side::Request) => "request-header:",
                    Some(Side::Response) => "response-header:",
                })?;
                match value {
                    Some(value) => word(&format!("{name}={}", value.source()), f),
                    None => word(name, f),
                }
            }
        }
    }
}

/// The value of a field: as it is where nothing in it means anything.
fn word(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-*/:=+@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { f.write_str(text) } else { quote(text, f) }
}

fn quote(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}
