use bytes::Bytes;

use egret_flows::filter::{Bodies, Filter, Flag, WORDS};
use egret_flows::flow::{Flow, Side};

use crate::some::{self, STARTED};

const DOCS: &str = include_str!("../../../../docs/flows.md");

/// Bodies as they are in memory.
struct InMemory;

impl Bodies for InMemory {
    fn decoded(&self, flow: &Flow, side: Side) -> Option<Bytes> {
        flow.body(side)?.in_memory().cloned()
    }
}

fn finds(filter: &str, flow: &Flow) -> bool {
    Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}")).matches(
        flow,
        STARTED + 3_000_000,
        &InMemory,
    )
}

#[test]
fn every_test_finds_what_it_says() {
    let (full, tunnel, websocket) = (some::full(), some::tunnel(), some::websocket());
    // What each finds: the request, the tunnel, the WebSocket.
    let table: &[(&str, [bool; 3])] = &[
        ("", [true, true, true]),
        ("~all", [true, true, true]),
        ("~d example", [true, false, true]),
        ("~d EXAMPLE.com$", [true, false, false]),
        ("~m POST", [true, false, false]),
        ("~m '^(get|post)$'", [true, false, true]),
        ("~c 503", [true, false, false]),
        ("~c >=200", [true, true, false]),
        ("~u page=2", [true, false, false]),
        ("page=2", [true, false, false]),
        ("\"sort=a%20b\"", [true, false, false]),
        ("https://chat", [false, false, true]),
        ("~h 'x-trace: two$'", [true, false, false]),
        ("~hq ^server", [false, false, false]),
        ("~hs ^server", [true, false, false]),
        ("~b later.please", [true, false, false]),
        ("~b 'from here'", [false, false, true]),
        ("~bq egret", [true, false, false]),
        ("~bs egret", [false, false, false]),
        ("~bs there", [false, false, true]),
        ("~t html", [true, false, false]),
        ("~tq json", [true, false, false]),
        ("~ts json", [false, false, false]),
        ("~e", [true, false, false]),
        ("~q", [false, false, false]),
        ("~s", [true, true, true]),
        ("~a", [false, false, false]),
        ("~http", [true, false, true]),
        ("~tcp", [false, true, false]),
        ("~udp", [false, false, false]),
        ("~websocket", [false, false, true]),
        ("~marked", [true, false, false]),
        ("~marker red", [true, false, false]),
        ("~comment look", [true, false, false]),
        ("~meta payments", [true, false, false]),
        ("~replay", [false, false, false]),
        ("~src 10.1.2.3", [true, false, false]),
        ("~dst :5432$", [false, true, false]),
        ("~dst 203.0.113", [true, false, false]),
        ("host:api.example.com", [true, false, false]),
        ("host:*.example.*", [true, false, true]),
        ("host:~^api", [true, false, false]),
        ("path:/v2/*", [true, false, false]),
        ("method:post", [true, false, false]),
        ("status:>=500", [true, false, false]),
        ("status:5xx", [true, false, false]),
        ("status:200..299", [false, true, false]),
        ("port:443", [true, false, false]),
        ("identity:alice", [true, false, false]),
        ("proof:jwt", [true, false, false]),
        ("namespace:payments", [true, false, false]),
        ("namespace:*", [true, false, false]),
        ("service-account:builder", [true, false, false]),
        ("pod:web-*", [true, false, false]),
        ("group:admins", [true, false, false]),
        ("audit:*", [false, false, false]),
        ("policy:egress/web", [true, false, false]),
        ("rule:apis", [true, false, false]),
        ("reason:response-timeout", [true, false, false]),
        ("blame:upstream", [true, false, false]),
        ("treatment:intercept", [true, false, true]),
        ("capture:none", [false, true, false]),
        ("protocol:HTTP/2", [true, false, false]),
        ("header:x-trace", [true, false, false]),
        ("header:X-Trace=two", [true, false, false]),
        ("request-header:server", [false, false, false]),
        ("response-header:server=nginx*", [true, false, false]),
        ("type:application/json", [true, false, false]),
        ("body:\"(\"", [false, false, false]),
        ("body:\"come back\"", [true, false, false]),
        ("bytes:>1M", [true, false, false]),
        ("bytes-up:0", [false, true, true]),
        ("time:>2s", [true, true, true]),
        ("time:>2.6s", [false, true, true]),
        ("first-byte:<=250ms", [true, false, false]),
        ("age:<1m", [true, true, true]),
        ("client:10.0.0.0/8", [true, false, false]),
        ("client:10.1.2.3", [true, false, false]),
        ("client:2001:db8::/32", [false, true, false]),
        ("address:203.0.113.0/24", [true, false, false]),
        ("destination:db.internal:5432", [false, true, false]),
        ("sni:api.example.com", [true, false, false]),
        ("alpn:http/1.1", [true, false, false]),
        ("tls:1.3", [true, false, false]),
        ("tag:slow", [true, false, false]),
        ("mark:*", [true, false, false]),
        ("comment:*this*", [true, false, false]),
        ("messages:>=2", [false, false, true]),
        ("is:active", [false, false, true]),
        ("is:captured", [true, false, true]),
    ];
    for (filter, expected) in table {
        let found = [&full, &tunnel, &websocket].map(|flow| finds(filter, flow));
        assert_eq!(found, *expected, "{filter}");
    }
    assert!(finds(&format!("id:{}", full.id), &full));
}

#[test]
fn operators_bind_as_in_mitmproxy() {
    let flow = some::full();
    let table = [
        ("~m POST ~c 503", true),
        ("~m POST & ~c 200", false),
        ("~m GET | ~c 503", true),
        ("~m GET|~c 503", true),
        ("~c 200|~c 503", true),
        ("status:200|status:503", true),
        ("status:503&method:POST", true),
        ("~m GET ~c 200 | ~m POST", true),
        ("~m POST | ~m GET ~c 200", true),
        ("(~m POST | ~m GET) ~c 200", false),
        ("!~m GET", true),
        ("!~m POST | ~c 503", true),
        ("!(~m POST | ~c 503)", false),
        ("! ! ~m POST", true),
        ("~m POST && ~c 503 || ~q", true),
    ];
    for (filter, expected) in table {
        assert_eq!(finds(filter, &flow), expected, "{filter}");
    }
}

#[test]
fn errors_say_where_and_what_was_meant() {
    let deep = "(".repeat(60);
    let many = "a ".repeat(150);
    let long = "x".repeat(5000);
    let repeated = "~b '(a{1000}){1000}'";
    let table: &[(&str, usize, &str)] = &[
        ("hots:example.com", 1, "did you mean host:?"),
        ("~d a statsu:500", 6, "did you mean status:?"),
        ("localhost:8080", 1, "put it in quotes"),
        ("é ~x", 3, "there is no ~x"),
        ("~hx a", 1, "did you mean ~h"),
        ("~d", 3, "needs something to look for"),
        ("~b (a)", 4, "in quotes if it has parentheses"),
        ("~c", 3, "~c 500"),
        ("~m ^(get|post)$", 5, "put the expression in quotes"),
        ("~c abc", 4, "write 404, >=500, 5xx"),
        ("status:abc", 8, "is no status"),
        ("time:5", 6, ">2s"),
        ("is:eror", 4, "did you mean is:error?"),
        ("(~m GET", 1, "never closed"),
        ("~m GET)", 7, "closes nothing"),
        ("~u \"abc", 4, "never closed"),
        ("~u '(abc'", 4, "no regular expression"),
        ("~m GET |", 9, "something is missing"),
        ("| ~m GET", 1, "stands where a test should"),
        ("!", 2, "something is missing"),
        ("status:", 8, "for instance status:>=500"),
        (&deep, 51, "more than 50 parentheses"),
        (&many, 41, "more than 20 regular expressions"),
        (&long, 1, "longer than 4096 bytes"),
        (repeated, 4, "bytes when compiled"),
    ];
    for (filter, column, words) in table {
        let error = Filter::parse(filter).expect_err(filter);
        assert_eq!(error.column, *column, "{filter}: {error}");
        assert!(error.to_string().contains(words), "{filter}: {error}");
    }
}

#[test]
fn every_word_has_an_example_that_reads_and_stands_in_the_manual() {
    for (word, example, meaning) in WORDS {
        assert!(example.starts_with(word), "{example}");
        Filter::parse(example).unwrap_or_else(|error| panic!("{example}: {error}"));
        let row = format!("| `{example}` | {meaning} |");
        assert!(DOCS.contains(&row), "docs/flows.md has no row {row}");
    }
    for flag in Flag::ALL {
        assert!(
            DOCS.contains(&format!("`{}`", flag.as_str())),
            "docs/flows.md has no kind {}",
            flag.as_str()
        );
    }
}

#[test]
fn the_examples_of_the_manual_read() {
    let examples =
        DOCS.split("## Filters").nth(1).and_then(|rest| rest.split("```").nth(1)).expect("examples");
    for line in examples.lines().skip(1) {
        Filter::parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn a_filter_says_whether_it_needs_bodies() {
    for (filter, needs) in [("~m GET", false), ("~b x", true), ("!(~m GET | body:x)", true), ("", false)] {
        assert_eq!(Filter::parse(filter).expect(filter).needs_bodies(), needs, "{filter}");
    }
}
