//! The command line of `egret node`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `egret node`.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: NodeCommand,
}

/// The commands of `egret node`.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// Write what makes the node's programs use the proxy and trust its CA; without --apply, show it
    Install(InstallArgs),
    /// Take it away again, and put back what was there before; without --apply, show it
    Remove(RemoveArgs),
    /// Say what is installed, and change nothing
    Show(ShowArgs),
}

/// What is to be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Target {
    /// The container runtime, which pulls images: a drop-in of its systemd unit
    Containerd,
    /// Docker, which pulls images: `proxies` in its daemon.json
    Docker,
    /// The kubelet: a drop-in of its systemd unit
    Kubelet,
    /// apt, where the node has it
    Apt,
    /// /etc/environment, for Helm, kubectl, curl and all else that people and jobs start
    #[value(alias = "helm", alias = "env")]
    Environment,
    /// The node's trust store, with --ca
    #[value(alias = "ca")]
    Trust,
}

impl Target {
    /// All, in the order in which they are shown.
    pub(super) const ALL: [Self; 6] =
        [Self::Containerd, Self::Docker, Self::Kubelet, Self::Apt, Self::Environment, Self::Trust];

    /// Its name on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Docker => "docker",
            Self::Kubelet => "kubelet",
            Self::Apt => "apt",
            Self::Environment => "environment",
            Self::Trust => "trust",
        }
    }
}

/// Which node, and which of its programs.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// These alone; repeat it, or separate them with commas [default: all that the node can have]
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub only: Vec<Target>,
    /// Directory that holds the node's files, as in an image or in a container with the node's root mounted
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}

/// Whether files are changed.
#[derive(Debug, Args)]
pub(crate) struct Mode {
    /// Change files. Without it nothing is
    #[arg(long, conflicts_with = "dry_run")]
    pub apply: bool,
    /// Only show what would change, which is the default
    #[arg(long)]
    pub dry_run: bool,
}

/// `egret node install`.
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The proxy's URL for http:// (and for https://, without --https-proxy), as in http://10.0.0.5:8888. The
    /// node must reach it without the cluster's DNS
    #[arg(long, value_name = "URL", visible_alias = "proxy")]
    pub http_proxy: Option<String>,
    /// The proxy's URL for https:// [default: that of --http-proxy]
    #[arg(long, value_name = "URL")]
    pub https_proxy: Option<String>,
    /// What is reached without the proxy, besides the node itself, metadata services, `.svc`, `.cluster.local`
    /// and the API server of the kubelet's kubeconfig; repeat it, or separate them with commas
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub no_proxy: Vec<String>,
    /// PEM file with the CA that the node is to trust: what `egret ca export` prints
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Which node, and which of its programs.
    #[command(flatten)]
    pub place: Where,
    /// Whether files are changed.
    #[command(flatten)]
    pub mode: Mode,
}

/// `egret node remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Which node, and which of its programs.
    #[command(flatten)]
    pub place: Where,
    /// Whether files are changed.
    #[command(flatten)]
    pub mode: Mode,
}

/// `egret node show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Which node, and which of its programs.
    #[command(flatten)]
    pub place: Where,
}
