//! `egret netpol`: NetworkPolicies that make the proxy the only way out of namespaces. They are printed, and
//! applying them is left to kubectl.

mod args;
mod cluster;
mod policy;
mod yaml;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::ExitCode;

pub(crate) use args::NetpolArgs;

/// Prints the policies. Exit status 1 when the cluster cannot be asked.
pub(crate) fn run(args: &NetpolArgs) -> ExitCode {
    match written(args) {
        Ok(text) => crate::print(&text),
        Err(error) => {
            anstream::eprintln!("egret: {error}");
            ExitCode::FAILURE
        }
    }
}

fn written(args: &NetpolArgs) -> Result<String, String> {
    let named = || args.namespaces.iter().chain(&args.namespace);
    if named().any(|name| *name == args.proxy_namespace) {
        return Err(format!(
            "{} is the proxy's own namespace: with this policy it could reach nothing. Leave it out, or name another \
             with --proxy-namespace",
            args.proxy_namespace
        ));
    }
    let found = cluster::ask(args)?;
    let names: BTreeSet<&String> = named().chain(&found.namespaces).collect();
    let mut text = String::from(
        "# The proxy is the only way out of these namespaces. They need a network plugin that enforces\n\
         # NetworkPolicy. Policies add up: another one that allows more opens these too.\n",
    );
    for (name, why) in &found.left_out {
        let _ = writeln!(text, "# Left out: {name} ({why})");
    }
    for name in names {
        text.push_str(&yaml::document(&policy::policy(name, args, &found.api_servers)));
    }
    Ok(text)
}
