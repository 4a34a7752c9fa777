use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;

use egret_core::flow_id::FlowIds;
use egret_core::gate::Basis;
use egret_core::policy::RuleFacts;
use egret_core::policy::model::Action;
use egret_core::reason::Reason;
use egret_core::record::{FlowRecord, MethodName, Phases, Protocol, Treatment};
use egret_core::settings::DnsSettings;

use super::*;

/// Only a broken exporter needs so long.
const PATIENCE: Duration = Duration::from_secs(60);
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];

/// What the collector was sent: headers that matter, and the decoded message.
struct Post {
    connection: usize,
    path: String,
    content_type: String,
    api_key: Option<String>,
    message: ExportTraceServiceRequest,
}

/// A collector on loopback that answers with `status`.
fn collector(status: StatusCode) -> (SocketAddr, Receiver<Post>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (posts, received) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(collect(listener, posts, status));
    });
    (address, received)
}

async fn collect(listener: TcpListener, posts: Sender<Post>, status: StatusCode) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    for connection in 0..100 {
        let (stream, _) = listener.accept().await.unwrap();
        let posts = posts.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let posts = posts.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let header = |name: &str| head.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
                let _ = posts.send(Post {
                    connection,
                    path: head.uri.to_string(),
                    content_type: header("content-type").unwrap_or_default(),
                    api_key: header("x-api-key"),
                    message: ExportTraceServiceRequest::decode(body).unwrap(),
                });
                let response = Response::builder().status(status).body(Full::new(Bytes::new())).unwrap();
                Ok::<_, hyper::Error>(response)
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

fn settings(endpoint: String) -> OtlpSettings {
    OtlpSettings {
        endpoint,
        sample: 1.0,
        service_name: "egret-test".into(),
        include_query: false,
        headers: vec![("x-api-key".into(), "k".into())],
        dns: DnsSettings::default(),
        tls: None,
    }
}

fn a_record() -> FlowRecord {
    FlowRecord {
        tls: None,
        workload: None,
        unattributed: None,
        id: FlowIds::new(1, 0, 1).next_id(),
        started: UNIX_EPOCH + Duration::from_secs(1_763_725_680),
        client: "192.0.2.7:51234".parse().unwrap(),
        user: None,
        method: MethodName::new("GET"),
        target: "http://example.com:8080/a?token=secret".into(),
        treatment: Treatment::Forward,
        status: 200,
        reason: None,
        detail: None,
        basis: Basis::of(RuleFacts::new("web", "allow web", Action::Allow)),
        tunnel_sni: None,
        parent: None,
        dialled: Some("203.0.113.5:8080".parse().unwrap()),
        reused: false,
        bytes_up: 1,
        bytes_down: 2,
        phases: Phases {
            dns: Some(Duration::from_micros(1500)),
            total: Duration::from_millis(180),
            ..Phases::default()
        },
        user_agent: Some("curl/8.5.0".into()),
        referer: None,
        downstream: Protocol::Http11,
        upstream: Some(Protocol::Http11),
        upstream_tls: None,
        changes: None,
        replay_of: None,
        traceparent: Some(PARENT.into()),
        span: Some((TRACE, [0xab; 8])),
        interim: false,
    }
}

fn spans(post: &Post) -> Vec<Span> {
    post.message
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| scope.spans.clone())
        .collect()
}

fn value(attributes: &[KeyValue], key: &str) -> Option<String> {
    let AnyValue { value } = attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?;
    Some(match value? {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => format!("{other:?}"),
    })
}

/// The span that a collector receives for this record.
fn received(record: &FlowRecord, include_query: bool) -> Span {
    let (address, posts) = collector(StatusCode::OK);
    let otlp = Otlp::start(OtlpSettings { include_query, ..settings(format!("http://{address}")) }).unwrap();
    otlp.handle().record(record);
    assert!(otlp.flush(PATIENCE));
    let spans = spans(&posts.recv_timeout(PATIENCE).unwrap());
    assert_eq!(spans.len(), 1);
    spans.into_iter().next().unwrap()
}

#[test]
fn a_flow_becomes_a_span_below_the_clients() {
    let (address, posts) = collector(StatusCode::OK);
    let otlp = Otlp::start(settings(format!("http://{address}/"))).unwrap();
    otlp.handle().record(&a_record());
    assert!(otlp.flush(PATIENCE));
    let post = posts.recv_timeout(PATIENCE).unwrap();
    assert_eq!(post.path, "/v1/traces");
    assert_eq!(post.content_type, "application/x-protobuf");
    assert_eq!(post.api_key.as_deref(), Some("k"));
    let resource = post.message.resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(value(&resource.attributes, "service.name").as_deref(), Some("egret-test"));

    let span = &spans(&post)[0];
    assert_eq!(span.trace_id, TRACE);
    assert_eq!(span.span_id, [0xab; 8]);
    assert_eq!(span.parent_span_id, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
    assert_eq!(span.name, "GET");
    assert_eq!(span.kind(), SpanKind::Client);
    assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 180_000_000);
    let flow = a_record().id.to_string();
    let expected = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.full", "http://example.com:8080/a"),
        ("server.address", "example.com"),
        ("server.port", "8080"),
        ("network.peer.address", "203.0.113.5"),
        ("network.protocol.version", "1.1"),
        ("client.address", "192.0.2.7"),
        ("user_agent.original", "curl/8.5.0"),
        ("egret.flow", flow.as_str()),
        ("egret.policy", "web"),
        ("egret.rule", "allow web"),
        ("egret.dns_ms", "1.5"),
    ];
    for (key, text) in expected {
        assert_eq!(value(&span.attributes, key).as_deref(), Some(text), "{key}");
    }
    assert_eq!(value(&span.attributes, "error.type"), None);
    assert_eq!(otlp.dropped().load(Ordering::Relaxed), 0);
}

#[test]
fn queries_are_sent_only_when_asked_for() {
    let span = received(&a_record(), true);
    assert_eq!(
        value(&span.attributes, "url.full").as_deref(),
        Some("http://example.com:8080/a?token=secret")
    );
}

#[test]
fn a_failed_tunnel_is_an_error_with_its_reason() {
    let record = FlowRecord {
        method: MethodName::new("CONNECT"),
        target: "[2001:db8::1]:443".into(),
        treatment: Treatment::Tunnel,
        status: 502,
        reason: Some(Reason::ConnectRefused),
        detail: Some("port closed".into()),
        traceparent: None,
        ..a_record()
    };
    let span = received(&record, false);
    let status = span.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "port closed"));
    assert!(span.parent_span_id.is_empty(), "a root span");
    for (key, text) in [
        ("error.type", "connect-refused"),
        ("egret.reason", "connect-refused"),
        ("egret.blame", "upstream"),
        ("server.address", "2001:db8::1"),
        ("server.port", "443"),
    ] {
        assert_eq!(value(&span.attributes, key).as_deref(), Some(text), "{key}");
    }
    assert_eq!(value(&span.attributes, "url.full"), None, "host and port are no URL");
}

#[test]
fn what_egret_answers_itself_is_a_server_span() {
    let record = FlowRecord {
        treatment: Treatment::Local,
        dialled: None,
        status: 404,
        method: MethodName::new("BREW"),
        ..a_record()
    };
    let span = received(&record, false);
    assert_eq!(span.kind(), SpanKind::Server);
    assert_eq!(span.name, "HTTP");
    assert_eq!(value(&span.attributes, "http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(value(&span.attributes, "http.request.method_original").as_deref(), Some("BREW"));
    assert_eq!(value(&span.attributes, "network.peer.address").as_deref(), Some("192.0.2.7"));
    assert_eq!(span.status.map_or(0, |status| status.code), 0, "404 is no error of a server");
}

#[test]
fn sampling_follows_the_client_and_else_the_ratio() {
    let unsampled = format!("{}00", &PARENT[..53]);
    let of_client = |traceparent: &str| FlowRecord { traceparent: Some(traceparent.into()), ..a_record() };
    let own = FlowRecord { traceparent: None, ..a_record() };
    assert!(span::is_exported(&of_client(PARENT), 0.0));
    assert!(!span::is_exported(&of_client(&unsampled), 1.0));
    assert!(!span::is_exported(&own, 0.0));
    assert!(span::is_exported(&own, 1.0));
    assert!(span::is_exported(&of_client("garbage"), 1.0), "as if there were none");
    assert!(!span::is_exported(&FlowRecord { interim: true, ..a_record() }, 1.0));
    assert!(!span::is_exported(&FlowRecord { span: None, ..a_record() }, 1.0), "tracing was off");
}

#[test]
fn many_spans_go_in_batches_over_one_connection() {
    let (address, posts) = collector(StatusCode::OK);
    let otlp = Otlp::start(settings(format!("http://{address}"))).unwrap();
    let handle = otlp.handle();
    for _ in 0..BATCH * 2 + 1 {
        handle.record(&a_record());
    }
    assert!(otlp.flush(PATIENCE));
    let posts: Vec<Post> = posts.try_iter().collect();
    let sizes: Vec<usize> = posts.iter().map(|post| spans(post).len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), BATCH * 2 + 1);
    assert!(sizes.iter().all(|size| *size <= BATCH), "{sizes:?}");
    assert!(posts.iter().all(|post| post.connection == 0), "the first connection is kept");
}

#[test]
fn a_collector_that_fails_costs_spans_which_are_counted() {
    let (address, _posts) = collector(StatusCode::BAD_REQUEST);
    let otlp = Otlp::start(settings(format!("http://{address}"))).unwrap();
    otlp.handle().record(&a_record());
    assert!(otlp.flush(PATIENCE));
    assert_eq!(otlp.dropped().load(Ordering::Relaxed), 1);
}

#[test]
fn a_collector_that_never_answers_holds_nobody_up() {
    // Accepts in the kernel's queue and reads nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = silent.local_addr().unwrap();
    let otlp = Otlp::start(settings(format!("http://{address}"))).unwrap();
    let handle = otlp.handle();
    for _ in 0..3 * QUEUE {
        handle.record(&a_record());
    }
    assert!(otlp.dropped().load(Ordering::Relaxed) > 0);
    assert!(!otlp.flush(Duration::from_millis(1)));
}

#[test]
fn a_name_is_resolved_without_the_c_library() {
    let (address, posts) = collector(StatusCode::OK);
    // localhost stands in the hosts file and in hickory itself; no name server is asked.
    let dns = DnsSettings { servers: vec!["127.0.0.1:1".parse().unwrap()], ..DnsSettings::default() };
    let endpoint = format!("http://localhost:{}/custom/path", address.port());
    let otlp = Otlp::start(OtlpSettings { dns, ..settings(endpoint) }).unwrap();
    otlp.handle().record(&a_record());
    assert!(otlp.flush(PATIENCE));
    assert_eq!(posts.recv_timeout(PATIENCE).unwrap().path, "/custom/path");
}

#[test]
fn refuses_endpoints_that_cannot_be_posted_to() {
    for endpoint in ["", "collector:4317", "grpc://collector:4317", "/v1/traces", "http://", "ht tp://x"] {
        assert!(matches!(Otlp::start(settings(endpoint.into())), Err(OtlpError::Endpoint(_))), "{endpoint}");
    }
    assert!(matches!(Otlp::start(settings("https://collector".into())), Err(OtlpError::Tls)));
}

#[test]
fn settings_never_show_the_collectors_credentials() {
    let settings = OtlpSettings {
        headers: vec![("authorization".into(), "hunter2".into())],
        ..settings("http://x".into())
    };
    assert!(!format!("{settings:?}").contains("hunter2"));
}
