//! Resolving, against a name server on loopback.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use egret_core::reason::Reason;
use egret_core::settings::{AddressFamily, Snapshot};
use egret_proxy::upstream::{Resolution, Upstream};
use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::support::{CONNECTIONS, name, snapshot};

/// What the name server says to one question.
#[derive(Clone)]
enum Reply {
    /// Those of these addresses that are of the type asked for; none of them: NODATA.
    Addresses(Vec<&'static str>, u32),
    /// An alias, and its addresses if the server knows them.
    Alias(&'static str, u32, Vec<&'static str>, u32),
    /// NXDOMAIN, with a SOA of this minimum if there is one.
    NxDomain(Option<u32>),
    Code(ResponseCode),
    Silence,
    /// Over UDP only the flag; over TCP this.
    OverTcp(Vec<&'static str>),
    After(Duration, Box<Reply>),
}

type Zone = dyn Fn(&str, RecordType) -> Reply + Send + Sync;

struct NameServer {
    address: SocketAddr,
    asked: Mutex<Vec<(String, RecordType)>>,
    zone: Box<Zone>,
}

impl NameServer {
    async fn start(zone: impl Fn(&str, RecordType) -> Reply + Send + Sync + 'static) -> Arc<Self> {
        for _ in 0..20 {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let address = udp.local_addr().unwrap();
            let Ok(tcp) = TcpListener::bind(address).await else { continue };
            let server = Arc::new(Self { address, asked: Mutex::default(), zone: Box::new(zone) });
            tokio::spawn(server.clone().serve_udp(Arc::new(udp)));
            tokio::spawn(server.clone().serve_tcp(tcp));
            return server;
        }
        panic!("no port is free for both UDP and TCP");
    }

    async fn serve_udp(self: Arc<Self>, udp: Arc<UdpSocket>) {
        let mut buffer = [0; 4096];
        for _ in 0..10_000 {
            let Ok((length, from)) = udp.recv_from(&mut buffer).await else { return };
            let (server, udp, query) = (self.clone(), udp.clone(), buffer[..length].to_vec());
            tokio::spawn(async move {
                if let Some(answer) = server.answer(&query, false).await {
                    let _ = udp.send_to(&answer, from).await;
                }
            });
        }
    }

    async fn serve_tcp(self: Arc<Self>, listener: TcpListener) {
        for _ in 0..CONNECTIONS {
            let Ok((mut tcp, _)) = listener.accept().await else { return };
            let server = self.clone();
            tokio::spawn(async move {
                while let Ok(length) = tcp.read_u16().await {
                    let mut query = vec![0; length.into()];
                    if tcp.read_exact(&mut query).await.is_err() {
                        return;
                    }
                    let Some(answer) = server.answer(&query, true).await else { return };
                    let _ = tcp.write_u16(answer.len() as u16).await;
                    let _ = tcp.write_all(&answer).await;
                }
            });
        }
    }

    async fn answer(&self, query: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).ok()?;
        let question = query.queries.first()?.clone();
        let asked = question.name().to_string().trim_end_matches('.').to_lowercase();
        self.asked.lock().unwrap().push((asked.clone(), question.query_type()));
        let mut reply = (self.zone)(&asked, question.query_type());
        if let Reply::After(delay, later) = reply {
            tokio::time::sleep(delay).await;
            reply = *later;
        }
        let mut message = Message::response(query.metadata.id, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.recursion_available = true;
        message.add_query(question.clone());
        let owner = question.name().clone();
        let soa = |minimum| {
            let zone = Name::from_ascii("test.").unwrap();
            let soa = SOA::new(zone.clone(), zone.clone(), 1, 1, 1, 1, minimum);
            Record::from_rdata(zone, minimum, RData::SOA(soa))
        };
        match reply {
            Reply::Addresses(addresses, ttl) => {
                let records = records(&owner, &addresses, ttl, question.query_type());
                if records.is_empty() {
                    message.add_authority(soa(60));
                }
                message.add_answers(records);
            }
            Reply::Alias(target, alias_ttl, addresses, ttl) => {
                let target = Name::from_ascii(target).unwrap();
                let alias = RData::CNAME(CNAME(target.clone()));
                message.add_answer(Record::from_rdata(owner, alias_ttl, alias));
                message.add_answers(records(&target, &addresses, ttl, question.query_type()));
            }
            Reply::NxDomain(minimum) => {
                message.metadata.response_code = ResponseCode::NXDomain;
                message.add_authorities(minimum.map(soa));
            }
            Reply::Code(code) => message.metadata.response_code = code,
            Reply::Silence | Reply::After(..) => return None,
            Reply::OverTcp(addresses) if over_tcp => {
                message.add_answers(records(&owner, &addresses, 60, question.query_type()));
            }
            Reply::OverTcp(_) => message.metadata.truncation = true,
        }
        message.to_vec().ok()
    }

    fn asked(&self, wanted: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|(name, _)| name == wanted).count()
    }
}

fn records(owner: &Name, addresses: &[&str], ttl: u32, wanted: RecordType) -> Vec<Record> {
    let data = addresses.iter().map(|address| match address.parse().unwrap() {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    });
    data.filter(|data| data.record_type() == wanted)
        .map(|data| Record::from_rdata(owner.clone(), ttl, data))
        .collect()
}

fn told(resolution: &Resolution) -> Result<Vec<String>, Reason> {
    match resolution {
        Ok(addresses) => Ok(addresses.iter().map(ToString::to_string).collect()),
        Err(error) => Err(error.reason),
    }
}

async fn resolve(upstream: &Upstream, text: &str) -> Result<Vec<String>, Reason> {
    let resolution = upstream.resolve(&name(text)).await;
    told(&resolution)
}

fn upstream_with(server: &NameServer, change: impl FnOnce(&mut Snapshot)) -> Upstream {
    let mut snapshot = snapshot(&[server.address]);
    change(&mut snapshot);
    Upstream::new(&snapshot).unwrap()
}

#[tokio::test]
async fn asks_once_and_answers_from_memory_until_the_ttl_is_over() {
    let server = NameServer::start(|_, _| Reply::Addresses(vec!["192.0.2.1", "2001:db8::1"], 1)).await;
    let upstream = upstream_with(&server, |snapshot| snapshot.dns.family = AddressFamily::PreferIpv4);
    assert!(upstream.resolve_cached(&name("a.test")).is_none());
    let both = Ok(vec!["192.0.2.1".to_owned(), "2001:db8::1".to_owned()]);
    assert_eq!(resolve(&upstream, "a.test").await, both);
    assert_eq!(upstream.resolve_cached(&name("a.test")).map(|resolution| told(&resolution)), Some(both));
    assert_eq!(server.asked("a.test"), 2, "one A, one AAAA");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(upstream.resolve_cached(&name("a.test")).is_none());
    resolve(&upstream, "a.test").await.unwrap();
    assert_eq!(server.asked("a.test"), 4);
    let stats = upstream.stats();
    assert_eq!((stats.hits, stats.misses, stats.entries, stats.errors), (1, 2, 1, 0), "{stats:?}");
}

#[tokio::test]
async fn ttls_stay_within_the_settings() {
    let server = NameServer::start(|asked, _| match asked {
        "short.test" => Reply::Addresses(vec!["192.0.2.1"], 0),
        _ => Reply::Addresses(vec!["192.0.2.1"], 86_400),
    })
    .await;
    let upstream = upstream_with(&server, |snapshot| {
        snapshot.dns.min_ttl = Duration::from_secs(60);
        snapshot.dns.max_ttl = Duration::from_secs(60);
    });
    resolve(&upstream, "short.test").await.unwrap();
    assert!(upstream.resolve_cached(&name("short.test")).is_some(), "a TTL of 0 is raised");
    let upstream = upstream_with(&server, |snapshot| snapshot.dns.max_ttl = Duration::from_secs(1));
    resolve(&upstream, "long.test").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(upstream.resolve_cached(&name("long.test")).is_none(), "a TTL of a day is lowered");
}

#[tokio::test]
async fn families_are_asked_for_as_set() {
    let server = NameServer::start(|_, _| Reply::Addresses(vec!["192.0.2.1", "2001:db8::1"], 60)).await;
    let cases: [(AddressFamily, &[&str], &[RecordType]); 2] = [
        (AddressFamily::Ipv4Only, &["192.0.2.1"], &[RecordType::A]),
        (AddressFamily::Ipv6Only, &["2001:db8::1"], &[RecordType::AAAA]),
    ];
    for (family, addresses, types) in cases {
        server.asked.lock().unwrap().clear();
        let upstream = upstream_with(&server, |snapshot| snapshot.dns.family = family);
        assert_eq!(resolve(&upstream, "a.test").await.unwrap(), addresses);
        let asked: Vec<_> = server.asked.lock().unwrap().iter().map(|(_, asked)| *asked).collect();
        assert_eq!(asked, types);
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_remembered_for_the_soas_time() {
    let server = NameServer::start(|asked, _| match asked {
        "gone.test" => Reply::NxDomain(Some(1)),
        "empty.test" => Reply::Addresses(Vec::new(), 60),
        _ => Reply::NxDomain(Some(86_400)),
    })
    .await;
    let upstream = upstream_with(&server, |snapshot| snapshot.dns.negative_ttl = Duration::from_secs(2));
    let error = upstream.resolve(&name("gone.test")).await.unwrap_err();
    assert_eq!((error.reason, &*error.detail), (Reason::DnsNotFound, "gone.test does not exist"));
    assert!(upstream.resolve_cached(&name("gone.test")).is_some_and(|resolution| resolution.is_err()));
    let error = upstream.resolve(&name("empty.test")).await.unwrap_err();
    assert_eq!((error.reason, &*error.detail), (Reason::DnsNotFound, "empty.test has no address"));
    resolve(&upstream, "long.test").await.unwrap_err();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(upstream.resolve_cached(&name("gone.test")).is_none(), "the SOA says one second");
    assert!(upstream.resolve_cached(&name("long.test")).is_some());
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert!(upstream.resolve_cached(&name("long.test")).is_none(), "the setting says two");
    assert_eq!(upstream.stats().errors, 0);
    assert_eq!(upstream.stats().negative_hits, 2);
}

#[tokio::test]
async fn failures_are_told_apart_and_kept_briefly() {
    let server = NameServer::start(|asked, _| match asked {
        "servfail.test" => Reply::Code(ResponseCode::ServFail),
        "refused.test" => Reply::Code(ResponseCode::Refused),
        _ => Reply::Silence,
    })
    .await;
    let upstream = upstream_with(&server, |snapshot| {
        snapshot.dns.timeout = Duration::from_millis(300);
        snapshot.dns.failure_ttl = Duration::from_secs(60);
    });
    assert_eq!(resolve(&upstream, "servfail.test").await, Err(Reason::DnsFailed));
    assert_eq!(resolve(&upstream, "refused.test").await, Err(Reason::DnsFailed));
    assert_eq!(resolve(&upstream, "silent.test").await, Err(Reason::DnsTimeout));
    let asked = server.asked.lock().unwrap().len();
    assert_eq!(resolve(&upstream, "servfail.test").await, Err(Reason::DnsFailed));
    assert_eq!(resolve(&upstream, "silent.test").await, Err(Reason::DnsTimeout));
    assert_eq!(server.asked.lock().unwrap().len(), asked, "failures are kept for failure_ttl");
    assert_eq!(upstream.stats().errors, 3);
}

#[tokio::test]
async fn an_unreachable_name_server_is_a_failure() {
    let upstream = Upstream::new(&snapshot(&[])).unwrap();
    let error = upstream.resolve(&name("a.test")).await.unwrap_err();
    assert!(matches!(error.reason, Reason::DnsFailed | Reason::DnsTimeout), "{error}");
}

#[tokio::test]
async fn an_expired_answer_is_used_when_the_name_servers_fail() {
    let broken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_broken = broken.clone();
    let server = NameServer::start(move |_, _| {
        if is_broken.load(std::sync::atomic::Ordering::SeqCst) {
            Reply::Code(ResponseCode::ServFail)
        } else {
            Reply::Addresses(vec!["192.0.2.1"], 1)
        }
    })
    .await;
    let upstream = upstream_with(&server, |_| {});
    resolve(&upstream, "a.test").await.unwrap();
    broken.store(true, std::sync::atomic::Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(resolve(&upstream, "a.test").await, Ok(vec!["192.0.2.1".to_owned()]));
    assert_eq!((upstream.stats().stale, upstream.stats().errors), (1, 1));
    assert_eq!(resolve(&upstream, "other.test").await, Err(Reason::DnsFailed));
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let server = NameServer::start(|_, _| Reply::OverTcp(vec!["192.0.2.1", "192.0.2.2"])).await;
    let upstream = upstream_with(&server, |snapshot| snapshot.dns.family = AddressFamily::Ipv4Only);
    assert_eq!(resolve(&upstream, "big.test").await.unwrap(), ["192.0.2.1", "192.0.2.2"]);
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_question() {
    let server = NameServer::start(|_, _| {
        Reply::After(Duration::from_millis(200), Box::new(Reply::Addresses(vec!["192.0.2.1"], 60)))
    })
    .await;
    let upstream = Arc::new(upstream_with(&server, |snapshot| snapshot.dns.family = AddressFamily::Ipv4Only));
    // Each on a runtime of its own, as the workers are.
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let upstream = upstream.clone();
            tokio::task::spawn_blocking(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let (one, other) =
                        tokio::join!(resolve(&upstream, "a.test"), resolve(&upstream, "a.test"));
                    assert_eq!(one, other);
                    one
                })
            })
        })
        .collect();
    for worker in workers {
        assert_eq!(worker.await.unwrap(), Ok(vec!["192.0.2.1".to_owned()]));
    }
    assert_eq!(server.asked("a.test"), 1);
    let stats = upstream.stats();
    assert_eq!((stats.misses, stats.shared + stats.hits), (1, 15), "{stats:?}");
}

#[tokio::test]
async fn a_question_outlives_whoever_asked_it() {
    let server = NameServer::start(|_, _| {
        Reply::After(Duration::from_millis(300), Box::new(Reply::Addresses(vec!["192.0.2.1"], 60)))
    })
    .await;
    let upstream = Arc::new(upstream_with(&server, |snapshot| snapshot.dns.family = AddressFamily::Ipv4Only));
    let first = tokio::spawn({
        let upstream = upstream.clone();
        async move { resolve(&upstream, "a.test").await }
    });
    while server.asked("a.test") == 0 {
        tokio::task::yield_now().await;
    }
    let second = tokio::spawn({
        let upstream = upstream.clone();
        async move { resolve(&upstream, "a.test").await }
    });
    tokio::task::yield_now().await;
    first.abort();
    assert_eq!(second.await.unwrap(), Ok(vec!["192.0.2.1".to_owned()]));
    assert_eq!(server.asked("a.test"), 1);
}

#[tokio::test]
async fn aliases_are_followed_and_the_shortest_ttl_counts() {
    let server = NameServer::start(|asked, _| match asked {
        "whole.test" => Reply::Alias("target.test.", 1, vec!["192.0.2.1"], 3600),
        "parted.test" => Reply::Alias("middle.test.", 3600, Vec::new(), 0),
        "middle.test" => Reply::Alias("target.test.", 3600, Vec::new(), 0),
        "target.test" => Reply::Addresses(vec!["192.0.2.1"], 3600),
        "loop.test" => Reply::Alias("loop.test.", 3600, Vec::new(), 0),
        "dangling.test" => Reply::Alias("gone.test.", 3600, Vec::new(), 0),
        _ => Reply::NxDomain(Some(60)),
    })
    .await;
    let upstream = upstream_with(&server, |snapshot| snapshot.dns.family = AddressFamily::Ipv4Only);
    let target = Ok(vec!["192.0.2.1".to_owned()]);
    assert_eq!(resolve(&upstream, "whole.test").await, target);
    assert_eq!(resolve(&upstream, "parted.test").await, target);
    assert!(resolve(&upstream, "loop.test").await.is_err());
    assert_eq!(resolve(&upstream, "dangling.test").await, Err(Reason::DnsNotFound));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(upstream.resolve_cached(&name("whole.test")).is_none());
    assert!(upstream.resolve_cached(&name("parted.test")).is_some());
}

#[tokio::test]
async fn search_domains_are_tried_in_order() {
    let server = NameServer::start(|asked, _| match asked {
        "web.b.test" => Reply::Addresses(vec!["192.0.2.1"], 60),
        "api.dotted.test" => Reply::Addresses(vec!["192.0.2.2"], 60),
        _ => Reply::NxDomain(Some(60)),
    })
    .await;
    let upstream = upstream_with(&server, |snapshot| {
        snapshot.dns.family = AddressFamily::Ipv4Only;
        snapshot.dns.search = Some(vec!["a.test".to_owned(), "b.test".to_owned()]);
        snapshot.dns.ndots = Some(2);
    });
    assert_eq!(resolve(&upstream, "web").await.unwrap(), ["192.0.2.1"]);
    assert_eq!(resolve(&upstream, "api.dotted.test").await.unwrap(), ["192.0.2.2"]);
    let error = upstream.resolve(&name("nope")).await.unwrap_err();
    assert_eq!(&*error.detail, "nope does not exist (tried nope.a.test, nope.b.test, nope)");
    let asked: Vec<_> = server.asked.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(asked, ["web.a.test", "web.b.test", "api.dotted.test", "nope.a.test", "nope.b.test", "nope"]);
}

#[tokio::test]
async fn a_silent_search_domain_does_not_lead_to_another_host() {
    let server = NameServer::start(|asked, _| match asked {
        "web.a.test" => Reply::Silence,
        _ => Reply::Addresses(vec!["192.0.2.66"], 60),
    })
    .await;
    let upstream = upstream_with(&server, |snapshot| {
        snapshot.dns.timeout = Duration::from_millis(300);
        snapshot.dns.search = Some(vec!["a.test".to_owned()]);
    });
    assert_eq!(resolve(&upstream, "web").await, Err(Reason::DnsTimeout));
}

#[tokio::test]
async fn ipv4_does_not_wait_long_for_ipv6_but_ipv6_is_kept_when_it_comes() {
    let server = NameServer::start(|_, wanted| {
        let reply = Reply::Addresses(vec!["192.0.2.1", "2001:db8::1"], 60);
        match wanted {
            RecordType::AAAA => Reply::After(Duration::from_millis(800), Box::new(reply)),
            _ => reply,
        }
    })
    .await;
    let upstream = upstream_with(&server, |_| {});
    assert_eq!(resolve(&upstream, "a.test").await.unwrap(), ["192.0.2.1"]);
    let mut kept = None;
    for _ in 0..200 {
        kept = upstream.resolve_cached(&name("a.test"));
        if kept.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(kept.unwrap().unwrap().len(), 2);
}

#[tokio::test]
async fn a_family_without_a_route_comes_last() {
    // A plain socket may never connect to the broadcast address.
    let server = NameServer::start(|_, _| Reply::Addresses(vec!["255.255.255.255", "::1", "::2"], 60)).await;
    let upstream = upstream_with(&server, |snapshot| snapshot.dns.family = AddressFamily::PreferIpv4);
    assert_eq!(resolve(&upstream, "a.test").await.unwrap(), ["::1", "::2", "255.255.255.255"]);
}

#[tokio::test]
async fn the_hosts_file_wins_and_is_read_again_when_it_changes() {
    let server = NameServer::start(|_, _| Reply::Addresses(vec!["192.0.2.1"], 60)).await;
    let mut hosts = tempfile::NamedTempFile::new().unwrap();
    writeln!(hosts, "10.1.1.1 a.test").unwrap();
    let upstream = upstream_with(&server, |snapshot| snapshot.dns.hosts_file = Some(hosts.path().to_owned()));
    let cached = |text: &str| upstream.resolve_cached(&name(text)).map(|resolution| told(&resolution));
    assert_eq!(cached("a.test"), Some(Ok(vec!["10.1.1.1".to_owned()])));
    assert_eq!(resolve(&upstream, "b.test").await.unwrap(), ["192.0.2.1"]);
    assert_eq!(server.asked("a.test"), 0);
    writeln!(hosts, "10.1.1.2 b.test").unwrap();
    for _ in 0..200 {
        if cached("b.test") == Some(Ok(vec!["10.1.1.2".to_owned()])) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the change was not seen");
}

#[tokio::test]
async fn localhost_is_never_asked_for() {
    let server = NameServer::start(|_, _| Reply::Addresses(vec!["192.0.2.1"], 60)).await;
    let upstream = upstream_with(&server, |_| {});
    for text in ["localhost", "app.localhost"] {
        assert_eq!(resolve(&upstream, text).await.unwrap(), ["::1", "127.0.0.1"]);
    }
    assert_eq!(upstream.stats().hits, 2);
    assert!(server.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_reload_changes_servers_and_keeps_the_cache_when_nothing_changed() {
    let old = NameServer::start(|_, _| Reply::Addresses(vec!["192.0.2.1"], 60)).await;
    let new = NameServer::start(|_, _| Reply::Addresses(vec!["192.0.2.2"], 60)).await;
    let upstream = upstream_with(&old, |_| {});
    resolve(&upstream, "a.test").await.unwrap();
    upstream.apply(&snapshot(&[old.address])).unwrap();
    assert!(upstream.resolve_cached(&name("a.test")).is_some());
    upstream.apply(&snapshot(&[new.address])).unwrap();
    assert!(upstream.resolve_cached(&name("a.test")).is_none());
    assert_eq!(resolve(&upstream, "a.test").await.unwrap(), ["192.0.2.2"]);
    assert_eq!(upstream.stats().misses, 2, "figures go on over a reload");
}

#[tokio::test]
async fn a_name_that_is_none_is_not_found_and_not_asked_for() {
    let server = NameServer::start(|_, _| Reply::Addresses(vec!["192.0.2.1"], 60)).await;
    let upstream = upstream_with(&server, |_| {});
    assert_eq!(resolve(&upstream, "a..test").await, Err(Reason::DnsNotFound));
    assert_eq!(resolve(&upstream, &"x".repeat(64)).await, Err(Reason::DnsNotFound));
    assert!(server.asked.lock().unwrap().is_empty());
}
