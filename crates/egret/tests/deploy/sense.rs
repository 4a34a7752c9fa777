//! What no schema says: objects fit together, and pods keep to the restricted standard.

use serde_json::{Value, json};

use crate::objects::{find, items, label, name, selects, template};

/// Secrets and ConfigMaps that something makes which is no manifest: the certificates' Job, the controller.
const MADE_LATER: [&str; 3] = ["egret-ca", "egret-mtls", "egret-mtls-client"];

/// Everything that does not fit.
pub(crate) fn problems(objects: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for object in objects {
        if let Some(template) = template(object) {
            pod(objects, &label(object), template, &mut found);
            if let Some(selector) = object["spec"].get("selector")
                && !selects(&selector["matchLabels"], &template["metadata"]["labels"])
            {
                found.push(format!("{}: selects none of its own pods", label(object)));
            }
        }
        relations(objects, object, &mut found);
    }
    found
}

fn pod(objects: &[Value], owner: &str, template: &Value, found: &mut Vec<String>) {
    let spec = &template["spec"];
    let mut must = |holds: bool, what: &str| {
        if !holds {
            found.push(format!("{owner}: {what}"));
        }
    };
    let security = &spec["securityContext"];
    must(security["runAsNonRoot"] == true, "runs as root");
    must(security["runAsUser"].as_u64().is_some_and(|user| user >= 10_000), "has no user of its own");
    must(security["seccompProfile"]["type"] == "RuntimeDefault", "has no seccomp profile");
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        must(spec.get(field).is_none(), field);
    }
    must(
        template["metadata"]["annotations"]["egret.dev/inject"] == "false",
        "is sent through the proxy itself",
    );
    let volumes: Vec<&str> = items(&spec["volumes"]).map(|volume| volume["name"].as_str().unwrap()).collect();
    for volume in items(&spec["volumes"]) {
        let kinds = ["configMap", "secret", "emptyDir", "projected"];
        must(
            kinds.iter().any(|kind| volume.get(kind).is_some()),
            "has a volume that restricted pods have not",
        );
        for (kind, named) in
            [("ConfigMap", &volume["configMap"]["name"]), ("Secret", &volume["secret"]["secretName"])]
        {
            let Some(named) = named.as_str() else { continue };
            let there = objects.iter().any(|object| object["kind"] == kind && name(object) == named);
            must(
                there || kind == "Secret" && MADE_LATER.contains(&named),
                &format!("mounts {kind} {named}, which nobody makes"),
            );
        }
    }
    if let Some(account) = spec["serviceAccountName"].as_str() {
        must(
            objects.iter().any(|o| o["kind"] == "ServiceAccount" && name(o) == account),
            "has a service account that is not there",
        );
    } else {
        must(spec["automountServiceAccountToken"] == false, "has a token that it does not need");
    }
    for container in items(&spec["containers"]) {
        let security = &container["securityContext"];
        must(security["allowPrivilegeEscalation"] == false, "may gain privileges");
        must(security["readOnlyRootFilesystem"] == true, "writes to its root");
        must(security["capabilities"] == json!({ "drop": ["ALL"] }), "has capabilities");
        must(!container["image"].as_str().unwrap().ends_with(":latest"), "runs the latest of something");
        for bound in ["requests", "limits"] {
            for resource in ["cpu", "memory"] {
                must(
                    container["resources"][bound].get(resource).is_some(),
                    &format!("has no {bound} of {resource}"),
                );
            }
        }
        for mount in items(&container["volumeMounts"]) {
            must(
                volumes.contains(&mount["name"].as_str().unwrap()),
                &format!("mounts {}, no volume", mount["name"]),
            );
        }
        let ports: Vec<&Value> = items(&container["ports"]).map(|port| &port["name"]).collect();
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let asked = &container[probe]["httpGet"]["port"];
            must(
                asked.is_null() || ports.contains(&asked),
                &format!("{probe} asks {asked}, which is no port"),
            );
        }
    }
}

/// What refers to others by name or label.
fn relations(objects: &[Value], object: &Value, found: &mut Vec<String>) {
    let label = label(object);
    let spec = &object["spec"];
    let pods = |selector: &Value| -> Vec<&Value> {
        let templates = objects.iter().filter_map(template);
        templates.filter(|template| selects(selector, &template["metadata"]["labels"])).collect()
    };
    match object["kind"].as_str().unwrap() {
        "Service" => {
            let selected = pods(&spec["selector"]);
            if selected.len() != 1 {
                found.push(format!("{label}: selects {} kinds of pods", selected.len()));
            }
            let named: Vec<&Value> = selected
                .iter()
                .flat_map(|pod| items(&pod["spec"]["containers"]))
                .flat_map(|container| items(&container["ports"]))
                .map(|port| &port["name"])
                .collect();
            for port in items(&spec["ports"]).filter(|port| !named.contains(&&port["targetPort"])) {
                found.push(format!("{label}: no pod has the port {}", port["targetPort"]));
            }
        }
        "PodDisruptionBudget" if pods(&spec["selector"]["matchLabels"]).len() != 1 => {
            found.push(format!("{label}: is for no pods, or for several kinds"));
        }
        "NetworkPolicy" if pods(&spec["podSelector"]["matchLabels"]).len() != 1 => {
            found.push(format!("{label}: is for no pods, or for several kinds"));
        }
        "HorizontalPodAutoscaler" => {
            let target = &spec["scaleTargetRef"];
            let target = find(objects, target["kind"].as_str().unwrap(), target["name"].as_str().unwrap());
            if target["spec"].get("replicas").is_some() {
                found.push(format!("{label}: scales what has a fixed number of replicas"));
            }
        }
        "ServiceMonitor" => {
            let mut services = objects.iter().filter(|object| object["kind"] == "Service");
            let selected =
                services.find(|s| selects(&spec["selector"]["matchLabels"], &s["metadata"]["labels"]));
            let ports =
                selected.map(|service| items(&service["spec"]["ports"]).map(|port| &port["name"]).collect());
            let ports: Vec<&Value> = ports.unwrap_or_default();
            for endpoint in items(&spec["endpoints"]).filter(|endpoint| !ports.contains(&&endpoint["port"])) {
                found.push(format!("{label}: no Service has the port {}", endpoint["port"]));
            }
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            let role = &object["roleRef"];
            find(objects, role["kind"].as_str().unwrap(), role["name"].as_str().unwrap());
            for subject in items(&object["subjects"]) {
                let account = find(objects, "ServiceAccount", subject["name"].as_str().unwrap());
                if account["metadata"]["namespace"] != subject["namespace"] {
                    found.push(format!("{label}: binds {} of another namespace", subject["name"]));
                }
            }
        }
        "Role" | "ClusterRole" => {
            for rule in items(&object["rules"]) {
                if rule.to_string().contains("\"*\"") {
                    found.push(format!("{label}: a rule for everything: {rule}"));
                }
                let reads = rule["verbs"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|verb| ["list", "watch"].contains(&verb.as_str().unwrap()));
                let secrets = rule["resources"].as_array().unwrap().contains(&json!("secrets"));
                let named = rule.get("resourceNames").is_some();
                if secrets && (reads && !named || object["kind"] == "ClusterRole") {
                    found.push(format!("{label}: may read Secrets that are not its own: {rule}"));
                }
            }
        }
        _ => {}
    }
}
