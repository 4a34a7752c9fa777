//! What whoever is refused is told: the rule, why, and whom to ask.

use egret_testkit::HttpOrigin;

use super::ruled;

const RULES: &str = "      - {name: no-uploads, action: Deny, to: [{cidrs: [127.0.0.0/8]}], reason: nothing leaves <here>, contact: sec@corp.example}\n";

#[test]
fn every_form_of_a_refusal_has_rule_reason_and_contact() {
    let egret = ruled(RULES).start();
    let authority = HttpOrigin::start().address();
    for (accept, escaped) in [
        ("text/plain", "nothing leaves <here>"),
        ("text/html", "nothing leaves &lt;here&gt;"),
        ("application/json", "\"reason\":\"nothing leaves \\u003chere>\""),
    ] {
        let answer = egret.connect().exchange(format!(
            "GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nAccept: {accept}\r\n\r\n"
        ));
        assert_eq!(answer.status(), 403);
        let body = answer.text();
        for part in [escaped, "no-uploads", "web", "sec@corp.example", "denied-by-rule"] {
            assert!(body.contains(part), "{part} in {body}");
        }
        let status = answer.fields.first("proxy-status").unwrap();
        for part in ["error=http_request_denied", "denied-by-rule", "no-uploads", "nothing leaves <here>"] {
            assert!(status.contains(part), "{part} in {status}");
        }
    }
    let (_client, answer) = egret.tunnel(&authority.to_string());
    assert_eq!(answer.status(), 403);
    assert!(answer.start_line.contains("denied-by-rule"), "{}", answer.start_line);
    assert!(answer.text().contains("sec@corp.example"));
    let series = "egret_policy_decisions_total{policy=\"web\",rule=\"no-uploads\",action=\"Deny\"}";
    egret.exactly(4);
    assert_eq!(egret.metric(series), 4.0);
}
