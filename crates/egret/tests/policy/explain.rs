//! `egret policy explain`.

use serde_json::json;

use super::Place;

#[test]
fn explains_every_rule_and_the_final_word() {
    let place = Place::with_policies();
    let explain = |more: &[&str]| place.policy(&[&["explain", "-c", "egret.yaml"], more].concat());
    explain(&["--as", "user=alice", "https://api.bank.example.com/x"]).exits(0).says(&[
        "no-uploads",
        "uploads",
        "no match",
        "payments",
        "bank",
        "Allow: rule `bank` of policy `payments`",
        "in a tunnel",
    ]);
    explain(&["--as", "mallory", "https://api.bank.example.com/"]).exits(0).says(&[
        "not for this client",
        "Deny: the default",
        "if the tunnel were intercepted",
    ]);
    explain(&["--as", "alice", "https://uploads.example.com/"]).exits(0).says(&[
        "Deny: rule `uploads`",
        "reason: nothing leaves",
        "contact: sec@corp.example",
    ]);
    explain(&["--exit-code", "--as", "mallory", "https://api.bank.example.com/"]).exits(1);
    explain(&["--exit-code", "--as", "group=payments", "https://api.bank.example.com/"]).exits(0);
}

#[test]
fn asks_by_method_header_and_address() {
    let place = Place::with_policies();
    let json = |more: &[&str]| {
        place.json(&[&["explain", "--config", "egret.yaml", "--as", "user=alice"], more].concat())
    };
    let get = json(&["http://plain.example.com/v1/a"]);
    assert_eq!(
        (&get["decision"], &get["treatment"], &get["rule"]),
        (&json!("Allow"), &json!("Forward"), &json!("reads"))
    );
    assert_eq!(json(&["-X", "POST", "http://plain.example.com/v1/a"])["decision"], "Deny");
    let unknown = json(&["vpn.example.org:443"]);
    assert_eq!((&unknown["decision"], &unknown["addressWanted"]), (&json!("Deny"), &json!(true)));
    assert_eq!(json(&["--address", "203.0.113.9", "vpn.example.org:443"])["rule"], "office");
    assert_eq!(json(&["http://169.254.169.254/"])["policy"], "guard");
    let watched = json(&["beta.bank.example.com:443"]);
    assert_eq!(watched["audit"], json!({"decision": "Deny", "policy": "trial", "rule": "no-beta"}));
    assert!(watched["questions"][0]["auditSteps"].is_array());
}

#[test]
fn says_what_would_happen_inside_an_intercepted_tunnel() {
    let place = Place::new();
    place.write(
        "p.yaml",
        "- name: p\n  rules:\n    - {name: read, action: Allow, to: [{hosts: [a.test]}], tls: Intercept, http: {methods: [GET]}}\n",
    );
    let json = |method: &str| {
        place.json(&["explain", "-c", "p.yaml", "--default", "deny", "-X", method, "https://a.test/"])
    };
    let get = json("GET");
    assert_eq!((&get["decision"], &get["treatment"]), (&json!("Allow"), &json!("Intercept")));
    assert_eq!(get["questions"][0]["lookInside"], true);
    assert_eq!(json("POST")["decision"], "Deny");
    place.write("egret.yaml", format!("default: Deny\npolicies:\n{}", indented(&place.read("p.yaml"))));
    let json = place.json(&["explain", "-c", "egret.yaml", "https://a.test/"]);
    assert_eq!((&json["decision"], &json["treatment"]), (&json!("Allow"), &json!("Intercept")));
    // Where no rule intercepts, it is said what would be if one did.
    place.write("egret.yaml", place.read("egret.yaml").replace("tls: Intercept, ", ""));
    let json = place.json(&["explain", "-c", "egret.yaml", "https://a.test/"]);
    assert_eq!((&json["decision"], &json["treatment"]), (&json!("Deny"), &json!("Tunnel")));
    let inside = &json["questions"][1];
    assert_eq!((&inside["hypothetical"], &inside["decision"]), (&json!(true), &json!("Allow")));
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[test]
fn refuses_what_it_cannot_understand() {
    let place = Place::with_policies();
    let explain = |more: &[&str]| place.policy(&[&["explain", "-c", "egret.yaml"], more].concat()).exits(2);
    explain(&["example.com"]).says(&["the port is missing", "write https://host/"]);
    explain(&["--as", "usr=a", "https://a.test/"]).says(&["`usr` is nothing that an identity has"]);
    explain(&["--header", "x", "https://a.test/"]).says(&["has no colon"]);
    explain(&["--address", "x", "https://a.test/"]).says(&["no IP address"]);
    explain(&["--at", "noon", "https://a.test/"]).says(&["is no time"]);
    explain(&["--default", "deny", "https://a.test/"]).says(&["leave --default out"]);
}
