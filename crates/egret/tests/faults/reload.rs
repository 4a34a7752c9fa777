//! A new configuration takes effect without dropping anything; a bad one does not.

use std::os::unix::fs::symlink;
use std::path::Path;

use egret_testkit::raw::RawClient;
use egret_testkit::scripted::Step;
use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, Ended, HttpOrigin, ScriptedOrigin};
use rustix::process::Signal;

use super::{builder, get};

const OPEN: &str = "rules: {default: allow}\n";
const SHUT: &str = "rules: {deny: [{name: shut, hosts: ['*'], cidrs: [0.0.0.0/0]}]}\n";
const BAD: &str = "rules: {defualt: allow}\nlimits: {headBytes: -1}\n";

fn is_open(egret: &Egret, origin: &HttpOrigin) -> bool {
    // Not by a tunnel: one that is opened just before a reload is ended by it.
    match egret.connect().exchange(get(origin.address(), "/echo")).status() {
        200 => true,
        403 => false,
        other => panic!("{other}"),
    }
}

fn wait_until_open(egret: &Egret, origin: &HttpOrigin, wanted: bool) {
    wait_until("the new configuration", PATIENCE, || is_open(egret, origin) == wanted);
}

/// Writes as editors do: beside it, then renamed over it.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

#[test]
fn sighup_reloads_without_dropping_connections() {
    let egret = builder().config(OPEN).start();
    let origin = HttpOrigin::start();
    let held = ScriptedOrigin::start(vec![vec![Step::ReadTotal(2), Step::ReadToEnd]]);
    let (mut tunnel, answer) = egret.tunnel(&held.address().to_string());
    assert_eq!(answer.status(), 200);
    let mut kept: RawClient = egret.connect();
    assert_eq!(kept.exchange(get(origin.address(), "/echo")).status(), 200);
    assert!(is_open(&egret, &origin));

    replace(
        &egret.config_path(),
        "timeouts: {keepAlive: 60s}\nrules: {deny: [{name: nothing, hosts: [x.test]}]}\n",
    );
    egret.signal(Signal::HUP);
    egret.wait_for_log("reload");
    assert!(is_open(&egret, &origin));
    assert_eq!(kept.exchange(get(origin.address(), "/echo")).status(), 200, "a kept connection goes on");
    tunnel.send("hi").finish();
    assert_eq!(tunnel.read_to_end(PATIENCE).1, Ended::Eof);
    assert_eq!(held.received()[0].bytes, b"hi", "an open tunnel goes on");

    replace(&egret.config_path(), SHUT);
    egret.signal(Signal::HUP);
    wait_until_open(&egret, &origin, false);
    assert_eq!(
        kept.exchange(get(origin.address(), "/echo")).status(),
        403,
        "the next request is decided anew"
    );
}

#[test]
fn a_changed_file_is_noticed() {
    let egret = builder().config(OPEN).start();
    let origin = HttpOrigin::start();
    assert!(is_open(&egret, &origin));
    replace(&egret.config_path(), SHUT);
    wait_until_open(&egret, &origin, false);
    std::fs::write(egret.config_path(), OPEN).unwrap(); // in place
    wait_until_open(&egret, &origin, true);
}

/// As the kubelet does it: the file is a link through `..data`, which is swapped.
#[test]
fn a_swapped_link_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (version, text) in [("..one", OPEN), ("..two", SHUT)] {
        std::fs::create_dir(root.join(version)).unwrap();
        std::fs::write(root.join(version).join("egret.yaml"), text).unwrap();
    }
    symlink("..one", root.join("..data")).unwrap();
    symlink("..data/egret.yaml", root.join("egret.yaml")).unwrap();
    let egret = builder().config_file(root.join("egret.yaml")).start();
    let origin = HttpOrigin::start();
    assert!(is_open(&egret, &origin));
    symlink("..two", root.join("..data_tmp")).unwrap();
    std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    std::fs::remove_dir_all(root.join("..one")).unwrap();
    wait_until_open(&egret, &origin, false);
}

#[test]
fn a_bad_configuration_is_refused_and_the_old_one_goes_on() {
    let egret = builder().config(SHUT).start();
    let origin = HttpOrigin::start();
    assert!(!is_open(&egret, &origin));
    replace(&egret.config_path(), BAD);
    egret.signal(Signal::HUP);
    egret.wait_for_log("defualt");
    assert!(!is_open(&egret, &origin), "the old rules go on");
    assert!(egret.metric("egret_config_reloads_total{result=\"refused\"}") >= 1.0);
    replace(&egret.config_path(), OPEN);
    egret.signal(Signal::HUP);
    wait_until_open(&egret, &origin, true);
}

#[test]
fn a_file_that_vanishes_changes_nothing() {
    let egret = builder().config(SHUT).start();
    let origin = HttpOrigin::start();
    std::fs::remove_file(egret.config_path()).unwrap();
    egret.signal(Signal::HUP);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!is_open(&egret, &origin));
}

#[test]
fn a_bad_configuration_does_not_start() {
    let (status, text) = builder().config(BAD).run_to_end();
    assert!(!status.success());
    assert!(text.contains("defualt") && text.contains("default"), "a suggestion is made: {text}");
    assert!(text.contains("headBytes"), "every error is shown: {text}");
}
