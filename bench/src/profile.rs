//! Where a proxy spends its time in a scenario: `perf record` over the running load, and the number of
//! system calls for an operation.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::sleep;

use crate::measure::busy;
use crate::origin::Origin;
use crate::peers::{Peer, Running};
use crate::plan::{Load, Scenario};
use crate::process;

/// Runs the scenario, records for so long into `data`, and prints system calls and cost per operation.
///
/// # Errors
///
/// The proxy does not work, or `perf record` cannot be run.
pub(crate) async fn profile(
    peer: &Peer,
    scenario: &Scenario,
    workers: usize,
    time: Duration,
    data: &Path,
) -> io::Result<()> {
    if scenario.load.is_idle() {
        return Err(io::Error::other("nothing happens in idle tunnels"));
    }
    let origin = Origin::start()?;
    let proxy = peer.start(workers, origin.ports, scenario.load.setup()).await?;
    let warm_up = Duration::from_millis(500);
    let sample = busy(&proxy, origin.ports, scenario, warm_up, async || {
        // The clock and not the cycle counter, which most virtual machines lack.
        let flags = ["record", "-q", "-e", "cpu-clock", "-F", "1999", "-g", "-o"];
        perf(&proxy, &flags, data, time).await
    })
    .await?;
    println!("{} {}: {} operations or bytes while recording", peer.name, scenario.name, sample.done);

    let counts = data.with_extension("syscalls");
    let flags = ["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o"];
    let counted =
        busy(&proxy, origin.ports, scenario, warm_up, async || perf(&proxy, &flags, &counts, time).await)
            .await;
    let calls = std::fs::read_to_string(&counts).ok().as_deref().and_then(parse_counts);
    match (counted, calls) {
        (Ok(sample), Some(calls)) => println!(
            "{:.2} system calls for an operation (for 64 KiB in bulk), {} in all",
            calls as f64 / sample.done as f64 * per(scenario),
            calls
        ),
        _ => println!("system calls could not be counted: perf has no access to raw_syscalls"),
    }
    let _ = std::fs::remove_file(counts);

    let sample = busy(&proxy, origin.ports, scenario, warm_up, async || {
        sleep(time).await;
        Ok(())
    })
    .await?;
    println!("{:.2} {} without perf, {} failed", sample.cost, scenario.unit().cost(), sample.failed);
    Ok(())
}

fn per(scenario: &Scenario) -> f64 {
    if matches!(scenario.load, Load::Download | Load::Upload) { 65536.0 } else { 1.0 }
}

async fn perf(proxy: &Running, flags: &[&str], output: &Path, time: Duration) -> io::Result<()> {
    let pids: Vec<String> = process::tree(proxy.pid())?.iter().map(u32::to_string).collect();
    let mut command = Command::new("perf");
    command.args(flags).arg(output).args(["-p", &pids.join(","), "--", "sleep"]);
    let status = command.arg(time.as_secs_f64().to_string()).status().await?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("perf: {status}"))) }
}

/// The sum of the counts in what `perf stat -x ,` wrote.
fn parse_counts(text: &str) -> Option<u64> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split(',').next()?.parse::<u64>().ok()).try_fold(0, |sum, count| Some(sum + count?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_the_first_field() {
        let text = "# started on Sat\n\n1200,,raw_syscalls:sys_enter,2000,100.00,,\n";
        assert_eq!(parse_counts(text), Some(1200));
        assert_eq!(parse_counts("<not supported>,,raw_syscalls:sys_enter,0,100.00,,\n"), None);
    }
}
