//! What one access line costs: formatting alone, and through a worker's handle.

use std::time::{Duration, SystemTime};

use divan::Bencher;
use divan::counter::ItemsCount;
use egret_core::flow_id::FlowIds;
use egret_core::gate::Basis;
use egret_core::policy::RuleFacts;
use egret_core::policy::model::Action;
use egret_core::record::{FlowRecord, MethodName, Phases, Protocol, Treatment};
use egret_core::settings::{AccessLogFormat, AccessLogOutput, AccessLogSettings};
use egret_proxy::access_log::{AccessLog, LineFormatter};

fn main() {
    divan::main();
}

fn a_record() -> FlowRecord {
    FlowRecord {
        id: FlowIds::new(1, 0, 1).next_id(),
        started: SystemTime::now(),
        client: ([192, 0, 2, 7], 51234).into(),
        user: None,
        tls: None,
        workload: None,
        unattributed: None,
        method: MethodName::new("GET"),
        target: "http://registry.example.com/v2/library/alpine/manifests/latest?ns=docker.io".into(),
        treatment: Treatment::Forward,
        status: 200,
        reason: None,
        detail: None,
        basis: Basis::of(RuleFacts::new("egress", "allow registries", Action::Allow)),
        tunnel_sni: None,
        parent: None,
        dialled: Some(([203, 0, 113, 5], 80).into()),
        reused: true,
        bytes_up: 0,
        bytes_down: 13_456,
        phases: Phases {
            first_byte: Some(Duration::from_micros(4_321)),
            total: Duration::from_micros(6_789),
            ..Phases::default()
        },
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0".into()),
        referer: None,
        downstream: Protocol::Http11,
        upstream: Some(Protocol::Http11),
        upstream_tls: None,
        changes: None,
        replay_of: None,
        traceparent: None,
        span: None,
        interim: false,
    }
}

#[divan::bench(args = [
    AccessLogFormat::Json,
    AccessLogFormat::Common,
    AccessLogFormat::Combined,
    AccessLogFormat::Squid,
    AccessLogFormat::Logfmt,
])]
fn format(bencher: Bencher<'_, '_>, format: AccessLogFormat) {
    let record = a_record();
    let mut formatter = LineFormatter::default();
    let mut line = Vec::with_capacity(4096);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        line.clear();
        formatter.append(format, divan::black_box(&record), &mut line);
        divan::black_box(line.len())
    });
}

/// Lock, format, bound and announcement; the writing thread empties the buffers into /dev/null.
#[divan::bench]
fn write_through_the_log(bencher: Bencher<'_, '_>) {
    let record = a_record();
    let settings = AccessLogSettings {
        output: AccessLogOutput::File("/dev/null".into()),
        buffer_bytes: 1 << 30,
        ..AccessLogSettings::default()
    };
    let log = AccessLog::start(&settings, 1).expect("/dev/null opens");
    let handle = log.handle(0);
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| handle.write(divan::black_box(&record)));
}
