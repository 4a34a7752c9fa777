//! Messages of a WebSocket, and server-sent events.

use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Side;

/// A message of a WebSocket (RFC 6455), its fragments put together and inflated; or a server-sent event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Who sent it.
    pub from: Side,
    /// What it is.
    pub kind: MessageKind,
    /// When it was complete, in microseconds since 1970.
    pub time: u64,
    /// How many bytes it has, unmasked and inflated as far as that was done.
    pub length: u64,
    /// More was sent than is here, or it could not be inflated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The name of a server-sent event, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Box<str>>,
    /// Its payload. Text where it is text; written in base64 otherwise.
    #[serde(flatten, with = "payload")]
    pub payload: Bytes,
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageKind {
    /// Text.
    Text,
    /// Binary.
    Binary,
    /// A ping.
    Ping,
    /// A pong.
    Pong,
    /// A close, with its code and reason.
    Close,
    /// A server-sent event.
    Event,
}

impl Message {
    pub(crate) fn memory(&self) -> usize {
        std::mem::size_of::<Self>() + self.payload.len() + self.event.as_ref().map_or(0, |name| name.len())
    }
}

mod payload {
    use super::{Bytes, Deserialize, Deserializer, STANDARD, Serialize, Serializer};
    use base64::Engine as _;
    use serde::de::Error;

    #[derive(Serialize, Deserialize)]
    struct Payload {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base64: Option<String>,
    }

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Payload { text: Some(text.to_owned()), base64: None },
            Err(_) => Payload { text: None, base64: Some(STANDARD.encode(bytes)) },
        }
        .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        match Payload::deserialize(from)? {
            Payload { text: Some(text), .. } => Ok(text.into()),
            Payload { base64: Some(text), .. } => {
                STANDARD.decode(text).map(Bytes::from).map_err(D::Error::custom)
            }
            Payload { .. } => Ok(Bytes::new()),
        }
    }
}
