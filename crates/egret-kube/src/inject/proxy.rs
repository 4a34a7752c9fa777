//! One `EgressProxy`, as injection reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use egret_core::pattern::Glob;
use egret_core::policy::Selector;

use super::trust::Trust;
use crate::no_proxy::{Injected, MergeRule, java};

/// Labels, in the form that selectors read.
pub type Labels = Vec<(Arc<str>, Arc<str>)>;

/// Labels from those of an object.
#[must_use]
pub fn labels(map: &BTreeMap<String, String>) -> Labels {
    map.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}

/// What pods are given by one `EgressProxy`.
#[derive(Clone, Debug)]
pub struct CompiledProxy {
    /// Its name.
    pub name: String,
    /// Its generation.
    pub generation: i64,
    /// The lower number goes first where several select a pod.
    pub priority: i32,
    /// `HTTP_PROXY`.
    pub http_proxy: Option<String>,
    /// `HTTPS_PROXY`.
    pub https_proxy: Option<String>,
    /// `NO_PROXY`.
    pub no_proxy: Injected,
    /// The same for Java.
    pub non_proxy_hosts: String,
    /// Whether the six variables are given.
    pub variables: bool,
    /// Whether `ALL_PROXY` is given as well.
    pub all_proxy: bool,
    /// Whether Node is told to read them.
    pub node: bool,
    /// Whether Java is told in its own way.
    pub java: bool,
    /// What is trusted, and how it gets into pods.
    pub trust: Option<Trust>,
    /// Whether ephemeral containers are given anything.
    pub ephemeral_containers: bool,
    /// Containers that are left alone.
    pub skip_containers: Vec<Glob>,
    /// What becomes of a pod's own `NO_PROXY`.
    pub existing_no_proxy: MergeRule,
    /// Whether pods in their node's network are given anything.
    pub host_network: bool,
    /// Whether pods for Windows are.
    pub windows: bool,
    /// Which namespaces; `None` for all.
    pub namespaces: Option<Selector>,
    /// Which pods; `None` for all.
    pub pods: Option<Selector>,
}

impl CompiledProxy {
    /// One for all pods with the defaults of `EgressProxy`, for `http://` and `https://` URLs alike.
    #[must_use]
    pub fn new(name: &str, generation: i64, proxy: &str, no_proxy: Injected) -> Self {
        Self {
            name: name.to_owned(),
            generation,
            priority: 1000,
            http_proxy: Some(proxy.to_owned()),
            https_proxy: Some(proxy.to_owned()),
            non_proxy_hosts: java::non_proxy_hosts(no_proxy.entries().iter().map(String::as_str)),
            no_proxy,
            variables: true,
            all_proxy: false,
            node: true,
            java: false,
            trust: None,
            ephemeral_containers: true,
            skip_containers: Vec::new(),
            existing_no_proxy: MergeRule::Merge,
            host_network: false,
            windows: false,
            namespaces: None,
            pods: None,
        }
    }

    /// Whether it selects a pod.
    #[must_use]
    pub fn selects(&self, namespace: &Labels, pod: &Labels) -> bool {
        let holds = |selector: &Option<Selector>, labels: &Labels| {
            selector.as_ref().is_none_or(|selector| selector.matches(labels))
        };
        holds(&self.namespaces, namespace) && holds(&self.pods, pod)
    }
}
