//! Conditions: what each is, or why it is refused.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use egret_core::destination::Destination;
use egret_core::identity::{
    CertificateName, ClientCertificate, ClientTls, Identity, NameKind, Proof, TlsVersion, User, Workload,
};
use egret_core::policy::when::{FaultKind, When};
use egret_core::policy::{Ask, Headers, RequestFacts, Seen};

use crate::gate::{ip, somebody, to};

/// Headers in a list.
#[derive(Debug)]
pub(crate) struct Fields(pub(crate) Vec<(&'static str, &'static [u8])>);

impl Headers for Fields {
    fn for_each(&self, f: &mut dyn FnMut(&str, &[u8])) {
        for (name, value) in &self.0 {
            f(name, value);
        }
    }
}

/// A flow with all that a condition can look at.
pub(crate) struct Flow {
    pub(crate) identity: Identity,
    pub(crate) destination: Destination,
    pub(crate) address: Option<IpAddr>,
    pub(crate) fields: Fields,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) body_length: Option<u64>,
    pub(crate) now: SystemTime,
}

impl Flow {
    /// Saturday, 21 November 2026, 17:05:09 UTC.
    pub(crate) const NOW: u64 = 1_795_280_709;

    pub(crate) fn new() -> Self {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let mut identity = somebody();
        identity.user = Some(User {
            name: "alice".into(),
            proof: Proof::Ldap,
            groups: vec!["admins".into(), "build".into()].into(),
            workload: None,
        });
        identity.tls = Some(Arc::new(ClientTls {
            version: TlsVersion::Tls13,
            cipher_suite: "TLS13_AES_128_GCM_SHA256",
            server_name: None,
            resumed: false,
            certificate: Some(Arc::new(ClientCertificate::new(vec![
                CertificateName::new(NameKind::Dns, "build.example.org"),
                CertificateName::new(NameKind::Uri, "https://example.org/build"),
                CertificateName::new(NameKind::Uri, "spiffe://example.org/ns/ci/sa/build"),
            ]))),
            listener: "127.0.0.1:8443".parse().expect("an address"),
            judged_by: 0,
        }));
        identity.workload = Some(Arc::new(Workload {
            namespace: "ci".into(),
            service_account: Some("build".into()),
            pod: Some("build-0".into()),
            labels: pairs(&[("app", "build"), ("team", "tools")]),
            namespace_labels: pairs(&[("env", "prod")]),
            ..Workload::default()
        }));
        Self {
            identity,
            destination: to("api.example.com:443"),
            address: Some(ip("203.0.113.5")),
            fields: Fields(vec![
                ("Host", b"api.example.com"),
                ("X-Team", b"tools"),
                ("Accept", b"text/html"),
                ("accept", b"application/json"),
                ("User-Agent", b"curl/8.5.0"),
                ("X-Raw", b"caf\xe9"),
            ]),
            path: "/v1/items/42".into(),
            query: Some("tag=a&tag=b+c&q=%C3%A9&flag".into()),
            body_length: Some(1000),
            now: UNIX_EPOCH + Duration::from_secs(Self::NOW),
        }
    }

    /// What it says of a condition, with the request or without.
    pub(crate) fn decide(&self, when: &When, with_request: bool) -> Result<bool, FaultKind> {
        let request = RequestFacts {
            method: "GET",
            scheme: "https",
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.fields,
            body_length: self.body_length,
        };
        let ask = Ask {
            identity: &self.identity,
            destination: &self.destination,
            address: self.address,
            seen: if with_request { Seen::Request(request) } else { Seen::Tunnel },
            now: self.now,
        };
        when.evaluate(&ask).map_err(|fault| {
            assert!(fault.to_string().contains("column"), "{fault}");
            fault.kind().clone()
        })
    }
}

pub(crate) fn compiled(text: &str) -> When {
    When::compile(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

/// All errors of a condition, as they are shown.
fn errors(text: &str) -> Vec<String> {
    match When::compile(text) {
        Ok(_) => vec![],
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_variables_hold_what_the_manual_says() {
    let flow = Flow::new();
    for text in [
        "identity.user == 'alice'",
        "identity.groups == ['admins', 'build']",
        "identity.ip == '192.0.2.7'",
        "identity.proof == 'ldap'",
        "identity.certificate.names == ['uri:https://example.org/build', \
         'uri:spiffe://example.org/ns/ci/sa/build', 'dns:build.example.org']",
        "identity.certificate.spiffe == 'spiffe://example.org/ns/ci/sa/build'",
        "identity.namespace == 'ci'",
        "identity.serviceAccount == 'build'",
        "identity.pod == 'build-0'",
        "identity.labels == {'team': 'tools', 'app': 'build'}",
        "identity.namespaceLabels.env == 'prod'",
        "destination.host == 'api.example.com'",
        "destination.port == 443",
        "destination.ip == '203.0.113.5'",
        "request.method == 'GET'",
        "request.scheme == 'https'",
        "request.path == '/v1/items/42'",
        "request.query == {'tag': ['a', 'b c'], 'q': ['é'], 'flag': ['']}",
        "request.query['tag'][1] == 'b c'",
        "request.headers['x-team'] == 'tools'",
        "request.headers.host == 'api.example.com'",
        "request.headers.accept == 'text/html, application/json'",
        "request.headers.map(n, n) == ['host', 'x-team', 'accept', 'user-agent', 'x-raw']",
        "request.headers['x-raw'] == 'caf\\ufffd'",
        "request.bodyLength == 1000",
        "request.userAgent.startsWith('curl/')",
        "time.now == timestamp('2026-11-21T17:05:09Z')",
        "time.hour == 17 && time.minute == 5",
        "time.weekday == 'Sat'",
    ] {
        assert_eq!(flow.decide(&compiled(text), true), Ok(true), "{text}");
    }
}

#[test]
fn what_is_not_there_is_empty() {
    let mut flow = Flow::new();
    flow.identity = somebody();
    flow.fields.0.clear();
    flow.query = None;
    for text in [
        "identity.user == '' && identity.groups == [] && identity.proof == 'address'",
        "identity.certificate.names.size() == 0 && identity.certificate.spiffe == ''",
        "identity.namespace + identity.serviceAccount + identity.pod == ''",
        "identity.labels == {} && size(identity.namespaceLabels) == 0",
        "request.query == {} && request.headers == {} && request.userAgent == ''",
        "!has(identity.user) && !has(identity.groups) && !has(identity.labels) && !has(identity.labels.app)",
        "!has(request.headers) && !has(request.headers.accept) && !('accept' in request.headers)",
        "has(request.method) && has(destination.port) && has(time.hour) && !has(request.userAgent)",
    ] {
        assert_eq!(flow.decide(&compiled(text), true), Ok(true), "{text}");
    }
}

#[test]
fn operators_and_functions_do_what_cel_says() {
    let flow = Flow::new();
    for text in [
        "1 + 2 * 3 - 8 / 3 % 2 == 7",
        "-7 / 2 == -3 && -7 % 2 == -1",
        "0x10 == 16 && -9223372036854775808 < 0",
        "'a' + 'b' == 'ab' && [1] + [2] == [1, 2]",
        "'a' < 'b' && !(false > true) && 2 >= 2 && 1 <= 1 && 'a' != 'b'",
        "true ? true : false",
        "1 in [3, 2, 1] && !(4 in [3, 2, 1]) && 'b' in ['c', 'b'] && !('x' in ['c', 'b'])",
        "[1] in [[1], [2]] && 'tag' in request.query && 'app' in identity.labels",
        "'admins' in identity.groups && !('nobody' in identity.groups) && !('x' in [])",
        "1 in {1: 'a', 2: 'b'} && {1: 'a'}[1] == 'a' && {true: 1}[true] == 1 && {'a': {'b': 1}}.a.b == 1",
        "{1: 'a', 2: 'b', 1: 'c'}[1] == 'c'",
        "identity.groups.exists(g, g == 'build') && !identity.groups.all(g, g == 'build')",
        "identity.groups.exists_one(g, g == 'build') && [1, 2, 2].existsOne(x, x == 1)",
        "[1, 2, 3].filter(x, x > 1) == [2, 3] && [1, 2, 3].map(x, x * x) == [1, 4, 9]",
        "[1, 2, 3].map(x, x > 1, x + 1) == [3, 4] && [].map(x, 1) == [] && [].all(x, false)",
        "identity.labels.all(k, k.size() >= 3) && identity.labels.exists(k, identity.labels[k] == 'tools')",
        "[1, 2].all(x, [3, 4].exists(y, y > x && [5].all(z, z > y + x - 2)))",
        "[[1, 2], [3]].map(x, x.map(x, x + 1)) == [[2, 3], [4]]",
        "request.path.startsWith('/v1/') && request.path.endsWith('42') && request.path.contains('items')",
        "request.path.matches('^/v[0-9]+/') && !matches(request.path, r'^\\d+$')",
        "size('äö') == 2 && 'äö'.size() == 2 && size([1, 2]) == 2 && {1: 2}.size() == 1",
        "'AbÄ'.lowerAscii() == 'abÄ' && 'abä'.upperAscii() == 'ABä' && ' a '.trim() == 'a'",
        "'/a/b'.split('/') == ['', 'a', 'b'] && 'aä'.split('') == ['a', 'ä'] && ''.split('') == []",
        "'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'a,b'.split(',', 0) == [] && 'a,b'.split(',', -1) == ['a', 'b']",
        "''.split(',') == [''] && 'abc'.split('', 2) == ['a', 'bc']",
        "['a', 'b'].join() == 'ab' && ['a', 'b'].join('-') == 'a-b' && [].join() == ''",
        "'banana'.replace('an', 'x') == 'bxxa' && 'ab'.replace('', '-') == '-a-b-'",
        "'äbc'.substring(1) == 'bc' && 'äbc'.substring(0, 1) == 'ä' && 'abc'.substring(3) == ''",
        "'äbäb'.indexOf('b') == 1 && 'äbäb'.lastIndexOf('b') == 3 && 'a'.indexOf('x') == -1",
        "'äb'.charAt(0) == 'ä' && 'äb'.charAt(2) == ''",
        "int('42') == 42 && string(42) == '42' && string(true) == 'true' && int(timestamp('1970-01-01T00:01:00Z')) == 60",
        "string(ip('::ffff:10.0.0.1')) == '10.0.0.1' && string(cidr('10.0.0.0/8')) == '10.0.0.0/8'",
        "string(duration('1h30m')) == '5400s' && string(duration('-1.5s')) == '-1.5s'",
        "string(time.now) == '2026-11-21T17:05:09Z' && timestamp(string(time.now)) == time.now",
        "cidr('203.0.113.0/24').containsIP(ip(destination.ip)) && cidr('192.0.2.0/24').containsIP(identity.ip)",
        "cidr('203.0.113.0/24').containsIP(destination.ip) && !cidr('10.0.0.0/8').containsIP(destination.ip)",
        "ip(destination.ip) == ip('203.0.113.5') && ip(identity.ip) != ip('203.0.113.5')",
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.0.0.0/8').containsCIDR(cidr('0.0.0.0/0'))",
        "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.1.2.3/8').ip() == ip('10.1.2.3')",
        "cidr('2001:db8::/32').prefixLength() == 32 && ip('::1').family() == 6 && ip('127.0.0.1').family() == 4",
        "ip('::1').isLoopback() && ip('0.0.0.0').isUnspecified() && ip('169.254.0.1').isLinkLocalUnicast()",
        "ip('203.0.113.5').isGlobalUnicast() && !ip('224.0.0.1').isGlobalUnicast()",
        "isIP('10.0.0.1') && !isIP('10.0.0') && isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.1')",
        "time.now - timestamp('2026-11-21T17:00:00Z') == duration('5m9s')",
        "time.now + duration('1h') > time.now && time.now - duration('1h') < time.now && -duration('1s') < duration('0')",
        "time.now.getFullYear() == 2026 && time.now.getMonth() == 10 && time.now.getDate() == 21",
        "time.now.getDayOfMonth() == 20 && time.now.getDayOfWeek() == 6 && time.now.getDayOfYear() == 324",
        "time.now.getHours() == 17 && time.now.getMinutes() == 5 && time.now.getSeconds() == 9",
        "duration('90m').getHours() == 1 && duration('90m').getMinutes() == 90 && duration('1.5s').getMilliseconds() == 500",
        "timestamp('2026-11-21T18:05:09+01:00') == time.now",
        "'it\\'s' == \"it's\" && \"\"\"a\n\"b\" \"\"\" != '' && r'\\d' == '\\\\d' && '\\x41\\u00e9\\101' == 'AéA' // c",
        "has(identity.labels.app) && !has(identity.labels.none) && has(request.headers.accept) && has({'a': 1}.a)",
        "(identity.user == 'alice' ? identity.labels : {}).app == 'build'",
        "request.headers.exists(h, h.startsWith('x-') && request.headers[h] == 'tools')",
        ".identity.user == 'alice'",
        "[1, 2].exists(identity, identity == 2)",
    ] {
        let when = match When::compile(text) {
            Ok(when) => when,
            Err(errors) => panic!("{text}: {}", errors[0]),
        };
        assert_eq!(flow.decide(&when, true), Ok(true), "{text}");
    }
}

#[test]
fn names_the_fault_of_what_cannot_be_decided() {
    let mut flow = Flow::new();
    flow.body_length = None;
    let key = |key: &str| FaultKind::MissingKey(key.into());
    let unreadable = |what, text: &str| FaultKind::Unreadable { what, text: text.into() };
    for (text, fault) in [
        ("request.headers['x-none'] == 'a'", key("x-none")),
        ("identity.labels.none == 'a'", key("none")),
        ("{1: true}[2]", key("2")),
        ("request.query.tag[2] == 'a'", FaultKind::OutOfRange { index: 2, length: 2 }),
        ("[true][-1]", FaultKind::OutOfRange { index: -1, length: 1 }),
        ("'abc'.substring(2, 1) == ''", FaultKind::OutOfRange { index: 1, length: 3 }),
        ("'abc'.substring(4) == ''", FaultKind::OutOfRange { index: 4, length: 3 }),
        ("'abc'.charAt(-1) == ''", FaultKind::OutOfRange { index: -1, length: 3 }),
        ("9223372036854775807 + destination.port > 0", FaultKind::Overflow),
        ("-(-9223372036854775808) > 0", FaultKind::Overflow),
        ("(-9223372036854775808) / -1 > 0", FaultKind::Overflow),
        ("(-9223372036854775808) % -1 == 0", FaultKind::Overflow),
        ("time.now + duration('87600000h') > time.now", FaultKind::Overflow),
        ("1 / 0 == 1", FaultKind::DivisionByZero),
        ("1 % 0 == 1", FaultKind::DivisionByZero),
        ("int(identity.user) == 1", unreadable("int", "alice")),
        ("ip(identity.user).isLoopback()", unreadable("IP address", "alice")),
        ("cidr('10.0.0.0/8').containsIP(identity.user)", unreadable("IP address", "alice")),
        ("timestamp(identity.user) < time.now", unreadable("timestamp, as in 2026-01-31T08:00:00Z", "alice")),
        ("duration(identity.user) < duration('1s')", unreadable("duration, as in 1h30m", "alice")),
        ("request.bodyLength < 10", FaultKind::NoBodyLength),
        ("identity.labels.none == 'a' && request.method == 'GET'", key("none")),
        ("identity.groups.exists(g, int(g) == 1)", unreadable("int", "admins")),
    ] {
        assert_eq!(flow.decide(&compiled(text), true), Err(fault), "{text}");
    }
}

#[test]
fn one_side_decides_where_the_other_is_a_fault() {
    let flow = Flow::new();
    for (text, holds) in [
        ("request.method == 'GET' || destination.port == 443", true),
        ("destination.port == 443 || request.method == 'GET'", true),
        ("request.method == 'GET' && destination.port == 22", false),
        ("destination.port == 22 && request.method == 'GET'", false),
        ("[0, 1].exists(x, 1 / x == 1)", true),
        ("[0, 1].all(x, 1 / x == 2)", false),
        ("has(request.headers.accept) || has(request.method) || has(request.bodyLength)", false),
    ] {
        let text = text.replace("has(request.headers.accept) || ", "");
        assert_eq!(flow.decide(&compiled(&text), false), Ok(holds), "{text}");
    }
    for text in
        ["request.method == 'GET'", "request.path == '' || destination.port == 22", "has(request.headers.x)"]
    {
        assert_eq!(flow.decide(&compiled(text), false), Err(FaultKind::NoRequest), "{text}");
    }
}

#[test]
fn an_address_is_known_when_it_was_resolved_or_asked_for() {
    let mut flow = Flow::new();
    let inside = compiled("cidr('203.0.113.0/24').containsIP(destination.ip)");
    let known = compiled("has(destination.ip)");
    assert_eq!((flow.decide(&inside, false), flow.decide(&known, false)), (Ok(true), Ok(true)));
    flow.address = None;
    assert_eq!(
        (flow.decide(&inside, false), flow.decide(&known, false)),
        (Err(FaultKind::NoAddress), Ok(false))
    );
    flow.destination = to("[2001:db8::1]:443");
    assert_eq!(
        flow.decide(
            &compiled("destination.ip == '2001:db8::1' && destination.host == destination.ip"),
            false
        ),
        Ok(true)
    );
}

#[test]
fn time_is_utc_before_1970_too() {
    let mut flow = Flow::new();
    flow.now = UNIX_EPOCH - Duration::from_millis(1);
    let text =
        "time.weekday == 'Wed' && time.hour == 23 && time.minute == 59 && time.now.getDayOfWeek() == 3";
    assert_eq!(flow.decide(&compiled(text), false), Ok(true));
}

#[test]
fn says_what_it_looks_at() {
    for (text, request, address, time) in [
        ("identity.user == 'a'", false, false, false),
        ("destination.host == 'a' || request.path == '/'", true, false, false),
        ("[1].exists(x, has(request.headers.accept))", true, false, false),
        ("cidr('10.0.0.0/8').containsIP(destination.ip)", false, true, false),
        ("ip(destination.ip).isLoopback()", false, true, false),
        ("time.hour > 8 && time.now < timestamp('2027-01-01T00:00:00Z')", false, false, true),
    ] {
        let when = compiled(text);
        assert_eq!(
            (when.needs_request(), when.needs_address(), when.needs_time()),
            (request, address, time),
            "{text}"
        );
        assert_eq!(when.text(), text);
        assert!(format!("{when:?}").contains(&format!("{text:?}")));
    }
}

#[test]
fn knows_every_way_to_prove_an_identity() {
    for proof in [
        Proof::Address,
        Proof::Certificate,
        Proof::Htpasswd,
        Proof::Ldap,
        Proof::Jwt,
        Proof::Console,
        Proof::ServiceAccount,
    ] {
        // A further kind belongs into the list above, the values of `identity.proof` and the manual.
        match proof {
            Proof::Address
            | Proof::Certificate
            | Proof::Htpasswd
            | Proof::Ldap
            | Proof::Jwt
            | Proof::Console
            | Proof::ServiceAccount => {}
        }
        compiled(&format!("identity.proof == {:?}", proof.as_str()));
    }
}

#[test]
fn reports_all_errors_with_their_columns() {
    let text = "identity.usr == 'a' && destination.port == '443' && request.path.startsWith(1) && foo(1)";
    assert_eq!(
        errors(text),
        [
            "column 10: `identity` has no field `usr` (did you mean `identity.user`?)",
            "column 41: `==` compares an int with a string (write 443 without quotation marks)",
            "column 77: the argument of `startsWith` is an int, but must be a string",
            "column 83: there is no function `foo`",
        ],
    );
}

#[test]
fn says_what_is_wrong_and_what_to_do() {
    let mut wrong = Vec::new();
    for (text, wanted) in [
        ("", "the condition is empty (leave `when` out if there is none)"),
        (" // nothing", "the condition is empty (leave `when` out if there is none)"),
        (
            "identity.user",
            "column 10: the condition is a string, but it must be a bool (compare it with something)",
        ),
        (
            "identity",
            "column 1: `identity` is not a value by itself (it has the fields certificate, groups, ip, labels, namespace, namespaceLabels, pod, proof, serviceAccount, user)",
        ),
        ("user == 'a'", "column 1: there is no variable `user` (did you mean `identity.user`?)"),
        ("identiy.user == 'a'", "column 1: there is no variable `identiy` (did you mean `identity`?)"),
        ("qqq", "column 1: there is no variable `qqq` (there are destination, identity, request, time)"),
        ("identity.path == ''", "column 10: `identity` has no field `path` (did you mean `request.path`?)"),
        (
            "time.zone == ''",
            "column 6: `time` has no field `zone` (it has the fields hour, minute, now, weekday)",
        ),
        ("identity.user.name == ''", "column 15: a string has no fields"),
        ("identity.user.size == 1", "column 15: a string has no fields (a function is called: size(…))"),
        ("identity.user = 'a'", "column 15: `=` is no operator (write `==`)"),
        ("true & true", "column 6: `&` is no operator (write `&&`)"),
        ("true and true", "column 6: `and` is no word of CEL (write `&&`)"),
        ("not true", "column 1: `not` is no word of CEL (write `!`)"),
        ("(true", "column 1: `(` is never closed"),
        ("true)", "column 5: `)` closes nothing"),
        ("[true)", "column 6: `)` closes the `[` of column 1"),
        (
            "identity.user == 'a",
            "column 18: the text that begins here is never closed (it ends with the same ')",
        ),
        (
            "identity.user == \"a\nb\"",
            "column 18: the text that begins here is never closed (it ends with the same \")",
        ),
        (
            "identity.user == “a”",
            "column 18: the character '“' means nothing here (texts stand between \" or ')",
        ),
        (
            "'\\d' == ''",
            "column 2: `\\d` is no escape in a text (write `\\\\` for a backslash, or r\"…\" for a text without escapes)",
        ),
        ("true true", "column 6: `true` is not expected here"),
        ("true &&", "column 8: the condition ends where a value is missing"),
        ("true\n  && || true", "line 2, column 6: `||` is not expected here"),
        ("true ? true", "column 12: the condition ends where a value is missing"),
        (
            "1 < 99999999999999999999",
            "column 5: 99999999999999999999 does not fit an int (64 bits, with a sign)",
        ),
        ("'\\ud800' == ''", "column 1: an escape in the text is no character"),
        ("for == 1", "column 1: `for` is a reserved word"),
        ("1.5 > 1", "column 1: there are no fractions in conditions (all their numbers are ints)"),
        ("1u == 1", "column 1: there are no unsigned ints in conditions (write 1)"),
        (
            "identity.user == null",
            "column 18: nothing in a condition is ever null (texts are \"\" and lists are empty where there is nothing; has(…) tests for it)",
        ),
        (
            "Foo{a: 1} == 1",
            "column 4: there is no message type `Foo` (conditions have no messages, only {\"key\": value})",
        ),
        (
            "[1, 'a'] == []",
            "column 5: the elements of a list are of one type: this is a string, those before an int",
        ),
        ("{1.5: 1} == {}", "column 2: there are no fractions in conditions (all their numbers are ints)"),
        ("{[1]: 1} == {}", "column 2: a list(int) is no key of a map (keys are strings, ints or bools)"),
        (
            "!identity.user",
            "column 11: what `!` turns round is a string, but must be a bool (compare it with something)",
        ),
        (
            "identity.user && true",
            "column 10: what `&&` joins is a string, but must be a bool (compare it with something)",
        ),
        ("-identity.user == ''", "column 1: `-` is for an int or a duration, not for a string"),
        (
            "identity.user + 1 == ''",
            "column 15: `+` does not go with a string and an int (write string(x) to make a string of x)",
        ),
        (
            "identity.groups == 'a'",
            "column 17: `==` compares a list(string) with a string (write \"a\" in …)",
        ),
        (
            "identity.groups < ['a']",
            "column 17: `<` does not compare a list(string) (only bools, ints, strings, timestamps and durations have an order)",
        ),
        (
            "time.now > '2026-01-01T00:00:00Z'",
            "column 10: `>` compares a timestamp with a string (write timestamp(\"2026-01-01T00:00:00Z\"))",
        ),
        ("(true ? 1 : 'a') == 1", "column 7: `?:` gives an int or a string, but must give one type"),
        (
            "1 ? true : false",
            "column 1: what stands before `?` is an int, but must be a bool (compare it with something)",
        ),
        (
            "'a' in identity.user",
            "column 5: `in` looks in a list or a map, not in a string (write text.contains(part))",
        ),
        ("1 in identity.groups", "column 3: `in` looks for an int among string values (write \"1\")"),
        ("identity.groups['a'] == ''", "column 17: the index of a list is a string, but must be an int"),
        ("identity.labels[1] == ''", "column 17: the key of this map is an int, but must be a string"),
        ("identity.user[0] == ''", "column 14: a string has no elements (write text.charAt(index))"),
        ("[][0] == 1", "column 3: an empty list has no elements"),
        ("startsWith('a', 'b')", "column 1: `startsWith` is called on a value (write x.startsWith(…))"),
        (
            "identity.user.ip() == ip('::1')",
            "column 15: `ip` is called on a CIDR range, not on a string (write cidr(x) to make a range of a string)",
        ),
        (
            "destination.ip.isLoopback()",
            "column 16: `isLoopback` is called on an IP address, not on a string (write ip(x) to make an address of a string)",
        ),
        ("destination.port.startsWith('4')", "column 18: `startsWith` is called on a string, not on an int"),
        (
            "identity.user.startWith('a')",
            "column 15: there is no function `startWith` (did you mean `startsWith`?)",
        ),
        ("len(identity.user) > 1", "column 1: there is no function `len` (write size(x))"),
        ("identity.user.startsWith()", "column 15: `startsWith` takes 1 argument, but has 0"),
        (
            "identity.user.substring(1, 2, 3) == ''",
            "column 15: `substring` takes 1 or 2 arguments, but has 3",
        ),
        ("identity.user.matches('(')", "column 23: the pattern is no regular expression: unclosed group"),
        (
            "identity.user.matches('(\\\\w{1000}){1000}')",
            "column 23: the pattern is too large when compiled (repeat less in it)",
        ),
        (
            "identity.user.matches(destination.host)",
            "column 35: the pattern of `matches` must be a text that stands here (use startsWith(), endsWith() or contains() with what is not known beforehand)",
        ),
        ("identity.user.matches(1)", "column 23: the pattern of `matches` is an int, but must be a string"),
        ("ip('10.0.0') == ip('10.0.0.1')", "column 4: \"10.0.0\" is no IP address"),
        (
            "cidr('10.0.0.0/33').containsIP('10.0.0.1')",
            "column 6: \"10.0.0.0/33\" is no CIDR range, as in 10.0.0.0/8",
        ),
        ("cidr('10.0.0.0/8').containsIP('x')", "column 31: \"x\" is no IP address"),
        (
            "time.now < timestamp('tomorrow')",
            "column 22: \"tomorrow\" is no timestamp, as in 2026-01-31T08:00:00Z",
        ),
        ("duration('1 day') > duration('1s')", "column 10: \"1 day\" is no duration, as in 1h30m"),
        (
            "has(identity)",
            "column 1: has() tests a field, as in has(request.headers.accept) (test a key with `\"key\" in map`)",
        ),
        (
            "has(identity.certificate)",
            "column 14: `identity.certificate` is always there (test one of its fields: names, spiffe)",
        ),
        (
            "has(identity.nothing)",
            "column 14: `identity` has no field `nothing` (it has the fields certificate, groups, ip, labels, namespace, namespaceLabels, pod, proof, serviceAccount, user)",
        ),
        ("identity.groups.exists(g)", "column 17: `exists` takes 2 arguments, but has 1"),
        (
            "identity.groups.exists(1, true)",
            "column 24: the first argument of a loop is a name for each element (write x)",
        ),
        (
            "identity.groups.exists(g, g)",
            "column 27: the condition of a loop is a string, but must be a bool (compare it with something)",
        ),
        ("identity.user.exists(g, true)", "column 15: a loop goes over a list or a map, not over a string"),
        ("exists(g, true)", "column 1: `exists` is called on a list or a map (write x.exists(…))"),
        (
            "[1].exists(a, [1].exists(b, [1].exists(c, [1].exists(d, true))))",
            "column 47: at most 3 loops may stand in each other",
        ),
        (
            "time.weekday == 'Monday'",
            "column 17: `time.weekday` is never \"Monday\" (it is one of Mon, Tue, Wed, Thu, Fri, Sat, Sun)",
        ),
        (
            "time.weekday in ['Mon', 'Tues']",
            "column 25: `time.weekday` is never \"Tues\" (it is one of Mon, Tue, Wed, Thu, Fri, Sat, Sun)",
        ),
        (
            "destination.host == 'Example.com'",
            "column 21: `destination.host` is never \"Example.com\" (it is in lower case: write \"example.com\")",
        ),
        (
            "'example.com.' != destination.host",
            "column 1: `destination.host` is never \"example.com.\" (it has no dot at its end: write \"example.com\")",
        ),
        (
            "request.headers['X-Team'] == ''",
            "column 17: the names of headers are in lower case here (write \"x-team\")",
        ),
        ("!'a' in identity.groups", "column 6: `!` binds closer than `in` (write !(x in y))"),
        ("a.?b == 1", "column 2: `.` is not expected here"),
    ] {
        let told = errors(text);
        if told != [wanted] {
            wrong.push(format!("{text}\n  is    {told:?}\n  not   {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn refuses_what_could_cost_too_much() {
    let groups =
        "identity.groups.exists(a, identity.groups.exists(b, identity.groups.exists(c, a + b == c)))";
    assert!(errors(groups)[0].starts_with("the condition could cost "), "{:?}", errors(groups));
    let headers = "request.headers.exists(h, request.headers[h].matches('a.*b.*c.*d.*e.*f.*g.*h'))";
    assert!(errors(headers)[0].contains("at most 250000 are allowed"), "{:?}", errors(headers));
    for text in [
        "request.headers.exists(h, request.headers[h].contains('token'))",
        "identity.groups.exists(g, identity.certificate.names.exists(n, n.endsWith(g)))",
        "request.query.exists(k, request.query[k].exists(v, v.contains('<script>')))",
        "request.path.split('/').exists(part, part.matches('^[0-9a-f]{32}$'))",
        "request.path.replace('//', '/').startsWith('/a')",
    ] {
        assert_eq!(errors(text), [""; 0], "{text}");
    }
}

#[test]
fn stops_what_costs_too_much_for_a_flow() {
    let mut flow = Flow::new();
    flow.path = "a/".repeat(200_000);
    for text in [
        "request.path.split('/').exists(part, part == 'b')",
        "request.path.replace('a', '0123456789012345678901234567890123456789') == ''",
        "request.path.matches('(a|b|c|d)+x[0-9]{1,3}y') || request.path.matches('(a|b)z(a|b)') || \
         request.path.matches('(a|b|c|d)+x[0-9]{1,4}y')",
        "request.path.split('/').all(p, p == 'a') && false",
    ] {
        assert_eq!(flow.decide(&compiled(text), true), Err(FaultKind::TooExpensive), "{text}");
    }
}

#[test]
fn refuses_what_is_long_or_deep_before_it_is_parsed() {
    for (open, close) in [("(", ")"), ("[", "]"), ("{1:", "}"), ("f(", ")"), ("a[", "]"), ("true?", ":1")] {
        for depth in [33, 600, 10_000] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let told = errors(&text);
            assert!(
                told[0].contains("nested deeper than 32") || told[0].contains("bytes, at most 8192"),
                "{told:?}"
            );
        }
        let text = format!("{}1{}", open.repeat(32), close.repeat(32));
        assert!(!errors(&text)[0].contains("nested"), "{text}: {:?}", errors(&text));
    }
    for (part, end) in
        [("1+", "1 > 0"), ("-", "1 > 0"), ("!", "true"), ("'a'+", "'a' == 'a'"), ("a.", "b"), ("f().", "g()")]
    {
        for count in [70, 300, 900] {
            let text = format!("{}{end}", part.repeat(count));
            let told = errors(&text);
            let short = part.len() == 1 && told.is_empty();
            assert!(short || !told.is_empty(), "{text}");
        }
    }
    let long = format!("{}true", "true&&".repeat(600));
    assert_eq!(
        errors(&long),
        ["column 3001: the condition has more than 1000 words, numbers, texts and signs"]
    );
    let balanced = format!("{}true", "destination.port == 1 || ".repeat(160));
    assert_eq!(errors(&balanced), [""; 0]);
}
