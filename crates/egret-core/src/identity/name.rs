//! Names in certificates, and patterns for them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What kind of name a certificate has. In the order in which they stand for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameKind {
    /// A URI in subjectAltName, as a SPIFFE ID is.
    Uri,
    /// A DNS name in subjectAltName.
    Dns,
    /// An e-mail address in subjectAltName.
    Email,
    /// The subject, as RFC 4514 writes it: the most specific part first, as in `CN=build,O=Example`.
    Subject,
}

impl NameKind {
    /// The word before the colon in a pattern.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uri => "uri",
            Self::Dns => "dns",
            Self::Email => "email",
            Self::Subject => "subject",
        }
    }

    /// What `*` does not go past.
    const fn separator(self) -> Option<char> {
        match self {
            Self::Uri => Some('/'),
            Self::Dns => Some('.'),
            Self::Email => Some('@'),
            Self::Subject => None,
        }
    }
}

/// A name in a certificate, in one normal form: DNS names and the domains of e-mail addresses in lower
/// case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateName {
    /// Its kind.
    pub kind: NameKind,
    /// The name.
    pub value: Arc<str>,
}

impl CertificateName {
    /// A name of a certificate, brought into normal form.
    #[must_use]
    pub fn new(kind: NameKind, value: &str) -> Self {
        Self { kind, value: normal(kind, value).into() }
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.value)
    }
}

fn normal(kind: NameKind, value: &str) -> String {
    match kind {
        NameKind::Uri | NameKind::Subject => value.to_owned(),
        NameKind::Dns => value.to_ascii_lowercase(),
        // RFC 5280 section 4.2.1.10: the host part without regard to case, the local part exactly.
        NameKind::Email => match value.rsplit_once('@') {
            Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
            None => value.to_owned(),
        },
    }
}

/// A pattern for names in certificates: the kind, a colon, and the name, in which `*` stands for any
/// characters but the separator of that kind (`/` in URIs, `.` in DNS names, `@` in e-mail addresses)
/// and `**` for any at all. A text that begins with `spiffe://` is a URI without the kind being said.
///
/// ```
/// use egret_core::identity::{CertificateName, NameKind, NamePattern};
///
/// let pattern: NamePattern = "spiffe://example.org/ns/*/sa/build".parse()?;
/// assert!(pattern.matches(&CertificateName::new(NameKind::Uri, "spiffe://example.org/ns/ci/sa/build")));
/// # Ok::<(), egret_core::identity::BadPattern>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    kind: NameKind,
    parts: Vec<Part>,
    text: Box<str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(char),
    /// `*`
    WithinSegment,
    /// `**`
    Anything,
}

/// A text that is no pattern, and what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// It does not say what kind of name it is for.
    #[error("`{0}` does not say what kind of name it is for")]
    NoKind(String),
    /// It names nothing.
    #[error("`{0}` names nothing")]
    Empty(String),
    /// It is not of its kind.
    #[error("`{text}` is no {kind}: {problem}")]
    Malformed {
        /// The text.
        text: String,
        /// What it should be.
        kind: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Longer ones are mistakes; names are matched in time that grows with both lengths.
const LONGEST: usize = 1024;

impl FromStr for NamePattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let (kind, value) = match text.split_once(':') {
            _ if text.starts_with("spiffe://") => (NameKind::Uri, text),
            Some(("uri", value)) => (NameKind::Uri, value),
            Some(("dns", value)) => (NameKind::Dns, value),
            Some(("email", value)) => (NameKind::Email, value),
            Some(("subject", value)) => (NameKind::Subject, value),
            _ => return Err(BadPattern::NoKind(text.to_owned())),
        };
        if value.is_empty() {
            return Err(BadPattern::Empty(text.to_owned()));
        }
        let malformed =
            |problem| BadPattern::Malformed { text: text.to_owned(), kind: kind.as_str(), problem };
        if value.len() > LONGEST {
            return Err(malformed("it is too long"));
        }
        if value.chars().any(char::is_control) || value.trim() != value {
            return Err(malformed("it has spaces around it, or a control character in it"));
        }
        match kind {
            NameKind::Uri if !value.contains(':') => return Err(malformed("a URI has a scheme")),
            NameKind::Email if !value.contains('@') && !value.contains("**") => {
                return Err(malformed("an e-mail address has an @"));
            }
            NameKind::Dns if value.contains([' ', '/', '@', ':']) => {
                return Err(malformed("a DNS name has letters, digits, hyphens and dots"));
            }
            NameKind::Subject if !value.contains('=') && !value.contains('*') => {
                return Err(malformed("a subject is written as in CN=build,O=Example"));
            }
            _ => {}
        }
        Ok(Self { kind, parts: parts(&normal(kind, value)), text: text.into() })
    }
}

fn parts(value: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    for character in value.chars() {
        match (character, parts.last()) {
            ('*', Some(Part::WithinSegment | Part::Anything)) => {
                parts.pop();
                parts.push(Part::Anything);
            }
            ('*', _) => parts.push(Part::WithinSegment),
            (literal, _) => parts.push(Part::Literal(literal)),
        }
    }
    parts
}

impl NamePattern {
    /// What kind of name it is for.
    #[must_use]
    pub fn kind(&self) -> NameKind {
        self.kind
    }

    /// What every name that it is for begins with, and whether that is all of it.
    #[must_use]
    pub fn literal_prefix(&self) -> (String, bool) {
        let literals = self.parts.iter().map_while(|part| match part {
            Part::Literal(literal) => Some(*literal),
            Part::WithinSegment | Part::Anything => None,
        });
        let prefix: String = literals.collect();
        let is_whole = prefix.chars().count() == self.parts.len();
        (prefix, is_whole)
    }

    /// Whether it is for this name. Takes time in proportion to the product of both lengths at the most.
    #[must_use]
    pub fn matches(&self, name: &CertificateName) -> bool {
        if name.kind != self.kind {
            return false;
        }
        // `reached[n]`: the parts so far can stand for the first n characters.
        let characters: Vec<char> = name.value.chars().collect();
        let mut reached = vec![false; characters.len() + 1];
        reached[0] = true;
        for part in &self.parts {
            let mut next = vec![false; reached.len()];
            for at in 0..reached.len() {
                next[at] = match part {
                    Part::Literal(literal) => at > 0 && reached[at - 1] && characters[at - 1] == *literal,
                    Part::Anything => reached[at] || (at > 0 && next[at - 1]),
                    Part::WithinSegment => {
                        let goes_on = || Some(characters[at - 1]) != self.kind.separator();
                        reached[at] || (at > 0 && next[at - 1] && goes_on())
                    }
                };
            }
            reached = next;
        }
        reached.last().copied().unwrap_or(false)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, kind: NameKind, name: &str) -> bool {
        pattern.parse::<NamePattern>().unwrap().matches(&CertificateName::new(kind, name))
    }

    #[test]
    fn matches_names_as_documented() {
        use NameKind::*;
        let table = [
            ("spiffe://a.org/ns/x/sa/y", Uri, "spiffe://a.org/ns/x/sa/y", true),
            ("spiffe://a.org/ns/x/sa/y", Uri, "spiffe://a.org/ns/x/sa/y/z", false),
            ("spiffe://a.org/ns/*/sa/y", Uri, "spiffe://a.org/ns/x/sa/y", true),
            ("spiffe://a.org/ns/*/sa/y", Uri, "spiffe://a.org/ns/x/w/sa/y", false),
            ("spiffe://a.org/**", Uri, "spiffe://a.org/ns/x/sa/y", true),
            ("spiffe://a.org/**", Uri, "spiffe://a.org.evil/ns", false),
            ("uri:https://a/*", Uri, "https://a/b", true),
            ("uri:https://a/b", Uri, "https://A/b", false),
            ("dns:*.a.test", Dns, "B.A.test", true),
            ("dns:*.a.test", Dns, "a.test", false),
            ("dns:*.a.test", Dns, "c.b.a.test", false),
            ("dns:**.a.test", Dns, "c.b.a.test", true),
            ("dns:a.test", Dns, "a.test\0.evil", false),
            ("dns:a.test", Email, "a.test", false),
            ("email:*@a.test", Email, "b@A.TEST", true),
            ("email:b@a.test", Email, "B@a.test", false),
            ("email:*@a.test", Email, "\"x@y\"@a.test", false),
            ("subject:CN=build,*", Subject, "CN=build,O=Example", true),
            ("subject:CN=build", Subject, "CN=build,O=Example", false),
            ("subject:*", Subject, "CN=x", true),
        ];
        for (pattern, kind, name, expected) in table {
            assert_eq!(matches(pattern, kind, name), expected, "{pattern} for {name}");
        }
    }

    #[test]
    fn refuses_what_is_no_pattern() {
        for text in
            ["", "build", "dns:", "uri:x", "email:nobody", "subject:build", "dns: a", "dns:a b", "cn:x"]
        {
            assert!(text.parse::<NamePattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = format!("subject:CN={}x", "*a".repeat(400));
        let name = format!("CN={}", "a".repeat(4000));
        assert!(!matches(&pattern, NameKind::Subject, &name));
    }
}
