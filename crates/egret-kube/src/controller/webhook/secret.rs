//! Where the webhook's certificate is kept: a Secret of type `kubernetes.io/tls`, that all replicas read and the
//! leader writes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use zeroize::Zeroizing;

use super::certificate::{Staged, Stored};
use crate::controller::api::{Failure, within};
use crate::controller::labels;
use crate::controller::settings::MANAGER;

/// What is served; the names that `kubernetes.io/tls` has.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
/// What the API server is to trust; cert-manager's name.
const TRUST: &str = "ca.crt";
/// What will be served.
const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";
/// When the last step was made.
const SINCE: &str = "egret.dev/since";
const TYPE: &str = "kubernetes.io/tls";

/// Reads what a Secret holds. What is missing is empty, and then found to be no good.
pub(crate) fn read(secret: &Secret) -> Stored {
    let data = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.clone());
    let next = data(NEXT_CERTIFICATE)
        .zip(data(NEXT_KEY))
        .map(|(certificate, key)| Staged { certificate, key: Zeroizing::new(key) });
    let annotations = secret.metadata.annotations.as_ref();
    Stored {
        certificate: data(CERTIFICATE).unwrap_or_default(),
        key: Zeroizing::new(data(KEY).unwrap_or_default()),
        trust: data(TRUST).unwrap_or_default(),
        next,
        since: annotations.and_then(|all| all.get(SINCE)).and_then(|since| since.parse::<Timestamp>().ok()),
    }
}

/// Writes it: in place of what was read, or as a new Secret. What somebody else wrote in between stays (409).
pub(crate) async fn write(
    api: &Api<Secret>,
    name: &str,
    before: Option<&Secret>,
    stored: &Stored,
) -> Result<Secret, Failure> {
    let mut secret = before.cloned().unwrap_or_else(|| Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        type_: Some(TYPE.to_owned()),
        ..Secret::default()
    });
    secret.metadata.managed_fields = None;
    secret.metadata.labels.get_or_insert_default().extend(labels());
    let annotations = secret.metadata.annotations.get_or_insert_default();
    if let Some(since) = stored.since {
        annotations.insert(SINCE.to_owned(), since.to_string());
    }
    let mut data = BTreeMap::from([
        (CERTIFICATE.to_owned(), ByteString(stored.certificate.clone())),
        (KEY.to_owned(), ByteString(stored.key.to_vec())),
        (TRUST.to_owned(), ByteString(stored.trust.clone())),
    ]);
    if let Some(next) = &stored.next {
        data.insert(NEXT_CERTIFICATE.to_owned(), ByteString(next.certificate.clone()));
        data.insert(NEXT_KEY.to_owned(), ByteString(next.key.to_vec()));
    }
    secret.data = Some(data);
    let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match before {
        Some(_) => within(api.replace(name, &parameters, &secret)).await,
        None => within(api.create(&parameters, &secret)).await,
    }
}
