//! The command line of `egret certs`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use egret_tls::authority::{KeyType, Name, NameError, Subtree};

/// `egret certs`.
#[derive(Debug, Args)]
pub(crate) struct CertsArgs {
    /// What to do with certificates.
    #[command(subcommand)]
    pub command: CertsCommand,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text", global = true)]
    pub format: Output,
}

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs: one JSON object, with `error` when it failed
    Json,
}

/// The commands of `egret certs`.
#[derive(Debug, Subcommand)]
pub(crate) enum CertsCommand {
    /// Make a CA, a server and a client certificate that work at once, in one directory
    Init(InitArgs),
    /// Make a CA: ca.crt and ca.key
    Ca(CaArgs),
    /// Make a certificate for a server, signed by the CA in the directory
    Server(ServerArgs),
    /// Make a certificate for a client, signed by the CA in the directory
    Client(ClientArgs),
    /// Make certificates again before they end: same names, same key
    Renew(RenewArgs),
    /// Say what is in a file, who signed it, when it ends, whether the key fits, and what a client will say;
    /// exit status 1 if something must be put right
    Show(ShowArgs),
    /// Merge CA certificates with the public roots, each once
    Bundle(BundleArgs),
    /// Write a certificate and its key in another format
    Export(ExportArgs),
    /// Keep certificates as Secrets in a cluster: make those that are not there, renew those that end soon
    Secrets(SecretsArgs),
}

/// Where the files go, and with which key.
#[derive(Debug, Args)]
pub(crate) struct MakeArgs {
    /// Kind of key: ecdsa-p256, ecdsa-p384, ed25519 (not for browsers, Windows and macOS), rsa (3072 bits),
    /// rsa-2048 or rsa-4096
    #[arg(long, value_name = "KIND", default_value = "ecdsa-p256")]
    pub key_type: KeyType,
    /// Replace files that are there, keys too
    #[arg(long)]
    pub force: bool,
}

/// What a CA is to be.
#[derive(Debug, Args)]
pub(crate) struct CaOptions {
    /// Name of the CA [default: "Egret CA" and a random number, for no two may have one name]
    #[arg(long, value_name = "NAME")]
    pub ca_name: Option<String>,
    /// Organization in the CA's subject
    #[arg(long, value_name = "NAME")]
    pub organization: Option<String>,
    /// How long the CA is valid, in days
    #[arg(long, value_name = "DAYS", default_value_t = egret_tls::authority::CA_DAYS)]
    pub ca_days: u32,
    /// How many CAs may follow below it
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub path_length: u8,
    /// Names that the CA may sign for, and no others of the kind: `corp.example` (with all below it),
    /// `10.0.0.0/8`, `@corp.example`; repeat it, or separate them with commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub permit: Vec<Subtree>,
    /// Names that the CA may not sign for, in the same form; wins over --permit
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub exclude: Vec<Subtree>,
}

/// A name for a certificate, or the word that stands for the usual ones.
#[derive(Clone, Debug)]
pub(crate) enum San {
    /// The names of a server when nothing else is said.
    Default,
    /// One name.
    Name(Name),
}

impl std::str::FromStr for San {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "default" { Ok(Self::Default) } else { text.parse().map(Self::Name) }
    }
}

/// The names of a server.
#[derive(Debug, Args)]
pub(crate) struct ServerNames {
    /// Name that clients reach the server by: host, IP address, `*.example.com`, URI or e-mail address (or
    /// openssl's `DNS:…`); `default` stands for the usual names; repeat it, or separate them with commas
    /// [default: localhost, 127.0.0.1, ::1, and the service in its cluster]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub san: Vec<San>,
    /// Name of the service in the cluster, for the usual names
    #[arg(long, value_name = "NAME", default_value = "egret")]
    pub service: String,
    /// Namespace of the service, for the usual names
    #[arg(long, value_name = "NAME", default_value = "egret")]
    pub namespace: String,
}

/// `egret certs secrets`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["mtls", "interception"]))]
pub(crate) struct SecretsArgs {
    /// For mutual TLS to the proxy: egret-mtls-ca, egret-mtls (the server's) and egret-mtls-client
    #[arg(long)]
    pub mtls: bool,
    /// For looking inside TLS: egret-ca, a CA. It is made once, and never changed by this
    #[arg(long)]
    pub interception: bool,
    /// The namespace of the Secrets and of the proxy's Service [default: the pod's own, or that of the kubeconfig]
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The name of the proxy's Service
    #[arg(long, value_name = "NAME", default_value = "egret")]
    pub service: String,
    /// Name that the server's certificate is for besides the Service's; repeat it, or separate them with commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub san: Vec<Name>,
    /// How long the certificates of server and client are valid, in days; 397 at most
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    pub days: u32,
    /// The kubeconfig file [default: KUBECONFIG, the pod's service account, or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of that file [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// `egret certs init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Directory for the files; made if it is not there
    pub dir: PathBuf,
    /// The server's names.
    #[command(flatten)]
    pub names: ServerNames,
    /// Leave certificates that are there as they are, and end well: for what is run at every start
    #[arg(long, conflicts_with = "force")]
    pub keep: bool,
    /// SPIFFE ID of the client: spiffe://trust-domain/path
    #[arg(long, value_name = "ID", value_parser = Name::spiffe)]
    pub spiffe: Option<Name>,
    /// How long the certificates of server and client are valid, in days; 397 at most
    #[arg(long, value_name = "DAYS", default_value_t = egret_tls::authority::LEAF_DAYS)]
    pub days: u32,
    /// The CA.
    #[command(flatten)]
    pub ca: CaOptions,
    /// The key.
    #[command(flatten)]
    pub make: MakeArgs,
}

/// `egret certs ca`.
#[derive(Debug, Args)]
pub(crate) struct CaArgs {
    /// Directory for ca.crt and ca.key; made if it is not there
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Directory of a CA that is to sign this one, instead of itself
    #[arg(long, value_name = "DIR")]
    pub parent: Option<PathBuf>,
    /// The CA.
    #[command(flatten)]
    pub ca: CaOptions,
    /// The key.
    #[command(flatten)]
    pub make: MakeArgs,
}

/// Which CA signs.
#[derive(Debug, Args)]
pub(crate) struct SignerArgs {
    /// Certificate of the CA that signs [default: ca.crt in the directory]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Its key [default: the file of that name with .key; or in the same file]
    #[arg(long, value_name = "FILE")]
    pub ca_key: Option<PathBuf>,
    /// File with the password of an encrypted key or a PKCS#12 file [default: EGRET_CERTS_PASSWORD]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// What server and client certificates share.
#[derive(Debug, Args)]
pub(crate) struct LeafArgs {
    /// Directory for the files; made if it is not there
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Name of the files, before .crt, .key and .pem [default: server or client]
    #[arg(long, value_name = "NAME")]
    pub out: Option<String>,
    /// Common name in the subject, which some servers know clients by [default: the first name]
    #[arg(long, value_name = "NAME")]
    pub common_name: Option<String>,
    /// Organization in the subject
    #[arg(long, value_name = "NAME")]
    pub organization: Option<String>,
    /// How long it is valid, in days; 397 at most, and not longer than the CA
    #[arg(long, value_name = "DAYS", default_value_t = egret_tls::authority::LEAF_DAYS)]
    pub days: u32,
    /// The CA.
    #[command(flatten)]
    pub signer: SignerArgs,
    /// The key.
    #[command(flatten)]
    pub make: MakeArgs,
}

/// `egret certs server`.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The names.
    #[command(flatten)]
    pub names: ServerNames,
    /// The rest.
    #[command(flatten)]
    pub leaf: LeafArgs,
}

/// `egret certs client`.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// Name of the client: host, IP address, e-mail address or URI (or openssl's `DNS:…`); repeat it, or
    /// separate them with commas [default: egret-client]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub san: Vec<Name>,
    /// SPIFFE ID of the client: spiffe://trust-domain/path
    #[arg(long, value_name = "ID", value_parser = Name::spiffe)]
    pub spiffe: Option<Name>,
    /// The rest.
    #[command(flatten)]
    pub leaf: LeafArgs,
}

/// `egret certs renew`.
#[derive(Debug, Args)]
pub(crate) struct RenewArgs {
    /// Certificates to renew: server.crt, client.crt, or ca.crt for the CA itself; the key and the combined
    /// file beside each are kept in step
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Make a new key too
    #[arg(long)]
    pub new_key: bool,
    /// Kind of the new key: ecdsa-p256, ecdsa-p384, ed25519, rsa, rsa-2048 or rsa-4096 [default: ecdsa-p256]
    #[arg(long, value_name = "KIND", requires = "new_key")]
    pub key_type: Option<KeyType>,
    /// How long it is valid, in days [default: as long as before]
    #[arg(long, value_name = "DAYS")]
    pub days: Option<u32>,
    /// The CA.
    #[command(flatten)]
    pub signer: SignerArgs,
}

/// Which side of TLS a certificate is looked at as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum As {
    /// A server, by clients
    Server,
    /// A client, by servers
    Client,
}

/// `egret certs show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Files to look at: PEM, combined PEM, DER or PKCS#12
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// File with the private key, if it is apart [default: the file of that name with .key, if it is there]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// CAs that the client trusts, in PEM [default: ca.crt beside the file, or else the public roots]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Name or address that clients reach the server by
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Look at it as a server's or a client's certificate [default: as it says itself]
    #[arg(long = "as", value_enum, value_name = "SIDE")]
    pub side: Option<As>,
    /// File with the password of an encrypted key or a PKCS#12 file [default: EGRET_CERTS_PASSWORD]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Public roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Roots {
    /// Mozilla's list, built into Egret
    Mozilla,
    /// Those of this system
    System,
    /// None
    None,
}

/// `egret certs bundle`.
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// Files with CA certificates, in PEM; keys in them are left out
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Public roots to merge with
    #[arg(long, value_enum, default_value = "mozilla")]
    pub roots: Roots,
    /// File for the bundle [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
}

/// A format to export to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Files apart: OUT.crt (certificate and chain), OUT.key, and OUT.ca.crt if the root is known
    Pem,
    /// One PEM file: certificate, chain, key, as curl and Go take it
    Combined,
    /// A PKCS#12 file, as Java and Windows take it; without a key, a truststore
    Pkcs12,
    /// The combined PEM as one line of base64, for a field of a configuration
    Base64,
}

/// `egret certs export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// File with the certificate: PEM, combined PEM, DER or PKCS#12
    pub file: PathBuf,
    /// File with the private key, if it is apart [default: the file of that name with .key, if it is there]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Leave the key out
    #[arg(long, conflicts_with = "key")]
    pub no_key: bool,
    /// CA certificates to add, in PEM, for PKCS#12 and OUT.ca.crt [default: ca.crt beside the file, if it is there]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Format to write
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub to: Target,
    /// File to write, or for `pem` the path before .crt and .key [default: standard output, where one file
    /// is written]
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Alias of the entry in PKCS#12
    #[arg(long, value_name = "NAME", default_value = "egret")]
    pub alias: String,
    /// File with the password that opens what is read [default: EGRET_CERTS_PASSWORD]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// File with the password for the PKCS#12 file that is written [default: EGRET_CERTS_OUT_PASSWORD]
    #[arg(long, value_name = "FILE")]
    pub out_password_file: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    pub force: bool,
}
