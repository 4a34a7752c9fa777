use std::time::{Duration, UNIX_EPOCH};

use egret_core::flow_id::FlowId;
use egret_core::reason::Reason;
use egret_flows::capture::{Begin, Facts, FlowCapture, Plan};
use egret_flows::flow::{
    BodyNote, DecisionStep, Endpoint, Flow, IdentityFacts, Level, MessageKind, Side, Treatment,
};
use egret_flows::redact::RedactionSettings;
use egret_flows::store::{FlowStore, StoreSettings};

use crate::some::{self, STARTED};

pub(crate) fn store(settings: StoreSettings) -> FlowStore {
    FlowStore::open(settings, &RedactionSettings::default()).expect("a store")
}

pub(crate) fn bodies(limit: u64) -> Plan {
    Plan { level: Level::Bodies, body_bytes: limit }
}

pub(crate) fn begin(number: u64) -> Begin {
    Begin {
        id: some::id(number),
        started: UNIX_EPOCH + Duration::from_micros(STARTED + number),
        client: ([10, 0, 0, 1], 5000).into(),
        tunnel: None,
        treatment: Treatment::Intercept,
        scheme: "https",
        destination: Some(Endpoint { host: "api.example.com".into(), port: 443 }),
        replay_of: None,
    }
}

const HEAD: &[u8] = b"POST /items?token=hunter2&a=b HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer hunter2\r\nContent-Type: text/plain\r\n\r\n";

fn captured(
    store: &FlowStore,
    plan: Plan,
    head: &[u8],
    then: impl FnOnce(&mut FlowCapture),
) -> std::sync::Arc<Flow> {
    let mut capture = store.handle().begin(begin(1), plan, head).expect("it is captured");
    then(&mut capture);
    let mut record = some::record(1, "https://api.example.com/items?token=hunter2&a=b");
    (record.status, record.reason, record.detail) = (200, None, None);
    capture.finish(record);
    store.settle();
    store.flow(some::id(1)).expect("it is stored")
}

fn body(store: &FlowStore, flow: &Flow, side: Side) -> Option<Vec<u8>> {
    store.body(flow.body(side)?).expect("it can be read").map(|bytes| bytes.to_vec())
}

#[test]
fn a_captured_flow_has_all_that_was_handed_over() {
    let store = store(StoreSettings::default());
    let flow = captured(&store, bodies(100), HEAD, |capture| {
        capture.body(Side::Request, b"one ");
        capture.body(Side::Request, b"two");
        capture.response_head(b"HTTP/1.1 200 Fine indeed\r\nServer: x\r\nset-cookie: sid=hunter2\r\n\r\n");
        capture.body(Side::Response, b"three");
        capture.trailers(Side::Response, b"Checksum: 5\r\nX-Api-Key: hunter2\r\n");
        capture.facts(Facts {
            identity: Some(IdentityFacts { namespace: Some("payments".into()), ..IdentityFacts::default() }),
            decision: Some(egret_flows::flow::Decision {
                policy: Some("web".into()),
                steps: vec![DecisionStep { policy: "web".into(), ..DecisionStep::default() }],
                ..Default::default()
            }),
            client_tls_micros: Some(700),
            ..Facts::default()
        });
    });
    assert!(!flow.active && !flow.truncated);
    assert_eq!((flow.capture, flow.treatment, flow.status), (Level::Bodies, Treatment::Intercept, 200));
    assert_eq!(flow.request.url(), "https://api.example.com/items?token=%5Bredacted%5D&a=b");
    assert_eq!(flow.request.headers.text("authorization"), Some("Bearer [redacted]"));
    assert_eq!(body(&store, &flow, Side::Request).as_deref(), Some(&b"one two"[..]));
    let response = flow.response.as_ref().expect("a response");
    assert_eq!((response.status, response.phrase.as_str()), (200, "Fine indeed"));
    assert_eq!(response.headers.text("Set-Cookie"), Some("[redacted]"));
    assert_eq!(body(&store, &flow, Side::Response).as_deref(), Some(&b"three"[..]));
    assert_eq!(response.trailers.text("checksum"), Some("5"));
    assert_eq!(
        (flow.decision.policy.as_deref(), flow.decision.rule.as_deref()),
        (Some("web"), Some("no-ads"))
    );
    assert_eq!((flow.timings.client_tls, flow.timings.total), (Some(700), Some(6_789)));
    assert_eq!(flow.identity.namespace.as_deref(), Some("payments"));
    assert!(!format!("{flow:?}").contains("hunter2"));
}

#[test]
fn a_flow_that_was_not_captured_is_listed_by_its_record_alone() {
    let store = store(StoreSettings::default());
    let handle = store.handle();
    assert!(handle.begin(begin(1), Plan::NONE, HEAD).is_none());
    handle.record(some::record(1, "http://user:word@ads.example.com/x?token=hunter2"), None);
    store.settle();
    let flow = store.flow(some::id(1)).expect("it is listed");
    assert_eq!(flow.capture, Level::None);
    assert_eq!(
        flow.request.url(),
        "http://%5Bredacted%5D@ads.example.com/x?token=%5Bredacted%5D".replace("%5Bredacted%5D@", "")
    );
    assert_eq!(
        (&*flow.request.method, flow.request.host.as_str(), flow.request.port),
        ("GET", "ads.example.com", 80)
    );
    let decision = (flow.decision.policy.as_deref(), flow.decision.rule.as_deref());
    assert_eq!(decision, (Some("team"), Some("no-ads")));
    let failure = flow.failure.as_ref().expect("it failed");
    assert_eq!(failure.reason, Reason::DeniedByRule.facts().code);
    assert_eq!((failure.blame.as_ref(), flow.status, flow.bytes_down), ("policy", 403, 13_456));
}

#[test]
fn headers_alone_leave_bodies_out() {
    let store = store(StoreSettings::default());
    let plan = Plan { level: Level::Headers, ..Plan::default() };
    let flow = captured(&store, plan, HEAD, |capture| {
        capture.body(Side::Request, b"never kept");
        capture.response_head(b"HTTP/1.1 200 OK\r\n\r\n");
        capture.body(Side::Response, b"nor this");
    });
    assert_eq!(flow.request.headers.len(), 3);
    assert_eq!((flow.request.body.length, flow.request.body.captured), (10, 0));
    assert_eq!(body(&store, &flow, Side::Response), None);
    assert!(!flow.truncated);
}

#[test]
fn a_body_is_kept_up_to_its_limit_and_its_length_known() {
    let store = store(StoreSettings::default());
    let flow = captured(&store, bodies(10), HEAD, |capture| {
        capture.body(Side::Request, b"0123456");
        capture.body(Side::Request, b"789abcdef");
    });
    let request = &flow.request.body;
    assert_eq!((request.length, request.captured, request.truncated), (16, 10, true));
    assert_eq!(body(&store, &flow, Side::Request).as_deref(), Some(&b"0123456789"[..]));
    assert!(flow.truncated);
    assert_eq!(store.counts().bodies_truncated, 1);
}

#[test]
fn nothing_of_a_body_is_kept_that_redaction_cannot_read() {
    let store = store(StoreSettings::default());
    let head = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\n\r\n";
    let flow = captured(&store, bodies(100), head, |capture| {
        capture.body(Side::Request, b"{\"password\": hunter2");
        capture.response_head(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n");
        capture.body(Side::Response, b"{\"password\":\"hunter2\",\"a\":1}");
    });
    assert_eq!(flow.request.body.note, Some(BodyNote::Unreadable));
    assert_eq!(body(&store, &flow, Side::Request), None);
    let response = flow.body(Side::Response).expect("a response");
    assert_eq!(response.note, Some(BodyNote::Redacted));
    assert_eq!(
        body(&store, &flow, Side::Response).as_deref(),
        Some(&b"{\"password\":\"[redacted]\",\"a\":1}"[..])
    );
    assert_eq!(store.counts().bodies_unreadable, 1);
}

#[test]
fn a_full_queue_drops_pieces_and_the_flow_says_so() {
    let store = store(StoreSettings { queue_bytes: 4000, ..StoreSettings::default() });
    let flow = captured(&store, bodies(1 << 20), HEAD, |capture| {
        capture.body(Side::Request, b"kept");
        // Larger than the queue will ever take.
        capture.body(Side::Request, &[7; 5000]);
        capture.body(Side::Request, b"after the gap");
    });
    assert_eq!(body(&store, &flow, Side::Request).as_deref(), Some(&b"kept"[..]));
    assert_eq!((flow.request.body.note, flow.request.body.length), (Some(BodyNote::PiecesLost), 5017));
    assert!(flow.truncated && flow.pieces_lost == 1);
    assert_eq!(store.counts().pieces_dropped, 1);
}

#[test]
fn all_bodies_that_grow_share_a_bound() {
    let store = store(StoreSettings { assembling_bytes: 10, ..StoreSettings::default() });
    let flow = captured(&store, bodies(1000), HEAD, |capture| {
        capture.body(Side::Request, b"12345678");
        capture.body(Side::Request, b"9abcdef");
        capture.body(Side::Request, b"x");
    });
    assert_eq!(body(&store, &flow, Side::Request).as_deref(), Some(&b"12345678"[..]));
    assert!(flow.request.body.truncated);
}

#[test]
fn a_flow_is_listed_while_it_goes_on_and_ends_also_when_it_is_dropped() {
    let store = store(StoreSettings::default());
    let mut capture = store.handle().begin(begin(1), bodies(100), HEAD).expect("it is captured");
    store.settle();
    let early = store.flow(some::id(1)).expect("it is listed");
    assert!(early.active && early.response.is_none());
    capture.response_head(b"HTTP/1.1 200 OK\r\n\r\n");
    capture.body(Side::Response, b"data: 1\n\n");
    store.settle();
    let later = store.flow(some::id(1)).expect("it is listed");
    assert!(later.active && later.seq == early.seq && later.revision > early.revision);
    assert_eq!(body(&store, &later, Side::Response).as_deref(), Some(&b"data: 1\n\n"[..]));
    drop(capture);
    store.settle();
    let end = store.flow(some::id(1)).expect("it is listed");
    assert!(!end.active && end.truncated && end.seq == early.seq);
}

#[test]
fn an_interim_record_is_the_same_flow_as_the_last() {
    let store = store(StoreSettings::default());
    let handle = store.handle();
    for interim in [true, true, false] {
        handle.record(egret_core::record::FlowRecord { interim, ..some::record(1, "db.example:5432") }, None);
        store.settle();
        assert_eq!(store.flow(some::id(1)).expect("it is listed").active, interim);
    }
    assert_eq!(store.counts().flows, 1);
}

#[test]
fn the_messages_of_a_websocket_are_captured_both_ways() {
    let store = store(StoreSettings { messages: 3, ..StoreSettings::default() });
    let head = b"GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let flow = captured(&store, bodies(1000), head, |capture| {
        capture.response_head(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n");
        capture.websocket(Side::Request, &[0x81, 0x85, 1, 2, 3, 4]);
        capture.websocket(Side::Request, &[b'h' ^ 1, b'e' ^ 2, b'l' ^ 3, b'l' ^ 4, b'o' ^ 1]);
        capture.websocket(Side::Response, b"\x81\x16{\"password\":\"hunter2\"}");
        capture.websocket(Side::Response, b"\x82\x01\xff\x89\x00");
    });
    assert!(flow.is_websocket());
    let shown: Vec<_> = flow.messages.iter().map(|m| (m.from, m.kind, &m.payload[..])).collect();
    assert_eq!(
        shown,
        [
            (Side::Request, MessageKind::Text, &b"hello"[..]),
            (Side::Response, MessageKind::Text, b"{\"password\":\"[redacted]\"}"),
            (Side::Response, MessageKind::Binary, b"\xff"),
        ]
    );
    assert_eq!((flow.messages_dropped, flow.truncated), (1, true));
}

#[test]
fn server_sent_events_are_captured_as_messages() {
    let store = store(StoreSettings::default());
    let flow = captured(&store, bodies(1000), b"GET http://a.example/events HTTP/1.1\r\n\r\n", |capture| {
        capture.response_head(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n");
        for piece in
            [&b": hello\n\nevent: tick\nid: 1\nda"[..], b"ta: {\"password\":\"hunter2\"}\n\n", b"data: 2\n\n"]
        {
            capture.body(Side::Response, piece);
        }
    });
    assert!(!flow.is_websocket());
    let shown: Vec<_> =
        flow.messages.iter().map(|m| (m.from, m.kind, m.event.as_deref(), &m.payload[..])).collect();
    assert_eq!(
        shown,
        [
            (Side::Response, MessageKind::Event, Some("tick"), &b"{\"password\":\"[redacted]\"}"[..]),
            (Side::Response, MessageKind::Event, None, b"2"),
        ]
    );
    assert!(flow.messages.iter().all(|message| message.time > 0));
}

#[test]
fn connect_and_the_requests_within_are_told_apart() {
    let store = store(StoreSettings::default());
    let flow = captured(
        &store,
        bodies(10),
        b"CONNECT b.example:8443 HTTP/1.1\r\nHost: b.example:8443\r\n\r\n",
        |_| {},
    );
    assert_eq!((flow.request.url().as_str(), flow.request.port), ("b.example:8443", 8443));
    let handle = store.handle();
    let tunnel: FlowId = some::id(1);
    let inner = Begin {
        tunnel: Some(tunnel),
        destination: Some(Endpoint { host: "b.example".into(), port: 8443 }),
        ..begin(2)
    };
    drop(handle.begin(inner, bodies(10), b"GET /x HTTP/1.1\r\n\r\n"));
    store.settle();
    let inner = store.flow(some::id(2)).expect("it is listed");
    assert_eq!((inner.request.url().as_str(), inner.tunnel), ("https://b.example:8443/x", Some(tunnel)));
}
