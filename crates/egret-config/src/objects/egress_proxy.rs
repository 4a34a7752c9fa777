//! What no schema says about an `EgressProxy`.

use std::collections::HashSet;
use std::net::IpAddr;

use egret_core::destination::Host;
use ipnet::IpNet;
use serde_json::Value;

use super::FieldProblem;
use crate::file::{EgressProxyDocument, TrustedCa, TrustedCaSource};
use crate::policies::selector_faults;
use crate::values::WorkloadProxy;

/// Networks that are shorter than this hold a good part of all addresses.
const SHORT_PREFIX: u8 = 4;

/// What was found: JSON pointers, what is wrong there, and what to do.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) errors: Vec<(String, String, String)>,
    pub(crate) warnings: Vec<(String, String, String)>,
}

impl Found {
    fn find(&mut self, pointer: impl Into<String>, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push((pointer.into(), message.into(), help.into()));
    }

    fn warn(&mut self, pointer: impl Into<String>, message: impl Into<String>, help: impl Into<String>) {
        self.warnings.push((pointer.into(), message.into(), help.into()));
    }
}

/// `trustedCA` and AKS's spelling of it cannot stand beside each other: the second is taken out.
pub(super) fn one_spelling(kept: &mut Value) -> Option<FieldProblem> {
    let spec = kept.get_mut("spec")?.as_object_mut()?;
    if !spec.contains_key("trustedCA") {
        return None;
    }
    spec.shift_remove("trustedCa").map(|_| FieldProblem {
        path: "spec.trustedCa".to_owned(),
        message: "`trustedCA` is there as well, and they mean the same".to_owned(),
        help: Some("keep one of the two".to_owned()),
    })
}

/// Everything that is wrong with it. `written` is the object as it was written; `complete` says that nothing was
/// left out of it for being wrong.
pub(crate) fn check(document: &EgressProxyDocument, written: &Value, complete: bool) -> Found {
    let mut found = Found::default();
    let spec = &document.spec;
    let gives_proxy = spec.http_proxy.is_some() || spec.https_proxy.is_some();
    if complete && !gives_proxy && spec.trusted_ca.is_none() {
        let help = "add httpProxy, as in http://egret.egret-system.svc.cluster.local:8888, or trustedCA";
        found.find("/spec", "this gives pods nothing: it names neither a proxy nor a CA", help);
    }
    if complete && !gives_proxy && !spec.readiness_endpoints.is_empty() {
        let help = "name the proxy in `httpProxy`, or remove the endpoints";
        found.find("/spec/readinessEndpoints", "there is no proxy to ask them through", help);
    }
    for (field, proxy) in [("httpProxy", &spec.http_proxy), ("httpsProxy", &spec.https_proxy)] {
        if let Some(proxy) = proxy {
            proxy_url(&mut found, field, proxy, written);
        }
    }
    if complete && spec.http_proxy.is_none() && spec.https_proxy.is_some() {
        let help = "write the same URL as `httpProxy`";
        found.warn("/spec/httpsProxy", "without httpProxy, `http://` URLs go past the proxy", help);
    }
    no_proxy(&mut found, document);
    if let Some(TrustedCa::Source(source)) = &spec.trusted_ca {
        trusted_ca(&mut found, source, written, complete);
    }
    if spec.trusted_ca.is_some() && !spec.inject.ca_trust {
        let help = "take `caTrust: false` out, or the CA";
        found.warn("/spec/inject/caTrust", "pods are not given the CA that `trustedCA` names", help);
    }
    if spec.inject.well_known_paths && !spec.inject.ca_trust {
        let help = "switch both on, or both off";
        found.warn("/spec/inject/wellKnownPaths", "this means nothing without `caTrust`", help);
    }
    for (field, selector) in
        [("namespaceSelector", &spec.namespace_selector), ("podSelector", &spec.pod_selector)]
    {
        if let Some(selector) = selector {
            selector_faults(selector, |inner, message, help| {
                found.find(format!("/spec/{field}/{inner}"), message, help);
            });
        }
    }
    found
}

fn proxy_url(found: &mut Found, field: &str, proxy: &WorkloadProxy, written: &Value) {
    let pointer = format!("/spec/{field}");
    if proxy.is_tls() {
        let message = "wget, urllib, Ruby and Java speak plain text to a proxy with an `https://` URL, aiohttp goes \
                       around it, and curl and git want a CA of their own for it";
        found.warn(
            &pointer,
            message,
            "write http://, unless every client is known to speak TLS to its proxy",
        );
    }
    if proxy.has_credentials() {
        let message = "whoever may read pods, or this object, sees the credentials in the URL";
        found.warn(&pointer, message, "let Egret know pods by their address or token, and take them out");
    }
    let is_loopback = match &proxy.address().host {
        Host::Address(address) => address.is_loopback() || address.is_unspecified(),
        Host::Name(name) => &**name == "localhost",
    };
    if is_loopback {
        let message = "to a pod this address is the pod itself";
        found.warn(&pointer, message, "name the Service of the proxy, unless each pod has a proxy beside it");
    }
    let text = written.pointer(&pointer).and_then(Value::as_str).unwrap_or_default();
    let authority = text.split("://").nth(1).unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default().trim_end_matches('/');
    let port = proxy.address().port;
    if !text.is_empty() && !authority.ends_with(&format!(":{port}")) {
        let message = format!("the URL has no port: pods are given {port}, where curl would have taken 1080");
        found.warn(&pointer, message, format!("write the port: :{port}"));
    }
}

fn no_proxy(found: &mut Found, document: &EgressProxyDocument) {
    let mut seen = HashSet::new();
    for (index, entry) in document.spec.no_proxy.iter().enumerate() {
        let pointer = format!("/spec/noProxy/{index}");
        let text = entry.0.as_str();
        if !seen.insert(text) {
            found.warn(&pointer, format!("`{text}` is there twice"), "remove one of the two");
        }
        if text == "*" {
            let help = "name what is to be reached directly, or write `enabled: false`";
            found.warn(&pointer, "with `*` nothing goes through the proxy", help);
        }
        let Ok(network) = text.parse::<IpNet>() else { continue };
        match network.prefix_len() {
            0 => {
                let message =
                    format!("`{text}` is every address, which clients understand each in another way");
                found.find(&pointer, message, "write `*` for everything, or name the networks");
            }
            prefix if network.addr().is_ipv4() && prefix < SHORT_PREFIX => {
                let message = format!("`{text}` holds a good part of all addresses of the Internet");
                found.warn(&pointer, message, "is a longer prefix meant?");
            }
            _ if matches!(network.addr(), IpAddr::V6(_)) => {
                let message = format!(
                    "`{text}` is left out of NO_PROXY: httpx fails when it finds an IPv6 network there"
                );
                found.warn(&pointer, message, "name the addresses, or the domain that leads to them");
            }
            _ => {}
        }
    }
}

fn trusted_ca(found: &mut Found, source: &TrustedCaSource, written: &Value, complete: bool) {
    let field = ["trustedCA", "trustedCa"].into_iter().find(|field| written["spec"].get(*field).is_some());
    let pointer = format!("/spec/{}", field.unwrap_or("trustedCA"));
    if complete && source.is_empty() {
        let help = "write egret: true, or name a configMap, a secret or a clusterTrustBundle";
        found.find(&pointer, "this names no CA", help);
    }
    let Some(bundle) = &source.cluster_trust_bundle else { return };
    let pointer = format!("{pointer}/clusterTrustBundle");
    if complete && bundle.name.is_some() == bundle.signer_name.is_some() {
        let message = "a ClusterTrustBundle is named either by `name` or by `signerName`";
        found.find(&pointer, message, "give one of the two");
    }
    if let Some(selector) = &bundle.label_selector {
        if complete && bundle.signer_name.is_none() {
            let message = "`labelSelector` chooses among the bundles of a signer";
            found.find(format!("{pointer}/labelSelector"), message, "add `signerName`, or remove it");
        }
        selector_faults(selector, |inner, message, help| {
            found.find(format!("{pointer}/labelSelector/{inner}"), message, help);
        });
    }
}
