//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use egret_config::Overrides;

/// The egress proxy for Kubernetes, and for a laptop.
///
/// Without a command it is `egret proxy`: it listens on 127.0.0.1:8888, and metrics and health are on
/// 127.0.0.1:9090.
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
    /// Run the proxy
    Proxy(Box<ProxyArgs>),
    /// Check a configuration file and show every error at once
    Check(CheckArgs),
    /// Print what the configuration file may hold
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the table of reason codes, in Markdown
    Reasons,
}

/// `egret config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// The JSON Schema, for editors
    Schema,
    /// The reference, in Markdown
    Reference,
    /// An example with every field and its default
    Example,
}

/// `egret check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The file
    pub file: PathBuf,
    /// How errors are written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// How errors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// A JSON array
    Json,
}

/// `egret proxy`.
#[derive(Debug, Default, Args)]
pub(crate) struct ProxyArgs {
    /// Configuration file (YAML); flags win over what it says
    #[arg(long, short, value_name = "FILE", env = "EGRET_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address to listen on; may stand more than once [default: 127.0.0.1:8888]
    #[arg(long, value_name = "ADDR", env = "EGRET_LISTEN", value_delimiter = ',')]
    pub listen: Vec<String>,
    /// Address for metrics and health, or `off` [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR|off", env = "EGRET_ADMIN")]
    pub admin: Option<String>,
    /// Name server to ask instead of those of /etc/resolv.conf; may stand more than once
    #[arg(long, value_name = "ADDR", env = "EGRET_DNS", value_delimiter = ',')]
    pub dns: Vec<String>,
    /// PEM file of further CAs that origins may be signed by
    #[arg(long, value_name = "FILE", env = "EGRET_UPSTREAM_CA")]
    pub upstream_ca: Option<PathBuf>,
    /// Parent proxy (http, https or socks5 URL); several stand in for each other
    #[arg(long, value_name = "URL", env = "EGRET_PARENT", hide_env_values = true, value_delimiter = ',')]
    pub parent: Vec<String>,
    /// Destinations that go direct and not through a parent, in NO_PROXY's form
    #[arg(long, value_name = "LIST", env = "EGRET_NO_PROXY")]
    pub no_proxy: Option<String>,
    /// Allow only these hosts (name, *.suffix, **.suffix); may stand more than once
    #[arg(long, value_name = "HOST", env = "EGRET_ALLOW_HOST", value_delimiter = ',')]
    pub allow_host: Vec<String>,
    /// Deny these hosts; may stand more than once
    #[arg(long, value_name = "HOST", env = "EGRET_DENY_HOST", value_delimiter = ',')]
    pub deny_host: Vec<String>,
    /// Where access lines go: `stdout`, `off`, or a file
    #[arg(long, value_name = "WHERE", env = "EGRET_ACCESS_LOG")]
    pub access_log: Option<String>,
    /// Format of access lines: json, common, combined, squid or logfmt
    #[arg(long, value_name = "FORMAT", env = "EGRET_LOG_FORMAT")]
    pub log_format: Option<String>,
    /// How much is said on standard error: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", env = "EGRET_LOG_LEVEL")]
    pub log_level: Option<String>,
    /// Format of what is said on standard error: text or json
    #[arg(long, value_name = "FORMAT", env = "EGRET_DIAGNOSTICS_FORMAT")]
    pub diagnostics_format: Option<String>,
    /// Directory for what has to survive a restart (now: the name in Via)
    #[arg(long, value_name = "DIR", env = "EGRET_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Worker threads, 0 for one a core
    #[arg(long, value_name = "N", env = "EGRET_WORKERS")]
    pub workers: Option<u32>,
    /// File that is written when the proxy is ready: JSON with its addresses and process id
    #[arg(long, value_name = "FILE", env = "EGRET_READY_FILE")]
    pub ready_file: Option<PathBuf>,
    /// Say nothing at the start
    #[arg(long, short)]
    pub quiet: bool,
}

impl ProxyArgs {
    /// What stands in place of the configuration file's settings.
    #[must_use]
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            listen: self.listen.clone(),
            admin: self.admin.clone(),
            dns: self.dns.clone(),
            upstream_ca: self.upstream_ca.clone(),
            parents: self.parent.clone(),
            no_proxy: self.no_proxy.clone(),
            allow_hosts: self.allow_host.clone(),
            deny_hosts: self.deny_host.clone(),
            log_level: self.log_level.clone(),
            log_format: self.diagnostics_format.clone(),
            access_log: self.access_log.clone(),
            access_log_format: self.log_format.clone(),
            workers: self.workers,
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
