//! What a captured flow costs the worker that hands it over, and the thread that stores it; and what a look
//! at a hundred thousand flows costs.

use std::time::{Duration, SystemTime};

use divan::Bencher;
use divan::counter::ItemsCount;
use egret_core::flow_id::FlowIds;
use egret_core::gate::Basis;
use egret_core::policy::RuleFacts;
use egret_core::policy::model::Action;
use egret_core::record::{FlowRecord, MethodName, Phases, Protocol, Treatment as Was};
use egret_flows::capture::{Begin, CaptureHandle, Plan};
use egret_flows::filter::Filter;
use egret_flows::flow::{Level, Side, Treatment};
use egret_flows::redact::RedactionSettings;
use egret_flows::store::{FlowStore, Query, StoreSettings};

fn main() {
    divan::main();
}

const REQUEST: &[u8] = b"GET http://registry.example.com/v2/library/alpine/manifests/latest?ns=docker.io HTTP/1.1\r\n\
    Host: registry.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0\r\n\
    Accept: application/vnd.oci.image.index.v1+json\r\nAccept-Encoding: gzip, br\r\n\
    Authorization: Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl\r\n\
    X-Request-Id: 6f1e6f4e-9c0a-4e0b-8f0e-1f2d3c4b5a69\r\nCookie: sid=31d4d96e407aad42\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2026 00:00:00 GMT\r\nServer: nginx\r\n\
    Content-Type: application/vnd.oci.image.index.v1+json\r\nContent-Length: 7000\r\nETag: \"33a64df551425fcc\"\r\n\
    Docker-Distribution-Api-Version: registry/2.0\r\nSet-Cookie: sid=31d4d96e407aad42; HttpOnly\r\n\r\n";
const BODY: &[u8] = &[b'x'; 7000];

fn a_record(id: egret_core::flow_id::FlowId, target: String) -> FlowRecord {
    FlowRecord {
        id,
        started: SystemTime::UNIX_EPOCH,
        client: ([192, 0, 2, 7], 51234).into(),
        user: None,
        tls: None,
        method: MethodName::new("GET"),
        target,
        treatment: Was::Forward,
        status: 200,
        reason: None,
        detail: None,
        workload: None,
        unattributed: None,
        basis: Basis::of(RuleFacts::new("team", "allow registries", Action::Allow)),
        parent: None,
        dialled: Some(([203, 0, 113, 5], 80).into()),
        reused: true,
        bytes_up: 0,
        bytes_down: 7000,
        phases: Phases { total: Duration::from_micros(6_789), ..Phases::default() },
        user_agent: None,
        referer: None,
        downstream: Protocol::Http11,
        upstream: Some(Protocol::Http11),
        upstream_tls: None,
        changes: None,
        replay_of: None,
        traceparent: None,
        span: None,
        tunnel_sni: None,
        interim: false,
    }
}

fn a_store() -> FlowStore {
    // Room enough that no piece is dropped, which would be cheaper than keeping it.
    let settings = StoreSettings { queue_bytes: 1 << 30, queue_pieces: 1 << 24, ..StoreSettings::default() };
    FlowStore::open(settings, &RedactionSettings::default()).expect("a store in memory")
}

fn hand_over(handle: &CaptureHandle, ids: &mut FlowIds, level: Level) {
    let id = ids.next_id();
    let begin = Begin {
        id,
        started: SystemTime::UNIX_EPOCH,
        client: ([192, 0, 2, 7], 51234).into(),
        tunnel: None,
        treatment: Treatment::Forward,
        scheme: "http",
        destination: None,
        replay_of: None,
    };
    let target = String::from("http://registry.example.com/v2/library/alpine/manifests/latest?ns=docker.io");
    let record = a_record(id, target);
    match handle.begin(begin, Plan { level, ..Plan::default() }, REQUEST) {
        None => handle.record(record, None),
        Some(mut capture) => {
            capture.response_head(RESPONSE);
            capture.body(Side::Response, BODY);
            capture.finish(record);
        }
    }
}

/// What the worker pays, the making of the record included.
#[divan::bench(args = [Level::None, Level::Headers, Level::Bodies], sample_count = 100, sample_size = 1000)]
fn worker(bencher: Bencher<'_, '_>, level: Level) {
    let store = a_store();
    let (handle, mut ids) = (store.handle(), FlowIds::new(1, 0, 1));
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| hand_over(&handle, &mut ids, level));
}

/// What worker and store pay together, for a thousand flows.
#[divan::bench(args = [Level::None, Level::Headers, Level::Bodies], sample_count = 30, sample_size = 1)]
fn worker_and_store(bencher: Bencher<'_, '_>, level: Level) {
    let store = a_store();
    let (handle, mut ids) = (store.handle(), FlowIds::new(1, 0, 1));
    bencher.counter(ItemsCount::new(1000_usize)).bench_local(|| {
        for _ in 0..1000 {
            hand_over(&handle, &mut ids, level);
        }
        store.settle();
    });
}

/// A look at a hundred thousand flows: the newest, those that a filter finds, and the first of an order.
#[divan::bench(args = ["", "host:registry.example.com status:>=500", "~u manifests/la.est | ~hq firefox", "-bytes"], sample_count = 20, sample_size = 1)]
fn list(bencher: Bencher<'_, '_>, filter: &str) {
    let store = a_store();
    let (handle, mut ids) = (store.handle(), FlowIds::new(1, 0, 1));
    for _ in 0..100_000 {
        hand_over(&handle, &mut ids, Level::Headers);
    }
    store.settle();
    let query = match filter.parse() {
        Ok(sort) => Query { sort, ..Query::default() },
        Err(_) => {
            let filter: Filter = filter.parse().expect("a filter");
            Query { count: !filter.is_all(), filter, ..Query::default() }
        }
    };
    bencher.bench_local(|| store.list(divan::black_box(&query)).flows.len());
}
