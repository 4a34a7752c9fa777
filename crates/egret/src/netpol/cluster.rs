//! What the cluster says: its namespaces, and where its API server is.

use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::ListParams;

use super::args::NetpolArgs;
use crate::api_server::{self, failed};

/// Namespaces of the cluster itself. Without the network, what runs in them stops the cluster.
const OF_THE_CLUSTER: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// The label of namespaces that are not sent through the proxy.
const OPT_OUT: (&str, &str) = ("egret.dev/inject", "disabled");

/// What was asked of the cluster.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Namespaces to write policies for.
    pub namespaces: Vec<String>,
    /// Those that were left out, and why.
    pub left_out: Vec<(String, &'static str)>,
    /// Where the API server is.
    pub api_servers: Vec<(IpNet, u16)>,
}

/// Asks the cluster for what the command line wants to know of it.
pub(super) fn ask(args: &NetpolArgs) -> Result<Found, String> {
    if !args.all && !args.api_server {
        return Ok(Found::default());
    }
    api_server::ask(found(args))
}

async fn found(args: &NetpolArgs) -> Result<Found, String> {
    let client = api_server::client(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    let mut found = Found::default();
    if args.all {
        let list = Api::<Namespace>::all(client.clone()).list(&ListParams::default()).await;
        let list = list.map_err(|error| failed("list the namespaces", &error))?;
        for namespace in list {
            let name = namespace.metadata.name.clone().unwrap_or_default();
            match reason_to_leave_out(&namespace, &name, args) {
                Some(why) => found.left_out.push((name, why)),
                None => found.namespaces.push(name),
            }
        }
    }
    if args.api_server {
        let slices = Api::<EndpointSlice>::namespaced(client, "default");
        let of_service = ListParams::default().labels("kubernetes.io/service-name=kubernetes");
        let list = slices.list(&of_service).await;
        let list = list.map_err(|error| failed("read where the API server is", &error))?;
        for slice in list {
            let ports: Vec<i32> = slice.ports.iter().flatten().filter_map(|port| port.port).collect();
            let addresses = slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
            for address in addresses.filter_map(|address| address.parse::<IpAddr>().ok()) {
                let numbers = ports.iter().filter_map(|port| u16::try_from(*port).ok());
                found.api_servers.extend(numbers.map(|number| (IpNet::from(address), number)));
            }
        }
        found.api_servers.sort();
        found.api_servers.dedup();
        if found.api_servers.is_empty() {
            return Err("the cluster does not say where its API server is (the Service kubernetes has no \
                        EndpointSlice): name it with --allow-cidr"
                .to_owned());
        }
    }
    Ok(found)
}

fn reason_to_leave_out(namespace: &Namespace, name: &str, args: &NetpolArgs) -> Option<&'static str> {
    let label = namespace.metadata.labels.as_ref().and_then(|labels| labels.get(OPT_OUT.0));
    if name == args.proxy_namespace {
        return Some("the proxy's own");
    }
    if OF_THE_CLUSTER.contains(&name) {
        return Some("the cluster's own");
    }
    if args.exclude.iter().any(|excluded| excluded == name) {
        return Some("--exclude");
    }
    (label.map(String::as_str) == Some(OPT_OUT.1)).then_some("label egret.dev/inject: disabled")
}
