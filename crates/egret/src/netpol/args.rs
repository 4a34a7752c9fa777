//! The command line of `egret netpol`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

/// `egret netpol`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["namespaces", "namespace", "all"]))]
pub(crate) struct NetpolArgs {
    /// Namespaces to write policies for
    #[arg(value_name = "NAMESPACE", value_parser = name)]
    pub namespaces: Vec<String>,
    /// The same by a flag; repeat it, or separate them with commas
    #[arg(long, short, value_name = "NAME", value_delimiter = ',', value_parser = name)]
    pub namespace: Vec<String>,
    /// Write one for every namespace of the cluster, but for the proxy's own, kube-system and its like, and those
    /// that have opted out (`egret.dev/inject: disabled`)
    #[arg(long)]
    pub all: bool,
    /// With --all, not for these; repeat it, or separate them with commas
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "all", value_parser = name)]
    pub exclude: Vec<String>,
    /// The kubeconfig file by which --all and --api-server ask the cluster [default: KUBECONFIG, the pod's service
    /// account, or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of that file [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Which traffic within the cluster stays allowed
    #[arg(long, value_enum, value_name = "WHICH", default_value = "none")]
    pub in_cluster: InCluster,
    /// Network or address that stays allowed besides, on all ports: a database outside of the cluster, a DNS cache
    /// on the node (169.254.20.10/32); repeat it, or separate them with commas
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    pub allow_cidr: Vec<IpNet>,
    /// Keep the API server reachable, at the addresses that the cluster says it has
    #[arg(long)]
    pub api_server: bool,
    /// The proxy's namespace
    #[arg(long, value_name = "NAME", default_value = "egret-system", value_parser = name)]
    pub proxy_namespace: String,
    /// Labels of the proxy's pods; repeat it, or separate them with commas
    #[arg(
        long,
        value_name = "KEY=VALUE",
        value_delimiter = ',',
        default_values = ["app.kubernetes.io/name=egret", "app.kubernetes.io/component=proxy"],
        value_parser = label
    )]
    pub proxy_label: Vec<(String, String)>,
    /// Ports of the proxy's pods; repeat it, or separate them with commas
    #[arg(long, value_name = "PORT", value_delimiter = ',', default_values = ["8888", "8443"],
          value_parser = clap::value_parser!(u16).range(1..))]
    pub proxy_port: Vec<u16>,
    /// The namespace of the cluster's DNS
    #[arg(long, value_name = "NAME", default_value = "kube-system", value_parser = name)]
    pub dns_namespace: String,
    /// Labels of its pods [default: k8s-app=kube-dns]
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',', default_values = ["k8s-app=kube-dns"],
          value_parser = label)]
    pub dns_label: Vec<(String, String)>,
    /// Ports of its pods (OpenShift's has 5353)
    #[arg(long, value_name = "PORT", value_delimiter = ',', default_values = ["53"],
          value_parser = clap::value_parser!(u16).range(1..))]
    pub dns_port: Vec<u16>,
}

/// Which traffic within the cluster stays allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InCluster {
    /// None but for DNS and the proxy
    None,
    /// That to pods of the same namespace
    Namespace,
    /// That to pods of all namespaces
    Cluster,
}

/// A DNS label (RFC 1123), as names of namespaces are.
fn name(text: &str) -> Result<String, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = (1..=63).contains(&text.len())
        && text.starts_with(is_inner)
        && text.ends_with(is_inner)
        && text.chars().all(|c| is_inner(c) || c == '-');
    if good {
        return Ok(text.to_owned());
    }
    Err("a namespace's name has 1 to 63 lower-case letters, digits and dashes, and no dash at its ends"
        .to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    let net = text.parse::<IpNet>().or_else(|_| address());
    net.map(|net| net.trunc()).map_err(|_| "write an address or a network, as in 10.1.0.0/16".to_owned())
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write a label as KEY=VALUE")?;
    let is_ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if key.is_empty()
        || !key.chars().all(|c| is_ok(c) || c == '/')
        || !value.chars().all(is_ok)
        || value.len() > 63
    {
        return Err(
            "labels have letters, digits, dashes, underscores and dots; keys may have a prefix before /"
                .into(),
        );
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_no_namespace_has() {
        for good in ["a", "team-a", "7up", &"x".repeat(63)] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a b", "ä", &"x".repeat(64)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn takes_an_address_for_a_network_of_one() {
        assert_eq!(network("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert_eq!(network("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
        assert!(network("10.1").is_err());
    }
}
