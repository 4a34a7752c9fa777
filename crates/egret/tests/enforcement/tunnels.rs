//! The name and the versions in the TLS hello of a tunnel.

use std::process::Command;
use std::time::Duration;

use egret_testkit::raw::RawClient;
use egret_testkit::scripted::{Step, send};
use egret_testkit::tools::{client, run, succeed};
use egret_testkit::wait::PATIENCE;
use egret_testkit::{Egret, Ended, HttpOrigin, RecordingOrigin, ScriptedOrigin, TestCa};

use super::hello::{alert, hello};
use super::{names, ruled};

const FRONT: &str = "      - {name: front, action: Allow, to: [{hosts: [front.test]}], reason: fronts only, contact: sec@corp.example}\n";

fn curl(egret: &Egret, ca: &TestCa) -> Command {
    let mut command = client("curl");
    command.args(["-sS", "--max-time", "30", "-x", &egret.url(), "--cacert"]).arg(ca.pem());
    command
}

fn tunnel(egret: &Egret, authority: &str) -> RawClient {
    let (client, answer) = egret.tunnel(authority);
    assert_eq!(answer.status(), 200);
    client
}

#[test]
fn refuses_domain_fronting_and_names_it() {
    let (dns, ca) = (names(), TestCa::new());
    let egret = ruled(FRONT).dns(dns.address()).start();
    let origin = HttpOrigin::serving_tls(ca.server(&["front.test", "hidden.test"]), Default::default());
    let port = origin.address().port();
    let good = succeed(curl(&egret, &ca).arg(format!("https://front.test:{port}/")));
    assert_eq!(good, "origin\n");
    let output = run(curl(&egret, &ca)
        .args(["--connect-to", &format!("hidden.test:{port}:front.test:{port}")])
        .arg(format!("https://hidden.test:{port}/")));
    assert_eq!(output.status.code(), Some(35), "a TLS failure");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("unrecognized name"), "{said}");

    let records = egret.exactly(2);
    assert_ne!(records[0].reason(), "sni-mismatch");
    assert_eq!(records[0].text("tunnelSni"), "front.test");
    assert!(records[0].bytes_down() > 0);
    let refused = &records[1];
    assert_eq!(refused.reason(), "sni-mismatch");
    assert_eq!(refused.text("blame"), "policy");
    assert_eq!(refused.text("tunnelSni"), "hidden.test");
    assert_eq!((refused.text("policy").as_str(), refused.text("rule").as_str()), ("web", "front"));
    assert_eq!((refused.bytes_up(), refused.bytes_down()), (0, 0), "nothing was passed on");
    let detail = refused.text("detail");
    for part in ["domain fronting", "front.test", "hidden.test", "fronts only"] {
        assert!(detail.contains(part), "{part} in {detail}");
    }
    let series = "egret_policy_refusals_total{policy=\"web\",rule=\"front\",reason=\"sni-mismatch\"}";
    assert_eq!(egret.metric(series), 1.0);
}

#[test]
fn nothing_goes_on_before_the_hello_is_whole_and_then_all_of_it() {
    let dns = names();
    let egret = ruled(FRONT).dns(dns.address()).start();
    let bytes = [hello(Some("FRONT.test"), false), b"and what follows".to_vec()].concat();
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadTotal(bytes.len()), send("ok"), Step::ReadToEnd]]);
    let mut client = tunnel(&egret, &format!("front.test:{}", origin.address().port()));
    let (first, last) = bytes.split_at(60);
    client.send_in_pieces(first, 1, Duration::from_millis(1));
    assert!(client.is_quiet_for(Duration::from_millis(100)));
    assert!(origin.received().iter().all(|received| received.bytes.is_empty()));
    client.send(last);
    assert_eq!(client.take(2), b"ok");
    client.finish();
    assert_eq!(client.read_to_end(PATIENCE).1, Ended::Eof);
    assert_eq!(origin.received()[0].bytes, bytes);
    let record = &egret.exactly(1)[0];
    assert_eq!((record.bytes_up(), record.bytes_down()), (bytes.len() as u64, 2));
    assert_eq!(record.text("tunnelSni"), "front.test");
}

#[test]
fn a_hello_that_comes_with_the_request_is_looked_at_too() {
    let dns = names();
    let egret = ruled(FRONT).dns(dns.address()).start();
    let origin = RecordingOrigin::start();
    let authority = format!("front.test:{}", origin.address().port());
    let mut client = egret.connect();
    let connect = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").into_bytes();
    client.send([connect, hello(Some("hidden.test"), false)].concat());
    assert_eq!(client.response("CONNECT").status(), 200);
    assert_eq!(client.take(7), alert(112));
    assert_eq!(client.read_to_end(PATIENCE).1, Ended::Eof);
    assert_eq!(egret.exactly(1)[0].reason(), "sni-mismatch");
    assert!(origin.bytes().is_empty());
}

#[test]
fn every_wrong_hello_is_refused_with_its_alert() {
    let dns = names();
    let egret = ruled(FRONT).dns(dns.address()).start();
    let origin = RecordingOrigin::start();
    let authority = format!("front.test:{}", origin.address().port());
    let table = [
        (hello(Some("hidden.test"), false), 112, "sni-mismatch"),
        (hello(Some("hidden.test"), true), 112, "sni-mismatch"),
        (hello(Some("no host"), false), 112, "sni-mismatch"),
        (hello(Some("127.0.0.1"), false), 112, "sni-mismatch"),
        (vec![0x16, 3, 1, 0, 4, 2, 0, 0, 0], 50, "client-hello-malformed"),
        (vec![0x16, 3, 1, 0, 0], 50, "client-hello-malformed"),
    ];
    for (index, (bytes, code, reason)) in table.iter().enumerate() {
        let mut client = tunnel(&egret, &authority);
        client.send(bytes);
        assert_eq!(client.take(7), alert(*code), "{index}");
        assert_eq!(client.read_to_end(PATIENCE).1, Ended::Eof, "{index}");
        let records = egret.exactly(index + 1);
        assert_eq!(records[index].reason(), *reason, "{index}");
        let says_so = records[index].text("detail").contains("ECH");
        assert_eq!(says_so, index == 1, "{index}: an encrypted hello is mentioned");
    }
    let mut client = tunnel(&egret, &authority);
    client.send(&hello(Some("front.test"), false)[..40]).finish();
    assert_eq!(client.read_to_end(PATIENCE).0, alert(50), "half a hello");
    assert_eq!(egret.exactly(table.len() + 1)[table.len()].reason(), "client-hello-malformed");
    assert!(origin.bytes().is_empty());
}

#[test]
fn half_a_hello_is_not_waited_for_without_end() {
    let dns = names();
    let config = format!("timeouts: {{clientTLS: 1s}}\n{}", super::policy(FRONT));
    let egret = super::builder().config(&config).dns(dns.address()).start();
    let origin = RecordingOrigin::start();
    let mut client = tunnel(&egret, &format!("front.test:{}", origin.address().port()));
    client.send(&hello(Some("front.test"), false)[..40]);
    assert_eq!(client.take(7), alert(50));
    assert_eq!(egret.exactly(1)[0].reason(), "client-hello-malformed");
    assert!(origin.bytes().is_empty());
}

#[test]
fn what_is_no_tls_and_servers_that_speak_first_are_not_held_up() {
    let dns = names();
    let egret = ruled(FRONT).dns(dns.address()).start();
    let script = vec![send("220 ready\r\n"), Step::ReadTotal(1), send("x"), Step::ReadTotal(6), send("250")];
    let origin = ScriptedOrigin::start(vec![script]);
    let mut client = tunnel(&egret, &format!("front.test:{}", origin.address().port()));
    assert_eq!(client.take(11), b"220 ready\r\n");
    client.send("E");
    assert_eq!(client.take(1), b"x", "one byte is enough");
    client.send("HLO me");
    assert_eq!(client.take(3), b"250");
    client.finish();
    let record = &egret.exactly(1)[0];
    assert_eq!((record.reason(), record.text("tunnelSni")), (String::new(), String::new()));
}

#[test]
fn a_server_that_speaks_first_is_heard_while_a_hello_is_awaited() {
    let dns = names();
    let egret = ruled(FRONT).dns(dns.address()).start();
    let origin = ScriptedOrigin::start(vec![vec![
        Step::Pause(Duration::from_millis(200)),
        send("ready"),
        Step::ReadToEnd,
    ]]);
    let mut client = tunnel(&egret, &format!("front.test:{}", origin.address().port()));
    client.send(&hello(Some("front.test"), false)[..40]);
    assert_eq!(client.take(5), b"ready");
}

#[test]
fn a_tunnel_to_an_address_may_name_only_what_is_allowed() {
    let rules = "      - {name: not-hidden, action: Deny, to: [{hosts: [hidden.test]}], reason: keep out}\n      - {name: local, action: Allow, to: [{cidrs: [127.0.0.0/8]}]}\n";
    let egret = ruled(rules).start();
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadTotal(40), send("ok"), Step::ReadToEnd]]);
    for name in [Some("front.test"), None, Some("127.0.0.1")] {
        let mut client = tunnel(&egret, &origin.address().to_string());
        client.send(hello(name, false));
        assert_eq!(client.take(2), b"ok", "{name:?}");
    }
    let mut client = tunnel(&egret, &origin.address().to_string());
    client.send(hello(Some("hidden.test"), false));
    assert_eq!(client.take(7), alert(49));
    let record = egret.record(|record| record.reason() == "sni-mismatch");
    assert_eq!(record.text("rule"), "not-hidden", "the rule that denies the name");
    assert!(record.text("detail").contains("keep out"), "{record:?}");
}

#[test]
fn a_rule_may_let_names_differ() {
    let dns = names();
    let rules = "      - {name: any, action: Allow, to: [{hosts: [front.test]}], tls: {serverName: Any}}\n";
    let egret = ruled(rules).dns(dns.address()).start();
    let origin = ScriptedOrigin::start(vec![vec![Step::ReadTotal(40), send("ok"), Step::ReadToEnd]]);
    let mut client = tunnel(&egret, &format!("front.test:{}", origin.address().port()));
    client.send(hello(Some("hidden.test"), false));
    assert_eq!(client.take(2), b"ok");
}

#[test]
fn without_policies_that_decide_nothing_is_looked_at() {
    let watched = "policies:\n  - {name: soon, mode: Audit, rules: [{action: Deny}]}\n";
    for config in ["", watched] {
        let dns = names();
        let egret = super::builder().config(config).dns(dns.address()).start();
        let origin = ScriptedOrigin::start(vec![vec![Step::ReadTotal(40), send("ok")]]);
        let mut client = tunnel(&egret, &format!("front.test:{}", origin.address().port()));
        client.send(hello(Some("hidden.test"), false));
        assert_eq!(client.take(2), b"ok");
        client.finish();
        let record = &egret.exactly(1)[0];
        assert_eq!((record.reason(), record.text("tunnelSni")), (String::new(), String::new()));
        let audited = if config.is_empty() { ("", 0.0) } else { ("soon", 1.0) };
        let series = "egret_policy_audit_denials_total{policy=\"soon\",rule=\"rules[0]\"}";
        assert_eq!((record.text("auditPolicy").as_str(), egret.metric(series)), audited);
    }
}

#[test]
fn old_versions_are_refused_by_openssl_s_own_hello() {
    let (dns, ca) = (names(), TestCa::new());
    let rules =
        "      - {name: modern, action: Allow, to: [{hosts: [front.test]}], tls: {minVersion: TLSv1.3}}\n";
    let egret = ruled(rules).dns(dns.address()).start();
    let origin = HttpOrigin::serving_tls(ca.server(&["front.test"]), Default::default());
    let s_client = |arguments: &[&str]| {
        let mut command = client("openssl");
        command.args(["s_client", "-brief", "-proxy", &egret.address().to_string()]);
        command.args(["-connect", &format!("front.test:{}", origin.address().port())]).args(arguments);
        run(&mut command)
    };
    let output = s_client(&["-servername", "front.test", "-tls1_2"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("protocol version"), "{said}");
    let record = &egret.exactly(1)[0];
    assert_eq!(record.reason(), "tls-version-too-low");
    assert!(record.text("detail").contains("TLS 1.2"), "{record:?}");
    let output = s_client(&["-servername", "front.test"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = s_client(&["-noservername"]);
    assert!(output.status.success(), "no name is fine: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(egret.exactly(3).iter().filter(|record| record.reason().is_empty()).count(), 2);
}

#[test]
fn socks_tunnels_are_looked_at_too() {
    let dns = names();
    let egret = ruled(FRONT).dns(dns.address()).start();
    let origin = RecordingOrigin::start();
    let mut client = egret.connect();
    client.send([5, 1, 0]);
    assert_eq!(client.take(2), [5, 0]);
    let port = origin.address().port().to_be_bytes();
    client.send([&[5, 1, 0, 3, 10][..], b"front.test", &port].concat());
    assert_eq!(client.take(10)[..2], [5, 0]);
    client.send(hello(Some("hidden.test"), false));
    assert_eq!(client.take(7), alert(112));
    assert_eq!(client.read_to_end(PATIENCE).1, Ended::Eof);
    let record = &egret.exactly(1)[0];
    assert_eq!((record.reason().as_str(), record.text("downstream").as_str()), ("sni-mismatch", "SOCKS5"));
    assert!(origin.bytes().is_empty());
}

#[test]
fn tunnels_in_http_2_are_looked_at_too() {
    let dns = names();
    let egret = ruled(FRONT).dns(dns.address()).start();
    let origin = RecordingOrigin::start();
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    };
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let authority = format!("front.test:{}", origin.address().port());
    let fields = [(":method", "CONNECT"), (":authority", &authority)];
    let fields = fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat());
    let mut client = egret.connect();
    client.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat());
    client.send(frame(1, 4, 1, &fields.collect::<Vec<u8>>()));
    client.send(frame(0, 0, 1, &hello(Some("hidden.test"), false)));
    let mut seen = Vec::new();
    let _ = client.read_until(PATIENCE, |bytes| {
        seen = bytes.to_vec();
        bytes.windows(7).any(|window| window == alert(112))
    });
    assert!(seen.windows(7).any(|window| window == alert(112)), "{seen:?}");
    let record = egret.record(|record| record.reason() == "sni-mismatch");
    assert_eq!(record.text("downstream"), "HTTP/2");
    assert!(origin.bytes().is_empty());
}
