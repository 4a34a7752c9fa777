//! The command line of `egret flows`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `egret flows`.
#[derive(Debug, Args)]
pub(crate) struct FlowsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: FlowsCommand,
    /// Where the flows are.
    #[command(flatten)]
    pub from: FromArgs,
}

/// Where the flows are: with a proxy that runs, or in what it has written.
#[derive(Debug, Args)]
pub(crate) struct FromArgs {
    /// URL of the proxy's console [default: http://127.0.0.1:8081]
    #[arg(long, global = true, value_name = "URL", env = "EGRET_CONSOLE_URL")]
    pub console: Option<String>,
    /// File with the console's token; by default `console-token` in the state directory
    #[arg(long, global = true, value_name = "FILE", env = "EGRET_CONSOLE_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// State directory of the proxy
    #[arg(long, global = true, value_name = "DIR", env = "EGRET_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// Read the flows that a proxy with `flows: {persistent: true}` has written, without asking it: its state
    /// directory, or the flows.db in it
    #[arg(long, global = true, value_name = "PATH", conflicts_with_all = ["console", "token_file"])]
    pub store: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum FlowsCommand {
    /// Follow flows as they come, until Ctrl-C
    Tail(TailArgs),
    /// List flows, the newest last
    List(ListArgs),
    /// Show all of one flow: heads, bodies, timings, TLS, why it was decided so
    Show(ShowArgs),
    /// Write flows as HAR 1.2, or one as a curl command
    Export(ExportArgs),
    /// Send a request again, with changes; it passes policy like any other
    Replay(ReplayArgs),
}

/// `egret flows tail`.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Which flows, as in `host:api.example.com status:>=500` or `~d example.com ~m POST`
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,
    /// How each is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
    /// End after so many flows
    #[arg(long, value_name = "N")]
    pub count: Option<usize>,
}

/// `egret flows list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Which flows, as in `host:api.example.com status:>=500` or `~d example.com ~m POST`
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,
    /// How many at most
    #[arg(long, short = 'n', value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub limit: u32,
    /// How each is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// `egret flows show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The flow's id
    pub id: String,
    /// How it is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

/// `egret flows export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Write HAR 1.2 to this file; `-` is standard output
    #[arg(long, value_name = "FILE", required_unless_present = "curl", conflicts_with = "curl")]
    pub har: Option<PathBuf>,
    /// Print the request of this flow as a curl command
    #[arg(long, value_name = "ID")]
    pub curl: Option<String>,
    /// This flow and no other; repeat it for more
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with_all = ["filter", "curl"])]
    pub id: Vec<String>,
    /// Which flows, as in `host:api.example.com status:>=500`; all by default
    #[arg(value_name = "FILTER", conflicts_with = "curl")]
    pub filter: Vec<String>,
}

/// `egret flows replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The flow's id; more than one for several requests, with the same changes
    #[arg(required = true, value_name = "ID")]
    pub id: Vec<String>,
    /// A change, as in `method=PUT`, `url=http://staging.example/`, `header.X-Debug=1`, `header.Cookie=` to leave
    /// a header field out, or `body=TEXT`; repeat it for more
    #[arg(long, value_name = "WHAT=VALUE")]
    pub change: Vec<String>,
    /// Another method
    #[arg(long, short = 'X', value_name = "METHOD")]
    pub method: Option<String>,
    /// Another URL
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// A header field, as in `Name: value`, in place of those of its name; repeat it for more
    #[arg(long, short = 'H', value_name = "FIELD")]
    pub header: Vec<String>,
    /// A header field to leave out; repeat it for more
    #[arg(long, value_name = "NAME")]
    pub remove_header: Vec<String>,
    /// Another body; `@FILE` reads it from a file, `@-` from standard input
    #[arg(long, short = 'd', value_name = "TEXT")]
    pub body: Option<String>,
    /// Send what was captured of a body that was cut off, as if it were all of it
    #[arg(long)]
    pub allow_truncated: bool,
}

/// How flows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs: one JSON object on each line
    Json,
}
