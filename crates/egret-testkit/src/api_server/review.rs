//! TokenRequest, TokenReview and access reviews, answered in the words of the recordings.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::access::{Shared, State};
use super::failure::{Answer, Failure};
use super::store::Store;
use super::verbs::Target;

/// The audience of the API server itself.
const OWN_AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// What a token that was issued says.
#[derive(Clone, Debug)]
pub(crate) struct IssuedToken {
    namespace: String,
    account: String,
    account_uid: String,
    audiences: Vec<String>,
    /// Name, uid, and the node's name and uid.
    pod: Option<[String; 4]>,
    id: String,
    revoked: bool,
}

impl IssuedToken {
    pub(crate) fn is_for_the_server(&self) -> bool {
        !self.revoked && self.audiences.iter().any(|a| a == OWN_AUDIENCE)
    }

    pub(crate) fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.account)
    }

    pub(crate) fn revoke(&mut self) {
        self.revoked = true;
    }
}

fn stored(state: &State, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Value> {
    let resource = state.store.resource(group, "v1", plural)?;
    state.store.objects.get(&Store::key(resource, namespace, name)).map(|o| (**o).clone())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Issues a token; bound to a pod when one is named.
pub(crate) fn issue(
    state: &mut State,
    namespace: &str,
    account: &str,
    audiences: Vec<String>,
    pod: Option<&str>,
) -> Result<String, Failure> {
    let accounts = state.store.resource("", "v1", "serviceaccounts").unwrap().clone();
    let pods = state.store.resource("", "v1", "pods").unwrap().clone();
    let found = stored(state, "", "serviceaccounts", namespace, account);
    let found = found.ok_or_else(|| Failure::not_found(&accounts, account))?;
    let bound = match pod {
        None => None,
        Some(name) => {
            let object = stored(state, "", "pods", namespace, name);
            let object = object.ok_or_else(|| Failure::not_found(&pods, name))?;
            if object["spec"]["serviceAccountName"] != account {
                return Err(Failure::bad_request(format!(
                    "cannot bind token for serviceaccount \"{account}\" to pod running with different serviceaccount name."
                )));
            }
            let node = text(&object["spec"]["nodeName"]);
            let node_uid = stored(state, "", "nodes", "", &node).map(|n| text(&n["metadata"]["uid"]));
            Some([name.to_owned(), text(&object["metadata"]["uid"]), node, node_uid.unwrap_or_default()])
        }
    };
    let id = state.store.uid();
    let token = IssuedToken {
        namespace: namespace.to_owned(),
        account: account.to_owned(),
        account_uid: text(&found["metadata"]["uid"]),
        audiences: if audiences.is_empty() { vec![OWN_AUDIENCE.to_owned()] } else { audiences },
        pod: bound,
        id: id.clone(),
        revoked: false,
    };
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "RS256", "kid": "test"}).to_string());
    let claims = json!({
        "aud": token.audiences, "iss": OWN_AUDIENCE, "jti": id, "sub": token.user(),
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account}},
    });
    let written = format!(
        "{header}.{}.{}",
        URL_SAFE_NO_PAD.encode(claims.to_string()),
        URL_SAFE_NO_PAD.encode([7; 64])
    );
    state.issued.insert(written.clone(), token);
    Ok(written)
}

/// Answers what is asked and never stored; `None` for everything else.
pub(crate) fn answer(shared: &Shared, target: &Target, object: &Value) -> Option<Answer> {
    let mut state = shared.state.lock().unwrap();
    let group = target.resource.group.as_str();
    match (group, target.resource.plural.as_str(), target.subresource.as_str()) {
        ("authentication.k8s.io", "tokenreviews", _) => Some(token_review(&state, object)),
        ("authentication.k8s.io", "selfsubjectreviews", _) => {
            let status = json!({"userInfo": {"username": "system:admin"}});
            Some(Ok((201, with_status(object, status))))
        }
        ("authorization.k8s.io", _, _) => Some(access_review(&state, object)),
        ("", "serviceaccounts", "token") => Some(token_request(&mut state, target, object)),
        ("", "pods", "eviction") => {
            let resource = target.resource.clone();
            let key = Store::key(&resource, &target.namespace, &target.name);
            let found = state.store.remove(&key).is_some();
            let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
            Some(if found { Ok((201, success)) } else { Err(Failure::not_found(&resource, &target.name)) })
        }
        ("", "pods", "binding") => {
            let resource = target.resource.clone();
            let key = Store::key(&resource, &target.namespace, &target.name);
            let mut pod = (**state.store.objects.get(&key)?).clone();
            pod["spec"]["nodeName"] = object["target"]["name"].clone();
            state.store.insert(&resource, key, pod);
            let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
            Some(Ok((201, success)))
        }
        _ => None,
    }
}

fn with_status(object: &Value, status: Value) -> Value {
    let mut answer = json!({
        "kind": object["kind"], "apiVersion": object["apiVersion"],
        "metadata": if object["metadata"].is_object() { object["metadata"].clone() } else { json!({}) },
        "spec": object["spec"],
    });
    answer["status"] = status;
    answer
}

fn token_review(state: &State, object: &Value) -> Answer {
    let token = text(&object["spec"]["token"]);
    if token.is_empty() {
        return Err(Failure::bad_request("token is required for TokenReview in authentication"));
    }
    let status = match (state.reviews.get(&token), state.issued.get(&token)) {
        (Some(status), _) => status.clone(),
        (None, None) => json!({"user": {}, "error": "invalid bearer token"}),
        (None, Some(issued)) => judge(state, issued, &object["spec"]["audiences"]),
    };
    Ok((201, with_status(object, status)))
}

fn judge(state: &State, issued: &IssuedToken, asked: &Value) -> Value {
    let refused = |why: String| json!({"user": {}, "error": format!("[invalid bearer token, {why}]")});
    let list = |names: &[String]| serde_json::to_string(names).unwrap_or_default().replace(',', " ");
    let mut asked: Vec<String> = asked.as_array().into_iter().flatten().map(text).collect();
    if asked.is_empty() {
        asked.push(OWN_AUDIENCE.to_owned());
    }
    let shared: Vec<&String> = issued.audiences.iter().filter(|a| asked.contains(a)).collect();
    if shared.is_empty() {
        return refused(format!(
            "token audiences {} is invalid for the target audiences {}",
            list(&issued.audiences),
            list(&asked)
        ));
    }
    let account = stored(state, "", "serviceaccounts", &issued.namespace, &issued.account);
    let same_account = account.is_some_and(|a| a["metadata"]["uid"] == issued.account_uid.as_str());
    let pod = issued.pod.as_ref();
    let same_pod = pod.is_none_or(|[name, uid, ..]| {
        stored(state, "", "pods", &issued.namespace, name)
            .is_some_and(|p| p["metadata"]["uid"] == uid.as_str())
    });
    if issued.revoked || !same_account || !same_pod {
        return refused("service account token has been invalidated".to_owned());
    }
    let mut extra = json!({"authentication.kubernetes.io/credential-id": [format!("JTI={}", issued.id)]});
    if let Some([name, uid, node, node_uid]) = pod {
        if !node.is_empty() {
            extra["authentication.kubernetes.io/node-name"] = json!([node]);
            extra["authentication.kubernetes.io/node-uid"] = json!([node_uid]);
        }
        extra["authentication.kubernetes.io/pod-name"] = json!([name]);
        extra["authentication.kubernetes.io/pod-uid"] = json!([uid]);
    }
    json!({
        "authenticated": true,
        "user": {
            "username": issued.user(), "uid": issued.account_uid,
            "groups": [
                "system:serviceaccounts", format!("system:serviceaccounts:{}", issued.namespace),
                "system:authenticated",
            ],
            "extra": extra,
        },
        "audiences": shared,
    })
}

fn token_request(state: &mut State, target: &Target, object: &Value) -> Answer {
    let spec = &object["spec"];
    let seconds = spec["expirationSeconds"].as_u64().unwrap_or(3600);
    if seconds < 600 {
        let detail = format!("Invalid value: {seconds}: may not specify a duration less than 10 minutes");
        let mut failure = Failure::invalid(
            "TokenRequest",
            "authentication.k8s.io",
            "",
            "FieldValueInvalid",
            "spec.expirationSeconds",
            &detail,
        );
        failure.body["details"] = json!({
            "group": "authentication.k8s.io", "kind": "TokenRequest",
            "causes": failure.body["details"]["causes"],
        });
        return Err(failure);
    }
    let bound = &spec["boundObjectRef"];
    let pod = (bound["kind"] == "Pod").then(|| text(&bound["name"]));
    if let (Some(name), Some(uid)) = (&pod, bound["uid"].as_str()) {
        let found = stored(state, "", "pods", &target.namespace, name);
        if found.is_some_and(|p| p["metadata"]["uid"] != uid) {
            let why = format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            );
            let message = format!("Operation cannot be fulfilled on Pod \"{name}\": {why}");
            return Err(Failure::new(409, "Conflict", message, json!({"name": name, "kind": "Pod"})));
        }
    }
    let audiences = spec["audiences"].as_array().into_iter().flatten().map(text).collect();
    let token = issue(state, &target.namespace, &target.name, audiences, pod.as_deref())?;
    let until =
        jiff::Timestamp::now() + jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(3600));
    let status =
        json!({"token": token, "expirationTimestamp": until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()});
    let mut answer = with_status(object, status);
    answer["metadata"]["name"] = json!(target.name);
    answer["metadata"]["namespace"] = json!(target.namespace);
    answer["spec"]["expirationSeconds"] = json!(seconds);
    Ok((201, answer))
}

fn access_review(state: &State, object: &Value) -> Answer {
    let attributes = &object["spec"]["resourceAttributes"];
    let (verb, group, plural) =
        (text(&attributes["verb"]), text(&attributes["group"]), text(&attributes["resource"]));
    let allowed = !state.is_forbidden(&verb, &group, &plural);
    let status = if allowed {
        json!({"allowed": true, "reason": "RBAC: allowed by the test"})
    } else {
        json!({"allowed": false})
    };
    Ok((201, with_status(object, status)))
}
