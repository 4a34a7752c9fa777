//! The comparison of Egret with other forward proxies. `bench/run` is the way in; README.md beside it
//! says what is measured and how the figures are read.
// The rules that guard the data path (where to connect, how to read) are not about a load generator.
#![allow(clippy::disallowed_methods)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod client;
mod configs;
mod intercept;
mod load;
mod measure;
mod origin;
mod peers;
mod plan;
mod process;
mod profile;
mod relay;
mod report;
mod table;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, io};

use clap::{Args, Parser, Subcommand};
use rustix::process::{Resource, Rlimit};

use measure::{Sample, Times};
use peers::{Kind, Peer};
use plan::Scenario;
use report::{Proxy, Report};

#[derive(Parser)]
#[command(version, about = "Compares Egret with other forward proxies")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures scenarios and proxies, and prints a table
    Run(Run),
    /// Records with perf where a proxy spends its time
    Profile(Profile),
    /// Serves as the bare relay, the floor of the comparison
    Relay {
        /// Where to listen
        #[arg(long)]
        listen: SocketAddr,
        /// Threads
        #[arg(long, default_value_t = 2)]
        workers: usize,
    },
}

#[derive(Args)]
struct Programs {
    /// Egret's program
    #[arg(long, value_name = "PATH", default_value = "target/release/egret")]
    egret: PathBuf,
    /// Another build of Egret as a column of its own; may be repeated
    #[arg(long, value_name = "NAME=PATH")]
    also: Vec<String>,
    /// Where the peers that no distribution packages are installed
    #[arg(long, value_name = "DIR", default_value = "target/bench-peers")]
    peers_dir: PathBuf,
    /// Workers of each proxy (Egret has one for each core)
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

#[derive(Args)]
struct Run {
    #[command(flatten)]
    programs: Programs,
    /// One short run of each instead of three
    #[arg(long)]
    quick: bool,
    /// Scenarios, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    scenario: Vec<String>,
    /// Proxies, separated by commas, in the order of the columns
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    peers: Vec<String>,
    /// How often each is measured, by turns
    #[arg(long, value_name = "N")]
    runs: Option<usize>,
    /// Seconds of each measurement
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// How often a run is repeated that other programs disturbed; the least disturbed counts
    #[arg(long, value_name = "N", default_value_t = 2)]
    again: usize,
    /// Writes everything measured to a file; may be repeated
    #[arg(long, value_name = "FILE")]
    json: Vec<PathBuf>,
}

#[derive(Args)]
struct Profile {
    #[command(flatten)]
    programs: Programs,
    /// The scenario
    scenario: String,
    /// The proxy
    #[arg(long, default_value = "egret")]
    peer: String,
    /// Seconds recorded
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Where perf writes
    #[arg(long, default_value = "target/bench-perf.data")]
    data: PathBuf,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    raise_descriptors();
    if let Command::Relay { listen, workers } = arguments.command {
        return relay::run(listen, workers);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let work = async {
            match arguments.command {
                Command::Run(run) => compare(&run).await,
                Command::Profile(options) => record(&options).await,
                Command::Relay { .. } => Ok(()),
            }
        };
        // Dropping the work ends the proxies, which are in groups of their own and get no interrupt.
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => Err(io::Error::other("interrupted")),
            _ = terminate.recv() => Err(io::Error::other("terminated")),
        }
    })
}

/// Thousands of tunnels need as many descriptors; the proxies inherit the limit.
fn raise_descriptors() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(
        Resource::Nofile,
        Rlimit { current: limit.maximum, maximum: limit.maximum },
    );
}

async fn compare(run: &Run) -> io::Result<()> {
    let scenarios = plan::choose(&run.scenario).map_err(io::Error::other)?;
    let peers = find_peers(&run.programs, &run.peers)?;
    let runs = run.runs.unwrap_or(if run.quick { 1 } else { 3 });
    let seconds = run.seconds.unwrap_or(if run.quick { 1.0 } else { 3.0 });
    let times = Times {
        warm_up: Duration::from_millis(if run.quick { 400 } else { 1000 }),
        measure: Duration::from_secs_f64(seconds),
    };
    let mut rows = Vec::new();
    for scenario in scenarios {
        rows.push(measure_row(scenario, &peers, runs, run, times).await);
    }
    let report = Report {
        machine: machine(),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        workers: run.programs.workers,
        runs,
        seconds,
        proxies: peers
            .iter()
            .map(|peer| Proxy { name: peer.name.clone(), version: peer.version.clone() })
            .collect(),
        scenarios: rows,
    };
    println!("\n{}", table::render(&report));
    for path in &run.json {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(path, serde_json::to_string_pretty(&report)?)?;
        println!("written: {}", path.display());
    }
    Ok(())
}

/// One scenario: A B C, A B C, A B C.
async fn measure_row(
    scenario: &Scenario,
    peers: &[Peer],
    runs: usize,
    options: &Run,
    times: Times,
) -> report::Row {
    let mut samples: Vec<(&Peer, Vec<Sample>)> = peers.iter().map(|peer| (peer, Vec::new())).collect();
    for number in 1..=runs {
        let takes_part = |peer: &Peer| peer.can(scenario.load.setup());
        for (peer, samples) in samples.iter_mut().filter(|(peer, _)| takes_part(peer)) {
            let sample = measure_undisturbed(peer, scenario, options, times).await;
            let unit = scenario.unit();
            eprintln!(
                "{} {number}/{runs} {}: {} {}, {} {}, {:.2} cores, others {:.2}{}",
                scenario.name,
                peer.name,
                table::figure(sample.cost),
                unit.cost(),
                table::figure(sample.rate),
                unit.rate(),
                sample.cores,
                sample.others,
                if sample.is_valid() { String::new() } else { format!(", FAILED: {:?}", sample.error) }
            );
            samples.push(sample);
        }
    }
    report::row(scenario, samples)
}

/// Measures again while other programs get in the way, and keeps the run they disturbed least. A run
/// that failed is not tried again: it is a finding.
async fn measure_undisturbed(peer: &Peer, scenario: &Scenario, options: &Run, times: Times) -> Sample {
    let mut best: Option<Sample> = None;
    for _ in 0..=options.again {
        let sample = measure::measure(peer, scenario, options.programs.workers, times).await;
        let sample = sample.unwrap_or_else(|error| Sample::broken(&error));
        let is_final = !sample.is_valid() || sample.others <= table::DISTURBED;
        if is_final || best.as_ref().is_none_or(|best| sample.others < best.others) {
            best = Some(sample);
        }
        if is_final {
            break;
        }
    }
    best.unwrap_or_else(|| Sample::broken(&io::Error::other("not measured")))
}

async fn record(options: &Profile) -> io::Result<()> {
    let scenarios = plan::choose(std::slice::from_ref(&options.scenario)).map_err(io::Error::other)?;
    let peers = find_peers(&options.programs, std::slice::from_ref(&options.peer))?;
    let (Some(scenario), Some(peer)) = (scenarios.first(), peers.first()) else {
        return Err(io::Error::other(format!("{} is not installed", options.peer)));
    };
    let time = Duration::from_secs_f64(options.seconds);
    profile::profile(peer, scenario, options.programs.workers, time, &options.data).await
}

/// The peers of these names, all when none is named. One that is not installed is left out, and said so.
fn find_peers(programs: &Programs, names: &[String]) -> io::Result<Vec<Peer>> {
    let mut wanted: Vec<(&str, Kind)> = Vec::new();
    for name in names {
        let known = peers::NAMES.iter().find(|(known, _)| known == name);
        wanted.push(*known.ok_or_else(|| {
            let known: Vec<&str> = peers::NAMES.iter().map(|(known, _)| *known).collect();
            io::Error::other(format!("no proxy is called {name}; there are {}", known.join(", ")))
        })?);
    }
    if wanted.is_empty() {
        // What is compared with a build of its own is asked for.
        wanted = peers::NAMES.iter().copied().filter(|(_, kind)| *kind != Kind::EgretCapturing).collect();
    }
    let mut found: Vec<Peer> = Vec::new();
    let mut add = |name: &str, kind: Kind, program: PathBuf| match Peer::find(name, kind, program.clone()) {
        Ok(peer) => found.push(peer),
        Err(error) => eprintln!("left out: {name} ({}: {error})", program.display()),
    };
    for (name, kind) in wanted {
        let program = match kind {
            Kind::Egret | Kind::EgretCapturing => {
                fs::canonicalize(&programs.egret).unwrap_or(programs.egret.clone())
            }
            Kind::Tinyproxy => PathBuf::from("/usr/bin/tinyproxy"),
            Kind::Squid => PathBuf::from("/usr/sbin/squid"),
            Kind::Envoy => programs.peers_dir.join("envoy/envoy/_bin/envoy"),
            Kind::Mitmproxy => programs.peers_dir.join("mitmproxy/bin/mitmdump"),
            Kind::Bare => env::current_exe()?,
        };
        add(name, kind, program);
        if kind == Kind::Egret {
            for also in &programs.also {
                let (name, path) =
                    also.split_once('=').ok_or_else(|| io::Error::other("--also takes NAME=PATH"))?;
                add(name, kind, fs::canonicalize(path)?);
            }
        }
    }
    // What speaks TLS for those that do not themselves.
    for peer in &mut found {
        peer.tls_program = match peer.kind {
            Kind::Tinyproxy => Some(PathBuf::from("/usr/bin/stunnel")),
            Kind::Squid => Some(programs.peers_dir.join("squid-openssl/usr/sbin/squid")),
            Kind::Egret | Kind::EgretCapturing | Kind::Envoy | Kind::Mitmproxy | Kind::Bare => None,
        }
        .filter(|program| program.exists());
    }
    Ok(found)
}

/// What the machine says it is.
fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{}, Linux {}", model.map_or("unknown processor", |(_, model)| model), kernel.trim())
}
