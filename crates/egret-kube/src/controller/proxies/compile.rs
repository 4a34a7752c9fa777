//! From EgressProxies and what is known of the cluster to what the webhook decides by.

use std::collections::HashMap;
use std::sync::Arc;

use egret_config::file::{EgressProxySpec, ExistingNoProxy, SkipOrInject};
use egret_config::values::WorkloadProxy;
use kube::ResourceExt as _;

use super::{InForce, in_force, ordered};
use crate::controller::bundle::cluster::{bundle_name, own_name};
use crate::controller::facts::Facts;
use crate::controller::select::compiled;
use crate::controller::settings::CA_NAME;
use crate::inject::{CompiledProxy, Snapshot, Trust, TrustVolume, WELL_KNOWN_PATHS, labels};
use crate::no_proxy::{ClusterFacts, EffectiveNoProxy, Injected, MergeRule, Wanted, compute, java};

/// Everything that injection is decided by. `projected`: whether pods can project ClusterTrustBundles.
pub(crate) fn snapshot(facts: &Facts, own_namespace: &str, projected: bool) -> Snapshot {
    let of_cluster = facts.of_cluster();
    let proxies = ordered(facts);
    let proxies = proxies.iter().filter(|proxy| proxy.metadata.deletion_timestamp.is_none());
    let proxies = proxies
        .filter_map(|proxy| Some((proxy.name(), in_force(proxy)?)))
        .filter(|(_, force)| force.spec.enabled)
        .map(|(name, force)| Arc::new(proxy(name, &force, &of_cluster, projected)))
        .collect();
    let namespaces = facts.namespaces.store.state();
    let namespaces: HashMap<_, _> =
        namespaces.iter().map(|namespace| (namespace.name_any(), labels(namespace.labels()))).collect();
    Snapshot::new(proxies, Arc::new(namespaces), own_namespace.to_owned())
}

fn proxy(name: &str, force: &InForce, facts: &ClusterFacts, projected: bool) -> CompiledProxy {
    let spec = &force.spec;
    let no_proxy = Injected::new(&no_proxy(spec, facts));
    let url = |proxy: Option<&WorkloadProxy>| proxy.map(|proxy| proxy.as_str().to_owned());
    CompiledProxy {
        name: name.to_owned(),
        generation: force.generation,
        priority: spec.priority,
        http_proxy: url(spec.proxy_for_http()),
        https_proxy: url(spec.proxy_for_https()),
        non_proxy_hosts: java::non_proxy_hosts(no_proxy.entries().iter().map(String::as_str)),
        no_proxy,
        variables: spec.inject.variables,
        all_proxy: spec.inject.all_proxy,
        node: spec.inject.node,
        java: spec.inject.java,
        trust: trust(name, spec, projected),
        ephemeral_containers: spec.inject.ephemeral_containers,
        skip_containers: spec.inject.skip_containers.iter().map(|name| name.0.clone()).collect(),
        existing_no_proxy: match spec.existing_no_proxy {
            ExistingNoProxy::Merge => MergeRule::Merge,
            ExistingNoProxy::Keep => MergeRule::Keep,
            ExistingNoProxy::Replace => MergeRule::Replace,
        },
        host_network: spec.host_network == SkipOrInject::Inject,
        windows: spec.windows == SkipOrInject::Inject,
        namespaces: spec.namespace_selector.as_ref().map(compiled),
        pods: spec.pod_selector.as_ref().map(compiled),
    }
}

fn trust(name: &str, spec: &EgressProxySpec, projected: bool) -> Option<Trust> {
    if !spec.inject.ca_trust || spec.trusted_ca.is_none() {
        return None;
    }
    let volume = match projected {
        true => TrustVolume::ClusterTrustBundles {
            bundle: bundle_name(name),
            own: own_name(name),
            config_map: Some(CA_NAME.to_owned()),
        },
        false => TrustVolume::ConfigMap { name: CA_NAME.to_owned() },
    };
    let over_paths = match spec.inject.well_known_paths {
        true => WELL_KNOWN_PATHS.map(str::to_owned).to_vec(),
        false => Vec::new(),
    };
    Some(Trust { volume, over_paths })
}

/// The effective NO_PROXY.
pub(crate) fn no_proxy(spec: &EgressProxySpec, facts: &ClusterFacts) -> EffectiveNoProxy {
    let computed = &spec.computed_no_proxy;
    let wanted = Wanted {
        user: spec.no_proxy.iter().map(|entry| entry.0.clone()).collect(),
        localhost: computed.localhost,
        cluster_domains: computed.cluster_domains,
        cluster_domain: spec.cluster_domain.as_ref().map(|domain| domain.0.clone()),
        service_networks: computed.service_networks,
        pod_networks: computed.pod_networks,
        node_networks: computed.node_networks,
        api_server: computed.api_server,
        metadata_addresses: computed.metadata_addresses,
        cloud: computed.cloud,
        except: computed.except.iter().map(|entry| entry.0.clone()).collect(),
        ..Wanted::default()
    };
    compute(facts, &wanted)
}
