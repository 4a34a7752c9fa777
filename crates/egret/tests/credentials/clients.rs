//! Real clients that send credentials.

use egret_testkit::tools::{client, python, run, succeed};
use egret_testkit::{HttpOrigin, TestCa};

use super::{Setting, script};

#[test]
fn curl_sends_user_and_password_from_the_url() {
    let it = Setting::with("");
    let https_ca = TestCa::new();
    let https = HttpOrigin::start_tls(&https_ca);
    let curl = |arguments: &[&str]| {
        let mut command = client("curl");
        command.args(["-sS", "--max-time", "30", "--cacert"]).arg(https_ca.pem()).args(arguments);
        command
    };
    let with = |user: &str| it.egret.url().replace("http://", &format!("http://{user}@"));
    for url in [it.origin.url("/echo"), https.url("/echo")] {
        assert!(succeed(&mut curl(&["-x", &with("alice:secret"), &url])).contains("\"target\":\"/echo\""));
    }
    let user = ["--proxy-user", "alice:secret", "-x", &it.egret.url()];
    assert_eq!(succeed(curl(&user).arg(it.origin.url("/"))), "origin\n");
    // --proxy-anyauth asks first without credentials and picks from the challenges.
    assert_eq!(succeed(curl(&user).arg("--proxy-anyauth").arg(it.origin.url("/"))), "origin\n");
    assert_eq!(succeed(curl(&user).args(["--proxy-anyauth", "-p"]).arg(it.origin.url("/"))), "origin\n");
    let upload = succeed(
        curl(&user)
            .args(["--proxy-anyauth", "--data-binary", &"x".repeat(100_000)])
            .arg(it.origin.url("/echo")),
    );
    assert!(upload.contains("\"bytes\":100000"), "{upload}");
    let code = ["-o", "/dev/null", "-w", "%{http_code} %{http_connect}"];
    let wrong = with("alice:wrong");
    assert_eq!(succeed(curl(&code).args(["-x", &wrong]).arg(it.origin.url("/"))), "407 000");
    let tunnel = run(curl(&code).args(["-x", &wrong]).arg(https.url("/")));
    assert_eq!(String::from_utf8_lossy(&tunnel.stdout), "000 407");
    assert!(String::from_utf8_lossy(&tunnel.stderr).contains("407"), "{tunnel:?}");
}

#[test]
fn curl_is_told_why_in_the_reason_phrase() {
    let it = Setting::with("");
    let output = run(client("curl").args(["-sv", "-x", &it.egret.url(), "https://127.0.0.1:1/"]));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("407 egret authentication-required "), "{text}");
    assert!(text.contains("Proxy-Authenticate: Basic realm=\"egret\", charset=\"UTF-8\""), "{text}");
}

#[test]
fn python_requests_sends_user_and_password_from_the_url() {
    let it = Setting::with("");
    let ca = TestCa::new();
    let https = HttpOrigin::start_tls(&ca);
    let output = succeed(
        client(python())
            .arg(script("with_requests.py"))
            .args([it.egret.address().to_string(), it.origin.url(""), https.url_by_name("")])
            .arg(ca.pem()),
    );
    assert!(output.ends_with("good\n"), "{output}");
}

#[test]
fn streams_of_http_2_are_asked_each() {
    let it = Setting::with("");
    let output = succeed(
        client(python())
            .arg(script("with_h2.py"))
            .args([it.egret.address().to_string(), it.origin.address().to_string()]),
    );
    assert!(output.ends_with("good\n"), "{output}");
    let records = it.egret.records_where(|record| record.text("user") == "alice");
    assert!(records.iter().all(|record| record.text("downstream") == "HTTP/2"));
    assert_eq!(records.len(), 2, "a request and a tunnel: {records:?}");
}

#[test]
fn a_client_certificate_does_not_stand_for_a_password() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    succeed(client(env!("CARGO_BIN_EXE_egret")).args(["certs", "init"]).arg(directory.path().join("c")));
    std::fs::write(directory.path().join("users"), super::line("alice", "secret")).unwrap();
    let yaml = format!(
        "listeners:\n  - address: 127.0.0.1:0\n    tls: {{certificates: [{{certificate: {}}}], clientAuth: required, \
         clientCA: {}}}\nauthentication: {{htpasswd: {}}}\n",
        at("c/server.pem"),
        at("c/ca.crt"),
        at("users")
    );
    // What the file says about listeners counts here, and not the flag that the builder adds.
    std::fs::write(directory.path().join("egret.yaml"), yaml).unwrap();
    let egret = super::builder().config_file(directory.path().join("egret.yaml")).listen("").start();
    let origin = HttpOrigin::start();
    let curl = |user: &str| {
        let mut command = client("curl");
        command.args(["-sS", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_code}"]);
        command.args(["--proxy-cacert", &at("c/ca.crt"), "--proxy-cert", &at("c/client.pem")]);
        command.args(["-x", &format!("https://{user}{}", egret.address()), &origin.url("/")]);
        succeed(&mut command)
    };
    assert_eq!(curl(""), "407");
    assert_eq!(curl("alice:wrong@"), "407");
    assert_eq!(curl("alice:secret@"), "200");
    let record = egret.record(|record| record.status() == 200);
    assert_eq!(record.text("user"), "alice");
    assert!(!record.text("clientName").is_empty(), "both are on record: {}", record.0);
}

/// The start-up line names what a client needs, and works once that is filled in.
#[test]
fn the_command_in_the_banner_asks_for_the_user() {
    let setting = super::Setting::with("");
    setting.egret.wait_for_log("  try ");
    let log = setting.egret.log();
    let command = log.lines().find_map(|line| line.trim().strip_prefix("try ")).unwrap().trim();
    assert!(command.contains(" --proxy-user USER:PASSWORD "), "{command}");
    let command = command
        .replace("USER:PASSWORD", "alice:secret")
        .replace("https://example.com/", &setting.origin.url("/"));
    assert_eq!(succeed(client("sh").args(["-c", &command])), "origin\n");
    let open = super::Setting::with("  required: false\n");
    open.egret.wait_for_log("  try ");
    assert!(!open.egret.log().contains("--proxy-user"));
}
