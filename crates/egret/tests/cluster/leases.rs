//! Two controllers at once.

use serde_json::json;

use crate::harness::{Cluster, Controller};

#[test]
fn the_second_takes_over_when_the_first_dies() {
    let Some(cluster) = Cluster::get("leases") else { return };
    let system = cluster.namespace("system", json!({}));
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{system}/leases/egret-controller");
    let holder = || cluster.get_json(&path).body["spec"]["holderIdentity"].clone();
    let one = Controller::start(&cluster, &system, "one");
    cluster.becomes("the first leads", || holder() == "one");
    let two = Controller::start(&cluster, &system, "two");
    cluster.becomes("it serves", || two.has_said("the webhook shows this certificate"));
    assert_eq!(holder(), "one");
    one.kill();
    cluster.becomes("the second leads", || holder() == "two");
    assert_eq!(cluster.get_json(&path).body["spec"]["leaseTransitions"], json!(1));
    drop(two);
}
