//! The CA by which Egret looks into TLS: the Secret `egret-ca` of its namespace, made where it is missing.
//!
//! It is changed in three steps, each asked for by the annotation `egret.dev/rotate` on the Secret, so that nothing is
//! ever signed by a CA that pods do not trust yet:
//!
//! 1. `begin`: `next.crt` and `next.key` are made. They sign nothing; the bundles have the next CA beside the old one.
//! 2. `activate`: when the bundles of all selected namespaces have the next CA, it signs (`tls.crt`, `tls.key`), and the
//!    old one is kept to be trusted (`previous.crt`). Its key is gone.
//! 3. `retire`: the old one is trusted no more.

use std::collections::BTreeMap;
use std::path::Path;

use egret_tls::files::{cas_from_bytes, identity_from_bytes};
use egret_tls::interception::InterceptionCa;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use rustls_pki_types::CertificateDer;

use super::Trouble;
use super::sources::unread;
use crate::controller::api::{Failure, within};
use crate::controller::labels;
use crate::controller::settings::{CA_NAME, MANAGER};

/// What signs; the names of `kubernetes.io/tls`.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
/// What will sign.
const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
/// What signed before.
const PREVIOUS: &str = "previous.crt";
/// Asks for a step.
pub(crate) const ROTATE: &str = "egret.dev/rotate";

/// The Secret's place.
#[derive(Clone, Debug)]
pub(crate) struct OwnCa {
    namespace: String,
}

/// What became of a step that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// None was asked for.
    None,
    /// It was made; in words.
    Done(&'static str),
    /// It cannot be made yet, or at all; why.
    Refused(String),
}

impl OwnCa {
    /// In this namespace.
    pub(crate) fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    /// As messages name it.
    pub(crate) fn source(&self) -> String {
        format!("secret {}/{CA_NAME}", self.namespace)
    }

    fn api(&self, client: &Client) -> Api<Secret> {
        Api::namespaced(client.clone(), &self.namespace)
    }

    /// The CAs that pods are to trust: the one that signs, the one that will, and the one that did.
    pub(crate) async fn anchors(
        &self,
        client: &Client,
        now: Timestamp,
    ) -> Result<Vec<CertificateDer<'static>>, Trouble> {
        let secret = self.found_or_made(client, now).await?;
        let data = |key: &str| value(&secret, key);
        let bad = |key: &str, why: String| {
            Trouble::new(
                "InvalidCA",
                format!(
                    "{}, {key}: {why}; delete the Secret and Egret makes a new one, which no pod trusts before it is restarted",
                    self.source()
                ),
            )
        };
        let mut all = Vec::new();
        for (key, must_be) in [(CERTIFICATE, true), (NEXT_CERTIFICATE, false), (PREVIOUS, false)] {
            let Some(bytes) = data(key) else {
                if must_be {
                    return Err(bad(key, "it is not there".to_owned()));
                }
                continue;
            };
            let chain = cas_from_bytes(Path::new(key), bytes).map_err(|error| bad(key, error.to_string()))?;
            // What clients trust is the last: the root, where it came along.
            all.extend(chain.last().cloned().filter(|anchor| !all.contains(anchor)));
        }
        Ok(all)
    }

    async fn found_or_made(&self, client: &Client, now: Timestamp) -> Result<Secret, Trouble> {
        let api = self.api(client);
        let failed = |failure: &Failure| unread(failure, &self.source());
        if let Some(found) = within(api.get_opt(CA_NAME)).await.map_err(|failure| failed(&failure))? {
            return Ok(found);
        }
        let (certificate, key) = make(now)?;
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(CA_NAME.to_owned()),
                labels: Some(labels()),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(BTreeMap::from([(CERTIFICATE.to_owned(), certificate), (KEY.to_owned(), key)])),
            ..Secret::default()
        };
        match within(api.create(&parameters(), &secret)).await {
            Ok(made) => {
                tracing::info!(namespace = self.namespace, name = CA_NAME, "made a CA for interception");
                Ok(made)
            }
            // Another was faster; theirs is the CA.
            Err(failure) if failure.has_status(409) => {
                within(api.get(CA_NAME)).await.map_err(|failure| failed(&failure))
            }
            Err(failure) => Err(Trouble::new(
                "CAUnreadable",
                format!(
                    "{} is not there, and cannot be made: {}",
                    self.source(),
                    crate::controller::api::explain(&failure)
                ),
            )),
        }
    }

    /// Makes the step that the annotation asks for. `published` says whether every bundle has all CAs by now.
    pub(crate) async fn rotate(
        &self,
        client: &Client,
        published: bool,
        now: Timestamp,
    ) -> Result<Rotation, Failure> {
        let api = self.api(client);
        let Some(mut secret) = within(api.get_opt(CA_NAME)).await? else { return Ok(Rotation::None) };
        let Some(asked) = secret.metadata.annotations.as_ref().and_then(|all| all.get(ROTATE)).cloned()
        else {
            return Ok(Rotation::None);
        };
        let done = match step(&mut secret, &asked, published, now) {
            Ok(done) => done,
            Err(why) => return Ok(Rotation::Refused(why)),
        };
        if let Some(annotations) = &mut secret.metadata.annotations {
            annotations.remove(ROTATE);
        }
        secret.metadata.managed_fields = None;
        within(api.replace(CA_NAME, &parameters(), &secret)).await?;
        Ok(Rotation::Done(done))
    }
}

/// Decides on a step, and makes it in this Secret.
fn step(secret: &mut Secret, asked: &str, published: bool, now: Timestamp) -> Result<&'static str, String> {
    let usable = |certificate: &[u8], key: &[u8]| -> Result<(), String> {
        let identity = identity_from_bytes(
            (Path::new(NEXT_CERTIFICATE), certificate),
            Some((Path::new(NEXT_KEY), key)),
            None,
        )
        .map_err(|error| error.to_string())?;
        InterceptionCa::from_identity(identity, now).map(drop).map_err(|error| error.to_string())
    };
    let (next, next_key) = (value(secret, NEXT_CERTIFICATE).cloned(), value(secret, NEXT_KEY).cloned());
    let old = value(secret, CERTIFICATE).cloned();
    let data = secret.data.get_or_insert_default();
    match asked {
        "begin" if next.is_some() => Err(format!("there is a next CA already; ask for `{ROTATE}=activate`")),
        "begin" => {
            let (certificate, key) = make(now).map_err(|trouble| trouble.message)?;
            data.insert(NEXT_CERTIFICATE.to_owned(), certificate);
            data.insert(NEXT_KEY.to_owned(), key);
            Ok("the next CA was made, and goes into the bundles")
        }
        "activate" => {
            let (Some(next), Some(next_key)) = (next, next_key) else {
                return Err(format!("there is no next CA; ask for `{ROTATE}=begin` first"));
            };
            usable(&next, &next_key)?;
            if !published {
                return Err("the bundles of some namespaces do not have the next CA yet; it is done as soon as they do".to_owned());
            }
            if let Some(old) = old {
                data.insert(PREVIOUS.to_owned(), ByteString(old));
            }
            data.insert(CERTIFICATE.to_owned(), ByteString(next));
            data.insert(KEY.to_owned(), ByteString(next_key));
            data.remove(NEXT_CERTIFICATE);
            data.remove(NEXT_KEY);
            Ok("the next CA signs from now on; the one before is still trusted")
        }
        "retire" => match data.remove(PREVIOUS) {
            Some(_) => Ok("the CA before is no longer trusted"),
            None => Err("there is no CA before".to_owned()),
        },
        other => Err(format!("`{ROTATE}` is `{other}`, and is to be begin, activate or retire")),
    }
}

fn value<'a>(secret: &'a Secret, key: &str) -> Option<&'a Vec<u8>> {
    secret.data.as_ref()?.get(key).map(|value| &value.0)
}

fn make(now: Timestamp) -> Result<(ByteString, ByteString), Trouble> {
    let failed = |why: String| Trouble::new("CAUnreadable", format!("a CA cannot be made: {why}"));
    let ca = InterceptionCa::create(now).map_err(|error| failed(error.to_string()))?;
    let (certificate, key) = ca.to_pem().map_err(|problem| failed(problem.to_string()))?;
    Ok((ByteString(certificate.into_bytes()), ByteString(key.as_bytes().to_vec())))
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        let (certificate, key) = make(Timestamp::now()).unwrap();
        let data = BTreeMap::from([(CERTIFICATE.to_owned(), certificate), (KEY.to_owned(), key)]);
        Secret { data: Some(data), ..Secret::default() }
    }

    #[test]
    fn the_next_ca_signs_only_when_it_is_trusted_everywhere() {
        let (mut secret, now) = (secret(), Timestamp::now());
        let old = value(&secret, CERTIFICATE).unwrap().clone();
        step(&mut secret, "activate", true, now).unwrap_err();
        step(&mut secret, "begin", true, now).unwrap();
        step(&mut secret, "begin", true, now).unwrap_err();
        let next = value(&secret, NEXT_CERTIFICATE).unwrap().clone();
        assert_eq!(value(&secret, CERTIFICATE), Some(&old));
        step(&mut secret, "activate", false, now).unwrap_err();
        assert_eq!(value(&secret, CERTIFICATE), Some(&old));
        step(&mut secret, "activate", true, now).unwrap();
        assert_eq!(value(&secret, CERTIFICATE), Some(&next));
        assert_eq!(value(&secret, PREVIOUS), Some(&old));
        assert_eq!(value(&secret, NEXT_KEY), None);
        step(&mut secret, "retire", true, now).unwrap();
        assert_eq!(value(&secret, PREVIOUS), None);
        step(&mut secret, "sideways", true, now).unwrap_err();
    }
}
