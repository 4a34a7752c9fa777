//! Rules as people write them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regex::RegexBuilder;
use serde::{Deserialize, Serialize};

use super::{Action, Answer, AnswerBody, Block, MAX_ACTIONS, MAX_DELAY, MAX_NAME, Rewrite, Rule, RuleError};
use crate::filter::{Filter, Glob, MAX_REGEX_BYTES};
use crate::flow::{Headers, Side};

/// A rule as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleSpec {
    /// Its name.
    pub name: String,
    /// Which flows, in the filter language; empty for all.
    #[serde(default)]
    pub filter: String,
    /// Whether it is in force.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What becomes of them, in order.
    pub actions: Vec<ActionSpec>,
}

fn yes() -> bool {
    true
}

/// An action as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ActionSpec {
    /// Gives a header field of the request this value.
    SetRequestHeader {
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
    /// Adds a header field to the request.
    AddRequestHeader {
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
    /// Takes header fields of the request away.
    RemoveRequestHeader {
        /// The name; `*` stands for any run of characters.
        name: String,
    },
    /// Gives a header field of the response this value.
    SetResponseHeader {
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
    /// Adds a header field to the response.
    AddResponseHeader {
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
    /// Takes header fields of the response away.
    RemoveResponseHeader {
        /// The name; `*` stands for any run of characters.
        name: String,
    },
    /// Sends the request elsewhere.
    Rewrite {
        /// `http` or `https`.
        #[serde(default)]
        scheme: Option<String>,
        /// The host.
        #[serde(default)]
        host: Option<String>,
        /// The port.
        #[serde(default)]
        port: Option<u16>,
        /// A regular expression for the part of path and query that is replaced.
        #[serde(default)]
        path: Option<String>,
        /// What it is replaced by; `$1` stands for what the first group found.
        #[serde(default)]
        replacement: Option<String>,
    },
    /// Gives the client an answer, and the origin nothing.
    Answer {
        /// The status; 200 if it is left out.
        #[serde(default)]
        status: Option<u16>,
        /// The header fields.
        #[serde(default)]
        headers: Vec<HeaderSpec>,
        /// The file whose content is the body.
        #[serde(default)]
        file: Option<PathBuf>,
        /// The body itself.
        #[serde(default)]
        body: Option<String>,
    },
    /// Waits before the request goes on.
    DelayRequest {
        /// How long, in milliseconds.
        millis: u64,
    },
    /// Waits before the response goes on.
    DelayResponse {
        /// How long, in milliseconds.
        millis: u64,
    },
    /// Refuses the request.
    Block {
        /// The status; 403 if it is left out, and 444 closes the connection without a word.
        #[serde(default)]
        status: Option<u16>,
        /// What the client reads besides.
        #[serde(default)]
        message: String,
    },
    /// Holds the request until somebody lets it go on.
    HoldRequest {},
    /// Holds the response until somebody lets it go on.
    HoldResponse {},
    /// Tags the flow.
    Tag {
        /// The tag.
        tag: String,
    },
}

/// A header field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderSpec {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

pub(super) fn compile(spec: &RuleSpec) -> Result<Rule, RuleError> {
    if spec.name.is_empty() || spec.name.len() > MAX_NAME || spec.name.chars().any(char::is_control) {
        return Err(RuleError::Name(spec.name.chars().take(MAX_NAME).collect()));
    }
    if spec.actions.len() > MAX_ACTIONS {
        return Err(RuleError::TooManyActions(spec.name.clone()));
    }
    let filter =
        Filter::parse(&spec.filter).map_err(|error| RuleError::Filter { rule: spec.name.clone(), error })?;
    if filter.needs_bodies() {
        return Err(RuleError::NeedsBodies(spec.name.clone()));
    }
    if spec.actions.is_empty() {
        return Err(RuleError::Empty(spec.name.clone()));
    }
    let actions = spec.actions.iter().enumerate().map(|(index, spec_action)| {
        action(spec_action).map_err(|what| RuleError::Action {
            rule: spec.name.clone(),
            action: index + 1,
            what,
        })
    });
    let actions = actions.collect::<Result<_, _>>()?;
    Ok(Rule { name: spec.name.as_str().into(), filter, actions, hits: Arc::default() })
}

fn action(spec: &ActionSpec) -> Result<Action, String> {
    use ActionSpec as A;
    use Side::{Request, Response};
    Ok(match spec.clone() {
        A::SetRequestHeader { name, value } => {
            check_request_field(&name, &value)?;
            Action::SetHeader { side: Request, name, value }
        }
        A::SetResponseHeader { name, value } => {
            check_field(&name, &value)?;
            Action::SetHeader { side: Response, name, value }
        }
        A::AddRequestHeader { name, value } => {
            check_request_field(&name, &value)?;
            Action::AddHeader { side: Request, name, value }
        }
        A::AddResponseHeader { name, value } => {
            check_field(&name, &value)?;
            Action::AddHeader { side: Response, name, value }
        }
        A::RemoveRequestHeader { name } => Action::RemoveHeader { side: Request, name: removable(&name)? },
        A::RemoveResponseHeader { name } => Action::RemoveHeader { side: Response, name: removable(&name)? },
        A::Rewrite { scheme, host, port, path, replacement } => {
            Action::Rewrite(rewrite(scheme, host, port, path, replacement)?)
        }
        A::Answer { status, headers, file, body } => Action::Answer(answer(status, &headers, file, body)?),
        A::DelayRequest { millis } => Action::Delay { side: Request, time: delay(millis)? },
        A::DelayResponse { millis } => Action::Delay { side: Response, time: delay(millis)? },
        A::Block { status, message } => {
            check_status(status)?;
            Action::Block(Block { status, message })
        }
        A::HoldRequest {} => Action::Hold { side: Request },
        A::HoldResponse {} => Action::Hold { side: Response },
        A::Tag { tag } => Action::Tag(tag),
    })
}

/// Fields that say where a message ends, or concern one connection. Whoever could change them could make two
/// messages of one (RFC 9112 section 11.2).
pub(crate) const FRAMING: [&str; 7] =
    ["content-length", "transfer-encoding", "connection", "trailer", "upgrade", "te", "proxy-connection"];

/// Whether a field may be set: name and value are what RFC 9110 section 5 allows, and it is no part of framing.
pub(crate) fn check_field(name: &str, value: &str) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!(
            "`{}` is no name of a header field; write letters, digits and -",
            name.escape_debug()
        ));
    }
    if value.bytes().any(|byte| byte < 0x20 && byte != b'\t' || byte == 0x7f) {
        return Err(format!("the value of {name} has control characters; take them away"));
    }
    if FRAMING.iter().any(|framing| framing.eq_ignore_ascii_case(name)) {
        return Err(format!(
            "{name} says where a message ends or concerns one connection, and is made by Egret; leave it out"
        ));
    }
    Ok(())
}

/// The same for a request, whose `Host` is always that of its target (RFC 9112 section 3.2.2).
fn check_request_field(name: &str, value: &str) -> Result<(), String> {
    if name.eq_ignore_ascii_case("host") {
        return Err(
            "Host is always that of the target; use rewrite with host to send the request elsewhere".into()
        );
    }
    check_field(name, value)
}

fn removable(name: &str) -> Result<Glob, String> {
    let glob = Glob::new(name);
    match FRAMING.iter().find(|framing| glob.matches(framing.as_bytes())) {
        Some(framing) => Err(format!(
            "`{name}` would remove {framing} as well, without which nobody knows where a message ends; name what is to go"
        )),
        None => Ok(glob),
    }
}

fn rewrite(
    scheme: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    path: Option<String>,
    replacement: Option<String>,
) -> Result<Rewrite, String> {
    if let Some(scheme) = &scheme
        && !matches!(scheme.as_str(), "http" | "https")
    {
        return Err(format!("`{scheme}` is no scheme that can be sent to; write http or https"));
    }
    if port == Some(0) {
        return Err("0 is no port; write one from 1 to 65535".into());
    }
    let host =
        host.map(|host| match egret_core::destination::Destination::parse_with_default(&host, Some(80)) {
            Ok(destination) if !host.contains(':') || host.starts_with('[') && host.ends_with(']') => {
                Ok(destination.host.to_string().trim_matches(['[', ']']).to_owned())
            }
            Ok(_) => Err(format!("`{host}` has a port; write it as port")),
            Err(error) => Err(format!("`{host}` is no host: {error}")),
        });
    let path = match (path, replacement) {
        (Some(path), Some(replacement)) => {
            let pattern =
                RegexBuilder::new(&path).size_limit(MAX_REGEX_BYTES).dfa_size_limit(MAX_REGEX_BYTES).build();
            let pattern = pattern.map_err(|error| {
                let error = error.to_string();
                format!("path is no regular expression: {}", error.lines().last().unwrap_or_default())
            })?;
            Some((pattern, replacement))
        }
        (None, None) => None,
        _ => return Err("path and replacement go together; write both".into()),
    };
    let rewrite = Rewrite { scheme, host: host.transpose()?, port, path };
    if matches!(rewrite, Rewrite { scheme: None, host: None, port: None, path: None }) {
        return Err("it rewrites nothing; give it scheme, host, port, or path and replacement".into());
    }
    Ok(rewrite)
}

fn check_status(status: Option<u16>) -> Result<(), String> {
    match status {
        Some(status) if !(200..=599).contains(&status) => {
            Err(format!("{status} is no status of an answer; write one from 200 to 599"))
        }
        _ => Ok(()),
    }
}

fn answer(
    status: Option<u16>,
    headers: &[HeaderSpec],
    file: Option<PathBuf>,
    body: Option<String>,
) -> Result<Answer, String> {
    check_status(status)?;
    headers.iter().try_for_each(|field| check_field(&field.name, &field.value))?;
    let body = match (file, body) {
        (Some(_), Some(_)) => return Err("it has a file and a body; write one of them".into()),
        (Some(file), None) => AnswerBody::File(file),
        (None, body) => AnswerBody::Inline(body.unwrap_or_default().into_bytes()),
    };
    let headers =
        Headers::from_pairs(headers.iter().map(|field| (field.name.as_str(), field.value.as_str())));
    Ok(Answer { status: status.unwrap_or(200), headers, body })
}

fn delay(millis: u64) -> Result<Duration, String> {
    let time = Duration::from_millis(millis);
    if time > MAX_DELAY {
        return Err(format!(
            "{millis} ms is longer than a rule may delay; write at most {}",
            MAX_DELAY.as_millis()
        ));
    }
    Ok(time)
}
