//! What is refused, with nothing changed.

use super::*;

#[test]
fn says_what_is_wrong_with_the_command_line() {
    let node = Node::debian();
    for (arguments, words) in [
        (&["install"][..], "there is nothing to install"),
        (&["install", "--http-proxy", "10.0.0.5:8888"], "begin with http://"),
        (&["install", "--http-proxy", "socks5://10.0.0.5:1080"], "begin with http://"),
        (&["install", "--http-proxy", "http://10.0.0.5"], "the URL has no port"),
        (&["install", "--http-proxy", "http://10.0.0.5:8888/pac"], "has no path"),
        (
            &["install", "--http-proxy", "http://alice:secret@10.0.0.5:8888"],
            "everybody on the node could read",
        ),
        (&["install", "--http-proxy", "http://10.0.0.5:8888", "--no-proxy", "a b"], "\"a b\" is no host"),
        (&["install", "--http-proxy", "http://10.0.0.5:8888", "--no-proxy", "10.1."], "\"10.1.\" is no host"),
        (&["install", "--http-proxy", "http://10.0.0.5:8888", "--only", "trust"], "needs --ca FILE"),
        (&["install", "--only", "apt", "--ca", "/dev/null"], "--ca: "),
        (&["install", "--ca", "/nonexistent.pem"], "/nonexistent.pem"),
    ] {
        let error = node.fails(&[arguments, &["--apply"]].concat());
        assert!(error.contains(words) && !error.contains("secret"), "{arguments:?}: {error}");
    }
    assert_eq!(node.files().len(), 1, "nothing was written");
}

#[test]
fn a_damaged_file_stops_all_before_anything_is_written() {
    for (file, text, words) in [
        (DOCKER, "{\"a\": 1,}", "it is no JSON"),
        (DOCKER, "[]", "it is JSON, but no object"),
        (ENVIRONMENT, "# BEGIN egret node\nHTTP_PROXY=x\n", "has no `# END egret node`"),
    ] {
        let node = Node::debian();
        node.write(file, text);
        let before = node.files();
        let error = node.fails(&["install", "--apply", "--http-proxy", "http://10.0.0.5:8888"]);
        assert!(error.contains(words) && error.contains(file), "{error}");
        assert!(error.contains("nothing was changed"), "{error}");
        assert_eq!(node.files(), before);
    }
}

#[test]
fn refuses_links_that_lead_out_of_the_root() {
    let node = Node::debian();
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), node.path("etc/docker")).unwrap();
    let error = node.fails(&["install", "--apply", "--http-proxy", "http://10.0.0.5:8888"]);
    assert!(error.contains("it is a symbolic link"), "{error}");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    assert_eq!(node.files().iter().filter(|(path, _)| path.ends_with("http-proxy.conf")).count(), 0);
}

#[test]
fn needs_a_root_that_is_there() {
    let mut command = client(env!("CARGO_BIN_EXE_egret"));
    let output = run(command.args(["node", "show", "--root", "/nonexistent"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--root /nonexistent is no directory"));
}
