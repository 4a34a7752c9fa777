//! Whether a request is what a rule asks for.
//!
//! Proxies and origins do not always read a request alike (`/a/../b`, `%2e%2e`, a key given twice). So a
//! rule that allows wants every reading to match, and a rule that denies is content with one.

use std::borrow::Cow;

use super::ask::RequestFacts;
use super::model::{FieldMatch, HttpMatch};
use crate::pattern::Glob;

/// How sure a match has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readings {
    /// All of them match.
    All,
    /// One of them matches.
    Any,
}

impl Readings {
    fn hold<T>(self, mut items: impl Iterator<Item = T>, matches: impl FnMut(T) -> bool) -> bool {
        match self {
            Self::All => items.all(matches),
            Self::Any => items.any(matches),
        }
    }
}

/// What of the request does not match; `None` when it all does.
pub(super) fn mismatch(rule: &HttpMatch, request: &RequestFacts<'_>, readings: Readings) -> Option<String> {
    if !rule.methods.is_empty() && !rule.methods.iter().any(|method| **method == *request.method) {
        return Some(format!("the method is {}", request.method));
    }
    if !rule.paths.is_empty() {
        let paths = readings_of_path(request.path);
        let matches = readings.hold(paths.iter(), |path| rule.paths.iter().any(|glob| glob.matches(path)));
        if !matches {
            return Some(format!("the path is {}", request.path));
        }
    }
    if let Some(key) = rule.query.iter().find(|field| !query_matches(field, request.query, readings)) {
        return Some(format!("the query's `{}` is not as asked", key.name));
    }
    if let Some(field) = rule.headers.iter().find(|field| !header_matches(field, request, readings)) {
        return Some(format!("the header field `{}` is not as asked", field.name));
    }
    if !rule.content_types.is_empty() && !content_type_matches(&rule.content_types, request, readings) {
        return Some("the body's media type is another".to_owned());
    }
    None
}

fn field_matches(field: &FieldMatch, values: &[Cow<'_, str>], readings: Readings) -> bool {
    let one = |value: &Cow<'_, str>| field.values.iter().any(|glob| glob.matches(value));
    let present = match values {
        [] => false,
        _ if field.values.is_empty() => true,
        // Absence has to hold for every reading, so presence for any, and the other way about.
        values if field.absent => match readings {
            Readings::All => values.iter().any(one),
            Readings::Any => values.iter().all(one),
        },
        values => readings.hold(values.iter(), one),
    };
    present != field.absent
}

fn query_matches(field: &FieldMatch, query: Option<&str>, readings: Readings) -> bool {
    let mut values = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(key, true) == *field.name {
            values.push(decode(value, true));
        }
    }
    field_matches(field, &values, readings)
}

fn header_matches(field: &FieldMatch, request: &RequestFacts<'_>, readings: Readings) -> bool {
    field_matches(field, &header(request, &field.name), readings)
}

fn header<'a>(request: &RequestFacts<'_>, wanted: &str) -> Vec<Cow<'a, str>> {
    let mut values = Vec::new();
    request.headers.for_each(&mut |name, value| {
        if name.eq_ignore_ascii_case(wanted) {
            values.push(Cow::Owned(String::from_utf8_lossy(value).trim_matches([' ', '\t']).to_owned()));
        }
    });
    values
}

fn content_type_matches(globs: &[Glob], request: &RequestFacts<'_>, readings: Readings) -> bool {
    let types = header(request, "content-type");
    if types.is_empty() {
        // Without a body there is nothing to object to.
        return readings == Readings::All && request.body_length == Some(0);
    }
    readings.hold(types.iter(), |value| {
        let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        globs.iter().any(|glob| glob.matches(&media_type))
    })
}

/// The paths that a request can be read to have: with dot segments resolved (RFC 3986 section 6.2.2), and
/// as a lenient origin reads it, which decodes everything first and takes backslashes for slashes.
fn readings_of_path(path: &str) -> Vec<Cow<'_, str>> {
    let path = if path.is_empty() { "/" } else { path };
    if !path.contains(['%', '\\', ';']) && !path.contains("/.") && !path.contains("//") {
        return vec![Cow::Borrowed(path)];
    }
    let strict = without_dot_segments(&decode_unreserved(path), false);
    let mut decoded = decode(path, false).into_owned();
    // Twice encoded is once encoded to whoever decodes twice.
    if decoded.contains('%') {
        decoded = decode(&decoded, false).into_owned();
    }
    let lenient = decoded.replace('\\', "/");
    // Parameters of a segment (`;jsessionid=1`) are no part of it to servlet containers.
    let lenient: Vec<&str> =
        lenient.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    let lenient = without_dot_segments(&lenient.join("/"), true);
    vec![Cow::Owned(strict), Cow::Owned(lenient)]
}

fn without_dot_segments(path: &str, merge_slashes: bool) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            "" if merge_slashes && !is_last => {}
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

fn decode_unreserved(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match rest.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
                rest = &rest[3..];
            }
            _ => {
                out.push('%');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn decode(text: &str, is_form: bool) -> Cow<'_, str> {
    let is_coded = text.contains('%') || is_form && text.contains('+');
    if !is_coded {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let coded = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (bytes[at], coded) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) if is_form => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_paths_as_strict_and_as_lenient_origins_do() {
        let table = [
            ("/a/b", vec!["/a/b"]),
            ("", vec!["/"]),
            ("/public/../admin", vec!["/admin", "/admin"]),
            ("/public/%2e%2e/admin", vec!["/admin", "/admin"]),
            ("/public/..%2fadmin", vec!["/public/..%2fadmin", "/admin"]),
            ("/public/%252e%252e/admin", vec!["/public/%252e%252e/admin", "/admin"]),
            ("/public/..\\admin", vec!["/public/..\\admin", "/admin"]),
            ("/public/..;x=1/admin", vec!["/public/..;x=1/admin", "/admin"]),
            ("//a///b", vec!["//a///b", "/a/b"]),
            ("/a/./b/", vec!["/a/b/", "/a/b/"]),
            ("/a/..", vec!["/", "/"]),
            ("/../../a", vec!["/a", "/a"]),
            ("/%41%zz%", vec!["/A%zz%", "/A%zz%"]),
        ];
        for (path, expected) in table {
            assert_eq!(readings_of_path(path), expected, "{path}");
        }
    }

    fn request<'a>(
        path: &'a str,
        query: Option<&'a str>,
        headers: &'a [(&'a str, &'a str)],
    ) -> RequestFacts<'a> {
        RequestFacts {
            method: "GET",
            scheme: "http",
            path,
            query,
            headers: Box::leak(Box::new(Fields(headers.to_vec()))),
            body_length: Some(0),
        }
    }

    #[derive(Debug)]
    struct Fields<'a>(Vec<(&'a str, &'a str)>);

    impl super::super::ask::Headers for Fields<'_> {
        fn for_each(&self, field: &mut dyn FnMut(&str, &[u8])) {
            self.0.iter().for_each(|(name, value)| field(name, value.as_bytes()));
        }
    }

    #[test]
    fn allows_only_what_every_reading_matches_and_denies_what_one_does() {
        let public = HttpMatch { paths: vec![Glob::path("/public/**").unwrap()], ..HttpMatch::default() };
        let admin = HttpMatch { paths: vec![Glob::path("/admin/**").unwrap()], ..HttpMatch::default() };
        let sly = request("/public/..%2fadmin/x", None, &[]);
        assert!(mismatch(&public, &sly, Readings::All).is_some());
        assert!(mismatch(&admin, &sly, Readings::Any).is_none());
        assert!(mismatch(&admin, &sly, Readings::All).is_some());

        let field = |absent| FieldMatch { name: "a".into(), values: vec![Glob::new("1").unwrap()], absent };
        let key = |absent| HttpMatch { query: vec![field(absent)], ..HttpMatch::default() };
        let twice = request("/", Some("a=1&a=2"), &[]);
        assert!(mismatch(&key(false), &twice, Readings::All).is_some());
        assert!(mismatch(&key(false), &twice, Readings::Any).is_none());
        assert!(mismatch(&key(true), &twice, Readings::All).is_some());
        assert!(mismatch(&key(true), &twice, Readings::Any).is_none());
        assert!(mismatch(&key(false), &request("/", Some("b=2&%61=1"), &[]), Readings::All).is_none());
    }

    #[test]
    fn compares_header_fields_and_media_types() {
        let rule = HttpMatch {
            headers: vec![FieldMatch { name: "x-team".into(), values: vec![], absent: false }],
            content_types: vec![Glob::new("application/json").unwrap()],
            ..HttpMatch::default()
        };
        let good = [("X-Team", "a"), ("Content-Type", "Application/JSON; charset=utf-8")];
        assert_eq!(mismatch(&rule, &request("/", None, &good), Readings::All), None);
        assert!(mismatch(&rule, &request("/", None, &good[1..]), Readings::All).is_some());
        let other = [("X-Team", "a"), ("content-type", "text/html")];
        assert!(mismatch(&rule, &request("/", None, &other), Readings::All).is_some());
    }
}
