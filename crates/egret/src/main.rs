//! `egret`: the command line, and the wiring of the parts.

mod api_server;
mod banner;
mod ca;
mod certs;
mod check;
mod cli;
mod cluster;
mod cluster_policies;
mod console;
mod controller;
mod crds;
mod diagnostics;
mod flows;
mod import;
mod interception;
mod machine;
mod netpol;
mod node;
mod otlp;
mod policy;
mod proxy;
mod reasons;
mod reload;
mod tls;
mod users;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command, ConfigCommand, ProxyArgs};

/// Chosen by measurement; see docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        None => proxy::run(ProxyArgs::parse_environment()),
        Some(Command::Proxy(args)) => proxy::run(*args),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Config(ConfigCommand::Schema)) => print(&format!("{:#}\n", egret_config::schema())),
        Some(Command::Config(ConfigCommand::Reference)) => print(&egret_config::reference()),
        Some(Command::Config(ConfigCommand::Example)) => print(&egret_config::example()),
        Some(Command::Certs(args)) => certs::run(&args),
        Some(Command::Controller(args)) => controller::run(&args),
        Some(Command::Ca(args)) => ca::run(&args),
        Some(Command::Policy(args)) => policy::run(&args),
        Some(Command::Flows(args)) => flows::run(&args),
        Some(Command::Netpol(args)) => netpol::run(&args),
        Some(Command::Node(args)) => node::run(&args),
        Some(Command::Users(command)) => users::run(&command),
        Some(Command::Crds) => crds::run(),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Reasons) => print(&reasons::markdown()),
    }
}

/// Prints to standard output. A reader that has gone (`| head`) is no failure.
fn print(text: &str) -> ExitCode {
    print_bytes(text.as_bytes())
}

/// [`print()`] for what is no text.
fn print_bytes(bytes: &[u8]) -> ExitCode {
    use std::io::Write as _;
    match std::io::stdout().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
