//! From text to expressions. `!` binds before `&` (which need not be written), and `&` before `|`.

use super::ast::{Atom, Expr, Flag, NumberField, Test, TextField, TextMatch};
use super::error::{FilterError, nearest};
use super::fields::{self, Field, LETTERS};
use super::scan::Scanner;
use super::{Glob, MAX_DEPTH, MAX_FILTER_BYTES, MAX_REGEXES, MAX_TESTS, Pattern, Range};

pub(super) fn parse(text: &str) -> Result<Expr, FilterError> {
    let mut parser = Parser { scan: Scanner::new(text), depth: 0, tests: 0, regexes: 0 };
    if text.len() > MAX_FILTER_BYTES {
        let what = format!("it is longer than {MAX_FILTER_BYTES} bytes");
        return Err(parser.error(0, what, "use fewer or shorter words"));
    }
    parser.scan.skip_space();
    if parser.scan.rest().is_empty() {
        return Ok(Expr::All);
    }
    let expr = parser.or()?;
    parser.scan.skip_space();
    match parser.scan.peek() {
        None => Ok(expr),
        Some(_) => {
            Err(parser.error(parser.scan.at, "this `)` closes nothing", "take it away, or open it with `(`"))
        }
    }
}

struct Parser<'a> {
    scan: Scanner<'a>,
    depth: usize,
    tests: usize,
    regexes: usize,
}

impl Parser<'_> {
    fn error(&self, at: usize, what: impl Into<String>, hint: impl Into<String>) -> FilterError {
        self.scan.error_at(at, what, hint)
    }

    fn or(&mut self) -> Result<Expr, FilterError> {
        let mut all = Vec::new();
        loop {
            match self.and()? {
                Expr::Or(inner) => all.extend(inner),
                other => all.push(other),
            }
            if !self.scan.eat_operator('|') && !self.scan.eat_word("or") {
                return Ok(one_or(all, Expr::Or));
            }
        }
    }

    fn and(&mut self) -> Result<Expr, FilterError> {
        let mut all = Vec::new();
        loop {
            match self.not()? {
                Expr::And(inner) => all.extend(inner),
                other => all.push(other),
            }
            let explicit = self.scan.eat_operator('&') || self.scan.eat_word("and");
            self.scan.skip_space();
            let ends = matches!(self.scan.peek(), None | Some(')' | '|')) || self.scan.is_at_word("or");
            if !explicit && ends {
                return Ok(one_or(all, Expr::And));
            }
        }
    }

    fn not(&mut self) -> Result<Expr, FilterError> {
        self.scan.skip_space();
        let start = self.scan.at;
        let negated = self.scan.eat('!') || self.scan.eat_word("not");
        if !negated && self.scan.peek() != Some('(') {
            return self.test();
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let what = format!("more than {MAX_DEPTH} parentheses and `!` stand within each other");
            return Err(self.error(start, what, "write it flatter"));
        }
        let expr = if negated {
            Expr::Not(Box::new(self.not()?))
        } else {
            self.scan.eat('(');
            let inner = self.or()?;
            self.scan.skip_space();
            if !self.scan.eat(')') {
                return Err(self.error(start, "this `(` is never closed", "write `)` at its end"));
            }
            inner
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn test(&mut self) -> Result<Expr, FilterError> {
        let start = self.scan.at;
        self.tests += 1;
        if self.tests > MAX_TESTS {
            return Err(self.error(start, format!("there are more than {MAX_TESTS} tests"), "use fewer"));
        }
        match self.scan.peek() {
            None => {
                Err(self.error(start, "something is missing here", "write a test, such as host:example.com"))
            }
            Some(c @ (')' | '|' | '&')) => {
                let hint = "write a test before it, or put it in quotes to look for the sign itself";
                Err(self.error(start, format!("`{c}` stands where a test should"), hint))
            }
            Some('~') => self.letter(start),
            Some('"' | '\'') => {
                let text = self.scan.quoted()?;
                self.regex(Atom::Url, &text, start)
            }
            Some(_) => self.word(start),
        }
    }

    /// `~x`, with its argument if it has one.
    fn letter(&mut self, start: usize) -> Result<Expr, FilterError> {
        self.scan.eat('~');
        let name = self.scan.take(|c| c.is_ascii_alphanumeric() || c == '_').to_owned();
        if let Some((_, flag)) = LETTERS.iter().find(|(letter, _)| *letter == name) {
            return Ok(flag.map_or(Expr::All, |flag| Expr::Test(Test::Is(flag))));
        }
        let atom = Atom::parse(&name);
        if atom.is_none() && name != "c" {
            let hint = match nearest(&name, fields::letters()) {
                Some(near) => format!("did you mean ~{near}?"),
                None => "docs/flows.md has them all; or use clear words, such as host:example.com".to_owned(),
            };
            return Err(self.error(start, format!("there is no ~{name}"), hint));
        }
        self.scan.skip_space();
        let at = self.scan.at;
        let argument = self.argument(&name)?;
        match atom {
            Some(atom) => self.regex(atom, &argument, at),
            None => self.number(NumberField::Status, &argument, at),
        }
    }

    /// What stands after `~x`.
    fn argument(&mut self, name: &str) -> Result<String, FilterError> {
        let at = self.scan.at;
        if matches!(self.scan.peek(), Some('"' | '\'')) {
            return self.scan.quoted();
        }
        let code = name == "c";
        let word = self.scan.take(|c| is_word(c) && !(code && matches!(c, '|' | '&')));
        // `~d a|~m POST`: the sign belongs to what follows, not to the expression.
        let own = match self.scan.peek() {
            Some('~') if word.len() > 1 => word.trim_end_matches(['|', '&']),
            _ => word,
        };
        self.scan.at -= word.len() - own.len();
        self.no_parenthesis(own)?;
        if own.is_empty() {
            let example = if code { "500" } else { "text" };
            let quotes = if self.scan.peek() == Some('(') { ", in quotes if it has parentheses" } else { "" };
            let hint = format!("write it after a space: ~{name} {example}{quotes}");
            return Err(self.error(at, format!("~{name} needs something to look for"), hint));
        }
        Ok(own.to_owned())
    }

    /// `~m ^(get|post)$` is not what it looks like: a parenthesis ends a word, and opens a group of tests.
    fn no_parenthesis(&self, word: &str) -> Result<(), FilterError> {
        if word.is_empty() || self.scan.peek() != Some('(') {
            return Ok(());
        }
        let hint = "put the expression in quotes, or write a space before a group of tests";
        Err(self.error(self.scan.at, "this `(` stands within a word", hint))
    }

    /// `field:value`, or a regular expression for the URL.
    fn word(&mut self, start: usize) -> Result<Expr, FilterError> {
        let rest = self.scan.rest();
        let name_end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(rest.len());
        let name = &rest[..name_end];
        let is_field = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && rest[name_end..].starts_with(':')
            && !rest[name_end..].starts_with("://");
        if !is_field {
            let word = self.scan.take(is_word);
            let own = match self.scan.peek() {
                Some('~') if word.len() > 1 => word.trim_end_matches(['|', '&']),
                _ => word,
            };
            self.scan.at -= word.len() - own.len();
            self.no_parenthesis(own)?;
            return self.regex(Atom::Url, own, start);
        }
        let lower = name.to_ascii_lowercase().replace('_', "-");
        let Some(field) = fields::field(&lower) else {
            let hint = match nearest(&lower, fields::field_names()) {
                Some(near) => format!("did you mean {near}:?"),
                None => "to look for the text itself, put it in quotes".to_owned(),
            };
            return Err(self.error(start, format!("there is no field `{name}`"), hint));
        };
        self.scan.at += name_end + 1;
        self.field(field, &lower)
    }

    fn field(&mut self, field: Field, name: &str) -> Result<Expr, FilterError> {
        let at = self.scan.at;
        let by_regex = matches!(field, Field::Text(_)) && self.scan.eat('~');
        let value = self.value()?;
        if value.is_empty() && !matches!(field, Field::Text(_)) {
            let example =
                fields::WORDS.iter().find(|(word, _, _)| *word == name).map_or("", |(_, example, _)| example);
            return Err(self.error(at, format!("{name}: needs a value"), format!("for instance {example}")));
        }
        match field {
            Field::Number(number) => self.number(number, &value, at),
            Field::Body(atom) => self.regex(atom, &regex::escape(&value), at),
            Field::Since => self.number(NumberField::Age, &format!("<={value}"), at),
            Field::Header(side) => {
                let (header, value) = match value.split_once('=') {
                    Some((header, value)) => (header, Some(Glob::new(value))),
                    None => (value.as_str(), None),
                };
                Ok(Expr::Test(Test::Header(side, header.to_ascii_lowercase(), value)))
            }
            Field::Is => match Flag::parse(&value.to_ascii_lowercase()) {
                Some(flag) => Ok(Expr::Test(Test::Is(flag))),
                None => {
                    let kinds = || Flag::ALL.iter().map(|flag| flag.as_str());
                    let hint = match nearest(&value, kinds()) {
                        Some(near) => format!("did you mean is:{near}?"),
                        None => format!("there are {}", kinds().collect::<Vec<_>>().join(", ")),
                    };
                    Err(self.error(at, format!("there is no kind `{value}`"), hint))
                }
            },
            Field::Text(text) => self.text(text, &value, by_regex, at),
        }
    }

    fn text(
        &mut self,
        field: TextField,
        value: &str,
        by_regex: bool,
        at: usize,
    ) -> Result<Expr, FilterError> {
        if by_regex {
            let pattern = self.pattern(Atom::Url, value, at)?;
            return Ok(Expr::Test(Test::Text(field, TextMatch::Regex(pattern))));
        }
        if let (Some(net), Ok(network)) = (fields::net_field(field), value.parse::<ipnet::IpNet>()) {
            return Ok(Expr::Test(Test::Net(net, network.trunc())));
        }
        Ok(Expr::Test(Test::Text(field, TextMatch::Glob(Glob::new(value)))))
    }

    /// The value of a field. Here `&` and `|` are operators, as nobody looks for them in a host or a status.
    fn value(&mut self) -> Result<String, FilterError> {
        let prefix =
            self.scan.take(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '"' | '\'' | '&' | '|'));
        let prefix = prefix.to_owned();
        match self.scan.peek() {
            Some('"' | '\'') => Ok(prefix + &self.scan.quoted()?),
            _ => Ok(prefix),
        }
    }

    fn number(&self, field: NumberField, value: &str, at: usize) -> Result<Expr, FilterError> {
        match Range::parse(value, field) {
            Some(range) => Ok(Expr::Test(Test::Number(field, range))),
            None => {
                let what = format!("`{value}` is no {} or range of it", field.as_str());
                Err(self.error(at, what, format!("write {}", field.example())))
            }
        }
    }

    fn pattern(&mut self, atom: Atom, source: &str, at: usize) -> Result<Pattern, FilterError> {
        self.regexes += 1;
        if self.regexes > MAX_REGEXES {
            let what = format!("there are more than {MAX_REGEXES} regular expressions");
            return Err(self.error(
                at,
                what,
                "join some with `|` in quotes, or use clear words such as host:",
            ));
        }
        Pattern::new(source, atom).map_err(|why| {
            let what = format!("this is no regular expression: {why}");
            self.error(at, what, "to look for a sign itself, write \\ before it")
        })
    }

    fn regex(&mut self, atom: Atom, source: &str, at: usize) -> Result<Expr, FilterError> {
        Ok(Expr::Test(Test::Regex(atom, self.pattern(atom, source, at)?)))
    }
}

/// As in mitmproxy: a word ends at a space, a quote, a parenthesis or `~`.
fn is_word(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '(' | ')' | '~' | '"' | '\'')
}

fn one_or(mut all: Vec<Expr>, join: impl Fn(Vec<Expr>) -> Expr) -> Expr {
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            all.push(last);
            join(all)
        }
        (None, _) => Expr::All,
    }
}
