//! Lists of hosts: their files, and what becomes of them on a reload.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use egret_config::{Form, ListCache, ListFormat, Loaded, Overrides, Problem, check_file, load_with, render};
use egret_core::destination::Host;
use egret_core::policy::NameList;

/// A directory with a configuration of one rule per list, and files of lists.
struct Lists {
    directory: tempfile::TempDir,
    cache: ListCache,
}

impl Lists {
    fn new(configuration: &str, files: &[(&str, &[u8])]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("egret.yaml"), configuration).unwrap();
        let lists = Self { directory, cache: ListCache::default() };
        files.iter().for_each(|(name, bytes)| lists.write(name, bytes));
        lists
    }

    /// One list of one file.
    fn of_file(bytes: &[u8], more: &str) -> Self {
        Self::new(&one(&format!("file: list.txt{more}")), &[("list.txt", bytes)])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn load(&mut self) -> Result<Loaded, Vec<Problem>> {
        load_with(Some(&self.path("egret.yaml")), &Overrides::default(), 1, &mut self.cache)
    }

    /// The lists that the first rule names.
    fn lists(&mut self) -> Vec<Arc<NameList>> {
        let loaded = self.load().unwrap_or_else(|problems| panic!("{}", render(&problems, false)));
        loaded.compiled.policies.policies.policies()[0].rules[0].to[0].lists.clone()
    }

    fn holds(&mut self, host: &str) -> bool {
        let host = Host::parse(host).unwrap();
        self.lists().iter().any(|list| list.contains(&host))
    }

    /// What is said about it, without the name of the directory.
    fn complaint(&mut self) -> String {
        let problems = self.load().expect_err("the configuration should be refused");
        render(&problems, false).replace(&*self.directory.path().to_string_lossy(), "DIR")
    }
}

fn one(fields: &str) -> String {
    format!(
        "hostLists: [{{name: ads, {fields}}}]\npolicies: [{{name: a, rules: [{{action: Deny, to: [{{hostLists: [ads]}}]}}]}}]\n"
    )
}

#[track_caller]
fn takes(bytes: &[u8], more: &str, on: &[&str], off: &[&str]) {
    let mut lists = Lists::of_file(bytes, more);
    for host in on {
        assert!(lists.holds(host), "{host} should be on the list");
    }
    for host in off {
        assert!(!lists.holds(host), "{host} should not be on the list");
    }
}

#[test]
fn patterns_stand_for_themselves() {
    takes(b"# nothing\r\n\r\n", "", &[], &["a.example", "nothing"]);
    takes(
        "\u{feff}a.example\r\n*.b.example # one label\n**.c.example\nD.Example.\nb\u{fc}cher.example\n10.0.0.1\n192.168.0.0/16\n[2001:db8::1]\n_acme.e.example\n"
            .as_bytes(),
        "",
        &[
            "a.example",
            "x.b.example",
            "x.y.c.example",
            "d.example",
            "xn--bcher-kva.example",
            "10.0.0.1",
            "192.168.3.4",
            "[2001:db8::1]",
            "_acme.e.example",
        ],
        &["x.a.example", "b.example", "x.y.b.example", "c.example", "10.0.0.2"],
    );
}

#[test]
fn hosts_files_are_taken_without_the_machine_itself() {
    let text = b"127.0.0.1\tlocalhost localhost.localdomain\n::1 ip6-localhost\nfe80::1%lo0 localhost\n0.0.0.0 0.0.0.0\n0.0.0.0 a.example B.example # ads\n";
    takes(text, "", &["a.example", "b.example"], &["localhost", "ip6-localhost", "0.0.0.0", "x.a.example"]);
}

#[test]
fn domains_stand_for_everything_below() {
    let text = b".a.example\nb.example\n*.c.example\n10.0.0.0/8\n";
    takes(
        text,
        "",
        &["a.example", "x.y.a.example", "b.example", "x.b.example", "c.example", "x.c.example", "10.1.1.1"],
        &["xa.example", "example"],
    );
    takes(b"b.example\n", ", format: Domains", &["x.b.example"], &[]);
    takes(b"b.example\n", ", format: Patterns", &["b.example"], &["x.b.example"]);
}

#[test]
fn a_directory_of_a_category_has_its_domains() {
    let text = "categories: [{name: games, file: ut1/games}]\npolicies: [{name: a, rules: [{action: Deny, to: [{categories: [games]}]}]}]\n";
    let mut lists = Lists::new(text, &[("ut1/games/domains", b"a.example\n"), ("ut1/games/urls", b"x/y\n")]);
    assert!(lists.holds("x.a.example"));
    let files = lists.load().unwrap().files;
    assert!(files.contains(&lists.path("ut1/games/domains")), "{files:?}");
}

#[test]
fn lists_include_each_other() {
    let text = "hostLists:
  - {name: all, include: [one, two]}
  - {name: one, hosts: [a.example, 10.0.0.0/8], include: [two]}
  - {name: two, file: two.txt}
policies: [{name: a, rules: [{action: Deny, to: [{hostLists: [all]}]}]}]
";
    let mut lists = Lists::new(text, &[("two.txt", b"b.example\n")]);
    assert_eq!(lists.lists().len(), 2, "each part is there once");
    for host in ["a.example", "b.example", "10.9.9.9"] {
        assert!(lists.holds(host), "{host}");
    }
}

#[test]
fn says_which_lines_are_wrong() {
    let text = "good.example\nbad example\n*foo.example\n10.0.0.1/8\n\u{0}\nhttp://x.example/y\n||ads.example^\n.dot.example\na..b\n";
    let mut lists = Lists::of_file(text.as_bytes(), ", format: Patterns");
    insta::assert_snapshot!("list_broken_lines", lists.complaint());
}

#[test]
fn says_so_when_a_hosts_file_is_none() {
    let mut lists = Lists::of_file(b"0.0.0.0\na.example\n0.0.0.0 a_b..example\n", ", format: Hosts");
    insta::assert_snapshot!("list_broken_hosts", lists.complaint());
}

#[test]
fn says_what_is_wrong_with_a_file_as_a_whole() {
    let mut lists = Lists::new(&one("file: missing.txt"), &[]);
    insta::assert_snapshot!("list_missing", lists.complaint());
    for (bytes, words) in [
        (b"\xff\xfea\0".as_slice(), "is UTF-16"),
        (b"a.example\n\xff\xff.example\n", "is not UTF-8"),
        (&[b'a'; 10_000], "longer than 4096 bytes"),
    ] {
        let complaint = Lists::of_file(bytes, "").complaint();
        assert!(complaint.contains(words), "{complaint}");
    }
    let mut pipe = Lists::new(&one("file: /dev/zero"), &[]);
    assert!(pipe.complaint().contains("is no regular file"));
}

#[test]
fn a_very_long_comment_is_no_line_that_is_wrong() {
    let text = format!("# {}\na.example\n", "x".repeat(100_000));
    takes(text.as_bytes(), "", &["a.example"], &[]);
}

#[test]
fn a_file_without_an_end_of_wrong_lines_is_cut_short() {
    let complaint = Lists::of_file("a b\n".repeat(50_000).as_bytes(), "").complaint();
    assert!(complaint.contains("6 errors"), "{complaint}");
    assert!(complaint.contains("at least 9995 more lines"), "{complaint}");
}

#[test]
fn a_file_that_stays_the_same_is_not_read_again() {
    let mut lists = Lists::of_file(b"a.example\n", "");
    let first = lists.lists();
    assert!(Arc::ptr_eq(&first[0], &lists.lists()[0]));

    lists.write("list.txt", b"b.example\n");
    // Written within the same tick of the clock, and of the same length.
    let later = SystemTime::now() + Duration::from_secs(2);
    fs::File::options().write(true).open(lists.path("list.txt")).unwrap().set_modified(later).unwrap();
    let second = lists.lists();
    assert!(!Arc::ptr_eq(&first[0], &second[0]));
    assert!(second[0].contains(&Host::parse("b.example").unwrap()));
}

#[test]
fn a_reload_that_fails_leaves_what_was_read() {
    let mut lists = Lists::new(
        "hostLists: [{name: one, file: one.txt}, {name: two, file: two.txt}]\npolicies: [{name: a, rules: [{action: Deny, to: [{hostLists: [one]}]}]}]\n",
        &[("one.txt", b"a.example\n"), ("two.txt", b"b.example\n")],
    );
    let first = lists.lists();
    fs::remove_file(lists.path("two.txt")).unwrap();
    assert!(lists.complaint().contains("does not exist"));
    lists.write("two.txt", b"broken line\n");
    assert!(lists.complaint().contains("more than one word"));
    lists.write("two.txt", b"c.example\n");
    assert!(Arc::ptr_eq(&first[0], &lists.lists()[0]), "the other was not read again");
}

#[test]
fn files_of_lists_and_policies_are_watched() {
    let mut lists = Lists::new(
        "hostLists: [{name: ads, file: list.txt}]\npolicyFiles: [more]\n",
        &[("list.txt", b"a.example\n"), ("more/p.yaml", b"name: p\nrules: [{action: Deny}]\n")],
    );
    let files = lists.load().unwrap().files;
    for name in ["egret.yaml", "list.txt", "more", "more/p.yaml"] {
        assert!(files.contains(&lists.path(name)), "{name}: {files:?}");
    }
    fs::write(lists.path("list.txt"), "a b\n").unwrap();
    let named = egret_config::files_of(Some(&lists.path("egret.yaml")), &Overrides::default());
    assert!(named.contains(&lists.path("list.txt")), "also while it is refused: {named:?}");
}

#[test]
fn a_check_says_what_a_list_was_taken_for() {
    let mut lists = Lists::of_file(b"0.0.0.0 a.example\n0.0.0.0 b.example\n", "");
    let facts = lists.load().unwrap().compiled.policies.lists;
    assert_eq!((facts[0].entries, facts[0].format), (2, Some(ListFormat::Hosts)));
    let verdict = check_file(&lists.path("egret.yaml"), Form::Text { colour: false });
    assert!(verdict.text.contains("list ads (2 hosts in the format Hosts, "), "{}", verdict.text);
    assert!(
        verdict.text.contains("1 policy with 1 deny and 0 allow rules, all else is allowed"),
        "{}",
        verdict.text
    );
}

#[test]
fn a_hundred_thousand_names_are_all_there() {
    let text: String =
        (0..100_000).map(|number| format!("host-{number}.shop{}.example\n", number % 7)).collect();
    let mut lists = Lists::of_file(text.as_bytes(), "");
    let list = &lists.lists()[0];
    assert_eq!(list.len(), 100_000);
    assert!(list.contains(&Host::parse("host-99999.shop4.example").unwrap()));
    assert!(list.memory() < 6_000_000, "{}", list.memory());
}

#[test]
fn policies_come_from_files_too() {
    let mut lists = Lists::new(
        "policyFiles: [one.yaml, more/]\npolicies: [{name: own, rules: [{action: Deny}]}]\n",
        &[
            (
                "one.yaml",
                b"apiVersion: egret.dev/v1alpha1
kind: ClusterEgressPolicy
metadata: {name: one, uid: 1-2, creationTimestamp: 2026-01-01T00:00:00Z, managedFields: []}
spec: {priority: 5, rules: [{action: Allow, to: [{hosts: [a.example]}]}]}
status: {ready: true}
---
# nothing
---
kind: EgressPolicy
name: short
namespace: team-a
rules: [{action: Deny}]
",
            ),
            ("more/list.yml", b"kind: List\napiVersion: v1\nitems:\n  - metadata: {name: listed}\n    spec: {rules: [{action: Deny}]}\n"),
            ("more/array.json", b"[{\"name\": \"array\", \"rules\": [{\"action\": \"Deny\"}]}]"),
            ("more/.hidden.yaml", b"nonsense"),
            ("more/README.md", b"nonsense"),
        ],
    );
    let policies = lists.load().unwrap_or_else(|problems| panic!("{}", render(&problems, false)));
    let names: Vec<_> =
        policies.compiled.policies.policies.policies().iter().map(|policy| policy.name.to_string()).collect();
    assert_eq!(names, ["one", "array", "listed", "own", "short"]);
}

#[test]
fn what_is_wrong_with_files_of_policies_has_their_lines() {
    let mut lists = Lists::new(
        "policyFiles: [one.yaml, two.yaml]\npolicies:\n  - {name: own, priority: 7, rules: [{action: Deny}]}\n",
        &[
            ("one.yaml", b"name: own\npriority: 7\nrules: [{action: Deny}]\n---\nname: b\nrules: [{action: Deny, to: [{hostLists: [no]}]}]\n"),
            ("two.yaml", b"---\nname: c\nrules: [{action: Allow}]\n"),
        ],
    );
    insta::assert_snapshot!("policy_files_together", lists.complaint());
    lists.write("two.yaml", b"kind: List\nitems:\n  - nmae: c\n    rules: [{action: Alow}]\n---\nspec: {}\n");
    lists.write("one.yaml", b"{name: x\n");
    insta::assert_snapshot!("policy_files_broken", lists.complaint());
    let empty = Lists::new("policyFiles: [missing.yaml, empty]\n", &[("empty/x.txt", b"")]).complaint();
    assert!(empty.contains("does not exist") && empty.contains("has no files of policies"), "{empty}");
}

#[test]
fn nothing_is_read_from_a_path_that_is_no_file() {
    let problems = egret_config::check("policyFiles: [/dev/zero]", "egret.yaml")
        .unwrap()
        .compile(1, Path::new(""))
        .unwrap_err();
    assert!(problems[0].message.contains("is no regular file"), "{problems:?}");
}
