//! What policies become.

use std::path::Path;
use std::time::Duration;

use egret_config::{check, render, rules_as_policy};
use egret_core::identity::TlsVersion;
use egret_core::policy::Operator;
use egret_core::policy::model::{Action, Mode, Policy, ServerNameRule, Tier, TlsDemand, TlsTreatment};

fn compiled(text: &str) -> egret_config::Compiled {
    let config = check(text, "egret.yaml").unwrap_or_else(|problems| panic!("{}", render(&problems, false)));
    config.compile(1, Path::new("")).unwrap_or_else(|problems| panic!("{}", render(&problems, false)))
}

fn policies(text: &str) -> Vec<Policy> {
    compiled(text).policies.policies.policies().to_vec()
}

const LONG: &str = "
default: Deny
hostLists: [{name: partners, hosts: [p.example]}]
categories: [{name: games, hosts: [g.example]}]
policies:
  - apiVersion: egret.dev/v1alpha1
    kind: ClusterEgressPolicy
    metadata: {name: all, labels: {team: x, app.example/part: y}}
    spec:
      priority: 7
      mode: Audit
      from:
        - users: [alice, \"ci-*\"]
          groups: [builders]
          certificates: [\"spiffe://a/**\"]
          cidrs: [10.0.0.0/8]
          namespaces: [team-a]
          namespaceSelector: {matchLabels: {env: prod}}
          serviceAccounts: [team-a/x]
          podSelector: {matchExpressions: [{key: tier, operator: NotIn, values: [a, b]}]}
        - users: [bob]
      rules:
        - name: first
          action: Allow
          to:
            - {hosts: [a.example, 10.0.0.1], hostLists: [partners], categories: [games], ports: [443, 8000-8999]}
            - {cidrs: [192.0.2.0/24]}
          http:
            methods: [get]
            paths: [/v1/**]
            query: [{name: Key, values: [\"1*\"]}]
            headers: [{name: X-Api, absent: true}]
            contentTypes: [Text/*]
            maxBodyBytes: 1MiB
          tls: {mode: Intercept, minVersion: TLSv1.3, serverName: Any, tunnelPinned: 30m}
          when: identity.user != ''
          rateLimit: {requests: 100/s, connections: 3, bytes: 1GiB/day}
          reason: because
          contact: ops
        - action: Pass
          tls: Tunnel
";

#[test]
fn every_field_arrives() {
    let set = compiled(LONG).policies;
    assert!(!set.policies.default_allow());
    let [policy] = set.policies.policies() else { panic!("{:?}", set.policies) };
    assert_eq!(
        (&*policy.name, &policy.tier, policy.mode),
        ("all", &Tier::Cluster { priority: 7 }, Mode::Audit)
    );
    let [from, bob] = policy.from.as_slice() else { panic!("{:?}", policy.from) };
    assert_eq!(from.users.iter().map(|user| user.as_str()).collect::<Vec<_>>(), ["alice", "ci-*"]);
    assert!(from.groups[0].matches("builders") && from.namespaces[0].matches("team-a"));
    assert_eq!((from.certificates.len(), from.networks.len(), from.service_accounts.len()), (1, 1, 1));
    let selector = from.namespace_selector.as_ref().unwrap();
    assert_eq!((&*selector.requirements[0].key, selector.requirements[0].operator), ("env", Operator::In));
    let selector = from.pod_selector.as_ref().unwrap();
    assert_eq!(
        (selector.requirements[0].operator, selector.requirements[0].values.len()),
        (Operator::NotIn, 2)
    );
    assert!(bob.groups.is_empty() && bob.users.len() == 1);

    let [first, pass] = policy.rules.as_slice() else { panic!("{:?}", policy.rules) };
    assert_eq!((&*first.name, first.action), ("first", Action::Allow));
    let [hosts, network] = first.to.as_slice() else { panic!("{:?}", first.to) };
    assert_eq!((hosts.hosts.len(), hosts.lists.len(), hosts.ports.len()), (2, 2, 2));
    assert_eq!(network.networks.len(), 1);
    let http = first.http.as_ref().unwrap();
    assert_eq!(
        (&*http.methods[0], http.paths[0].as_str(), http.max_body_bytes),
        ("GET", "/v1/**", Some(1 << 20))
    );
    assert_eq!((&*http.query[0].name, http.query[0].absent, http.query[0].values.len()), ("Key", false, 1));
    assert_eq!((&*http.headers[0].name, http.headers[0].absent), ("x-api", true));
    assert!(http.content_types[0].matches("text/html"));
    let demand = TlsDemand {
        treatment: Some(TlsTreatment::Intercept),
        min_version: Some(TlsVersion::Tls13),
        server_name: Some(ServerNameRule::Any),
        tunnel_pinned: Some(Duration::from_secs(1800)),
    };
    assert_eq!(first.tls, demand);
    assert!(first.when.is_some());
    let limit = first.rate_limit.as_ref().unwrap();
    let (requests, bytes) = (limit.requests.unwrap(), limit.bytes.unwrap());
    assert_eq!((requests.amount, requests.per), (100, Duration::from_secs(1)));
    assert_eq!((bytes.amount, bytes.per, limit.connections), (1 << 30, Duration::from_secs(86_400), Some(3)));
    assert_eq!((first.reason.as_deref(), first.contact.as_deref()), (Some("because"), Some("ops")));
    assert_eq!(
        (&*pass.name, pass.action, pass.tls.treatment),
        ("rules[1]", Action::Pass, Some(TlsTreatment::Tunnel))
    );
}

#[test]
fn the_short_form_says_the_same() {
    let long = "policies:
  - kind: EgressPolicy
    metadata: {name: a, namespace: team-a}
    spec: {mode: Audit, from: [{users: [x]}], rules: [{action: Deny}]}
";
    let short = "policies:
  - kind: EgressPolicy
    name: a
    namespace: team-a
    mode: Audit
    from: [{users: [x]}]
    rules: [{action: Deny}]
";
    assert_eq!(format!("{:?}", policies(long)), format!("{:?}", policies(short)));
    assert_eq!(policies(short)[0].tier, Tier::Namespace { namespace: "team-a".into() });
}

#[test]
fn policies_are_for_everybody_by_default_and_may_share_the_default_priority() {
    let policies =
        policies("policies: [{name: a, rules: [{action: Deny}]}, {name: b, rules: [{action: Allow}]}]");
    for policy in &policies {
        assert!(policy.from.is_empty() && policy.rules[0].to.is_empty());
        assert_eq!(policy.tier, Tier::Cluster { priority: 1000 });
    }
    assert!(compiled("").policies.policies.default_allow());
    assert!(!compiled("default: Deny").policies.policies.default_allow());
}

#[test]
fn rules_are_short_for_one_policy() {
    let text = "rules:
  deny: [{name: mail, ports: [25]}, {hosts: [a.example], cidrs: [10.0.0.0/8], ports: [443]}]
  allow: [{hosts: [\"*\"]}]
";
    let set = compiled(text).policies;
    assert_eq!((set.policies.policies().len(), set.policies.default_allow()), (1, false));
    let policy = &set.policies.policies()[0];
    let rules: Vec<_> = policy.rules.iter().map(|rule| (&*rule.name, rule.action, rule.to.len())).collect();
    let expected = [("mail", Action::Deny, 1), ("deny[1]", Action::Deny, 2), ("allow[0]", Action::Allow, 1)];
    assert_eq!(rules, expected);
    assert!(policy.rules[1].to.iter().all(|target| target.ports.len() == 1));
    for (text, default) in [
        ("", Action::Allow),
        ("rules: {allow: []}", Action::Deny),
        ("rules: {allow: [], default: allow}", Action::Allow),
        ("rules: {default: deny}", Action::Deny),
    ] {
        let config = check(text, "egret.yaml").unwrap();
        assert_eq!(rules_as_policy(&config.file().rules).1, default, "{text}");
    }
}

/// The blocks of YAML on a page.
fn blocks(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let parts = text.split("```yaml\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_the_manual_shows_is_valid() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("lists/ads.txt", "0.0.0.0 ads.example\n");
    write("lists/partners.txt", "partner.example\n");
    write("lists/gambling/domains", "bets.example\n");
    let blocks = blocks("policy.md");
    assert!(blocks.len() >= 8, "{}", blocks.len());
    for block in blocks {
        // A document as a cluster has it, or a configuration.
        let text = match block.starts_with("apiVersion:") {
            true => {
                write("policies/team-a.yaml", &block);
                "policyFiles: [policies]\ndefault: Deny\n".to_owned()
            }
            false => block.clone(),
        };
        let result = check(&text, "policy.md").and_then(|config| config.compile(1, directory.path()));
        let compiled = result.unwrap_or_else(|problems| panic!("{block}\n{}", render(&problems, false)));
        assert!(!compiled.policies.policies.policies().is_empty(), "{block}");
    }
}
