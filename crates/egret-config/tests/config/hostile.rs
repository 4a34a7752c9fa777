//! Files that mean harm, and bytes that mean nothing.

use egret_config::{Overrides, check, check_bytes, fuzz_check};
use proptest::prelude::*;

use super::messages;

#[track_caller]
fn refuses(text: &str, words: &str) {
    let messages = messages(text);
    assert!(messages.contains(words), "{messages}");
}

#[test]
fn refuses_a_file_that_is_too_large() {
    refuses(&"#".repeat((1 << 20) + 1), "larger than 1048576 bytes");
    check(&"#".repeat(1 << 20), "egret.yaml").unwrap();
}

#[test]
fn refuses_what_is_nested_too_deep() {
    for text in
        ["[".repeat(50_000), "- ".repeat(5_000), format!("a: {}", "{a: ".repeat(1000)), "? ".repeat(1000)]
    {
        refuses(&text, "nested deeper than 32 levels");
    }
}

#[test]
fn refuses_an_alias_bomb() {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..20 {
        let below = format!("*a{},", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    refuses(&text, "unfolds to more than");
}

#[test]
fn refuses_aliases_that_stack_up_or_hold_themselves() {
    let mut text = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n".to_owned();
    for level in 1..10 {
        text.push_str(&format!("a{level}: &a{level} [[[[[*a{}]]]]]\n", level - 1));
    }
    refuses(&text, "nested deeper");
    refuses("a: &a [*a]\n", "this alias stands within what it stands for");
    refuses("a: &a {b: *a}\n", "this alias stands within what it stands for");
}

#[test]
fn aliases_that_mean_well_are_followed() {
    let text = "rules:\n  deny: [{name: a, hosts: &hosts [a.example, b.example]}]\n  allow: [{name: b, hosts: *hosts}]\n";
    let config = check(text, "egret.yaml").unwrap();
    let allow = config.file().rules.allow.as_ref().unwrap();
    assert_eq!(allow[0].hosts.as_ref().unwrap().len(), 2);
}

#[test]
fn refuses_keys_given_twice_tags_merge_keys_and_documents() {
    refuses("workers: 1\nworkers: 1\n", "given twice");
    refuses("workers: !!python/object/apply:os.system [x]\n", "tags");
    refuses("workers: !int 1\n", "tags");
    refuses("limits:\n  <<: {connections: 1}\n", "merge keys are not supported");
    refuses("workers: 1\n---\nworkers: 1\n", "a second document");
    refuses("? [a, b]\n: c\n", "a list or mapping stands where the name of a field should be");
    refuses("? {a: b}\n: c\n", "a list or mapping stands where the name of a field should be");
}

#[test]
fn says_what_is_wrong_with_encodings() {
    let message = |bytes: &[u8]| {
        check_bytes(bytes, "egret.yaml", &Overrides::default()).unwrap_err()[0].message.clone()
    };
    assert_eq!(message(b"workers: 1\n# \xff\n"), "line 2 is not UTF-8");
    assert_eq!(message(b"\xff\xfew\0o\0"), "the file is UTF-16");
    check("\u{feff}workers: 1\n", "egret.yaml").unwrap();
    check("workers: 1\r\nlog:\r\n  level: warn\r\n", "egret.yaml").unwrap();
}

#[test]
fn an_empty_file_is_the_defaults() {
    for text in ["", "\n", "# nothing\n", "---\n", "~\n", "limits:\ntimeouts:\n", "{}"] {
        let config = check(text, "egret.yaml").unwrap();
        assert_eq!(*config.file(), egret_config::ConfigFile::default(), "{text:?}");
    }
}

#[test]
fn what_a_terminal_obeys_is_not_passed_on() {
    let text = messages("\"a\\e[31mb\u{202e}\": 1\n");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    let text = egret_config::render(&super::problems("\"a\\e[31mb\": \"\u{202e}\"\n"), false);
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
}

#[test]
fn a_file_with_no_end_of_errors_is_cut_short() {
    let rules = "{name: a, ports: [1]},".repeat(12_000);
    for text in [
        (0..40_000).map(|number| format!("a{number}: 1\n")).collect::<String>(),
        format!("{{{}}}", (0..40_000).map(|number| format!("a{number}: 1,")).collect::<String>()),
        format!("rules: {{deny: [{rules}]}}"),
        format!("[{}]", "*a,".repeat(40_000)),
        format!("listeners: [{}]", "{address: 0.0.0.0:1},".repeat(20_000)),
        "workers: 1\n".repeat(30_000),
    ] {
        let problems = super::problems(&text);
        assert!(problems.len() <= 500, "{}", problems.len());
        assert!(problems.last().unwrap().message.contains("may be more"), "{:?}", problems.last());
    }
}

#[test]
fn a_very_long_line_is_cut() {
    let text = format!("http: {{via: {}, contact: 5}}\n", "x ".repeat(10_000));
    for problem in super::problems(&text) {
        assert!(problem.to_string().len() < 1000);
    }
}

/// Pieces of which files are put together that come near to being valid.
const PIECES: &[&str] = &[
    "limits",
    "rules",
    "deny",
    "parents",
    "urls",
    "hosts",
    "ports",
    "address",
    "listeners",
    "connect",
    ": ",
    ":\n",
    "\n",
    "\n  ",
    "\n    ",
    "\n  - ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "!t ",
    "|\n",
    ">\n",
    "? ",
    "---\n",
    "10s",
    "64KiB",
    "443",
    "-1",
    "1e9",
    "off",
    "null",
    "~",
    "true",
    "http://u:p@h:1",
    "é",
    "\u{feff}",
    "\t",
    "\r\n",
    "\\x40",
    "%",
    "@",
    "`",
    "0x10",
    "127.0.0.1:8888",
    "10.0.0.0/8",
    "*.example.com",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_check(&bytes);
    }

    #[test]
    fn pieces_of_files_never_panic(pieces in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
        fuzz_check(text.as_bytes());
    }

    #[test]
    fn a_full_file_with_a_mistake_never_panics(at in any::<proptest::sample::Index>(), piece in 0..PIECES.len(), cut in 0usize..40) {
        let text = egret_config::example();
        let at = at.index(text.len());
        let mut bytes = text.as_bytes()[..at].to_vec();
        bytes.extend_from_slice(PIECES[piece].as_bytes());
        bytes.extend_from_slice(&text.as_bytes()[(at + cut).min(text.len())..]);
        fuzz_check(&bytes);
    }
}
