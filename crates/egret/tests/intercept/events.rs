//! Server-sent events inside TLS: they are not held up, and can be looked at one by one.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use egret_testkit::wait::{PATIENCE, wait_for};

use super::node_origin::{CONSOLE, Node};

#[test]
fn events_pass_as_they_come_and_are_kept_as_messages() {
    let yaml = format!("interception: {{everything: true}}\ncapture: Bodies\n{CONSOLE}");
    let it = Node::configured("h2,http/1.1", &yaml);
    for flag in ["--http1.1", "--http2"] {
        let mut curl = it.curl();
        let mut child =
            curl.args([flag, "-N"]).arg(it.url("/events/3")).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let data = lines.map(|line| line.unwrap()).filter(|line| line.starts_with("data: "));
        // The answer has no end: whatever waited for one would wait for ever.
        let came: Vec<_> = data.take(3).collect();
        assert_eq!(came, ["data: {\"number\":1}", "data: {\"number\":2}", "data: {\"number\":3}"], "{flag}");
        // They can be looked at while more may come.
        let flow = wait_for("the events", PATIENCE, || {
            let page = it.api("/flows?filter=is:open%20method:GET");
            let flow = page["flows"].as_array()?.first()?.clone();
            (flow["messages"] == 3).then_some(flow)
        });
        assert_eq!(flow["kind"], "events", "{flow}");
        let messages = it.api(&format!("/flows/{}/messages", flow["id"].as_str().unwrap()));
        let last = &messages["messages"][2];
        assert_eq!(
            (&last["type"], &last["event"], &last["text"], &last["direction"]),
            (&"event".into(), &"tick".into(), &"{\"number\":3}".into(), &"down".into()),
            "{messages}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        wait_for("the end", PATIENCE, || {
            let page = it.api("/flows?filter=is:open%20method:GET");
            page["flows"].as_array()?.is_empty().then_some(())
        });
    }
}
