//! The guard, seen from outside: no spelling of a loopback address gets through a proxy that others
//! can reach.

use egret_testkit::{DnsServer, Egret, HttpOrigin};

use super::{builder, configured, get};

/// Every way to write 127.0.0.1 that some resolver or URL parser takes for it.
const SPELLINGS: &[&str] = &[
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7F000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "127.0.0.1.",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "sub.localhost",
    "0.0.0.0",
    "0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
];

/// No spelling is answered by the origin, and no tunnel opens.
fn all_are_refused(egret: &Egret) {
    let origin = HttpOrigin::start();
    let port = origin.address().port();
    let mut open = Vec::new();
    for spelling in SPELLINGS {
        let authority = format!("{spelling}:{port}");
        let (_, tunnel) = egret.tunnel(&authority);
        let plain = egret.connect().exchange(get(&authority, "/echo"));
        // 400 and 502 are for spellings that are no host, or that nothing resolves.
        for (how, answer) in [("CONNECT", tunnel), ("GET", plain)] {
            if ![400, 403, 502].contains(&answer.status()) {
                open.push(format!("{how} {authority}: {}", answer.start_line));
            }
        }
    }
    assert!(open.is_empty(), "{open:#?}");
    assert_eq!(origin.accepted(), 0);
    let records = egret.exactly(2 * SPELLINGS.len());
    let by_guard = records.iter().filter(|r| r.reason() == "denied-by-guard").count();
    assert!(by_guard >= 2 * 20, "{by_guard} denied by the guard");
}

#[test]
fn a_listener_that_others_reach_guards_loopback() {
    all_are_refused(&builder().listen("0.0.0.0:0").start());
}

#[test]
fn a_loopback_listener_guards_loopback_if_told_to() {
    all_are_refused(&configured("guard: {allowLoopback: false}\n"));
}

#[test]
fn a_loopback_listener_lets_loopback_through_and_says_so() {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let origin = HttpOrigin::start();
    assert_eq!(egret.connect().exchange(get(origin.address(), "/echo")).status(), 200);
    assert!(egret.log().to_lowercase().contains("loopback"), "{}", egret.log());
}

#[test]
fn a_name_that_resolves_to_loopback_is_guarded() {
    let dns = DnsServer::knowing(&[
        ("inner.test", "127.0.0.1"),
        ("mapped.test", "::ffff:127.0.0.1"),
        ("six.test", "::1"),
    ]);
    let egret = builder().config("guard: {allowLoopback: false}\n").dns(dns.address()).start();
    let origin = HttpOrigin::start();
    for name in ["inner.test", "mapped.test", "six.test", "INNER.test.", "inner.test."] {
        let (_, answer) = egret.tunnel(&format!("{name}:{}", origin.address().port()));
        assert_eq!(answer.status(), 403, "{name}: {}", answer.start_line);
        assert!(
            answer.reason_phrase().starts_with("egret denied-by-guard "),
            "{name}: {}",
            answer.start_line
        );
        assert!(answer.fields.first("proxy-status").unwrap().contains("destination_ip_prohibited"));
    }
    assert_eq!(origin.accepted(), 0);
    egret.exactly(5);
}

#[test]
fn what_is_allowed_is_exempt_and_nothing_else() {
    let egret = configured("guard: {allowLoopback: false, allow: [127.0.0.1/32]}\n");
    let origin = HttpOrigin::start();
    assert_eq!(egret.tunnel(&origin.address().to_string()).1.status(), 200);
    let (_, other) = egret.tunnel(&format!("127.0.0.2:{}", origin.address().port()));
    assert_eq!(other.status(), 403);
}

#[test]
fn the_proxy_does_not_speak_to_itself() {
    for listen in ["127.0.0.1:0", "0.0.0.0:0"] {
        let egret = builder().config("guard: {enabled: false}\n").listen(listen).start();
        let port = egret.address().port();
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "0.0.0.0"] {
            let (_, answer) = egret.tunnel(&format!("{host}:{port}"));
            assert!([403, 502, 508].contains(&answer.status()), "{host}: {}", answer.start_line);
        }
    }
}

/// Never dialled, so run where it could not leave the machine if it were: in a network namespace of
/// its own, with nothing but loopback.
#[test]
fn metadata_and_link_local_addresses_are_guarded() {
    let script = r#"
        ip link set lo up
        "$0" proxy --listen 127.0.0.1:8888 --admin off > /dev/null 2>&1 &
        pid=$!
        for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:8888/ && break; sleep 0.05; done
        for host in 169.254.169.254 0xa9fea9fe 2852039166 '[fd00:ec2::254]' '[fe80::1]' \
            '[::ffff:169.254.169.254]' 224.0.0.1 255.255.255.255 '[ff02::1]'; do
            curl -sg -o /dev/null --max-time 5 -x http://127.0.0.1:8888 -w '%{http_code} ' "http://$host/"
        done
        kill $pid
    "#;
    let output = egret_testkit::tools::run(
        egret_testkit::tools::client("unshare")
            .args(["--net", "--map-root-user", "sh", "-c", script])
            .arg(env!("CARGO_BIN_EXE_egret")),
    );
    let statuses = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(statuses.trim(), ["403"; 9].join(" "), "{}", String::from_utf8_lossy(&output.stderr));
}
