//! Patterns of `*`.

/// A pattern for the whole of a text: `*` stands for any run of characters, `\*` for a star. Case does not
/// matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    source: String,
    /// The parts between stars, in lower case.
    parts: Vec<Vec<u8>>,
}

impl Glob {
    /// Reads a pattern; every text is one.
    #[must_use]
    pub fn new(source: &str) -> Self {
        let mut parts = vec![Vec::new()];
        let mut bytes = source.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let literal = match byte {
                b'*' => {
                    parts.push(Vec::new());
                    continue;
                }
                b'\\' if bytes.peek() == Some(&b'*') => bytes.next().unwrap_or(b'*'),
                other => other,
            };
            if let Some(part) = parts.last_mut() {
                part.push(literal.to_ascii_lowercase());
            }
        }
        Self { source: source.to_owned(), parts }
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it stands for the whole of this text.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts.first().is_some_and(|only| text.eq_ignore_ascii_case(only));
        };
        if text.len() < first.len() + last.len() || !text[..first.len()].eq_ignore_ascii_case(first) {
            return false;
        }
        let (mut rest, tail) = text[first.len()..].split_at(text.len() - first.len() - last.len());
        if !tail.eq_ignore_ascii_case(last) {
            return false;
        }
        for part in middle.iter().filter(|part| !part.is_empty()) {
            let Some(at) = rest.windows(part.len()).position(|window| window.eq_ignore_ascii_case(part))
            else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("example.com", &["example.com", "EXAMPLE.com"], &["api.example.com", "example.co", ""]),
            ("*.example.com", &["api.example.com", "a.b.Example.com"], &["example.com"]),
            ("*", &["", "a"], &[]),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("a*b*c", &["abc", "axxbxxc", "abbc"], &["acb", "ac"]),
            ("**b", &["b", "ab"], &["ba"]),
            (r"a\*", &["a*"], &["ab"]),
            ("", &[""], &["a"]),
        ];
        for (glob, yes, no) in table {
            let glob = Glob::new(glob);
            assert!(yes.iter().all(|text| glob.matches(text.as_bytes())), "{glob:?}");
            assert!(!no.iter().any(|text| glob.matches(text.as_bytes())), "{glob:?}");
        }
    }
}
