//! Looks a condition over before it is parsed: the parser recurses with what is nested, goes on after what it
//! cannot read, and says of it only what its grammar would have liked instead.

use super::error::WhenError;

/// The longest condition, in bytes.
pub const MAX_TEXT_BYTES: usize = 8192;
/// The most words, numbers, texts and signs in a condition. Its tree has no more nodes than this.
pub const MAX_TOKENS: usize = 1000;
/// How deep brackets and `?:` may be nested in a condition.
pub const MAX_NESTING: usize = 32;

/// A word, number, text or sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The tokens of a condition.
///
/// # Errors
/// What is no CEL whatever stands around it: what is here taken for a text or a bracket is one for the parser
/// too.
pub(super) fn scan(text: &str) -> Result<Vec<Token>, WhenError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(WhenError::new(format!(
            "the condition has {} bytes, at most {MAX_TEXT_BYTES} are allowed",
            text.len()
        ))
        .help("lists of hosts belong into `to`, and several rules are easier to read than one"));
    }
    let mut scanner = Scanner { text, at: 0, open: Vec::new(), choices: 0, tokens: Vec::new() };
    while scanner.token()? {}
    if let Some((bracket, at)) = scanner.open.pop() {
        return Err(WhenError::new(format!("`{}` is never closed", char::from(bracket))).at(text, at));
    }
    if scanner.tokens.is_empty() {
        return Err(WhenError::new("the condition is empty").help("leave `when` out if there is none"));
    }
    Ok(scanner.tokens)
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// The brackets that are open.
    open: Vec<(u8, usize)>,
    /// How many `?` there were.
    choices: usize,
    tokens: Vec<Token>,
}

impl Scanner<'_> {
    fn rest(&self) -> &[u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn error(&self, at: usize, message: impl Into<String>) -> WhenError {
        WhenError::new(message).at(self.text, at)
    }

    /// Takes a token, and says whether there was one.
    fn token(&mut self) -> Result<bool, WhenError> {
        self.skip_blank();
        let start = self.at;
        let Some(first) = self.rest().first().copied() else { return Ok(false) };
        let length = match first {
            b'(' | b'[' | b'{' => {
                self.open.push((first, start));
                1
            }
            b')' | b']' | b'}' => {
                self.close(first)?;
                1
            }
            b'?' => {
                self.choices += 1;
                1
            }
            b'"' | b'\'' => self.quoted(0, false)?,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => match self.prefix() {
                Some((length, raw)) => self.quoted(length, raw)?,
                None => self.word()?,
            },
            b'0'..=b'9' => self.rest().iter().take_while(|b| b.is_ascii_alphanumeric()).count(),
            b'=' | b'&' | b'|' => self.doubled(first)?,
            b'!' | b'<' | b'>' if self.rest().get(1) == Some(&b'=') => 2,
            b'.' | b',' | b':' | b'+' | b'-' | b'*' | b'/' | b'%' | b'!' | b'<' | b'>' => 1,
            _ => return Err(self.strange()),
        };
        if self.open.len() + self.choices > MAX_NESTING {
            return Err(self.error(start, format!("the condition is nested deeper than {MAX_NESTING}")));
        }
        if self.tokens.len() == MAX_TOKENS {
            return Err(self.error(
                start,
                format!("the condition has more than {MAX_TOKENS} words, numbers, texts and signs"),
            ));
        }
        self.at = start + length;
        self.tokens.push(Token { start, end: self.at });
        Ok(true)
    }

    /// Passes white space and comments.
    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0x0c)).count();
            let comment = match &rest[blank..] {
                [b'/', b'/', ..] => rest[blank..].iter().take_while(|b| **b != b'\n').count(),
                _ => 0,
            };
            self.at += blank + comment;
            if comment == 0 {
                return;
            }
        }
    }

    fn close(&mut self, bracket: u8) -> Result<(), WhenError> {
        let wanted = match bracket {
            b')' => b'(',
            b']' => b'[',
            _ => b'{',
        };
        let shown = char::from(bracket);
        match self.open.pop() {
            Some((open, _)) if open == wanted => Ok(()),
            Some((open, at)) => {
                let (_, column) = super::error::position(self.text, at);
                let open = char::from(open);
                Err(self.error(self.at, format!("`{shown}` closes the `{open}` of column {column}")))
            }
            None => Err(self.error(self.at, format!("`{shown}` closes nothing"))),
        }
    }

    /// `==`, `&&` or `||`.
    fn doubled(&self, sign: u8) -> Result<usize, WhenError> {
        if self.rest().get(1) == Some(&sign) {
            return Ok(2);
        }
        let sign = char::from(sign);
        Err(self.error(self.at, format!("`{sign}` is no operator")).help(format!("write `{sign}{sign}`")))
    }

    fn strange(&self) -> WhenError {
        let strange = self.text[self.at..].chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
        let error = self.error(self.at, format!("the character {strange:?} means nothing here"));
        match strange {
            '“' | '”' | '„' | '‘' | '’' | '`' => error.help("texts stand between \" or '"),
            _ => error,
        }
    }

    fn word(&self) -> Result<usize, WhenError> {
        let rest = self.rest();
        let length = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let named = self.tokens.last().is_some_and(|last| self.text.as_bytes()[last.start] == b'.');
        let meant = match &rest[..length] {
            b"and" => "&&",
            b"or" => "||",
            b"not" => "!",
            b"True" => "true",
            b"False" => "false",
            _ => return Ok(length),
        };
        if named {
            return Ok(length);
        }
        let word = &self.text[self.at..self.at + length];
        Err(self.error(self.at, format!("`{word}` is no word of CEL")).help(format!("write `{meant}`")))
    }

    /// The length of what stands before the quotation mark of a text (`r"…"`), and whether it is raw.
    fn prefix(&self) -> Option<(usize, bool)> {
        let rest = self.rest();
        let letters = rest.iter().take(3).take_while(|b| matches!(b, b'r' | b'R' | b'b' | b'B')).count();
        if !(1..=2).contains(&letters) || !matches!(rest.get(letters), Some(b'"' | b'\'')) {
            return None;
        }
        Some((letters, rest[..letters].iter().any(|b| b.eq_ignore_ascii_case(&b'r'))))
    }

    /// The length of a text with its quotation marks and what stands before them.
    fn quoted(&self, prefix: usize, raw: bool) -> Result<usize, WhenError> {
        let rest = self.rest();
        let mark = rest[prefix];
        let triple = rest[prefix..].starts_with(&[mark; 3]);
        let marks = if triple { 3 } else { 1 };
        let mut at = prefix + marks;
        loop {
            match rest.get(at) {
                None => break,
                Some(b'\n' | b'\r') if !triple => break,
                Some(b'\\') if !raw => at += self.escape(at)?,
                Some(_) if rest[at..].starts_with(&[mark; 3][..marks]) => return Ok(at + marks),
                Some(_) => at += 1,
            }
        }
        Err(self
            .error(self.at, "the text that begins here is never closed")
            .help(format!("it ends with the same {}", char::from(mark))))
    }

    /// The length of the escape at `at`.
    fn escape(&self, at: usize) -> Result<usize, WhenError> {
        let rest = &self.rest()[at..];
        let digits = |from: usize, count: usize, good: fn(&u8) -> bool| {
            rest.get(from..from + count).is_some_and(|digits| digits.iter().all(good))
        };
        let octal = |digit: &u8| (b'0'..=b'7').contains(digit);
        let length = match rest.get(1) {
            Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?') => Some(2),
            Some(b'x' | b'X') if digits(2, 2, u8::is_ascii_hexdigit) => Some(4),
            Some(b'u') if digits(2, 4, u8::is_ascii_hexdigit) => Some(6),
            Some(b'U') if digits(2, 8, u8::is_ascii_hexdigit) => Some(10),
            Some(b'0'..=b'3') if digits(2, 2, octal) => Some(4),
            _ => None,
        };
        length.ok_or_else(|| {
            let after = self.text[self.at + at + 1..].chars().next().unwrap_or(' ');
            self.error(self.at + at, format!("`\\{after}` is no escape in a text"))
                .help("write `\\\\` for a backslash, or r\"…\" for a text without escapes")
        })
    }
}
