//! What the pod sets itself, who opts out, and which settings count.

use egret_core::policy::{Operator, Requirement, Selector};

use super::*;

fn labelled(key: &str, value: &str) -> Selector {
    let requirement = Requirement { key: key.into(), operator: Operator::In, values: vec![value.into()] };
    Selector { requirements: vec![requirement] }
}

fn app(after: &After) -> &Value {
    &after.pod["spec"]["containers"][0]
}

#[test]
fn what_the_pod_sets_wins_for_both_cases_of_a_name() {
    for own in ["HTTPS_PROXY", "https_proxy"] {
        let after = run(&one(json!({"env": [{"name": own, "value": "http://corp:1"}]})), &default_snapshot());
        let other = if own == "HTTPS_PROXY" { "https_proxy" } else { "HTTPS_PROXY" };
        assert_eq!((env(app(&after), own), env(app(&after), other)), (Some("http://corp:1"), None));
        assert_eq!(env(app(&after), "HTTP_PROXY"), Some(PROXY));
    }
}

#[test]
fn an_empty_proxy_of_the_pod_is_a_value_of_its_own() {
    let after = run(&one(json!({"env": [{"name": "http_proxy"}]})), &default_snapshot());
    assert_eq!(env(app(&after), "HTTP_PROXY"), None);
}

#[test]
fn one_case_that_is_ours_already_is_completed() {
    let after = run(&one(json!({"env": [{"name": "HTTP_PROXY", "value": PROXY}]})), &default_snapshot());
    assert_eq!(env(app(&after), "http_proxy"), Some(PROXY));
    assert_eq!(after.said.warnings, Vec::<String>::new());
}

#[test]
fn no_proxy_is_merged_kept_or_replaced() {
    let own = one(json!({"env": [{"name": "NO_PROXY", "value": "b.example, a.example"}]}));
    let with = |rule| snapshot(vec![CompiledProxy { existing_no_proxy: rule, ..proxy("default") }]);
    let merged = run(&own, &with(crate::no_proxy::MergeRule::Merge));
    let all = ".svc,10.96.0.0/16,a.example,b.example,localhost,svc";
    assert_eq!((env(app(&merged), "NO_PROXY"), env(app(&merged), "no_proxy")), (Some(all), Some(all)));
    let kept = run(&own, &with(crate::no_proxy::MergeRule::Keep));
    assert_eq!(
        (env(app(&kept), "NO_PROXY"), env(app(&kept), "no_proxy")),
        (Some("b.example, a.example"), None)
    );
    assert!(kept.said.warnings.iter().any(|text| text.contains("existingNoProxy: Keep")));
    let replaced = run(&own, &with(crate::no_proxy::MergeRule::Replace));
    assert_eq!(
        (env(app(&replaced), "NO_PROXY"), env(app(&replaced), "no_proxy")),
        (Some(NO_PROXY), Some(NO_PROXY))
    );
}

#[test]
fn references_to_other_variables_stay_references() {
    let own = one(json!({"env": [{"name": "no_proxy", "value": "$(KUBERNETES_SERVICE_HOST),x"}]}));
    let after = run(&own, &default_snapshot());
    assert!(env(app(&after), "NO_PROXY").unwrap().starts_with("$(KUBERNETES_SERVICE_HOST),"));
}

#[test]
fn values_from_elsewhere_are_left_untouched_and_said() {
    let from = json!({"configMapKeyRef": {"name": "c", "key": "k"}});
    let names = ["NO_PROXY", "HTTP_PROXY", "JAVA_TOOL_OPTIONS", "SSL_CERT_FILE"];
    let variables: Vec<Value> = names.iter().map(|name| json!({"name": name, "valueFrom": from})).collect();
    let own = one(json!({"env": variables}));
    let after = run(&own, &snapshot(vec![CompiledProxy { java: true, ..proxy("default") }]));
    assert_eq!(app(&after)["env"].as_array().unwrap()[..4], variables[..]);
    assert_eq!((env(app(&after), "no_proxy"), env(app(&after), "http_proxy")), (None, None));
    assert_eq!(after.said.warnings.len(), 4, "{:#?}", after.said.warnings);
}

#[test]
fn the_pods_own_values_are_looked_at_for_what_breaks_clients() {
    let own = one(json!({"env": [
        {"name": "HTTP_PROXY", "value": "corp:8080"},
        {"name": "HTTPS_PROXY", "value": "https://u:hunter2@corp:8080"},
        {"name": "NO_PROXY", "value": "*.corp.example,[::1],fd00::/8"},
    ]}));
    let said = run(&own, &default_snapshot()).said.warnings.join("\n");
    for word in ["no scheme", "scheme is https", "login", "`*.`", "httpx", "NO_PROXY"] {
        assert!(said.contains(word), "{word} in {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn opt_outs_leave_the_pod_exactly_as_it_is() {
    let annotations = [("egret.dev/inject", "false"), ("kubernetes.azure.com/no-http-proxy-vars", "true")];
    for (name, value) in annotations {
        let mut pod = one(json!({}));
        pod["metadata"]["annotations"] = json!({name: value});
        let after = run(&pod, &default_snapshot());
        assert_eq!((after.said.outcome, after.pod), (Outcome::OptedOut, pod));
        assert!(after.said.warnings[0].contains(name), "{:?}", after.said.warnings);
    }
    let after = run_in("off", &one(json!({})), &default_snapshot());
    assert_eq!((after.said.outcome, after.said.patch.len()), (Outcome::OptedOut, 0));
    let mut other = one(json!({}));
    other["metadata"]["annotations"] = json!({"egret.dev/inject": "true"});
    assert_eq!(run(&other, &default_snapshot()).said.outcome, Outcome::Injected);
}

#[test]
fn selectors_decide_and_who_is_not_selected_hears_nothing() {
    let settings = snapshot(vec![CompiledProxy { pods: Some(labelled("app", "web")), ..proxy("default") }]);
    let mut pod = one(json!({}));
    let after = run(&pod, &settings);
    assert_eq!((after.said.outcome, after.said.warnings.len()), (Outcome::NotSelected, 0));
    pod["metadata"]["labels"] = json!({"app": "web"});
    assert_eq!(run(&pod, &settings).said.outcome, Outcome::Injected);
    let elsewhere =
        snapshot(vec![CompiledProxy { namespaces: Some(labelled("team", "b")), ..proxy("default") }]);
    assert_eq!(run(&pod, &elsewhere).said.outcome, Outcome::NotSelected);
}

#[test]
fn a_namespace_that_is_not_known_yet_is_doubt_where_its_labels_matter() {
    let all = run_in("new", &one(json!({})), &default_snapshot());
    assert_eq!(all.said.outcome, Outcome::Injected);
    let settings =
        snapshot(vec![CompiledProxy { namespaces: Some(labelled("team", "b")), ..proxy("default") }]);
    let after = run_in("new", &one(json!({})), &settings);
    assert_eq!((after.said.outcome, after.said.patch.len()), (Outcome::Doubtful, 0));
    assert!(after.said.warnings[0].contains("not known yet"));
    let labels: Labels = vec![("team".into(), "b".into())];
    let object = one(json!({})).to_string();
    let request = Request {
        namespace: "new",
        namespace_labels: Some(&labels),
        ephemeral: false,
        object: &object,
        old_object: None,
    };
    assert_eq!(inject(&request, &settings).outcome, Outcome::Injected);
}

#[test]
fn of_several_the_lowest_priority_and_then_the_first_name_is_used_and_said() {
    let settings = snapshot(vec![proxy("b"), proxy("a"), CompiledProxy { priority: 2000, ..proxy("0") }]);
    let after = run(&one(json!({})), &settings);
    assert_eq!(after.pod["metadata"]["annotations"][INJECTED], "a");
    assert!(after.said.warnings[0].contains("a is used") && after.said.warnings[0].contains("not b, 0"));
}

#[test]
fn pods_in_their_nodes_network_are_left_alone_unless_a_setting_says_otherwise() {
    let mut pod = one(json!({}));
    pod["spec"]["hostNetwork"] = json!(true);
    let after = run(&pod, &default_snapshot());
    assert_eq!((after.said.outcome, &after.pod["spec"]), (Outcome::Skipped, &pod["spec"]));
    let settings = snapshot(vec![CompiledProxy { host_network: true, ..proxy("default") }]);
    assert_eq!(run(&pod, &settings).said.outcome, Outcome::Injected);
}

#[test]
fn egrets_own_pods_are_never_sent_through_themselves() {
    let mut pod = one(json!({}));
    assert_eq!(run_in("egret-system", &pod, &default_snapshot()).said.outcome, Outcome::NotSelected);
    pod["metadata"]["labels"] = json!({"app.kubernetes.io/name": "egret"});
    assert_eq!(run(&pod, &default_snapshot()).said.outcome, Outcome::NotSelected);
}

#[test]
fn the_picture_of_a_static_pod_is_left_alone() {
    let mut pod = one(json!({}));
    pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "abc"});
    assert_eq!(run(&pod, &default_snapshot()).said.patch, Vec::new());
}

#[test]
fn a_variable_in_one_case_alone_is_pointed_out() {
    let after =
        run(&one(json!({"env": [{"name": "HTTP_PROXY", "value": "http://corp:1"}]})), &default_snapshot());
    assert!(after.said.warnings[0].contains("curl, git and wget"), "{:?}", after.said.warnings);
}

#[test]
fn containers_that_are_to_be_skipped_are() {
    let skip = vec![egret_core::pattern::Glob::new("istio-*").unwrap()];
    let settings = snapshot(vec![CompiledProxy { skip_containers: skip, ..proxy("default") }]);
    let after = run(&pod(json!([{"name": "istio-proxy"}, {"name": "app"}])), &settings);
    assert_eq!(after.pod["spec"]["containers"][0], json!({"name": "istio-proxy"}));
    assert_eq!(env(&after.pod["spec"]["containers"][1], "HTTP_PROXY"), Some(PROXY));
}

#[test]
fn java_options_stand_behind_the_pods_own_which_win() {
    let settings = snapshot(vec![CompiledProxy { java: true, ..proxy("default") }]);
    let own = one(json!({"env": [{"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx1g -Dhttps.proxyHost=corp"}]}));
    let after = run(&own, &settings);
    let options = env(app(&after), "JAVA_TOOL_OPTIONS").unwrap();
    assert!(options.starts_with(
        "-Xmx1g -Dhttps.proxyHost=corp -Dhttp.proxyHost=egret.egret-system.svc -Dhttp.proxyPort=8888 "
    ));
    assert!(!options.contains("-Dhttps.proxyPort"), "{options}");
    assert!(options.contains("-Dhttp.nonProxyHosts=*.svc|10.96.*|127.*|[::1]|localhost|svc"), "{options}");
    assert!(options.ends_with("-Djavax.net.ssl.trustStore=/etc/egret/ca/ca-bundle.p12 -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=changeit"));
    assert_eq!(run(&after.pod, &settings).said.patch, Vec::new());
}

#[test]
fn all_proxy_is_given_only_where_it_is_asked_for() {
    assert_eq!(env(app(&run(&one(json!({})), &default_snapshot())), "ALL_PROXY"), None);
    let settings = snapshot(vec![CompiledProxy { all_proxy: true, ..proxy("default") }]);
    assert_eq!(env(app(&run(&one(json!({})), &settings)), "all_proxy"), Some(PROXY));
}

#[test]
fn a_pod_that_cannot_be_read_is_left_as_it_is_with_a_warning() {
    for object in [
        json!({}),
        json!({"spec": {"containers": 5}}),
        json!([]),
        json!({"spec": null}),
        json!({"spec": {"containers": [{"name": {}}]}}),
    ] {
        let after = run(&object, &default_snapshot());
        assert_eq!((after.said.outcome, after.said.patch.len()), (Outcome::Doubtful, 0), "{object}");
        assert_eq!(after.said.warnings.len(), 1);
    }
}

#[test]
fn warnings_stay_within_what_the_api_server_passes_on() {
    let containers: Vec<Value> = (0..60)
        .map(|n| json!({"name": format!("c{n}-\n{}", "x".repeat(300)), "env": [{"name": "HTTP_PROXY", "value": "x"}]}))
        .collect();
    let after = run(&pod(json!(containers)), &default_snapshot());
    assert_eq!(after.said.warnings.len(), MAX_WARNINGS);
    assert!(after.said.warnings.last().unwrap().contains("more of the kind"));
}

#[test]
fn a_value_with_the_sign_of_a_reference_is_passed_on_as_it_is() {
    let odd = CompiledProxy::new("default", 1, "http://u:$(x)@egret:1", Injected::default());
    let after = run(&one(json!({})), &snapshot(vec![odd]));
    assert_eq!(env(app(&after), "HTTP_PROXY"), Some("http://u:$$(x)@egret:1"));
    assert_eq!(env(app(&after), "NO_PROXY"), None);
    assert_eq!(
        run(
            &after.pod,
            &snapshot(vec![CompiledProxy::new("default", 1, "http://u:$(x)@egret:1", Injected::default())])
        )
        .said
        .patch,
        Vec::new()
    );
}
