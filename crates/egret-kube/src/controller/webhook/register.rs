//! The webhook configurations: what the API server asks the webhook about.
//!
//! Pods: `failurePolicy: Ignore`, so that pods are made without the proxy's variables rather than not at all when the
//! webhook is away. Egret's own kinds: `Fail` once the API server was seen to reach the webhook (a misspelt field
//! would otherwise be dropped in silence, and a policy be wider than it was meant); until then `Ignore`, so that an
//! installation whose network is not right yet can be looked at with its own objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::controller::labels;
use crate::controller::settings::Settings;

/// Where the webhook asks for pods.
pub(crate) const INJECT_PATH: &str = "/mutate";
/// Where it asks for Egret's own kinds.
pub(crate) const VALIDATE_PATH: &str = "/validate";
/// The webhook of pods.
pub(crate) const PODS: &str = "pods.egret.dev";
/// The webhook of Egret's own kinds.
pub(crate) const OBJECTS: &str = "objects.egret.dev";
/// Namespaces without which there is no cluster.
const SYSTEM: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// How the API server reaches the webhook and why it believes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// By URL, or else by the Service of the settings.
    pub(crate) url: Option<String>,
    /// PEM; `None` leaves it to somebody else.
    pub(crate) trust: Option<Vec<u8>>,
}

impl Client {
    fn config(&self, settings: &Settings, path: &str) -> Value {
        let mut config = match &self.url {
            // One with a path of its own is somebody's wish.
            Some(url) => match url.split_once("://").and_then(|(_, rest)| rest.split_once('/')) {
                Some((_, rest)) if !rest.is_empty() => json!({ "url": url }),
                _ => json!({ "url": format!("{}{path}", url.trim_end_matches('/')) }),
            },
            None => json!({ "service": {
                "namespace": settings.namespace,
                "name": settings.service,
                "path": path,
                "port": settings.service_port,
            } }),
        };
        if let Some(trust) = &self.trust {
            config["caBundle"] = STANDARD.encode(trust).into();
        }
        config
    }
}

/// The configuration of the webhook that changes pods.
pub(crate) fn mutating(settings: &Settings, client: &Client, owner: Option<&str>) -> Value {
    let mut excluded: Vec<&str> = SYSTEM.to_vec();
    excluded.push(&settings.namespace);
    let pods = |operation: &str, resource: &str| {
        json!({
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": [operation],
            "resources": [resource],
            "scope": "Namespaced",
        })
    };
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": metadata(settings, owner),
        "webhooks": [{
            "name": PODS,
            "admissionReviewVersions": ["v1"],
            "clientConfig": client.config(settings, INJECT_PATH),
            "failurePolicy": "Ignore",
            "matchPolicy": "Equivalent",
            // A mirror pod is a picture of a static pod: nothing in it can be changed. `has` first, for a condition
            // that fails to evaluate is an error.
            "matchConditions": [{
                "name": "not-a-mirror-pod",
                "expression": "!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)",
            }],
            "namespaceSelector": { "matchExpressions": [
                { "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": excluded },
                { "key": "egret.dev/inject", "operator": "NotIn", "values": ["disabled"] },
            ] },
            "objectSelector": {},
            // Later webhooks add containers.
            "reinvocationPolicy": "IfNeeded",
            "rules": [pods("CREATE", "pods"), pods("UPDATE", "pods/ephemeralcontainers")],
            "sideEffects": "None",
            "timeoutSeconds": settings.webhook_timeout.as_secs().clamp(1, 30),
        }],
    })
}

/// The configuration of the webhook that checks Egret's own kinds.
pub(crate) fn validating(
    settings: &Settings,
    client: &Client,
    owner: Option<&str>,
    seen_to_answer: bool,
) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": metadata(settings, owner),
        "webhooks": [{
            "name": OBJECTS,
            "admissionReviewVersions": ["v1"],
            "clientConfig": client.config(settings, VALIDATE_PATH),
            "failurePolicy": if seen_to_answer { "Fail" } else { "Ignore" },
            "matchPolicy": "Equivalent",
            "namespaceSelector": {},
            "objectSelector": {},
            "rules": [{
                "apiGroups": ["egret.dev"],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE"],
                "resources": ["egressproxies", "clusteregresspolicies", "egresspolicies"],
                "scope": "*",
            }],
            "sideEffects": "None",
            "timeoutSeconds": settings.webhook_timeout.as_secs().clamp(1, 30),
        }],
    })
}

/// Owned by the namespace of the installation, whose UID is `owner`: when that is deleted, so are they, and nothing asks
/// a webhook that is no more.
fn metadata(settings: &Settings, owner: Option<&str>) -> Value {
    let mut metadata = json!({ "name": settings.webhooks, "labels": labels() });
    if let Some(uid) = owner {
        metadata["ownerReferences"] =
            json!([{ "apiVersion": "v1", "kind": "Namespace", "name": settings.namespace, "uid": uid }]);
    }
    metadata
}

/// What of a configuration as it is now stays: a URL that somebody else has set.
pub(crate) fn url_of(live: &Value, webhook: &str, path: &str) -> Option<String> {
    let webhooks = live["webhooks"].as_array()?;
    let own = webhooks.iter().find(|found| found["name"] == webhook)?;
    let url = own["clientConfig"]["url"].as_str()?;
    Some(url.strip_suffix(path).unwrap_or(url).to_owned())
}

/// Whether all that is wanted is there. Lists have to be of one length; what the API server adds to an object does
/// not count.
pub(crate) fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, value)| {
            // An empty selector may be left out.
            live.get(key)
                .map_or(value.as_object().is_some_and(serde_json::Map::is_empty), |live| covers(live, value))
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        (live, wanted) => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        crate::controller::tests::settings()
    }

    fn client() -> Client {
        Client { url: None, trust: Some(b"pem".to_vec()) }
    }

    #[test]
    fn a_dead_webhook_stops_no_pod() {
        let mutating = mutating(&settings(), &client(), None);
        let webhook = &mutating["webhooks"][0];
        assert_eq!(webhook["failurePolicy"], "Ignore");
        assert_eq!(webhook["sideEffects"], "None");
        assert_eq!(webhook["reinvocationPolicy"], "IfNeeded");
        let seconds = webhook["timeoutSeconds"].as_u64().unwrap();
        assert!((1..=10).contains(&seconds), "{seconds}");
    }

    #[test]
    fn leaves_the_system_and_itself_alone() {
        let mutating = mutating(&settings(), &client(), None);
        let excluded = &mutating["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["values"];
        for name in ["kube-system", "egret-system"] {
            assert!(excluded.as_array().unwrap().iter().any(|value| value == name), "{name} in {excluded}");
        }
    }

    #[test]
    fn refuses_own_kinds_unchecked_only_once_it_was_seen_to_answer() {
        let policy =
            |seen| validating(&settings(), &client(), None, seen)["webhooks"][0]["failurePolicy"].clone();
        assert_eq!((policy(false), policy(true)), (json!("Ignore"), json!("Fail")));
    }

    #[test]
    fn keeps_a_url_that_somebody_else_set() {
        let by_url = Client { url: Some("https://127.0.0.1:9443".to_owned()), trust: None };
        let live = mutating(&settings(), &by_url, None);
        assert_eq!(url_of(&live, PODS, INJECT_PATH), by_url.url);
        assert_eq!(url_of(&mutating(&settings(), &client(), None), PODS, INJECT_PATH), None);
    }

    #[test]
    fn knows_when_nothing_is_to_be_done() {
        let wanted = mutating(&settings(), &client(), None);
        let mut live = wanted.clone();
        live["metadata"]["uid"] = "1".into();
        live["webhooks"][0].as_object_mut().unwrap().remove("objectSelector");
        assert!(covers(&live, &wanted));
        live["webhooks"][0]["failurePolicy"] = "Fail".into();
        assert!(!covers(&live, &wanted));
        live = wanted.clone();
        live["webhooks"].as_array_mut().unwrap().push(json!({}));
        assert!(!covers(&live, &wanted));
    }
}
