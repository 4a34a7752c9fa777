//! `deploy/` on the real API server: taken as it is by every cluster, and walked through where there is a kubelet that
//! has the image.

use std::path::{Path, PathBuf};
use std::process::Command;

use egret_testkit::tools::kubectl;
use serde_json::{Value, json};

use super::harness::Cluster;

const MODES: [&str; 4] = ["tunnel", "intercept", "mtls", "cluster"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs a line of a README.
fn shell(line: &str) -> String {
    let program = format!("{}:{}", kubectl().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("timeout")
        .args(["300", "sh", "-c", line])
        .env("PATH", program)
        .current_dir(root())
        .output()
        .unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{line}\n{out}{error}");
    eprintln!("$ {line}\n{out}{error}");
    out.into_owned()
}

#[test]
fn every_mode_is_taken_with_strict_validation() {
    let Some(cluster) = Cluster::get("manifests") else { return };
    let namespace = cluster.namespace("deploy", json!({}));
    for mode in MODES {
        // Somebody may be running the real one: this is a dry run, in a namespace of its own.
        let overlay = tempfile::tempdir_in(root().join("deploy")).unwrap();
        let text = format!("namespace: {namespace}\nresources: [../{mode}]\n");
        std::fs::write(overlay.path().join("kustomization.yaml"), text).unwrap();
        let path = overlay.path().display();
        let said = shell(&format!(
            "kubectl apply --server-side --force-conflicts --dry-run=server --validate=strict -k {path}"
        ));
        assert!(said.contains("deployment.apps/egret serverside-applied"), "{mode}: {said}");
    }
    let examples = root().join("deploy/cluster/examples");
    shell(&format!("kubectl apply --dry-run=server --validate=strict -f {}", examples.display()));
}

/// Whether a kubelet has the image; its name stands in the manifests.
fn has_image(cluster: &Cluster) -> bool {
    let nodes = cluster.get_json("/api/v1/nodes").body;
    let image = format!("egret-proxy/egret:{}", env!("CARGO_PKG_VERSION"));
    let nodes = nodes["items"].as_array().cloned().unwrap_or_default();
    nodes.iter().any(|node| node["status"]["images"].to_string().contains(&image))
}

#[test]
fn the_walk_throughs_end_with_the_line_that_they_show() {
    let Some(cluster) = Cluster::get("walkthroughs") else { return };
    if !has_image(&cluster) {
        eprintln!("SKIPPED: no node has the image; the READMEs in deploy/ say how it gets there");
        return;
    }
    assert_eq!(
        cluster.get_json("/api/v1/namespaces/egret-system").status,
        404,
        "Egret is installed in this cluster, and the walk-throughs would take it away"
    );
    for mode in MODES {
        let text = std::fs::read_to_string(root().join("deploy").join(mode).join("README.md")).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("$ "));
        let lines: Vec<&str> = lines.filter(|line| line.starts_with("kubectl")).collect();
        let result = std::panic::catch_unwind(|| {
            let said: Vec<String> = lines.iter().map(|line| shell(line)).collect();
            let (request, log) = (&said[said.len() - 2], &said[said.len() - 1]);
            assert!(request.contains("200"), "{mode}: {request}");
            let record = log.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
            let record = record.unwrap_or_else(|| panic!("{mode}: no line in {log}"));
            assert_eq!(record["status"], 200, "{mode}: {record}");
        });
        for line in [
            "kubectl delete pod curl --ignore-not-found --now",
            "kubectl delete namespace shop --ignore-not-found",
            "kubectl delete -k deploy/tunnel --ignore-not-found",
            "kubectl delete namespace egret-system --ignore-not-found",
        ] {
            shell(line);
        }
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    }
}
