//! A controller in this process, and a cluster for it.

use std::time::Duration;

use egret_kube::controller::{
    Access, CERTIFICATE_DAYS, Controller, LeaseTimes, Settings, Status, WEBHOOKS, connect,
};
use egret_testkit::ApiServer;
use egret_testkit::wait::wait_until;
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const NAMESPACE: &str = "egret-system";

/// An API server with the custom resources, and what every cluster has.
pub(crate) fn cluster() -> ApiServer {
    let server = ApiServer::start();
    for definition in egret_kube::crd::definitions() {
        server.put(definition.object);
    }
    for name in [NAMESPACE, "default", "shop"] {
        namespace(&server, name, json!({}));
    }
    server
}

pub(crate) fn namespace(server: &ApiServer, name: &str, labels: Value) {
    let mut labels = labels;
    labels["kubernetes.io/metadata.name"] = name.into();
    server.put(json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels },
        "status": { "phase": "Active" },
    }));
}

/// An EgressProxy of this generation: it is changed until the API server has counted so far.
pub(crate) fn proxy(server: &ApiServer, name: &str, generation: i64, spec: Value) {
    let put = |spec: Value| {
        let status = object(server, name)["status"].clone();
        let status = if status.is_null() { json!({}) } else { status };
        server.put(json!({
            "apiVersion": "egret.dev/v1alpha1", "kind": "EgressProxy",
            "metadata": { "name": name }, "spec": spec, "status": status,
        }));
    };
    let counted = || object(server, name)["metadata"]["generation"].as_i64().unwrap_or(0);
    while counted() < generation - 1 {
        let mut other = spec.clone();
        other["priority"] = (2000 + counted()).into();
        put(other);
    }
    put(spec);
    assert_eq!(counted(), generation);
}

pub(crate) fn spec() -> Value {
    json!({ "httpProxy": "http://egret.egret-system.svc.cluster.local:8888" })
}

pub(crate) fn object(server: &ApiServer, name: &str) -> Value {
    server.object("egret.dev/v1alpha1", "egressproxies", "", name).unwrap_or_default()
}

/// A condition's status and reason.
pub(crate) fn condition(object: &Value, kind: &str) -> (String, String) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

pub(crate) fn message(object: &Value, kind: &str) -> String {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default();
    found["message"].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn becomes(what: &str, mut is: impl FnMut() -> bool) {
    wait_until(what, PATIENCE, &mut is);
}

/// A running controller. Dropped, it dies as by a power failure; [`Running::end`] ends it in order.
pub(crate) struct Running {
    pub(crate) status: Status,
    stop: watch::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Running {
    pub(crate) fn start(server: &ApiServer, identity: &str) -> Self {
        Self::with(server, identity, |_| {})
    }

    pub(crate) fn with(server: &ApiServer, identity: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            namespace: NAMESPACE.to_owned(),
            service: "egret-controller".to_owned(),
            service_port: 443,
            listen: ([127, 0, 0, 1], 0).into(),
            webhook_url: None,
            webhook_cert: None,
            register: true,
            webhooks: WEBHOOKS.to_owned(),
            webhook_timeout: Duration::from_secs(5),
            identity: identity.to_owned(),
            lease: LeaseTimes {
                duration: Duration::from_secs(3),
                deadline: Duration::from_secs(2),
                retry: Duration::from_millis(300),
            },
            webhook_days: CERTIFICATE_DAYS,
        };
        change(&mut settings);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let access = Access { kubeconfig: Some(server.kubeconfig()), context: None };
        let (controller, listener) = runtime.block_on(async {
            let connected = connect(&access).await.unwrap();
            let listener = tokio::net::TcpListener::bind(settings.listen).await.unwrap();
            // The API server reaches the Service there.
            server.service_at(&settings.namespace, &settings.service, listener.local_addr().unwrap());
            (Controller::new(connected, settings).await.unwrap().0, listener)
        });
        let status = controller.status();
        let (stop, stopped) = watch::channel(false);
        let drain = watch::Sender::new(Duration::ZERO).subscribe();
        let handle = runtime.handle().clone();
        let thread = std::thread::spawn(move || {
            let task = handle.spawn(controller.run(listener, stopped, drain));
            // It is cancelled when the runtime goes.
            let _ = handle.block_on(task);
        });
        Self { status, stop, thread: Some(thread), runtime: Some(runtime) }
    }

    pub(crate) fn leads(&self) -> bool {
        self.status.leads()
    }

    pub(crate) fn becomes_ready(&self) {
        becomes("ready", || self.status.unready().is_none());
    }

    pub(crate) fn becomes_leader(&self) {
        becomes("leader", || self.leads());
    }

    /// A figure of the metrics, by the beginning of its line.
    pub(crate) fn metric(&self, start: &str) -> f64 {
        let text = self.status.metrics();
        let line = text.lines().find(|line| line.starts_with(start));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }

    pub(crate) fn end(mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
