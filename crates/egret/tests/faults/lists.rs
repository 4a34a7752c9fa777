//! Lists of hosts change, break and vanish while the proxy runs.

use std::path::Path;

use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, HttpOrigin};
use tempfile::TempDir;

use super::{builder, get};

/// A proxy that refuses the hosts of a list.
struct Setting {
    directory: TempDir,
    origin: HttpOrigin,
    egret: Egret,
}

impl Setting {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("bad.txt");
        std::fs::write(&list, "127.0.0.1\n").unwrap();
        let egret = builder().config(&configuration(&list)).start();
        Self { directory, origin: HttpOrigin::start(), egret }
    }

    fn list(&self) -> std::path::PathBuf {
        self.directory.path().join("bad.txt")
    }

    fn status(&self) -> u16 {
        self.egret.connect().exchange(get(self.origin.address(), "/echo")).status()
    }

    fn wait_for_refusals(&self, count: usize) {
        let said = || self.egret.log().matches("the new configuration is refused").count();
        wait_until("a refused configuration", PATIENCE, || said() >= count);
    }

    fn wait_until_open(&self) {
        wait_until("the new list", PATIENCE, || self.status() == 200);
    }
}

fn configuration(list: &Path) -> String {
    format!(
        "hostLists: [{{name: bad, file: {}}}]\npolicies: [{{name: all, rules: [{{name: bad, action: Deny, to: [{{hostLists: [bad]}}]}}]}}]\n",
        list.display()
    )
}

#[test]
fn a_list_that_breaks_or_vanishes_leaves_the_old_one_in_force() {
    let it = Setting::new();
    assert_eq!(it.status(), 403);
    std::fs::write(it.list(), "192.0.2.1\nthis is no host\n").unwrap();
    it.wait_for_refusals(1);
    let log = it.egret.log();
    assert!(log.contains("bad.txt:2:1: ") && log.contains("more than one word"), "{log}");
    assert_eq!(it.status(), 403);

    std::fs::remove_file(it.list()).unwrap();
    it.wait_for_refusals(2);
    assert!(it.egret.log().contains("does not exist"), "{}", it.egret.log());
    assert_eq!(it.status(), 403, "never open");

    std::fs::write(it.list(), "192.0.2.1\n").unwrap();
    it.wait_until_open();
}

#[test]
fn a_list_that_only_the_refused_configuration_names_is_watched_too() {
    let it = Setting::new();
    let other = it.directory.path().join("other.txt");
    std::fs::write(&other, "no host\n").unwrap();
    std::fs::write(it.egret.config_path(), configuration(&other)).unwrap();
    it.wait_for_refusals(1);
    assert_eq!(it.status(), 403);
    std::fs::write(&other, "192.0.2.1\n").unwrap();
    it.wait_until_open();
}
