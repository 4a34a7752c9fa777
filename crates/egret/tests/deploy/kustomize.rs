//! `deploy/`.

use serde_json::{Value, json};

use super::*;
use crate::objects::{find, items, label, template};
use crate::openapi::Schemas;

const MODES: [&str; 4] = ["tunnel", "intercept", "mtls", "cluster"];

#[test]
fn every_mode_is_what_an_api_server_takes() {
    let schemas = Schemas::with(&kustomized("crds"));
    for mode in MODES {
        let mut objects = kustomized(mode);
        assert_eq!(schemas.problems(&objects), Vec::<String>::new(), "{mode}");
        // The client's pod, where the walk-through has one.
        let client = root().join("deploy").join(mode).join("client.yaml");
        if client.exists() {
            let pods = objects_of(&std::fs::read_to_string(client).unwrap());
            assert_eq!(schemas.problems(&pods), Vec::<String>::new(), "{mode}");
            objects.extend(pods.into_iter().map(|mut pod| {
                pod["metadata"]["annotations"] = json!({ "egret.dev/inject": "false" });
                pod
            }));
        }
        assert_eq!(sense::problems(&objects), Vec::<String>::new(), "{mode}");
    }
}

#[test]
fn the_tunnel_is_a_deployment_and_a_service_and_nothing_else() {
    let objects = kustomized("tunnel");
    let labels: Vec<String> = objects.iter().map(label).collect();
    assert_eq!(labels, ["Service egret", "Deployment egret"]);
    let service = &objects[0]["spec"];
    assert_eq!(service["ports"][0], json!({ "name": "proxy", "port": 8888, "targetPort": "proxy" }));
    assert!(
        objects.iter().all(|object| object["metadata"].get("namespace").is_none()),
        "it goes where kubectl says"
    );
}

#[test]
fn the_whole_directory_is_the_cluster() {
    assert_eq!(kustomized("."), kustomized("cluster"));
    let objects = kustomized(".");
    for (kind, name) in [
        ("Namespace", "egret-system"),
        ("CustomResourceDefinition", "egressproxies.egret.dev"),
        ("CustomResourceDefinition", "clusteregresspolicies.egret.dev"),
        ("CustomResourceDefinition", "egresspolicies.egret.dev"),
        ("Deployment", "egret"),
        ("Deployment", "egret-controller"),
        ("PodDisruptionBudget", "egret"),
        ("PodDisruptionBudget", "egret-controller"),
        ("HorizontalPodAutoscaler", "egret"),
    ] {
        find(&objects, kind, name);
    }
    let at = |kind: &str| objects.iter().position(|object| object["kind"] == kind).unwrap();
    assert!(at("Namespace") < at("ServiceAccount") && at("CustomResourceDefinition") < at("Deployment"));
    let webhook = &find(&objects, "Service", "egret-controller")["spec"]["ports"][0];
    assert_eq!((&webhook["port"], &webhook["targetPort"]), (&json!(443), &json!("webhook")));
    // A kind that is made in the same breath cannot be used in it.
    assert!(objects.iter().all(|object| !object["apiVersion"].as_str().unwrap().starts_with("egret.dev/")));
}

#[test]
fn ports_are_those_that_each_mode_is_known_by() {
    for (mode, ports) in [
        ("tunnel", vec![8888, 9090]),
        ("intercept", vec![8081, 8888, 9090]),
        ("mtls", vec![8443, 9090]),
        ("cluster", vec![8081, 8888, 9090]),
    ] {
        let objects = kustomized(mode);
        let service = find(&objects, "Service", "egret");
        let mut found: Vec<u64> =
            items(&service["spec"]["ports"]).map(|port| port["port"].as_u64().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, ports, "{mode}");
    }
}

#[test]
fn a_pod_that_stops_has_time_for_its_tunnels() {
    for mode in MODES {
        let objects = kustomized(mode);
        let deployment = find(&objects, "Deployment", "egret");
        let spec = &template(deployment).unwrap()["spec"];
        let before = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
        let environment = items(&spec["containers"][0]["env"]).find(|v| v["name"] == "EGRET_DRAIN_TIMEOUT");
        let drain = match environment {
            Some(variable) => variable["value"].as_str().unwrap().to_owned(),
            None => {
                let text = find(&objects, "ConfigMap", "egret")["data"]["egret.yaml"].as_str().unwrap();
                objects_of(text)[0]["drain"]["timeout"].as_str().unwrap().to_owned()
            }
        };
        assert_eq!(drain, "5m", "{mode}");
        let grace = spec["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace > before + 300 && before >= 5, "{mode}: {grace} s");
    }
}

#[test]
fn configurations_are_valid_and_command_lines_are_understood() {
    for objects in MODES.map(kustomized) {
        check_configurations(&objects);
        command_lines(&objects);
    }
}

/// Every container of ours is started with flags and variables that the program knows.
pub(crate) fn command_lines(objects: &[Value]) {
    for container in objects.iter().filter_map(template).flat_map(|pod| items(&pod["spec"]["containers"])) {
        if !container["image"].as_str().unwrap().contains("/egret") {
            continue;
        }
        let arguments: Vec<&str> =
            items(&container["args"]).map(|argument| argument.as_str().unwrap()).collect();
        let mut command = client(env!("CARGO_BIN_EXE_egret"));
        // `--help` behind flags that are not known is not reached.
        let output = run(command.args(&arguments).arg("--help"));
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        for variable in items(&container["env"]).filter_map(|variable| variable["name"].as_str()) {
            let of_others = ["POD_NAME", "POD_NAMESPACE", "NODE_NAME"].contains(&variable);
            assert!(
                of_others || help.contains(&format!("[env: {variable}")),
                "{arguments:?} does not know {variable}"
            );
        }
    }
}

#[test]
fn examples_are_what_the_custom_resources_take() {
    let schemas = Schemas::with(&kustomized("crds"));
    let folder = root().join("deploy/cluster/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let objects = objects_of(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
        assert_eq!(schemas.problems(&objects), Vec::<String>::new());
        count += objects.len();
    }
    let page = std::fs::read_to_string(root().join("docs/kubernetes.md")).unwrap();
    for block in page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        assert_eq!(schemas.problems(&objects_of(block)), Vec::<String>::new(), "{block}");
        count += 1;
    }
    assert!(count >= 3);
}

#[test]
fn each_walk_through_has_at_most_ten_commands_and_ends_with_a_request_and_its_line() {
    for mode in MODES {
        let text = std::fs::read_to_string(root().join("deploy").join(mode).join("README.md")).unwrap();
        let commands: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
        assert!((3..=10).contains(&commands.len()), "{mode}: {commands:#?}");
        let request =
            commands.iter().rposition(|command| command.contains("exec") && command.contains("curl"));
        let request = request.unwrap_or_else(|| panic!("{mode}: no kubectl exec … curl"));
        assert!(request + 2 >= commands.len(), "{mode}: it ends with something else: {commands:#?}");
        let line = text
            .lines()
            .rfind(|line| line.starts_with("{\"time\":"))
            .unwrap_or_else(|| panic!("{mode}: no line"));
        let record: Value = serde_json::from_str(line).unwrap();
        assert!(record["flow"].is_string() && record["status"] == 200, "{mode}: {record}");
        for word in text.split(|c: char| c.is_whitespace() || "`()".contains(c)) {
            if let Some(path) = word.strip_prefix("deploy/").filter(|path| path.ends_with(".yaml")) {
                assert!(root().join("deploy").join(path).exists(), "{mode}: no deploy/{path}");
            }
        }
    }
}

#[test]
fn monitoring_fits_what_it_watches() {
    let folder = tempfile::tempdir_in(root().join("deploy")).unwrap();
    let text = "resources: [../cluster]\ncomponents: [../components/monitoring]\n";
    std::fs::write(folder.path().join("kustomization.yaml"), text).unwrap();
    let objects = kustomized(folder.path().file_name().unwrap().to_str().unwrap());
    for kind in ["ServiceMonitor", "PrometheusRule"] {
        find(&objects, kind, "egret");
    }
    assert_eq!(Schemas::with(&objects).problems(&objects), Vec::<String>::new());
    assert_eq!(sense::problems(&objects), Vec::<String>::new());
}

#[test]
fn links_in_the_walk_throughs_lead_somewhere() {
    let modes = MODES.map(|mode| format!("deploy/{mode}/README.md"));
    let pages = modes.into_iter().chain(["deploy/README.md".to_owned(), "charts/egret/README.md".to_owned()]);
    for page in pages.map(|page| root().join(page)) {
        let text = std::fs::read_to_string(&page).unwrap();
        let targets = text.split("](").skip(1).map(|part| part.split([')', '#']).next().unwrap());
        for target in targets.filter(|target| !target.contains("://")) {
            assert!(page.parent().unwrap().join(target).exists(), "{}: {target}", page.display());
        }
    }
}
