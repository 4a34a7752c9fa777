//! `egret proxy` in a cluster: pods at loopback addresses, and the replaying API server.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod away;
mod events;
mod names;
mod pods;
mod reuse;
mod tokens;

use std::net::IpAddr;

use egret_testkit::wait::PATIENCE;
use egret_testkit::{ApiServer, Egret, EgretBuilder, HttpOrigin, Message, RawClient};
use serde_json::{Value, json};

fn builder() -> EgretBuilder {
    Egret::builder(env!("CARGO_BIN_EXE_egret"))
}

fn ip(last: u8) -> IpAddr {
    [127, 0, 7, last].into()
}

/// A pod of the namespace `team-a` that runs at 127.0.7.`last`, on the node at 127.0.7.250.
fn pod(name: &str, last: u8) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "team-a",
            "labels": {"app": name, "pod-template-hash": "6444769cf"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-6444769cf"), "uid": "1",
                "controller": true,
            }],
        },
        "spec": {
            "nodeName": "node-a", "serviceAccountName": "builder",
            "containers": [{"name": "app", "image": "app:1"}],
        },
        "status": {
            "phase": "Running", "podIP": ip(last).to_string(), "podIPs": [{"ip": ip(last).to_string()}],
            "hostIP": "127.0.7.250", "hostIPs": [{"ip": "127.0.7.250"}],
        },
    })
}

/// An API server, an origin and a proxy between them.
struct Setting {
    api: ApiServer,
    origin: HttpOrigin,
    egret: Egret,
}

impl Setting {
    /// With these pods, further lines of `kubernetes:` and further sections.
    fn with(pods: &[Value], lines: &str, sections: &str) -> Self {
        let api = ApiServer::start();
        Self::at(api, pods, lines, sections)
    }

    fn at(api: ApiServer, pods: &[Value], lines: &str, sections: &str) -> Self {
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder", "namespace": "team-a"},
        });
        api.put(account);
        api.put(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}}));
        for pod in pods {
            api.put(pod.clone());
        }
        let egret = builder().config(&config(&api, lines, sections)).start();
        Self { api, origin: HttpOrigin::start(), egret }
    }

    /// One request from an address, on a connection of its own.
    fn ask(&self, last: u8) -> Message {
        self.ask_with(last, "")
    }

    fn ask_with(&self, last: u8, fields: &str) -> Message {
        self.connect(last).exchange(self.request(fields))
    }

    fn connect(&self, last: u8) -> RawClient {
        RawClient::connect_from(ip(last), self.egret.address())
    }

    fn request(&self, fields: &str) -> String {
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n",
            self.origin.url("/echo"),
            self.origin.address()
        )
    }

    /// A tunnel to the origin that stands.
    fn tunnel(&self, last: u8) -> RawClient {
        let mut client = self.connect(last);
        let authority = self.origin.address();
        client.send(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
        let answer = client.response("CONNECT");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        client
    }

    /// Asks until the answer has this status, as news of a pod take a moment. A request that is under way as its
    /// pod ends is told that; what is waited for is what the next ones are told.
    fn becomes(&self, last: u8, status: u16) -> Message {
        egret_testkit::wait_for(&format!("status {status} for {}", ip(last)), PATIENCE, || {
            let answer = Some(self.ask(last)).filter(|answer| answer.status() == status)?;
            (!answer.text().contains("workload-gone")).then_some(answer)
        })
    }
}

fn config(api: &ApiServer, lines: &str, sections: &str) -> String {
    format!("kubernetes:\n  kubeconfig: {}\n{lines}{sections}", api.kubeconfig().display())
}

/// A policy that lets everything out for one source, with everything else refused.
fn only(from: &str) -> String {
    format!(
        "default: Deny\npolicies:\n- metadata: {{name: p}}\n  spec:\n    from: [{from}]\n    rules: [{{name: r, action: Allow}}]\n"
    )
}
