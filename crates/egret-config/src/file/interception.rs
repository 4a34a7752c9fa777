//! `interception`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::settings::{self, InterceptionSettings};

use super::limits::small;
use crate::values::{FilePath, Time};

/// Looking inside TLS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Interception {
    /// Whether tunnels are looked into where a rule says `tls: Intercept`. By default they are as soon as there is
    /// such a rule, or with `everything`. With `false`, such rules let tunnels pass unseen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = true)]
    pub enabled: Option<bool>,
    /// Whether every tunnel is looked into unless a rule says `tls: Tunnel`; `--intercept` does the same. What no
    /// rule names is decrypted then.
    pub everything: bool,
    /// The CA that signs certificates for origins, where it comes from files. By default it is made at the first
    /// start, and kept in the state directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = serde_json::json!({"certificate": "interception.crt", "key": "interception.key"}))]
    pub ca: Option<InterceptionCa>,
    /// The directory that the CA is kept in where `ca` names no files. By default that of `--state-dir`, or
    /// `~/.local/state/egret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = "/var/lib/egret")]
    pub state_dir: Option<FilePath>,
    /// How long a certificate for an origin is valid from when it is made, at least 10m.
    pub leaf_lifetime: Time,
    /// Certificates for origins that are kept. The one that was used least gives way to another.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub cache_entries: u32,
    /// Whether a certificate is made for the wildcard that the origin's own certificate has (`*.example.com`) in
    /// place of the host, so that one is enough for all of its hosts. It is never wider than the origin's, and
    /// never stands below a public suffix (`*.co.uk`). The origin is connected to before the client is answered.
    pub wildcards: bool,
    /// What becomes of a tunnel that was to be looked into and carries no TLS: SSH, plain HTTP, a database.
    pub other_protocols: OtherProtocols,
    /// How long a client is tunnelled to a host, unseen, when it has refused the certificates for it three times in
    /// a row and insists on the host's own ("pinned"), counted from the last time; 0s for never. Such a tunnel has
    /// to pass the rules as a tunnel. A rule says otherwise with `tls.tunnelPinned`.
    pub tunnel_pinned: Time,
    /// Whether `Alt-Svc` is taken out of responses. Clients would learn from it that the origin speaks HTTP/3 as
    /// well, and try to reach it past the proxy.
    pub strip_alt_svc: bool,
}

/// The CA that signs certificates for origins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InterceptionCa {
    /// Its certificate and, behind it, those of the CAs above it: PEM, with the key or without, or PKCS#12.
    #[schemars(example = &"interception.crt")]
    pub certificate: FilePath,
    /// Its private key in PEM. Left out when it is in the same file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"interception.key")]
    pub key: Option<FilePath>,
    /// A file with the password of the key, or of the PKCS#12 file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"interception.password")]
    pub password_file: Option<FilePath>,
}

/// What becomes of a tunnel that was to be looked into and carries no TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OtherProtocols {
    /// It is refused.
    Refuse,
    /// It passes unseen, where the rules would let it pass as a tunnel.
    Tunnel,
}

impl Default for Interception {
    fn default() -> Self {
        let settings = InterceptionSettings::default();
        Self {
            enabled: None,
            everything: settings.everything,
            ca: None,
            state_dir: None,
            leaf_lifetime: Time(settings.leaf_lifetime),
            cache_entries: small(settings.cache_entries),
            wildcards: settings.wildcards,
            other_protocols: match settings.other_protocols {
                settings::OtherProtocols::Refuse => OtherProtocols::Refuse,
                settings::OtherProtocols::Tunnel => OtherProtocols::Tunnel,
            },
            tunnel_pinned: Time(settings.tunnel_pinned),
            strip_alt_svc: settings.strip_alt_svc,
        }
    }
}

impl From<OtherProtocols> for settings::OtherProtocols {
    fn from(other: OtherProtocols) -> Self {
        match other {
            OtherProtocols::Refuse => Self::Refuse,
            OtherProtocols::Tunnel => Self::Tunnel,
        }
    }
}
