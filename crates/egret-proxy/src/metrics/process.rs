//! The process's own figures, read from /proc on each scrape (Linux; elsewhere there are none).

use std::fs;

use rustix::process::{Resource, getrlimit};

/// What the kernel says of this process. `None`: it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ProcessFigures {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) start_time_seconds: Option<f64>,
    pub(super) threads: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
}

impl ProcessFigures {
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        Self {
            open_fds: count_fds(),
            // No limit at all is as good as the largest number that a float holds exactly.
            max_fds: Some(getrlimit(Resource::Nofile).current.unwrap_or(1 << 53)),
            ..from_stat(&stat, &boot, ticks, rustix::param::page_size() as u64)
        }
    }
}

/// Reads proc_pid_stat(5) and the `btime` line of proc_stat(5).
fn from_stat(stat: &str, boot: &str, ticks: f64, page: u64) -> ProcessFigures {
    // The command's name, the second field, may hold anything, spaces and brackets included.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect()).unwrap_or_default();
    // Numbered as in the manual page, which counts from 1 and calls the field after the name 3.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let booted = boot
        .lines()
        .find_map(|line| line.strip_prefix("btime "))
        .and_then(|seconds| seconds.trim().parse::<f64>().ok());
    ProcessFigures {
        cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) as f64 / ticks),
        threads: field(20),
        start_time_seconds: field(22).zip(booted).map(|(started, booted)| booted + started as f64 / ticks),
        resident_bytes: field(24).map(|pages| pages * page),
        ..ProcessFigures::default()
    }
}

fn count_fds() -> Option<u64> {
    // One of them is the directory being read.
    fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() as u64).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stat_around_a_hostile_command_name() {
        let stat = "42 (a) b (c) S 1 1 1 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 7 0 12345 999 256 0";
        let figures = from_stat(stat, "cpu 1 2\nbtime 1700000000\n", 100.0, 4096);
        assert_eq!(figures.cpu_seconds, Some(2.0));
        assert_eq!(figures.threads, Some(7));
        assert_eq!(figures.start_time_seconds, Some(1_700_000_123.45));
        assert_eq!(figures.resident_bytes, Some(1_048_576));
    }

    #[test]
    fn says_nothing_where_the_kernel_says_nothing() {
        for stat in ["", "garbage", "1 (x)", "1 (x) S 1"] {
            assert_eq!(from_stat(stat, "", 100.0, 4096), ProcessFigures::default());
        }
    }

    #[test]
    fn knows_this_process() {
        let figures = ProcessFigures::read();
        assert!(figures.resident_bytes.unwrap() > 0);
        assert!(figures.open_fds.unwrap() >= 3);
        assert!(figures.max_fds.unwrap() >= figures.open_fds.unwrap());
    }
}
