//! What others wrote.

use serde_json::Value;

use super::*;

#[test]
fn keeps_what_else_is_in_dockers_file_and_its_order() {
    let node = Node::debian();
    node.write(DOCKER, r#"{"zebra": 1, "data-root": "/srv", "log-opts": {"max-size": "10m"}}"#);
    node.install(&["--apply"]);
    let object: Value = serde_json::from_str(&node.read(DOCKER)).unwrap();
    let keys: Vec<_> = object.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["zebra", "data-root", "log-opts", "proxies"]);
    assert_eq!(object["log-opts"]["max-size"], "10m");
    assert_eq!(object["proxies"]["https-proxy"], "http://10.0.0.5:8888");
    // What is added meanwhile stays when ours goes.
    let mut object = object;
    object["debug"] = true.into();
    node.write(DOCKER, &object.to_string());
    node.ok(&["remove", "--apply"]);
    let left: Value = serde_json::from_str(&node.read(DOCKER)).unwrap();
    assert_eq!(
        left,
        serde_json::json!({"zebra": 1, "data-root": "/srv", "log-opts": {"max-size": "10m"}, "debug": true})
    );
}

#[test]
fn does_not_take_away_a_proxy_that_somebody_else_set() {
    let node = Node::debian();
    node.write(DOCKER, r#"{"proxies": {"http-proxy": "http://old:1"}}"#);
    node.write(CONTAINERD, "[Service]\nEnvironment=HTTP_PROXY=http://old:1\n");
    let before = node.files();
    node.ok(&["remove", "--apply"]);
    assert_eq!(node.files(), before);
    let shown = node.ok(&["show"]);
    assert_eq!(shown.matches("somebody else's settings").count(), 2, "{shown}");
}

#[test]
fn a_file_that_was_written_over_ours_stays() {
    let node = Node::debian();
    node.install(&["--apply"]);
    node.write(KUBELET, "[Service]\nEnvironment=HTTP_PROXY=http://new:1\n");
    node.ok(&["remove", "--apply"]);
    assert!(node.read(KUBELET).contains("new:1"));
}

#[test]
fn lines_around_the_block_stay_and_may_change() {
    let node = Node::debian();
    node.write(ENVIRONMENT, "A=1");
    node.install(&["--apply"]);
    assert!(node.read(ENVIRONMENT).starts_with("A=1\n# BEGIN egret node\nHTTP_PROXY=http://10.0.0.5:8888\n"));
    node.write(ENVIRONMENT, &format!("{}B=2\n", node.read(ENVIRONMENT)));
    node.ok(&["remove", "--apply"]);
    assert_eq!(node.read(ENVIRONMENT), "A=1\nB=2\n");
}

#[test]
fn the_mode_of_a_file_stays() {
    use std::os::unix::fs::PermissionsExt as _;
    let node = Node::debian();
    node.write(DOCKER, "{}");
    fs::set_permissions(node.path(DOCKER), fs::Permissions::from_mode(0o600)).unwrap();
    node.install(&["--apply"]);
    assert_eq!(fs::metadata(node.path(DOCKER)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_kubelet_reaches_its_api_server_directly() {
    let node = Node::debian();
    let text = node.install(&[]);
    assert!(text.contains("warning: no kubeconfig of a kubelet"), "{text}");
    node.write(
        "etc/kubernetes/kubelet.conf",
        "clusters:\n- cluster:\n    server: https://api.corp.example:6443\n  name: c\n",
    );
    let text =
        node.install(&["--apply", "--no-proxy", "*.corp.example, 10.1.2.3/8,192.0.2.1", "--no-proxy", "db"]);
    assert!(!text.contains("warning"), "{text}");
    let line =
        node.read(ENVIRONMENT).lines().find_map(|line| line.strip_prefix("no_proxy=").map(str::to_owned));
    let line = line.unwrap();
    let terms: Vec<_> = line.split(',').collect();
    for term in [
        "api.corp.example",
        ".corp.example",
        "corp.example",
        "10.0.0.0/8",
        "192.0.2.1",
        "db",
        ".svc",
        "localhost",
    ] {
        assert!(terms.contains(&term), "no {term} in {line}");
    }
    assert!(terms.is_sorted() && !line.contains(' ') && !line.contains('*'), "{line}");
    assert_eq!(line, node.read(ENVIRONMENT).lines().find_map(|line| line.strip_prefix("NO_PROXY=")).unwrap());
}
