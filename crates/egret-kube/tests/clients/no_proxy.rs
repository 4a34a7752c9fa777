//! Which way the requests go.

use std::collections::BTreeMap;

use egret_kube::no_proxy::{ClusterFacts, Wanted};

use crate::lab::{Lab, command};
use crate::variables;

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

const SIX: &str = "http://[::1]";

fn facts() -> ClusterFacts {
    ClusterFacts {
        service_networks: vec!["10.96.0.0/16".parse().unwrap(), "fd00:10:96::/112".parse().unwrap()],
        pod_networks: vec!["10.244.0.0/24".parse().unwrap(), "fd00:10:244::/64".parse().unwrap()],
        node_addresses: vec!["192.0.2.21".parse().unwrap(), "fd00::21".parse().unwrap()],
        node_names: vec!["node-a".to_owned()],
        api_server_addresses: vec!["10.96.0.1".parse().unwrap()],
        cluster_domain: Some("k8s.example".to_owned()),
        ..ClusterFacts::default()
    }
}

fn ways(name: &str, six: bool) -> BTreeMap<String, String> {
    let place = tempfile::tempdir().unwrap();
    let user = ["corp.example", "fd00:1::/64"].map(str::to_owned).to_vec();
    let urls = DIRECT.iter().chain(&IN_NETWORKS).chain(&PROXIED).copied().chain(six.then_some(SIX));
    let urls: Vec<String> = urls.map(str::to_owned).collect();
    let names = urls.iter().map(|url| url.trim_start_matches("http://").to_owned());
    let is_name = |name: &String| name.contains(|c: char| c.is_ascii_alphabetic()) && name != "localhost";
    let lab = Lab {
        environment: variables(&facts(), &Wanted { user, ..Wanted::default() }, None),
        names: names.filter(is_name).map(|name| (name, "10.1.2.3")).collect(),
        urls,
        addresses: vec![
            "10.1.2.3",
            "10.96.0.1",
            "10.96.7.7",
            "10.244.0.9",
            "192.0.2.21",
            "169.254.169.254",
            "203.0.113.9",
        ],
        ..Lab::default()
    };
    let command = command(name, place.path());
    lab.run(name, &command.iter().map(String::as_str).collect::<Vec<_>>())
}

/// `networks`: whether the client knows networks; `six`: whether it takes a bare IPv6 address for what it is.
fn check(name: &str, networks: bool, six: bool) {
    let ways = ways(name, six);
    for url in DIRECT {
        assert_eq!(ways[url], "direct", "{name}: {url}");
    }
    for url in PROXIED {
        assert_eq!(ways[url], "proxy", "{name}: {url}");
    }
    for url in IN_NETWORKS.iter().filter(|_| networks) {
        assert_eq!(ways[*url], "direct", "{name}: {url}");
    }
    if six {
        assert_eq!(ways[SIX], "direct", "{name}");
    }
}

#[test]
fn curl_is_well_led() {
    check("curl", true, true);
}

#[test]
fn wget_is_well_led() {
    check("wget", false, true);
}

#[test]
fn git_is_well_led() {
    check("git", true, true);
}

#[test]
fn go_is_well_led() {
    check("go", true, true);
}

#[test]
fn urllib_is_well_led() {
    check("urllib", false, false);
}

#[test]
fn requests_is_well_led() {
    check("requests", true, true);
}

#[test]
fn httpx_is_well_led() {
    check("httpx", false, true);
}

#[test]
fn aiohttp_is_well_led() {
    check("aiohttp", false, true);
}

#[test]
fn undici_is_well_led() {
    check("undici", false, false);
}

#[test]
fn axios_is_well_led() {
    // Later versions know networks and bare addresses of IPv6 as well.
    check("axios", false, false);
}

#[test]
fn java_is_well_led_by_its_own_properties() {
    check("java-url", true, false);
    check("java-client", true, false);
}
