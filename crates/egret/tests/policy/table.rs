//! `egret policy test`.

use super::Place;

const GOOD: &str = r#"policies: [egret.yaml]
tests:
  - name: alice reaches the bank
    as: {user: alice}
    request: {url: "https://api.bank.example.com/"}
    expect: {decision: Allow, policy: payments, rule: bank, treatment: Tunnel, audit: None}
  - name: by group
    as: {user: bob, groups: [payments]}
    requests: [{connect: "bank.example.com:443"}, {url: "https://a.b.bank.example.com/x"}]
    expect: {decision: Allow, rule: bank}
  - name: by certificate
    as: {spiffe: "spiffe://td/ns/pay/sa/cart"}
    request: {connect: "bank.example.com:443"}
    expect: {decision: Allow}
  - name: others do not
    as: {user: mallory, ip: 10.1.2.3}
    request: {url: "https://api.bank.example.com/"}
    expect: {decision: Deny, policy: default}
  - name: a plain request is forwarded
    as: {user: alice}
    request: {url: "http://plain.example.com/v1/x", method: GET}
    expect: {decision: Allow, rule: reads, treatment: Forward}
  - name: but not with another method
    as: {user: alice}
    request: {url: "http://plain.example.com/v1/x", method: POST, headers: {x-a: b}, bodyLength: 3}
    expect: {decision: Deny}
  - name: an address decides
    as: {user: alice}
    request: {connect: "vpn.example.org:443", address: 203.0.113.7}
    expect: {decision: Allow, rule: office}
  - name: another address
    as: {user: alice}
    request: {connect: "vpn.example.org:443", address: 198.51.100.7}
    expect: {decision: Deny}
  - name: watched
    as: {user: alice}
    request: {connect: "beta.bank.example.com:443"}
    expect: {decision: Allow, audit: {policy: trial, rule: no-beta}}
  - name: a namespace
    as: {namespace: web, serviceAccount: cart, podLabels: {app: cart}}
    request: {connect: "a.cdn.example.com:443"}
    expect: {decision: Allow, policy: web/web, rule: cdn}
  - name: the guard stands above
    request: {url: "http://169.254.169.254/latest"}
    expect: {decision: Deny, policy: guard}
  - as: {user: alice}
    at: 2026-11-21T12:00:00Z
    request: {connect: "uploads.example.com:443"}
    expect: {decision: Deny, policy: no-uploads}
"#;

#[test]
fn passes_when_every_expectation_holds() {
    let place = Place::with_policies();
    place.write("tests.yaml", GOOD);
    place.policy(&["test", "tests.yaml"]).exits(0).says(&["13 tests passed, 0 failed"]);
    place.policy(&["test", "-v", "tests.yaml"]).exits(0).says(&["pass tests.yaml: alice reaches the bank"]);
    let json = place.json(&["test", "tests.yaml"]);
    assert_eq!((&json["passed"], &json["failed"]), (&13.into(), &0.into()));
    assert_eq!(json["tests"][8]["name"], "another address");
}

#[test]
fn says_of_every_failure_what_was_expected_and_why_it_was_not_so() {
    let place = Place::with_policies();
    let bad =
        GOOD.replace("decision: Deny, policy: default", "decision: Allow, policy: payments, audit: Deny");
    place.write("tests.yaml", bad.replace("others do not", "others <do> & \\u0001 not"));
    place.policy(&["test", "tests.yaml", "--junit", "junit.xml"]).exits(1).says(&[
        "decision: expected Allow, got Deny",
        "policy: expected payments, got default",
        "audit: expected Deny, got None",
        "it is for",
        "Deny by the default",
        "12 tests passed, 1 failed",
    ]);
    let xml = place.read("junit.xml");
    assert!(xml.contains(r#"<testsuite name="tests.yaml" tests="13" failures="1""#), "{xml}");
    assert!(xml.contains("others &lt;do&gt; &amp;"), "{xml}");
    assert!(!xml.contains('\u{1}'), "{xml}");
    let failed = &place.json(&["test", "tests.yaml"])["tests"][4];
    assert_eq!(failed["failures"][0]["expected"], "Allow");
    assert!(failed["steps"].as_array().unwrap().len() > 2, "{failed}");
}

#[test]
fn refuses_what_no_test_has_at_its_place() {
    let place = Place::with_policies();
    let table = [
        (
            "tests:\n  - as: {usr: a}\n    request: {connect: \"a.test:1\"}\n    expect: {decision: Allow}\n",
            "unknown field `usr`",
        ),
        ("tests:\n  - request: {connect: a.test}\n    expect: {decision: Allow}\n", "the port is missing"),
        (
            "tests:\n  - request: {url: \"ftp://a.test/\"}\n    expect: {decision: Allow}\n",
            "neither http nor https",
        ),
        (
            "tests:\n  - request: {connect: \"a.test:1\"}\n    expect: {decision: allow}\n",
            "unknown value `allow`",
        ),
        ("tests:\n  - request: {connect: \"a.test:1\"}\n    expect: {}\n", "the test expects nothing"),
        ("tests:\n  - expect: {decision: Allow}\n", "asks for nothing"),
        (
            "tests:\n  - as: {ip: 10.1.2}\n    request: {connect: \"a.test:1\"}\n    expect: {decision: Allow}\n",
            "no IP address",
        ),
        (
            "tests:\n  - request: {connect: \"a.test:1\", method: GET}\n    expect: {decision: Allow}\n",
            "nothing is known",
        ),
        ("tests: []\n", "the list is empty"),
        ("tests:\n", "the field `tests` is missing"),
        ("tests: [\n", "not valid YAML"),
    ];
    for (tests, words) in table {
        place.write("tests.yaml", format!("policies: [egret.yaml]\n{tests}"));
        place.policy(&["test", "tests.yaml"]).exits(2).says(&[words, "tests.yaml:"]);
    }
    place
        .write("tests.yaml", "tests:\n  - request: {connect: \"a.test:1\"}\n    expect: {decision: Allow}\n");
    place.policy(&["test", "tests.yaml"]).exits(2).says(&["do not say of which policies"]);
    place.policy(&["test", "missing.yaml"]).exits(2).says(&["missing.yaml cannot be read"]);
    place.write("broken.yaml", "default: Maybe\n");
    place.policy(&["test", "tests.yaml", "--policies", "broken.yaml"]).exits(2).says(&["broken.yaml:1"]);
}

#[test]
fn takes_policies_alone_and_from_the_command_line() {
    let place = Place::new();
    let policy = "kind: ClusterEgressPolicy\nmetadata: {name: p}\nspec:\n  rules:\n    - {name: r, action: Allow, to: [{hosts: [a.test]}]}\n";
    place.write("p.yaml", policy);
    place.write("q.yaml", "- {name: q, rules: [{name: q, action: Deny, to: [{hosts: [b.test]}]}]}\n");
    place.write(
        "tests.yaml",
        "default: Deny\ntests:\n  - request: {connect: \"a.test:1\"}\n    expect: {rule: r}\n  - request: {connect: \"b.test:1\"}\n    expect: {rule: q}\n  - request: {connect: \"c.test:1\"}\n    expect: {decision: Deny, policy: default}\n",
    );
    place.policy(&["test", "tests.yaml", "--policies", "p.yaml", "--policies", "q.yaml"]).exits(0);
}

#[test]
fn prints_the_schema_of_its_files() {
    let ran = Place::new().policy(&["test", "--schema"]).exits(0);
    let schema: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert!(schema["properties"]["tests"]["items"]["properties"]["expect"].is_object());
}
