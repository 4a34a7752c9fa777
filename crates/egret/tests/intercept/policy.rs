//! Which tunnels are looked into, what the requests in them are asked, and how refusals are told.

use egret_testkit::tools::{client, run, succeed};

use super::Inside;

const NAMED: &str = "
default: Deny
policies:
  - metadata: {name: apis}
    spec:
      rules:
        - name: read
          action: Allow
          to: [{hosts: [localhost], ports: [PORT]}]
          http: {methods: [GET], paths: ['/bytes/**']}
          tls: Intercept
        - name: closed
          action: Allow
          to: [{hosts: [closed.test], ports: [PORT]}]
";

fn status(it: &Inside, arguments: &[&str]) -> String {
    succeed(it.curl().args(["-o", "/dev/null", "-w", "%{http_code}"]).args(arguments))
}

#[test]
fn every_request_inside_passes_the_gate_with_its_method_and_path() {
    let it = Inside::configured(NAMED);
    assert_eq!(status(&it, &[&it.url("/bytes/3")]), "200");
    assert_eq!(status(&it, &[&it.url("/echo")]), "403");
    assert_eq!(status(&it, &["-X", "POST", &it.url("/bytes/3")]), "403");
    let denied = it.egret.records_where(|record| record.status() == 403);
    assert!(denied.iter().all(|record| record.text("treatment") == "intercept"), "{denied:#?}");
    assert!(denied.iter().all(|record| record.reason() == "denied-by-default"), "{denied:#?}");
    let allowed = it.egret.record(|record| record.method() == "GET" && record.status() == 200);
    assert_eq!((allowed.text("policy"), allowed.text("rule")), ("apis".to_owned(), "read".to_owned()));
}

#[test]
fn hosts_that_no_rule_names_for_it_stay_closed() {
    let it = Inside::configured(NAMED);
    assert_eq!(succeed(it.curl_of_origin().arg(it.closed_url("/bytes/3"))).len(), 3);
    let record = it.egret.record(|_| true);
    assert_eq!((record.method().as_str(), record.text("treatment").as_str()), ("CONNECT", "tunnel"));
}

#[test]
fn a_rule_can_leave_a_host_closed_where_everything_is_looked_into() {
    let yaml = "
interception: {everything: true}
policies:
  - metadata: {name: pinned}
    spec:
      rules: [{action: Allow, to: [{hosts: [closed.test]}], tls: Tunnel}]
";
    let it = Inside::configured(yaml);
    assert_eq!(succeed(it.curl_of_origin().arg(it.closed_url("/bytes/3"))).len(), 3);
    assert_eq!(succeed(it.curl().arg(it.url("/bytes/4"))).len(), 4);
    it.egret.record(|record| record.text("treatment") == "tunnel");
    it.egret.record(|record| record.text("treatment") == "intercept" && record.method() == "GET");
}

#[test]
fn a_refused_connect_is_told_inside_where_people_see_it() {
    let it = Inside::start(|builder| builder.arg("--intercept").arg("--deny-host").arg("denied.example"));
    for flag in ["--http1.1", "--http2"] {
        let text = succeed(it.curl().args([flag, "-i", "https://denied.example/secret"]));
        assert!(text.contains("403") && text.contains("denied-by-rule"), "{text}");
        assert!(text.contains("Asked for: https://denied.example/secret"), "{text}");
    }
}

#[test]
fn a_deny_rule_that_says_so_is_told_inside() {
    let yaml = "
policies:
  - metadata: {name: no}
    spec:
      rules:
        - {name: shown, action: Deny, to: [{hosts: [shown.example]}], tls: Intercept, reason: not for you}
        - {name: hidden, action: Deny, to: [{hosts: [hidden.example]}]}
";
    let it = Inside::configured(yaml);
    let text = succeed(it.curl().args(["-i", "https://shown.example/"]));
    assert!(text.contains("not for you"), "{text}");
    let output = run(it.curl().arg("https://hidden.example/"));
    assert_eq!(output.status.code(), Some(56), "refused before the handshake: {output:?}");
}

#[test]
fn requests_for_another_host_than_the_tunnel_are_refused() {
    let it = Inside::everything();
    for flag in ["--http1.1", "--http2"] {
        let host = "Host: other.example";
        assert_eq!(status(&it, &[flag, "-H", host, &it.url("/bytes/3")]), "421", "{flag}");
    }
    let records = it.egret.records_where(|record| record.status() == 421);
    assert!(records.iter().all(|record| record.reason() == "misdirected-request"), "{records:#?}");
}

#[test]
fn a_handshake_for_another_host_than_the_tunnel_is_refused() {
    let it = Inside::everything();
    let port = it.origin.address().port();
    let mut command = client("openssl");
    command.args(["s_client", "-brief", "-proxy", &it.egret.address().to_string(), "-connect"]);
    command
        .arg(format!("localhost:{port}"))
        .args(["-servername", "hidden.example"])
        .arg("-CAfile")
        .arg(it.ca());
    run(&mut command);
    let record = it.egret.record(|record| record.method() == "CONNECT");
    assert_eq!(record.reason(), "sni-mismatch");
    assert!(record.text("detail").contains("hidden.example"), "{record:?}");
}

#[test]
fn a_host_that_a_new_configuration_leaves_closed_is_not_looked_into_any_more() {
    let it = Inside::configured("interception: {everything: true}\n");
    let text = format!("https://localhost:{}", it.origin.address().port());
    assert_eq!(status(&it, &[&format!("{text}/bytes/3")]), "200");
    let before = std::fs::read_to_string(it.egret.config_path()).unwrap();
    let closed = before.replace("everything: true", "everything: false");
    std::fs::write(it.egret.config_path(), closed).unwrap();
    it.egret.wait_for_log("the configuration was reloaded");
    assert_eq!(succeed(it.curl_of_origin().arg(it.url("/bytes/4"))).len(), 4);
}
