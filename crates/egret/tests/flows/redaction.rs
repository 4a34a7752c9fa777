//! What is taken out before anything is stored.

use egret_testkit::tools::succeed;

use super::*;

/// All that is in files under a directory.
fn contents(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => all.extend(contents(&entry.path())),
            false => all.extend(std::fs::read(entry.path()).unwrap()),
        }
    }
    all
}

#[test]
fn secrets_reach_no_file() {
    let it = setting(
        "capture: Bodies\nflows:\n  persistent: true\n  spillBytes: 1KiB\n  redaction:\n    headers: [x-mine]\n    queryKeys: [ticket]\n    jsonPaths: [$.user.pin]"
            .trim_start(),
    );
    let long = "x".repeat(4000);
    let body =
        format!(r#"{{"user":{{"pin":"sesame-1","name":"ann"}},"password":"sesame-2","long":"{long}"}}"#);
    let mut command = it.curl();
    command.args([
        "-H",
        "Authorization: Bearer sesame-3",
        "-H",
        "X-Mine: sesame-4",
        "-H",
        "Cookie: a=sesame-5",
    ]);
    command.args(["-H", "Content-Type: application/json", "--data-binary", &body]);
    succeed(command.arg(it.origin.url("/status/204?ticket=sesame-6&a=1&access_token=sesame-7")));
    let flow = it.only();
    let stored = contents(&it.state.path().join("flows"));
    assert!(memchr::memmem::find(&stored, b"ann").is_some(), "the rest of the body is there");
    for number in 1..=7 {
        let secret = format!("sesame-{number}");
        assert!(memchr::memmem::find(&stored, secret.as_bytes()).is_none(), "{secret} is in a file");
    }
    assert_eq!(field(&flow["request"], "authorization"), Some("Bearer [redacted]"));
    assert_eq!(field(&flow["request"], "x-mine"), Some("[redacted]"));
    assert!(!flow["target"].as_str().unwrap().contains("sesame"), "{}", flow["target"]);
}

#[test]
fn headers_alone_leave_no_secret_anywhere() {
    let it = setting("capture: Headers");
    let mut command = it.curl();
    command.args([
        "-H",
        "Authorization: Basic c2VzYW1l",
        "-H",
        "X-Api-Key: sesame-1",
        "-d",
        "password=sesame-2",
    ]);
    let echo = succeed(command.arg(it.origin.url("/echo?token=sesame-3")));
    for secret in ["c2VzYW1l", "sesame-1", "sesame-2", "sesame-3"] {
        assert!(echo.contains(secret), "the origin gets it: {secret}");
    }
    it.written(1);
    let stored = contents(&it.state.path().join("flows"));
    for secret in ["c2VzYW1l", "sesame-1", "sesame-2", "sesame-3"] {
        assert!(memchr::memmem::find(&stored, secret.as_bytes()).is_none(), "{secret} is in a file");
    }
}

#[test]
fn a_wrong_path_is_refused_at_the_start() {
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"));
    let config = "capture: Headers\nflows: { redaction: { jsonPaths: ['$.user[pin'] } }";
    let (status, said) = egret.config(config).run_to_end();
    assert!(!status.success() && said.contains("$.user[pin"), "{said}");
}
