//! What the webhook promises, over real connections.

mod bodies;
mod connections;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::inject::CompiledProxy;
use crate::no_proxy::Injected;

/// What the API server asks for, to the letter.
pub(super) const NAME: &str = "egret-controller.egret-system.svc";

pub(super) struct Pair {
    pub(super) chain: String,
    pub(super) key: String,
    pub(super) der: CertificateDer<'static>,
}

pub(super) fn certificate() -> Pair {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    Pair { chain: made.cert.pem(), key: made.signing_key.serialize_pem(), der: made.cert.der().clone() }
}

pub(super) struct Running {
    pub(super) webhook: Webhook,
    pub(super) address: SocketAddr,
    pub(super) trusted: CertificateDer<'static>,
    pub(super) end: oneshot::Sender<()>,
    pub(super) ended: JoinHandle<()>,
}

fn check(kind: &str, object: &Value, namespace: Option<&str>) -> Verdict {
    assert!(object["spec"]["panic"].is_null(), "as asked");
    let refused = object["spec"]["bad"].as_str().map(|why| format!("{kind} in {namespace:?}: {why}"));
    Verdict { refused, warnings: vec!["look\ncloser".to_owned()] }
}

pub(super) fn settings() -> Snapshot {
    let no_proxy = Injected::from_entries([".svc".to_owned()]);
    let proxy = CompiledProxy::new("default", 1, "http://egret:8888", no_proxy);
    Snapshot::new(vec![Arc::new(proxy)], Arc::default(), "egret-system".to_owned())
}

pub(super) async fn start(limits: Limits) -> Running {
    start_with(Webhook::new(limits, check, None)).await
}

pub(super) async fn start_with(webhook: Webhook) -> Running {
    let pair = certificate();
    webhook.certificates().set(pair.chain.as_bytes(), pair.key.as_bytes()).unwrap();
    webhook.set_snapshot(settings());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, asked) = oneshot::channel();
    let server = webhook.clone();
    let ended = tokio::spawn(async move {
        server.serve(listener, async { drop(asked.await) }).await.unwrap();
    });
    Running { webhook, address, trusted: pair.der, end, ended }
}

pub(super) async fn connect(running: &Running, alpn: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(running.trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let socket = TcpStream::connect(running.address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(NAME).unwrap(), socket).await
}

pub(super) fn request(
    method: Method,
    path: &str,
    content_type: Option<&str>,
    body: Vec<u8>,
) -> Request<Full<Bytes>> {
    let mut request =
        Request::builder().method(method).uri(format!("https://{NAME}{path}")).header("host", NAME);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    request.body(Full::new(body.into())).unwrap()
}

pub(super) async fn send(running: &Running, request: Request<Full<Bytes>>) -> (StatusCode, String) {
    let io = TokioIo::new(connect(running, b"h2").await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

pub(super) async fn post(running: &Running, path: &str, body: impl Into<Vec<u8>>) -> (StatusCode, String) {
    send(running, request(Method::POST, path, Some("application/json"), body.into())).await
}

pub(super) fn recorded(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/fixtures/admission/{name}.request.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// The answer's body, which must be one that the API server takes.
pub(super) fn response(answer: &(StatusCode, String)) -> Value {
    assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
    let review: Value = serde_json::from_str(&answer.1).unwrap();
    assert_eq!(
        (&review["apiVersion"], &review["kind"]),
        (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
    );
    let response = review["response"].clone();
    assert_eq!(response["patchType"].is_null(), response["patch"].is_null());
    response
}
