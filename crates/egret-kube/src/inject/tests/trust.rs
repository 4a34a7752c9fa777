//! Mounts and variables for CAs.

use super::*;

fn app(after: &After) -> &Value {
    &after.pod["spec"]["containers"][0]
}

#[test]
fn who_replaces_is_given_the_bundle_and_who_adds_our_ca_alone() {
    let after = run(&one(json!({})), &default_snapshot());
    for variable in VARIABLES {
        let expected = match variable.file {
            TrustedFile::Own => "/etc/egret/ca/egret-ca.crt",
            _ => "/etc/egret/ca/ca-bundle.crt",
        };
        assert_eq!(env(app(&after), variable.name), Some(expected), "{}", variable.name);
        assert!(variable.file != TrustedFile::Own || variable.effect == Effect::Adds, "{}", variable.name);
    }
    let volume = &after.pod["spec"]["volumes"][0];
    assert_eq!(volume, &json!({"name": "egret-ca", "configMap": {"name": "egret-ca", "optional": true}}));
    // Go takes SSL_CERT_FILE for all there is where SSL_CERT_DIR stands beside it.
    assert_eq!(env(app(&after), "SSL_CERT_DIR"), None);
}

#[test]
fn the_documentation_has_every_variable() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/kubernetes-injection.md");
    let page = std::fs::read_to_string(page).unwrap();
    for variable in VARIABLES {
        let effect = match variable.effect {
            Effect::Adds => "adds",
            Effect::Replaces => "replaces",
            Effect::Either => "both",
        };
        let row =
            format!("| `{}` | `{}` | {effect} | {} |", variable.name, variable.file.key(), variable.readers);
        assert!(page.contains(&row), "docs/kubernetes-injection.md lacks {row}");
    }
}

#[test]
fn without_trust_nothing_is_mounted() {
    let after = run(&one(json!({})), &snapshot(vec![CompiledProxy { trust: None, ..proxy("default") }]));
    assert!(after.pod["spec"]["volumes"].is_null() && app(&after)["volumeMounts"].is_null());
    assert_eq!(env(app(&after), "SSL_CERT_FILE"), None);
}

#[test]
fn a_volume_of_the_pod_by_the_same_name_is_no_hindrance() {
    let mut pod = one(json!({"volumeMounts": [{"name": "egret-ca", "mountPath": "/other"}]}));
    pod["spec"]["volumes"] =
        json!([{"name": "egret-ca", "emptyDir": {}}, {"name": "egret-ca-2", "secret": {"secretName": "s"}}]);
    let after = run(&pod, &default_snapshot());
    assert_eq!(after.pod["spec"]["volumes"][2]["name"], "egret-ca-3");
    assert_eq!(app(&after)["volumeMounts"][1]["name"], "egret-ca-3");
    assert_eq!(run(&after.pod, &default_snapshot()).said.patch, Vec::new());
}

#[test]
fn a_mount_of_the_pod_at_the_same_place_or_above_is_left_alone() {
    for path in ["/etc/egret/ca", "/etc/egret/ca/", "/etc/egret", "/etc", "/"] {
        let mut pod = one(json!({"volumeMounts": [{"name": "v", "mountPath": path}]}));
        pod["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
        let after = run(&pod, &default_snapshot());
        assert_eq!(app(&after)["volumeMounts"].as_array().unwrap().len(), 1, "{path}");
        assert_eq!(after.pod["spec"]["volumes"].as_array().unwrap().len(), 1, "{path}");
        assert_eq!(env(app(&after), "SSL_CERT_FILE"), None, "a variable without its file breaks all TLS");
        assert_eq!(env(app(&after), "HTTP_PROXY"), Some(PROXY));
        assert!(after.said.warnings[0].contains("trust"), "{:?}", after.said.warnings);
    }
    let pod = one(
        json!({"volumeMounts": [{"name": "v", "mountPath": "/etc/egret-other"}, {"name": "v", "mountPath": "/etc/egret/ca/below"}]}),
    );
    assert_eq!(app(&run(&pod, &default_snapshot()))["volumeMounts"].as_array().unwrap().len(), 3);
}

#[test]
fn where_the_bundle_could_not_be_put_no_variable_points_to_it() {
    let mut settings = default_snapshot();
    settings.missing_bundles.insert("team-a".to_owned(), "forbidden".to_owned());
    let after = run(&one(json!({})), &settings);
    assert_eq!((env(app(&after), "SSL_CERT_FILE"), env(app(&after), "HTTP_PROXY")), (None, Some(PROXY)));
    assert!(after.said.warnings[0].contains("forbidden"));
}

#[test]
fn the_pods_own_variable_for_cas_wins_and_npm_is_pointed_out() {
    let pod = one(
        json!({"env": [{"name": "REQUESTS_CA_BUNDLE", "value": "/mine"}, {"name": "npm_config_cafile", "value": "/npm"}]}),
    );
    let after = run(&pod, &default_snapshot());
    assert_eq!(env(app(&after), "REQUESTS_CA_BUNDLE"), Some("/mine"));
    let said = after.said.warnings.join("\n");
    assert!(said.contains("sets REQUESTS_CA_BUNDLE itself") && said.contains("npm_config_cafile"), "{said}");
}

#[test]
fn well_known_paths_are_mounted_over_file_by_file_where_the_pod_has_nothing_there() {
    let over_paths = WELL_KNOWN_PATHS.map(str::to_owned).to_vec();
    let trust = Some(Trust { over_paths, ..Trust::from_config_map("egret-ca") });
    let settings = snapshot(vec![CompiledProxy { trust, ..proxy("default") }]);
    let after =
        run(&one(json!({"volumeMounts": [{"name": "certs", "mountPath": "/etc/ssl/certs"}]})), &settings);
    let mounts = app(&after)["volumeMounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 1 + 1 + WELL_KNOWN_PATHS.len() - 1);
    assert!(mounts.iter().skip(1).all(|mount| mount["readOnly"] == true));
    assert!(mounts.iter().skip(2).all(|mount| mount["subPath"] == "ca-bundle.crt"));
    assert_eq!(run(&after.pod, &settings).said.patch, Vec::new());
}

#[test]
fn cluster_trust_bundles_are_projected_where_there_are_any() {
    let volume = TrustVolume::ClusterTrustBundles {
        bundle: "egret.dev:ca:bundle".to_owned(),
        own: "egret.dev:ca:own".to_owned(),
        config_map: Some("egret-ca".to_owned()),
    };
    let trust = Some(Trust { volume, over_paths: Vec::new() });
    let settings = snapshot(vec![CompiledProxy { trust, ..proxy("default") }]);
    let after = run(&one(json!({})), &settings);
    let sources = after.pod["spec"]["volumes"][0]["projected"]["sources"].as_array().unwrap();
    assert_eq!(
        sources[0],
        json!({"clusterTrustBundle": {"name": "egret.dev:ca:bundle", "path": "ca-bundle.crt", "optional": true}})
    );
    assert_eq!(sources[1]["clusterTrustBundle"]["path"], "egret-ca.crt");
    assert_eq!(sources[2]["configMap"]["items"][0]["key"], "ca-bundle.p12");
    assert_eq!(run(&after.pod, &settings).said.patch, Vec::new());
}
