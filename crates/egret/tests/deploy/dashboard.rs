//! Dashboard and alerts name metrics that exist, in expressions that can be parsed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::objects::{find, items};

/// Where metrics are described: those of the proxy, of the controller, of its webhook.
const PAGES: [&str; 3] = ["metrics.md", "kubernetes-controller.md", "kubernetes-injection.md"];

/// The metrics of the manual, with the series that histograms have.
fn metrics() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for page in PAGES {
        let page = std::fs::read_to_string(root().join("docs").join(page)).unwrap();
        for row in page.lines().filter_map(|line| line.strip_prefix("| `")) {
            let Some((name, _)) = row.split_once("` | ") else { continue };
            names.insert(name.to_owned());
            if name.ends_with("_duration_seconds") {
                names.extend(["bucket", "sum", "count"].map(|series| format!("{name}_{series}")));
            }
        }
    }
    assert!(names.len() > 60, "{names:?}");
    names
}

/// Every metric in an expression, as a PromQL parser finds them.
fn parsed(expressions: &[String]) -> BTreeSet<String> {
    let program = "import json, sys, promql_parser as p\n\
        names = set()\n\
        def look(node):\n\
        \x20   if isinstance(node, p.VectorSelector): names.add(node.name)\n\
        \x20   for field in ('expr', 'lhs', 'rhs', 'vector_selector', 'args'):\n\
        \x20       inner = getattr(node, field, None)\n\
        \x20       for each in inner if isinstance(inner, list) else [inner]:\n\
        \x20           if each is not None: look(each)\n\
        for text in json.load(sys.stdin):\n\
        \x20   look(p.parse(text.replace('$__rate_interval', '5m')))\n\
        print(json.dumps(sorted(names)))\n";
    let mut child =
        client(python()).args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(serde_json::to_string(expressions).unwrap().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "an expression cannot be parsed (see above)");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn dashboard() -> Value {
    let text = std::fs::read_to_string(root().join("deploy/dashboards/egret.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_metric_of_the_dashboard_exists() {
    let dashboard = dashboard();
    let targets = items(&dashboard["panels"]).flat_map(|panel| items(&panel["targets"]));
    let expressions: Vec<String> =
        targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect();
    assert!(expressions.len() > 25);
    let (used, known) = (parsed(&expressions), metrics());
    assert!(used.len() > 20, "{used:?}");
    assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn panels_do_not_overlap_and_have_a_word_of_explanation() {
    let dashboard = dashboard();
    let panels: Vec<&Value> = items(&dashboard["panels"]).collect();
    let place = |panel: &Value, side: &str| panel["gridPos"][side].as_u64().unwrap();
    for (index, panel) in panels.iter().enumerate() {
        assert!(
            panel["type"] == "row" || panel["description"].as_str().is_some_and(|text| text.len() > 5),
            "{panel}"
        );
        assert!(place(panel, "x") + place(panel, "w") <= 24, "{}", panel["title"]);
        for other in &panels[..index] {
            let apart = |at: &str, size: &str| {
                place(panel, at) >= place(other, at) + place(other, size)
                    || place(other, at) >= place(panel, at) + place(panel, size)
            };
            assert!(apart("x", "w") || apart("y", "h"), "{} and {}", panel["title"], other["title"]);
            assert_ne!(panel["id"], other["id"]);
        }
    }
}

#[test]
fn every_metric_of_the_alerts_and_of_the_autoscaler_exists() {
    let text = std::fs::read_to_string(root().join("deploy/components/monitoring/rules.yaml")).unwrap();
    let rules = objects_of(&text).remove(0);
    let rules: Vec<&Value> =
        items(&rules["spec"]["groups"]).flat_map(|group| items(&group["rules"])).collect();
    let expressions: Vec<String> =
        rules.iter().map(|rule| rule["expr"].as_str().unwrap().to_owned()).collect();
    let mut used = parsed(&expressions);
    assert!(used.len() > 5);
    let objects = kustomized("cluster");
    let autoscaler = find(&objects, "HorizontalPodAutoscaler", "egret");
    let pods = items(&autoscaler["spec"]["metrics"]).find(|metric| metric["type"] == "Pods").unwrap();
    used.insert(pods["pods"]["metric"]["name"].as_str().unwrap().to_owned());
    let known = metrics();
    assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
    // A label that no series has makes an alert that never fires.
    let page = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    for limit in ["connections", "descriptors", "accept_paused", "handshakes"] {
        assert!(page.contains(&format!("`{limit}`")), "{limit}");
    }
}
