//! Every AdmissionReview that was recorded from a real API server.

use serde_json::Value;

use super::*;

fn reviews() -> Vec<(String, Value)> {
    let directory = format!("{}/tests/fixtures/admission", env!("CARGO_MANIFEST_DIR"));
    let mut all: Vec<(String, Value)> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let review = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (path.file_name().unwrap().to_string_lossy().into_owned(), review)
        })
        .filter(|(_, review): &(String, Value)| review["request"]["kind"]["kind"] == "Pod")
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(all.len() > 50, "{}", all.len());
    all
}

fn review(start: &str) -> Value {
    reviews().into_iter().find(|(name, _)| name.starts_with(start)).unwrap().1
}

fn answer(review: &Value, snapshot: &Snapshot) -> After {
    let request = &review["request"];
    let object = request["object"].to_string();
    let old = (!request["oldObject"].is_null()).then(|| request["oldObject"].to_string());
    let request_ = Request {
        namespace: request["namespace"].as_str().unwrap(),
        namespace_labels: None,
        ephemeral: request["subResource"] == "ephemeralcontainers",
        object: &object,
        old_object: old.as_deref(),
    };
    after(&request["object"], inject(&request_, snapshot))
}

#[test]
fn every_recorded_pod_is_given_everything_once_and_asking_again_changes_nothing() {
    // The recorded pod of a DaemonSet is in its node's network.
    let snapshot = snapshot(vec![CompiledProxy { host_network: true, ..proxy("default") }]);
    for (name, mut review) in reviews() {
        let first = answer(&review, &snapshot);
        let namespace = review["request"]["namespace"].as_str().unwrap().to_owned();
        if namespace == "kube-system" || name.starts_with("09-") {
            continue;
        }
        assert_eq!(first.said.outcome, Outcome::Injected, "{name}");
        review["request"]["object"] = first.pod.clone();
        let again = answer(&review, &snapshot);
        assert_eq!(again.said.patch, Vec::new(), "{name}");
        if review["request"]["subResource"] == "ephemeralcontainers" {
            continue;
        }
        assert_eq!(first.pod["metadata"]["annotations"]["egret.dev/injected"], "default", "{name}");
        assert_eq!(first.pod["metadata"]["annotations"]["egret.dev/generation"], "3", "{name}");
        let spec = &first.pod["spec"];
        for field in ["initContainers", "containers"] {
            for container in spec[field].as_array().into_iter().flatten() {
                for variable in [
                    "HTTPS_PROXY",
                    "https_proxy",
                    "NO_PROXY",
                    "no_proxy",
                    "SSL_CERT_FILE",
                    "NODE_EXTRA_CA_CERTS",
                ] {
                    assert!(env(container, variable).is_some(), "{name}: {variable}");
                }
                let mounts = container["volumeMounts"].as_array().unwrap();
                let ours: Vec<_> = mounts.iter().filter(|mount| mount["mountPath"] == MOUNT_PATH).collect();
                assert_eq!(ours.len(), 1, "{name}");
                assert_eq!(ours[0]["readOnly"], true, "{name}");
                let volumes = spec["volumes"].as_array().unwrap();
                assert_eq!(
                    volumes.iter().filter(|volume| volume["name"] == ours[0]["name"]).count(),
                    1,
                    "{name}"
                );
            }
        }
    }
}

/// What the API server was seen to refuse or to drop in silence in the patches of a webhook, for which `failurePolicy:
/// Ignore` forgives nothing: operations and paths that do not fit (applying the patch shows them), unknown fields, wrong
/// types, names that are none, mounts without a volume, a name twice, another name of the pod.
fn assert_valid(name: &str, before: &Value, after: &Value) {
    use k8s_openapi::api::core::v1::Pod;
    let typed: Pod = serde_json::from_value(after.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let again = serde_json::to_value(&typed).unwrap();
    assert_eq!(
        again["spec"]["volumes"], after["spec"]["volumes"],
        "{name}: an unknown field is dropped in silence"
    );
    assert_eq!(before["metadata"]["name"], after["metadata"]["name"], "{name}");
    assert_eq!(before["metadata"]["labels"], after["metadata"]["labels"], "{name}");
    let spec = typed.spec.unwrap();
    let volumes: Vec<String> = spec.volumes.into_iter().flatten().map(|volume| volume.name).collect();
    let is_label = |name: &str| {
        name.len() <= 63 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    assert!(volumes.iter().all(|volume| is_label(volume)), "{name}: {volumes:?}");
    let init = spec.init_containers.into_iter().flatten();
    for container in init.chain(spec.containers) {
        let mut names: Vec<String> = container.env.into_iter().flatten().map(|one| one.name).collect();
        let is_name = |one: &String| one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        assert!(names.iter().all(is_name), "{name}: {names:?}");
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{name}: a name twice");
        let mounts: Vec<_> = container.volume_mounts.into_iter().flatten().collect();
        assert!(mounts.iter().all(|mount| volumes.contains(&mount.name)), "{name}: a mount without a volume");
        let mut paths: Vec<_> = mounts.iter().map(|mount| &mount.mount_path).collect();
        let count = paths.len();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), count, "{name}: two mounts at a path");
    }
}

#[test]
fn what_comes_of_a_patch_is_a_pod_that_the_api_server_takes() {
    let over_paths = WELL_KNOWN_PATHS.map(str::to_owned).to_vec();
    let bundles = TrustVolume::ClusterTrustBundles {
        bundle: "egret.dev:ca:bundle".to_owned(),
        own: "egret.dev:ca:own".to_owned(),
        config_map: Some("egret-ca".to_owned()),
    };
    for volume in [TrustVolume::ConfigMap { name: "egret-ca".to_owned() }, bundles] {
        let all = CompiledProxy {
            trust: Some(Trust { volume, over_paths: over_paths.clone() }),
            java: true,
            all_proxy: true,
            host_network: true,
            windows: true,
            ..proxy("default")
        };
        let snapshot = snapshot(vec![all]);
        for (name, review) in reviews() {
            let after = answer(&review, &snapshot);
            assert_valid(&name, &review["request"]["object"], &after.pod);
        }
    }
}

#[test]
fn a_bare_pod_without_env_and_annotations_is_given_the_six_variables() {
    let after = answer(&review("01-bare"), &default_snapshot());
    let container = &after.pod["spec"]["containers"][0];
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        assert_eq!(env(container, name), Some(PROXY));
    }
    assert_eq!(env(container, "NO_PROXY"), Some(NO_PROXY));
    assert_eq!(env(container, "no_proxy"), Some(NO_PROXY));
    assert_eq!(env(container, "NODE_USE_ENV_PROXY"), Some("1"));
    assert_eq!(after.said.warnings, Vec::<String>::new());
    assert_eq!(after.said.audit["injected"], "default");
}

#[test]
fn init_containers_sidecars_and_what_the_pod_sets_itself() {
    let after = answer(&review("02-init"), &default_snapshot());
    let spec = &after.pod["spec"];
    assert_eq!(env(&spec["initContainers"][0], "HTTP_PROXY"), Some(PROXY));
    let sidecar = &spec["initContainers"][1];
    assert_eq!(sidecar["restartPolicy"], "Always");
    let merged = ".svc,10.96.0.0/16,localhost,only-lower,svc";
    assert_eq!((env(sidecar, "no_proxy"), env(sidecar, "NO_PROXY")), (Some(merged), Some(merged)));
    let app = &spec["containers"][0];
    assert_eq!(env(app, "HTTP_PROXY"), Some("http://corp:8080"));
    assert_eq!(env(app, "http_proxy"), None, "a proxy in the other case would split the pod");
    assert_eq!(env(app, "HTTPS_PROXY"), Some(PROXY));
    assert_eq!(env(app, "DERIVED"), Some("$(HTTP_PROXY)/x"));
    let said = after.said.warnings.join("\n");
    assert!(
        said.contains("sets HTTP_PROXY itself") && said.contains("ConfigMap app-env and 1 more"),
        "{said}"
    );
    assert!(!said.contains("corp:8080"), "a value may hold a password: {said}");
}

#[test]
fn pods_of_controllers_are_injected_before_they_have_a_namespace_of_their_own() {
    for case in ["03-deployment", "04-job", "05-stateful"] {
        let mut review = review(case);
        let metadata = review["request"]["object"]["metadata"].as_object_mut().unwrap();
        metadata.shift_remove("namespace");
        metadata.shift_remove("name");
        assert_eq!(answer(&review, &default_snapshot()).said.outcome, Outcome::Injected, "{case}");
    }
}

#[test]
fn a_daemon_in_its_nodes_network_is_left_alone() {
    let after = answer(&review("06-daemon"), &default_snapshot());
    assert_eq!(after.said.outcome, Outcome::Skipped);
    assert!(after.said.warnings[0].contains("network"), "{:?}", after.said.warnings);
}

#[test]
fn pods_of_the_system_are_left_alone() {
    let after = answer(&review("07-kube-system"), &default_snapshot());
    assert_eq!((after.said.outcome, after.said.patch.len()), (Outcome::NotSelected, 0));
}

#[test]
fn windows_is_left_alone_unless_a_setting_says_otherwise() {
    let review = review("09-windows");
    let after = answer(&review, &default_snapshot());
    assert_eq!(after.said.outcome, Outcome::Skipped);
    assert_eq!(after.pod["spec"], review["request"]["object"]["spec"]);
    assert!(after.said.warnings[0].contains("Windows"), "{:?}", after.said.warnings);
    assert!(after.pod["metadata"]["annotations"][NOT_INJECTED].as_str().unwrap().contains("Windows"));
    let inject = snapshot(vec![CompiledProxy { windows: true, ..proxy("default") }]);
    let after = answer(&review, &inject);
    let container = &after.pod["spec"]["containers"][0];
    assert_eq!((env(container, "HTTP_PROXY"), env(container, "SSL_CERT_FILE")), (Some(PROXY), None));
}

#[test]
fn an_ephemeral_container_is_given_trust_only_where_the_pod_has_the_volume() {
    let mut review = review("08-ephemeral");
    let before = review["request"]["object"].clone();
    let after = answer(&review, &default_snapshot());
    let debug = &after.pod["spec"]["ephemeralContainers"][0];
    assert_eq!(env(debug, "HTTP_PROXY"), Some(PROXY));
    assert_eq!(env(debug, "A"), Some("b"));
    assert!(debug["volumeMounts"].is_null() && env(debug, "SSL_CERT_FILE").is_none());
    assert!(after.said.warnings[0].contains("without the volume"), "{:?}", after.said.warnings);
    assert_eq!(after.pod["spec"]["containers"], before["spec"]["containers"]);
    assert_eq!(after.pod["metadata"], before["metadata"]);
    // The same pod, had it been injected.
    let volume = json!({"name": "egret-ca", "configMap": {"name": "egret-ca", "defaultMode": 420}});
    review["request"]["object"]["spec"]["volumes"].as_array_mut().unwrap().push(volume);
    let after = answer(&review, &default_snapshot());
    let debug = &after.pod["spec"]["ephemeralContainers"][0];
    assert_eq!(debug["volumeMounts"][0]["mountPath"], MOUNT_PATH);
    assert_eq!(env(debug, "SSL_CERT_FILE"), Some("/etc/egret/ca/ca-bundle.crt"));
    assert_eq!(after.pod["spec"]["volumes"], review["request"]["object"]["spec"]["volumes"]);
    // One that was there before can no longer be changed.
    review["request"]["oldObject"] = review["request"]["object"].clone();
    assert_eq!(answer(&review, &default_snapshot()).said.patch, Vec::new());
}

#[test]
fn a_container_that_a_later_webhook_adds_is_injected_when_asked_again() {
    let mut review = review("16-reinvocation-ifneeded.1");
    let first = answer(&review, &default_snapshot());
    let mut pod = first.pod;
    pod["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "late-sidecar", "image": "late:1"}));
    review["request"]["object"] = pod;
    let second = answer(&review, &default_snapshot());
    assert_eq!(env(&second.pod["spec"]["containers"][1], "HTTP_PROXY"), Some(PROXY));
    assert!(second.said.patch.iter().all(|operation| operation.path.starts_with("/spec/containers/1/")));
}
