//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use egret_config::Overrides;

use crate::ca::CaArgs;
use crate::certs::CertsArgs;
use crate::controller::ControllerArgs;
use crate::flows::FlowsArgs;
use crate::import::ImportArgs;
use crate::netpol::NetpolArgs;
use crate::node::NodeArgs;
use crate::policy::PolicyArgs;

/// Egret, a strict and fast HTTP proxy for outbound traffic.
///
/// Without a command it runs `egret proxy`: clients use http://127.0.0.1:8888 as their HTTP proxy, for
/// http:// and https:// alike; metrics and health are at http://127.0.0.1:9090. `egret proxy --help` lists
/// the settings.
#[derive(Debug, Parser)]
#[command(name = "egret", version, about, long_about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy; `egret` alone does the same with the defaults and the environment
    Proxy(Box<ProxyArgs>),
    /// Check configuration files and objects of a cluster: every error at once, exit status 1 if there is one
    Check(CheckArgs),
    /// Print what a configuration file may hold: schema, reference or example
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make certificates for TLS to the proxy, look at them, renew them
    Certs(Box<CertsArgs>),
    /// Run the controller of a cluster: injection into pods, NO_PROXY, CAs, status
    Controller(Box<ControllerArgs>),
    /// Show, export and change the CA that signs for origins when TLS is intercepted
    Ca(Box<CaArgs>),
    /// Add, check, remove and list the users of an htpasswd file
    #[command(subcommand)]
    Users(UsersCommand),
    /// Look at captured flows, follow them, export them, send requests again
    Flows(Box<FlowsArgs>),
    /// Test, explain, suggest, backtest and lint policies
    Policy(Box<PolicyArgs>),
    /// Print the definitions of the custom resources, for `kubectl apply --server-side -f -`
    Crds,
    /// Make an EgressProxy out of what AKS, OpenShift or Banzai's Istio operator call their proxy
    Import(ImportArgs),
    /// Write NetworkPolicies that make the proxy the only way out of namespaces
    Netpol(Box<NetpolArgs>),
    /// Make a node's container runtime, kubelet, apt and shells use the proxy, and trust its CA
    Node(Box<NodeArgs>),
    /// Print why requests are refused or fail: the table of reason codes, in Markdown
    Reasons,
}

/// `egret config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the JSON Schema, for editors
    Schema,
    /// Print the reference of all fields, in Markdown
    Reference,
    /// Print a configuration file with every field and its default
    Example,
}

/// `egret users`.
#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Add a user, or give one a new password; the file is made if there is none
    Add(AddUserArgs),
    /// Check a user's password: exit status 1 when it is wrong
    Verify(VerifyUserArgs),
    /// Remove a user
    Remove(RemoveUserArgs),
    /// List the users and how their passwords are hashed
    List(ListUsersArgs),
}

/// `egret users add`.
#[derive(Debug, Args)]
pub(crate) struct AddUserArgs {
    /// The htpasswd file
    pub file: PathBuf,
    /// The user's name
    pub user: String,
    /// Read the password from the first line of standard input instead of asking for it
    #[arg(long)]
    pub password_stdin: bool,
    /// How the password is hashed
    #[arg(long, value_enum, default_value = "bcrypt")]
    pub hash: Hash,
    /// Cost of bcrypt, 4 to 17; one more takes twice the time to check, and to guess
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(4..=17))]
    pub cost: u32,
}

/// `egret users verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyUserArgs {
    /// The htpasswd file
    pub file: PathBuf,
    /// The user's name
    pub user: String,
    /// Read the password from the first line of standard input instead of asking for it
    #[arg(long)]
    pub password_stdin: bool,
}

/// `egret users remove`.
#[derive(Debug, Args)]
pub(crate) struct RemoveUserArgs {
    /// The htpasswd file
    pub file: PathBuf,
    /// The user's name
    pub user: String,
}

/// `egret users list`.
#[derive(Debug, Args)]
pub(crate) struct ListUsersArgs {
    /// The htpasswd file
    pub file: PathBuf,
    /// A file of groups (`authentication.groupsFile`): the list has the groups of each user then
    #[arg(long, value_name = "FILE")]
    pub groups_file: Option<PathBuf>,
    /// How the list is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// How a password is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Hash {
    /// bcrypt: every program that reads htpasswd files knows it
    Bcrypt,
    /// Argon2id: harder to guess, but Apache and nginx do not know it
    Argon2,
}

/// `egret check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The files (YAML), each checked by itself: configurations, or policies and EgressProxy objects of a cluster
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// How errors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: each error with its line
    Text,
    /// For programs: a JSON array of errors, empty when the file is valid
    Json,
}

/// `egret proxy`.
#[derive(Debug, Default, Args)]
pub(crate) struct ProxyArgs {
    /// Configuration file (YAML); a flag wins over what the file says
    #[arg(long, short, value_name = "FILE", env = "EGRET_CONFIG")]
    pub config: Option<PathBuf>,
    /// IP address and port that clients connect to; repeat it for more [default: 127.0.0.1:8888]
    #[arg(long, value_name = "ADDR", env = "EGRET_LISTEN", value_delimiter = ',')]
    pub listen: Vec<String>,
    /// Speak mutual TLS, with the ca.crt, server.crt and server.key of this directory, on 127.0.0.1:8443 or
    /// where --listen says; `egret certs init DIR` makes them
    #[arg(long, value_name = "DIR", env = "EGRET_MTLS")]
    pub mtls: Option<PathBuf>,
    /// IP address and port for metrics and health, or `off` [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR|off", env = "EGRET_ADMIN")]
    pub admin: Option<String>,
    /// IP address and port for the web console, or `off` [default: 127.0.0.1:8081, or off with a configuration
    /// file that does not name it]
    #[arg(long, value_name = "ADDR|off", env = "EGRET_CONSOLE")]
    pub console: Option<String>,
    /// Name server to ask instead of those in /etc/resolv.conf; repeat it for more
    #[arg(long, value_name = "ADDR", env = "EGRET_DNS", value_delimiter = ',')]
    pub dns: Vec<String>,
    /// PEM file with CAs to trust besides the usual ones, for the https:// origins that Egret itself connects to
    #[arg(long, value_name = "FILE", env = "EGRET_UPSTREAM_CA")]
    pub upstream_ca: Option<PathBuf>,
    /// Parent proxy to send everything through (http://, https:// or socks5:// URL with a port); repeat it
    /// for fallbacks, first choice first
    #[arg(long, value_name = "URL", env = "EGRET_PARENT", hide_env_values = true, value_delimiter = ',')]
    pub parent: Vec<String>,
    /// Destinations to reach directly and not through a parent, as in NO_PROXY: `.corp.example,10.0.0.0/8`
    #[arg(long, value_name = "LIST", env = "EGRET_NO_PROXY")]
    pub no_proxy: Option<String>,
    /// Allow only these hosts: `example.com`, `*.example.com` (one label), `**.example.com` (any depth);
    /// repeat it, or separate them with commas
    #[arg(long, value_name = "HOST", env = "EGRET_ALLOW_HOST", value_delimiter = ',')]
    pub allow_host: Vec<String>,
    /// Deny these hosts, in the same form; wins over --allow-host
    #[arg(long, value_name = "HOST", env = "EGRET_DENY_HOST", value_delimiter = ',')]
    pub deny_host: Vec<String>,
    /// File of users and password hashes (htpasswd): clients have to send a user name and its password;
    /// `egret users add FILE USER` makes one
    #[arg(long, value_name = "FILE", env = "EGRET_HTPASSWD")]
    pub htpasswd: Option<PathBuf>,
    /// Look inside TLS: every tunnel is opened, unless a rule says `tls: Tunnel`, with certificates of a CA that is
    /// made at the first start. The lines at the start say how clients come to trust it
    #[arg(long, env = "EGRET_INTERCEPT")]
    pub intercept: bool,
    /// Where access lines go: `stdout`, `off`, or the path of a file [default: stdout]
    #[arg(long, value_name = "WHERE", env = "EGRET_ACCESS_LOG")]
    pub access_log: Option<String>,
    /// Format of access lines: json, common, combined, squid or logfmt [default: json]
    #[arg(long, value_name = "FORMAT", env = "EGRET_LOG_FORMAT")]
    pub log_format: Option<String>,
    /// How much is kept of flows, for the console and `egret flows`: None, Headers or Bodies [default: None]
    #[arg(long, value_name = "MODE", env = "EGRET_CAPTURE")]
    pub capture: Option<String>,
    /// How much the proxy says about itself on standard error: error, warn, info, debug or trace
    /// [default: info]
    #[arg(long, value_name = "LEVEL", env = "EGRET_LOG_LEVEL")]
    pub log_level: Option<String>,
    /// Format of what it says there: text or json [default: text]
    #[arg(long, value_name = "FORMAT", env = "EGRET_DIAGNOSTICS_FORMAT")]
    pub diagnostics_format: Option<String>,
    /// Directory for what has to survive a restart: the instance's name in `Via`, the CA of interception, and flows
    #[arg(long, value_name = "DIR", env = "EGRET_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// How long requests and tunnels may take to end after SIGTERM, as in 5m [default: 25s]
    #[arg(long, value_name = "DURATION", env = "EGRET_DRAIN_TIMEOUT")]
    pub drain_timeout: Option<String>,
    /// Worker threads; 0 is one for each core [default: 0]
    #[arg(long, value_name = "N", env = "EGRET_WORKERS")]
    pub workers: Option<u32>,
    /// File to write once the proxy is ready: JSON with its addresses and process id
    #[arg(long, value_name = "FILE", env = "EGRET_READY_FILE")]
    pub ready_file: Option<PathBuf>,
    /// Do not print the lines at the start
    #[arg(long, short)]
    pub quiet: bool,
}

impl ProxyArgs {
    /// What stands in place of the configuration file's settings.
    #[must_use]
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            listen: self.listen.clone(),
            mtls: self.mtls.clone(),
            admin: self.admin.clone(),
            console: self.console.clone(),
            dns: self.dns.clone(),
            upstream_ca: self.upstream_ca.clone(),
            parents: self.parent.clone(),
            no_proxy: self.no_proxy.clone(),
            allow_hosts: self.allow_host.clone(),
            deny_hosts: self.deny_host.clone(),
            htpasswd: self.htpasswd.clone(),
            log_level: self.log_level.clone(),
            log_format: self.diagnostics_format.clone(),
            access_log: self.access_log.clone(),
            access_log_format: self.log_format.clone(),
            capture: self.capture.clone(),
            intercept: self.intercept,
            workers: self.workers,
            drain_timeout: self.drain_timeout.clone(),
        }
    }
}

impl ProxyArgs {
    /// What `egret` without a command line runs with: what the environment says.
    #[must_use]
    pub(crate) fn parse_environment() -> Self {
        match Cli::parse_from(["egret", "proxy"]).command {
            Some(Command::Proxy(args)) => *args,
            _ => Self::default(),
        }
    }
}
