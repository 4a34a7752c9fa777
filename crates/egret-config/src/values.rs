//! Values that are written as text: durations, sizes, addresses, networks, patterns, URLs.
//!
//! Each has a `format` in the JSON Schema. The walk beside the schema calls `check_format`, so that what
//! is wrong with a text is said at its place; reading it into a typed value calls the same code.

mod address;
mod duration;
mod login;
mod pattern;
mod rate;
mod size;
mod url;
mod word;
mod workload;

use std::fmt;

pub use address::{Address, AddressOrOff, DnsServer, ListenAddress, Network, SourceAddress};
pub use duration::Time;
pub use login::{DirectoryUrl, KeysUrl, Realm, Words};
pub use pattern::{AccountPattern, HeaderName, ListTerm, MediaType, Method, NamePattern, PathPattern};
pub use rate::{ByteRate, RequestRate};
pub use size::Size;
pub(crate) use url::check_credentials;
pub use url::{Endpoint, ProxyUrl};
pub use word::{
    ClientPattern, Condition, Contact, Domain, FilePath, FilePathOrOff, Fingerprint, HostTerm, Name,
    NoProxyTerm, PacAnswer, Ports, Sentence, ServiceName, Via,
};
pub use workload::{
    CaCertificates, MOST_CERTIFICATES, ObjectName, SignerName, WorkloadNoProxy, WorkloadProxy,
};

use serde_json::{Value, json};

/// What is wrong with a text, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl Complaint {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A value that is written as text.
pub(crate) trait Textual: Sized {
    /// The schema's `format`.
    const FORMAT: &'static str;
    /// A whole number may stand for the text, as in `443` or `65536`.
    const NUMBER: bool = false;
    /// An example for the schema and the reference.
    const EXAMPLE: &'static str;

    fn read(text: &str) -> Result<Self, Complaint>;

    fn write(&self) -> String;

    fn schema() -> Value {
        let kind = if Self::NUMBER { json!(["string", "integer"]) } else { json!("string") };
        json!({ "type": kind, "format": Self::FORMAT, "examples": [Self::EXAMPLE] })
    }
}

/// Serde and schema for a [`Textual`].
macro_rules! textual {
    ($($type:ty),* $(,)?) => {
        $(
            impl serde::Serialize for $type {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let text = $crate::values::Textual::write(self);
                    match text.parse::<u64>() {
                        Ok(number) if <Self as $crate::values::Textual>::NUMBER => serializer.serialize_u64(number),
                        _ => serializer.serialize_str(&text),
                    }
                }
            }

            impl<'de> serde::Deserialize<'de> for $type {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = match serde_json::Value::deserialize(deserializer)? {
                        serde_json::Value::String(text) => text,
                        other => other.to_string(),
                    };
                    <Self as $crate::values::Textual>::read(&text).map_err(serde::de::Error::custom)
                }
            }

            impl schemars::JsonSchema for $type {
                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($type).into()
                }

                fn inline_schema() -> bool {
                    true
                }

                fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                    <Self as $crate::values::Textual>::schema().try_into().unwrap_or_default()
                }
            }
        )*

        /// Checks a text by the schema's `format`; a format unknown here holds for every text.
        pub(crate) fn check_format(format: &str, text: &str) -> Result<(), Complaint> {
            $(
                if format == <$type as Textual>::FORMAT {
                    return <$type as Textual>::read(text).map(drop);
                }
            )*
            Ok(())
        }

        /// What a value of this format is called in the reference.
        #[cfg(test)]
        pub(crate) const FORMATS: &[(&str, &str)] =
            &[$((<$type as Textual>::FORMAT, <$type as Textual>::EXAMPLE)),*];
    };
}

textual!(
    AccountPattern,
    Address,
    AddressOrOff,
    ByteRate,
    CaCertificates,
    ClientPattern,
    Condition,
    Contact,
    DirectoryUrl,
    DnsServer,
    Domain,
    Endpoint,
    FilePath,
    FilePathOrOff,
    Fingerprint,
    HeaderName,
    HostTerm,
    KeysUrl,
    ListTerm,
    ListenAddress,
    MediaType,
    Method,
    Name,
    NamePattern,
    Network,
    NoProxyTerm,
    ObjectName,
    PacAnswer,
    PathPattern,
    Ports,
    ProxyUrl,
    Realm,
    RequestRate,
    Sentence,
    ServiceName,
    SignerName,
    Size,
    SourceAddress,
    Time,
    Via,
    Words,
    WorkloadNoProxy,
    WorkloadProxy,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_valid() {
        for (format, example) in FORMATS {
            assert_eq!(check_format(format, example), Ok(()), "{format}: {example}");
        }
    }
}
