//! Parent proxies: real ones, and one that misbehaves.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use egret_core::destination::Destination;
use egret_core::pattern::NoProxy;
use egret_core::reason::Reason;
use egret_core::route::{Credentials, Parent, ParentGroup, ParentScheme, Routes};
use egret_core::settings::Snapshot;
use egret_proxy::upstream::{DialError, Tunnelled, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{
    CONNECTIONS, assert_echo, black_hole, deadline, echo, free_port, grant, grant_unresolved, snapshot,
};
use crate::tls::Ca;

fn parent(scheme: ParentScheme, address: &str, credentials: Option<(&str, &str)>) -> Parent {
    let credentials =
        credentials.map(|(user, password)| Credentials { user: user.into(), password: password.into() });
    Parent { scheme, address: Destination::parse_authority(address).unwrap(), credentials }
}

fn http(port: u16, credentials: Option<(&str, &str)>) -> Parent {
    parent(ParentScheme::Http, &format!("127.0.0.1:{port}"), credentials)
}

fn group(parents: Vec<Parent>) -> ParentGroup {
    ParentGroup {
        name: "corporate".into(),
        parents,
        destinations: None,
        no_proxy: NoProxy::default(),
        resolve_locally: false,
        trusted_ca: None,
        retry_after: Duration::from_secs(600),
    }
}

/// An upstream with one group.
struct World {
    upstream: Upstream,
    snapshot: Snapshot,
    group: Arc<ParentGroup>,
}

impl World {
    fn new(group: ParentGroup) -> Self {
        let group = Arc::new(group);
        let snapshot = Snapshot { routes: Routes { groups: vec![group.clone()] }, ..snapshot(&[]) };
        Self { upstream: Upstream::new(&snapshot).unwrap(), snapshot, group }
    }

    async fn tunnel(&self, destination: &str) -> Result<Tunnelled, DialError> {
        let grant = grant_unresolved(destination);
        let via = Some("egret-test");
        self.upstream.tunnel_through(&self.snapshot, &self.group, &grant, via, deadline(20)).await
    }

    fn up(&self) -> Vec<bool> {
        self.upstream.parents().into_iter().map(|(_, _, up, _)| up).collect()
    }
}

/// A real proxy, stopped when dropped.
struct Proxy {
    child: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Asked politely, Squid takes its shared memory away.
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        for _ in 0..40 {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    async fn start(program: &str, arguments: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        // Squid gives up root, and then still has to write here.
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let port = free_port();
        let mut child = Command::new(program)
            .args(arguments(port, directory.path()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started ({error}); apt-get install it"));
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Self { child, port, _directory: directory };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{program} ended with {status} instead of listening on port {port}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{program} does not listen on port {port}");
    }

    async fn tinyproxy() -> Self {
        Self::start("/usr/bin/tinyproxy", |port, directory| {
            let file = directory.join("tinyproxy.conf");
            let log = directory.join("log");
            let text = format!(
                "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nLogFile \"{}\"\nBasicAuth user pass\n",
                log.display()
            );
            std::fs::write(&file, text).unwrap();
            vec!["-d".to_owned(), "-c".to_owned(), file.display().to_string()]
        })
        .await
    }

    async fn squid(rules: &str) -> Self {
        Self::start("/usr/sbin/squid", |port, directory| {
            let file = directory.join("squid.conf");
            let place = directory.display();
            let text = format!(
                "http_port 127.0.0.1:{port}\n{rules}\nhttp_access allow all\ncache deny all\ncache_mem 1 MB\n\
                 access_log none\ncache_log {place}/cache.log\npid_filename {place}/squid.pid\ncoredump_dir {place}\n\
                 shutdown_lifetime 0 seconds\nmax_filedescriptors 1024\nvisible_hostname squid.test\n"
            );
            std::fs::write(&file, text).unwrap();
            let name = format!("upstream{port}");
            vec!["-N".to_owned(), "-n".to_owned(), name, "-f".to_owned(), file.display().to_string()]
        })
        .await
    }

    async fn microsocks(credentials: &[&str]) -> Self {
        Self::start("/usr/bin/microsocks", |port, _| {
            let mut arguments =
                vec!["-i".to_owned(), "127.0.0.1".to_owned(), "-p".to_owned(), port.to_string()];
            arguments.extend(credentials.iter().map(|&argument| argument.to_owned()));
            arguments
        })
        .await
    }
}

async fn assert_tunnel_works(world: &World, destination: &str) {
    let mut tunnel = world.tunnel(destination).await.unwrap();
    assert_echo(&mut tunnel.io, &tunnel.early).await;
    assert!(tunnel.phases.connect.is_some());
    assert_eq!(world.up(), [true]);
}

#[tokio::test]
async fn tunnels_through_tinyproxy_with_credentials() {
    let (origin, proxy) = (echo("127.0.0.1:0").await, Proxy::tinyproxy().await);
    let world = World::new(group(vec![http(proxy.port, Some(("user", "pass")))]));
    assert_tunnel_works(&world, &origin.to_string()).await;
}

#[tokio::test]
async fn a_parent_that_wants_credentials_is_told_as_that() {
    let proxy = Proxy::tinyproxy().await;
    for (credentials, words) in [
        (None, "wants credentials, and none are configured"),
        (Some(("user", "wrong-secret")), "did not accept the credentials"),
    ] {
        let world = World::new(group(vec![http(proxy.port, credentials)]));
        let error = world.tunnel("127.0.0.1:9").await.err().unwrap();
        assert_eq!(error.reason, Reason::ParentRefused, "{error}");
        assert!(error.detail.contains(words) && error.detail.contains("40"), "{error}");
        assert!(!format!("{error:?} {world:?}", world = world.group).contains("wrong-secret"));
        assert_eq!(world.up(), [true], "a parent that says no is up");
    }
}

#[tokio::test]
async fn tunnels_through_squid_and_tells_its_refusals() {
    let origin = echo("127.0.0.1:0").await;
    let port = origin.port();
    let proxy = Proxy::squid(&format!("acl good port {port} 9\nhttp_access deny CONNECT !good")).await;
    let world = World::new(group(vec![http(proxy.port, None)]));
    assert_tunnel_works(&world, &origin.to_string()).await;
    let error = world.tunnel("127.0.0.1:25").await.err().unwrap();
    assert_eq!(error.reason, Reason::ParentRefused);
    let words = format!("the parent 127.0.0.1:{} answered 403 Forbidden", proxy.port);
    assert_eq!(error.detail, words);
    let error = world.tunnel("127.0.0.1:9").await.err().unwrap();
    assert_eq!(error.reason, Reason::ParentRefused);
    assert!(error.detail.contains("answered 503"), "{error}");
    assert_eq!(world.up(), [true]);
}

#[tokio::test]
async fn tunnels_through_socks5_by_name_and_by_address() {
    let (origin, proxy) = (echo("127.0.0.1:0").await, Proxy::microsocks(&[]).await);
    let socks = parent(ParentScheme::Socks5, &format!("127.0.0.1:{}", proxy.port), None);
    let world = World::new(group(vec![socks.clone()]));
    assert_tunnel_works(&world, &origin.to_string()).await;
    assert_tunnel_works(&world, &format!("localhost:{}", origin.port())).await;
    let error = world.tunnel(&format!("127.0.0.1:{}", free_port())).await.err().unwrap();
    assert_eq!(error.reason, Reason::ParentRefused);
    assert!(error.detail.contains("connection refused"), "{error}");

    let locally = World::new(ParentGroup { resolve_locally: true, ..group(vec![socks]) });
    let grant = grant(&format!("origin.invalid:{}", origin.port()), &[origin.ip()]);
    let mut tunnel = locally
        .upstream
        .tunnel_through(&locally.snapshot, &locally.group, &grant, None, deadline(20))
        .await
        .unwrap();
    assert_echo(&mut tunnel.io, &tunnel.early).await;
}

#[tokio::test]
async fn socks5_credentials_are_used_and_their_refusal_is_told() {
    let origin = echo("127.0.0.1:0").await;
    let proxy = Proxy::microsocks(&["-u", "user", "-P", "secret"]).await;
    let with = |credentials| {
        World::new(group(vec![parent(
            ParentScheme::Socks5,
            &format!("127.0.0.1:{}", proxy.port),
            credentials,
        )]))
    };
    assert_tunnel_works(&with(Some(("user", "secret"))), &origin.to_string()).await;
    for (credentials, words) in
        [(None, "wants credentials"), (Some(("user", "nope")), "did not accept the credentials")]
    {
        let error = with(credentials).tunnel(&origin.to_string()).await.err().unwrap();
        assert_eq!(error.reason, Reason::ParentRefused);
        assert!(error.detail.contains(words), "{error}");
    }
}

#[tokio::test]
async fn the_next_parent_serves_when_the_first_is_down_and_the_first_is_passed_over() {
    let (origin, proxy) = (echo("127.0.0.1:0").await, Proxy::squid("").await);
    let world = World::new(group(vec![http(free_port(), None), http(proxy.port, None)]));
    assert_eq!(world.up(), [true, true]);
    for _ in 0..3 {
        let mut tunnel = world.tunnel(&origin.to_string()).await.unwrap();
        assert_eq!(tunnel.dialled.port(), proxy.port);
        assert_echo(&mut tunnel.io, &tunnel.early).await;
        assert_eq!(world.up(), [false, true]);
    }
    let failures: Vec<_> = world.upstream.parents().iter().map(|parent| parent.3).collect();
    assert_eq!(failures, [1, 0], "it was tried once");
    // A reload forgets nothing.
    world.upstream.apply(&world.snapshot).unwrap();
    assert_eq!(world.up(), [false, true]);
}

#[tokio::test]
async fn a_parent_that_swallows_packets_leaves_time_for_the_next() {
    let (origin, proxy, hole) =
        (echo("127.0.0.1:0").await, Proxy::squid("").await, black_hole("127.0.0.2", 0).await);
    let silent = parent(ParentScheme::Http, &hole.address.to_string(), None);
    let world = World::new(group(vec![silent, http(proxy.port, None)]));
    let grant = grant_unresolved(&origin.to_string());
    let tunnel =
        world.upstream.tunnel_through(&world.snapshot, &world.group, &grant, None, deadline(4)).await;
    assert_eq!(tunnel.unwrap().dialled.port(), proxy.port);
}

#[tokio::test]
async fn no_parent_left_is_told_with_every_failure_and_mended_when_one_returns() {
    let (one, other) = (free_port(), free_port());
    let world = World::new(group(vec![http(one, None), http(other, None)]));
    for _ in 0..2 {
        let error = world.tunnel("127.0.0.1:9").await.err().unwrap();
        assert_eq!(error.reason, Reason::ParentUnavailable);
        for port in [one, other] {
            assert!(error.detail.contains(&format!("127.0.0.1:{port} refused the connection")), "{error}");
        }
    }
    assert_eq!(world.up(), [false, false]);
    // With all of them down, waiting for retry_after would only make things worse.
    let fake = fake(&format!("127.0.0.1:{other}"), b"HTTP/1.1 200 OK\r\n\r\nhi").await;
    assert_eq!(world.tunnel("127.0.0.1:9").await.unwrap().early, b"hi");
    assert_eq!(world.up(), [false, true]);
    assert_eq!(fake.asked.load(Ordering::SeqCst), 1);
}

/// A parent that says the same to everybody.
struct Fake {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

async fn fake(address: &str, answer: &'static [u8]) -> Fake {
    let listener = TcpListener::bind(address).await.unwrap();
    let fake = Fake { address: listener.local_addr().unwrap(), asked: Arc::default() };
    let asked = fake.asked.clone();
    tokio::spawn(async move {
        for _ in 0..CONNECTIONS {
            let Ok((tcp, _)) = listener.accept().await else { return };
            tokio::spawn(answer_once(tcp, answer));
            asked.fetch_add(1, Ordering::SeqCst);
        }
    });
    fake
}

async fn answer_once(mut io: impl AsyncReadExt + AsyncWriteExt + Unpin, answer: &[u8]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if io.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let _ = io.write_all(answer).await;
    let _ = io.flush().await;
    // Held open until the other side has had enough.
    let _ = io.read_buf(&mut request).await;
}

#[tokio::test]
async fn nonsense_from_a_parent_is_told_as_that_and_the_next_one_is_asked() {
    let (origin, good) = (echo("127.0.0.1:0").await, Proxy::squid("").await);
    let nonsense = fake("127.0.0.1:0", b"SSH-2.0-OpenSSH_9.2\r\n").await;
    let alone = World::new(group(vec![http(nonsense.address.port(), None)]));
    let error = alone.tunnel("127.0.0.1:9").await.err().unwrap();
    assert_eq!(error.reason, Reason::ParentProtocol);
    assert!(error.detail.contains("not HTTP/1"), "{error}");
    let with_another = World::new(group(vec![http(nonsense.address.port(), None), http(good.port, None)]));
    let tunnel = with_another.tunnel(&origin.to_string()).await.unwrap();
    assert_eq!(tunnel.dialled.port(), good.port);

    // The echo server says hello, which is not SOCKS5.
    let socks = World::new(group(vec![parent(ParentScheme::Socks5, &origin.to_string(), None)]));
    let error = socks.tunnel("127.0.0.1:9").await.err().unwrap();
    assert_eq!(error.reason, Reason::ParentProtocol);
    assert!(error.detail.contains("not SOCKS5"), "{error}");
}

#[tokio::test]
async fn a_parent_that_never_answers_runs_into_the_deadline() {
    let silent = fake("127.0.0.1:0", b"").await;
    let world = World::new(group(vec![http(silent.address.port(), None)]));
    let grant = grant_unresolved("127.0.0.1:9");
    let soon = tokio::time::Instant::now() + Duration::from_millis(400);
    let tunnel = world.upstream.tunnel_through(&world.snapshot, &world.group, &grant, None, soon).await;
    let error = tunnel.err().unwrap();
    assert_eq!(error.reason, Reason::ConnectTimeout);
    assert!(error.detail.contains("did not answer within"), "{error}");
    assert_eq!(world.up(), [true], "the destination may be what is slow");
}

#[tokio::test]
async fn an_https_parent_is_verified_against_the_groups_own_ca() {
    let ca = Ca::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(ca.server(&["localhost"])));
    tokio::spawn(async move {
        for _ in 0..CONNECTIONS {
            let Ok((tcp, _)) = listener.accept().await else { return };
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(tls) = acceptor.accept(tcp).await {
                    answer_once(tls, b"HTTP/1.1 200 OK\r\n\r\nhi").await;
                }
            });
        }
    });
    let https = parent(ParentScheme::Https, &format!("localhost:{port}"), Some(("user", "secret")));
    let world = World::new(ParentGroup { trusted_ca: Some(ca.pem.clone()), ..group(vec![https.clone()]) });
    let tunnel = world.tunnel("origin.invalid:443").await.unwrap();
    assert_eq!(tunnel.early, b"hi");
    assert!(tunnel.phases.tls.is_some() && tunnel.phases.dns.is_some() && tunnel.io.as_tcp().is_none());

    let error = World::new(group(vec![https])).tunnel("origin.invalid:443").await.err().unwrap();
    assert_eq!(error.reason, Reason::TlsCertificate);
    assert!(error.detail.contains("the parent localhost:"), "{error}");
}

#[tokio::test]
async fn plain_requests_go_to_an_http_parent_in_absolute_form_with_its_credentials() {
    let (origin, proxy) = (echo("127.0.0.1:0").await, Proxy::tinyproxy().await);
    let world = World::new(group(vec![http(proxy.port, Some(("user", "pass")))]));
    let grant = grant_unresolved(&origin.to_string());
    let connection = world.upstream.connect_parent(&world.snapshot, &world.group, &grant, deadline(10)).await;
    let connection = connection.unwrap();
    assert_eq!(connection.dialled.port(), proxy.port);
    assert!(connection.takes_absolute_form());
    assert_eq!(connection.proxy_authorization_value(), Some("Basic dXNlcjpwYXNz"));
}

#[tokio::test]
async fn plain_requests_through_socks5_lead_to_the_origin() {
    let (origin, proxy) = (echo("127.0.0.1:0").await, Proxy::microsocks(&[]).await);
    let socks = parent(ParentScheme::Socks5, &format!("127.0.0.1:{}", proxy.port), None);
    let world = World::new(group(vec![socks]));
    let grant = grant_unresolved(&origin.to_string());
    let connection = world.upstream.connect_parent(&world.snapshot, &world.group, &grant, deadline(10)).await;
    let mut connection = connection.unwrap();
    assert!(!connection.takes_absolute_form());
    assert_eq!(connection.proxy_authorization_value(), None);
    assert_echo(&mut connection.io, &connection.early).await;
}

#[tokio::test]
async fn a_parent_that_is_this_proxy_itself_is_refused() {
    let itself = fake("127.0.0.1:0", b"HTTP/1.1 200 OK\r\n\r\n").await;
    let mut world = World::new(group(vec![http(itself.address.port(), None)]));
    world.snapshot.gate.guard.listeners = vec![itself.address];
    let error = world.tunnel("origin.invalid:443").await.err().unwrap();
    assert_eq!(error.reason, Reason::LoopDetected);
    assert_eq!(itself.asked.load(Ordering::SeqCst), 0);
}
