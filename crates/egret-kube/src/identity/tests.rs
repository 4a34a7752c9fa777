//! The index, change by change.

use std::net::IpAddr;

use egret_core::identity::Unattributed;
use egret_core::identity::workloads::Behind;
use serde_json::{Value, json};

use super::index::Index;
use super::objects::{Namespace, Pod};
use crate::watch::Change;

fn pod(name: &str, address: &str) -> Pod {
    from(json!({
        "metadata": {"name": name, "namespace": "a", "uid": format!("uid-{name}"), "labels": {"app": name}},
        "spec": {"nodeName": "node-a", "serviceAccountName": "builder", "containers": [{"name": "app"}]},
        "status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}, {"ip": "fd00::1"}],
            "hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}],
        },
    }))
}

fn from(value: Value) -> Pod {
    serde_json::from_value(value).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The pod behind an address, or why there is none.
fn behind(index: &Index, address: &str) -> String {
    match index.behind(ip(address)) {
        Behind::Pod(workload) => workload.pod.as_deref().unwrap().to_owned(),
        Behind::Nobody(why) => why.as_str().to_owned(),
    }
}

#[test]
fn an_address_is_the_only_pods_that_has_it() {
    let index = Index::default();
    let v4 = |name: &str| {
        let mut pod = pod(name, "10.0.0.1");
        pod.status.pod_ips = None;
        pod
    };
    assert_eq!(behind(&index, "10.0.0.1"), "unknown");
    assert!(index.pods(0, Change::Applied(v4("web"))).contains(&ip("10.0.0.1")));
    assert_eq!(behind(&index, "10.0.0.1"), "web");
    assert_eq!(behind(&index, "::ffff:10.0.0.1"), "web");
    assert_eq!(behind(&index, "192.0.2.1"), "node");
    index.pods(0, Change::Applied(v4("job")));
    assert_eq!(behind(&index, "10.0.0.1"), "ambiguous");
    assert_eq!(index.figures().ambiguous, 1);
    let changed = index.pods(0, Change::Deleted(v4("web")));
    assert!(changed.contains(&ip("10.0.0.1")));
    assert_eq!(behind(&index, "10.0.0.1"), "job");
    assert!(index.has_ended("uid-web") && !index.has_ended("uid-job"));
    assert_eq!(index.figures().ambiguous, 0);
}

#[test]
fn a_pod_has_the_addresses_of_both_families_and_gives_up_all_of_them() {
    let index = Index::default();
    index.pods(0, Change::Applied(pod("web", "10.0.0.1")));
    assert_eq!((behind(&index, "10.0.0.1"), behind(&index, "fd00::1")), ("web".into(), "web".into()));
    let mut done = pod("web", "10.0.0.1");
    done.status.phase = Some("Succeeded".to_owned());
    index.pods(0, Change::Applied(done));
    assert_eq!((behind(&index, "10.0.0.1"), behind(&index, "fd00::1")), ("unknown".into(), "unknown".into()));
    assert_eq!((behind(&index, "192.0.2.1"), index.figures().pods), ("unknown".into(), 0));
}

#[test]
fn a_pod_on_the_network_of_its_node_is_the_node() {
    let index = Index::default();
    let mut agent = pod("agent", "192.0.2.1");
    agent.spec.host_network = true;
    agent.status.pod_ips = None;
    index.pods(0, Change::Applied(agent));
    assert_eq!(behind(&index, "192.0.2.1"), "node");
    // Whatever a pod says of itself, it is never known by its node's address.
    let mut liar = pod("liar", "192.0.2.1");
    liar.status.pod_ips = None;
    index.pods(0, Change::Applied(liar));
    assert_eq!(index.behind(ip("192.0.2.1")), Behind::Nobody(Unattributed::Node));
}

#[test]
fn a_new_list_holds_when_it_is_complete() {
    let index = Index::default();
    index.pods(0, Change::Applied(pod("old", "10.0.0.1")));
    index.pods(1, Change::Applied(pod("elsewhere", "10.0.0.9")));
    index.pods(0, Change::Begin);
    assert!(index.pods(0, Change::Listed(pod("new", "10.0.0.1"))).is_empty());
    assert_eq!(behind(&index, "10.0.0.1"), "old", "nothing holds by half");
    index.pods(0, Change::Complete);
    assert_eq!(behind(&index, "10.0.0.1"), "new");
    assert_eq!(behind(&index, "10.0.0.9"), "elsewhere", "another list's pods stay");
}

#[test]
fn owners_are_those_that_people_know() {
    let index = Index::default();
    for (kind, name, hash, owner) in [
        ("ReplicaSet", "web-6444769cf", Some("6444769cf"), "Deployment/web"),
        ("ReplicaSet", "bare", None, "ReplicaSet/bare"),
        ("Job", "once", None, "Job/once"),
        ("StatefulSet", "db", None, "StatefulSet/db"),
    ] {
        let mut labels = json!({});
        if let Some(hash) = hash {
            labels["pod-template-hash"] = json!(hash);
        }
        let pod = from(json!({
            "metadata": {
                "name": "p", "namespace": "a", "uid": "u", "labels": labels,
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Other", "name": "x", "uid": "0"},
                    {"apiVersion": "v1", "kind": kind, "name": name, "uid": "1", "controller": true},
                ],
            },
            "status": {"podIP": "10.0.0.1"},
        }));
        index.pods(0, Change::Applied(pod));
        let Behind::Pod(workload) = index.behind(ip("10.0.0.1")) else { panic!() };
        assert_eq!(workload.owner.as_ref().unwrap().to_string(), owner);
    }
}

#[test]
fn labels_of_namespaces_are_joined_whichever_comes_first() {
    let index = Index::default();
    let namespace = |env: &str| -> Namespace {
        serde_json::from_value(json!({"metadata": {"name": "a", "labels": {"env": env}}})).unwrap()
    };
    let env = || {
        let Behind::Pod(workload) = index.behind(ip("10.0.0.1")) else { panic!() };
        workload.namespace_labels.first().map(|(_, value)| value.to_string())
    };
    index.pods(0, Change::Applied(pod("web", "10.0.0.1")));
    assert_eq!(env(), None);
    let changed = index.namespaces(Change::Applied(namespace("prod")));
    assert!(changed.contains(&ip("10.0.0.1")));
    assert_eq!(env().as_deref(), Some("prod"));
    index.pods(0, Change::Deleted(pod("web", "10.0.0.1")));
    index.pods(0, Change::Applied(pod("web", "10.0.0.1")));
    assert_eq!(env().as_deref(), Some("prod"));
    index.namespaces(Change::Begin);
    index.namespaces(Change::Complete);
    assert_eq!(env(), None);
}

#[test]
fn heartbeats_change_nothing() {
    let index = Index::default();
    index.pods(0, Change::Applied(pod("web", "10.0.0.1")));
    assert!(index.pods(0, Change::Applied(pod("web", "10.0.0.1"))).is_empty());
}

#[test]
fn ten_thousand_pods_take_little_memory() {
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    let many = |index: &Index, from: u32, to: u32| {
        index.pods(0, Change::Begin);
        for number in 0..to {
            if number < from {
                continue;
            }
            let address = format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255);
            let pod = from_template(number, &address);
            index.pods(0, Change::Listed(pod));
        }
        index.pods(0, Change::Complete);
    };
    // What the allocator keeps is not counted twice.
    let warm = Index::default();
    many(&warm, 0, 1000);
    let before = resident();
    let index = Index::default();
    many(&index, 0, 10_000);
    let each = resident().saturating_sub(before) / 10_000;
    eprintln!("{each} bytes for each pod");
    assert_eq!(index.figures().pods, 10_000);
    assert!(each < 2048, "{each} bytes for each pod");
}

fn from_template(number: u32, address: &str) -> Pod {
    from(json!({
        "metadata": {
            "name": format!("service-{}-6444769cf-{number:05x}", number / 10), "namespace": format!("team-{}", number / 100),
            "uid": format!("5ec0ffee-0000-4000-8000-{number:012x}"),
            "labels": {
                "app.kubernetes.io/name": format!("service-{}", number / 10), "app.kubernetes.io/version": "1.2.3",
                "team": format!("team-{}", number / 100), "pod-template-hash": "6444769cf",
            },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("service-{}-6444769cf", number / 10),
                "uid": "1", "controller": true,
            }],
        },
        "spec": {"nodeName": format!("node-{}", number / 50), "serviceAccountName": format!("service-{}", number / 10)},
        "status": {"phase": "Running", "podIP": address, "hostIP": format!("192.0.2.{}", number / 50)},
    }))
}
