//! JSON lines.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use super::{Fields, address, millis};

/// Text that is borrowed from the line where it has no escapes. Numbers and the rest are no text.
#[derive(Debug, Default)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow)]
    time: Option<Text<'a>>,
    #[serde(borrow)]
    client: Option<Text<'a>>,
    #[serde(borrow)]
    user: Option<Text<'a>>,
    #[serde(borrow)]
    client_name: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    service_account: Option<Text<'a>>,
    #[serde(borrow)]
    method: Text<'a>,
    #[serde(borrow)]
    target: Text<'a>,
    #[serde(borrow)]
    treatment: Option<Text<'a>>,
    #[serde(default)]
    status: u16,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    blame: Option<Text<'a>>,
    #[serde(borrow)]
    route: Option<Text<'a>>,
    #[serde(borrow)]
    dialled: Option<Text<'a>>,
    #[serde(borrow)]
    audit_policy: Option<Text<'a>>,
    #[serde(borrow)]
    audit_rule: Option<Text<'a>>,
    #[serde(borrow)]
    user_agent: Option<Text<'a>>,
    #[serde(default)]
    bytes_up: u64,
    #[serde(default)]
    interim: bool,
}

pub(super) fn fields(text: &str) -> Option<Fields<'_>> {
    let line: Line<'_> = serde_json::from_str(text).ok()?;
    let is_direct = line.route.as_ref().is_none_or(|route| route.0 == "direct");
    let dialled = line.dialled.as_ref().and_then(|dialled| address(&dialled.0));
    Some(Fields {
        time: line.time.as_ref().and_then(|time| millis(&time.0)),
        client: line.client.as_ref().and_then(|client| address(&client.0)),
        user: line.user.map(|user| user.0),
        certificate: line.client_name.map(|name| name.0),
        namespace: line.namespace.map(|namespace| namespace.0),
        service_account: line.service_account.map(|account| account.0),
        method: line.method.0,
        target: line.target.0,
        status: line.status,
        reason: line.reason.map(|reason| reason.0),
        blame: line.blame.map(|blame| blame.0),
        dialled: dialled.filter(|_| is_direct),
        connected: dialled.is_some(),
        local: line.treatment.is_some_and(|treatment| treatment.0 == "local"),
        audit_policy: line.audit_policy.map(|policy| policy.0),
        audit_rule: line.audit_rule.map(|rule| rule.0),
        user_agent: line.user_agent.map(|agent| agent.0),
        bytes_up: line.bytes_up,
        interim: line.interim,
    })
}
