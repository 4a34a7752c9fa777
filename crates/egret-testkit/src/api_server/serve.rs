//! One connection: requests in, answers out.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::access::Shared;
use super::failure::Failure;
use super::handle::Called;
use super::http::{self, Extras, Request};
use super::resources;
use super::verbs::{self, Target};
use super::watch;
use crate::server::Connection;

/// Serves a connection to its end.
pub(crate) fn connection(shared: &Shared, connection: Connection, tls: Option<Arc<ServerConfig>>) {
    // What came is remembered per request, not per byte: lists of thousands come through here.
    let stream = connection.stream;
    let _ = stream.set_read_timeout(None);
    let _ = match tls {
        None => serve(shared, Plain(stream)),
        Some(config) => match ServerConnection::new(config) {
            Ok(session) => serve(shared, StreamOwned::new(session, stream)),
            Err(_) => return,
        },
    };
}

struct Plain(TcpStream);

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn serve(shared: &Shared, stream: impl Read + Write) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    for _ in 0..1_000_000 {
        let Some(request) = http::read_request(&mut stream)? else { return Ok(()) };
        let delay = {
            let mut state = shared.state.lock().unwrap();
            if state.away {
                return Ok(());
            }
            let query: Vec<String> = request.query.iter().map(|(n, v)| format!("{n}={v}")).collect();
            state.calls.push(Called {
                method: request.method.clone(),
                path: request.path.clone(),
                query: query.join("&"),
                user_agent: request.field("user-agent").to_owned(),
                accept: request.field("accept").to_owned(),
                body: serde_json::from_slice(&request.body).unwrap_or(Value::Null),
            });
            state.delay
        };
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        let mut extras = Extras::default();
        match answer(shared, &request, &mut extras) {
            Ok(Outcome::Answer(status, body)) => http::write_json(stream.get_mut(), status, &body, &extras)?,
            Ok(Outcome::Watch(target)) => {
                if !watch::stream(shared, &request, &target, stream.get_mut())? {
                    return Ok(());
                }
            }
            Err(failure) => {
                extras.retry_after = failure.retry_after;
                http::write_json(stream.get_mut(), failure.code, &failure.body, &extras)?;
            }
        }
        if request.field("connection").eq_ignore_ascii_case("close") {
            return Ok(());
        }
    }
    Ok(())
}

enum Outcome {
    Answer(u16, Value),
    Watch(Box<Target>),
}

fn answer(shared: &Shared, request: &Request, extras: &mut Extras) -> Result<Outcome, Failure> {
    let user = shared.state.lock().unwrap().user(request)?;
    let parts: Vec<&str> = request.path.trim_matches('/').split('/').collect();
    if let Some(document) = discovery(shared, request, &parts, extras) {
        return Ok(Outcome::Answer(200, document?));
    }
    let target = {
        let state = shared.state.lock().unwrap();
        Target::parse(&state.store, &parts)?
    };
    let watch = request.method == "GET" && target.name.is_empty() && request.flag("watch");
    let verb = target.verb(request, watch);
    {
        let mut state = shared.state.lock().unwrap();
        if state.is_forbidden(verb, &target.resource.group, &target.resource.plural) {
            let namespace = if target.resource.namespaced { target.namespace.as_str() } else { "" };
            return Err(Failure::forbidden(&user, verb, &target.resource, &target.name, namespace));
        }
        let due = state.failures.iter().position(|(v, p, _, _)| v == verb && *p == target.resource.plural);
        if let Some(index) = due {
            let (_, _, status, body) = state.failures.remove(index);
            return Ok(Outcome::Answer(status, body));
        }
    }
    if watch {
        watch::check(shared, request, &target)?;
        return Ok(Outcome::Watch(Box::new(target)));
    }
    let (status, body) = verbs::handle(shared, request, &target, &user, extras)?;
    Ok(Outcome::Answer(status, body))
}

fn discovery(
    shared: &Shared,
    request: &Request,
    parts: &[&str],
    extras: &mut Extras,
) -> Option<Result<Value, Failure>> {
    let state = shared.state.lock().unwrap();
    let all = &state.store.resources;
    let aggregated = request.field("accept").contains("as=APIGroupDiscoveryList");
    let document = match parts {
        ["version"] => serde_json::from_str(include_str!("../../fixtures/k8s/version.json")).unwrap(),
        ["healthz" | "livez" | "readyz"] => json!("ok"),
        ["api"] | ["apis"] if aggregated => {
            extras.content_type =
                Some("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
            resources::aggregated_list(all, parts == ["api"])
        }
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": request.field("host")}],
        }),
        ["apis"] => resources::group_list(all),
        ["api", version] => {
            return Some(resources::resource_list(all, "", version).ok_or_else(Failure::no_path));
        }
        ["apis", group] => {
            let groups = resources::group_list(all);
            let found = groups["groups"].as_array().unwrap().iter().find(|g| g["name"] == *group).cloned();
            let Some(mut found) = found else { return Some(Err(Failure::no_path())) };
            found["kind"] = json!("APIGroup");
            found["apiVersion"] = json!("v1");
            found
        }
        ["apis", group, version] => {
            return Some(resources::resource_list(all, group, version).ok_or_else(Failure::no_path));
        }
        ["openapi", "v3"] => json!({"paths": {}}),
        ["openapi", ..] => return Some(Err(Failure::no_path())),
        _ => return None,
    };
    Some(Ok(document))
}
