//! The parts that every request pays for: parsing its head, the gate, and writing the upstream's head.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::SystemTime;

use egret_core::destination::Destination;
use egret_core::gate::Gate;
use egret_core::identity::Identity;
use egret_core::pattern::HostPattern;
use egret_core::policy::model::{Action, Mode, Policy, Rule, Target, Tier, TlsDemand};
use egret_core::policy::{Ask, Policies, Seen};
use egret_core::settings::HttpSettings;
use egret_proxy::forward::request::{Extra, write};
use egret_proxy::http1::{Fields, HeadLimits, Parsed, RequestHead, request};

const LIMITS: HeadLimits = HeadLimits { bytes: 65_536, fields: 200, target: 16_384 };

const CURL: &[u8] = b"GET http://origin.example:8080/path?query=1 HTTP/1.1\r\nHost: origin.example:8080\r\n\
    User-Agent: curl/8.5.0\r\nAccept: */*\r\nProxy-Connection: Keep-Alive\r\n\r\n";

const BROWSER: &[u8] = b"GET http://www.example.com/assets/app.4f2a.js HTTP/1.1\r\nHost: www.example.com\r\n\
    Proxy-Connection: keep-alive\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, \
    like Gecko) Chrome/126.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;\
    q=0.9,image/avif,image/webp,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: \
    en-US,en;q=0.9\r\nCache-Control: no-cache\r\nCookie: session=0123456789abcdef0123456789abcdef; \
    theme=dark; consent=all\r\nReferer: http://www.example.com/\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";

fn main() {
    divan::main();
}

fn parse(bytes: &[u8], fields: Fields) -> RequestHead {
    match request::parse(bytes, &LIMITS, fields) {
        Ok(Parsed::Complete(head)) => head,
        other => panic!("{other:?}"),
    }
}

#[divan::bench(args = [("curl", CURL), ("browser", BROWSER)])]
fn parse_head(bencher: divan::Bencher<'_, '_>, (_, bytes): (&str, &[u8])) {
    let mut fields = Fields::new();
    bencher.bench_local(move || {
        let head = parse(black_box(bytes), std::mem::take(&mut fields));
        fields = head.fields;
        head.length
    });
}

#[divan::bench(args = [("curl", CURL), ("browser", BROWSER)])]
fn write_head(bencher: divan::Bencher<'_, '_>, (_, bytes): (&str, &[u8])) {
    let http = HttpSettings::default();
    let extra = Extra { http: &http, client: [127, 0, 0, 1].into(), traceparent: None };
    let head = parse(bytes, Fields::new());
    let mut memory = Vec::new();
    bencher.bench_local(move || {
        let written = write(std::mem::take(&mut memory), black_box(bytes), &head, false, &extra);
        memory = written.head;
        memory.len()
    });
}

#[divan::bench(args = [0, 10, 1000])]
fn gate(bencher: divan::Bencher<'_, '_>, rules: usize) {
    let rule = |i: usize| Rule {
        name: format!("rule-{i}").into(),
        action: Action::Deny,
        to: vec![Target {
            hosts: HostPattern::parse(&format!("host-{i}.example")).into_iter().collect(),
            ..Target::default()
        }],
        http: None,
        when: None,
        tls: TlsDemand::default(),
        rate_limit: None,
        capture: None,
        reason: None,
        contact: None,
    };
    let policy = Policy {
        name: "p".into(),
        tier: Tier::Cluster { priority: 1 },
        mode: Mode::Enforce,
        from: Vec::new(),
        rules: (0..rules).map(rule).collect(),
    };
    let gate = Gate { policies: Policies::compile(vec![policy], true), ..Gate::default() };
    let identity = Identity::from_address(SocketAddr::from(([127, 0, 0, 1], 50_000)));
    let destination = Destination::parse_authority("www.example.com:443").expect("a destination");
    let address = [192, 0, 2, 1].into();
    bencher.bench_local(move || {
        let ask = Ask {
            identity: black_box(&identity),
            destination: black_box(&destination),
            address: None,
            seen: Seen::Tunnel,
            now: SystemTime::UNIX_EPOCH,
        };
        let permit = gate.evaluate(&ask).expect("allowed");
        gate.check_address(&ask, &permit, black_box(address)).is_ok()
    });
}

#[divan::bench(args = ["origin.example:8080", "127.0.0.1:443", "[2001:db8::1]:443", "xn--bcher-kva.example:443"])]
fn parse_authority(authority: &str) -> bool {
    Destination::parse_authority(black_box(authority)).is_ok()
}
