//! Trust in CAs: which variable tells which runtime, and which file it is to be given.

use serde_json::{Value, json};

use super::MOUNT_PATH;

/// The password of the truststore for Java, as keytool's own default is. It keeps nothing secret: all in it is public.
pub const STORE_PASSWORD: &str = "changeit";

/// The files in the volume, which are the keys of the ConfigMap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustedFile {
    /// The public CAs and ours: for whoever takes what it is given for everything there is.
    Bundle,
    /// Ours alone: for whoever adds it to what it has.
    Own,
    /// Both in PKCS#12, for Java.
    Store,
}

impl TrustedFile {
    /// Its name in the volume.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Bundle => "ca-bundle.crt",
            Self::Own => "egret-ca.crt",
            Self::Store => "ca-bundle.p12",
        }
    }

    /// Where it is in a container.
    #[must_use]
    pub fn path(self) -> String {
        format!("{MOUNT_PATH}/{}", self.key())
    }
}

/// What a runtime does with the file of a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What it trusted before it still trusts.
    Adds,
    /// It trusts nothing else.
    Replaces,
    /// Some runtimes this, some that.
    Either,
}

/// A variable by which runtimes are told of CAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it is set to.
    pub file: TrustedFile,
    /// What its readers do with it.
    pub effect: Effect,
    /// Who reads it.
    pub readers: &'static str,
}

macro_rules! variables {
    ($($name:literal, $file:ident, $effect:ident, $readers:literal;)+) => {
        /// The variables, in the order in which they are set. Where any reader replaces, the file is the whole bundle.
        pub const VARIABLES: &[Variable] = &[$(Variable {
            name: $name,
            file: TrustedFile::$file,
            effect: Effect::$effect,
            readers: $readers,
        }),+];
    };
}

variables! {
    "SSL_CERT_FILE", Bundle, Either, "curl, Go, Python (ssl, urllib, aiohttp), Ruby, Bun and cargo add; httpx, uv, reqwest and .NET replace";
    "CURL_CA_BUNDLE", Bundle, Either, "curl adds; requests replaces";
    "REQUESTS_CA_BUNDLE", Bundle, Replaces, "requests, botocore, pip";
    "AWS_CA_BUNDLE", Bundle, Replaces, "botocore and the AWS CLI";
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", Bundle, Replaces, "gRPC for Python and C++";
    "PIP_CERT", Bundle, Either, "pip: 23 replaces, 26 adds";
    "GIT_SSL_CAINFO", Bundle, Adds, "git";
    "CARGO_HTTP_CAINFO", Bundle, Adds, "cargo";
    "NODE_EXTRA_CA_CERTS", Own, Adds, "Node, npm, Bun";
    "DENO_CERT", Own, Adds, "Deno";
}

/// Where systems keep the bundle that programs without a variable read, and most others by default: Debian and Alpine;
/// Fedora and Red Hat, twice; SUSE; Alpine and BSDs.
pub const WELL_KNOWN_PATHS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where the files come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustVolume {
    /// A ConfigMap in the pod's namespace, with the files as its keys.
    ConfigMap {
        /// Its name.
        name: String,
    },
    /// ClusterTrustBundles, and the ConfigMap for what they have no form for (PKCS#12).
    ClusterTrustBundles {
        /// The one with the public CAs and ours.
        bundle: String,
        /// The one with ours alone.
        own: String,
        /// The ConfigMap, where there is one.
        config_map: Option<String>,
    },
}

impl TrustVolume {
    /// The volume as it stands in a pod, without its name.
    ///
    /// Everything in it is optional: a pod is never kept from starting because a bundle is not there. What is missing
    /// at the start appears in the volume within a minute of being made, for programs that then read it.
    pub(super) fn source(&self) -> (&'static str, Value) {
        match self {
            Self::ConfigMap { name } => ("configMap", json!({"name": name, "optional": true})),
            Self::ClusterTrustBundles { bundle, own, config_map } => {
                let mut sources =
                    vec![bundle_source(bundle, TrustedFile::Bundle), bundle_source(own, TrustedFile::Own)];
                sources.extend(config_map.iter().map(|name| {
                    let key = TrustedFile::Store.key();
                    let items = json!([{"key": key, "path": key}]);
                    json!({"configMap": {"name": name, "items": items, "optional": true}})
                }));
                ("projected", json!({"sources": sources}))
            }
        }
    }

    /// Whether there is a truststore for Java in it.
    pub(super) const fn has_store(&self) -> bool {
        match self {
            Self::ConfigMap { .. } => true,
            Self::ClusterTrustBundles { config_map, .. } => config_map.is_some(),
        }
    }
}

fn bundle_source(name: &str, file: TrustedFile) -> Value {
    json!({"clusterTrustBundle": {"name": name, "path": file.key(), "optional": true}})
}

/// What is trusted, and how it gets into pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Where the files come from.
    pub volume: TrustVolume,
    /// Paths that the bundle is mounted over besides, for programs that know no variable. Files mounted so do not
    /// follow a change while the container runs.
    pub over_paths: Vec<String>,
}

impl Trust {
    /// From the ConfigMap that the controller keeps in every selected namespace.
    #[must_use]
    pub fn from_config_map(name: &str) -> Self {
        Self { volume: TrustVolume::ConfigMap { name: name.to_owned() }, over_paths: Vec::new() }
    }
}
