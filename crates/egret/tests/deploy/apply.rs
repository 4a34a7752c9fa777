//! `kubectl apply -k` against an API server: everything is made at the first try, and nothing changes at the second.

use egret_testkit::ApiServer;

use super::*;

fn apply(api: &ApiServer, arguments: &[&str]) -> String {
    let mut command = client(of_python("kubectl"));
    // kubectl keeps what it discovers, by the server's address.
    let cache = tempfile::tempdir().unwrap();
    command.arg("--cache-dir").arg(cache.path()).arg("--kubeconfig").arg(api.kubeconfig());
    // The schemas are held against it elsewhere; this server has none to offer.
    command.args(["apply", "--server-side", "--validate=false"]).args(arguments).current_dir(root());
    succeed(&mut command)
}

#[test]
fn one_command_makes_everything_and_a_second_time_nothing() {
    for directory in ["deploy/tunnel", "deploy/intercept", "deploy/mtls", "deploy/"] {
        let api = ApiServer::start();
        let expected = kustomized(directory.trim_start_matches("deploy/").trim_end_matches('/')).len();
        let said = apply(&api, &["-k", directory]);
        assert_eq!(
            said.lines().filter(|line| line.ends_with("serverside-applied")).count(),
            expected,
            "{said}"
        );
        let before: Vec<Value> =
            ["deployments", "daemonsets"].iter().flat_map(|kind| api.objects("apps/v1", kind, "")).collect();
        assert!(!before.is_empty());
        apply(&api, &["-k", directory]);
        let after: Vec<Value> =
            ["deployments", "daemonsets"].iter().flat_map(|kind| api.objects("apps/v1", kind, "")).collect();
        assert_eq!(after, before, "{directory}");
    }
}

#[test]
fn the_examples_can_be_applied_once_the_kinds_are_there() {
    let api = ApiServer::start();
    apply(&api, &["-k", "deploy/"]);
    apply(&api, &["-f", "deploy/cluster/examples"]);
    assert_eq!(api.objects("egret.dev/v1alpha1", "egressproxies", "").len(), 1);
    assert_eq!(api.objects("egret.dev/v1alpha1", "clusteregresspolicies", "").len(), 1);
}
