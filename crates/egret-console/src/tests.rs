use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use base64::Engine as _;
use sha2::Digest as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::page;
use super::server::{Bounds, serve_within};
use super::{AdminState, MetricsText, Readiness};

/// Only a broken server waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

fn start(bounds: Bounds) -> (SocketAddr, Arc<AtomicU8>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let phase = Arc::new(AtomicU8::new(0));
    let seen = phase.clone();
    let state = AdminState {
        version: "1.2.3<b>".into(),
        listeners: vec!["127.0.0.1:8888 \"<script>\"".into()],
        readiness: Box::new(move || match seen.load(Ordering::SeqCst) {
            0 => Readiness::Starting,
            1 => Readiness::Ready,
            _ => Readiness::Draining,
        }),
        metrics: Box::new(|accept| MetricsText {
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: format!("accept {}\n", accept.unwrap_or("-")),
        }),
    };
    tokio::spawn(serve_within(listener, state, bounds));
    (address, phase)
}

/// Sends raw bytes and reads until the server closes.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("the server closes").unwrap();
    String::from_utf8(text).unwrap()
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    exchange(address, &format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn health_is_ok_while_the_process_lives() {
    let (address, _) = start(Bounds::default());
    let response = ask(address, "GET", "/healthz").await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert_eq!(body(&response), "ok\n");
}

#[tokio::test]
async fn readiness_follows_the_life_of_the_process() {
    let (address, phase) = start(Bounds::default());
    for (now, status, text) in [(0, "503", "starting\n"), (1, "200", "ready\n"), (2, "503", "draining\n")] {
        phase.store(now, Ordering::SeqCst);
        let response = ask(address, "GET", "/readyz").await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert_eq!(body(&response), text);
    }
}

#[tokio::test]
async fn metrics_are_asked_for_with_the_accept_field() {
    let (address, _) = start(Bounds::default());
    let request =
        "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: a/b\r\nAccept: c/d;q=0.1\r\nConnection: close\r\n\r\n";
    let response = exchange(address, request).await;
    assert!(response.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{response}");
    assert_eq!(body(&response), "accept a/b,c/d;q=0.1\n");
    assert_eq!(body(&ask(address, "GET", "/metrics").await), "accept -\n");
}

#[tokio::test]
async fn the_page_is_escaped_and_may_load_nothing() {
    let (address, _) = start(Bounds::default());
    let response = ask(address, "GET", "/").await;
    assert!(response.contains("content-type: text/html; charset=utf-8\r\n"), "{response}");
    assert!(response.contains("default-src 'none'"));
    assert!(response.contains("Egret 1.2.3&lt;b&gt;"));
    assert!(response.contains("127.0.0.1:8888 &quot;&lt;script&gt;&quot;"));
    assert!(!body(&response).contains("<script"));
}

#[test]
fn the_content_policy_admits_the_style() {
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(page::STYLE));
    assert!(page::CONTENT_POLICY.contains(&format!("'sha256-{hash}'")), "the hash is {hash}");
}

#[tokio::test]
async fn head_has_no_body() {
    let (address, _) = start(Bounds::default());
    for path in ["/", "/healthz", "/metrics"] {
        let response = ask(address, "HEAD", path).await;
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        assert_eq!(body(&response), "");
    }
}

#[tokio::test]
async fn refuses_other_paths_and_methods() {
    let (address, _) = start(Bounds::default());
    let response = ask(address, "GET", "/nope").await;
    assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    for method in ["POST", "DELETE", "OPTIONS", "MADE-UP"] {
        let response = ask(address, method, "/metrics").await;
        assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
        assert_eq!(response.to_lowercase().matches("allow: get, head\r\n").count(), 1, "{response}");
        assert!(response.contains("x-content-type-options: nosniff\r\n"), "{response}");
    }
}

#[tokio::test]
async fn refuses_a_head_without_end() {
    let (address, _) = start(Bounds::default());
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(64 * 1024));
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may close before everything is sent.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut text = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("the server closes");
    assert!(!text.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn closes_a_connection_that_never_sends_its_head() {
    let (address, _) = start(Bounds { head: Duration::from_millis(50), ..Bounds::default() });
    let response = exchange(address, "GET / HTTP/1.1\r\nHost: ").await;
    assert!(!response.starts_with("HTTP/1.1 200"), "{response}");
}

#[tokio::test]
async fn closes_a_connection_that_idles_after_its_response() {
    let (address, _) = start(Bounds { head: Duration::from_millis(50), ..Bounds::default() });
    let response = exchange(address, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
}

#[tokio::test]
async fn serves_again_once_those_who_hold_every_connection_are_closed() {
    let bounds = Bounds { connections: 2, head: Duration::from_millis(200), ..Bounds::default() };
    let (address, _) = start(bounds);
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    let response = ask(address, "GET", "/healthz").await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
}

#[tokio::test]
async fn a_connection_has_an_end() {
    let bounds = Bounds {
        lifetime: Duration::from_millis(100),
        grace: Duration::from_millis(50),
        ..Bounds::default()
    };
    let (address, _) = start(bounds);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut closed = false;
    // Busy all the time, so that no idle limit can be what ends it.
    for _ in 0..10_000 {
        let mut buffer = [0; 4096];
        let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        if asked.is_err() || !matches!(stream.read(&mut buffer).await, Ok(1..)) {
            closed = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(closed);
}
