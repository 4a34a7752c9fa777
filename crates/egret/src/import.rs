//! `egret import`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use egret_kube::import::{MAX_BYTES, Origin, import};

/// `egret import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Whose it is
    #[arg(value_enum)]
    pub from: From,
    /// The file, in YAML or JSON; `-` for standard input
    pub file: PathBuf,
    /// The name of the EgressProxy
    #[arg(long, default_value = "default")]
    pub name: String,
}

/// Whose proxy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum From {
    /// AKS: the file of `--http-proxy-config`, or what `az aks show` prints
    Aks,
    /// OpenShift: what `oc get proxy/cluster -o yaml` prints, or an install-config.yaml
    #[value(name = "openshift")]
    OpenShift,
    /// Banzai's Istio operator: a mesh resource with `httpProxyEnvs`, or these alone
    #[value(alias = "banzai")]
    Istio,
}

impl From {
    fn origin(self) -> Origin {
        match self {
            Self::Aks => Origin::Aks,
            Self::OpenShift => Origin::OpenShift,
            Self::Istio => Origin::Istio,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Aks => "aks",
            Self::OpenShift => "openshift",
            Self::Istio => "istio",
        }
    }
}

/// Prints the EgressProxy; exit status 1 where there is none to be made.
pub(crate) fn run(args: &ImportArgs) -> ExitCode {
    let shown = args.file.display();
    let fail = |why: &str| {
        anstream::eprintln!("egret: {shown} cannot be imported: {why}");
        ExitCode::FAILURE
    };
    let bytes = match read(&args.file) {
        Ok(bytes) => bytes,
        Err(error) => return fail(&error.to_string()),
    };
    let imported = match import(args.from.origin(), &bytes, &args.name) {
        Ok(imported) => imported,
        Err(error) => return fail(&error.to_string()),
    };
    match imported.to_yaml(&format!("{} {shown}", args.from.name())) {
        Ok(text) => crate::print(&text),
        Err(error) => fail(&error),
    }
}

/// One byte more than is taken, so that the import says that it is too large.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MAX_BYTES as u64 + 1;
    match path.to_str() {
        Some("-") => std::io::stdin().lock().take(most).read_to_end(&mut bytes)?,
        _ => std::fs::File::open(path)?.take(most).read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}
