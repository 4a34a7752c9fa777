//! `http`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::settings::{ForwardedHeader, HttpSettings};

use crate::values::{Contact, Via};

/// Details of HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// The name in `Via` (RFC 9110 section 7.6.3), by which loops are found. It must differ between
    /// proxies that stand behind each other.
    pub via: Via,
    /// Whether `Via` is added to requests and responses. Without it, loops are found by address alone.
    pub send_via: bool,
    /// Which header tells the origin about the client.
    pub forwarded: Forwarded,
    /// A contact that is shown in refusals, for people who do not know whom to ask. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = "#platform on the company chat")]
    pub contact: Option<Contact>,
}

impl Default for Http {
    fn default() -> Self {
        let HttpSettings { via, send_via, forwarded, contact } = HttpSettings::default();
        Self {
            via: Via(via.as_ref().to_owned()),
            send_via,
            forwarded: forwarded.into(),
            contact: contact.map(|contact| Contact(contact.as_ref().to_owned())),
        }
    }
}

impl From<&Http> for HttpSettings {
    fn from(http: &Http) -> Self {
        Self {
            via: http.via.0.as_str().into(),
            send_via: http.send_via,
            forwarded: http.forwarded.into(),
            contact: http.contact.as_ref().map(|contact| contact.0.as_str().into()),
        }
    }
}

/// Which header tells the origin about the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Forwarded {
    /// None: what the client sent is passed on as it is.
    Off,
    /// Append to `X-Forwarded-For`.
    XForwardedFor,
    /// Append to `Forwarded` (RFC 7239).
    Forwarded,
    /// Both of them.
    Both,
    /// Remove both, whoever wrote them.
    Remove,
}

impl From<ForwardedHeader> for Forwarded {
    fn from(header: ForwardedHeader) -> Self {
        match header {
            ForwardedHeader::Off => Self::Off,
            ForwardedHeader::XForwardedFor => Self::XForwardedFor,
            ForwardedHeader::Forwarded => Self::Forwarded,
            ForwardedHeader::Both => Self::Both,
            ForwardedHeader::Remove => Self::Remove,
        }
    }
}

impl From<Forwarded> for ForwardedHeader {
    fn from(header: Forwarded) -> Self {
        match header {
            Forwarded::Off => Self::Off,
            Forwarded::XForwardedFor => Self::XForwardedFor,
            Forwarded::Forwarded => Self::Forwarded,
            Forwarded::Both => Self::Both,
            Forwarded::Remove => Self::Remove,
        }
    }
}
