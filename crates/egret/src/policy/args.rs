//! The command line of `egret policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::backtest::Threshold;

/// `egret policy`.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: PolicyCommand,
}

/// The commands of `egret policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Run the tests that stand beside policies: exit status 1 when one fails, 2 when they cannot be run
    Test(TestArgs),
    /// Say where somebody may go and why: every rule that is considered, and the final word
    Explain(ExplainArgs),
    /// Write the smallest reasonable allow list for the flows of access records
    Suggest(SuggestArgs),
    /// Say which flows of the past policies would deny or allow now: exit status 1 above a threshold
    Backtest(BacktestArgs),
    /// Look for rules that do not do what their author thinks: exit status 1 when there are errors
    Lint(LintArgs),
}

impl PolicyCommand {
    pub(super) fn wants_json(&self) -> bool {
        match self {
            Self::Test(args) => args.format == Output::Json,
            Self::Explain(args) => args.format == Output::Json,
            Self::Suggest(args) => args.format == SuggestOutput::Json,
            Self::Backtest(args) => args.format == Output::Json,
            Self::Lint(args) => args.format == LintOutput::Json,
        }
    }
}

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// What happens where no policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DefaultArg {
    /// The flow may go on
    #[value(alias = "Allow")]
    Allow,
    /// The flow is refused
    #[value(alias = "Deny")]
    Deny,
}

/// `egret policy test`.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Files with tests (YAML); docs/policy-testing.md says how they are written
    #[arg(required_unless_present = "schema")]
    pub files: Vec<PathBuf>,
    /// Test these policies instead of those that the files name: a configuration, or a file or directory
    /// with policies alone; repeat it for more
    #[arg(long, value_name = "FILE", visible_alias = "config")]
    pub policies: Vec<PathBuf>,
    /// Write the results as JUnit XML too
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Name the tests that pass too
    #[arg(long, short)]
    pub verbose: bool,
    /// Print the JSON Schema of files with tests, for editors, and do nothing else
    #[arg(long)]
    pub schema: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Output,
}

/// `egret policy explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Where to: https://host/ (a tunnel), http://host/path (a plain request), or host:port (a tunnel)
    pub url: String,
    /// Who: `user=alice,group=payments,ip=10.1.2.3,spiffe=spiffe://td/ns/web/sa/cart,namespace=web,`
    /// `serviceAccount=cart,podLabel.app=cart`; repeat it for more
    #[arg(long = "as", value_name = "WHO")]
    pub who: Vec<String>,
    /// The policies: a configuration, or a file or directory with policies alone; repeat it for more
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "EGRET_CONFIG",
        required = true,
        visible_alias = "policies",
        value_delimiter = ','
    )]
    pub config: Vec<PathBuf>,
    /// What happens where no policy decides, for files with policies alone [default: allow]
    #[arg(long, value_enum)]
    pub default: Option<DefaultArg>,
    /// The method of the request
    #[arg(long, short = 'X', value_name = "METHOD")]
    pub method: Option<String>,
    /// A header field of the request, as in `x-team: web`; repeat it for more
    #[arg(long, short = 'H', value_name = "FIELD")]
    pub header: Vec<String>,
    /// The length of the request's body in bytes
    #[arg(long, value_name = "BYTES")]
    pub body_length: Option<u64>,
    /// An address that the name resolves to; repeat it for more. Without one, rules on addresses are not
    /// known
    #[arg(long, value_name = "IP", visible_alias = "ip", value_delimiter = ',')]
    pub address: Vec<String>,
    /// The time, as in 2026-11-21T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Exit status 1 when it is denied
    #[arg(long)]
    pub exit_code: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Output,
}

/// How a suggestion is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SuggestOutput {
    /// A configuration with `default: Deny` and the policies
    #[value(alias = "text")]
    Yaml,
    /// Policies alone, as documents for `policyFiles` or a cluster
    Documents,
    /// For programs: what was seen, and the policies
    Json,
}

/// What identities are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// The user, else the certificate's name, else namespace and service account, else the address
    Auto,
    /// The user; what has none is left out
    User,
    /// The name in the client's certificate
    Certificate,
    /// The namespace and the service account
    Namespace,
    /// The client's address
    Address,
    /// Nothing: one allow list for everybody
    None,
}

/// Which flows become rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flows {
    /// Those that reached their destination
    Successful,
    /// Those that failed on the way too
    All,
}

/// The mode of what is suggested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// It decides
    #[value(alias = "Enforce")]
    Enforce,
    /// It only says what it would deny
    #[value(alias = "Audit")]
    Audit,
}

/// `egret policy suggest`.
#[derive(Debug, Args)]
pub(crate) struct SuggestArgs {
    /// Access records: JSON or logfmt lines of Egret, or Squid's native format; `.gz` too; `-` for standard
    /// input, which is also read where no file is named
    pub files: Vec<PathBuf>,
    /// Read this file as it grows, until Ctrl-C or --for; it may be rotated
    #[arg(long, value_name = "FILE")]
    pub follow: Option<PathBuf>,
    /// How long to follow, as in 30s, 10m or 2h
    #[arg(long = "for", value_name = "TIME", requires = "follow")]
    pub duration: Option<String>,
    /// What identities are told apart by
    #[arg(long, value_enum, default_value = "auto")]
    pub by: By,
    /// So many names below one registrable domain become a wildcard; 0 for never
    #[arg(long, value_name = "N", default_value = "5", visible_alias = "min-names")]
    pub collapse: usize,
    /// Which flows become rules
    #[arg(long, value_enum, default_value = "successful")]
    pub flows: Flows,
    /// Allow what was denied too, and what a policy in mode Audit would deny
    #[arg(long)]
    pub include_denied: bool,
    /// The mode of the policies
    #[arg(long, value_enum, default_value = "enforce")]
    pub mode: ModeArg,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What is written
    #[arg(long, value_enum, default_value = "yaml")]
    pub format: SuggestOutput,
}

/// `egret policy backtest`.
#[derive(Debug, Args)]
pub(crate) struct BacktestArgs {
    /// The new policies: a configuration, or files or directories with policies alone
    pub policies: Vec<PathBuf>,
    /// Access records: JSON or logfmt lines of Egret, or Squid's native format; `.gz` too; `-` for standard
    /// input; repeat it for more
    #[arg(long, value_name = "RECORDS", required = true, num_args = 1..)]
    pub against: Vec<PathBuf>,
    /// So many flows (or so many of all, as in 1%) may be newly denied before the exit status is 1
    #[arg(long, value_name = "N|N%", default_value = "0")]
    pub threshold: Threshold,
    /// What happens where no policy decides, for files with policies alone [default: allow]
    #[arg(long, value_enum)]
    pub default: Option<DefaultArg>,
    /// So many lines are shown of each summary; 0 for all
    #[arg(long, value_name = "N", default_value = "50")]
    pub top: usize,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Output,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintOutput {
    /// For people: each finding with its line
    Text,
    /// For programs: a JSON array of findings, empty when there is none
    Json,
    /// Annotations of GitHub Actions
    Github,
}

/// `egret policy lint`.
#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// A configuration, or files or directories with policies alone
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Exit status 1 when there are warnings, too
    #[arg(long)]
    pub deny_warnings: bool,
    /// Leave hints out
    #[arg(long)]
    pub no_hints: bool,
    /// How the findings are written
    #[arg(long, value_enum, default_value = "text")]
    pub format: LintOutput,
}
