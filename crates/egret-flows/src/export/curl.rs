//! The `curl` command that sends a request again.

mod quote;

use crate::flow::{Flow, Treatment};
use crate::redact::{REDACTED, REDACTED_IN_URL};

pub use quote::shell_word;

/// The longest body that stands in the command itself. Linux takes 128 KiB for one word.
pub const MAX_INLINE_BODY: usize = 64 << 10;

/// A command for a POSIX shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurlCommand {
    /// The command. It has several lines, each but the last with a backslash at its end.
    pub command: String,
    /// What has to be known before it is run.
    pub notes: Vec<String>,
    /// The body is not in the command, but has to stand in this file.
    pub body_file: Option<String>,
}

/// Fields that curl makes itself, or that concern one connection.
const OWN: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
];

/// The command for a flow, with what was captured of its request's body; `None` for what is no request of
/// HTTP, such as a tunnel.
#[must_use]
pub fn command(flow: &Flow, body: Option<&[u8]>) -> Option<CurlCommand> {
    let request = &flow.request;
    if flow.treatment == Treatment::Tunnel
        || request.scheme.is_empty()
        || request.method.is_empty()
        || request.method == "CONNECT"
    {
        return None;
    }
    let body = body.filter(|body| !body.is_empty());
    let mut words = vec![shell_word(request.url().as_bytes())];
    let mut notes = Vec::new();
    let mut input = String::new();
    // A URL is sent as it is: no ranges in brackets, no dots taken out.
    words.push("--globoff --path-as-is".into());
    match (&*request.method, body) {
        ("GET", None) | ("POST", Some(_)) => {}
        ("HEAD", None) => words.push("--head".into()),
        (method, _) => words.push(format!("--request {}", shell_word(method.as_bytes()))),
    }
    match &*request.version {
        "HTTP/1.0" => words.push("--http1.0".into()),
        "HTTP/2" => words.push("--http2".into()),
        _ => words.push("--http1.1".into()),
    }
    words.extend(header_words(flow, body.is_some(), &mut notes));
    let body_file = match body {
        None => None,
        Some(body) if body.len() > MAX_INLINE_BODY => {
            let name = format!("{}-request", flow.id);
            words.push(format!("--data-binary @{name}"));
            notes.push(format!("the body is too long for a command: save it as {name} beside it"));
            Some(name)
        }
        Some(body) if body.contains(&0) => {
            input = format!("printf {} | ", quote::printf_format(body));
            words.push("--data-binary @-".into());
            None
        }
        Some(body) => {
            words.push(format!("--data-raw {}", shell_word(body)));
            None
        }
    };
    if request.body.truncated || request.body.captured < request.body.length {
        notes.push(format!(
            "only {} of {} bytes of the body were captured",
            request.body.captured, request.body.length
        ));
    }
    if request.path.contains(REDACTED_IN_URL) {
        notes.push("values in the URL were redacted: put them in before you run it".into());
    }
    Some(CurlCommand { command: format!("{input}curl {}", words.join(" \\\n  ")), notes, body_file })
}

fn header_words(flow: &Flow, has_body: bool, notes: &mut Vec<String>) -> Vec<String> {
    let request = &flow.request;
    let mut words = Vec::new();
    let mut present = Vec::new();
    for (name, value) in request.headers.iter() {
        let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
        let other_host = lower == "host" && !value.eq_ignore_ascii_case(request.authority().as_bytes());
        if OWN.contains(&lower.as_str()) && !other_host {
            continue;
        }
        // curl takes `@name` for a file. No field may be called so (RFC 9110 section 5.1).
        if name.is_empty() || name.starts_with(b"@") || name.contains(&b':') {
            notes.push(format!(
                "the header field {} is left out: no field can have this name",
                name.escape_ascii()
            ));
            continue;
        }
        if request.body.decoded && lower == "content-encoding" {
            continue;
        }
        if value.windows(REDACTED.len()).any(|window| window == REDACTED.as_bytes()) {
            notes.push(format!("{lower} was redacted: put its value in before you run it"));
        }
        // A field without a value is written with a semicolon; with a colon, curl would leave it out.
        let field = if value.is_empty() { [name, b";"].concat() } else { [name, b": ", value].concat() };
        words.push(format!("--header {}", shell_word(&field)));
        present.push(lower);
    }
    // What curl would add by itself.
    let own = ["user-agent", "accept"]
        .into_iter()
        .chain(has_body.then_some("content-type"))
        .chain(has_body.then_some("expect"));
    for name in own.filter(|name| !present.iter().any(|present| present == name)) {
        words.push(format!("--header '{name}:'"));
    }
    if present.iter().any(|name| name == "accept-encoding") {
        words.push("--compressed".into());
    }
    words
}
