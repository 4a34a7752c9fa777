//! Bodies.

use std::io::Write as _;

use egret_testkit::ScriptedOrigin;
use egret_testkit::scripted::{Step, send};
use egret_testkit::tools::succeed;

use super::*;

#[test]
fn bodies_are_kept_as_they_were_sent_without_their_framing() {
    let it = setting("capture: Bodies");
    succeed(
        it.curl().args(["-H", "Transfer-Encoding: chunked", "-d", "some text"]).arg(it.origin.url("/echo")),
    );
    succeed(it.curl().arg(it.origin.url("/chunked/10000")));
    succeed(it.curl().arg("-0").arg(it.origin.url("/chunked/10000")));
    let flows = it.written(3);
    let bodies = |index: usize| {
        let flow = it.whole(flows[index]["id"].as_str().unwrap());
        let size = |side: &str, name: &str| flow[side]["body"][name].as_u64().unwrap();
        (size("request", "captured"), size("response", "captured"), size("response", "size"))
    };
    assert_eq!(bodies(0).0, 9);
    assert_eq!((bodies(1), bodies(2)), ((0, 10_000, 10_000), (0, 10_000, 10_000)));
    assert!(it.flows(&["show", flows[0]["id"].as_str().unwrap()]).contains("\nsome text\n"));
}

#[test]
fn trailers_are_kept() {
    let it = setting("capture: Bodies");
    succeed(it.curl().arg(it.origin.url("/trailers")));
    let flow = it.only();
    assert_eq!(flow["response"]["trailers"][0]["name"], "X-Checksum", "{flow:#}");
}

#[test]
fn a_body_is_cut_off_at_its_limit_and_says_so() {
    let it = setting("capture: { mode: Bodies, bodyBytes: 1000 }");
    let size = ["-o", "/dev/null", "-w", "%{size_download}"];
    assert_eq!(succeed(it.curl().args(size).arg(it.origin.url("/bytes/5000"))), "5000");
    let body = &it.only()["response"]["body"];
    assert_eq!((&body["size"], &body["captured"]), (&5000.into(), &1000.into()));
    assert_eq!(body["truncated"], "capture-limit");
}

#[test]
fn a_body_in_gzip_is_decoded_for_whoever_looks() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&b"what was said ".repeat(100)).unwrap();
    let body = encoder.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let origin =
        ScriptedOrigin::start(vec![vec![Step::ReadHead, send(&head), Step::Send(body.clone()), Step::Hold]]);
    let it = setting("capture: Bodies");
    succeed(it.curl().args(["-o", "/dev/null"]).arg(format!("http://{}/", origin.address())));
    let flow = it.only();
    assert_eq!(flow["response"]["body"]["captured"], body.len());
    assert!(it.flows(&["show", flow["id"].as_str().unwrap()]).contains(&"what was said ".repeat(100)));
    let content = &it.har()["log"]["entries"][0]["response"]["content"];
    assert_eq!(content["text"].as_str().unwrap().len(), 1400);
}

#[test]
fn large_bodies_both_ways_take_constant_memory() {
    const SIZE: usize = 64 << 20;
    let it = setting("capture: Bodies");
    succeed(it.curl().arg(it.origin.url("/bytes/1000")));
    let before = it.egret.resident_bytes();
    let upload = it.state.path().join("upload");
    std::fs::write(&upload, vec![b'u'; SIZE]).unwrap();
    let sink = ["-o", "/dev/null", "-w", "%{size_download}"];
    assert_eq!(succeed(it.curl().args(sink).arg(it.origin.url(&format!("/bytes/{SIZE}")))), SIZE.to_string());
    let mut command = it.curl();
    command.args(["-o", "/dev/null", "-X", "PUT", "-T"]).arg(&upload).arg(it.origin.url("/status/204"));
    succeed(&mut command);
    let grown = it.egret.resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes more");
    let flows = it.written(3);
    let last = it.whole(flows[2]["id"].as_str().unwrap());
    assert_eq!((&last["bytesUp"], &last["request"]["body"]["captured"]), (&SIZE.into(), &(1 << 20).into()));
}

#[test]
fn long_bodies_are_in_files_for_the_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let it = setting("capture: Bodies");
    succeed(it.curl().arg(it.origin.url("/bytes/100000")));
    it.written(1);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let store = it.state.path().join("flows");
    let body = std::fs::read_dir(store.join("bodies")).unwrap().next().unwrap().unwrap();
    assert_eq!(body.metadata().unwrap().len(), 100_000);
    assert_eq!((mode(&store), mode(&store.join("flows.db")), mode(&body.path())), (0o700, 0o600, 0o600));
}
