//! What the node's programs are to be told.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use http::Uri;
use ipnet::IpNet;

use super::args::InstallArgs;
use super::error::NodeError;
use super::root::Root;

/// What no node reaches through a proxy: itself, the metadata services of clouds, and names within the cluster.
const ALWAYS_DIRECT: [&str; 8] = [
    "localhost",
    "127.0.0.1",
    "127.0.0.0/8",
    "169.254.169.254",
    "168.63.129.16",
    "metadata.google.internal",
    ".svc",
    ".cluster.local",
];

/// Where the kubelet's kubeconfig is, by whoever made the node: kubeadm, EKS and others, AKS, GKE.
const KUBECONFIGS: [&str; 4] = [
    "/etc/kubernetes/kubelet.conf",
    "/var/lib/kubelet/kubeconfig",
    "/etc/kubernetes/kubelet/kubeconfig",
    "/etc/kubernetes/bootstrap-kubelet.conf",
];

/// The proxy for the node's programs.
#[derive(Debug)]
pub(super) struct Proxy {
    /// For http://.
    pub http: String,
    /// For https://.
    pub https: String,
    /// What is reached directly, sorted.
    pub direct: Vec<String>,
    /// What is worth a word.
    pub warnings: Vec<String>,
}

impl Proxy {
    /// From the command line and the kubelet's kubeconfig; `None` when there is no proxy to be set.
    pub(super) fn of(args: &InstallArgs, root: &Root) -> Result<Option<Self>, NodeError> {
        let Some(first) = args.http_proxy.as_ref().or(args.https_proxy.as_ref()) else { return Ok(None) };
        let http = proxy_url("--http-proxy", first)?;
        let https = proxy_url("--https-proxy", args.https_proxy.as_ref().unwrap_or(first))?;
        let mut warnings = Vec::new();
        if http.starts_with("https://") || https.starts_with("https://") {
            warnings.push(
                "wget, apt and Python's urllib do not speak TLS to a proxy: an https:// URL of the proxy fails \
                 with them"
                    .to_owned(),
            );
        }
        let mut direct: BTreeSet<String> = ALWAYS_DIRECT.map(str::to_owned).into();
        for term in args.no_proxy.iter().map(|term| term.trim()).filter(|term| !term.is_empty()) {
            direct.extend(no_proxy(term, &mut warnings)?);
        }
        match api_server(root) {
            Some(host) => direct.extend([host]),
            None => warnings.push(
                "no kubeconfig of a kubelet can be read here: name the API server in --no-proxy, or the kubelet \
                 goes through the proxy to reach it"
                    .to_owned(),
            ),
        }
        Ok(Some(Self { http, https, direct: direct.into_iter().collect(), warnings }))
    }

    /// The variables, in both cases: programs differ in which they read.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let direct = self.direct.join(",");
        vec![
            ("HTTP_PROXY", self.http.clone()),
            ("http_proxy", self.http.clone()),
            ("HTTPS_PROXY", self.https.clone()),
            ("https_proxy", self.https.clone()),
            ("NO_PROXY", direct.clone()),
            ("no_proxy", direct),
        ]
    }
}

/// A proxy's URL as every program reads it: scheme, host and port.
fn proxy_url(flag: &str, text: &str) -> Result<String, NodeError> {
    let refused = |what: &str| NodeError::Usage(format!("{flag}: {what}, as in http://10.0.0.5:8888"));
    let uri: Uri = text.trim().parse().map_err(|_| refused("this is no URL; write one"))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    if !matches!(scheme, "http" | "https") {
        return Err(refused("the URL has to begin with http:// (or https://)"));
    }
    let authority = uri.authority().ok_or_else(|| refused("the URL has no host"))?;
    // Whoever is on the node can read these files.
    if authority.as_str().contains('@') {
        return Err(refused(
            "the URL has a user name or password, which everybody on the node could read: let the proxy know \
             nodes by their addresses, and leave it out",
        ));
    }
    if authority.port_u16().is_none() {
        return Err(refused("the URL has no port, and programs disagree about the default: write it"));
    }
    if uri.path_and_query().is_some_and(|rest| !matches!(rest.as_str(), "/" | "")) {
        return Err(refused("the URL of a proxy has no path: leave it out"));
    }
    Ok(format!("{scheme}://{authority}"))
}

/// The forms in which a term is written, so that every program takes it for what it means.
fn no_proxy(term: &str, warnings: &mut Vec<String>) -> Result<Vec<String>, NodeError> {
    let bare = term.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(term);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![address.to_string()]);
    }
    if let Ok(network) = bare.parse::<IpNet>() {
        if matches!(network, IpNet::V6(_)) {
            warnings.push(format!("{term} is left out: programs written with httpx end with an error at it"));
            return Ok(Vec::new());
        }
        return Ok(vec![network.trunc().to_string()]);
    }
    let name = term.strip_prefix("*.").or_else(|| term.strip_prefix('.')).unwrap_or(term);
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_name = !name.is_empty()
        && name.split('.').all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        });
    if !is_name || name.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(NodeError::Usage(format!(
            "--no-proxy: {term:?} is no host, domain, address or network: write them as in \
             corp.example,.corp.example,10.0.0.0/8"
        )));
    }
    if name == term {
        return Ok(vec![name]);
    }
    // Some clients take `.example.com` for the names below alone, others for the name itself as well.
    Ok(vec![format!(".{name}"), name])
}

/// The host of the API server that the kubelet speaks to.
fn api_server(root: &Root) -> Option<String> {
    let texts = KUBECONFIGS.iter().filter_map(|path| root.look(path));
    let mut servers = texts.filter_map(|text| {
        let server =
            text.lines().find_map(|line| line.trim().trim_start_matches("- ").strip_prefix("server:"))?;
        let uri: Uri = server.trim().trim_matches(['"', '\'']).parse().ok()?;
        Some(uri.host()?.trim_matches(['[', ']']).to_owned())
    });
    servers.next()
}

/// The certificates of a PEM file, each by itself as it is written into a trust store.
pub(super) fn ca(path: &Path) -> Result<Vec<String>, NodeError> {
    let cas = egret_tls::files::load_cas(path).map_err(|error| NodeError::Usage(format!("--ca: {error}")))?;
    Ok(cas.iter().map(egret_tls::files::certificate_pem).collect())
}
