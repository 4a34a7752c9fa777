use std::time::SystemTime;

use egret_config::PolicyBook;
use egret_core::policy::{Ask, Seen};
use proptest::prelude::*;

use super::super::args::{By, Flows, ModeArg, SuggestArgs};
use super::super::records::{Record, Stats, parse};
use super::collect::Collection;
use super::plan::Plan;
use super::*;

fn arguments(mode: ModeArg) -> SuggestArgs {
    SuggestArgs {
        files: Vec::new(),
        follow: None,
        duration: None,
        by: By::Auto,
        collapse: 5,
        flows: Flows::Successful,
        include_denied: false,
        mode,
        out: None,
        format: SuggestOutput::Yaml,
    }
}

fn line(user: &str, host: &str, port: u16) -> String {
    serde_json::json!({
        "time": "2026-11-21T12:36:32.991Z", "client": "10.0.0.1:5", "user": user, "method": "CONNECT",
        "target": format!("{host}:{port}"), "treatment": "tunnel", "status": 200, "dialled": "192.0.2.1:443",
    })
    .to_string()
}

fn suggested(lines: &[String], collapse: usize, documents: bool) -> String {
    let mut collection = Collection::new(By::Auto, Flows::Successful, false);
    let mut stats = Stats::default();
    for text in lines {
        stats.line(Some(text.as_bytes()), &mut |record: &Record<'_>| collection.add(record));
    }
    let plan = Plan::new(&collection, collapse);
    let args = arguments(ModeArg::Enforce);
    match documents {
        true => write::documents(&plan, &collection, &stats, &args),
        false => write::configuration(&plan, &collection, &stats, &args),
    }
}

/// What policies read from this text say to the flow of a line.
fn allows(book: &PolicyBook, text: &str) -> bool {
    let record = parse(text.as_bytes()).unwrap();
    let identity = record.identity();
    let ask = Ask {
        identity: &identity,
        destination: record.destination(),
        address: None,
        seen: Seen::Tunnel,
        now: SystemTime::UNIX_EPOCH,
    };
    book.gate.policies.evaluate(&ask).allowed
}

fn book(text: &str) -> PolicyBook {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("egret.yaml");
    std::fs::write(&path, text).unwrap();
    PolicyBook::read(&[path]).unwrap_or_else(|problems| {
        panic!("{}\n{text}", egret_config::render(&problems, false));
    })
}

#[test]
fn names_of_hostile_clients_stay_within_their_quotes() {
    let hostile = [
        "*",
        "**",
        "a*",
        "x\n  - name: evil",
        "x\u{85}y",
        "\u{2028}",
        "\"]}\n",
        "# no",
        "'",
        "{",
        "&a",
        "!t",
        "x: y",
        "\u{feff}",
        " spaced ",
        "ÿüñ",
        "null",
        "true",
        "1e3",
        "~",
        "-",
        "\\u0041",
        "%",
        "@",
        "`",
    ];
    let lines: Vec<_> = hostile.iter().map(|user| line(user, "a.example.com", 443)).collect();
    for documents in [false, true] {
        let text = suggested(&lines, 5, documents);
        let book = book(&text);
        for (user, line) in hostile.iter().zip(&lines) {
            let nameable = !user.contains('*')
                && user.trim() == *user
                && !user.chars().any(|c| c.is_control() || "\u{2028}\u{feff}".contains(c));
            assert_eq!(allows(&book, line) && !documents, nameable && !documents, "{user:?}\n{text}");
        }
        assert!(!allows(&book, &line("somebody else", "a.example.com", 443)) || documents, "{text}");
    }
}

#[test]
fn hostile_lines_are_counted_and_leave_nothing_behind() {
    let mut lines = vec![line("alice", "a.example.com", 443)];
    lines.push("garbage \u{1b}[31m".to_owned());
    lines.push(line("alice", "a.example.com\"\n", 443));
    let text = suggested(&lines, 5, false);
    assert!(text.contains("3 lines read, 1 used"), "{text}");
    assert!(!text.contains('\u{1b}'));
    assert_eq!(text.matches("a.example.com").count(), 1, "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn allows_exactly_the_flows_it_was_made_from(
        flows in proptest::collection::vec(
            ("(alice|bob|c[ar]l)", "([ab]|[ab]\\.[cd]|www)\\.(example\\.com|x\\.co\\.uk|a\\.github\\.io)", 1_u16..5),
            1..40,
        ),
        others in proptest::collection::vec(
            ("(alice|bob|c[ar]l)", "([ab]|[ab]\\.[cd]|www)\\.(example\\.com|x\\.co\\.uk|a\\.github\\.io)", 1_u16..5),
            40,
        ),
    ) {
        let as_lines = |flows: &[(String, String, u16)]| -> Vec<String> {
            flows.iter().map(|(user, host, port)| line(user, host, *port)).collect()
        };
        let lines = as_lines(&flows);
        let book = book(&suggested(&lines, 0, false));
        for line in lines.iter().chain(&as_lines(&others)) {
            prop_assert_eq!(allows(&book, line), lines.contains(line), "{}", line);
        }
    }

    #[test]
    fn wildcards_stay_within_what_was_seen(
        flows in proptest::collection::vec(
            ("(alice|bob)", "([abcdef]|[abc]\\.[cd]|www)\\.(example\\.com|x\\.co\\.uk|a\\.github\\.io)", 1_u16..3),
            1..60,
        ),
    ) {
        let lines: Vec<_> = flows.iter().map(|(user, host, port)| line(user, host, *port)).collect();
        let book = book(&suggested(&lines, 3, false));
        for text in &lines {
            prop_assert!(allows(&book, text), "{}", text);
        }
        for (user, host, port) in &flows {
            for other in ["zz.example.org", "other.co.uk", "zz.github.io", "example.com", "co.uk"] {
                prop_assert!(!allows(&book, &line(user, other, *port)), "{} {}", other, host);
            }
            // Nobody had these ports, and nobody else was there.
            prop_assert!(!allows(&book, &line(user, host, 99)));
            prop_assert!(!allows(&book, &line("mallory", host, *port)));
        }
    }
}
