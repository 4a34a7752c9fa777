//! What a process has used, read from `/proc`: CPU time and memory, over a process and its children.
//!
//! Squid's workers are children of its master and tinyproxy's are threads, so everything is summed over
//! the tree.

use std::time::Duration;
use std::{fs, io};

/// The fields of `/proc/PID/stat` that are used here (proc_pid_stat(5)). Times are in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// User and system time of all threads, also of those that have ended.
    pub(crate) own: u64,
    /// User and system time of children that have ended and been waited for.
    pub(crate) reaped: u64,
}

/// Reads one line of `/proc/PID/stat`; `None` when it is not one.
pub(crate) fn parse_stat(line: &str) -> Option<Stat> {
    // The name may hold spaces and parentheses, so that only the last one ends it.
    let (before, after) = line.rsplit_once(')')?;
    let pid = before.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    // The first field after the name is field 3, the state.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let parent = u32::try_from(number(4)?).ok()?;
    Some(Stat { pid, parent, own: number(14)? + number(15)?, reaped: number(16)? + number(17)? })
}

/// A process and everything that descends from it, out of all that runs.
pub(crate) fn descendants(all: &[Stat], root: u32) -> Vec<Stat> {
    let mut found: Vec<Stat> = all.iter().copied().filter(|stat| stat.pid == root).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|stat| stat.pid) {
        found.extend(all.iter().filter(|stat| stat.parent == parent && stat.pid != parent));
        next += 1;
    }
    found
}

fn everything() -> io::Result<Vec<Stat>> {
    let mut stats = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            // A process may end between the listing and the reading.
            let line = fs::read_to_string(std::path::Path::new("/proc").join(&name).join("stat"));
            stats.extend(line.ok().as_deref().and_then(parse_stat));
        }
    }
    Ok(stats)
}

/// The processes of a tree, its root first.
pub(crate) fn tree(root: u32) -> io::Result<Vec<u32>> {
    Ok(descendants(&everything()?, root).iter().map(|stat| stat.pid).collect())
}

/// CPU time of a tree so far.
pub(crate) fn cpu(root: u32) -> io::Result<Duration> {
    let ticks: u64 = descendants(&everything()?, root).iter().map(|stat| stat.own + stat.reaped).sum();
    Ok(from_ticks(ticks))
}

/// CPU time of this process so far, without its children.
pub(crate) fn own_cpu() -> io::Result<Duration> {
    let stat = parse_stat(&fs::read_to_string("/proc/self/stat")?);
    Ok(from_ticks(stat.map_or(0, |stat| stat.own)))
}

fn from_ticks(ticks: u64) -> Duration {
    Duration::from_secs(ticks).div_f64(rustix::param::clock_ticks_per_second() as f64)
}

/// Private memory of a process in kilobytes, from `/proc/PID/smaps_rollup`: anonymous pages and shared
/// memory, both by proportion. Pages of the program file come and go with the page cache and are no
/// part of what a tunnel costs.
pub(crate) fn parse_rollup(text: &str) -> Option<u64> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.strip_prefix(':')?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    };
    // Kernels before 5.4 do not tell the parts.
    field("Pss_Anon").zip(field("Pss_Shmem")).map_or_else(|| field("Pss"), |(own, shared)| Some(own + shared))
}

/// Memory of a tree in kilobytes.
pub(crate) fn memory(root: u32) -> io::Result<u64> {
    let mut total = 0;
    for pid in tree(root)? {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        total += parse_rollup(&text).ok_or_else(|| io::Error::other("smaps_rollup cannot be read"))?;
    }
    Ok(total)
}

/// CPU time that the whole machine has spent on work, from the first line of `/proc/stat`.
pub(crate) fn parse_busy(text: &str) -> Option<u64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_ascii_whitespace().map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user time already.
    (fields.len() >= 8).then(|| fields[0] + fields[1] + fields[2] + fields[5] + fields[6] + fields[7])
}

/// CPU time that the whole machine has spent on work so far.
pub(crate) fn machine_cpu() -> io::Result<Duration> {
    let busy = parse_busy(&fs::read_to_string("/proc/stat")?);
    busy.map(from_ticks).ok_or_else(|| io::Error::other("/proc/stat cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: u32, parent: u32) -> Stat {
        Stat { pid, parent, own: 1, reaped: 0 }
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "4242 (a) b (c) S 17 4242 4242 0 -1 4194560 100 200 0 0 31 12 5 2 20 0 3 0 99 1 1";
        assert_eq!(parse_stat(line), Some(Stat { pid: 4242, parent: 17, own: 43, reaped: 7 }));
    }

    #[test]
    fn a_cut_line_is_not_read_as_zero() {
        assert_eq!(parse_stat("4242 (egret) S 17 4242 4242 0 -1 4194560 100 200 0 0 31"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn a_tree_holds_grandchildren_and_nothing_else() {
        let all = [stat(1, 0), stat(40, 30), stat(10, 1), stat(20, 10), stat(30, 20), stat(50, 1)];
        let pids: Vec<u32> = descendants(&all, 10).iter().map(|stat| stat.pid).collect();
        assert_eq!(pids, [10, 20, 30, 40]);
        assert!(descendants(&all, 99).is_empty());
    }

    #[test]
    fn memory_leaves_out_pages_of_files() {
        let text = "00400000-7ff [rollup]\nRss: 900 kB\nPss:        345 kB\nPss_Dirty:  112 kB\nPss_Anon:   112 kB\nPss_File:   233 kB\nPss_Shmem:    5 kB\n";
        assert_eq!(parse_rollup(text), Some(117));
    }

    #[test]
    fn memory_on_an_old_kernel_is_the_whole_share() {
        assert_eq!(parse_rollup("Rss: 900 kB\nPss: 345 kB\n"), Some(345));
        assert_eq!(parse_rollup("Rss: 900 kB\n"), None);
    }

    #[test]
    fn idle_time_is_not_work() {
        assert_eq!(parse_busy("cpu  10 1 20 5000 600 3 4 5 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"), Some(43));
        assert_eq!(parse_busy("intr 5"), None);
    }

    #[test]
    fn this_process_is_in_its_own_tree() {
        assert_eq!(tree(std::process::id()).unwrap().first(), Some(&std::process::id()));
        assert!(memory(std::process::id()).unwrap() > 0);
    }
}
