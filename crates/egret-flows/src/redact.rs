//! What is taken out of flows before anything of them is stored.
//!
//! Redaction works on the copy that was captured; what goes to the origin and to the client is never touched.
//! Where it applies to a body that cannot be read as what it says it is, nothing of the body is kept.

mod form;
mod json;
mod multipart;
mod settings;
mod target;

use std::borrow::Cow;

use bytes::Bytes;

use crate::filter::Glob;
use crate::flow::{Headers, HeadersBuilder};
use crate::view::decode::{self, DecodeLimits, Stop};

pub(crate) use form::percent_decoded;
pub use json::{BadPath, JsonPath, MAX_JSON_DEPTH};
pub use settings::RedactionSettings;

/// What stands in the place of a value.
pub const REDACTED: &str = "[redacted]";
/// The same, where it is part of a URL or a form.
pub const REDACTED_IN_URL: &str = "%5Bredacted%5D";

/// Header fields that hold a URL, whose query is redacted as a request's is.
const URL_FIELDS: [&[u8]; 3] = [b"referer", b"location", b"content-location"];
/// Schemes of credentials, which say how somebody logs in and tell no secret.
const SCHEMES: [&str; 8] =
    ["basic", "bearer", "digest", "negotiate", "ntlm", "token", "aws4-hmac-sha256", "scram-sha-256"];

/// Takes out what settings name.
#[derive(Debug, Default)]
pub struct Redactor {
    headers: Vec<Glob>,
    query_keys: Vec<Glob>,
    form_fields: Vec<Glob>,
    json_paths: Vec<JsonPath>,
    limits: DecodeLimits,
}

/// What became of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redaction {
    /// Nothing in it is named: it stays as it is.
    Same,
    /// The body with values replaced. It is decoded now, whatever its `Content-Encoding` says.
    Replaced {
        /// What is left.
        bytes: Bytes,
        /// It stood encoded before.
        was_encoded: bool,
        /// There is more of it than this, which could not be looked at.
        truncated: bool,
    },
    /// A rule may apply to it, and it cannot be read: nothing of it may be kept.
    Unreadable,
}

impl Redactor {
    /// A redactor for these settings.
    ///
    /// # Errors
    /// A JSON path that cannot be read.
    pub fn new(settings: &RedactionSettings) -> Result<Self, BadPath> {
        let globs = |names: &[String]| names.iter().map(|name| Glob::new(name)).collect();
        Ok(Self {
            headers: globs(&settings.headers),
            query_keys: globs(&settings.query_keys),
            form_fields: globs(&settings.form_fields),
            json_paths: settings
                .json_paths
                .iter()
                .map(|path| JsonPath::parse(path))
                .collect::<Result<_, _>>()?,
            limits: DecodeLimits::default(),
        })
    }

    /// The value of a header field as it may be kept.
    #[must_use]
    pub fn field<'a>(&self, name: &[u8], value: &'a [u8]) -> Cow<'a, [u8]> {
        if self.headers.iter().any(|glob| glob.matches(name)) {
            return credentials(name, value).into_bytes().into();
        }
        if URL_FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field))
            && let Ok(url) = std::str::from_utf8(value)
            && let Cow::Owned(url) = self.target(url)
        {
            return url.into_bytes().into();
        }
        value.into()
    }

    /// Header fields as they may be kept.
    #[must_use]
    pub fn headers<'a>(&self, fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Headers {
        let mut kept = HeadersBuilder::default();
        for (name, value) in fields {
            kept.push(name, &self.field(name, value));
        }
        kept.finish()
    }

    /// A URL or a request target as it may be kept: without user information, and without the values of
    /// query keys that settings name.
    #[must_use]
    pub fn target<'a>(&self, target: &'a str) -> Cow<'a, str> {
        target::redact(target, &self.query_keys)
    }

    /// A body as it may be kept. `complete` says that `body` is all of it.
    #[must_use]
    pub fn body(&self, headers: &Headers, body: &[u8], complete: bool) -> Redaction {
        let kind = headers.text("content-type").unwrap_or_default();
        let encoding =
            headers.all(b"content-encoding").map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
        self.bytes(kind, &encoding, body, complete)
    }

    /// A text message, of which nobody says what is in it.
    #[must_use]
    pub fn message(&self, text: &[u8], complete: bool) -> Redaction {
        self.bytes("", "", text, complete)
    }

    fn bytes(&self, kind: &str, encoding: &str, body: &[u8], complete: bool) -> Redaction {
        let (essence, _) = kind.split_once(';').unwrap_or((kind, ""));
        let essence = essence.trim().to_ascii_lowercase();
        let declared = Declared::of(&essence);
        let concerned = match declared {
            Declared::Json => !self.json_paths.is_empty(),
            Declared::Form => !self.form_fields.is_empty() || !self.json_paths.is_empty(),
            Declared::Multipart => !self.form_fields.is_empty(),
            Declared::Unclear => !self.json_paths.is_empty(),
            Declared::Other => false,
        };
        if !concerned || body.is_empty() {
            return Redaction::Same;
        }
        let decoded = decode::decode(encoding, body, &self.limits);
        let truncated = match decoded.stopped {
            None => !complete,
            Some(Stop::Limit(_)) => true,
            Some(Stop::Early) if !complete => true,
            Some(_) => return Redaction::Unreadable,
        };
        let text = &decoded.bytes[..];
        let outcome = match declared {
            // `curl -d '{…}'` sends JSON and calls it a form.
            Declared::Form if json::is_likely(text) => json::redact(text, &self.json_paths, truncated),
            Declared::Form => Some(form::redact(text, &self.form_fields)),
            Declared::Json => json::redact(text, &self.json_paths, truncated),
            Declared::Unclear if json::is_likely(text) => json::redact(text, &self.json_paths, truncated),
            Declared::Multipart => multipart::redact(kind, text, &self.form_fields),
            Declared::Unclear | Declared::Other => return Redaction::Same,
        };
        match outcome {
            None => Redaction::Unreadable,
            Some(None) => Redaction::Same,
            Some(Some(bytes)) => {
                Redaction::Replaced { bytes: bytes.into(), was_encoded: !encoding.is_empty(), truncated }
            }
        }
    }
}

/// What a content type says about the ways to redact a body.
#[derive(Clone, Copy)]
enum Declared {
    Json,
    Form,
    Multipart,
    /// It may be JSON all the same.
    Unclear,
    Other,
}

impl Declared {
    fn of(essence: &str) -> Self {
        match essence {
            "application/x-www-form-urlencoded" => Self::Form,
            "multipart/form-data" => Self::Multipart,
            "" | "text/plain" | "application/octet-stream" | "text/javascript" => Self::Unclear,
            _ if essence.contains("json") => Self::Json,
            _ => Self::Other,
        }
    }
}

/// What is left of a credential: its scheme, where it is well known.
fn credentials(name: &[u8], value: &[u8]) -> String {
    let scheme = name
        .to_ascii_lowercase()
        .ends_with(b"authorization")
        .then(|| value.split(|byte| *byte == b' ').next());
    match scheme.flatten().and_then(|scheme| std::str::from_utf8(scheme).ok()) {
        Some(scheme)
            if scheme.len() < value.len() && SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) =>
        {
            format!("{scheme} {REDACTED}")
        }
        _ => REDACTED.to_owned(),
    }
}
