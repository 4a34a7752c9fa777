//! What tests hold: a running server, its switches and direct access to its objects.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::access::{Shared, State};
use super::resources::{self, Resource};
use super::review::{self, IssuedToken};
use super::store::Store;
use super::{serve, verbs};
use crate::ca::TestCa;
use crate::server::Server;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Called {
    /// The method.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The query, decoded: `name=value` joined by `&`.
    pub query: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// `Accept`.
    pub accept: String,
    /// The body.
    pub body: Value,
}

/// How an [`ApiServer`] is to be started.
#[derive(Debug)]
pub struct ApiServerBuilder<'a> {
    ca: Option<&'a TestCa>,
    address: String,
    state: State,
}

impl<'a> ApiServerBuilder<'a> {
    /// Speaks TLS with a certificate of this CA for `127.0.0.1`, `localhost` and `kubernetes.default.svc`.
    #[must_use]
    pub fn tls(mut self, ca: &'a TestCa) -> Self {
        self.ca = Some(ca);
        self
    }

    /// Lets a bearer token in as `user`; without any, everybody may come.
    #[must_use]
    pub fn token(mut self, token: &str, user: &str) -> Self {
        self.state.users.insert(token.to_owned(), user.to_owned());
        self
    }

    /// Listens at this loopback address instead of a free port, as after a restart.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address.to_string();
        self
    }

    /// Sends a bookmark this often (a real server: once a minute).
    #[must_use]
    pub fn bookmark_every(mut self, period: Duration) -> Self {
        self.state.bookmark_every = period;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When no socket can be had.
    #[must_use]
    pub fn start(self) -> ApiServer {
        let token = self.state.users.keys().next().cloned();
        let shared = Arc::new(Shared { state: Mutex::new(self.state), changed: Condvar::new() });
        let tls = self.ca.map(|ca| ca.server(&["127.0.0.1", "localhost", "kubernetes.default.svc"]));
        let served = shared.clone();
        let server = Server::start_on(&self.address, move |connection| {
            serve::connection(&served, connection, tls.clone());
        });
        let directory = tempfile::tempdir().unwrap();
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        let running = ApiServer { server, shared, scheme, directory };
        running.write_kubeconfig(token.as_deref(), self.ca.map(TestCa::pem).as_deref());
        running
    }
}

/// A running API server. Dropped, it takes no more connections and ends its watches.
#[derive(Debug)]
pub struct ApiServer {
    server: Server,
    shared: Arc<Shared>,
    scheme: &'static str,
    directory: TempDir,
}

impl ApiServer {
    /// Plain HTTP, nobody asked for a token.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// How it is to be started.
    #[must_use]
    pub fn builder<'a>() -> ApiServerBuilder<'a> {
        ApiServerBuilder {
            ca: None,
            address: "127.0.0.1:0".to_owned(),
            state: State {
                store: Store::new(),
                users: std::collections::BTreeMap::new(),
                forbidden: Vec::new(),
                failures: Vec::new(),
                issued: HashMap::new(),
                reviews: HashMap::new(),
                calls: Vec::new(),
                watch_epoch: 0,
                away: false,
                lingering_pods: false,
                without_watch_lists: false,
                bookmark_every: Duration::from_secs(60),
                services: std::collections::BTreeMap::new(),
                delay: Duration::ZERO,
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    fn write_kubeconfig(&self, token: Option<&str>, ca: Option<&Path>) {
        let mut cluster = json!({"server": self.url()});
        if let Some(ca) = ca {
            cluster["certificate-authority"] = json!(ca);
        }
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": token.map_or(json!({}), |t| json!({"token": t}))}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
        });
        // JSON is YAML.
        std::fs::write(self.kubeconfig(), format!("{config:#}\n")).unwrap();
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its URL, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    /// A kubeconfig file for it, with the first token; it lives as long as the server.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// Puts an object there as it is, status and all, as a controller's or kubelet's work would leave
    /// it; its namespace is made when it is missing. Returns it as stored.
    ///
    /// # Panics
    /// When no resource has its `apiVersion` and `kind`.
    pub fn put(&self, object: Value) -> Value {
        let mut state = self.state();
        let resource = state.store.resource_of(&object);
        let resource = resource.unwrap_or_else(|| panic!("no resource for {object}")).clone();
        let mut object = object;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let mut namespace = String::new();
        if resource.namespaced {
            namespace = object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
            object["metadata"]["namespace"] = json!(namespace);
            state.store.add_namespace(&namespace);
        }
        let key = Store::key(&resource, &namespace, &name);
        let stored = state.store.insert(&resource, key, object);
        drop(state);
        self.shared.changed.notify_all();
        (*stored).clone()
    }

    /// Changes an object in place, if it is there.
    pub fn change(
        &self,
        api_version: &str,
        plural: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) {
        let mut state = self.state();
        let (resource, key) = find(&state, api_version, plural, namespace, name);
        let Some(object) = state.store.objects.get(&key) else { return };
        let mut object = (**object).clone();
        change(&mut object);
        state.store.insert(&resource, key, object);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// An object as stored.
    #[must_use]
    pub fn object(&self, api_version: &str, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let state = self.state();
        let (_, key) = find(&state, api_version, plural, namespace, name);
        state.store.objects.get(&key).map(|o| (**o).clone())
    }

    /// All objects of a resource, in one namespace or (empty) in all.
    #[must_use]
    pub fn objects(&self, api_version: &str, plural: &str, namespace: &str) -> Vec<Value> {
        let state = self.state();
        let (resource, _) = find(&state, api_version, plural, namespace, "");
        let version = state.store.version;
        state.store.list(&resource, namespace, version).iter().map(|o| (**o).clone()).collect()
    }

    /// Removes an object at once, whatever its finalizers. Returns whether it was there.
    pub fn remove(&self, api_version: &str, plural: &str, namespace: &str, name: &str) -> bool {
        let mut state = self.state();
        let (_, key) = find(&state, api_version, plural, namespace, name);
        let removed = state.store.remove(&key).is_some();
        drop(state);
        self.shared.changed.notify_all();
        removed
    }

    /// Leaves a namespace in the phase `Terminating`.
    pub fn terminate_namespace(&self, name: &str) {
        self.change("v1", "namespaces", "", name, |namespace| {
            namespace["metadata"]["deletionTimestamp"] = json!(super::store::now());
            namespace["status"]["phase"] = json!("Terminating");
        });
    }

    /// Serves one more resource, with every verb and a status, for kinds that the recorded server lacks.
    pub fn serve_resource(&self, group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) {
        let resource = resources::extra(group, version, plural, kind, namespaced);
        self.state().store.resources.push(resource);
    }

    /// Serves a group and version no longer, as an older server would.
    pub fn without_group(&self, group: &str, version: &str) {
        self.state().store.resources.retain(|r| !(r.group == group && r.version == version));
    }

    /// Ends every watch that runs, in the middle of the stream.
    pub fn drop_watches(&self) {
        self.state().watch_epoch += 1;
        self.shared.changed.notify_all();
    }

    /// Forgets the past: watches from an older version get `410`, as after a restart or compaction.
    pub fn compact(&self) {
        let mut state = self.state();
        // A change that nobody watches lies between what clients know and what is left.
        state.store.version += 1;
        state.store.floor = state.store.version;
    }

    /// While away, it closes every connection without an answer and ends the watches.
    pub fn set_away(&self, away: bool) {
        let mut state = self.state();
        state.away = away;
        state.watch_epoch += 1;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Pods that are deleted stay with a `deletionTimestamp` until [`ApiServer::remove`], as under a kubelet.
    pub fn set_lingering_pods(&self, lingering: bool) {
        self.state().lingering_pods = lingering;
    }

    /// Refuses `sendInitialEvents` with `422`, as a server without the feature WatchList does.
    pub fn without_watch_lists(&self) {
        self.state().without_watch_lists = true;
    }

    /// Waits so long before every answer.
    pub fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Answers `403` from now on, as without RBAC; `*` stands for any verb, group or resource.
    pub fn forbid(&self, verb: &str, group: &str, plural: &str) {
        self.state().forbidden.push((verb.to_owned(), group.to_owned(), plural.to_owned()));
    }

    /// Takes back every [`ApiServer::forbid`].
    pub fn permit_all(&self) {
        self.state().forbidden.clear();
    }

    /// Answers the next request of this verb and resource with a status and body.
    pub fn fail_next(&self, verb: &str, plural: &str, status: u16, body: Value) {
        self.state().failures.push((verb.to_owned(), plural.to_owned(), status, body));
    }

    /// Answers a TokenReview of `token` with this `status`, word for word.
    pub fn token_review(&self, token: &str, status: Value) {
        self.state().reviews.insert(token.to_owned(), status);
    }

    /// Issues a service-account token as TokenRequest does; with a pod it is bound to that pod.
    ///
    /// # Panics
    /// When the service account or the pod is not there.
    #[must_use]
    pub fn issue_token(
        &self,
        namespace: &str,
        account: &str,
        audiences: &[&str],
        pod: Option<&str>,
    ) -> String {
        let audiences = audiences.iter().map(ToString::to_string).collect();
        review::issue(&mut self.state(), namespace, account, audiences, pod)
            .unwrap_or_else(|failure| panic!("no token: {}", failure.body))
    }

    /// Lets an issued token be valid no longer.
    pub fn revoke_token(&self, token: &str) {
        if let Some(issued) = self.state().issued.get_mut(token) {
            IssuedToken::revoke(issued);
        }
    }

    /// Where webhooks that name this Service are called.
    pub fn service_at(&self, namespace: &str, name: &str, address: SocketAddr) {
        self.state().services.insert(format!("{namespace}/{name}"), address);
    }

    /// Every request so far, in the order they came.
    #[must_use]
    pub fn calls(&self) -> Vec<Called> {
        self.state().calls.clone()
    }

    /// How many requests of a method came to paths that end so.
    #[must_use]
    pub fn count(&self, method: &str, path_end: &str) -> usize {
        self.state().calls.iter().filter(|c| c.method == method && c.path.ends_with(path_end)).count()
    }

    /// How many watches of a resource were begun.
    #[must_use]
    pub fn watches(&self, plural: &str) -> usize {
        let calls = &self.state().calls;
        let watched = |c: &&Called| c.path.ends_with(&format!("/{plural}")) && c.query.contains("watch=");
        calls.iter().filter(watched).count()
    }

    /// The version of the last change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state().store.version
    }
}

fn find(
    state: &State,
    api_version: &str,
    plural: &str,
    namespace: &str,
    name: &str,
) -> (Resource, super::store::Key) {
    let (group, version) = verbs::group_and_version(api_version);
    let resource = state.store.resource(group, version, plural);
    let resource = resource.unwrap_or_else(|| panic!("no resource {plural} in {api_version}")).clone();
    let key = Store::key(&resource, namespace, name);
    (resource, key)
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if let Ok(mut state) = self.shared.state.lock() {
            state.away = true;
            state.watch_epoch += 1;
        }
        self.shared.changed.notify_all();
    }
}
