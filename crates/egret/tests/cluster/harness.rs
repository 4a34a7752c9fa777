//! The cluster of KUBECONFIG, what a test makes in it, and the controller.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::Request;
use kube::Client;
use serde_json::{Value, json};

/// How long something may take to become so.
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to the API server, and what is to be taken away at the end.
pub(crate) struct Cluster {
    runtime: tokio::runtime::Runtime,
    client: Client,
    /// In the names of everything that this test makes.
    pub(crate) tag: String,
    made: Mutex<Vec<String>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// What `kubectl` would print.
    pub(crate) warnings: Vec<String>,
}

impl Answer {
    pub(crate) fn ok(self) -> Value {
        assert!(self.status < 300, "{}: {:#}", self.status, self.body);
        self.body
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

impl Cluster {
    /// The cluster, if this is the suite for it; `None` in the default run, and says so.
    pub(crate) fn get(name: &str) -> Option<Self> {
        if std::env::var_os("EGRET_CLUSTER").is_none() {
            eprintln!("SKIPPED: {name} needs a cluster: KUBECONFIG=FILE ./test --cluster");
            return None;
        }
        assert!(std::env::var_os("KUBECONFIG").is_some(), "KUBECONFIG is not set");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(Client::try_default()).expect("the cluster of KUBECONFIG");
        let cluster = Self {
            runtime,
            client,
            tag: format!("egret-e2e-{name}-{:x}", std::process::id()),
            made: Mutex::default(),
        };
        cluster.install();
        Some(cluster)
    }

    /// The custom resources, as they are committed.
    fn install(&self) {
        for plural in ["egressproxies", "clusteregresspolicies", "egresspolicies"] {
            let path = format!("{}/../../deploy/crds/egret.dev_{plural}.yaml", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            let name = format!("{plural}.egret.dev");
            let url = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
            let query = "?fieldManager=egret-e2e&force=true";
            let answer = self.send("PATCH", &format!("{url}{query}"), "application/apply-patch+yaml", text);
            answer.ok();
            self.becomes(&name, || {
                let found = self.get_json(&url).body;
                let conditions = found["status"]["conditions"].as_array().cloned().unwrap_or_default();
                conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True")
            });
        }
    }

    pub(crate) fn send(&self, method: &str, path: &str, kind: &str, body: String) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", kind)
            .header("Accept", "application/json")
            .body(kube::client::Body::from(body.into_bytes()))
            .unwrap();
        self.runtime.block_on(async {
            let answer =
                tokio::time::timeout(PATIENCE, self.client.send(request)).await.expect("an answer in time");
            let answer = answer.expect("an answer");
            let status = answer.status().as_u16();
            let warnings = answer.headers().get_all("Warning").iter();
            let warnings = warnings.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect();
            let bytes = answer.into_body().collect_bytes().await.expect("a body");
            let body = serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
            Answer { status, body, warnings }
        })
    }

    pub(crate) fn get_json(&self, path: &str) -> Answer {
        self.send("GET", path, "application/json", String::new())
    }

    /// Makes an object in the collection at `path`, and takes it away at the end.
    pub(crate) fn create(&self, path: &str, object: &Value) -> Answer {
        let answer = self.send("POST", path, "application/json", object.to_string());
        let plain = path.split('?').next().unwrap_or(path);
        if answer.status < 300 && !path.contains("dryRun") {
            let name = answer.body["metadata"]["name"].as_str().unwrap_or_default();
            self.made.lock().unwrap().push(format!("{plain}/{name}"));
        }
        answer
    }

    pub(crate) fn merge(&self, path: &str, patch: &Value) -> Answer {
        self.send("PATCH", path, "application/merge-patch+json", patch.to_string())
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        let body = json!({ "gracePeriodSeconds": 0, "propagationPolicy": "Background" });
        self.send("DELETE", path, "application/json", body.to_string())
    }

    /// A namespace of this test, with a label that its EgressProxy selects.
    pub(crate) fn namespace(&self, suffix: &str, labels: Value) -> String {
        let name = format!("{}-{suffix}", self.tag);
        let mut labels = labels;
        labels["egret-e2e"] = self.tag.as_str().into();
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
        self.create("/api/v1/namespaces", &object).ok();
        // Pods need the default ServiceAccount, which a controller makes where there is one.
        let accounts = format!("/api/v1/namespaces/{name}/serviceaccounts");
        let began = Instant::now();
        while self.get_json(&format!("{accounts}/default")).status == 404 {
            if began.elapsed() > Duration::from_secs(5) {
                let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" } });
                let _ = self.create(&accounts, &account);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        name
    }

    /// An EgressProxy for the namespaces of this test.
    pub(crate) fn proxy(&self, suffix: &str, more: Value) -> String {
        let name = format!("{}-{suffix}", self.tag);
        let mut spec = json!({
            "httpProxy": "http://egret.egret-system.svc.cluster.local:8888",
            "namespaceSelector": { "matchLabels": { "egret-e2e": self.tag } },
        });
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        let object = json!({
            "apiVersion": "egret.dev/v1alpha1", "kind": "EgressProxy", "metadata": { "name": name }, "spec": spec,
        });
        self.create("/apis/egret.dev/v1alpha1/egressproxies", &object).ok();
        format!("/apis/egret.dev/v1alpha1/egressproxies/{name}")
    }

    pub(crate) fn becomes(&self, what: &str, is: impl Fn() -> bool) {
        let began = Instant::now();
        while !is() {
            assert!(began.elapsed() < PATIENCE, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// A condition's status and reason.
    pub(crate) fn condition(&self, path: &str, kind: &str) -> (String, String) {
        let object = self.get_json(path).body;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.into_iter().find(|one| one["type"] == kind).unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap());
        for path in made.iter().rev() {
            let _ = self.delete(path);
        }
        for plural in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
            let _ = self.delete(&format!("/apis/admissionregistration.k8s.io/v1/{plural}/{}", self.tag));
        }
    }
}

/// A running `egret controller`. Dropped, it is killed.
pub(crate) struct Controller {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Controller {
    /// Starts it for an installation in `namespace`, reached by the API server on loopback.
    pub(crate) fn start(cluster: &Cluster, namespace: &str, identity: &str) -> Self {
        // Nobody else takes it in this moment.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("https://127.0.0.1:{port}");
        let mut child = Command::new(env!("CARGO_BIN_EXE_egret"))
            .args(["controller", "--admin", "off", "--lease-duration", "4"])
            .args(["--namespace", namespace, "--identity", identity])
            .args(["--listen", &format!("127.0.0.1:{port}"), "--webhook-url", &url])
            .args(["--webhook-configuration", &cluster.tag])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, errors) = (said.clone(), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                eprintln!("controller: {line}");
                lines.lock().unwrap().push(line);
            }
        });
        Self { child, said }
    }

    pub(crate) fn has_said(&self, text: &str) -> bool {
        self.said.lock().unwrap().iter().any(|line| line.contains(text))
    }

    /// Waits until the API server asks it about pods.
    pub(crate) fn is_registered(&self, cluster: &Cluster) {
        cluster.becomes("registered", || self.has_said("registered the webhook kind=ValidatingWebhook"));
    }

    /// Kills it, as a power failure does.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pod with one container.
pub(crate) fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
        "spec": { "containers": [{ "name": "app", "image": "registry.invalid/app" }] },
    })
}

/// A variable of the first container.
pub(crate) fn variable(pod: &Value, name: &str) -> Option<String> {
    let env = pod["spec"]["containers"][0]["env"].as_array()?;
    let found = env.iter().find(|one| one["name"] == name)?;
    found["value"].as_str().map(str::to_owned)
}
