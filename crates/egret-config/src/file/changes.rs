//! `changes`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_flows::rules::{ActionSpec, HeaderSpec, RuleSpec};

use crate::values::FilePath;

/// A rule that changes traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeRule {
    /// Its name. Access lines and flows that it touched bear it.
    #[schemars(length(min = 1, max = 128), example = &"to staging")]
    pub name: String,
    /// Which requests, in the language of filters that flows.md describes, without words that look into bodies. By
    /// default all that are seen: plain HTTP, and what is intercepted.
    #[serde(default)]
    #[schemars(example = &"host:api.example.com path:/v1/*")]
    pub filter: String,
    /// Whether it is in force.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What becomes of them, in order.
    #[schemars(length(min = 1, max = 32), example = serde_json::json!([{"rewrite": {"host": "staging.example.com"}}]))]
    pub actions: Vec<ChangeAction>,
}

fn yes() -> bool {
    true
}

/// One thing that a rule does. Exactly one of these fields stands in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeAction {
    /// Gives a header field of the request this value, in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_request_header: Option<HeaderField>,
    /// Adds a header field to the request, at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_request_header: Option<HeaderField>,
    /// Takes header fields of the request away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_request_header: Option<HeaderName>,
    /// Gives a header field of the response this value, in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_response_header: Option<HeaderField>,
    /// Adds a header field to the response, at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_response_header: Option<HeaderField>,
    /// Takes header fields of the response away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove_response_header: Option<HeaderName>,
    /// Sends the request elsewhere. The new target has to pass policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// Gives the client an answer, and the origin nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Waits before the request goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_request: Option<Delay>,
    /// Waits before the response goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_response: Option<Delay>,
    /// Refuses the request, with the reason `blocked-by-change-rule`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<Block>,
    /// Holds the request until somebody at the console lets it go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_request: Option<Hold>,
    /// Holds the response until somebody at the console lets it go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_response: Option<Hold>,
    /// Tags the flow, for filters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
}

/// A header field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderField {
    /// The name of the field.
    #[schemars(example = &"X-Debug")]
    pub name: String,
    /// The value of the field.
    #[schemars(example = &"1")]
    pub value: String,
}

/// Header fields that go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeaderName {
    /// The name of the fields; `*` stands for any run of characters.
    #[schemars(example = &"If-None-Match")]
    pub name: String,
}

/// Another target. What is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rewrite {
    /// The scheme, `http` or `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"http")]
    pub scheme: Option<String>,
    /// The host that it is sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"staging.example.com")]
    pub host: Option<String>,
    /// The port. With another scheme and no port it is the scheme's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), example = 8080)]
    pub port: Option<u16>,
    /// A regular expression for the part of path and query that is replaced; goes together with `replacement`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"^/v1/")]
    pub path: Option<String>,
    /// What it is replaced by; `$1` stands for what the first group found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/v2/")]
    pub replacement: Option<String>,
}

/// An answer in place of the origin's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// The status; 200 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 200, max = 599), example = 200)]
    pub status: Option<u16>,
    /// The header fields. The length of the body is not one of them.
    #[schemars(length(max = 100), example = serde_json::json!([{"name": "Content-Type", "value": "application/json"}]))]
    pub headers: Vec<HeaderField>,
    /// The file whose content is the body. It is read at each request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"answers/orders.json")]
    pub file: Option<FilePath>,
    /// The body itself, in place of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"{}")]
    pub body: Option<String>,
}

/// How long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// Milliseconds; all rules together wait for five minutes at most, on each way.
    #[schemars(range(max = 300_000), example = 500)]
    pub millis: u64,
}

/// A refusal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Block {
    /// The status; 403 by default. 444 closes the connection without a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 200, max = 599), example = 403)]
    pub status: Option<u16>,
    /// What the client reads besides.
    pub message: String,
}

/// Nothing more has to be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hold {}

/// A tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// The tag, which `tag:` in filters finds.
    #[schemars(example = &"changed")]
    pub tag: String,
}

impl ChangeRule {
    /// The rule as it is compiled. An action in which not exactly one thing stands has none.
    ///
    /// # Errors
    /// Which action, from 0, and what is wrong.
    pub fn spec(&self) -> Result<RuleSpec, (usize, String)> {
        let actions = self.actions.iter().enumerate();
        let actions = actions.map(|(index, action)| action.spec().map_err(|what| (index, what)));
        Ok(RuleSpec {
            name: self.name.clone(),
            filter: self.filter.clone(),
            enabled: self.enabled,
            actions: actions.collect::<Result<_, _>>()?,
        })
    }
}

impl ChangeAction {
    fn spec(&self) -> Result<ActionSpec, String> {
        let this = self.clone();
        let field =
            |make: fn(String, String) -> ActionSpec| move |field: HeaderField| make(field.name, field.value);
        let found: Vec<ActionSpec> = [
            this.set_request_header.map(field(|name, value| ActionSpec::SetRequestHeader { name, value })),
            this.add_request_header.map(field(|name, value| ActionSpec::AddRequestHeader { name, value })),
            this.remove_request_header.map(|field| ActionSpec::RemoveRequestHeader { name: field.name }),
            this.set_response_header.map(field(|name, value| ActionSpec::SetResponseHeader { name, value })),
            this.add_response_header.map(field(|name, value| ActionSpec::AddResponseHeader { name, value })),
            this.remove_response_header.map(|field| ActionSpec::RemoveResponseHeader { name: field.name }),
            this.rewrite.map(|Rewrite { scheme, host, port, path, replacement }| ActionSpec::Rewrite {
                scheme,
                host,
                port,
                path,
                replacement,
            }),
            this.answer.map(|Answer { status, headers, file, body }| ActionSpec::Answer {
                status,
                headers: headers
                    .into_iter()
                    .map(|field| HeaderSpec { name: field.name, value: field.value })
                    .collect(),
                file: file.map(|path| path.0),
                body,
            }),
            this.delay_request.map(|delay| ActionSpec::DelayRequest { millis: delay.millis }),
            this.delay_response.map(|delay| ActionSpec::DelayResponse { millis: delay.millis }),
            this.block.map(|Block { status, message }| ActionSpec::Block { status, message }),
            this.hold_request.map(|Hold {}| ActionSpec::HoldRequest {}),
            this.hold_response.map(|Hold {}| ActionSpec::HoldResponse {}),
            this.tag.map(|tag| ActionSpec::Tag { tag: tag.tag }),
        ]
        .into_iter()
        .flatten()
        .collect();
        match <[ActionSpec; 1]>::try_from(found) {
            Ok([action]) => Ok(action),
            Err(none) if none.is_empty() => {
                Err("there is no action; write one, as in `setRequestHeader: {name: X-Debug, value: \"1\"}`"
                    .into())
            }
            Err(_) => Err("there is more than one action; begin each with a `-` of its own".into()),
        }
    }
}
