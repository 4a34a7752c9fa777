//! The words of the language, for those who complete and explain them.

use super::{Atom, Flag, NetField, NumberField, TextField};

/// A word of the language, an example, and what it finds.
pub type Help = (&'static str, &'static str, &'static str);

/// Every word of the language. The documentation and the console's help are made of this.
pub const WORDS: &[Help] = &[
    ("host", "host:*.example.com", "the host asked for"),
    ("path", "path:/v2/*", "path and query"),
    ("url", "url:*login*", "the URL"),
    ("method", "method:POST", "the method"),
    ("scheme", "scheme:https", "the scheme"),
    ("port", "port:443", "the port asked for"),
    ("destination", "destination:example.com:443", "host and port asked for"),
    ("status", "status:>=500", "the status sent to the client"),
    ("protocol", "protocol:HTTP/2", "the protocol on either side"),
    ("header", "header:content-type=*json*", "a header field of either side"),
    ("request-header", "request-header:x-trace", "a header field of the request"),
    ("response-header", "response-header:server=nginx*", "a header field of the response"),
    ("type", "type:application/json", "a content type"),
    ("body", "body:token", "text in a body or message"),
    ("request-body", "request-body:token", "text in the request's body or messages"),
    ("response-body", "response-body:token", "text in the response's body or messages"),
    ("bytes", "bytes:>1M", "payload bytes both ways"),
    ("bytes-up", "bytes-up:>1M", "payload bytes from the client"),
    ("bytes-down", "bytes-down:>1M", "payload bytes to the client"),
    ("time", "time:>2s", "how long it took"),
    ("first-byte", "first-byte:>500ms", "how long the first byte of the response took"),
    ("age", "age:<10m", "how long ago it began"),
    ("since", "since:5m", "it began at most so long ago"),
    ("messages", "messages:>10", "messages of a WebSocket"),
    ("identity", "identity:alice", "the name that stands for the client"),
    ("proof", "proof:certificate", "how that was proven"),
    ("namespace", "namespace:payments", "the client's namespace"),
    ("service-account", "service-account:builder", "the client's service account"),
    ("pod", "pod:web-*", "the client's pod"),
    ("client", "client:10.0.0.0/8", "the client's address"),
    ("address", "address:203.0.113.0/24", "the address dialled"),
    ("group", "group:developers", "a group of the user"),
    ("policy", "policy:egress/web", "the policy that decided"),
    ("rule", "rule:registries", "the rule that decided"),
    ("audit", "audit:web/*", "the policy and rule, in mode `Audit`, that would have refused it"),
    ("reason", "reason:denied-by-rule", "the reason code of what did not go well"),
    ("blame", "blame:upstream", "who has to act: client, upstream, policy, egret"),
    ("treatment", "treatment:intercept", "tunnel, forward, intercept or local"),
    ("capture", "capture:Bodies", "how much was captured"),
    ("parent", "parent:corporate", "the parent group"),
    ("sni", "sni:example.com", "the name in a ClientHello"),
    ("alpn", "alpn:h2", "the protocol agreed in TLS"),
    ("tls", "tls:1.2", "the version of TLS"),
    ("tag", "tag:slow", "a tag"),
    ("change", "change:*staging*", "a change rule that touched it"),
    ("mark", "mark:*", "the mark"),
    ("comment", "comment:*todo*", "the comment"),
    ("id", "id:3f9k2mzq", "the id of the flow, or of its tunnel"),
    ("is", "is:error", "the kind of the flow; `kind:` is the same"),
];

/// mitmproxy's letters that have no argument, and what they are here.
pub(super) const LETTERS: &[(&str, Option<Flag>)] = &[
    ("a", Some(Flag::Asset)),
    ("all", None),
    ("e", Some(Flag::Error)),
    ("http", Some(Flag::Http)),
    ("marked", Some(Flag::Marked)),
    ("q", Some(Flag::Waiting)),
    ("replay", Some(Flag::Replay)),
    ("replayq", Some(Flag::Replay)),
    ("replays", Some(Flag::Replay)),
    ("s", Some(Flag::Answered)),
    ("tcp", Some(Flag::Tunnel)),
    ("udp", Some(Flag::Udp)),
    ("websocket", Some(Flag::WebSocket)),
];

/// What stands before a colon.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    Text(TextField),
    Number(NumberField),
    Header(Option<crate::flow::Side>),
    Body(Atom),
    Since,
    Is,
}

pub(super) fn field(name: &str) -> Option<Field> {
    use crate::flow::Side;
    Some(match name {
        "is" | "kind" => Field::Is,
        "since" => Field::Since,
        "body" | "text" => Field::Body(Atom::Body),
        "request-body" | "reqbody" => Field::Body(Atom::RequestBody),
        "response-body" | "resbody" => Field::Body(Atom::ResponseBody),
        "header" => Field::Header(None),
        "request-header" | "reqheader" => Field::Header(Some(Side::Request)),
        "response-header" | "resheader" => Field::Header(Some(Side::Response)),
        _ => match (NumberField::parse(name), TextField::parse(name)) {
            (Some(number), _) => Field::Number(number),
            (None, Some(text)) => Field::Text(text),
            (None, None) => return None,
        },
    })
}

/// Names that an unknown word may have been meant to be.
pub(super) fn field_names() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|(word, _, _)| *word).chain(["duration", "ttfb", "user", "source", "domain", "code"])
}

/// Every word that can stand after `~`.
pub(super) fn letters() -> impl Iterator<Item = &'static str> {
    let regexes = Atom::ALL.iter().map(|atom| atom.as_str());
    LETTERS.iter().map(|(word, _)| *word).chain(regexes).chain(["c"])
}

/// The network that a text field can be asked about.
pub(super) fn net_field(field: TextField) -> Option<NetField> {
    match field {
        TextField::Client => Some(NetField::Client),
        TextField::Address => Some(NetField::Address),
        _ => None,
    }
}
