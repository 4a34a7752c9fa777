//! The webhook over TLS and HTTP/2, as an API server asks it: one connection, recorded AdmissionReviews by turns.
//!
//! `cargo bench -p egret-kube --bench webhook` prints two measurements. The server has one thread, the client another.
//! First a thousand requests a second for ten seconds, each sent when its time has come whether or not the one before was
//! answered, and timed from then; then as many as go, sixteen at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a bench, on loopback"
)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use egret_kube::admission::{Limits, Verdict, Webhook};
use egret_kube::inject::{CompiledProxy, Snapshot, Trust};
use egret_kube::no_proxy::{ClusterFacts, Injected, Wanted, compute};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::time::{ClockId, clock_gettime};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const NAME: &str = "egret-controller.egret-system.svc";
const RATE: u64 = 1000;
const STEADY: Duration = Duration::from_secs(10);
const FULL: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 16;

fn snapshot() -> Snapshot {
    let facts = ClusterFacts {
        service_networks: vec!["10.96.0.0/16".parse().unwrap()],
        node_addresses: (1..=50).map(|n| format!("192.0.2.{n}").parse().unwrap()).collect(),
        pod_networks: (0..10).map(|n| format!("10.244.{n}.0/24").parse().unwrap()).collect(),
        ..ClusterFacts::default()
    };
    let no_proxy = Injected::new(&compute(&facts, &Wanted::default()));
    let proxy = CompiledProxy {
        trust: Some(Trust::from_config_map("egret-ca")),
        java: true,
        host_network: true,
        ..CompiledProxy::new("default", 1, "http://egret.egret-system.svc:8888", no_proxy)
    };
    let namespaces = (0..1000).map(|n| (format!("team-{n}"), Vec::new()));
    let namespaces: HashMap<_, _> = namespaces.chain([("team-a".to_owned(), Vec::new())]).collect();
    Snapshot::new(vec![Arc::new(proxy)], Arc::new(namespaces), "egret-system".to_owned())
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

/// Starts the server on a thread of its own. What is sent to it is answered with its CPU time.
fn serve() -> (SocketAddr, CertificateDer<'static>, mpsc::Sender<mpsc::Sender<Duration>>) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
    let webhook = Webhook::new(Limits::default(), |_, _, _| Verdict::default(), None);
    webhook
        .certificates()
        .set(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes())
        .unwrap();
    webhook.set_snapshot(snapshot());
    let (addresses, address) = mpsc::channel();
    let (asks, asked) = mpsc::channel::<mpsc::Sender<Duration>>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.send(listener.local_addr().unwrap()).unwrap();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    if let Ok(asker) = asked.try_recv() {
                        let _ = asker.send(cpu());
                    }
                }
            });
            webhook.serve(listener, std::future::pending()).await.unwrap();
        });
    });
    (address.recv().unwrap(), made.cert.der().clone(), asks)
}

async fn connect(address: SocketAddr, trusted: &CertificateDer<'static>) -> SendRequest<Full<Bytes>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from(NAME).unwrap(), socket).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn bodies() -> Vec<Bytes> {
    let directory = format!("{}/tests/fixtures/admission", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with("err-"))
        .map(|path| Bytes::from(std::fs::read(path).unwrap()))
        .collect()
}

async fn ask(mut sender: SendRequest<Full<Bytes>>, body: Bytes) {
    let request = Request::post(format!("https://{NAME}/mutate?timeout=5s"))
        .header("content-type", "application/json")
        .body(Full::new(body))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.windows(14).any(|window| window == b"\"allowed\":true"));
}

/// Requests at a rate; how long each took from when it was due, sorted.
async fn steady(sender: &SendRequest<Full<Bytes>>, bodies: &[Bytes]) -> Vec<Duration> {
    let began = Instant::now();
    let mut under_way = JoinSet::new();
    let mut took = Vec::new();
    for number in 0..RATE * STEADY.as_secs() {
        let due = began + Duration::from_secs(number) / u32::try_from(RATE).unwrap();
        tokio::time::sleep_until(due.into()).await;
        let (sender, body) = (sender.clone(), bodies[number as usize % bodies.len()].clone());
        under_way.spawn(async move {
            ask(sender, body).await;
            due.elapsed()
        });
        while let Some(done) = under_way.try_join_next() {
            took.push(done.unwrap());
        }
    }
    while let Some(done) = under_way.join_next().await {
        took.push(done.unwrap());
    }
    took.sort();
    took
}

/// As many requests as go; how many were answered.
async fn full(sender: &SendRequest<Full<Bytes>>, bodies: &[Bytes]) -> u64 {
    let end = Instant::now() + FULL;
    let mut clients = JoinSet::new();
    for client in 0..AT_ONCE {
        let (sender, bodies) = (sender.clone(), bodies.to_vec());
        clients.spawn(async move {
            let mut count = 0u64;
            for body in bodies.iter().cycle().skip(client) {
                if Instant::now() >= end {
                    break;
                }
                ask(sender.clone(), body.clone()).await;
                count += 1;
            }
            count
        });
    }
    let mut all = 0;
    while let Some(count) = clients.join_next().await {
        all += count.unwrap();
    }
    all
}

fn main() {
    let (address, trusted, asks) = serve();
    let cpu_of_server = || {
        let (answer, answered) = mpsc::channel();
        asks.send(answer).unwrap();
        answered.recv().unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bodies = bodies();
    let average = bodies.iter().map(Bytes::len).sum::<usize>() / bodies.len();
    println!("{} recorded AdmissionReviews, {average} bytes on average", bodies.len());
    let sender = runtime.block_on(async {
        let sender = connect(address, &trusted).await;
        for body in bodies.iter().cycle().take(500) {
            ask(sender.clone(), body.clone()).await;
        }
        sender
    });
    let before = cpu_of_server();
    let took = runtime.block_on(steady(&sender, &bodies));
    let used = cpu_of_server() - before;
    let at = |share: f64| took[((took.len() as f64 * share) as usize).min(took.len() - 1)];
    println!(
        "{RATE} a second for {} s: p50 {:?}, p99 {:?}, p99.9 {:?}, worst {:?}; server's CPU {:.1} % of a core, {:.0} µs each",
        STEADY.as_secs(),
        at(0.5),
        at(0.99),
        at(0.999),
        took[took.len() - 1],
        100.0 * used.as_secs_f64() / STEADY.as_secs_f64(),
        used.as_secs_f64() * 1e6 / took.len() as f64,
    );
    let before = cpu_of_server();
    let count = runtime.block_on(full(&sender, &bodies));
    let used = cpu_of_server() - before;
    println!(
        "{AT_ONCE} at once for {} s: {:.0} a second; server's CPU {:.0} µs each",
        FULL.as_secs(),
        count as f64 / FULL.as_secs_f64(),
        used.as_secs_f64() * 1e6 / count as f64,
    );
}
