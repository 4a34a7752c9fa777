//! What is injected, given to real clients in a network of their own: none of them fails for it, names and addresses of
//! the cluster go direct, and everything else goes to the proxy. A client that is not installed is a failure:
//! `./test --deps` installs them all.
#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egret_kube::inject::{CompiledProxy, Request, Snapshot, inject};
use egret_kube::no_proxy::{ClusterFacts, Injected, Wanted, compute};
use egret_testkit::tools::{client, dependencies, of_python, python, succeed};
use serde_json::{Value, json};

/// Of the cluster, or of the user's own list: known by name, or by an address that stands there itself.
const DIRECT: [&str; 12] = [
    "http://api.team-a.svc",
    "http://api.team-a.svc.cluster.local",
    "http://api.team-a.svc.k8s.example",
    "http://kubernetes.default",
    "http://kubernetes.default.svc",
    "http://10.96.0.1",
    "http://192.0.2.21",
    "http://127.0.0.1",
    "http://localhost",
    "http://corp.example",
    "http://intra.corp.example",
    "http://169.254.169.254",
];

/// In the networks of the cluster, which not every client understands.
const IN_NETWORKS: [&str; 2] = ["http://10.96.7.7", "http://10.244.0.9"];

/// The world.
const PROXIED: [&str; 4] =
    ["http://example.test", "http://notcorp.example", "http://203.0.113.9", "http://mysvc.example"];

fn environment() -> BTreeMap<String, String> {
    let facts = ClusterFacts {
        service_networks: vec!["10.96.0.0/16".parse().unwrap(), "fd00:10:96::/112".parse().unwrap()],
        pod_networks: vec!["10.244.0.0/24".parse().unwrap(), "fd00:10:244::/64".parse().unwrap()],
        node_addresses: vec!["192.0.2.21".parse().unwrap(), "fd00::21".parse().unwrap()],
        node_names: vec!["node-a".to_owned()],
        api_server_addresses: vec!["10.96.0.1".parse().unwrap()],
        cluster_domain: Some("k8s.example".to_owned()),
        ..ClusterFacts::default()
    };
    let wanted =
        Wanted { user: vec!["corp.example".to_owned(), "fd00:1::/64".to_owned()], ..Wanted::default() };
    let no_proxy = Injected::new(&compute(&facts, &wanted));
    let proxy =
        CompiledProxy { java: true, ..CompiledProxy::new("default", 1, "http://127.0.0.1:8888", no_proxy) };
    let snapshot = Snapshot::new(vec![Arc::new(proxy)], Arc::default(), "egret-system".to_owned());
    let object = json!({"spec": {"containers": [{"name": "app"}]}}).to_string();
    let request = Request {
        namespace: "a",
        namespace_labels: None,
        ephemeral: false,
        object: &object,
        old_object: None,
    };
    let injection = inject(&request, &snapshot);
    let env = injection.patch.iter().find(|operation| operation.path.ends_with("/env")).unwrap();
    let pairs = env.value.as_array().unwrap().iter();
    pairs
        .map(|one| (one["name"].as_str().unwrap().to_owned(), one["value"].as_str().unwrap().to_owned()))
        .collect()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// Which way the requests of a client went.
fn ways(name: &str, command: &[&str]) -> BTreeMap<String, String> {
    let place = tempfile::tempdir().unwrap();
    let six = if understands_ipv6(name) { &["http://[::1]"][..] } else { &[] };
    let urls: Vec<&str> = DIRECT.iter().chain(&IN_NETWORKS).chain(&PROXIED).chain(six).copied().collect();
    let plan = json!({"environment": environment(), "urls": urls, "clients": {name: command}});
    std::fs::write(place.path().join("plan.json"), plan.to_string()).unwrap();
    let names = urls.iter().map(|url| url.trim_start_matches("http://"));
    let hosts: String = names
        .filter(|name| name.contains(|c: char| c.is_ascii_alphabetic()) && *name != "localhost")
        .map(|name| format!("10.1.2.3 {name}\n"))
        .collect();
    std::fs::write(place.path().join("hosts"), format!("127.0.0.1 localhost\n{hosts}")).unwrap();
    let addresses =
        ["10.1.2.3", "10.96.0.1", "10.96.7.7", "10.244.0.9", "192.0.2.21", "169.254.169.254", "203.0.113.9"];
    let script = format!(
        "set -e; ip link set lo up; for a in {}; do ip address add $a/32 dev lo; done; mount --bind \"$1/hosts\" \
         /etc/hosts; exec python3 \"$0\" \"$1/plan.json\"",
        addresses.join(" ")
    );
    let mut lab = client("unshare");
    lab.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", &script])
        .arg(file("lab.py"))
        .arg(place.path());
    if let Ok(modules) = dependencies().join("node_modules").canonicalize() {
        lab.env("NODE_PATH", modules);
    }
    let results: Value = serde_json::from_str(&succeed(&mut lab)).unwrap();
    let result = &results[name];
    // git finds no repository there, and says so.
    assert!(result["status"] == 0 || name == "git", "{name}: {}", result["output"].as_str().unwrap());
    serde_json::from_value(result["ways"].clone()).unwrap()
}

/// Clients that take a bare IPv6 address in the list for what it is.
fn understands_ipv6(name: &str) -> bool {
    ["curl", "wget", "git", "go", "requests", "httpx", "aiohttp", "axios"].contains(&name)
}

fn check(name: &str, networks: bool, command: &[&str]) {
    let ways = ways(name, command);
    for url in DIRECT {
        assert_eq!(ways[url], "direct", "{name}: {url}");
    }
    for url in PROXIED {
        assert_eq!(ways[url], "proxy", "{name}: {url}");
    }
    for url in IN_NETWORKS.iter().filter(|_| networks) {
        assert_eq!(ways[*url], "direct", "{name}: {url}");
    }
    if understands_ipv6(name) {
        assert_eq!(ways["http://[::1]"], "direct", "{name}");
    }
}

#[test]
fn curl_is_well_led() {
    check("curl", true, &["curl", "--silent", "--show-error", "--fail", "--globoff", "--max-time", "20"]);
}

#[test]
fn wget_is_well_led() {
    check("wget", false, &["wget", "--quiet", "--output-document=-", "--timeout=20", "--tries=1"]);
}

#[test]
fn git_is_well_led() {
    check("git", true, &["sh", "-c", "for url; do git ls-remote \"$url\"; done", "git"]);
}

#[test]
fn go_is_well_led() {
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("get");
    let mut build = client(of_python("go"));
    build
        .env("GOCACHE", std::env::temp_dir().join("egret-test-go-cache"))
        .env("GOTOOLCHAIN", "local")
        .env("GO111MODULE", "off")
        .args(["build", "-o"])
        .arg(&program)
        .arg(file("get.go"));
    succeed(&mut build);
    check("go", true, &[program.to_str().unwrap()]);
}

fn check_python(library: &str, networks: bool) {
    let script = file("get.py");
    // Not resolved to where it points: an interpreter finds its packages by its own name.
    let python = python().parent().unwrap().canonicalize().unwrap().join("python");
    check(library, networks, &[python.to_str().unwrap(), script.to_str().unwrap(), library]);
}

#[test]
fn urllib_is_well_led() {
    check_python("urllib", false);
}

#[test]
fn requests_is_well_led() {
    check_python("requests", true);
}

#[test]
fn httpx_is_well_led() {
    check_python("httpx", false);
}

#[test]
fn aiohttp_is_well_led() {
    check_python("aiohttp", false);
}

#[test]
fn undici_is_well_led() {
    check("undici", false, &["node", file("get.cjs").to_str().unwrap(), "undici"]);
}

#[test]
fn axios_is_well_led() {
    // Later versions know networks as well.
    check("axios", false, &["node", file("get.cjs").to_str().unwrap(), "axios"]);
}

#[test]
fn java_is_well_led_by_its_own_properties() {
    let source = file("Get.java");
    let source = source.to_str().unwrap();
    check("java-url", true, &["java", "-XX:TieredStopAtLevel=1", source, "url"]);
    check("java-client", true, &["java", "-XX:TieredStopAtLevel=1", source, "client"]);
}
