//! Programs that trust the interception CA, each in its own way.

use std::process::Command;

use egret_testkit::tools::{client, of_python, python, run, succeed};
use egret_testkit::wait::{PATIENCE, wait_for, wait_until};
use serde_json::Value;

use super::node_origin::{CONSOLE, Node};
use super::{Inside, script};

fn check(it: &Inside, path: &str, downstream: &str) {
    let url = it.url(path);
    let record = it.egret.record(|record| record.target() == url && record.status() == 200);
    assert_eq!(record.text("treatment"), "intercept");
    assert_eq!(record.text("downstream"), downstream);
    assert_eq!(record.text("upstreamTls"), "1.3");
}

#[test]
fn curl_whatever_it_would_like_to_speak() {
    let it = Inside::everything();
    // The origin speaks HTTP/1.1: so does whoever could speak HTTP/2.
    for (flag, path) in [("--http1.1", "/echo?1"), ("--http2", "/echo?2")] {
        let version = "HTTP/1.1";
        let text = succeed(it.curl().args([flag, "-w", "\n%{http_version}", &it.url(path)]));
        let (body, spoken) = text.rsplit_once('\n').unwrap();
        assert_eq!(spoken, version.trim_start_matches("HTTP/"));
        let request: Value = serde_json::from_str(body).unwrap();
        assert!(request["target"].as_str().unwrap().starts_with("/echo"), "{request}");
        check(&it, path, version);
    }
    let connects = it.egret.records_where(|record| record.method() == "CONNECT");
    assert!(connects.iter().all(|record| record.text("treatment") == "intercept"), "{connects:#?}");
}

#[test]
fn curl_through_socks_and_by_address() {
    let it = Inside::everything();
    let proxy = format!("socks5h://{}", it.egret.address());
    let ca = it.ca();
    let mut curl = client("curl");
    curl.args(["-sS", "--max-time", "30", "--proxy", &proxy, "--cacert"]).arg(&ca);
    assert_eq!(succeed(curl.arg(it.url("/bytes/3"))).len(), 3);
    // An address has no server name in its handshake, and its certificate names it.
    let by_address = format!("https://{}/bytes/4", it.origin.address());
    assert_eq!(succeed(it.curl().arg(by_address)).len(), 4);
}

#[test]
fn large_bodies_both_ways() {
    let it = Inside::everything();
    for flag in ["--http1.1", "--http2"] {
        let down = succeed(
            it.curl().args([flag, "-o", "/dev/null", "-w", "%{size_download}"]).arg(it.url("/bytes/5000000")),
        );
        assert_eq!(down, "5000000");
        let file = it.state.path().join("upload");
        std::fs::write(&file, vec![b'x'; 3_000_000]).unwrap();
        let url = it.url("/echo");
        let mut curl = it.curl();
        curl.args([flag, "-o", "/dev/null", "-w", "%{http_code}", "-T"]).arg(&file).arg(&url);
        assert_eq!(succeed(&mut curl), "200");
        let record = it.egret.records_where(|record| record.method() == "PUT");
        assert!(record.iter().all(|record| record.bytes_up() == 3_000_000), "{record:#?}");
    }
}

#[test]
fn python_with_requests_and_urllib() {
    let it = Inside::everything();
    for library in ["requests", "urllib"] {
        let mut command = client(python());
        command.arg(script("with_python.py")).arg(library).args([it.egret.url(), it.url("/bytes/7")]);
        assert_eq!(succeed(command.arg(it.ca())).trim(), "7");
    }
    check_all(&it, 2);
}

#[test]
fn node_with_an_extra_ca() {
    let it = Inside::everything();
    let mut command = client("node");
    command.arg(script("with_node.cjs")).args([it.egret.url(), it.url("/bytes/7")]);
    assert_eq!(succeed(command.env("NODE_EXTRA_CA_CERTS", it.ca())).trim(), "7");
    check_all(&it, 1);
}

#[test]
fn java_with_a_pkcs12_truststore() {
    let it = Inside::everything();
    let store = it.state.path().join("trust.p12");
    succeed(
        client("keytool")
            .args(["-importcert", "-noprompt", "-alias", "egret", "-storetype", "PKCS12"])
            .args(["-storepass", "changeit", "-file"])
            .arg(it.ca())
            .arg("-keystore")
            .arg(&store),
    );
    let address = it.egret.address();
    let mut command = client("java");
    command.arg(format!("-Djavax.net.ssl.trustStore={}", store.display()));
    command.args(["-Djavax.net.ssl.trustStorePassword=changeit", "-Djavax.net.ssl.trustStoreType=PKCS12"]);
    command.arg(script("Get.java"));
    command.args([&address.ip().to_string(), &address.port().to_string(), &it.url("/bytes/7")]);
    assert_eq!(succeed(&mut command).trim(), "7");
    check_all(&it, 1);
}

#[test]
fn go_with_a_pool_of_its_own() {
    let it = Inside::everything();
    let program = it.state.path().join("get");
    succeed(
        client(of_python("go"))
            .env("GOCACHE", std::env::temp_dir().join("egret-test-go-cache"))
            .env("GOTOOLCHAIN", "local")
            .env("GO111MODULE", "off")
            .args(["build", "-o"])
            .arg(&program)
            .arg(script("get.go")),
    );
    let mut command = client(&program);
    assert_eq!(succeed(command.args([it.egret.url(), it.url("/bytes/7")]).arg(it.ca())).trim(), "7");
    check_all(&it, 1);
}

#[test]
fn openssl_verifies_the_certificate_with_and_without_a_name() {
    let it = Inside::everything();
    let port = it.origin.address().port();
    for (host, name) in
        [("localhost", vec!["-servername", "localhost"]), ("127.0.0.1", vec!["-noservername"])]
    {
        let mut command = client("openssl");
        command.args([
            "s_client",
            "-brief",
            "-verify_return_error",
            "-proxy",
            &it.egret.address().to_string(),
        ]);
        command.args(["-connect", &format!("{host}:{port}")]).args(name).arg("-CAfile").arg(it.ca());
        let output = run(&mut command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("Verification: OK"), "{said}");
    }
}

#[test]
fn a_client_that_does_not_trust_the_ca_is_told_apart() {
    let it = Inside::everything();
    let mut curl = client("curl");
    curl.args(["-sS", "--max-time", "30", "--proxy", &it.egret.url(), &it.url("/echo")]);
    let output = run(&mut curl);
    assert_eq!(output.status.code(), Some(60), "{output:?}");
    let record = it.egret.record(|record| record.method() == "CONNECT");
    assert_eq!(record.reason(), "interception-rejected");
    assert!(record.text("detail").starts_with("ca-not-trusted: alert UnknownCA"), "{record:?}");
}

#[test]
fn clients_that_reject_it_are_shown_in_the_console() {
    let yaml = format!("interception: {{everything: true}}\n{CONSOLE}");
    let it = Node::configured("h2,http/1.1", &yaml);
    let mut curl = client("curl");
    curl.args(["-sS", "--max-time", "30", "--proxy", &it.egret.url(), &it.url("/")]);
    for _ in 0..2 {
        assert_eq!(run(&mut curl).status.code(), Some(60));
    }
    let shown = wait_for("the rejections", PATIENCE, || {
        let shown = it.api("/ca")["rejections"].as_array()?.first()?.clone();
        (shown["count"] == 2).then_some(shown)
    });
    assert_eq!((&shown["identity"], &shown["host"]), (&"127.0.0.1".into(), &"origin.test".into()), "{shown}");
    assert_eq!(shown["kind"], "ca-not-trusted");
}

#[test]
fn one_connection_carries_many_requests_and_clients_resume_their_sessions() {
    let it = Inside::everything();
    let urls: Vec<_> = (0..5).map(|number| it.url(&format!("/bytes/{number}"))).collect();
    succeed(it.curl().arg("--http1.1").args(&urls));
    let requests = || it.egret.records_where(|record| record.method() == "GET");
    wait_until("the records", PATIENCE, || requests().len() == 5);
    let records = requests();
    assert_eq!(it.egret.records().iter().filter(|record| record.method() == "CONNECT").count(), 1);
    assert!(records.iter().any(|record| record.text("reused") == "true"), "{records:#?}");
    let session = it.state.path().join("session");
    let port = it.origin.address().port();
    let openssl = |flag: &str| {
        let mut command = client("openssl");
        command.args(["s_client", "-proxy", &it.egret.address().to_string(), "-connect"]);
        command
            .arg(format!("localhost:{port}"))
            .args(["-servername", "localhost", "-tls1_2", flag])
            .arg(&session);
        command.arg("-CAfile").arg(it.ca());
        String::from_utf8_lossy(&run(&mut command).stdout).into_owned()
    };
    assert!(openssl("-sess_out").contains("New, TLSv1.2"));
    assert!(openssl("-sess_in").contains("Reused, TLSv1.2"));
}

fn check_all(it: &Inside, count: usize) {
    let requests = || it.egret.records_where(|record| record.method() == "GET");
    wait_until("the records", PATIENCE, || requests().len() == count);
    let records = requests();
    assert!(records.iter().all(|record| record.text("treatment") == "intercept"), "{records:#?}");
}

#[test]
fn git_clones_through_it() {
    let state = tempfile::tempdir().unwrap();
    let work = state.path().join("work");
    let git = |arguments: &[&str]| {
        let mut command: Command = client("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments);
        command.env("GIT_CONFIG_NOSYSTEM", "1");
        succeed(&mut command)
    };
    git(&["init", "-q", work.to_str().unwrap()]);
    std::fs::write(work.join("file"), "content").unwrap();
    git(&["-C", work.to_str().unwrap(), "add", "file"]);
    git(&["-C", work.to_str().unwrap(), "commit", "-q", "-m", "first"]);
    let bare = state.path().join("repositories/one.git");
    std::fs::create_dir_all(bare.parent().unwrap()).unwrap();
    git(&["clone", "-q", "--bare", work.to_str().unwrap(), bare.to_str().unwrap()]);
    let ca = egret_testkit::TestCa::new();
    let served =
        egret_testkit::http_origin::Served { git: Some(bare.parent().unwrap().to_owned()), files: None };
    let origin = egret_testkit::HttpOrigin::serving_tls(ca.server(&["localhost"]), served);
    let egret = egret_testkit::Egret::builder(env!("CARGO_BIN_EXE_egret"))
        .arg("--intercept")
        .arg("--state-dir")
        .arg(state.path())
        .arg("--upstream-ca")
        .arg(ca.pem())
        .start();
    let copy = state.path().join("copy");
    let mut command = client("git");
    command.arg("-c").arg(format!("http.proxy={}", egret.url()));
    command.env_remove("GIT_SSL_CAINFO");
    command.arg("-c").arg(format!("http.sslCAInfo={}", state.path().join("interception-ca.crt").display()));
    command.args(["clone", "-q", &origin.url_by_name("/git/one.git")]).arg(&copy);
    succeed(&mut command);
    assert_eq!(std::fs::read_to_string(copy.join("file")).unwrap(), "content");
    let records = egret.records_where(|record| record.method() == "POST");
    assert!(records.iter().all(|record| record.target().ends_with("git-upload-pack")), "{records:#?}");
}

#[test]
fn grpc_with_trailers_and_streams_both_ways() {
    let state = tempfile::tempdir().unwrap();
    let ca = egret_testkit::TestCa::new();
    let (certificate, key) = ca.files(&["localhost"]);
    let egret = egret_testkit::Egret::builder(env!("CARGO_BIN_EXE_egret"))
        .arg("--intercept")
        .arg("--state-dir")
        .arg(state.path())
        .arg("--upstream-ca")
        .arg(ca.pem())
        .start();
    let mut command = client(python());
    command.arg(script("grpc_both.py")).arg(egret.url()).arg(state.path().join("interception-ca.crt"));
    assert!(succeed(command.arg(certificate).arg(key)).starts_with("good"));
    let calls = || egret.records_where(|record| record.method() == "POST");
    wait_until("the records", PATIENCE, || calls().len() == 3);
    for call in calls() {
        let spoken = (call.text("downstream"), call.text("upstream"), call.text("treatment"));
        assert_eq!(spoken, ("HTTP/2".to_owned(), "HTTP/2".to_owned(), "intercept".to_owned()));
    }
}

#[test]
fn a_pinned_client_is_tunnelled_for_a_while_where_it_is_set_so() {
    insists_on_the_origin(&Inside::configured("interception: {everything: true, tunnelPinned: 1h}\n"));
}

#[test]
fn a_rule_says_for_its_hosts_whether_a_pinned_client_is_tunnelled() {
    let yaml = "
policies:
  - metadata: {name: apps}
    spec:
      rules:
        - {action: Allow, to: [{hosts: [localhost]}], tls: {mode: Intercept, tunnelPinned: 1h}}
        - {action: Allow, to: [{cidrs: [127.0.0.0/8]}], tls: Intercept}
";
    insists_on_the_origin(&Inside::configured(yaml));
    // And the other way round, whatever is usual.
    let never = yaml.replace("tunnelPinned: 1h", "tunnelPinned: 0s");
    let it = Inside::configured(&format!("interception: {{tunnelPinned: 1h}}\n{never}"));
    succeed(it.curl().arg(format!("https://{}/bytes/1", it.origin.address())));
    for _ in 0..5 {
        assert_eq!(run(it.curl_of_origin().arg(it.url("/bytes/7"))).status.code(), Some(60));
    }
}

fn insists_on_the_origin(it: &Inside) {
    // It trusts the CA for one host, and for another insists on the origin's own.
    succeed(it.curl().arg(format!("https://{}/bytes/1", it.origin.address())));
    for _ in 0..3 {
        assert_eq!(run(it.curl_of_origin().arg(it.url("/bytes/7"))).status.code(), Some(60));
    }
    let pinned = it.egret.records_where(|record| record.reason() == "interception-rejected");
    assert!(pinned.iter().all(|record| record.text("detail").starts_with("pinned")), "{pinned:#?}");
    assert_eq!(succeed(it.curl_of_origin().arg(it.url("/bytes/7"))).len(), 7);
    it.egret.record(|record| record.text("treatment") == "tunnel");
}

#[test]
fn certificates_are_made_once_and_counted() {
    let it = Inside::everything();
    for _ in 0..3 {
        succeed(it.curl().arg(it.url("/bytes/1")));
    }
    assert_eq!(it.egret.metric("egret_interception_certificates_total{result=\"minted\"}"), 1.0);
    assert_eq!(it.egret.metric("egret_interception_certificates_total{result=\"hit\"}"), 2.0);
    assert_eq!(it.egret.metric("egret_interception_certificates_kept"), 1.0);
}

#[test]
fn a_changed_ca_signs_without_a_restart() {
    let it = Inside::everything();
    succeed(it.curl().arg(it.url("/bytes/1")));
    let rotate = |flags: &[&str]| {
        let mut command = client(env!("CARGO_BIN_EXE_egret"));
        succeed(command.args(["ca", "rotate", "--state-dir"]).arg(it.state.path()).args(flags));
    };
    let old = it.state.path().join("old.crt");
    std::fs::copy(it.ca(), &old).unwrap();
    rotate(&[]);
    rotate(&["--activate"]);
    it.egret.wait_for_log("the configuration was reloaded");
    let mut curl = client("curl");
    curl.args(["-sS", "--max-time", "30", "--proxy", &it.egret.url(), "--cacert"]).arg(&old);
    assert_eq!(run(curl.arg(it.url("/bytes/1"))).status.code(), Some(60), "the old one signs no more");
    assert_eq!(succeed(it.curl().arg(it.url("/bytes/2"))).len(), 2);
}

#[test]
fn a_client_that_asks_for_an_address_and_names_a_host_means_the_host() {
    let it = Inside::everything();
    let port = it.origin.address().port();
    let mut curl = it.curl();
    curl.arg("--connect-to").arg(format!("localhost:{port}:127.0.0.1:{port}"));
    assert_eq!(succeed(curl.arg(it.url("/bytes/6"))).len(), 6);
    check(&it, "/bytes/6", "HTTP/1.1");
}
