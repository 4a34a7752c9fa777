//! The PAC file, as an evaluator of such files reads it.

use egret_testkit::Egret;
use egret_testkit::tools::{client, dependencies, succeed};

use super::script;

fn evaluate(file: &str, questions: &[&str]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proxy.pac");
    std::fs::write(&path, file).unwrap();
    let modules = dependencies().join("node_modules").canonicalize().unwrap();
    let output = succeed(
        client("node").arg(script("evaluate_pac.cjs")).arg(path).args(questions).env("NODE_PATH", modules),
    );
    output.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn a_pac_file_sends_browsers_to_the_proxy_that_it_was_fetched_from() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let file = succeed(client("curl").args(["-sS", &format!("{}/proxy.pac", egret.url())]));
    let own = format!("PROXY {}", egret.address());
    let answers = evaluate(
        &file,
        &["https://example.com/", "http://localhost:80/", "http://[::1]/", "http://127.1.2.3/"],
    );
    assert_eq!(answers, [own.as_str(), "DIRECT", "DIRECT", "DIRECT"]);
}

#[test]
fn a_pac_file_has_the_terms_of_the_configuration() {
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"))
        .config(
            "pac:\n  proxy: HTTPS proxy.example:8443; SOCKS5 proxy.example:8888\n  direct: [corp.example, '*.sub.example', \
             10.0.0.0/8, 'ported.example:8080', '2001:db8::1', fd00::/8]\n",
        )
        .start();
    let output = succeed(client("curl").args(["-sSi", &format!("{}/wpad.dat", egret.url())]));
    assert!(output.contains("application/x-ns-proxy-autoconfig"), "{output}");
    let file = output.split_once("\r\n\r\n").unwrap().1;
    let proxy = "HTTPS proxy.example:8443; SOCKS5 proxy.example:8888";
    let table = [
        ("https://corp.example/", "DIRECT"),
        ("https://WWW.Corp.Example/", "DIRECT"),
        ("https://notcorp.example/", proxy),
        ("https://sub.example/", proxy),
        ("https://a.b.sub.example/", "DIRECT"),
        ("http://10.9.8.7/", "DIRECT"),
        ("http://11.9.8.7/", proxy),
        ("http://ported.example:8080/x", "DIRECT"),
        ("http://ported.example/", proxy),
        ("http://user@ported.example:8080/", "DIRECT"),
        ("http://[2001:db8::1]/", "DIRECT"),
        ("http://[2001:db8::2]/", proxy),
        ("https://example.com/corp.example", proxy),
    ];
    let questions: Vec<&str> = table.iter().map(|(url, _)| *url).collect();
    for (answer, (url, expected)) in evaluate(file, &questions).iter().zip(table) {
        assert_eq!(answer, expected, "{url}");
    }
}

#[test]
fn a_hostile_host_cannot_break_out_of_the_file() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let mut raw = egret.connect();
    let answer = raw.exchange("GET /proxy.pac HTTP/1.1\r\nHost: x\";alert(1);\"\r\n\r\n");
    assert!(!answer.text().contains("alert"), "{}", answer.text());
}
