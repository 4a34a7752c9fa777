use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use egret_flows::filter::Filter;
use egret_flows::flow::{BodyNote, Level, Side};
use egret_flows::redact::RedactionSettings;
use egret_flows::store::{Annotation, ChangeKind, Cursor, FeedEvent, FlowStore, Query, Sort, StoreSettings};

use crate::capture::{begin, bodies, store};
use crate::some;

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a.example\r\n\r\n";

/// Stores a flow with a response body of so many bytes.
fn add(store: &FlowStore, number: u64, length: usize) {
    let mut capture = store.handle().begin(begin(number), bodies(1 << 20), HEAD).expect("captured");
    capture.response_head(b"HTTP/1.1 200 OK\r\n\r\n");
    capture.body(Side::Response, &vec![b'x'; length]);
    capture.finish(some::record(number, "https://a.example/"));
    store.settle();
}

fn on_disk(directory: &Path) -> StoreSettings {
    StoreSettings {
        directory: Some(directory.to_owned()),
        persistent: true,
        spill_bytes: 100,
        ..StoreSettings::default()
    }
}

fn files(directory: &Path) -> usize {
    fs::read_dir(directory.join("bodies")).expect("the directory is there").count()
}

fn response(store: &FlowStore, number: u64) -> Option<usize> {
    let flow = store.flow(some::id(number)).expect("it is there");
    store.body(flow.body(Side::Response).expect("a response")).expect("readable").map(|bytes| bytes.len())
}

#[test]
fn the_oldest_flows_go_first_by_count_and_by_memory() {
    let few = store(StoreSettings { flows: 3, ..StoreSettings::default() });
    let small = store(StoreSettings { memory_bytes: 30_000, ..StoreSettings::default() });
    for number in 1..=6 {
        add(&few, number, 10);
        add(&small, number, 10_000);
    }
    assert_eq!((few.counts().flows, few.counts().flows_evicted), (3, 3));
    assert!(few.flow(some::id(3)).is_none() && few.flow(some::id(4)).is_some());
    assert_eq!(small.counts().flows, 2);
    assert!(small.counts().memory <= 30_000);
    assert!(small.flow(some::id(6)).is_some());
}

#[test]
fn flows_that_are_too_old_go() {
    let store = store(StoreSettings { age: Some(Duration::from_secs(3600)), ..StoreSettings::default() });
    add(&store, 1, 10);
    // It began in the year of the test's flows; whatever the clock says now, that is over an hour ago or to come.
    let old = store.flow(some::id(1)).is_none();
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_micros();
    assert_eq!(old, now > u128::from(some::STARTED) + 3_600_000_000);
}

#[test]
fn large_bodies_are_in_private_files_within_a_bound() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = directory.path().join("state");
    let settings = StoreSettings { persistent: false, body_bytes: 2500, ..on_disk(&state) };
    let store = store(settings.clone());
    for number in 1..=3 {
        add(&store, number, 1000);
    }
    add(&store, 4, 50);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("bodies"))), (0o700, 0o700));
    for entry in fs::read_dir(state.join("bodies")).expect("a directory") {
        assert_eq!(mode(&entry.expect("an entry").path()), 0o600);
    }
    assert_eq!((files(&state), store.counts().disk, store.counts().bodies_evicted), (2, 2000, 1));
    assert_eq!([1, 2, 3, 4].map(|number| response(&store, number)), [None, Some(1000), Some(1000), Some(50)]);
    let first = store.flow(some::id(1)).expect("it is still listed");
    assert_eq!(first.body(Side::Response).and_then(|body| body.note), Some(BodyNote::Evicted));
    assert!(store.remove(some::id(2)) && !store.remove(some::id(2)));
    assert_eq!(files(&state), 1);
    assert_eq!(store.clear(), 3);
    assert_eq!((files(&state), store.counts().disk, store.counts().memory), (0, 0, 0));
    add(&store, 5, 1000);
    drop(store);
    // What a run left is cleaned by the next.
    assert_eq!(files(&state), 1);
    let _next = crate::capture::store(settings);
    assert_eq!(files(&state), 0);
}

#[test]
fn flows_survive_a_restart_with_bodies_and_marks() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = store(on_disk(directory.path()));
    add(&first, 1, 50);
    add(&first, 2, 5000);
    add(&first, 3, 5000);
    assert!(
        first.annotate(some::id(1), Annotation { comment: Some("keep".into()), ..Annotation::default() })
    );
    assert!(first.remove(some::id(3)));
    let before = first.flow(some::id(1)).expect("it is there");
    fs::write(directory.path().join("bodies/orphan"), "x").expect("it is written");
    drop(first);
    let mode = fs::metadata(directory.path().join("flows.db")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let second = store(on_disk(directory.path()));
    assert_eq!(second.warning(), None);
    assert_eq!(second.counts().flows, 2);
    assert_eq!(*second.flow(some::id(1)).expect("it survived"), *before);
    assert_eq!([1, 2].map(|number| response(&second, number)), [Some(50), Some(5000)]);
    assert_eq!((files(directory.path()), second.counts().disk), (1, 5000));
    add(&second, 4, 10);
    let seqs: HashSet<u64> = [1, 2, 4].iter().filter_map(|n| Some(second.flow(some::id(*n))?.seq)).collect();
    assert_eq!(seqs.len(), 3, "no number is given twice");
    second.clear();
    drop(second);
    assert_eq!(store(on_disk(directory.path())).counts().flows, 0);
}

#[test]
fn a_database_that_cannot_be_read_is_moved_aside() {
    let broken: [&dyn Fn(&Path); 3] = [
        &|path| fs::write(path, "this is no database, whatever its name says").expect("written"),
        &|path| {
            let mut bytes = fs::read(path).expect("a file");
            let length = bytes.len();
            bytes[100..length.min(20_000)].fill(0x5a);
            fs::write(path, bytes).expect("written");
        },
        &|path| {
            let connection = rusqlite::Connection::open(path).expect("a database");
            connection.pragma_update(None, "user_version", 99).expect("a version");
        },
    ];
    for spoil in broken {
        let directory = tempfile::tempdir().expect("a directory");
        let first = store(on_disk(directory.path()));
        add(&first, 1, 50);
        drop(first);
        spoil(&directory.path().join("flows.db"));
        let second = store(on_disk(directory.path()));
        let warning = second.warning().expect("it says so").to_owned();
        assert!(warning.contains("cannot be read") && warning.contains("moved to"), "{warning}");
        assert_eq!(second.counts().flows, 0);
        let aside = fs::read_dir(directory.path()).expect("a directory").filter(|entry| {
            entry
                .as_ref()
                .is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("flows.db.broken-"))
        });
        assert!(aside.count() >= 1);
        add(&second, 2, 50);
        drop(second);
        assert_eq!(store(on_disk(directory.path())).counts().flows, 1, "the new one is good");
    }
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let error = FlowStore::open(on_disk(&file.path().join("x")), &RedactionSettings::default())
        .expect_err("no directory");
    assert!(error.to_string().contains("make it writable"), "{error}");
}

#[test]
fn subscribers_are_told_what_changes_and_what_they_missed() {
    let store = store(StoreSettings { feed_changes: 4, ..StoreSettings::default() });
    let mut feed = store.subscribe();
    assert_eq!(feed.try_next(), None);
    add(&store, 1, 10);
    store.annotate(some::id(1), Annotation { mark: Some("x".into()), ..Annotation::default() });
    store.remove(some::id(1));
    store.clear();
    let mut kinds = Vec::new();
    let mut revision = 0;
    while let Some(FeedEvent::Change(change)) = feed.try_next() {
        assert!(change.revision > revision);
        revision = change.revision;
        kinds.push(change.kind);
    }
    assert_eq!(kinds, [ChangeKind::Added, ChangeKind::Updated, ChangeKind::Removed, ChangeKind::Cleared]);
    for number in 1..=10 {
        add(&store, number, 10);
    }
    assert_eq!(feed.try_next(), Some(FeedEvent::Lost(6)));
    assert!(matches!(feed.try_next(), Some(FeedEvent::Change(_))));
    assert_eq!(store.counts().subscribers_lagged, 1);
}

#[test]
fn marks_stay_when_the_flow_goes_on() {
    let store = store(StoreSettings::default());
    let capture = store.handle().begin(begin(1), bodies(10), HEAD).expect("captured");
    store.settle();
    let tags = vec!["a".to_owned(), String::new(), "b".into()];
    let annotation = Annotation { mark: Some("!".into()), comment: Some("x".repeat(5000)), tags: Some(tags) };
    assert!(store.annotate(some::id(1), annotation));
    assert!(!store.annotate(some::id(2), Annotation::default()));
    capture.finish(some::record(1, "https://a.example/"));
    store.settle();
    let flow = store.flow(some::id(1)).expect("it is there");
    assert_eq!((flow.mark.as_deref(), flow.comment.as_ref().map(String::len)), (Some("!"), Some(4096)));
    assert_eq!(flow.tags, ["a", "b"]);
}

/// A store of flows that differ in everything they can be sorted by.
fn varied(count: u64) -> FlowStore {
    let store =
        store(StoreSettings { queue_pieces: 1 << 20, queue_bytes: 1 << 30, ..StoreSettings::default() });
    let handle = store.handle();
    for number in 0..count {
        let host = ["b.example", "a.example", "c.example"][(number % 3) as usize];
        let mut record = some::record(number, &format!("http://{host}/{}", number * 7 % 10));
        record.status = [200, 404, 503, 200][(number % 4) as usize];
        record.bytes_down = number * 31 % 100;
        record.phases.total = Duration::from_micros(number * 17 % 50);
        handle.record(record, None);
    }
    store.settle();
    store
}

#[test]
fn pages_in_every_order_have_each_flow_once() {
    let store = varied(100);
    for name in
        ["seq", "started", "time", "bytes", "status", "method", "host", "path", "identity", "treatment"]
    {
        for direction in ["", "-"] {
            let sort: Sort = format!("{direction}{name}").parse().expect("an order");
            let mut query = Query { sort, limit: 7, count: true, ..Query::default() };
            let mut seqs = Vec::new();
            for _ in 0..20 {
                let page = store.list(&query);
                assert_eq!((page.matched, page.total), (Some(100), 100));
                seqs.extend(page.flows.iter().map(|flow| flow.seq));
                let Some(next) = page.next else { break };
                // A cursor goes to the browser and back.
                query.after = Some(next.to_string().parse().expect("a cursor"));
            }
            assert_eq!(seqs.len(), 100, "{sort:?}");
            assert_eq!(seqs.iter().collect::<HashSet<_>>().len(), 100, "{sort:?}");
        }
    }
    assert!("nothing".parse::<Sort>().expect_err("no order").contains("first-byte"));
    assert!("%%".parse::<Cursor>().is_err() && "".parse::<Cursor>().is_err());
}

#[test]
fn a_page_is_sorted_and_filtered_and_stays_when_flows_come_and_go() {
    let store = varied(100);
    let filter = Filter::parse("host:a.example status:404").expect("a filter");
    let query = Query {
        filter,
        sort: "-bytes".parse().expect("an order"),
        limit: 5,
        count: true,
        ..Query::default()
    };
    let first = store.list(&query);
    assert_eq!((first.matched, first.flows.len()), (Some(9), 5));
    assert!(first.flows.is_sorted_by_key(|flow| std::cmp::Reverse(flow.bytes_down)));
    let last = first.flows.last().expect("five").clone();
    store.remove(last.id);
    store.handle().record(some::record(1000, "http://a.example/"), None);
    store.settle();
    let second = store.list(&Query { after: first.next, ..query });
    assert_eq!((second.flows.len(), second.next), (4, None));
    assert!(second.flows.iter().all(|flow| flow.bytes_down <= last.bytes_down && flow.seq != last.seq));
}

#[test]
fn a_hundred_thousand_flows_are_listed_by_pages() {
    let store = varied(100_000);
    assert_eq!((store.counts().flows, store.counts().flows_lost), (100_000, 0));
    let page = store.list(&Query::default());
    assert_eq!((page.flows.len(), page.flows[0].seq), (100, page.newest));
    assert!(page.newest >= 100_000 && page.newest <= page.revision);
    let filter = Filter::parse("status:503 | ~u example/3$").expect("a filter");
    let page = store.list(&Query {
        filter,
        sort: "-time".parse().expect("an order"),
        count: true,
        limit: 1000,
        ..Query::default()
    });
    assert_eq!((page.flows.len(), page.matched), (1000, Some(35_000)));
    assert!(page.flows.iter().all(|flow| flow.timings.total == Some(49) || flow.timings.total == Some(48)));
}

#[test]
fn a_filter_looks_into_bodies_wherever_they_are() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = store(on_disk(directory.path()));
    add(&store, 1, 5);
    add(&store, 2, 5000);
    add(&store, 3, 0);
    let list = |filter: &str| {
        let filter = Filter::parse(filter).expect("a filter");
        let page = store.list(&Query { filter, ..Query::default() });
        assert!(!page.incomplete);
        page.flows.iter().map(|flow| flow.id).collect::<Vec<_>>()
    };
    assert_eq!(list("~bs x{5}"), [some::id(2), some::id(1)]);
    assert_eq!(list("~bs x{50}"), [some::id(2)]);
    assert_eq!(list("!~b x"), [some::id(3)]);
    assert_eq!(list("capture:bodies").len(), 3);
    assert_eq!(store.flow(some::id(1)).expect("it is there").capture, Level::Bodies);
}
