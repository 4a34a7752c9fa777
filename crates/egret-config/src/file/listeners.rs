//! `listeners`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::identity::TlsVersion;
use egret_core::settings;

use crate::values::{ClientPattern, FilePath, ListenAddress, Network};

/// An address that clients connect to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// The IP address and port. `0.0.0.0` and `[::]` stand for every address of the machine; port 0 for
    /// any port that is free. With `tls` the port may be left out and is then 8443.
    pub address: ListenAddress,
    /// TLS between clients and the proxy. Clients then have `https://` in the proxy's URL, and speak
    /// HTTP/1.1 or HTTP/2 inside. Its files are read again when they change, without a connection being
    /// dropped. Without it, clients speak plain HTTP to the proxy, also for `https://` destinations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// Networks of load balancers that speak the PROXY protocol (version 1 or 2). Their connections must
    /// begin with its header, before TLS, and the client's address is the one that it names. It is not
    /// believed of anybody else. A change takes a restart.
    #[serde(default)]
    #[schemars(length(max = 1000), example = serde_json::json!(["10.0.0.0/24"]))]
    pub proxy_protocol: Vec<Network>,
    /// What is served there; the first byte of a connection tells which it wants. `[socks]` makes a port
    /// for SOCKS alone. A change takes a restart.
    #[serde(default = "InletProtocol::all")]
    #[schemars(length(min = 1, max = 2))]
    pub protocols: Vec<InletProtocol>,
}

/// How clients may state their wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum InletProtocol {
    /// HTTP/1 and HTTP/2: requests and CONNECT.
    Http,
    /// SOCKS 5, 4 and 4a.
    Socks,
}

impl InletProtocol {
    /// Both, which is the default.
    #[must_use]
    pub fn all() -> Vec<Self> {
        vec![Self::Http, Self::Socks]
    }
}

/// TLS between clients and the proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListenerTls {
    /// The proxy's certificates. A client gets the one for the name that it asks for (SNI); the first is
    /// for those that ask for no name, or for one that no certificate has.
    #[schemars(length(min = 1, max = 1000), example = serde_json::json!([{"certificate": "server.crt", "key": "server.key"}]))]
    pub certificates: Vec<Certificate>,
    /// The lowest version of TLS that is accepted.
    #[serde(default)]
    pub min_version: MinVersion,
    /// Whether clients have to show a certificate (mutual TLS).
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// The CAs that client certificates may be signed by: a PEM file with one or more of them.
    #[serde(default, rename = "clientCA", skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<FilePath>,
    /// Revocation lists of these CAs, in PEM or DER. When any is given, there has to be a list for every
    /// CA in a client's chain, and none may be past its `nextUpdate`: a client whose certificate cannot
    /// be looked up is refused.
    #[serde(default)]
    #[schemars(length(max = 100), example = serde_json::json!(["ca.crl"]))]
    pub crl: Vec<FilePath>,
    /// Names of which a client certificate must have one; any name when the list is empty. A name is
    /// `uri:`, `dns:`, `email:` (of subjectAltName) or `subject:` (as in `CN=build,O=Example`) and the
    /// value; a SPIFFE ID needs no `uri:`. `*` stands for anything within a segment (up to `/` in a URI,
    /// `.` in a DNS name, `@` in an e-mail address), `**` for anything.
    #[serde(default)]
    #[schemars(length(max = 10_000), example = serde_json::json!(["spiffe://cluster.local/ns/team-a/**", "dns:*.build.example"]))]
    pub allowed_clients: Vec<ClientPattern>,
}

/// A certificate of the proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    /// The certificate and, behind it, its chain: PEM, with the key or without, or PKCS#12.
    #[schemars(example = &"server.crt")]
    pub certificate: FilePath,
    /// Its private key in PEM. Left out when it is in the same file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"server.key")]
    pub key: Option<FilePath>,
    /// A file with the password of the key, or of the PKCS#12 file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"server.password")]
    pub password_file: Option<FilePath>,
    /// An OCSP response in DER that is stapled to the certificate as long as it is valid, as
    /// `openssl ocsp -respout` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"server.ocsp")]
    pub ocsp_response: Option<FilePath>,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClientAuth {
    /// None is asked for.
    #[default]
    None,
    /// One is asked for, and a client without one is served without a name. One that is shown must be
    /// good.
    Optional,
    /// A client without a good one is refused.
    Required,
}

impl From<ClientAuth> for settings::ClientAuth {
    fn from(auth: ClientAuth) -> Self {
        match auth {
            ClientAuth::None => Self::None,
            ClientAuth::Optional => Self::Optional,
            ClientAuth::Required => Self::Required,
        }
    }
}

/// The lowest version of TLS that is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MinVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    #[serde(rename = "TLSv1.2")]
    Tls12,
    /// TLS 1.3 alone.
    #[serde(rename = "TLSv1.3")]
    Tls13,
}

impl From<MinVersion> for TlsVersion {
    fn from(version: MinVersion) -> Self {
        match version {
            MinVersion::Tls12 => Self::Tls12,
            MinVersion::Tls13 => Self::Tls13,
        }
    }
}

impl ListenerTls {
    /// Every file that it names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &FilePath> {
        let of_certificates = self.certificates.iter().flat_map(|certificate| {
            let rest = [&certificate.key, &certificate.password_file, &certificate.ocsp_response];
            std::iter::once(&certificate.certificate).chain(rest.into_iter().flatten())
        });
        of_certificates.chain(&self.client_ca).chain(&self.crl)
    }
}
