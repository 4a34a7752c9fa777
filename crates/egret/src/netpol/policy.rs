//! The policies.

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::args::{InCluster, NetpolArgs};

/// What every policy is called.
pub(super) const NAME: &str = "egret-is-the-only-way-out";

/// Labels by which all of them are found again.
const LABELS: [(&str, &str); 2] =
    [("app.kubernetes.io/managed-by", "egret-netpol"), ("app.kubernetes.io/part-of", "egret")];

/// A NetworkPolicy that leaves the pods of a namespace no way out but the proxy. `api_servers` are addresses and
/// ports that stay reachable.
pub(super) fn policy(namespace: &str, args: &NetpolArgs, api_servers: &[(IpNet, u16)]) -> Value {
    let mut egress = vec![
        json!({
            "to": [pods(&args.dns_namespace, &args.dns_label)],
            "ports": args.dns_port.iter().flat_map(|number| [port("UDP", *number), port("TCP", *number)])
                .collect::<Value>(),
        }),
        json!({
            "to": [pods(&args.proxy_namespace, &args.proxy_label)],
            "ports": args.proxy_port.iter().map(|number| port("TCP", *number)).collect::<Value>(),
        }),
    ];
    match args.in_cluster {
        InCluster::None => {}
        InCluster::Namespace => egress.push(json!({ "to": [{ "podSelector": {} }] })),
        InCluster::Cluster => egress.push(json!({ "to": [{ "namespaceSelector": {} }] })),
    }
    if !args.allow_cidr.is_empty() {
        egress.push(json!({ "to": args.allow_cidr.iter().map(block).collect::<Value>() }));
    }
    for (network, number) in api_servers {
        egress.push(json!({ "to": [block(network)], "ports": [port("TCP", *number)] }));
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": { "name": NAME, "namespace": namespace, "labels": labels(LABELS) },
        "spec": { "podSelector": {}, "policyTypes": ["Egress"], "egress": egress },
    })
}

fn labels<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Value {
    let pairs = pairs.into_iter().map(|(key, value)| (key.into(), Value::String(value.into())));
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn pods(namespace: &str, pod_labels: &[(String, String)]) -> Value {
    json!({
        "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } },
        "podSelector": { "matchLabels": labels(pod_labels.iter().cloned()) },
    })
}

fn port(protocol: &str, number: u16) -> Value {
    json!({ "protocol": protocol, "port": number })
}

fn block(network: &IpNet) -> Value {
    json!({ "ipBlock": { "cidr": network.to_string() } })
}
