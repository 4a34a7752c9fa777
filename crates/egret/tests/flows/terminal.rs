//! `egret flows`.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use egret_testkit::tools::{run, succeed};

use super::*;

#[test]
fn list_takes_filters() {
    let it = setting("capture: Headers");
    succeed(it.curl().arg(it.origin.url("/echo")));
    run(it.curl().arg(it.origin.url("/status/500")));
    it.written(2);
    let text = it.flows(&["list", "status:>=500"]);
    assert!(text.lines().count() == 1 && text.contains("/status/500"), "{text}");
    assert!(it.flows(&["list", "~m GET ~u /echo"]).contains("/echo"));
    let output = command(it.state.path(), &["list", "hots:a"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("did you mean host:?"), "{said}");
}

#[test]
fn har_is_what_browsers_read() {
    let it = setting("capture: Bodies");
    succeed(it.curl().args(["-d", "a=1&b=2"]).arg(it.origin.url("/echo?x=1")));
    it.written(1);
    let path = it.state.path().join("out.har");
    it.flows(&["export", "--har", path.to_str().unwrap()]);
    let har: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let log = &har["log"];
    assert_eq!((&log["version"], &log["creator"]["name"]), (&"1.2".into(), &"Egret".into()));
    let entry = &log["entries"][0];
    for name in ["startedDateTime", "time", "request", "response", "cache", "timings"] {
        assert!(entry.get(name).is_some(), "{name}: {entry:#}");
    }
    assert_eq!(entry["request"]["method"], "POST");
    assert_eq!(entry["request"]["postData"]["text"], "a=1&b=2");
    assert_eq!(entry["request"]["queryString"][0]["name"], "x");
    assert_eq!(entry["response"]["status"], 200);
    assert!(entry["response"]["content"]["text"].as_str().unwrap().contains("\"target\":\"/echo?x=1\""));
}

#[test]
fn the_curl_command_sends_the_request_again() {
    let it = setting("capture: Bodies");
    succeed(it.curl().args(["-H", "X-Odd: it's $HOME `id`", "-d", "so 'it' is"]).arg(it.origin.url("/echo")));
    let id = it.written(1)[0]["id"].as_str().unwrap().to_owned();
    let text = it.flows(&["export", "--curl", &id]);
    let mut shell = client("sh");
    let echo: Value = serde_json::from_str(&succeed(shell.arg("-c").arg(&text))).unwrap();
    let fields = echo["fields"].as_array().unwrap();
    assert!(
        fields.iter().any(|field| field[0] == "X-Odd" && field[1] == "it's $HOME `id`"),
        "{text}\n{echo:#}"
    );
}

#[test]
fn flows_survive_a_restart() {
    let it = setting("capture: Bodies");
    succeed(it.curl().arg(it.origin.url("/bytes/50000")));
    let id = it.written(1)[0]["id"].as_str().unwrap().to_owned();
    let mut first = it.egret;
    first.signal(rustix::process::Signal::TERM);
    first.wait_for_end(PATIENCE);
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"));
    let config = "flows: { persistent: true }\ncapture: Bodies";
    let egret = egret.arg("--state-dir").arg(it.state.path()).config(config).start();
    let again = Setting { egret, origin: it.origin, state: it.state };
    succeed(again.curl().arg(again.origin.url("/echo")));
    let flows = again.written(2);
    assert_eq!(flows[0]["id"], *id);
    assert_eq!(again.whole(&id)["response"]["body"]["captured"], 50_000);
}

#[test]
fn tail_prints_flows_as_they_come() {
    let it = setting("capture: Headers");
    succeed(it.curl().arg(it.origin.url("/status/204?before")));
    it.written(1);
    let mut tail = command(it.state.path(), &["tail", "--count", "1", "method:GET"]);
    let mut tail = tail.stdout(Stdio::piped()).spawn().unwrap();
    // Whether it has begun is not to be seen, so there are flows until it has printed one.
    let lines = BufReader::new(tail.stdout.take().unwrap());
    let reader = std::thread::spawn(move || lines.lines().map(Result::unwrap).collect::<Vec<_>>());
    for _ in 0..60 {
        succeed(it.curl().arg(it.origin.url("/status/204?after")));
        std::thread::sleep(Duration::from_millis(250));
        if reader.is_finished() {
            break;
        }
    }
    assert!(tail.wait().unwrap().success());
    let lines = reader.join().unwrap();
    assert!(lines.len() == 1 && lines[0].contains("?after"), "{lines:?}");
}

#[test]
fn hostile_text_does_nothing_to_a_terminal() {
    let it = setting("capture: Headers");
    succeed(it.curl().args(["-H", "X-Evil: \u{1b}[2Jgone"]).arg(it.origin.url("/status/204")));
    let id = it.written(1)[0]["id"].as_str().unwrap().to_owned();
    assert!(!it.flows(&["show", &id]).contains('\u{1b}'));
}

#[test]
fn what_is_not_there_is_said() {
    let state = tempfile::tempdir().unwrap();
    let output = command(state.path(), &["list"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("persistent: true"), "{output:?}");
    let mut console = client(env!("CARGO_BIN_EXE_egret"));
    let output = console.args(["flows", "list", "--state-dir"]).arg(state.path()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("console-token"), "{output:?}");
}

#[test]
fn flows_come_from_the_console_of_a_proxy_that_runs() {
    let state = tempfile::tempdir().unwrap();
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret"))
        .arg("--state-dir")
        .arg(state.path())
        .arg("--console")
        .arg("127.0.0.1:0")
        .arg("--capture")
        .arg("Bodies")
        .start();
    let origin = HttpOrigin::start();
    let console = format!("http://{}", egret.console());
    let it = Setting { egret, origin, state };
    let command = |arguments: &[&str]| {
        let mut command = client(env!("CARGO_BIN_EXE_egret"));
        command
            .arg("flows")
            .args(arguments)
            .arg("--console")
            .arg(&console)
            .arg("--state-dir")
            .arg(it.state.path());
        command
    };
    let mut tail = command(&["tail", "--count", "1", "method:POST"]);
    let mut tail = tail.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(tail.stdout.take().unwrap());
    let reader = std::thread::spawn(move || lines.lines().map(Result::unwrap).collect::<Vec<_>>());
    for _ in 0..60 {
        succeed(it.curl().args(["-d", "body text"]).arg(it.origin.url("/echo")));
        std::thread::sleep(Duration::from_millis(250));
        if reader.is_finished() {
            break;
        }
    }
    assert!(tail.wait().unwrap().success());
    assert!(reader.join().unwrap()[0].contains("/echo"));
    let list = succeed(&mut command(&["list", "--format", "json", "method:POST"]));
    let flow: Value = serde_json::from_str(list.lines().next().unwrap()).unwrap();
    let id = flow["id"].as_str().unwrap();
    assert!(succeed(&mut command(&["show", id])).contains("body text"));
    assert!(succeed(&mut command(&["export", "--curl", id])).contains("body text"));
    let har: Value =
        serde_json::from_str(&succeed(&mut command(&["export", "--har", "-", "--id", id]))).unwrap();
    assert_eq!(har["log"]["entries"].as_array().unwrap().len(), 1);
}
