//! Where CAs come from: text, ConfigMaps, Secrets, ClusterTrustBundles, and Egret itself.

use std::path::Path;

use egret_config::file::{CaReference, ClusterTrustBundleReference, TrustedCa};
use egret_tls::files::cas_from_bytes;
use egret_tls::inspect::CertificateInfo;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use rustls_pki_types::CertificateDer;

use super::cluster::TrustBundles;
use super::own_ca::OwnCa;
use super::{Ca, Trouble};
use crate::controller::api::{Failure, explain, within};

/// CAs of one EgressProxy, at most. A bundle of more is a mistake, or belongs into the public ones.
const MOST: usize = 200;
/// Bundles of one signer that are read, at most.
const MOST_BUNDLES: u32 = 100;
/// Where a ConfigMap or Secret has its CAs, if nothing is said.
const KEYS: [&str; 3] = ["ca-bundle.crt", "ca.crt", "tls.crt"];

/// Finds the CAs.
///
/// # Errors
/// The first that is not to be had, or cannot be trusted. All or none: with a part of them, some clients would work
/// and others fail.
pub(crate) async fn find(
    client: &Client,
    own: &OwnCa,
    bundles: &TrustBundles,
    wanted: &TrustedCa,
    now: Timestamp,
) -> Result<Vec<Ca>, Trouble> {
    let source = wanted.source();
    if source.is_empty() {
        return Err(Trouble::new(
            "InvalidCA",
            "trustedCA names nothing: write the CA, or where it comes from",
        ));
    }
    let mut all: Vec<Ca> = Vec::new();
    if source.egret {
        let anchors = own.anchors(client, now).await?;
        all.extend(checked(anchors, &own.source(), now)?);
    }
    if let Some(text) = &source.inline {
        all.extend(checked(text.certificates().to_vec(), "trustedCA", now)?);
    }
    if let Some(reference) = &source.config_map {
        all.extend(of_config_map(client, reference, now).await?);
    }
    if let Some(reference) = &source.secret {
        all.extend(of_secret(client, reference, now).await?);
    }
    if let Some(reference) = &source.cluster_trust_bundle {
        all.extend(of_trust_bundle(client, bundles, reference, now).await?);
    }
    if all.len() > MOST {
        return Err(Trouble::new(
            "InvalidCA",
            format!("trustedCA comes to {} certificates, and at most {MOST} may be", all.len()),
        ));
    }
    let mut once: Vec<Ca> = Vec::new();
    for ca in all {
        if !once.iter().any(|known| known.certificate == ca.certificate) {
            once.push(ca);
        }
    }
    Ok(once)
}

async fn of_config_map(client: &Client, reference: &CaReference, now: Timestamp) -> Result<Vec<Ca>, Trouble> {
    let what = format!("configMap {}/{}", reference.namespace.0, reference.name.0);
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), &reference.namespace.0);
    let found = got(within(api.get_opt(&reference.name.0)).await, &what)?;
    let (data, binary) = (found.data.unwrap_or_default(), found.binary_data.unwrap_or_default());
    let of_key = |key: &str| {
        let text = data.get(key).map(|text| text.as_bytes());
        text.or_else(|| binary.get(key).map(|bytes| bytes.0.as_slice()))
    };
    let keys = data.keys().chain(binary.keys()).map(String::as_str).collect::<Vec<_>>();
    let (key, bytes) = chosen(reference, &what, of_key, &keys)?;
    checked(certificates(bytes, &what, key)?, &what, now)
}

async fn of_secret(client: &Client, reference: &CaReference, now: Timestamp) -> Result<Vec<Ca>, Trouble> {
    let what = format!("secret {}/{}", reference.namespace.0, reference.name.0);
    let api: Api<Secret> = Api::namespaced(client.clone(), &reference.namespace.0);
    let found = got(within(api.get_opt(&reference.name.0)).await, &what)?;
    let data = found.data.unwrap_or_default();
    let keys = data.keys().map(String::as_str).collect::<Vec<_>>();
    let (key, bytes) = chosen(reference, &what, |key| data.get(key).map(|bytes| bytes.0.as_slice()), &keys)?;
    checked(certificates(bytes, &what, key)?, &what, now)
}

fn chosen<'a>(
    reference: &'a CaReference,
    what: &str,
    of_key: impl Fn(&str) -> Option<&'a [u8]>,
    keys: &[&str],
) -> Result<(&'a str, &'a [u8]), Trouble> {
    let wanted: Vec<&'a str> = match &reference.key {
        Some(key) => vec![key],
        None => KEYS.to_vec(),
    };
    wanted.iter().find_map(|key| Some((*key, of_key(key)?))).ok_or_else(|| {
        let has = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
        Trouble::new("CAMissing", format!("{what} has no key {} (it has {has})", wanted.join(" or ")))
    })
}

async fn of_trust_bundle(
    client: &Client,
    bundles: &TrustBundles,
    reference: &ClusterTrustBundleReference,
    now: Timestamp,
) -> Result<Vec<Ca>, Trouble> {
    let Some(api) = bundles.api(client).await else {
        return Err(Trouble::new(
            "CAMissing",
            "the API server does not serve ClusterTrustBundles (certificates.k8s.io v1 or v1beta1); name a ConfigMap",
        ));
    };
    let mut found = Vec::new();
    if let Some(name) = &reference.name {
        let what = format!("clusterTrustBundle {}", name.0);
        found.push(got(within(api.get_opt(&name.0)).await, &what)?);
    } else if let Some(signer) = &reference.signer_name {
        let mut parameters =
            ListParams::default().fields(&format!("spec.signerName={}", signer.0)).limit(MOST_BUNDLES);
        if let Some(labels) = &reference.label_selector {
            parameters = parameters.labels(&crate::controller::select::query(labels));
        }
        let list = within(api.list(&parameters)).await;
        found.extend(list.map_err(|failure| unread(&failure, "clusterTrustBundles"))?.items);
        if found.is_empty() {
            return Err(Trouble::new(
                "CAMissing",
                format!("the signer {} has no ClusterTrustBundle", signer.0),
            ));
        }
    }
    let mut all = Vec::new();
    for bundle in found {
        let what = format!("clusterTrustBundle {}", bundle.name_any());
        let text = bundle.data["spec"]["trustBundle"].as_str().unwrap_or_default();
        all.extend(checked(certificates(text.as_bytes(), &what, "spec.trustBundle")?, &what, now)?);
    }
    Ok(all)
}

fn got<T>(result: Result<Option<T>, Failure>, what: &str) -> Result<T, Trouble> {
    match result {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(Trouble::new("CAMissing", format!("there is no {what}"))),
        Err(failure) => Err(unread(&failure, what)),
    }
}

pub(super) fn unread(failure: &Failure, what: &str) -> Trouble {
    Trouble::new("CAUnreadable", format!("{what} cannot be read: {}", explain(failure)))
}

fn certificates(bytes: &[u8], what: &str, key: &str) -> Result<Vec<CertificateDer<'static>>, Trouble> {
    let path = format!("{what}, {key}");
    cas_from_bytes(Path::new(&path), bytes).map_err(|error| Trouble::new("InvalidCA", error.to_string()))
}

/// Each has to be a CA that has not ended.
fn checked(all: Vec<CertificateDer<'static>>, source: &str, now: Timestamp) -> Result<Vec<Ca>, Trouble> {
    let bad = |index: usize, subject: &str, why: String| {
        let message = format!("certificate {} of {source} ({subject}) {why}", index + 1);
        Trouble::new("InvalidCA", message)
    };
    for (index, der) in all.iter().enumerate() {
        let info = CertificateInfo::parse(der).map_err(|why| bad(index, "unreadable", why))?;
        if !info.ca {
            return Err(bad(
                index,
                &info.subject,
                "is no CA (basicConstraints CA is not set): name the CA that signed it".to_owned(),
            ));
        }
        if info.not_after < now {
            return Err(bad(index, &info.subject, format!("ended at {}", info.not_after)));
        }
    }
    Ok(all.into_iter().map(|certificate| Ca { certificate, source: source.to_owned() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_ca_that_is_no_ca() {
        let leaf = rcgen::generate_simple_self_signed(vec!["corp.test".to_owned()]).unwrap();
        let trouble = checked(vec![leaf.cert.der().clone()], "configMap a/b", Timestamp::now()).unwrap_err();
        assert_eq!(trouble.reason, "InvalidCA");
        assert!(
            trouble.message.contains("is no CA") && trouble.message.contains("configMap a/b"),
            "{trouble:?}"
        );
    }

    #[test]
    fn says_which_keys_there_are() {
        let reference: CaReference = serde_json::from_value(serde_json::json!({"name": "corp"})).unwrap();
        let trouble = chosen(&reference, "configMap x/corp", |_| None, &["root.pem"]).unwrap_err();
        assert!(trouble.message.contains("root.pem") && trouble.message.contains("ca.crt"), "{trouble:?}");
    }
}
