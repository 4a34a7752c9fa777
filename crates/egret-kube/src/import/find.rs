//! Finding the settings in a text: they may stand alone, or deep in what a tool prints.

use serde_json::{Map, Value};

use super::{ImportError, Origin, kind_of};

/// Where a proxy was found.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// What was found.
    pub(super) fields: Map<String, Value>,
    /// Where it was found, for messages.
    pub(super) place: String,
    /// What is to be said about what stands around it.
    pub(super) notes: Vec<String>,
}

/// Any of these shows that a mapping is what is looked for.
const SIGNS: [&str; 3] = ["httpProxy", "httpsProxy", "noProxy"];

/// The settings of the first document that has any.
pub(super) fn settings(origin: Origin, documents: &[Value]) -> Result<Settings, ImportError> {
    let mut objects = Vec::new();
    for document in documents {
        match document.get("items").and_then(Value::as_array) {
            Some(items) if is_list(document) => objects.extend(items),
            _ => objects.push(document),
        }
    }
    for object in &objects {
        if let Some(found) = in_object(origin, object) {
            return Ok(found);
        }
    }
    if let [only] = objects.as_slice()
        && !only.is_object()
    {
        let message =
            format!("the file holds {}, and not a mapping of fields; {}", kind_of(only), wanted(origin));
        return Err(ImportError::NotThere(message));
    }
    Err(ImportError::NotThere(format!("there is no proxy in the file; {}", wanted(origin))))
}

fn is_list(document: &Value) -> bool {
    document.get("kind").and_then(Value::as_str).is_none_or(|kind| kind.ends_with("List"))
}

fn wanted(origin: Origin) -> &'static str {
    match origin {
        Origin::Aks => {
            "give the file of --http-proxy-config, with httpProxy, httpsProxy, noProxy and trustedCa, or the output of \
             az aks show"
        }
        Origin::OpenShift => {
            "give the output of oc get proxy/cluster -o yaml, or an install-config.yaml with proxy: in it"
        }
        Origin::Istio => "give the mesh resource with httpProxyEnvs in it, or these alone",
    }
}

/// Places where the settings stand, from the most particular.
fn pointers(origin: Origin) -> &'static [&'static str] {
    match origin {
        Origin::Aks => &["/properties/httpProxyConfig", "/httpProxyConfig", "/http_proxy_config", ""],
        Origin::OpenShift => &["/spec", "/proxy", ""],
        Origin::Istio => &["/spec/httpProxyEnvs", "/httpProxyEnvs", "/spec/proxy/httpProxyEnvs", "/spec", ""],
    }
}

fn in_object(origin: Origin, object: &Value) -> Option<Settings> {
    for pointer in pointers(origin) {
        let Some(fields) = object.pointer(pointer).and_then(Value::as_object) else { continue };
        if !SIGNS.iter().any(|sign| fields.contains_key(*sign)) {
            continue;
        }
        let mut fields = fields.clone();
        let mut notes = Vec::new();
        if pointer.is_empty() {
            for name in ["apiVersion", "kind", "metadata", "status"] {
                fields.remove(name);
            }
        }
        // An install-config has the CA beside the proxy.
        if let Some(bundle) = object.get("additionalTrustBundle").filter(|_| origin == Origin::OpenShift) {
            fields.insert("additionalTrustBundle".to_owned(), bundle.clone());
        }
        if object.pointer("/status/noProxy").is_some() {
            notes.push(
                "`status.noProxy` was not carried over: Egret computes its own (`status.effectiveNoProxy`)"
                    .to_owned(),
            );
        }
        let place = match pointer.trim_start_matches('/') {
            "" => "the file".to_owned(),
            path => format!("`{}`", path.replace('/', ".")),
        };
        return Some(Settings { fields, place, notes });
    }
    None
}
