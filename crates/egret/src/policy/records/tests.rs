use super::read::LONGEST_LINE;
use super::*;

fn read(line: &str) -> Record<'_> {
    parse(line.as_bytes()).unwrap_or_else(|why| panic!("{why:?}: {line}"))
}

#[test]
fn reads_what_egret_writes_as_json_and_as_logfmt() {
    let json = r#"{"time":"2026-11-21T12:36:32.991Z","flow":"n97wv71t","client":"127.0.0.1:57506","user":"al \"ice","proof":"ldap","method":"CONNECT","target":"localhost:18443","treatment":"tunnel","status":200,"auditPolicy":"trial","auditRule":"r","route":"direct","dialled":"127.0.0.1:18443","reused":false,"bytesUp":731}"#;
    let logfmt = r#"time=2026-11-21T12:36:32.991Z flow=n97wv71t client=127.0.0.1:57506 user="al \"ice" proof=ldap method=CONNECT target=localhost:18443 treatment=tunnel status=200 auditPolicy=trial auditRule=r route=direct dialled=127.0.0.1:18443 reused=false bytesUp=731"#;
    let (json, logfmt) = (read(json), read(logfmt));
    assert_eq!(json.fields, logfmt.fields);
    assert_eq!(json.fields.user.as_deref(), Some("al \"ice"));
    assert_eq!(json.fields.time, Some(1_795_264_592_991));
    assert_eq!((json.was, json.audit_denied()), (Was::Reached, true));
    assert_eq!(json.destination().to_string(), "localhost:18443");
    assert_eq!(json.fields.dialled, Some([127, 0, 0, 1].into()));
}

#[test]
fn reads_what_squid_and_egret_write_in_squids_format() {
    let line = "1795264591.870     17 10.0.0.9 TCP_MISS/200 6 GET http://a.test:8080/hello.txt?x=1 al%20ice HIER_DIRECT/192.0.2.1 text/html";
    let record = read(line);
    assert_eq!(record.fields.user.as_deref(), Some("al ice"));
    assert_eq!(record.fields.time, Some(1_795_264_591_870));
    assert_eq!((record.was, record.fields.dialled), (Was::Reached, Some([192, 0, 2, 1].into())));
    assert_eq!(record.destination().to_string(), "a.test:8080");
    let denied = "1795264591.963      0 127.0.0.1 TCP_DENIED/403 0 CONNECT a.test:443 - HIER_NONE/- -";
    assert_eq!(read(denied).was, Was::Denied);
    let challenge = "1795264591.963 0 127.0.0.1 TCP_DENIED/407 3 CONNECT a.test:443 - HIER_NONE/- text/html";
    assert_eq!(parse(challenge.as_bytes()).unwrap_err(), Unusable::Undecided);
    let failed = "1795264591.963 0 127.0.0.1 TCP_MISS/503 3 GET http://a.test/ - HIER_NONE/- text/html";
    assert_eq!(read(failed).was, Was::Failed);
}

#[test]
fn tells_denials_from_failures_and_from_what_was_never_decided() {
    let with = |more: &str| {
        let line = format!(r#"{{"method":"GET","target":"http://a.test/",{more}}}"#);
        parse(line.as_bytes()).map(|record| record.was)
    };
    let table = [
        (r#""status":200,"dialled":"192.0.2.1:80""#, Ok(Was::Reached)),
        (r#""status":403,"reason":"denied-by-rule","blame":"policy""#, Ok(Was::Denied)),
        (r#""status":403,"reason":"denied-by-default","blame":"policy""#, Ok(Was::Denied)),
        (r#""status":403,"reason":"denied-by-guard","blame":"policy""#, Ok(Was::Guarded)),
        (r#""status":502,"reason":"dns-not-found","blame":"upstream""#, Ok(Was::Failed)),
        (
            r#""status":200,"reason":"sni-mismatch","blame":"policy","dialled":"192.0.2.1:443""#,
            Ok(Was::Failed),
        ),
        (r#""status":429,"reason":"rate-limited","blame":"policy""#, Ok(Was::Failed)),
        (
            r#""status":200,"reason":"client-aborted","blame":"client","dialled":"192.0.2.1:80""#,
            Ok(Was::Reached),
        ),
        (r#""status":407,"reason":"proxy-auth-required","blame":"client""#, Err(Unusable::Undecided)),
        (r#""status":200,"treatment":"local""#, Err(Unusable::Undecided)),
    ];
    for (more, expected) in table {
        assert_eq!(with(more), expected, "{more}");
    }
}

#[test]
fn passes_over_hostile_lines() {
    let table: [(&[u8], Unusable); 9] = [
        (b"hello", Unusable::NoRecord),
        (b"{", Unusable::NoRecord),
        (b"{\"method\":\"GET\"}", Unusable::NoRecord),
        (b"{\"method\":\"GET\",\"target\":[]}", Unusable::NoRecord),
        (b"\xff\xfe", Unusable::NoRecord),
        (b"target=\"a", Unusable::NoRecord),
        (b"1.2 3 4", Unusable::NoRecord),
        (b"{\"method\":\"GET\",\"target\":\"http://a b/\"}", Unusable::NoDestination),
        (b"{\"method\":\"\",\"target\":\"\"}", Unusable::NoDestination),
    ];
    for (line, expected) in table {
        assert_eq!(parse(line).unwrap_err(), expected, "{}", String::from_utf8_lossy(line));
    }
    let deep = format!("{{\"method\":{}", "[".repeat(10_000));
    assert_eq!(parse(deep.as_bytes()).unwrap_err(), Unusable::NoRecord);
}

#[test]
fn splits_lines_within_bounds() {
    let long = vec![b'x'; LONGEST_LINE + 1];
    let text = [b"one\n".as_slice(), &long, b"\ntwo\n\nthree"].concat();
    for capacity in [3, 1000, 1 << 20] {
        let mut reader = std::io::BufReader::with_capacity(capacity, text.as_slice());
        let mut lines = Lines::default();
        let mut seen: Vec<Option<String>> = Vec::new();
        let mut take =
            |line: Option<&[u8]>| seen.push(line.map(|line| String::from_utf8(line.to_vec()).unwrap()));
        while lines.read(&mut reader, &mut take).unwrap() {}
        lines.finish(&mut take);
        let seen: Vec<_> = seen.iter().map(Option::as_deref).collect();
        assert_eq!(seen, [Some("one"), None, Some("two"), Some(""), Some("three")]);
    }
}

proptest::proptest! {
    #[test]
    fn no_line_panics(line: Vec<u8>) {
        let _ = parse(&line);
    }

    #[test]
    fn no_text_panics(line in "([0-9. ]|[a-z]+=|\"|\\\\|\\{|\\}|:|/|%)*") {
        let _ = parse(line.as_bytes());
    }
}
