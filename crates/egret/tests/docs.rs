//! The documentation says what the program does: links lead somewhere, and what can be set is described.

#![allow(clippy::unwrap_used, reason = "what is missing here should fail the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    fs::canonicalize(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The pages for readers: those at the root, and everything below docs.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("docs")];
    found.extend(markdown_in(&root()));
    while let Some(folder) = folders.pop() {
        found.extend(markdown_in(&folder));
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        folders.extend(entries.filter(|path| path.is_dir()));
    }
    assert!(found.len() > 10, "the pages were not found: {found:?}");
    found
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Targets of `[text](target)`, outside of code blocks.
fn links(text: &str) -> Vec<String> {
    let mut in_code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            found.push(part.split(')').next().unwrap_or_default().to_owned());
        }
    }
    found
}

/// The anchors of a page's headings, as code hosts make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let heading_is_there =
                || fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(anchor));
            if !target.exists() || (!anchor.is_empty() && !heading_is_there()) {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_of_the_manual_is_in_its_index() {
    let index = links(&read("docs/README.md"));
    for page in markdown_in(&root().join("docs")) {
        let name = page.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name == "README.md" || index.contains(&name), "docs/README.md does not link {name}");
    }
}

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_egret")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Words that begin like this and go on as flags and variables do.
fn words(text: &str, start: &str) -> BTreeSet<String> {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = text.match_indices(start).filter(|(at, _)| !text[..*at].ends_with(goes_on));
    begins
        .map(|(at, _)| text[at..].chars().take_while(|c| goes_on(*c)).collect::<String>())
        // The rules of tables are made of dashes alone.
        .filter(|word| word[start.len()..].starts_with(|c: char| c.is_ascii_alphabetic()))
        .collect()
}

#[test]
fn usage_has_the_flags_and_variables_of_the_program_and_no_others() {
    let usage = read("docs/usage.md");
    let helps: Vec<_> = [&["proxy", "--help"][..], &["check", "--help"], &["--help"]].map(help).to_vec();
    let helps = helps.concat();
    for start in ["--", "EGRET_"] {
        let (program, page) = (words(&helps, start), words(&usage, start));
        assert_eq!(program, page, "`egret --help` against docs/usage.md");
    }
}

#[test]
fn limits_has_every_limit_and_timeout() {
    let schema: serde_json::Value = serde_json::from_str(&help(&["config", "schema"])).unwrap();
    let page = read("docs/limits.md");
    for group in ["limits", "timeouts"] {
        let fields = schema["properties"][group]["properties"].as_object().unwrap();
        assert!(fields.len() > 5, "{group}: {fields:?}");
        for field in fields.keys() {
            assert!(page.contains(&format!("| `{group}.{field}` |")), "docs/limits.md lacks {group}.{field}");
        }
    }
}

#[test]
fn metrics_that_pages_name_exist() {
    // Those of the proxy; of the controller and its webhook.
    let tables = ["metrics.md", "kubernetes-controller.md", "kubernetes-injection.md"];
    let tables = tables.map(|page| read(&format!("docs/{page}"))).concat();
    // `egret_kubernetes_*` stands for all that begin like this.
    let exists = |name: &str| match name.strip_suffix('_') {
        Some(_) => tables.contains(&format!("| `{name}")),
        None => tables.contains(&format!("| `{name}`")),
    };
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for name in words(&text, "egret_").into_iter().filter(|name| !is_crate_or_log_target(name)) {
            assert!(exists(&name), "{}: no metric {name}", page.display());
        }
    }
}

/// Names of crates are written with an underscore where they stand for paths in the source.
fn is_crate_or_log_target(name: &str) -> bool {
    let crates = fs::read_dir(root().join("crates")).unwrap();
    let mut crates = crates.map(|entry| entry.unwrap().file_name().to_string_lossy().replace('-', "_"));
    crates.any(|known| known == name)
}

#[test]
fn configurations_in_the_pages_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("corp-credentials"), "user:password\n").unwrap();
    fs::write(folder.path().join("users.htpasswd"), "").unwrap();
    fs::write(folder.path().join("directory-password"), "secret\n").unwrap();
    fs::write(folder.path().join("groups"), "staff: alice\n").unwrap();
    fs::write(folder.path().join("search.json"), "{}").unwrap();
    fs::create_dir(folder.path().join("lists")).unwrap();
    fs::write(folder.path().join("lists/partners.txt"), "partner.example\n").unwrap();
    fs::write(folder.path().join("lists/ads.txt"), "0.0.0.0 ads.example\n").unwrap();
    fs::write(folder.path().join("lists/gambling"), "casino.example\n").unwrap();
    let ca = egret_testkit::TestCa::new();
    fs::copy(ca.pem(), folder.path().join("corp-ca.pem")).unwrap();
    fs::copy(ca.crl("corp.crl", &[7], 2099), folder.path().join("corp.crl")).unwrap();
    // server.crt, server.key, ca.crt
    let mut init = Command::new(env!("CARGO_BIN_EXE_egret"));
    assert!(init.args(["certs", "init"]).arg(folder.path()).output().unwrap().status.success());
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        // docs/config.md shows single fields out of their place.
        if page.ends_with("config.md") {
            continue;
        }
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            // Tables for `egret policy test` are tried by its own tests.
            if block.contains("\ntests:") || block.starts_with("tests:") {
                continue;
            }
            let file = folder.path().join("egret.yaml");
            // A policy as the cluster has it stands in a file of its own.
            let is_policy = block.starts_with("apiVersion:");
            // Pieces of pods are no configurations.
            if block.starts_with("volumes:") || block.starts_with("env:") {
                continue;
            }
            // Objects that are no policies are held against their schemas by the tests of deployments.
            if is_policy && !block.contains("EgressPolicy") {
                continue;
            }
            fs::write(folder.path().join("policy.yaml"), if is_policy { block } else { "" }).unwrap();
            fs::write(&file, if is_policy { "policyFiles: [policy.yaml]\n" } else { block }).unwrap();
            let output = Command::new(env!("CARGO_BIN_EXE_egret")).arg("check").arg(&file).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}:\n{block}\n{said}", page.display());
            checked += 1;
        }
    }
    assert!(checked > 3, "{checked} configurations were found");
}

#[test]
fn check_reads_the_files_that_are_named_and_says_what_is_wrong_at_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let ca = egret_testkit::TestCa::new();
    fs::copy(ca.pem(), directory.path().join("ca.pem")).unwrap();
    let leaf = ca.server_leaf("a", &["a.example"]);
    fs::copy(&leaf.certificate, directory.path().join("leaf.crt")).unwrap();
    fs::copy(&leaf.key, directory.path().join("leaf.key")).unwrap();
    fs::copy(ca.crl("list", &[7], 2099), directory.path().join("ca.crl")).unwrap();
    let other = ca.server_leaf("b", &["b.example"]);
    fs::copy(&other.key, directory.path().join("other.key")).unwrap();
    fs::write(directory.path().join("text"), "nothing of use\n").unwrap();
    let check = |yaml: &str| {
        let path = directory.path().join("egret.yaml");
        fs::write(&path, yaml).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_egret")).arg("check").arg(&path).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (valid, said) = check(
        "upstream:
  crl: [ca.crl]
  origins:
    - hosts: [a.example]
      trustedCA: ca.pem
      clientCertificate: {certificate: leaf.crt, key: leaf.key}
flows: {redaction: {jsonPaths: ['$..iban']}}
",
    );
    assert!(valid, "{said}");
    for (yaml, place, what) in [
        ("upstream: {crl: [ca.crl, text]}", "upstream.crl[1]", "text"),
        ("upstream: {crl: [missing.crl]}", "upstream.crl[0]", "missing.crl"),
        (
            "upstream: {origins: [{hosts: [a.example], trustedCA: text}]}",
            "upstream.origins[0].trustedCA",
            "text",
        ),
        (
            "upstream: {origins: [{hosts: [a.example], clientCertificate: {certificate: leaf.crt, key: other.key}}]}",
            "upstream.origins[0].clientCertificate.certificate",
            "other.key",
        ),
        (
            "interception: {enabled: true, ca: {certificate: leaf.crt, key: leaf.key}}",
            "interception.ca.certificate",
            "leaf.crt",
        ),
        (
            "flows: {redaction: {jsonPaths: ['$..iban', '$[']}}",
            "flows.redaction.jsonPaths[1]",
            "never closed",
        ),
    ] {
        let (valid, said) = check(yaml);
        assert!(!valid && said.contains(place) && said.contains(what), "{place}: {said}");
        assert!(said.contains("egret.yaml:1:"), "with the line: {said}");
    }
}

#[test]
fn check_takes_several_files_and_counts_them_all() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    write("users", "alice:$2y$04$7i9BT0YcFI40CPdQyPSHVuZ8THfVm5BnHZCcV1ai3oLJeDd5zQ4Wy\n");
    let good = write("good.yaml", "authentication: {htpasswd: users}\n");
    let bad = write("bad.yaml", "listener: []\n");
    let worse = write("worse.yaml", "timeouts: {head: soon}\n");
    let check = |arguments: &[&std::ffi::OsStr]| {
        let output = Command::new(env!("CARGO_BIN_EXE_egret")).arg("check").args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, text) = check(&[good.as_os_str(), good.as_os_str()]);
    assert_eq!(status, Some(0), "{text}");
    assert_eq!(text.matches("is valid").count(), 2);
    assert!(text.contains("credentials required: 1 user of a file"), "{text}");
    let (status, text) = check(&[bad.as_os_str(), good.as_os_str(), worse.as_os_str()]);
    assert_eq!(status, Some(1));
    for part in ["bad.yaml", "good.yaml is valid", "worse.yaml"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let (_, text) = check(&[bad.as_os_str(), good.as_os_str(), worse.as_os_str(), "--format=json".as_ref()]);
    let problems: serde_json::Value = serde_json::from_str(&text).unwrap();
    let files: Vec<_> = problems.as_array().unwrap().iter().map(|problem| &problem["file"]).collect();
    assert!(files.len() == 2 && files[0] != files[1], "{text}");
    assert_eq!(check(&[]).0, Some(2), "no file is a command line that cannot be read");
}
