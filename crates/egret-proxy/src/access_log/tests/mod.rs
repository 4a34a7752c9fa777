//! Promises of the access log. `formats` has the look of each format, `writing` the thread and its outputs.

mod formats;
mod writing;

use std::time::{Duration, UNIX_EPOCH};

use egret_core::flow_id::FlowIds;
use egret_core::gate::Basis;
use egret_core::policy::RuleFacts;
use egret_core::policy::model::Action;
use egret_core::record::{FlowRecord, MethodName, Phases, Protocol, Treatment};

/// A request that went well.
pub(crate) fn a_record() -> FlowRecord {
    FlowRecord {
        id: FlowIds::new(1, 0, 1).next_id(),
        started: UNIX_EPOCH + Duration::from_millis(1_763_725_680_123),
        client: "192.0.2.7:51234".parse().unwrap(),
        user: None,
        tls: None,
        workload: None,
        unattributed: None,
        method: MethodName::new("GET"),
        target: "http://example.com/a?b=c".into(),
        treatment: Treatment::Forward,
        status: 200,
        reason: None,
        detail: None,
        basis: Basis::of(RuleFacts::new("web", "allow web", Action::Allow)),
        tunnel_sni: None,
        parent: None,
        dialled: Some("203.0.113.5:80".parse().unwrap()),
        reused: false,
        bytes_up: 12,
        bytes_down: 3456,
        phases: Phases {
            dns: Some(Duration::from_micros(1_500)),
            connect: Some(Duration::from_micros(20_250)),
            tls: None,
            first_byte: Some(Duration::from_millis(45)),
            total: Duration::from_nanos(180_042_900),
        },
        changes: None,
        replay_of: None,
        user_agent: Some("curl/8.5.0".into()),
        referer: Some("http://example.com/".into()),
        downstream: Protocol::Http11,
        upstream: Some(Protocol::Http11),
        upstream_tls: None,
        traceparent: None,
        span: None,
        interim: false,
    }
}
