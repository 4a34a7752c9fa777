//! A network of its own, with a proxy, origins and clients in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use egret_testkit::tools::{client, dependencies, of_python, python, succeed};
use serde_json::{Value, json};

/// What a client is run in.
#[derive(Debug, Default)]
pub(crate) struct Lab {
    /// Its variables.
    pub(crate) environment: BTreeMap<String, String>,
    /// What it asks for, one after the other.
    pub(crate) urls: Vec<String>,
    /// Addresses of this machine.
    pub(crate) addresses: Vec<&'static str>,
    /// Names, and the addresses they have.
    pub(crate) names: Vec<(String, &'static str)>,
    /// Files that are there for the client: where, and what.
    pub(crate) files: Vec<(String, PathBuf)>,
    /// Addresses where TLS is served, with certificate and key.
    pub(crate) tls: BTreeMap<&'static str, (PathBuf, PathBuf)>,
}

/// A file beside these tests.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

impl Lab {
    /// Runs a client, which must not fail, and says which way each URL went.
    pub(crate) fn run(&self, name: &str, command: &[&str]) -> BTreeMap<String, String> {
        let place = tempfile::tempdir().unwrap();
        let plan = json!({
            "environment": self.environment,
            "urls": self.urls,
            "clients": {name: command},
            "tls": self.tls,
        });
        std::fs::write(place.path().join("plan.json"), plan.to_string()).unwrap();
        let names: String = self.names.iter().map(|(name, address)| format!("{address} {name}\n")).collect();
        std::fs::write(place.path().join("hosts"), format!("127.0.0.1 localhost\n{names}")).unwrap();
        let mut script = "set -e; ip link set lo up\n".to_owned();
        for address in &self.addresses {
            script += &format!("ip address add {address}/32 dev lo\n");
        }
        // A copy, so that files can be added for this client alone; what may not be read is not needed.
        script += "cp -a /etc \"$1/etc\" 2> /dev/null || true\ncp \"$1/hosts\" \"$1/etc/hosts\"\n";
        for (path, from) in &self.files {
            let path = format!("$1{path}");
            script += &format!(
                "mkdir -p \"$(dirname \"{path}\")\"; rm -f \"{path}\"; cp {} \"{path}\"\n",
                from.display()
            );
        }
        script += "mount --bind \"$1/etc\" /etc\nexec python3 \"$0\" \"$1/plan.json\"\n";
        let mut lab = client("unshare");
        lab.args(["--user", "--map-root-user", "--net", "--mount", "sh", "-c", &script]);
        lab.arg(file("lab.py")).arg(place.path());
        // What this machine itself is told to trust is nothing to the client.
        for variable in egret_kube::inject::VARIABLES {
            lab.env_remove(variable.name);
        }
        lab.env_remove("SSL_CERT_DIR").env_remove("JAVA_TOOL_OPTIONS");
        if let Ok(modules) = dependencies().join("node_modules").canonicalize() {
            lab.env("NODE_PATH", modules);
        }
        let results: Value = serde_json::from_str(&succeed(&mut lab)).unwrap();
        let result = &results[name];
        // git finds no repository there, and says so.
        assert!(
            result["status"] == 0 || name == "git",
            "{name}: {}",
            result["output"].as_str().unwrap_or_default()
        );
        serde_json::from_value(result["ways"].clone()).unwrap()
    }
}

/// Every client, and how it is run. `go` is built for it.
pub(crate) fn command(name: &str, place: &Path) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    let script = |name: &str| file(name).to_str().unwrap().to_owned();
    match name {
        "curl" => words(&["curl", "--silent", "--show-error", "--fail", "--globoff", "--max-time", "20"]),
        "wget" => words(&["wget", "--quiet", "--output-document=-", "--timeout=20", "--tries=1"]),
        "git" => words(&["sh", "-c", "for url; do git ls-remote \"$url\"; done", "git"]),
        "undici" | "axios" => words(&["node", &script("get.cjs"), name]),
        "java-url" | "java-client" => {
            words(&["java", "-XX:TieredStopAtLevel=1", &script("Get.java"), name.trim_start_matches("java-")])
        }
        "go" => {
            let program = place.join("get");
            let mut build = client(of_python("go"));
            build
                .env("GOCACHE", std::env::temp_dir().join("egret-test-go-cache"))
                .env("GOTOOLCHAIN", "local")
                .env("GO111MODULE", "off")
                .args(["build", "-o"])
                .arg(&program)
                .arg(file("get.go"));
            succeed(&mut build);
            words(&[program.to_str().unwrap()])
        }
        library => {
            // Not resolved to where it points: an interpreter finds its packages by its own name.
            let python = python().parent().unwrap().canonicalize().unwrap().join("python");
            words(&[python.to_str().unwrap(), &script("get.py"), library])
        }
    }
}
