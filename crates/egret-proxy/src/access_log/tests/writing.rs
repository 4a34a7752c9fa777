use std::fs;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use egret_core::record::FlowRecord;
use egret_core::settings::{AccessLogFormat, AccessLogOutput, AccessLogSettings};

use super::super::AccessLog;
use super::super::sink::{Lost, Sink};
use super::a_record;

/// Far longer than any write here takes; only a broken log waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(output: AccessLogOutput) -> AccessLogSettings {
    AccessLogSettings { output, ..AccessLogSettings::default() }
}

fn numbered(number: u64) -> FlowRecord {
    FlowRecord { bytes_up: number, ..a_record() }
}

fn lines(text: &str) -> usize {
    text.lines().count()
}

#[test]
fn lines_of_all_workers_reach_the_file_in_each_workers_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let log = AccessLog::start(&settings(AccessLogOutput::File(path.clone())), 2).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let handle = log.handle(worker);
            scope.spawn(move || {
                for number in 0..500 {
                    handle.write(&FlowRecord { status: 200 + worker as u16, ..numbered(number) });
                }
            });
        }
    });
    assert!(log.flush(PATIENCE));
    let text = fs::read_to_string(&path).unwrap();
    for worker in [200, 201] {
        let of_worker: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter(|value| value["status"] == worker)
            .map(|value| value["bytesUp"].as_u64().unwrap())
            .collect();
        assert_eq!(of_worker, (0..500).collect::<Vec<_>>());
    }
    assert_eq!((log.dropped(), log.write_errors()), (0, 0));
}

#[test]
fn lines_are_written_without_a_flush() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let log = AccessLog::start(&settings(AccessLogOutput::File(path.clone())), 1).unwrap();
    // Twice: the thread has gone back to sleep before the second.
    for expected in 1..=2 {
        log.handle(0).write(&a_record());
        let arrived = (0..6000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            lines(&fs::read_to_string(&path).unwrap()) == expected
        });
        assert!(arrived, "line {expected} never came");
    }
}

#[test]
fn dropping_the_log_writes_what_waits() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let log = AccessLog::start(&settings(AccessLogOutput::File(path.clone())), 1).unwrap();
    log.handle(0).write(&a_record());
    drop(log);
    let arrived = (0..6000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        lines(&fs::read_to_string(&path).unwrap()) == 1
    });
    assert!(arrived);
}

/// An output that takes nothing until it is opened.
#[derive(Clone, Default)]
struct Dam(Arc<Water>);

#[derive(Default)]
struct Water {
    state: Mutex<(bool, Vec<u8>)>,
    opened: Condvar,
}

impl Dam {
    fn open(&self) {
        self.0.state.lock().unwrap().0 = true;
        self.0.opened.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.state.lock().unwrap().1.clone()).unwrap()
    }
}

impl Write for Dam {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.opened.wait_while(self.0.state.lock().unwrap(), |state| !state.0).unwrap();
        state.1.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_blocked_output_costs_lines_and_never_blocks_a_worker() {
    let dam = Dam::default();
    let settings = AccessLogSettings { buffer_bytes: 4096, ..settings(AccessLogOutput::Stdout) };
    let log = AccessLog::start_with(&settings, 1, Sink::new(Box::new(dam.clone()))).unwrap();
    let handle = log.handle(0);
    for number in 0..10_000 {
        handle.write(&numbered(number)); // Would hang here if writing waited for the output.
    }
    assert!(!log.flush(Duration::from_millis(1)), "nothing can be out yet");
    assert!(log.dropped() > 9_900, "only two buffers of 4 KiB can be waiting: {}", log.dropped());

    dam.open();
    assert!(log.flush(PATIENCE));
    handle.write(&numbered(77));
    assert!(log.flush(PATIENCE));
    let text = dam.text();
    assert!(text.lines().last().unwrap().contains("\"bytesUp\":77,"), "it recovers");
    assert_eq!(lines(&text) as u64 + log.dropped(), 10_001, "every line is out or counted");
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

/// Takes `budget` bytes, then fails as a full disk does.
struct FullDisk {
    budget: usize,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Write for FullDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.budget);
        if count == 0 {
            self.budget = usize::MAX; // Somebody makes room after the first failure.
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.budget -= count;
        self.taken.lock().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_cut_by_a_full_disk_is_counted_and_does_not_swallow_the_next() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let mut sink = Sink::new(Box::new(FullDisk { budget: 7, taken: taken.clone() }));
    assert_eq!(sink.write_lines(b"one\ntwo\nthree\n", || false), Err(Lost { lines: 2 }));
    assert_eq!(sink.write_lines(b"four\n", || false), Ok(()));
    assert_eq!(taken.lock().unwrap().as_slice(), b"one\ntwo\nfour\n");
}

#[test]
fn an_output_that_fails_is_counted() {
    let log = AccessLog::start(&settings(AccessLogOutput::File("/dev/full".into())), 1).unwrap();
    log.handle(0).write(&a_record());
    assert!(log.flush(PATIENCE));
    assert_eq!((log.dropped(), log.write_errors()), (1, 1));
}

#[test]
fn rotation_loses_no_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let rotated = directory.path().join("access.log.1");
    let log = AccessLog::start(&settings(AccessLogOutput::File(path.clone())), 1).unwrap();
    let handle = log.handle(0);
    for number in 0..100 {
        handle.write(&numbered(number));
    }
    assert!(log.flush(PATIENCE));
    fs::rename(&path, &rotated).unwrap();
    handle.write(&numbered(100));
    log.reopen().unwrap();
    assert!(log.flush(PATIENCE));
    handle.write(&numbered(101));
    assert!(log.flush(PATIENCE));
    assert_eq!(lines(&fs::read_to_string(&rotated).unwrap()), 101, "what waited went to the old file");
    assert_eq!(lines(&fs::read_to_string(&path).unwrap()), 1);
}

#[test]
fn a_reload_changes_format_and_output() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("first"), directory.path().join("second"));
    let log = AccessLog::start(&settings(AccessLogOutput::Off), 1).unwrap();
    let handle = log.handle(0);
    handle.write(&a_record());
    log.apply(&settings(AccessLogOutput::File(first.clone()))).unwrap();
    handle.write(&a_record());
    let squid = AccessLogSettings {
        format: AccessLogFormat::Squid,
        ..settings(AccessLogOutput::File(second.clone()))
    };
    log.apply(&squid).unwrap();
    handle.write(&a_record());
    assert!(log.flush(PATIENCE));
    let unusable = settings(AccessLogOutput::File(directory.path().join("no/such/directory")));
    assert!(log.apply(&unusable).is_err());
    handle.write(&a_record());
    assert!(log.flush(PATIENCE));
    assert_eq!(lines(&fs::read_to_string(&first).unwrap()), 1);
    let text = fs::read_to_string(&second).unwrap();
    assert_eq!(text.matches("TCP_MISS/200").count(), 2, "a refused reload changes nothing: {text}");
}
