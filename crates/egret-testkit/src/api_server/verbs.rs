//! What a path names, and the verbs: get, list, create, update, patch, delete.

use std::sync::Arc;

use serde_json::{Value, json};

use super::access::{Shared, State};
use super::apply::{self, Writer};
use super::failure::{Answer, Failure};
use super::http::{Extras, Request};
use super::resources::Resource;
use super::selector::Selector;
use super::store::{Key, Store, now};
use super::{patch, present, review, webhook};

/// `group/version` or `v1`.
pub(crate) fn group_and_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// What a path names.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) resource: Resource,
    /// Empty for all namespaces and for a cluster's own.
    pub(crate) namespace: String,
    /// Empty for the collection.
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl Target {
    pub(crate) fn parse(store: &Store, parts: &[&str]) -> Result<Self, Failure> {
        let (group, version, rest) = match parts {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(Failure::no_path()),
        };
        let (namespace, rest) = match rest {
            // `namespaces/NAME` itself, and what belongs to it, is no resource within it.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            _ => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, subresource] => (*plural, *name, *subresource),
            _ => return Err(Failure::no_path()),
        };
        let resource = store.resource(group, version, plural).ok_or_else(Failure::no_path)?.clone();
        let known = subresource.is_empty() || resource.subresources.iter().any(|s| s == subresource);
        let placed = resource.namespaced || namespace.is_empty();
        let complete = name.is_empty() || !resource.namespaced || !namespace.is_empty();
        if !known || !placed || !complete {
            return Err(Failure::no_path());
        }
        Ok(Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        })
    }

    pub(crate) fn verb(&self, request: &Request, watch: bool) -> &'static str {
        match (request.method.as_str(), self.name.is_empty()) {
            _ if watch => "watch",
            ("GET" | "HEAD", true) => "list",
            ("GET" | "HEAD", false) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            _ => "delete",
        }
    }

    fn key(&self) -> Key {
        Store::key(&self.resource, &self.namespace, &self.name)
    }
}

pub(crate) fn handle(
    shared: &Shared,
    request: &Request,
    target: &Target,
    user: &str,
    extras: &mut Extras,
) -> Answer {
    let answer = match (request.method.as_str(), target.name.is_empty()) {
        ("GET" | "HEAD", true) => list(shared, request, target),
        ("GET" | "HEAD", false) => {
            let state = shared.state.lock().unwrap();
            let object = state.store.objects.get(&target.key()).cloned();
            let object = object.ok_or_else(|| Failure::not_found(&target.resource, &target.name))?;
            Ok((200, (*object).clone()))
        }
        ("POST", _) => return post(shared, request, target, user, extras),
        ("PUT", false) => update(shared, request, target, user, extras),
        ("PATCH", false) => patched(shared, request, target, user, extras),
        ("DELETE", collection) => delete(shared, request, target, collection),
        _ => Err(Failure::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
            json!({}),
        )),
    };
    shared.changed.notify_all();
    let (status, body) = answer?;
    if body["kind"] == "Status" || target.name.is_empty() {
        return Ok((status, body));
    }
    let metadata_only = present::wants_metadata(request.field("accept"));
    Ok((status, present::object(&target.resource, &body, metadata_only)))
}

fn list(shared: &Shared, request: &Request, target: &Target) -> Answer {
    let resource = &target.resource;
    let selector =
        Selector::parse(request.parameter("labelSelector"), request.parameter("fieldSelector"), resource)?;
    let state = shared.state.lock().unwrap();
    let store = &state.store;
    let asked = request.parameter("resourceVersion");
    let mut version = store.version;
    if !asked.is_empty() {
        let number: u64 = asked.parse().map_err(|_| Failure::bad_version(asked))?;
        if number > store.version {
            return Err(Failure::too_new(number, store.version));
        }
        if request.parameter("resourceVersionMatch") == "Exact" {
            if number < store.floor {
                return Err(Failure::list_too_old());
            }
            version = number;
        }
    }
    let limit: usize = request.parameter("limit").parse().unwrap_or(0);
    let limit = if limit == 0 { usize::MAX } else { limit };
    let mut start = String::new();
    let token = request.parameter("continue");
    if !token.is_empty() {
        let (at, from) = page::read(token)?;
        start = from;
        if at >= 0 {
            let at = at.unsigned_abs();
            if at < store.floor {
                return Err(Failure::continue_too_old(&page::write(-1, start.trim_start_matches('/'))));
            }
            version = at;
        }
    }
    let start = start.trim_start_matches('/').to_owned();
    let place = |object: &Value| {
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        if resource.namespaced && target.namespace.is_empty() { format!("{namespace}/{name}") } else { name }
    };
    let found: Vec<Arc<Value>> = store
        .list(resource, &target.namespace, version)
        .into_iter()
        .filter(|o| selector.matches(o) && (start.is_empty() || place(o) >= start))
        .collect();
    let metadata_only = present::wants_metadata(request.field("accept"));
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if found.len() > limit {
        // The next page begins after the last name of this one.
        let next = format!("/{}\0", place(&found[limit - 1]));
        metadata["continue"] = json!(page::write(i64::try_from(version).unwrap_or(0), &next));
        if selector.is_empty() {
            metadata["remainingItemCount"] = json!(found.len() - limit);
        }
    }
    let items = found.iter().take(limit).map(|o| present::object(resource, o, metadata_only)).collect();
    Ok((200, present::list(resource, items, metadata, metadata_only)))
}

/// Tokens that say where the next page of a list begins.
mod page {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::Failure;

    pub(super) fn write(version: i64, start: &str) -> String {
        let token = json!({"v": "meta.k8s.io/v1", "rv": version, "start": start});
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    pub(super) fn read(token: &str) -> Result<(i64, String), Failure> {
        let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('='));
        let token: Option<Value> = bytes.ok().and_then(|b| serde_json::from_slice(&b).ok());
        token
            .and_then(|t| Some((t["rv"].as_i64()?, t["start"].as_str()?.to_owned())))
            .ok_or_else(|| Failure::bad_request("continue key is not valid: illegal base64 data"))
    }
}

fn body(request: &Request, resource: &Resource) -> Result<Value, Failure> {
    let kind = request.field("content-type");
    if kind.contains("protobuf") {
        return Err(Failure::media_type("application/json, application/yaml"));
    }
    serde_json::from_slice(&request.body).map_err(|_| {
        Failure::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: unexpected end of JSON input ({})",
            resource.kind,
            String::from_utf8_lossy(&request.body).chars().take(40).collect::<String>()
        ))
    })
}

/// In the form in which it is stored.
fn to_stored(resource: &Resource, object: Value) -> Value {
    if resource.group == "events.k8s.io" { present::event_to_core(&object) } else { object }
}

fn manager(request: &Request) -> String {
    let asked = request.parameter("fieldManager");
    if !asked.is_empty() {
        return asked.to_owned();
    }
    let agent = request.field("user-agent").split('/').next().unwrap_or_default();
    if agent.is_empty() { "unknown".to_owned() } else { agent.to_owned() }
}

fn post(shared: &Shared, request: &Request, target: &Target, user: &str, extras: &mut Extras) -> Answer {
    let object = body(request, &target.resource)?;
    if let Some(answer) = review::answer(shared, target, &object) {
        shared.changed.notify_all();
        return answer;
    }
    if !target.name.is_empty() && !target.subresource.is_empty() {
        return Err(Failure::new(405, "MethodNotAllowed", "this subresource is not served here", json!({})));
    }
    let object = to_stored(&target.resource, object);
    let created = create(shared, request, target, user, extras, object)?;
    shared.changed.notify_all();
    let metadata_only = present::wants_metadata(request.field("accept"));
    Ok((201, present::object(&target.resource, &created, metadata_only)))
}

fn create(
    shared: &Shared,
    request: &Request,
    target: &Target,
    user: &str,
    extras: &mut Extras,
    mut object: Value,
) -> Result<Value, Failure> {
    let resource = &target.resource;
    let named = {
        let mut state = shared.state.lock().unwrap();
        name_it(&mut state, target, &mut object)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        state.store.check_namespace(resource, &target.namespace, &name)?;
        Target { name, ..target.clone() }
    };
    if object["apiVersion"].is_null() {
        object["apiVersion"] = json!(resource.api_version());
        object["kind"] = json!(resource.kind);
    }
    let map = object.as_object_mut().unwrap();
    if resource.has_status() && resource.plural != "events" {
        map.shift_remove("status");
    }
    defaults(&mut object);
    let mut object = webhook::admit(shared, &named, "CREATE", user, request, object, Value::Null, extras)?;
    let writer = Writer { manager: &manager(request), subresource: "", force: false };
    if !object["metadata"]["managedFields"].is_array() {
        apply::note_update(&Value::Null, &mut object, resource, &writer);
    }
    let mut state = shared.state.lock().unwrap();
    if state.store.objects.contains_key(&named.key()) {
        return Err(Failure::exists(resource, &named.name));
    }
    if dry_run(request) {
        object["metadata"]["uid"] = json!(state.store.uid());
        object["metadata"]["creationTimestamp"] = json!(now());
        return Ok(object);
    }
    if resource.plural == "namespaces" {
        let labels = object["metadata"].clone();
        state.store.add_namespace(&named.name);
        let stored = state.store.objects[&named.key()].clone();
        let mut merged = (*stored).clone();
        patch::merge(
            &mut merged["metadata"],
            &json!({
                "labels": labels["labels"], "annotations": labels["annotations"],
            }),
        );
        merged["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(named.name);
        return Ok((*state.store.insert(resource, named.key(), merged)).clone());
    }
    let stored = state.store.insert(resource, named.key(), object);
    // A definition is answered as it came, before it is established.
    Ok((*stored).clone())
}

fn name_it(state: &mut State, target: &Target, object: &mut Value) -> Result<(), Failure> {
    let resource = &target.resource;
    let map = object.as_object_mut().ok_or_else(|| Failure::bad_request("the object is no object"))?;
    let metadata = map.entry("metadata").or_insert_with(|| json!({}));
    for name in ["resourceVersion", "uid", "creationTimestamp"] {
        metadata.as_object_mut().map(|m| m.shift_remove(name));
    }
    if metadata["name"].as_str().unwrap_or_default().is_empty() {
        let prefix = metadata["generateName"].as_str().unwrap_or_default().to_owned();
        if prefix.is_empty() {
            let detail = "Required value: name or generateName is required";
            return Err(Failure::invalid(
                &resource.kind,
                &resource.group,
                "",
                "FieldValueRequired",
                "metadata.name",
                detail,
            ));
        }
        metadata["name"] = json!(format!("{prefix}{}", state.store.suffix()));
    }
    let name = metadata["name"].as_str().unwrap_or_default();
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let strict = !resource.group.contains("rbac");
    if strict && (!name.chars().all(fine) || name.starts_with(['-', '.']) || name.ends_with(['-', '.'])) {
        let detail = format!(
            "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        );
        return Err(Failure::invalid(
            &resource.kind,
            &resource.group,
            name,
            "FieldValueInvalid",
            "metadata.name",
            &detail,
        ));
    }
    if resource.namespaced {
        if metadata["namespace"].as_str().is_some_and(|n| !n.is_empty() && n != target.namespace) {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        metadata["namespace"] = json!(target.namespace);
    }
    Ok(())
}

/// What the API server fills in and the tests look at.
fn defaults(object: &mut Value) {
    match object["kind"].as_str() {
        Some("Pod") => {
            let spec = &mut object["spec"];
            for (name, value) in [
                ("restartPolicy", json!("Always")),
                ("dnsPolicy", json!("ClusterFirst")),
                ("serviceAccountName", json!("default")),
                ("securityContext", json!({})),
                ("schedulerName", json!("default-scheduler")),
                ("terminationGracePeriodSeconds", json!(30)),
                ("enableServiceLinks", json!(true)),
            ] {
                if spec[name].is_null() {
                    spec[name] = value;
                }
            }
            let account = spec["serviceAccountName"].clone();
            spec["serviceAccount"] = account;
            object["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
        }
        Some("CustomResourceDefinition") => object["status"] = json!({}),
        _ => {}
    }
}

fn dry_run(request: &Request) -> bool {
    request.parameter("dryRun") == "All"
}

fn update(shared: &Shared, request: &Request, target: &Target, user: &str, extras: &mut Extras) -> Answer {
    let mut object = to_stored(&target.resource, body(request, &target.resource)?);
    let resource = &target.resource;
    let old = {
        let state = shared.state.lock().unwrap();
        let old = state.store.objects.get(&target.key()).cloned();
        old.ok_or_else(|| Failure::not_found(resource, &target.name))?
    };
    if object["metadata"]["name"] != target.name.as_str() {
        let message = format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            object["metadata"]["name"].as_str().unwrap_or_default(),
            target.name
        );
        return Err(Failure::bad_request(message));
    }
    let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    if version.is_empty() && (resource.custom || resource.plural == "leases") {
        let mut failure = Failure::invalid(
            &resource.plural,
            &resource.group,
            &target.name,
            "FieldValueInvalid",
            "metadata.resourceVersion",
            "Invalid value: 0: must be specified for an update",
        );
        failure.body["details"]["kind"] = json!(resource.plural);
        return Err(failure);
    }
    if !version.is_empty() && old["metadata"]["resourceVersion"] != version.as_str() {
        return Err(Failure::conflict(resource, &target.name));
    }
    if resource.namespaced {
        object["metadata"]["namespace"] = json!(target.namespace);
    }
    finish(shared, request, target, user, extras, (*old).clone(), object, None)
}

fn patched(shared: &Shared, request: &Request, target: &Target, user: &str, extras: &mut Extras) -> Answer {
    let resource = &target.resource;
    let kind = request.field("content-type").split(';').next().unwrap_or_default().trim().to_owned();
    let accepted = if resource.custom {
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    } else {
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml, application/apply-patch+cbor"
    };
    let change: Value = serde_json::from_slice(&request.body)
        .map_err(|e| Failure::bad_request(format!("error decoding patch: {e}")))?;
    for _ in 0..5 {
        let old = shared.state.lock().unwrap().store.objects.get(&target.key()).cloned();
        if kind == "application/apply-patch+yaml" {
            return applied(shared, request, target, user, extras, old, &change);
        }
        let old = old.ok_or_else(|| Failure::not_found(resource, &target.name))?;
        let mut new = (*old).clone();
        if resource.group == "events.k8s.io" {
            new = present::event_from_core(&new);
        }
        match kind.as_str() {
            "application/merge-patch+json" => patch::merge(&mut new, &change),
            "application/strategic-merge-patch+json" if !resource.custom => {
                patch::strategic(&mut new, &change, "")
            }
            "application/json-patch+json" => patch::json_patch(&mut new, &change)?,
            _ => return Err(Failure::media_type(accepted)),
        }
        let new = to_stored(resource, new);
        if new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
            return Err(Failure::conflict(resource, &target.name));
        }
        match finish(shared, request, target, user, extras, (*old).clone(), new, None) {
            // Somebody was faster; a patch that names no version is tried again.
            Err(failure) if failure.code == 409 && change["metadata"]["resourceVersion"].is_null() => {}
            other => return other,
        }
    }
    Err(Failure::conflict(resource, &target.name))
}

fn applied(
    shared: &Shared,
    request: &Request,
    target: &Target,
    user: &str,
    extras: &mut Extras,
    old: Option<Arc<Value>>,
    change: &Value,
) -> Answer {
    let resource = &target.resource;
    let manager = request.parameter("fieldManager");
    if manager.is_empty() {
        let detail = "Required value: is required for apply patch";
        return Err(Failure::invalid(
            "PatchOptions",
            "meta.k8s.io",
            "",
            "FieldValueRequired",
            "fieldManager",
            detail,
        ));
    }
    let writer = Writer { manager, subresource: &target.subresource, force: request.flag("force") };
    let Some(old) = old else {
        if !target.subresource.is_empty() {
            return Err(Failure::not_found(resource, &target.name));
        }
        let mut object = change.clone();
        object["metadata"]["name"] = json!(target.name);
        let object = apply::apply(&Value::Null, &object, resource, &writer)?;
        let stored = create(shared, request, target, user, extras, object)?;
        return Ok((201, stored));
    };
    let asked = &change["metadata"]["resourceVersion"];
    if asked.is_string() && *asked != old["metadata"]["resourceVersion"] {
        return Err(Failure::conflict(resource, &target.name));
    }
    let mut change = change.clone();
    if let Some(map) = change.as_object_mut() {
        // Each endpoint owns its half.
        if target.subresource == "status" {
            map.shift_remove("spec");
        } else if resource.has_status() {
            map.shift_remove("status");
        }
    }
    let new = apply::apply(&old, &change, resource, &writer)?;
    finish(shared, request, target, user, extras, (*old).clone(), new, Some(()))
}

/// Checks and stores what an update or patch made of an object.
#[allow(clippy::too_many_arguments, reason = "one step of one function, split for its size")]
fn finish(
    shared: &Shared,
    request: &Request,
    target: &Target,
    user: &str,
    extras: &mut Extras,
    old: Value,
    mut new: Value,
    applied: Option<()>,
) -> Answer {
    let resource = &target.resource;
    let subresource = target.subresource.as_str();
    match subresource {
        "" if resource.has_status() => restore(&mut new, &old, "status"),
        "status" => {
            let (status, fields) = (new.get("status").cloned(), new["metadata"]["managedFields"].clone());
            let metadata = new["metadata"].clone();
            new = old.clone();
            match status {
                Some(status) => new["status"] = status,
                None => {
                    new.as_object_mut().unwrap().shift_remove("status");
                }
            }
            if !resource.custom {
                for name in ["labels", "annotations", "finalizers"] {
                    new["metadata"][name] = metadata[name].clone();
                    if new["metadata"][name].is_null() {
                        new["metadata"].as_object_mut().unwrap().shift_remove(name);
                    }
                }
            }
            if applied.is_some() {
                new["metadata"]["managedFields"] = fields;
            }
        }
        _ => {}
    }
    for name in ["namespace", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        match old["metadata"].get(name) {
            Some(value) => new["metadata"][name] = value.clone(),
            None => {
                new["metadata"].as_object_mut().map(|m| m.shift_remove(name));
            }
        }
    }
    if old["metadata"]["deletionTimestamp"].is_string() {
        let before = old["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        let after = new["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        let added: Vec<&Value> = after.iter().filter(|f| !before.contains(f)).collect();
        if !added.is_empty() {
            let added: Vec<String> = added.iter().map(|f| f.to_string()).collect();
            let detail = format!(
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            return Err(Failure::invalid(
                &resource.kind,
                &resource.group,
                &target.name,
                "FieldValueForbidden",
                "metadata.finalizers",
                &detail,
            ));
        }
    }
    let new = if subresource == "status" && resource.custom {
        new
    } else {
        webhook::admit(shared, target, "UPDATE", user, request, new, old.clone(), extras)?
    };
    let mut new = new;
    if applied.is_none() {
        let writer = Writer { manager: &manager(request), subresource, force: false };
        apply::note_update(&old, &mut new, resource, &writer);
    }
    if dry_run(request) {
        return Ok((200, new));
    }
    let mut state = shared.state.lock().unwrap();
    let current = state.store.objects.get(&target.key()).cloned();
    if current.is_none_or(|c| c["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]) {
        return Err(Failure::conflict(resource, &target.name));
    }
    let ended = new["metadata"]["deletionTimestamp"].is_string()
        && new["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
        && resource.plural != "pods"
        && resource.plural != "namespaces";
    let unchanged = only_times_differ(&old, &new);
    let stored = if unchanged { Arc::new(old) } else { state.store.insert(resource, target.key(), new) };
    if ended {
        state.store.remove(&target.key());
    }
    Ok((200, (*stored).clone()))
}

/// Whether nothing but the times in `managedFields` changed; such a write changes no version.
fn only_times_differ(old: &Value, new: &Value) -> bool {
    let strip = |object: &Value| {
        let mut object = object.clone();
        for entry in object["metadata"]["managedFields"].as_array_mut().into_iter().flatten() {
            entry["time"] = Value::Null;
        }
        object
    };
    strip(old) == strip(new)
}

fn restore(new: &mut Value, old: &Value, field: &str) {
    match old.get(field) {
        Some(value) => new[field] = value.clone(),
        None => {
            new.as_object_mut().map(|m| m.shift_remove(field));
        }
    }
}

fn delete(shared: &Shared, request: &Request, target: &Target, collection: bool) -> Answer {
    let options: Value = serde_json::from_slice(&request.body).unwrap_or_else(|_| json!({}));
    let resource = &target.resource;
    let mut state = shared.state.lock().unwrap();
    if collection {
        let selector = Selector::parse(
            request.parameter("labelSelector"),
            request.parameter("fieldSelector"),
            resource,
        )?;
        let version = state.store.version;
        let found = state.store.list(resource, &target.namespace, version);
        let mut gone = Vec::new();
        for object in found.into_iter().filter(|o| selector.matches(o)) {
            let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
            let one = Target { namespace: text("namespace"), name: text("name"), ..target.clone() };
            delete_one(&mut state, &one, &options, request)?;
            gone.push((*object).clone());
        }
        let metadata = json!({"resourceVersion": state.store.version.to_string()});
        return Ok((200, present::list(resource, gone, metadata, false)));
    }
    delete_one(&mut state, target, &options, request)
}

fn delete_one(state: &mut State, target: &Target, options: &Value, request: &Request) -> Answer {
    let resource = &target.resource;
    let key = target.key();
    let object = state.store.objects.get(&key).cloned();
    let object = object.ok_or_else(|| Failure::not_found(resource, &target.name))?;
    for (name, field) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let wanted = &options["preconditions"][name];
        if wanted.is_string() && *wanted != object["metadata"][name] {
            let why = format!(
                "Precondition failed: {field} in precondition: {}, {field} in object meta: {}",
                wanted.as_str().unwrap_or_default(),
                object["metadata"][name].as_str().unwrap_or_default()
            );
            return Err(Failure::conflict_because(resource, &target.name, &why));
        }
    }
    if dry_run(request) || options["dryRun"] == json!(["All"]) {
        return Ok((200, (*object).clone()));
    }
    let finalizers = object["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty());
    let grace = options["gracePeriodSeconds"]
        .as_u64()
        .or_else(|| request.parameter("gracePeriodSeconds").parse().ok());
    let running = resource.plural == "pods" && object["spec"]["nodeName"].is_string() && grace != Some(0);
    let namespace = resource.plural == "namespaces";
    if finalizers || running || namespace {
        let mut marked = (*object).clone();
        if !marked["metadata"]["deletionTimestamp"].is_string() {
            marked["metadata"]["deletionTimestamp"] = json!(now());
            marked["metadata"]["deletionGracePeriodSeconds"] =
                json!(if running { grace.unwrap_or(30) } else { 0 });
            if namespace {
                marked["status"]["phase"] = json!("Terminating");
            }
        }
        let marked = state.store.insert(resource, key.clone(), marked);
        if finalizers || (running && state.lingering_pods) {
            return Ok((200, (*marked).clone()));
        }
        if namespace {
            // What the namespace controller does, at once.
            let inside: Vec<Key> =
                state.store.objects.keys().filter(|k| k.2 == target.name).cloned().collect();
            for key in inside {
                state.store.remove(&key);
            }
        }
        state.store.remove(&key);
        return Ok((200, (*marked).clone()));
    }
    state.store.remove(&key);
    if resource.plural == "pods" {
        return Ok((200, (*object).clone()));
    }
    let mut details = json!({"name": target.name});
    if !resource.group.is_empty() {
        details["group"] = json!(resource.group);
    }
    details["kind"] = json!(resource.plural);
    details["uid"] = object["metadata"]["uid"].clone();
    Ok((
        200,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
    ))
}
