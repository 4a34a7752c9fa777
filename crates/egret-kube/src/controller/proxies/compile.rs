//! From an EgressProxy's settings to what is computed from them.

use egret_config::file::EgressProxySpec;

use crate::no_proxy::{ClusterFacts, EffectiveNoProxy, Wanted, compute};

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
