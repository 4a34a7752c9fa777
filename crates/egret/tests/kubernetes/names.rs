//! Short names of Services.

use egret_testkit::{ApiServer, DnsAnswer, DnsServer, Message};
use serde_json::json;

use super::{Setting, builder, config, pod};

fn service(namespace: &str, name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": name},
        "spec": {"ports": [{"port": 80}]},
    })
}

fn ask(setting: &Setting, authority: &str) -> Message {
    let request = format!("GET http://{authority}/echo HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    setting.connect(1).exchange(request)
}

#[test]
fn a_short_name_is_refused_with_the_fix() {
    let api = ApiServer::start();
    api.put(service("team-a", "my-svc"));
    api.put(service("other-ns", "db"));
    let setting = Setting::at(api, &[pod("web", 1)], "", "");
    for (name, entry) in [
        ("my-svc", "add `my-svc` to it"),
        ("my-svc:8080", "add `my-svc` to it"),
        ("db.other-ns", "add `.other-ns` to it"),
        ("db.other-ns.svc", "add `.svc` to it"),
    ] {
        let answer = ask(&setting, name);
        assert_eq!(answer.status(), 403, "{name}: {}", answer.text());
        assert!(
            answer.text().contains("cluster-service-name") && answer.text().contains(entry),
            "{name}: {}",
            answer.text()
        );
    }
    assert!(!ask(&setting, "db").text().contains("cluster-service-name"), "that is of another namespace");
    let records = setting.egret.exactly(5);
    assert_eq!(
        (records[0].reason().as_str(), records[0].text("blame").as_str()),
        ("cluster-service-name", "client")
    );
}

#[test]
fn a_short_name_is_relayed_by_setting() {
    let origin = egret_testkit::HttpOrigin::start();
    let dns = DnsServer::start(|name, _, _| match name {
        "my-svc.team-a.svc.corp.local" => DnsAnswer::address("127.0.0.1"),
        _ => DnsAnswer::NxDomain,
    });
    let api = ApiServer::start();
    api.put(service("team-a", "my-svc"));
    api.put(pod("web", 1));
    let lines = "  bareServiceNames: Relay\n  clusterDomain: corp.local\n";
    let sections = "default: Deny\npolicies:\n- metadata: {name: p}\n  spec:\n    rules:\n    - {name: r, action: Allow, to: [{hosts: ['**.svc.corp.local']}]}\n";
    let egret = builder().config(&config(&api, lines, sections)).dns(dns.address()).start();
    let setting = Setting { api, origin, egret };
    let answer = ask(&setting, &format!("my-svc:{}", setting.origin.address().port()));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert_eq!(setting.egret.exactly(1)[0].text("rule"), "r", "policies see the whole name");
}
