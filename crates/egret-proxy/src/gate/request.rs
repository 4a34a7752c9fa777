//! Requests as rules see them.

use egret_core::policy::{Headers, RequestFacts};

use crate::http1::fields::{FieldName, Fields};
use crate::http1::target::Scheme;
use crate::http1::{BodyLength, RequestHead};

/// The fields of a request's head.
#[derive(Debug)]
pub struct HeadFields<'a> {
    fields: &'a Fields,
    input: &'a [u8],
}

impl<'a> HeadFields<'a> {
    /// The fields of the head that stands at the front of the input.
    #[must_use]
    pub fn new(head: &'a RequestHead, input: &'a [u8]) -> Self {
        Self { fields: &head.fields, input }
    }
}

impl Headers for HeadFields<'_> {
    fn for_each(&self, field: &mut dyn FnMut(&str, &[u8])) {
        for line in self.fields.iter().filter(|line| line.name != FieldName::ProxyAuthorization) {
            // A token is ASCII.
            field(std::str::from_utf8(line.name_bytes(self.input)).unwrap_or(""), line.value(self.input));
        }
    }
}

/// A request's facts.
#[must_use]
pub fn facts<'a>(
    head: &RequestHead,
    scheme: Scheme,
    path_and_query: &'a str,
    headers: &'a HeadFields<'a>,
) -> RequestFacts<'a> {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    RequestFacts {
        method: head.method_text(headers.input),
        scheme: scheme.as_str(),
        path,
        query,
        headers,
        body_length: match head.body {
            BodyLength::None => Some(0),
            BodyLength::Fixed(length) => Some(length),
            _ => None,
        },
    }
}

/// A request's facts, kept until the address is known.
#[derive(Debug)]
pub struct KeptRequest {
    method: Box<str>,
    scheme: Box<str>,
    path: Box<str>,
    query: Option<Box<str>>,
    headers: KeptFields,
    body_length: Option<u64>,
}

#[derive(Debug)]
struct KeptFields(Vec<(Box<str>, Box<[u8]>)>);

impl Headers for KeptFields {
    fn for_each(&self, field: &mut dyn FnMut(&str, &[u8])) {
        self.0.iter().for_each(|(name, value)| field(name, value));
    }
}

impl KeptRequest {
    /// Copies what is needed.
    #[must_use]
    pub fn new(facts: &RequestFacts<'_>) -> Self {
        let mut headers = Vec::new();
        facts.headers.for_each(&mut |name, value| headers.push((name.into(), value.into())));
        Self {
            method: facts.method.into(),
            scheme: facts.scheme.into(),
            path: facts.path.into(),
            query: facts.query.map(Into::into),
            headers: KeptFields(headers),
            body_length: facts.body_length,
        }
    }

    /// The facts.
    #[must_use]
    pub fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            method: &self.method,
            scheme: &self.scheme,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            body_length: self.body_length,
        }
    }
}
