//! Parents: real tinyproxy, Squid and microsocks, and another Egret, with the rules and the guard of the
//! one in front.
#![allow(clippy::unwrap_used)] // a test fails by panicking
#![allow(clippy::disallowed_methods, reason = "a test may block")]

mod peer;

use egret_testkit::{DnsServer, Egret, HttpOrigin};

use peer::Peer;

fn behind(parent: &str, more: &str) -> Egret {
    Egret::builder(env!("CARGO_BIN_EXE_egret"))
        .config(&format!("parents: [{{name: corp, urls: ['{parent}']{more}}}]\n"))
        .start()
}

fn get(authority: impl ToString, path: &str) -> String {
    let authority = authority.to_string();
    format!("GET http://{authority}{path} HTTP/1.1\r\nHost: {authority}\r\n\r\n")
}

/// Requests and tunnels go through the parent, and the records say so.
fn carries(parent: &str, more: &str) {
    let egret = behind(parent, more);
    let origin = HttpOrigin::start();
    let mut client = egret.connect();
    for _ in 0..3 {
        assert_eq!(client.exchange(get(origin.address(), "/bytes/5000")).body.len(), 5000, "{parent}");
    }
    let (mut tunnel, answer) = egret.tunnel(&origin.address().to_string());
    assert_eq!(answer.status(), 200, "{parent}");
    let authority = origin.address();
    let answer = tunnel.exchange(format!("GET /bytes/700000 HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
    assert_eq!(answer.body.len(), 700_000, "{parent}");
    drop((client, tunnel));
    for record in egret.exactly(4) {
        assert_eq!(record.text("route"), "parent:corp", "{record:?}");
        assert_eq!(record.reason(), "", "{record:?}");
    }
}

#[test]
fn tinyproxy_carries_requests_and_tunnels() {
    carries(&Peer::tinyproxy("").url("http", ""), "");
    carries(&Peer::tinyproxy("BasicAuth someone secret").url("http", "someone:secret@"), "");
}

#[test]
fn squid_carries_requests_and_tunnels() {
    carries(&Peer::squid().url("http", ""), "");
}

#[test]
fn microsocks_carries_requests_and_tunnels() {
    carries(&Peer::microsocks(&[]).url("socks5", ""), "");
    carries(&Peer::microsocks(&["-u", "someone", "-P", "secret"]).url("socks5", "someone:secret@"), "");
}

#[test]
fn another_egret_carries_requests_and_tunnels() {
    let parent = Egret::start(env!("CARGO_BIN_EXE_egret"));
    carries(&parent.url(), "");
    parent.exactly(4);
}

#[test]
fn names_resolved_here_reach_the_parent_as_addresses() {
    for peer in [
        Peer::tinyproxy("").url("http", ""),
        Peer::squid().url("http", ""),
        Peer::microsocks(&[]).url("socks5", ""),
    ] {
        let dns = DnsServer::knowing(&[("name.test", "127.0.0.1")]);
        let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"))
            .config(&format!("parents: [{{name: corp, urls: ['{peer}'], resolve: local}}]\n"))
            .dns(dns.address())
            .start();
        let origin = HttpOrigin::start();
        let named = format!("name.test:{}", origin.address().port());
        assert_eq!(egret.connect().exchange(get(&named, "/echo")).status(), 200, "{peer}");
        assert_eq!(egret.tunnel(&named).1.status(), 200, "{peer}");
    }
}

/// The connection to the parent is kept, and says nothing of where the next request goes.
#[test]
fn rules_hold_on_a_kept_connection_to_a_parent() {
    let peer = Peer::tinyproxy("");
    let parent = peer.url("http", "");
    let open = HttpOrigin::start();
    let port = open.address().port();
    for resolve in ["parent", "local"] {
        let dns = DnsServer::knowing(&[("good.test", "127.0.0.1"), ("bad.test", "127.0.0.2")]);
        let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"))
            .config(&format!(
                "parents: [{{name: corp, urls: ['{parent}'], resolve: {resolve}}}]\n\
                 rules: {{default: deny, allow: [{{name: some, cidrs: [127.0.0.1/32]}}]}}\n"
            ))
            .dns(dns.address())
            .env("EGRET_WORKERS", "1")
            .start();
        let mut client = egret.connect();
        let mut ask = |host: &str| client.exchange(get(format!("{host}:{port}"), "/echo")).status();
        assert_eq!(ask("127.0.0.1"), 200, "{resolve}");
        assert_eq!(ask("127.0.0.2"), 403, "{resolve}");
        if resolve == "parent" {
            assert_eq!(ask("metadata.google.internal"), 403);
        }
        assert_eq!(ask("bad.test"), 403, "{resolve}");
        assert_eq!(ask("127.0.0.1"), 200, "{resolve}");
        if resolve == "local" {
            assert_eq!(ask("good.test"), 200);
        }
    }
}

#[test]
fn a_dead_parent_is_passed_over() {
    let peer = Peer::tinyproxy("");
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"))
        .config(&format!(
            "parents: [{{name: corp, urls: ['http://{dead}', '{}'], noProxy: [127.0.0.3]}}]\n",
            peer.url("http", "")
        ))
        .start();
    let origin = HttpOrigin::start();
    assert_eq!(egret.connect().exchange(get(origin.address(), "/echo")).status(), 200);
    assert_eq!(egret.tunnel(&origin.address().to_string()).1.status(), 200);
    assert_eq!(egret.metric(&format!("egret_parent_up{{group=\"corp\",parent=\"http://{dead}\"}}")), 0.0);
}

#[test]
fn a_parent_that_refuses_is_quoted() {
    let peer = Peer::tinyproxy("BasicAuth someone secret");
    let egret = behind(&peer.url("http", "someone:wrong@"), "");
    let origin = HttpOrigin::start();
    let (_, answer) = egret.tunnel(&origin.address().to_string());
    assert_eq!(answer.status(), 502);
    assert!(answer.reason_phrase().starts_with("egret parent-refused "), "{}", answer.reason_phrase());
    assert!(!egret.log().contains("wrong"));
}
