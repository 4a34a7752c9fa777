//! What people read who made a mistake in a policy.

use egret_config::render;

use super::problems;

/// A test for each mistake, whose text is compared with the one in `snapshots/`.
macro_rules! mistakes {
    ($($name:ident: $text:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let mut settings = insta::Settings::clone_current();
                settings.set_prepend_module_to_snapshot(false);
                settings.set_omit_expression(true);
                settings.set_description($text);
                settings.bind(|| {
                    let name = concat!("policy_", stringify!($name));
                    insta::assert_snapshot!(name, render(&problems($text), false));
                });
            }
        )*
    };
}

mistakes! {
    misspelt_field_of_a_policy: "policies:\n  - name: a\n    prioriy: 5\n    rules: [{action: Deny}]\n";
    misspelt_name: "policies:\n  - nmae: a\n    rules: [{action: Deny}]\n";
    misspelt_field_of_a_rule: "policies:\n  - name: a\n    rules:\n      - action: Deny\n        too: [{hosts: [a.example]}]\n";
    misspelt_field_of_the_long_form: "policies:\n  - apiVersion: egret.dev/v1alpha1\n    kind: ClusterEgressPolicy\n    metadata: {name: a}\n    spec:\n      ruls: [{action: Deny}]\n";
    misspelt_kind: "policies:\n  - kind: ClusterEgresPolicy\n    name: a\n    rules: [{action: Deny}]\n";
    other_api_version: "policies:\n  - apiVersion: egret.dev/v1\n    name: a\n    rules: [{action: Deny}]\n";
    misspelt_action: "policies:\n  - name: a\n    rules: [{action: allow}]\n";
    no_name: "policies:\n  - rules: [{action: Deny}]\n";
    no_rules: "policies:\n  - name: a\n";
    empty_rules: "policies:\n  - name: a\n    rules: []\n";
    no_action: "policies:\n  - name: a\n    rules: [{to: [{hosts: [a.example]}]}]\n";
    one_target_without_a_dash: "policies:\n  - name: a\n    rules:\n      - action: Deny\n        to:\n          hosts: [a.example]\n";
    one_source_without_a_dash: "policies:\n  - name: a\n    from:\n      users: [alice]\n    rules: [{action: Deny}]\n";
    empty_source: "policies:\n  - name: a\n    from: [{}]\n    rules: [{action: Deny}]\n";
    empty_target: "policies:\n  - name: a\n    rules: [{action: Deny, to: [{}]}]\n";
    bad_hosts_and_networks: "policies:\n  - name: a\n    from: [{cidrs: [10.0.0.1/8, 10.0.0.0/33]}]\n    rules:\n      - action: Deny\n        to: [{hosts: [\"a*.example\", \".b.example\", \"https://c.example/\"]}]\n";
    bad_globs: "policies:\n  - name: a\n    from: [{users: [\"\", \" alice\"], serviceAccounts: [a/b/c], certificates: [alice]}]\n    rules:\n      - action: Allow\n        http: {paths: [v1/x, \"/a?b=1\"], contentTypes: [json], methods: [\"GET,POST\"], headers: [{name: \"X Y\"}]}\n";
    bad_rates: "policies:\n  - name: a\n    rules:\n      - action: Allow\n        rateLimit: {requests: 100, connections: 0, bytes: 10MB/s}\n";
    limits_on_a_refusal: "policies:\n  - name: a\n    rules:\n      - action: Deny\n        rateLimit: {requests: 1/s}\n        http: {maxBodyBytes: 1MiB}\n        tls: Intercept\n";
    names_of_policies_twice: "policies:\n  - name: a\n    rules: [{action: Deny}]\n  - metadata: {name: a}\n    spec: {rules: [{action: Allow}]}\n";
    names_of_rules_twice: "policies:\n  - name: a\n    rules:\n      - {name: x, action: Deny}\n      - {name: x, action: Allow}\n";
    equal_priorities: "policies:\n  - {name: a, priority: 10, rules: [{action: Deny}]}\n  - {name: b, priority: 10, rules: [{action: Allow}]}\n";
    priority_of_the_default: "policies:\n  - {name: a, rules: [{action: Deny}]}\n  - {name: b, priority: 1000, rules: [{action: Allow}]}\n";
    pass_in_a_namespace: "policies:\n  - kind: EgressPolicy\n    name: a\n    namespace: team-a\n    priority: 5\n    rules: [{action: Pass}]\n";
    no_namespace: "policies:\n  - kind: EgressPolicy\n    name: a\n    rules: [{action: Deny}]\n";
    namespace_for_all: "policies:\n  - name: a\n    namespace: team-a\n    rules: [{action: Deny}]\n";
    another_namespace: "policies:\n  - kind: EgressPolicy\n    name: a\n    namespace: team-a\n    from: [{namespaces: [team-b]}]\n    rules: [{action: Deny}]\n";
    unknown_list: "hostLists: [{name: partners, hosts: [a.example]}]\ncategories: [{name: games, hosts: [b.example]}]\npolicies:\n  - name: a\n    rules: [{action: Deny, to: [{hostLists: [partner, games], categories: [xyzzy]}]}]\n";
    lists_in_a_circle: "hostLists:\n  - {name: a, include: [b]}\n  - {name: b, include: [c]}\n  - {name: c, include: [a, d]}\n";
    list_of_itself: "hostLists:\n  - {name: a, include: [a]}\n";
    list_with_nothing: "hostLists:\n  - {name: a}\n  - {name: a, hosts: [x.example], format: Hosts}\n";
    bad_terms_of_a_list: "hostLists:\n  - {name: a, hosts: [10.0.0.1/8, \"*foo\", \".x.example\"]}\n";
    http_in_a_tunnel: "policies:\n  - name: a\n    rules:\n      - action: Allow\n        http: {methods: [GET]}\n        tls: Tunnel\n";
    contradictory_fields: "policies:\n  - name: a\n    from: [{namespaces: [team-a], serviceAccounts: [team-b/x]}]\n    rules:\n      - action: Allow\n        to: [{hosts: [10.0.0.1], cidrs: [192.168.0.0/16]}]\n        tls: Intercept\n        http:\n          methods: [CONNECT]\n          headers: [{name: X-A}, {name: x-a, absent: true}]\n          query: [{name: q, absent: true}, {name: q, values: [\"1\"]}]\n";
    bad_selectors: "policies:\n  - name: a\n    from:\n      - podSelector:\n          matchLabels: {app: 1}\n          matchExpressions:\n            - {key: tier, operator: In}\n            - {key: tier, operator: Exists, values: [x]}\n            - {key: \"\", operator: isIn, values: [x]}\n    rules: [{action: Deny}]\n";
    nothing_asked: "policies:\n  - name: a\n    rules:\n      - {action: Allow, http: {}, tls: {}, rateLimit: {}}\n";
    unknown_words_of_tls: "policies:\n  - name: a\n    rules:\n      - {action: Allow, tls: intercept}\n      - {action: Allow, tls: {mode: Intercept, minVersion: \"1.3\", serverName: match}}\n";
    rules_beside_policies: "rules:\n  deny: [{hosts: [a.example]}]\npolicies:\n  - {name: a, rules: [{action: Deny}]}\n";
    rules_beside_a_default: "rules:\n  allow: [{hosts: [a.example]}]\ndefault: Deny\n";
    conditions: "policies:\n  - name: a\n    rules:\n      - {action: Deny, when: identity.usr == 'x'}\n      - action: Deny\n        when: \"destination.port + 'x' == 1\"\n      - action: Deny\n        when: |\n          identity.user == 'x' &&\n          destination.prt == 1\n      - {action: Deny, when: destination.port}\n";
    default_in_lower_case: "default: deny\n";
}

#[test]
fn everything_is_said_at_once() {
    let text = "default: Perhaps
policies:
  - name: a
    priority: -1
    from: [{cidrs: [10.0.0.1/8]}]
    rules:
      - {action: Deny, to: [{hosts: [\"a*\"]}]}
      - {action: Alow}
  - name: a
    rules:
      - {name: x, action: Pass}
      - {name: x, action: Pass}
";
    let lines: Vec<_> = problems(text)
        .iter()
        .map(|problem| match &problem.place {
            egret_config::Place::Line(quote) => quote.line,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lines, [1, 4, 5, 7, 8, 9, 12]);
}

#[test]
fn flags_that_add_rules_do_not_stand_beside_policies() {
    let overrides =
        egret_config::Overrides { deny_hosts: vec!["b.example".to_owned()], ..Default::default() };
    let text = "policies: [{name: a, rules: [{action: Deny}]}]";
    let problems = egret_config::check_bytes(text.as_bytes(), "egret.yaml", &overrides).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let line = problems[0].one_line();
    assert!(line.starts_with("--deny-host: ") && line.contains("`policies`"), "{line}");
}

/// The warnings with a text that is valid.
fn warnings(text: &str) -> String {
    let config = egret_config::check(text, "egret.yaml")
        .unwrap_or_else(|problems| panic!("{}", render(&problems, false)));
    let compiled = config.compile(1, std::path::Path::new("")).unwrap();
    egret_config::render_warnings(&compiled.warnings, false)
}

#[test]
fn rules_that_see_nothing_in_a_tunnel_say_so() {
    let text = "default: Deny
policies:
  - name: a
    rules:
      - {action: Allow, to: [{hosts: [a.example]}], http: {methods: [GET]}}
      - {action: Deny, to: [{hosts: [b.example]}], http: {methods: [POST]}}
      - {action: Allow, to: [{hosts: [c.example]}], when: \"request.method == 'GET'\"}
      - {action: Allow, to: [{hosts: [d.example]}], http: {methods: [GET]}, tls: Intercept}
  - name: b
    rules:
      - {action: Deny, to: [{hosts: [d.example]}], http: {methods: [POST]}}
      - {action: Deny, to: [{hosts: [d.example]}], http: {methods: [PUT]}, tls: Intercept}
      - {action: Allow, to: [{hosts: [d.example]}], tls: Intercept}
";
    insta::assert_snapshot!("policy_warnings_of_tunnels", warnings(text));
}

#[test]
fn an_allow_list_without_a_default_says_so() {
    let allow = "policies: [{name: a, rules: [{action: Allow, to: [{hosts: [a.example]}]}]}]";
    insta::assert_snapshot!("policy_warning_of_the_default", warnings(allow));
    assert_eq!(warnings(&format!("default: Deny\n{allow}")), "");
    assert_eq!(warnings("policies: [{name: a, rules: [{action: Deny, to: [{hosts: [a.example]}]}]}]"), "");
    assert_eq!(warnings("policies: [{name: a, rules: [{action: Allow, rateLimit: {requests: 1/s}}]}]"), "");
}

#[test]
fn a_check_shows_warnings_and_passes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("egret.yaml");
    std::fs::write(&path, "policies: [{name: a, rules: [{action: Allow, to: [{hosts: [a.example]}]}]}]")
        .unwrap();
    let verdict = egret_config::check_file(&path, egret_config::Form::Text { colour: false });
    assert!(verdict.valid && verdict.warnings.len() == 1);
    assert!(verdict.text.starts_with("warning: policies[0].name: no rule denies"), "{}", verdict.text);
    let json = egret_config::check_file(&path, egret_config::Form::Json);
    assert!(json.valid && json.text.contains("\"severity\": \"warning\""), "{}", json.text);
}
