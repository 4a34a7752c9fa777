//! What was agreed in a TLS handshake.

use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use egret_core::identity::ClientTls;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Word;

/// With whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsSide {
    /// With the client.
    Client,
    /// With the origin.
    Origin,
}

/// TLS with one side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsFacts {
    /// The version: `1.2`, `1.3`.
    pub version: Word,
    /// The cipher suite, by its IANA name.
    pub cipher: Word,
    /// The protocol that ALPN chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<String>,
    /// The name asked for (SNI).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// A session of before was resumed: no certificate was sent.
    pub resumed: bool,
    /// The chain of the peer in DER, its own certificate first. Base64 where it is written as text.
    #[serde(with = "chain", skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Bytes>,
    /// What is wrong with the peer's certificate, where that was let pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl TlsFacts {
    pub(crate) fn of_client(tls: &ClientTls) -> Self {
        Self {
            version: tls.version.as_str().into(),
            cipher: tls.cipher_suite.into(),
            alpn: None,
            sni: tls.server_name.as_deref().map(str::to_owned),
            resumed: tls.resumed,
            chain: tls
                .certificate
                .iter()
                .flat_map(|c| c.chain())
                .map(|der| Bytes::copy_from_slice(der))
                .collect(),
            problem: None,
        }
    }

    pub(crate) fn memory(&self) -> usize {
        // Chains are mostly shared by the flows of one connection.
        self.chain.iter().map(|der| 32 + der.len() / 4).sum::<usize>() + 64
    }
}

mod chain {
    use super::{Bytes, Deserialize, Deserializer, STANDARD, Serializer};
    use base64::Engine as _;
    use serde::de::Error;

    pub(super) fn serialize<S: Serializer>(chain: &[Bytes], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(chain.iter().map(|der| STANDARD.encode(der)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Bytes>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts
            .into_iter()
            .map(|text| STANDARD.decode(text).map(Bytes::from).map_err(D::Error::custom))
            .collect()
    }
}
