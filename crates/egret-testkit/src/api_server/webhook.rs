//! Admission webhooks: the registered configurations are called as the real server calls them. Rules, selectors,
//! failurePolicy, the patch and its faults, warnings and reinvocation hold; match conditions (CEL) do not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};

use super::access::{Shared, State};
use super::failure::Failure;
use super::http::{Extras, Request};
use super::patch;
use super::selector::Selector;
use super::store::Store;
use super::verbs::Target;

/// What webhooks are asked about.
struct Question<'a> {
    target: &'a Target,
    operation: &'a str,
    user: &'a str,
    dry_run: bool,
    options: Value,
}

/// Asks the webhooks that are registered for this operation, mutating ones first.
#[allow(clippy::too_many_arguments, reason = "an AdmissionReview has as many parts")]
pub(crate) fn admit(
    shared: &Shared,
    target: &Target,
    operation: &str,
    user: &str,
    request: &Request,
    mut object: Value,
    old: Value,
    extras: &mut Extras,
) -> Result<Value, Failure> {
    if target.resource.group == "admissionregistration.k8s.io" || target.resource.plural == "events" {
        return Ok(object);
    }
    let question = Question {
        target,
        operation,
        user,
        dry_run: request.parameter("dryRun") == "All",
        options: json!({
            "kind": if operation == "CREATE" { "CreateOptions" } else { "UpdateOptions" },
            "apiVersion": "meta.k8s.io/v1", "fieldManager": request.parameter("fieldManager"),
        }),
    };
    let mutating = due(shared, "mutatingwebhookconfigurations", &question, &object);
    let mut changed_after: Vec<(Value, bool)> = Vec::new();
    for hook in &mutating {
        let before = object.clone();
        object = ask(shared, hook, &question, object, &old, extras, true)?;
        if before != object {
            changed_after.iter_mut().for_each(|(_, again)| *again = true);
        }
        changed_after.push((hook.clone(), false));
    }
    // Those that ask for it are called again when another changed the object after them.
    for (hook, again) in &changed_after {
        if *again && hook["reinvocationPolicy"] == "IfNeeded" {
            object = ask(shared, hook, &question, object, &old, extras, true)?;
        }
    }
    for hook in due(shared, "validatingwebhookconfigurations", &question, &object) {
        ask(shared, &hook, &question, object.clone(), &old, extras, false)?;
    }
    Ok(object)
}

/// The webhooks whose rules and selectors fit, in the order of their configurations' names.
fn due(shared: &Shared, plural: &str, question: &Question<'_>, object: &Value) -> Vec<Value> {
    let state = shared.state.lock().unwrap();
    let Some(resource) = state.store.resource("admissionregistration.k8s.io", "v1", plural).cloned() else {
        return Vec::new();
    };
    let configurations = state.store.list(&resource, "", state.store.version);
    let hooks = configurations.iter().flat_map(|c| c["webhooks"].as_array().cloned().unwrap_or_default());
    hooks.filter(|hook| fits(&state, hook, question, object)).collect()
}

fn fits(state: &State, hook: &Value, question: &Question<'_>, object: &Value) -> bool {
    let has = |list: &Value, value: &str| {
        list.as_array().into_iter().flatten().any(|item| item == "*" || item == value)
    };
    let resource = &question.target.resource;
    let name = match question.target.subresource.as_str() {
        "" => resource.plural.clone(),
        subresource => format!("{}/{subresource}", resource.plural),
    };
    let rules = hook["rules"].as_array().into_iter().flatten();
    let by_rule = rules.into_iter().any(|rule| {
        has(&rule["operations"], question.operation)
            && has(&rule["apiGroups"], &resource.group)
            && has(&rule["apiVersions"], &resource.version)
            && (has(&rule["resources"], &name) || has(&rule["resources"], "*/*"))
    });
    let namespaces = state.store.resource("", "v1", "namespaces").unwrap();
    let of_namespace = match (resource.plural.as_str(), question.target.namespace.as_str()) {
        ("namespaces", _) => Some(object.clone()),
        (_, "") => None,
        (_, name) => state.store.objects.get(&Store::key(namespaces, "", name)).map(|o| (**o).clone()),
    };
    let selects = |selector: &Value, object: &Value| {
        Selector::parse(&selector_text(selector), "", namespaces).is_ok_and(|s| s.matches(object))
    };
    by_rule
        && of_namespace.is_none_or(|namespace| selects(&hook["namespaceSelector"], &namespace))
        && selects(&hook["objectSelector"], object)
}

/// A label selector of an object as one of a query.
fn selector_text(selector: &Value) -> String {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut parts = Vec::new();
    for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
        parts.push(format!("{key}={}", text(value)));
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = text(&expression["key"]);
        let values =
            expression["values"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(",");
        parts.push(match expression["operator"].as_str().unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key,
        });
    }
    parts.join(",")
}

fn internal(message: String) -> Failure {
    let details = json!({"causes": [{"message": message}]});
    Failure::new(500, "InternalError", format!("Internal error occurred: {message}"), details)
}

#[allow(clippy::too_many_arguments, reason = "an AdmissionReview has as many parts")]
fn ask(
    shared: &Shared,
    hook: &Value,
    question: &Question<'_>,
    object: Value,
    old: &Value,
    extras: &mut Extras,
    mutating: bool,
) -> Result<Value, Failure> {
    let name = hook["name"].as_str().unwrap_or_default();
    let target = question.target;
    let resource = &target.resource;
    let uid = shared.state.lock().unwrap().store.uid();
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let plural = json!({"group": resource.group, "version": resource.version, "resource": resource.plural});
    let mut review = json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": uid, "kind": kind, "resource": plural, "requestKind": kind, "requestResource": plural,
            "name": target.name, "namespace": target.namespace, "operation": question.operation,
            "userInfo": {"username": question.user, "groups": ["system:masters", "system:authenticated"]},
            "object": object, "oldObject": old, "dryRun": question.dry_run, "options": question.options,
        },
    });
    let asked = review["request"].as_object_mut().unwrap();
    if target.namespace.is_empty() {
        asked.shift_remove("namespace");
    }
    if !target.subresource.is_empty() {
        asked.insert("subResource".to_owned(), json!(target.subresource));
        asked.insert("requestSubResource".to_owned(), json!(target.subresource));
    }
    let answered = call(shared, hook, &review)
        .map_err(|why| format!("failed calling webhook \"{name}\": failed to call webhook: {why}"))
        .and_then(|answer| envelope(&answer, &uid, name));
    let response = match answered {
        Ok(response) => response,
        // A call that fails, or an envelope that is invalid, may be forgiven; what it holds never is.
        Err(_) if hook["failurePolicy"] == "Ignore" => return Ok(object),
        Err(why) => return Err(internal(why)),
    };
    let warnings = response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    extras.warnings.extend(warnings.map(str::to_owned));
    if response["allowed"] != true {
        let status = &response["status"];
        let code = status["code"].as_u64().filter(|c| (400..600).contains(c)).unwrap_or(400) as u16;
        let message = match status["message"].as_str().filter(|m| !m.is_empty()) {
            Some(why) => format!("admission webhook \"{name}\" denied the request: {why}"),
            None => format!("admission webhook \"{name}\" denied the request without explanation"),
        };
        let reason = status["reason"].as_str().unwrap_or(if code == 400 { "BadRequest" } else { "" });
        return Err(Failure::new(code, reason, message, Value::Null));
    }
    let Some(encoded) = response["patch"].as_str().filter(|_| mutating) else { return Ok(object) };
    let bytes = STANDARD.decode(encoded).map_err(|error| internal(error.to_string()))?;
    let operations: Value = serde_json::from_slice(&bytes).map_err(|error| internal(error.to_string()))?;
    let mut changed = object;
    patch::json_patch(&mut changed, &operations).map_err(|failure| {
        let message = failure.body["message"].as_str().unwrap_or_default();
        internal(message.rsplit("request: ").next().unwrap_or_default().to_owned())
    })?;
    Ok(changed)
}

/// What an answer holds, when it is an AdmissionReview for this request.
fn envelope(answer: &Value, uid: &str, name: &str) -> Result<Value, String> {
    let invalid = |why: &str| {
        Err(format!("failed calling webhook \"{name}\": received invalid webhook response: {why}"))
    };
    if answer["apiVersion"] != "admission.k8s.io/v1" || answer["kind"] != "AdmissionReview" {
        let expected = "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview";
        return invalid(&format!("{expected}, got {}, Kind={}", answer["apiVersion"], answer["kind"]));
    }
    let response = &answer["response"];
    if response.is_null() {
        return invalid("webhook response was absent");
    }
    if response["uid"] != uid {
        return invalid(&format!("expected response.uid={uid:?}, got {}", response["uid"]));
    }
    let (patch, kind) = (response["patch"].as_str().unwrap_or_default(), response["patchType"].as_str());
    match (patch.is_empty(), kind) {
        (false, None) => invalid("webhook returned response.patch but not response.patchType"),
        (false, Some(kind)) if kind != "JSONPatch" => invalid(&format!("unknown patchType {kind:?}")),
        _ => Ok(response.clone()),
    }
}

fn call(shared: &Shared, hook: &Value, review: &Value) -> Result<Value, String> {
    let client = &hook["clientConfig"];
    let (tls, host, address, path) = match client["url"].as_str() {
        Some(url) => {
            let (scheme, rest) = url.split_once("://").ok_or("the URL has no scheme")?;
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let address: SocketAddr =
                authority.replace("localhost", "127.0.0.1").parse().map_err(|_| "no address")?;
            let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_owned();
            (scheme == "https", host, address, format!("/{path}"))
        }
        None => {
            let service = &client["service"];
            let text = |name: &str| service[name].as_str().unwrap_or_default().to_owned();
            let (namespace, name) = (text("namespace"), text("name"));
            let address = shared.state.lock().unwrap().services.get(&format!("{namespace}/{name}")).copied();
            let address = address.ok_or_else(|| format!("service \"{name}\" not found"))?;
            (true, format!("{name}.{namespace}.svc"), address, text("path"))
        }
    };
    let limit = Duration::from_secs(hook["timeoutSeconds"].as_u64().unwrap_or(10));
    let stream = TcpStream::connect_timeout(&address, limit).map_err(|error| error.to_string())?;
    let _ = (
        stream.set_read_timeout(Some(limit)),
        stream.set_write_timeout(Some(limit)),
        stream.set_nodelay(true),
    );
    let path = if path.is_empty() { "/".to_owned() } else { path };
    let body = review.to_string();
    let head = format!(
        "POST {path}?timeout={}s HTTP/1.1\r\nHost: {host}:443\r\nUser-Agent: kube-apiserver-admission\r\nContent-Length: {}\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
        limit.as_secs(),
        body.len()
    );
    let request = head + &body;
    if !tls {
        return exchange(stream, &request);
    }
    let bundle = STANDARD.decode(client["caBundle"].as_str().unwrap_or_default()).unwrap_or_default();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bundle).flatten() {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
    let session = ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())?;
    exchange(StreamOwned::new(session, stream), &request)
}

fn exchange(mut stream: impl Read + Write, request: &str) -> Result<Value, String> {
    stream.write_all(request.as_bytes()).and_then(|()| stream.flush()).map_err(|error| error.to_string())?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).map_err(|error| error.to_string())?;
    let status: u16 = line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let (mut length, mut chunked) = (None, false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).map_err(|error| error.to_string())?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse::<usize>().ok(),
            "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
            _ => {}
        }
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).map_err(|error| error.to_string())?;
            let size = usize::from_str_radix(line.trim(), 16).map_err(|error| error.to_string())?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).map_err(|error| error.to_string())?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    } else if let Some(length) = length {
        body = vec![0; length];
        stream.read_exact(&mut body).map_err(|error| error.to_string())?;
    } else {
        // The end without a close_notify is an end as well.
        let _ = stream.read_to_end(&mut body);
    }
    if status != 200 {
        return Err("the server rejected our request for an unknown reason".to_owned());
    }
    serde_json::from_slice(&body).map_err(|error| format!("the answer is not JSON: {error}"))
}
