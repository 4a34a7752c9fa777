//! The files in `docs/examples/`.

use std::path::{Path, PathBuf};

use egret_config::{Compiled, ConfigFile, check, check_file, schema};
use serde_json::Value;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples")
}

fn compiled(name: &str) -> Compiled {
    let text = std::fs::read_to_string(directory().join(name)).expect("an example that was named");
    let config =
        check(&text, name).unwrap_or_else(|problems| panic!("{}", egret_config::render(&problems, false)));
    config
        .compile(1, &directory())
        .unwrap_or_else(|problems| panic!("{}", egret_config::render(&problems, false)))
}

#[test]
fn every_example_is_valid() {
    let files: Vec<_> = std::fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "yaml")) {
        let verdict = check_file(file, egret_config::Form::Text { colour: false });
        assert!(verdict.valid, "{}", verdict.text);
    }
}

#[test]
fn the_full_example_says_just_the_defaults() {
    let text = std::fs::read_to_string(directory().join("egret.yaml")).unwrap();
    assert_eq!(*check(&text, "egret.yaml").unwrap().file(), ConfigFile::default());
}

#[test]
fn the_full_example_names_every_field() {
    fn names<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
        let branches = ["oneOf", "anyOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
        branches.for_each(|branch| names(branch, found));
        schema.get("items").into_iter().for_each(|items| names(items, found));
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            found.push(name);
            names(field, found);
        }
    }
    let text = std::fs::read_to_string(directory().join("egret.yaml")).unwrap();
    let schema = schema();
    let mut found = Vec::new();
    names(&schema, &mut found);
    assert!(found.len() > 60, "{found:?}");
    for name in found.into_iter().filter(|name| *name != "file") {
        assert!(text.contains(&format!("{name}:")), "{name}");
    }
}

#[test]
fn what_the_full_example_has_in_comments_is_valid() {
    let text = egret_config::example();
    for name in ["parents", "listeners"] {
        let start = text.find(&format!("# {name}:\n")).unwrap();
        let block = text[start..].lines().take_while(|line| line.starts_with("# "));
        let block: Vec<_> = block.map(|line| &line[2..]).collect();
        check(&block.join("\n"), name)
            .unwrap_or_else(|problems| panic!("{}", egret_config::render(&problems, false)));
    }
    let start = text.find("  # deny:\n").unwrap();
    let block: Vec<_> =
        text[start..].lines().take_while(|line| line.starts_with("  # ")).map(|line| &line[4..]).collect();
    // The comment of the next field follows without a gap.
    let end = block.iter().skip(1).position(|line| !line.starts_with(' ')).map_or(block.len(), |end| end + 1);
    check(&format!("rules:\n  {}", block[..end].join("\n  ")), "rules")
        .unwrap_or_else(|problems| panic!("{}", egret_config::render(&problems, false)));
}

#[test]
fn the_small_examples_mean_what_they_say() {
    let allow_list = compiled("allow-list.yaml");
    assert!(
        !allow_list.snapshot.gate.policies.default_allow() && !allow_list.snapshot.gate.policies.is_empty()
    );
    let corporate = compiled("corporate-parent.yaml");
    assert_eq!(corporate.snapshot.routes.groups.len(), 1);
    let container = compiled("container.yaml");
    assert!(!container.snapshot.gate.guard.allow_loopback);
    assert_eq!(container.log.format, egret_config::LogFormat::Json);
}
