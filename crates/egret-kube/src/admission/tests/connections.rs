//! Connections: protocols, certificates, bounds, the end.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

async fn over_http1(running: &Running, text: &[u8]) -> String {
    let mut stream = connect(running, b"http/1.1").await.unwrap();
    stream.write_all(text).await.unwrap();
    let mut answer = Vec::new();
    // The end of a connection that was closed without close_notify is an end as well.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn paths_methods_and_types_have_their_answers() {
    let running = start(Limits::default()).await;
    let cases = [
        (Method::GET, "/healthz", None, 200),
        (Method::HEAD, "/readyz", None, 200),
        (Method::GET, "/readyz", None, 200),
        (Method::POST, "/healthz", None, 405),
        (Method::GET, "/mutate", None, 405),
        (Method::PUT, "/validate", None, 405),
        (Method::POST, "/", None, 404),
        (Method::POST, "/mutate/", None, 404),
        (Method::POST, "/mutate", None, 415),
        (Method::POST, "/mutate", Some("text/plain"), 415),
        (Method::POST, "/mutate", Some("application/jsonx"), 415),
    ];
    for (method, path, content_type, status) in cases {
        let line = format!("{method} {path} {content_type:?}");
        let body = if method == Method::POST { recorded("01-bare-pod.1") } else { Vec::new() };
        let (answered, _) = send(&running, request(method, path, content_type, body)).await;
        assert_eq!(answered.as_u16(), status, "{line}");
    }
    let with_charset =
        request(Method::POST, "/mutate", Some("application/json; charset=utf-8"), recorded("01-bare-pod.1"));
    assert_eq!(send(&running, with_charset).await.0, StatusCode::OK);
}

#[tokio::test]
async fn http1_is_spoken_as_well() {
    let running = start(Limits::default()).await;
    let body = recorded("01-bare-pod.1");
    let head = format!(
        "POST /mutate?timeout=5s HTTP/1.1\r\nHost: {NAME}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let answer = over_http1(&running, &[head.as_bytes(), &body].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("JSONPatch"), "{answer}");
}

#[tokio::test]
async fn a_new_certificate_is_used_from_the_next_connection_on() {
    let mut running = start(Limits::default()).await;
    let next = certificate();
    running.webhook.certificates().set(next.chain.as_bytes(), next.key.as_bytes()).unwrap();
    assert!(connect(&running, b"h2").await.is_err(), "only the old one is trusted");
    running.trusted = next.der;
    assert!(connect(&running, b"h2").await.is_ok());
}

#[tokio::test]
async fn a_bad_certificate_leaves_the_one_before() {
    let running = start(Limits::default()).await;
    let (one, other) = (certificate(), certificate());
    let certificates = running.webhook.certificates();
    let bad = [
        certificates.set(b"", one.key.as_bytes()),
        certificates.set(one.chain.as_bytes(), b""),
        certificates.set(
            one.chain.as_bytes(),
            b"-----BEGIN PRIVATE KEY-----\nsecretsecret\n-----END PRIVATE KEY-----\n",
        ),
        certificates.set(one.chain.as_bytes(), other.key.as_bytes()),
        certificates.set(one.key.as_bytes(), one.chain.as_bytes()),
    ];
    for outcome in bad {
        let said = outcome.unwrap_err().to_string();
        assert!(said.contains("tls.") && !said.contains("secret"), "{said}");
    }
    assert!(connect(&running, b"h2").await.is_ok());
}

#[tokio::test]
async fn without_a_certificate_nothing_is_ready() {
    let webhook = Webhook::new(Limits::default(), check, None);
    assert_eq!(webhook.unready(), Some("no certificate yet"));
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed() {
    let running = start(Limits { connections: 1, ..Limits::default() }).await;
    let first = connect(&running, b"h2").await.unwrap();
    assert!(connect(&running, b"h2").await.is_err());
    drop(first);
    let mut again = connect(&running, b"h2").await;
    for _ in 0..100 {
        if again.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        again = connect(&running, b"h2").await;
    }
    assert!(again.is_ok());
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let short = Duration::from_millis(50);
    let running = start(Limits { handshake: short, first_request: short, ..Limits::default() }).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(over_http1(&running, b"").await, "");
    assert_eq!(over_http1(&running, b"POST /mut").await, "");
}

#[tokio::test]
async fn a_request_under_way_is_answered_when_the_server_ends() {
    let running = start(Limits::default()).await;
    let mut stream = connect(&running, b"http/1.1").await.unwrap();
    let body = recorded("01-bare-pod.1");
    let head = format!(
        "POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body[..100]].concat()).await.unwrap();
    let idle = connect(&running, b"h2").await.unwrap();
    // The head has to be there before the end is.
    while running.webhook.metrics().connections.get() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.end.send(()).unwrap();
    while running.webhook.unready() != Some("draining") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stream.write_all(&body[100..]).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
    drop(idle);
    running.ended.await.unwrap();
    assert!(TcpStream::connect(running.address).await.is_err());
}
