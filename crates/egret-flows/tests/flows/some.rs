//! Flows to test with.

use bytes::Bytes;
use egret_core::flow_id::{FlowId, FlowIds};
use egret_core::gate::Basis;
use egret_core::policy::RuleFacts;
use egret_core::policy::model::Action;
use egret_core::reason::Reason;
use egret_core::record::{FlowRecord, MethodName, Phases, Protocol, Treatment as Was};

use egret_flows::flow::{
    Body, Decision, Endpoint, Failure, Flow, Headers, IdentityFacts, Level, Message, MessageKind, Request,
    Response, Side, Timings, TlsFacts, Treatment,
};

/// 2026-01-02 03:04:05.678901 UTC.
pub(crate) const STARTED: u64 = 1_767_323_045_678_901;

pub(crate) fn id(number: u64) -> FlowId {
    FlowIds::new(number, 0, 1).next_id()
}

/// A flow with everything in it.
pub(crate) fn full() -> Flow {
    let mut flow = Flow::begun(id(1), STARTED, ([10, 1, 2, 3], 51234).into());
    flow.active = false;
    flow.identity = IdentityFacts {
        name: Some("alice".into()),
        proof: "jwt".into(),
        namespace: Some("payments".into()),
        service_account: Some("builder".into()),
        pod: Some("web-7d4b".into()),
        groups: vec!["developers".into(), "admins".into()],
    };
    flow.destination = Some(Endpoint { host: "api.example.com".into(), port: 443 });
    flow.dialled = Some(([203, 0, 113, 5], 443).into());
    flow.downstream = "HTTP/2".into();
    flow.upstream = Some("HTTP/1.1".into());
    flow.treatment = Treatment::Intercept;
    flow.capture = Level::Bodies;
    flow.request = Request {
        method: "POST".into(),
        scheme: "https".into(),
        host: "api.example.com".into(),
        port: 443,
        path: "/v2/items?page=2&sort=a%20b".into(),
        version: "HTTP/2".into(),
        headers: Headers::from_pairs([
            ("Host", "api.example.com"),
            ("Content-Type", "application/json; charset=utf-8"),
            ("X-Trace", "one"),
            ("x-trace", "two"),
        ]),
        body: Body::whole(&b"{\"name\":\"Egret\"}"[..]),
        trailers: Headers::default(),
    };
    flow.response = Some(Response {
        status: 503,
        phrase: "Service Unavailable".into(),
        version: "HTTP/1.1".into(),
        headers: Headers::from_pairs([("Server", "nginx/1.27"), ("Content-Type", "text/html")]),
        body: Body::whole(&b"<p>Come back later\nplease</p>"[..]),
        trailers: Headers::from_pairs([("Checksum", "abc")]),
    });
    flow.status = 503;
    flow.failure = Some(Failure {
        reason: "response-timeout".into(),
        blame: "upstream".into(),
        detail: Some("nothing for 5 minutes".into()),
    });
    flow.decision =
        Decision { policy: Some("egress/web".into()), rule: Some("apis".into()), ..Decision::default() };
    flow.timings = Timings {
        dns: Some(1_000),
        connect: Some(2_000),
        origin_tls: Some(3_000),
        client_tls: Some(4_000),
        sent: Some(7_000),
        first_byte: Some(250_000),
        total: Some(2_500_000),
        ..Timings::default()
    };
    flow.origin_tls = Some(std::sync::Arc::new(TlsFacts {
        version: "1.3".into(),
        cipher: "TLS13_AES_128_GCM_SHA256".into(),
        alpn: Some("http/1.1".into()),
        sni: Some("api.example.com".into()),
        resumed: false,
        chain: vec![Bytes::from_static(&[0x30, 0x03, 0x02, 0x01, 0xff])],
        problem: None,
    }));
    flow.bytes_up = 16;
    flow.bytes_down = 2_000_000;
    flow.tags = vec!["slow".into()];
    flow.mark = Some(":red:".into());
    flow.comment = Some("look at this".into());
    flow
}

/// A tunnel that went well, of which nothing was captured.
pub(crate) fn tunnel() -> Flow {
    let mut flow = Flow::begun(id(2), STARTED, "[2001:db8::7]:4000".parse().expect("an address"));
    flow.active = false;
    flow.treatment = Treatment::Tunnel;
    flow.downstream = "HTTP/1.1".into();
    flow.request.method = "CONNECT".into();
    flow.request.apply_target("db.internal:5432");
    flow.destination = flow.request.endpoint();
    flow.status = 200;
    flow.timings.total = Some(60_000_000);
    flow
}

/// A WebSocket with two messages.
pub(crate) fn websocket() -> Flow {
    let mut flow = Flow::begun(id(3), STARTED, ([127, 0, 0, 1], 9).into());
    flow.treatment = Treatment::Intercept;
    flow.capture = Level::Bodies;
    flow.downstream = "HTTP/1.1".into();
    flow.request.method = "GET".into();
    flow.request.apply_target("https://chat.example.org/socket");
    flow.request.headers = Headers::from_pairs([("Upgrade", "websocket")]);
    flow.response = Some(Response { status: 101, ..Response::default() });
    flow.status = 101;
    let message = |from, kind, payload: &'static [u8]| Message {
        from,
        kind,
        time: STARTED + 5,
        length: payload.len() as u64,
        truncated: false,
        event: None,
        payload: Bytes::from_static(payload),
    };
    flow.messages = vec![
        message(Side::Request, MessageKind::Text, b"hello from here"),
        message(Side::Response, MessageKind::Binary, b"\xff\x00there"),
    ];
    flow
}

/// The record of a plain request.
pub(crate) fn record(number: u64, target: &str) -> FlowRecord {
    FlowRecord {
        id: id(number),
        started: std::time::UNIX_EPOCH + std::time::Duration::from_micros(STARTED),
        client: ([192, 0, 2, 7], 51234).into(),
        user: None,
        tls: None,
        method: MethodName::new("GET"),
        target: target.into(),
        treatment: Was::Forward,
        status: 403,
        reason: Some(Reason::DeniedByRule),
        detail: Some("rule no-ads".into()),
        workload: None,
        unattributed: None,
        basis: Basis::of(RuleFacts::new("team", "no-ads", Action::Deny)),
        parent: None,
        dialled: Some(([203, 0, 113, 5], 80).into()),
        reused: true,
        bytes_up: 0,
        bytes_down: 13_456,
        phases: Phases { total: std::time::Duration::from_micros(6_789), ..Phases::default() },
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
