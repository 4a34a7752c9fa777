//! The command line of `egret ca`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::certs::Output;

/// `egret ca`.
#[derive(Debug, Args)]
pub(crate) struct CaArgs {
    /// What to do with the CA.
    #[command(subcommand)]
    pub command: CaCommand,
}

/// The commands of `egret ca`.
#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Say what the CA is, how long it lasts, and what speaks against it; exit status 1 if it cannot be used
    Show(ShowArgs),
    /// Print what clients have to trust, in the form that they take; the CA is made if there is none
    Export(ExportArgs),
    /// Change the CA for a new one, with a time in which clients trust both
    Rotate(RotateArgs),
}

/// Where the CA is.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    /// Directory that the proxy keeps its state in [default: $XDG_STATE_HOME/egret, or ~/.local/state/egret]
    #[arg(long, value_name = "DIR", env = "EGRET_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Where the CA is: in the state directory, or in files of somebody else.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// The state directory.
    #[command(flatten)]
    pub state: StateArgs,
    /// A CA of your own instead: certificate with its chain in PEM, with the key or without, or PKCS#12
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Its key, if it is in a file apart
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub ca_key: Option<PathBuf>,
    /// File with the password of its key or of the PKCS#12 file [default: EGRET_CERTS_PASSWORD]
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub password_file: Option<PathBuf>,
}

/// `egret ca show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The CA.
    #[command(flatten)]
    pub source: SourceArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Output,
}

/// A form to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// PEM: the CA, and during a change the other one behind it
    #[value(alias = "text")]
    Pem,
    /// DER: the one CA, as Windows, Android and Firefox import it
    Der,
    /// A PKCS#12 truststore, as Java takes it
    #[value(alias = "p12")]
    Pkcs12,
    /// PEM with the public roots behind it, for programs that trust one file alone
    Bundle,
    /// A JSON object with the PEM and what each certificate says
    Json,
}

/// `egret ca export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The CA.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Form to write
    #[arg(long, visible_alias = "format", value_enum, value_name = "FORM", default_value = "pem")]
    pub to: Form,
    /// Export the next CA alone, which will sign after a change
    #[arg(long)]
    pub next: bool,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
    /// Alias of the entry in PKCS#12
    #[arg(long, value_name = "NAME", default_value = "egret")]
    pub alias: String,
    /// File with the password for the PKCS#12 file that is written; it holds no secret [default:
    /// EGRET_CERTS_OUT_PASSWORD, or else `changeit` as Java's own]
    #[arg(long, value_name = "FILE")]
    pub out_password_file: Option<PathBuf>,
}

/// `egret ca rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The state directory.
    #[command(flatten)]
    pub state: StateArgs,
    /// Let the next CA sign; the old one is still exported until --retire
    #[arg(long, group = "step")]
    pub activate: bool,
    /// No longer export the CA that signed before
    #[arg(long, group = "step")]
    pub retire: bool,
    /// Drop the next CA
    #[arg(long, group = "step")]
    pub cancel: bool,
    /// Change at once, for a CA whose key has leaked or that has ended: clients that do not have the new one
    /// fail until they do
    #[arg(long, group = "step")]
    pub now: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Output,
}
