//! curl, by every kind of SOCKS that it speaks.

use egret_testkit::tools::{client, run, succeed};
use egret_testkit::{HttpOrigin, TestCa};

use super::builder;

#[test]
fn curl_uses_every_version() {
    let egret = builder().start();
    let ca = TestCa::new();
    let (http, https) = (HttpOrigin::start(), HttpOrigin::start_tls(&ca));
    let mut count = 0;
    for scheme in ["socks4", "socks4a", "socks5", "socks5h"] {
        let proxy = format!("{scheme}://{}", egret.address());
        for url in [http.url("/"), https.url_by_name("/")] {
            let text = succeed(
                client("curl")
                    .args(["-sS", "--max-time", "30", "-4", "-x", &proxy, "--cacert"])
                    .arg(ca.pem())
                    .arg(&url),
            );
            assert_eq!(text, "origin\n", "{scheme} {url}");
            count += 1;
        }
    }
    assert!(egret.exactly(count).iter().all(|record| record.status() == 200));
}

#[test]
fn curl_may_name_a_user_where_none_is_asked_for() {
    let egret = builder().start();
    let http = HttpOrigin::start();
    let proxy = format!("socks5h://someone:secret@{}", egret.address());
    assert_eq!(succeed(client("curl").args(["-sS", "-x", &proxy, &http.url("/")])), "origin\n");
    assert!(!egret.log().contains("secret"));
}

#[test]
fn curl_shows_a_refusal() {
    let egret = builder().start();
    let proxy = format!("socks5h://{}", egret.address());
    let output = run(client("curl").args(["-sS", "-x", &proxy, "http://169.254.169.254/"]));
    assert_eq!(output.status.code(), Some(97));
    assert_eq!(egret.exactly(1)[0].reason(), "denied-by-guard");
}
