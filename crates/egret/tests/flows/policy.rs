//! What is captured by policy.

use egret_testkit::tools::succeed;

use super::*;

#[test]
fn a_rule_says_how_much_of_what_it_allows_is_kept() {
    let it = setting(
        "capture: Headers
policies:
  - kind: ClusterEgressPolicy
    name: debugging
    rules:
      - { name: api, action: Allow, http: { paths: ['/echo**'] }, capture: { mode: Bodies, bodyBytes: 1KiB } }
      - { name: quiet, action: Allow, http: { paths: ['/status/**'] }, capture: None }
      - { name: rest, action: Allow }
",
    );
    for path in ["/echo", "/status/204", "/bytes/10"] {
        succeed(it.curl().args(["-o", "/dev/null"]).arg(it.origin.url(path)));
    }
    let flows = it.written(3);
    let captured = |rule: &str| {
        let flow = flows.iter().find(|flow| flow["rule"] == rule);
        flow.unwrap_or_else(|| panic!("{rule}: {flows:#?}"))["capture"].as_str().unwrap()
    };
    assert_eq!((captured("api"), captured("quiet"), captured("rest")), ("Bodies", "None", "Headers"));
    let api = flows.iter().find(|flow| flow["rule"] == "api").unwrap();
    let steps = it.whole(api["id"].as_str().unwrap())["trace"]["steps"].clone();
    assert_eq!(steps[0]["outcome"], "decided", "{steps:#}");
}

#[test]
fn so_many_percent_are_kept_and_all_are_listed() {
    let it = setting("capture: { mode: Headers, sample: 50 }");
    let urls: Vec<String> = (0..60).map(|number| it.origin.url(&format!("/status/204?{number}"))).collect();
    succeed(it.curl().args(&urls));
    let flows = it.written(60);
    let captured = flows.iter().filter(|flow| flow["capture"] == "Headers").count();
    assert!((10..=50).contains(&captured), "{captured} of 60");
}

#[test]
fn a_reload_changes_what_is_kept() {
    let it = setting("capture: None");
    succeed(it.curl().arg(it.origin.url("/status/204")));
    std::fs::write(it.egret.config_path(), "flows: { persistent: true }\ncapture: Headers").unwrap();
    it.egret.wait_for_log("reloaded");
    succeed(it.curl().arg(it.origin.url("/status/204")));
    let flows = it.written(2);
    assert_eq!((&flows[0]["capture"], &flows[1]["capture"]), (&"None".into(), &"Headers".into()));
}
