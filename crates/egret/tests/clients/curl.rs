//! curl.

use std::process::Command;

use egret_testkit::tools::{client, run, succeed};

use super::{Setting, setting};

fn curl(setting: &Setting) -> Command {
    let mut command = client("curl");
    command.args(["-sS", "--max-time", "30", "-x", &setting.egret.url(), "--cacert"]).arg(setting.ca.pem());
    command
}

#[test]
fn curl_gets_http() {
    let it = setting();
    let text = succeed(curl(&it).arg(it.http.url("/echo?x=1")));
    let echo: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(echo["target"], "/echo?x=1");
    let names: Vec<&str> =
        echo["fields"].as_array().unwrap().iter().map(|f| f[0].as_str().unwrap()).collect();
    assert!(names.contains(&"Via") && !names.contains(&"Proxy-Connection"), "{names:?}");
    let record = &it.egret.exactly(1)[0];
    assert_eq!(record.target(), it.http.url("/echo?x=1"));
    assert!(record.text("userAgent").starts_with("curl/"));
}

#[test]
fn curl_gets_https_through_a_tunnel() {
    let it = setting();
    let text = succeed(curl(&it).arg(it.https.url_by_name("/echo")));
    assert!(text.contains("\"target\":\"/echo\""));
    assert!(!text.contains("Via"), "what is inside a tunnel is not touched");
    assert_eq!(it.egret.exactly(1)[0].method(), "CONNECT");
}

#[test]
fn curl_tunnels_http_too() {
    let it = setting();
    assert_eq!(succeed(curl(&it).arg("-p").arg(it.http.url("/"))), "origin\n");
}

#[test]
fn curl_speaks_http_1_0() {
    let it = setting();
    assert_eq!(succeed(curl(&it).arg("-0").arg(it.http.url("/"))), "origin\n");
    let output = succeed(
        curl(&it)
            .args(["-0", "-o", "/dev/null", "-w", "%{size_download}"])
            .arg(it.http.url("/chunked/10000")),
    );
    assert_eq!(output, "10000");
    assert!(it.egret.exactly(2).iter().all(|r| r.text("downstream") == "HTTP/1.0"));
}

#[test]
fn curl_proxies_in_http_1_0() {
    let it = setting();
    let output = succeed(
        curl(&it)
            .args(["-x", ""])
            .args(["--proxy1.0", &it.egret.address().to_string()])
            .arg(it.https.url("/")),
    );
    assert_eq!(output, "origin\n");
}

#[test]
fn curl_keeps_its_connection() {
    let it = setting();
    let urls: Vec<String> = (0..5).map(|i| it.http.url(&format!("/echo?{i}"))).collect();
    let output = succeed(curl(&it).args(["-w", "\n%{num_connects}\n"]).args(&urls));
    let connects: Vec<&str> = output.lines().filter(|l| l.len() == 1).collect();
    assert_eq!(connects, ["1", "0", "0", "0", "0"]);
    it.egret.exactly(5);
}

#[test]
fn curl_uploads_with_and_without_a_length() {
    let it = setting();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("upload");
    std::fs::write(&file, vec![b'u'; 3_000_000]).unwrap();
    // Above 1 MiB curl asks with Expect: 100-continue.
    let text =
        succeed(curl(&it).arg("--data-binary").arg(format!("@{}", file.display())).arg(it.http.url("/echo")));
    assert!(text.contains("\"bytes\":3000000"));
    let text = succeed(
        curl(&it).args(["-H", "Transfer-Encoding: chunked", "-T"]).arg(&file).arg(it.http.url("/echo")),
    );
    assert!(text.contains("\"bytes\":3000000"));
    assert!(it.egret.exactly(2).iter().all(|r| r.bytes_up() == 3_000_000));
}

#[test]
fn curl_sees_trailers_and_hints() {
    let it = setting();
    let text = succeed(curl(&it).arg("-i").arg(it.http.url("/trailers")));
    assert!(text.contains("X-Checksum: good") || text.contains("x-checksum: good"), "{text}");
    let text = succeed(curl(&it).arg("-i").arg(it.http.url("/hints")));
    assert!(text.contains(" 103 ") && text.contains("\nok"), "{text}");
}

#[test]
fn curl_asks_for_heads_ranges_and_empty_answers() {
    let it = setting();
    let head = succeed(curl(&it).arg("-I").arg(it.http.url("/bytes/5000")));
    assert!(head.contains("Content-Length: 5000"), "{head}");
    for status in ["204", "304", "404", "500"] {
        let code = succeed(
            curl(&it)
                .args(["-o", "/dev/null", "-w", "%{http_code}"])
                .arg(it.http.url(&format!("/status/{status}"))),
        );
        assert_eq!(code, status);
    }
    assert_eq!(succeed(curl(&it).arg(it.http.url("/until-close"))), "to the end");
    it.egret.exactly(6);
}

#[test]
fn curl_gets_an_https_url_forwarded() {
    // Some clients send https URLs in absolute-form; the proxy speaks TLS for them, checked.
    let it = setting();
    let output = run(curl(&it)
        .args(["-o", "/dev/null", "-w", "%{http_code}", "--request-target", &it.https.url("/")])
        .arg(it.http.url("/")));
    let code = String::from_utf8_lossy(&output.stdout).into_owned();
    // Host contradicts the target here, which is refused; never a connection without checks.
    assert!(["400", "502"].contains(&code.as_str()), "{code}");
}

#[test]
fn curl_shows_why_a_tunnel_was_refused() {
    let it = setting();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(curl(&it).arg("-v").arg(format!("https://{nobody}/")));
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("502 egret connect-refused "), "{text}");
}

#[test]
fn curl_asks_the_proxy_itself() {
    let it = setting();
    let page = succeed(client("curl").args(["-sS", "--max-time", "30"]).arg(format!("{}/", it.egret.url())));
    assert!(page.to_lowercase().contains("egret"), "{page}");
    for path in ["/healthz", "/readyz", "/metrics"] {
        let url = format!("http://{}{path}", it.egret.admin());
        succeed(client("curl").args(["-sS", "--fail", "--max-time", "30"]).arg(url));
    }
}

#[test]
fn many_curls_at_once() {
    let it = setting();
    let urls: Vec<String> = (0..40).map(|i| it.http.url(&format!("/bytes/{}", 1000 * i))).collect();
    let mut command = curl(&it);
    command.args(["-Z", "--parallel-max", "20", "-w", "%{http_code}\n"]);
    for url in &urls {
        command.args(["-o", "/dev/null", url]);
    }
    let output = succeed(&mut command);
    assert_eq!(output.matches("200\n").count(), 40);
    it.egret.exactly(40);
}
