//! Whatever a pod looks like: the patch fits, asking again changes nothing, and what the pod had it still has.

use proptest::prelude::*;

use super::*;

fn variable() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "NO_PROXY",
        "no_proxy",
        "SSL_CERT_FILE",
        "JAVA_TOOL_OPTIONS",
        "NODE_USE_ENV_PROXY",
        "ALL_PROXY",
        "OTHER",
    ]);
    let values = prop_oneof![
        Just(json!({})),
        Just(json!({"value": PROXY})),
        Just(json!({"valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})),
        "[a-z*.,:/ $()-]{0,20}".prop_map(|value| json!({"value": value})),
    ];
    (names, values).prop_map(|(name, mut value)| {
        value["name"] = json!(name);
        value
    })
}

fn container() -> impl Strategy<Value = Value> {
    let env = prop::option::of(prop::collection::vec(variable(), 0..6));
    let path = prop::sample::select(vec!["/etc/egret/ca", "/etc", "/data", "/etc/ssl/cert.pem"]);
    let mounts = prop::option::of(prop::collection::vec(
        path.prop_map(|path| json!({"name": "v", "mountPath": path})),
        0..3,
    ));
    ("[a-z]{1,8}", env, mounts).prop_map(|(name, env, mounts)| {
        let mut container = json!({"name": name, "image": "i"});
        if let Some(env) = env {
            container["env"] = json!(env);
        }
        if let Some(mounts) = mounts {
            container["volumeMounts"] = json!(mounts);
        }
        container
    })
}

fn any_pod() -> impl Strategy<Value = Value> {
    let containers = prop::collection::vec(container(), 1..4);
    let init = prop::option::of(prop::collection::vec(container(), 0..3));
    let volumes = prop::option::of(Just(json!([{"name": "egret-ca", "emptyDir": {}}])));
    let annotations = prop::option::of(Just(json!({"x/y~z": "1", "egret.dev/injected": "old"})));
    (containers, init, volumes, annotations).prop_map(|(containers, init, volumes, annotations)| {
        let mut pod = json!({"metadata": {}, "spec": {"containers": containers}});
        if let Some(init) = init {
            pod["spec"]["initContainers"] = json!(init);
        }
        if let Some(volumes) = volumes {
            pod["spec"]["volumes"] = volumes;
        }
        if let Some(annotations) = annotations {
            pod["metadata"]["annotations"] = annotations;
        }
        pod
    })
}

proptest! {
    #[test]
    fn any_pod_is_patched_once(pod in any_pod()) {
        let over_paths = WELL_KNOWN_PATHS.map(str::to_owned).to_vec();
        let trust = Some(Trust { over_paths, ..Trust::from_config_map("egret-ca") });
        let settings = snapshot(vec![CompiledProxy { trust, java: true, all_proxy: true, ..proxy("default") }]);
        let first = run(&pod, &settings);
        prop_assert_eq!(first.said.outcome, Outcome::Injected);
        let again = run(&first.pod, &settings);
        prop_assert_eq!(again.said.patch, Vec::new());
        for (field, before) in [("containers", &pod["spec"]["containers"]), ("initContainers", &pod["spec"]["initContainers"])] {
            for (index, before) in before.as_array().into_iter().flatten().enumerate() {
                let after = &first.pod["spec"][field][index];
                let own = before["env"].as_array().map_or(0, Vec::len);
                for (place, variable) in before["env"].as_array().into_iter().flatten().enumerate() {
                    prop_assert_eq!(&after["env"][place]["name"], &variable["name"]);
                    prop_assert_eq!(&after["env"][place]["valueFrom"], &variable["valueFrom"]);
                }
                let has = |name: &str| before["env"].as_array().into_iter().flatten().any(|v| v["name"] == name);
                for (upper, lower) in [("HTTP_PROXY", "http_proxy"), ("HTTPS_PROXY", "https_proxy")] {
                    let given: Vec<&Value> = after["env"].as_array().unwrap().iter().skip(own)
                        .filter(|v| v["name"] == upper || v["name"] == lower).collect();
                    match (has(upper), has(lower)) {
                        (false, false) => prop_assert_eq!(given.len(), 2),
                        (true, true) => prop_assert_eq!(given.len(), 0),
                        // Completed where the one was ours, left where it was not.
                        _ => prop_assert!(given.len() <= 1),
                    }
                }
                let mut paths: Vec<&str> = after["volumeMounts"].as_array().into_iter().flatten()
                    .filter(|mount| mount["readOnly"] == true)
                    .map(|mount| mount["mountPath"].as_str().unwrap()).collect();
                let count = paths.len();
                paths.sort_unstable();
                paths.dedup();
                prop_assert_eq!(paths.len(), count);
            }
        }
    }
}
