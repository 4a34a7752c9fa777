//! `egret policy lint`.

use serde_json::Value;

use super::Place;

/// The findings of a configuration, as code and severity.
fn lint(text: &str) -> Vec<(String, String)> {
    let place = Place::new();
    place.write("egret.yaml", text);
    let json = place.json(&["lint", "egret.yaml"]);
    let word = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    json.as_array()
        .unwrap()
        .iter()
        .map(|finding| (word(finding, "code"), word(finding, "severity")))
        .collect()
}

#[track_caller]
fn finds(text: &str, code: &str, severity: &str) {
    let found = lint(text);
    assert!(
        found.contains(&(code.to_owned(), severity.to_owned())),
        "no {code} ({severity}) in {found:?}\n{text}"
    );
}

/// A configuration with one policy that has these rules.
fn rules(rules: &str) -> String {
    format!("default: Deny\npolicies:\n  - name: p\n    rules:\n{rules}")
}

#[test]
fn finds_rules_that_are_never_asked() {
    let allow =
        "      - {name: a, action: Allow, to: [{hosts: ['**.example.com'], ports: [443, 8000-9000]}]}\n";
    for covered in [
        "{name: b, action: Deny, to: [{hosts: [x.example.com], ports: [443]}]}",
        "{name: b, action: Allow, to: [{hosts: ['*.a.example.com'], ports: [8080]}]}",
        "{name: b, action: Deny, to: [{hosts: [x.example.com], ports: [443]}], http: {methods: [POST]}}",
    ] {
        finds(&rules(&format!("{allow}      - {covered}\n")), "shadowed-rule", "warning");
    }
    for other in [
        "{name: b, action: Deny, to: [{hosts: [x.example.com]}]}",
        "{name: b, action: Deny, to: [{hosts: [example.com], ports: [443]}]}",
        "{name: b, action: Deny, to: [{cidrs: [192.0.2.0/24], ports: [443]}]}",
    ] {
        let found = lint(&rules(&format!("{allow}      - {other}\n")));
        assert!(found.iter().all(|(code, _)| code != "shadowed-rule"), "{other}: {found:?}");
    }
    let across = "default: Deny\npolicies:\n  - {name: z, priority: 1, from: [{cidrs: [10.0.0.0/8]}], rules: [{name: all, action: Deny}]}\n  - {name: a, priority: 2, from: [{cidrs: [10.1.0.0/16]}], rules: [{name: one, action: Allow, to: [{hosts: [a.b.test]}]}]}\n";
    finds(across, "shadowed-rule", "warning");
    let found = lint(&across.replace("10.1.0.0/16", "192.168.0.0/16"));
    assert!(found.iter().all(|(code, _)| code != "shadowed-rule"), "{found:?}");
    // A policy that is only watched hides nothing from one that decides.
    let found = lint(&across.replace("priority: 1,", "priority: 1, mode: Audit,"));
    assert!(found.iter().all(|(code, _)| code != "shadowed-rule"), "{found:?}");
}

#[test]
fn finds_hosts_that_match_something_else() {
    let host = |host: &str| {
        rules(&format!("      - {{name: a, action: Allow, to: [{{hosts: [\"{host}\"], ports: [443]}}]}}\n"))
    };
    for (text, code, severity) in [
        ("*.com", "host-public-suffix", "warning"),
        ("**.co.uk", "host-public-suffix", "warning"),
        ("*.github.io", "host-public-suffix", "warning"),
        ("*.corp", "host-public-suffix", "hint"),
        ("co.uk", "host-public-suffix", "warning"),
        ("a.example.com.", "host-trailing-dot", "warning"),
        ("API.example.com", "host-upper-case", "warning"),
        ("bücher.example.com", "host-idn", "warning"),
        ("xn--bcher-kva.example.com", "host-idn", "hint"),
        ("pаypal.com", "host-lookalike", "warning"),
        ("example.com", "host-without-subdomains", "hint"),
        ("**.example.com", "host-without-apex", "hint"),
        ("*", "wide-allow", "warning"),
        ("https://example.com/x", "invalid", "error"),
        ("example.com:443", "invalid", "error"),
    ] {
        finds(&host(text), code, severity);
    }
    assert_eq!(lint(&host("api.example.com")), []);
}

#[test]
fn finds_what_is_wide_and_what_never_matches() {
    finds(&rules("      - {name: a, action: Allow}\n"), "wide-allow", "warning");
    finds(&rules("      - {name: a, action: Allow, to: [{cidrs: [0.0.0.0/0]}]}\n"), "wide-allow", "warning");
    finds(
        &rules("      - {name: a, action: Allow, to: [{hosts: [169.254.169.254]}]}\n"),
        "never-matches",
        "warning",
    );
    let selector = "default: Deny\npolicies:\n  - name: p\n    from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [a]}, {key: app, operator: NotIn, values: [a, b]}]}}]\n    rules: [{name: a, action: Allow, to: [{hosts: [a.b.test]}]}]\n";
    finds(selector, "never-matches", "error");
    finds(
        &rules("      - {name: a, action: Allow, to: [{hosts: [a.b.test]}], http: {methods: [GET]}}\n"),
        "needs-interception",
        "warning",
    );
    finds(
        "policies: [{name: p, rules: [{name: a, action: Allow, to: [{hosts: [a.b.test]}]}]}]\n",
        "no-effect",
        "warning",
    );
}

#[test]
fn finds_policies_that_are_for_nobody_or_say_nothing() {
    let from = |from: &str| {
        format!(
            "default: Deny\npolicies:\n  - name: p\n    from: [{{{from}}}]\n    rules: [{{name: a, action: Allow, to: [{{hosts: [a.b.test]}}]}}]\n"
        )
    };
    finds(&from("users: [alice]"), "unprovable-identity", "hint");
    let from = |one: &str| format!("listeners: [{{address: 127.0.0.1:0}}]\n{}", from(one));
    finds(&from("users: [alice]"), "unprovable-identity", "warning");
    finds(&from("groups: [staff]"), "unprovable-identity", "warning");
    finds(&from("certificates: ['dns:a.test']"), "unprovable-identity", "warning");
    let audit =
        "policies: [{name: p, mode: Audit, rules: [{name: a, action: Allow, to: [{hosts: [a.b.test]}]}]}]\n";
    finds(audit, "audit-without-effect", "warning");
    let two = "default: Deny\npolicies:\n  - {name: p, rules: [{name: a, action: Allow, to: [{hosts: [a.b.test]}]}]}\n  - {name: q, rules: [{name: a, action: Deny, to: [{hosts: [c.b.test]}]}]}\n";
    finds(two, "equal-priority", "hint");
    finds(&format!("{two}hostLists: [{{name: l, hosts: [x.test]}}]\n"), "unused-list", "warning");
}

#[test]
fn fails_by_severity() {
    let place = Place::new();
    let run = |text: &str, more: &[&str]| {
        place.write("egret.yaml", text);
        place.policy(&[&["lint", "egret.yaml"], more].concat())
    };
    let warned = rules("      - {name: a, action: Allow}\n");
    run(&warned, &[]).exits(0).says(&["wide-allow", "0 errors, 1 warning, 0 hints"]);
    run(&warned, &["--deny-warnings"]).exits(1);
    run(&rules("      - {name: a, action: Allow, to: [{hosts: [example.com]}]}\n"), &["--deny-warnings"])
        .exits(0);
    run("default: Perhaps\n", &[]).exits(1).says(&["unknown value `Perhaps`", "egret.yaml:1:10"]);
    run(&warned, &["--format", "github"]).says(&["::warning file=egret.yaml,line=5,col=9,title=egret policy lint (wide-allow)::rule `a` allows every destination; "]);
    place.policy(&["lint", "missing.yaml"]).exits(2);
    run("rules:\n  allow:\n    - hosts: [\"*.com\"]\n", &[])
        .exits(0)
        .says(&["host-public-suffix", "egret.yaml:3:15"]);
}
