//! What a condition costs a decision, and what it costs to load one.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use egret_core::destination::Destination;
use egret_core::identity::{Identity, Proof, User};
use egret_core::policy::when::When;
use egret_core::policy::{Ask, Headers, RequestFacts, Seen};

fn main() {
    divan::main();
}

#[derive(Debug)]
struct Fields;

impl Headers for Fields {
    fn for_each(&self, f: &mut dyn FnMut(&str, &[u8])) {
        for (name, value) in [
            ("Host", "api.example.com"),
            ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"),
            ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            ("Accept-Encoding", "gzip, deflate, br, zstd"),
            ("Accept-Language", "en-US,en;q=0.9"),
            ("Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
            ("Referer", "http://www.example.com/"),
            ("X-Team", "tools"),
        ] {
            f(name, value.as_bytes());
        }
    }
}

const CONDITIONS: &[&str] = &[
    "identity.user == \"x\" && destination.port == 443",
    "destination.host.endsWith(\".example.com\") && destination.port in [443, 8443]",
    "\"release\" in identity.groups",
    "identity.groups.exists(g, g.startsWith(\"rel\"))",
    "cidr(\"10.0.0.0/8\").containsIP(identity.ip)",
    "time.weekday in [\"Mon\", \"Tue\", \"Wed\", \"Thu\", \"Fri\"] && time.hour >= 8 && time.hour < 18",
    "request.headers[\"x-team\"] == \"tools\"",
    "request.path.matches(\"^/v[0-9]+/items/\")",
    "request.headers.exists(h, h.startsWith(\"x-\"))",
    "request.query[\"tag\"].exists(t, t == \"b\")",
];

#[divan::bench(args = CONDITIONS)]
fn evaluate(bencher: divan::Bencher<'_, '_>, text: &str) {
    let when = When::compile(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    let mut identity = Identity::from_address(SocketAddr::from(([10, 1, 2, 3], 40_000)));
    let groups: Vec<Arc<str>> =
        (0..20).map(|i| format!("group-{i}").into()).chain(["release".into()]).collect();
    identity.user = Some(User { name: "x".into(), proof: Proof::Jwt, groups: groups.into(), workload: None });
    let destination =
        Destination::parse_authority("api.example.com:443").unwrap_or_else(|error| panic!("{error}"));
    let request = RequestFacts {
        method: "GET",
        scheme: "https",
        path: "/v1/items/42",
        query: Some("tag=a&tag=b"),
        headers: &Fields,
        body_length: Some(0),
    };
    let ask = Ask {
        identity: &identity,
        destination: &destination,
        address: None,
        seen: Seen::Request(request),
        now: SystemTime::now(),
    };
    bencher.bench_local(|| when.evaluate(black_box(&ask)));
}

#[divan::bench(args = &CONDITIONS[..2])]
fn compile(text: &str) -> bool {
    When::compile(black_box(text)).is_ok()
}
