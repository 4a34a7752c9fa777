//! Who leads.

use std::time::{Duration, Instant};

use egret_testkit::ApiServer;
use serde_json::{Value, json};

use crate::harness::{NAMESPACE, Running, becomes, cluster, object, proxy, spec};

fn lease(server: &ApiServer) -> Value {
    server.object("coordination.k8s.io/v1", "leases", NAMESPACE, "egret-controller").unwrap_or_default()
}

#[test]
fn one_of_two_leads_and_both_serve() {
    let server = cluster();
    proxy(&server, "default", 1, spec());
    let one = Running::start(&server, "one");
    one.becomes_leader();
    let two = Running::start(&server, "two");
    one.becomes_ready();
    two.becomes_ready();
    assert!(one.leads() && !two.leads());
    let spec = &lease(&server)["spec"];
    assert_eq!((&spec["holderIdentity"], &spec["leaseDurationSeconds"]), (&json!("one"), &json!(3)));
    // Whole seconds are refused by some API servers.
    for field in ["acquireTime", "renewTime"] {
        let time = spec[field].as_str().unwrap();
        assert!(time.len() == "2026-01-01T00:00:00.000000Z".len(), "{field} {time}");
    }
}

#[test]
fn the_other_takes_over_at_once_when_the_leader_ends_and_soon_when_it_dies() {
    let server = cluster();
    let one = Running::start(&server, "one");
    one.becomes_leader();
    let two = Running::start(&server, "two");
    one.end();
    two.becomes_leader();
    assert_eq!(lease(&server)["spec"]["leaseTransitions"], json!(1));
    let three = Running::start(&server, "three");
    drop(two);
    three.becomes_leader();
    assert_eq!(lease(&server)["spec"]["holderIdentity"], json!("three"));
}

#[test]
fn a_clock_that_is_wrong_by_a_day_changes_nothing() {
    for renewed in ["2001-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"] {
        let server = cluster();
        server.put(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": { "name": "egret-controller", "namespace": NAMESPACE },
            "spec": { "holderIdentity": "other", "leaseDurationSeconds": 2, "leaseTransitions": 7,
                "acquireTime": renewed, "renewTime": renewed },
        }));
        let began = Instant::now();
        let one = Running::start(&server, "one");
        one.becomes_leader();
        assert!(began.elapsed() >= Duration::from_secs(2), "it was seen unchanged for its duration first");
        assert_eq!(lease(&server)["spec"]["leaseTransitions"], json!(8));
    }
}

#[test]
fn whoever_loses_the_lease_stops_acting_and_goes_on_to_serve() {
    let server = cluster();
    let one = Running::start(&server, "one");
    one.becomes_leader();
    one.becomes_ready();
    server.change("coordination.k8s.io/v1", "leases", NAMESPACE, "egret-controller", |lease| {
        lease["spec"]["holderIdentity"] = "thief".into();
        lease["spec"]["leaseDurationSeconds"] = 300.into();
    });
    becomes("no leader", || !one.leads());
    proxy(&server, "late", 1, spec());
    std::thread::sleep(Duration::from_secs(2));
    assert!(object(&server, "late")["status"]["conditions"].is_null(), "it writes nothing");
    assert!(one.status.unready().is_none());
}

#[test]
fn an_api_server_that_goes_away_costs_the_lease_and_not_the_process() {
    let server = cluster();
    let one = Running::start(&server, "one");
    one.becomes_leader();
    one.becomes_ready();
    server.set_away(true);
    becomes("no leader", || !one.leads());
    assert!(one.status.unready().is_none(), "the webhook goes on with what is known");
    server.set_away(false);
    one.becomes_leader();
}

#[test]
fn without_its_namespace_it_waits_for_it() {
    let server = cluster();
    server.remove("v1", "namespaces", "", NAMESPACE);
    let one = Running::start(&server, "one");
    std::thread::sleep(Duration::from_secs(2));
    assert!(!one.leads());
    crate::harness::namespace(&server, NAMESPACE, json!({}));
    one.becomes_leader();
}
