//! `upstream.origins`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::settings::{CaFiles, OriginTls};

use super::MinVersion;
use crate::values::{FilePath, Fingerprint, HostTerm};

/// What holds for TLS with some hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OriginRule {
    /// Which hosts: names, `*.example.com` (one label), `**.example.com` (any depth).
    #[schemars(length(min = 1, max = 10_000), example = serde_json::json!(["**.corp.example"]))]
    pub hosts: Vec<HostTerm>,
    /// A PEM file with CAs that these hosts may be signed by, in addition to the usual ones.
    #[serde(default, rename = "trustedCA", skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/etc/egret/corp-ca.pem")]
    pub trusted_ca: Option<FilePath>,
    /// Whether these hosts may be signed by the CAs of `trustedCA` alone.
    #[serde(default, rename = "onlyTrustedCA")]
    pub only_trusted_ca: bool,
    /// A certificate that is shown to these hosts when they ask for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<ClientCertificate>,
    /// The lowest version of TLS that is spoken with these hosts.
    #[serde(default)]
    pub min_version: MinVersion,
    /// Whether HTTP/1.1 alone is spoken with these hosts, for those that do HTTP/2 badly.
    #[serde(default, rename = "http1Only")]
    pub http1_only: bool,
    /// What may be wrong with the certificates of these hosts. Each word is for its class alone: a certificate
    /// whose time is over may be accepted for that, and is still refused under another name. What was accepted
    /// stands in the record of each flow.
    #[serde(default)]
    #[schemars(length(max = 32), example = serde_json::json!(["expired"]))]
    pub accept: Vec<Accepted>,
    /// Certificates that are accepted whoever signed them, by their SHA-256 (64 hexadecimal digits, with or
    /// without colons). They still must be for the host. Safer than `accept`.
    #[serde(default)]
    #[schemars(length(max = 1000), example = serde_json::json!(["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]))]
    pub sha256: Vec<Fingerprint>,
}

/// A certificate that is shown to origins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCertificate {
    /// The certificate and, behind it, its chain: PEM, with the key or without, or PKCS#12.
    #[schemars(example = &"client.crt")]
    pub certificate: FilePath,
    /// Its private key in PEM. Left out when it is in the same file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"client.key")]
    pub key: Option<FilePath>,
    /// A file with the password of the key, or of the PKCS#12 file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"client.password")]
    pub password_file: Option<FilePath>,
}

macro_rules! accepted {
    ($($(#[$doc:meta])* $variant:ident = $code:literal;)*) => {
        /// What may be wrong with a certificate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum Accepted {
            $($(#[$doc])* $variant,)*
        }

        impl Accepted {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code, as whoever verifies certificates has it.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }
        }
    };
}

accepted! {
    /// The certificate, or one above it, is past its end.
    Expired = "expired";
    /// The certificate, or one above it, is not valid yet.
    NotYetValid = "not-yet-valid";
    /// The certificate is for other names.
    WrongName = "wrong-name";
    /// The certificate has its name in the subject alone, or none.
    NoSan = "no-san";
    /// Who signed it is not trusted.
    UnknownIssuer = "unknown-issuer";
    /// It is signed by itself.
    SelfSigned = "self-signed";
    /// It leads up to a root that is not trusted.
    UnknownRoot = "unknown-root";
    /// The origin does not send the certificate above its own.
    MissingIntermediate = "missing-intermediate";
    /// Its CA has taken it back.
    Revoked = "revoked";
    /// It is signed with a broken algorithm.
    WeakSignature = "weak-signature";
    /// A CA above it must not sign for this name.
    NameConstraint = "name-constraint";
    /// What signed it is no CA.
    NotACa = "not-a-ca";
    /// More CAs stand below one than it allows.
    PathLength = "path-length";
    /// It is not for servers.
    WrongUse = "wrong-use";
    /// The certificate of a CA is used as a server's.
    CaAsServer = "ca-as-server";
}

impl OriginRule {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &FilePath> {
        let shown = self.client_certificate.iter();
        let shown = shown.flat_map(|shown| {
            std::iter::once(&shown.certificate).chain(&shown.key).chain(&shown.password_file)
        });
        self.trusted_ca.iter().chain(shown)
    }

    pub(crate) fn settings(&self, base_dir: &std::path::Path) -> OriginTls {
        let path = |path: &FilePath| base_dir.join(&path.0);
        OriginTls {
            hosts: self.hosts.iter().map(|host| host.pattern.clone()).collect(),
            trusted_ca: self.trusted_ca.as_ref().map(path),
            only_trusted_ca: self.only_trusted_ca,
            client_certificate: self.client_certificate.as_ref().map(|shown| CaFiles {
                certificate: path(&shown.certificate),
                key: shown.key.as_ref().map(path),
                password: shown.password_file.as_ref().map(path),
            }),
            min_version: self.min_version.into(),
            http1_only: self.http1_only,
            accept: self.accept.iter().map(|accepted| accepted.code()).collect(),
            pins: self.sha256.iter().map(|fingerprint| fingerprint.0).collect(),
        }
    }
}
