use std::io::Write as _;

use egret_flows::flow::Headers;
use egret_flows::redact::{JsonPath, Redaction, RedactionSettings, Redactor};

fn redactor() -> Redactor {
    Redactor::new(&RedactionSettings::default()).expect("the defaults are good")
}

fn with_paths(paths: &[&str]) -> Redactor {
    let json_paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Redactor::new(&RedactionSettings { json_paths, ..RedactionSettings::none() }).expect("good paths")
}

/// What is to be kept of a body, as [`kept`] says it.
type Kept = Result<Option<&'static str>, ()>;

/// What is kept of a body: `Ok(None)` for all of it, an error for none.
fn kept(redactor: &Redactor, kind: &str, body: &str, complete: bool) -> Result<Option<String>, ()> {
    let headers = Headers::from_pairs([("content-type", kind)]);
    match redactor.body(&headers, body.as_bytes(), complete) {
        Redaction::Same => Ok(None),
        Redaction::Replaced { bytes, .. } => Ok(Some(String::from_utf8(bytes.to_vec()).expect("text"))),
        Redaction::Unreadable => Err(()),
    }
}

#[test]
fn secrets_in_headers_are_taken_out_and_nothing_else() {
    let table: &[(&str, &str, &str)] = &[
        ("Authorization", "Bearer abc.def", "Bearer [redacted]"),
        ("AUTHORIZATION", "basic dXNlcjpwYXNz", "basic [redacted]"),
        ("authorization", "rawtoken", "[redacted]"),
        ("authorization", "hunter2 hunter3", "[redacted]"),
        ("Proxy-Authorization", "Basic eA==", "Basic [redacted]"),
        ("cookie", "a=b; c=d", "[redacted]"),
        ("Set-Cookie", "sid=1; HttpOnly", "[redacted]"),
        ("x-api-key", "Bearer k", "[redacted]"),
        (
            "Referer",
            "https://u:p@a.example/x?token=1&b=2",
            "https://%5Bredacted%5D@a.example/x?token=%5Bredacted%5D&b=2",
        ),
        ("Location", "/next?code=1#top", "/next?code=%5Bredacted%5D#top"),
        ("Content-Type", "text/plain", "text/plain"),
        ("Accept", "a?token=1", "a?token=1"),
    ];
    for (name, value, expected) in table {
        let kept = redactor().headers([(name.as_bytes(), value.as_bytes())]);
        assert_eq!(
            kept.iter().collect::<Vec<_>>(),
            [(name.as_bytes(), expected.as_bytes())],
            "{name}: {value}"
        );
    }
}

#[test]
fn secrets_in_urls_are_taken_out_and_nothing_else() {
    let table = [
        ("/a?b=c", "/a?b=c"),
        ("/a?access_token=x&b=c", "/a?access_token=%5Bredacted%5D&b=c"),
        ("/a?b=c&ACCESS%5Ftoken=x", "/a?b=c&ACCESS%5Ftoken=%5Bredacted%5D"),
        ("/a?user[password]=x", "/a?user[password]=%5Bredacted%5D"),
        ("/a?token", "/a?token"),
        ("/a?token=", "/a?token=%5Bredacted%5D"),
        ("/a?b=c;token=x", "/a?b=c;token=%5Bredacted%5D"),
        ("/a?x=1?token=2", "/a?x=1?token=2"),
        ("https://b.example/k?X-Amz-Signature=f", "https://b.example/k?X-Amz-Signature=%5Bredacted%5D"),
        ("https://me:word@b.example", "https://%5Bredacted%5D@b.example"),
        ("/mail/a@b?c", "/mail/a@b?c"),
        ("example.com:443", "example.com:443"),
    ];
    for (target, expected) in table {
        assert_eq!(redactor().target(target), expected, "{target}");
    }
}

#[test]
fn json_is_changed_at_its_paths_and_nowhere_else() {
    let table: &[(&[&str], &str, Kept)] = &[
        (
            &["$..a"],
            r#"{ "a" : 1 , "b":[ {"a":"x"} ] }"#,
            Ok(Some(r#"{ "a" : "[redacted]" , "b":[ {"a":"[redacted]"} ] }"#)),
        ),
        (&["$.a"], r#"{"b":{"a":1},"a":{"c":[1,2]}}"#, Ok(Some(r#"{"b":{"a":1},"a":"[redacted]"}"#))),
        (&["a.b"], r#"{"a":{"b":1,"c":2}}"#, Ok(Some(r#"{"a":{"b":"[redacted]","c":2}}"#))),
        (
            &["$.a[*].t"],
            r#"{"a":[{"t":1},{"t":2,"u":3}]}"#,
            Ok(Some(r#"{"a":[{"t":"[redacted]"},{"t":"[redacted]","u":3}]}"#)),
        ),
        (&["$[1]"], "[1,2,3]", Ok(Some(r#"[1,"[redacted]",3]"#))),
        (&["$['x y']"], r#"{"x y":1}"#, Ok(Some(r#"{"x y":"[redacted]"}"#))),
        (&["$.*.t"], r#"{"k":{"t":1},"t":2}"#, Ok(Some(r#"{"k":{"t":"[redacted]"},"t":2}"#))),
        (&["$..*token"], r#"{"My_Token":1}"#, Ok(Some(r#"{"My_Token":"[redacted]"}"#))),
        (
            &["$..pass"],
            r#"{"p\u0061ss":"x","x":"\"pass\":1"}"#,
            Ok(Some(r#"{"p\u0061ss":"[redacted]","x":"\"pass\":1"}"#)),
        ),
        (&["$..a"], "{\"a\":1}\n{\"a\":2}\n", Ok(Some("{\"a\":\"[redacted]\"}\n{\"a\":\"[redacted]\"}\n"))),
        (&["$..a"], "\u{feff}{\"a\":1}", Ok(Some("\u{feff}{\"a\":\"[redacted]\"}"))),
        (&["$..a"], r#"{"b":1.5e3,"c":null}"#, Ok(None)),
        (&["$..a"], "", Ok(None)),
        (&["$..a"], r#"{"a":1"#, Err(())),
        (&["$..a"], "{a:1}", Err(())),
        (&["$..a"], "<html>", Err(())),
        (&["$..a"], r#"{"b":1} x"#, Err(())),
        (&[], "<html>", Ok(None)),
    ];
    for (paths, body, expected) in table {
        let kept = kept(&with_paths(paths), "application/json; charset=utf-8", body, true);
        assert_eq!(kept, expected.map(|body| body.map(str::to_owned)), "{paths:?} {body}");
    }
    let deep = "[".repeat(200) + &"]".repeat(200);
    assert_eq!(kept(&with_paths(&["$..a"]), "application/json", &deep, true), Err(()));
}

#[test]
fn json_that_is_cut_off_tells_no_secret_wherever_it_is_cut() {
    let body = r#"{"b":[1,{"password":"hunter2","x":true}],"c":{"password":{"k":["hunter2"]}},"d":"e"}"#;
    for cut in 0..body.len() {
        let kept =
            kept(&redactor(), "application/json", &body[..cut], false).expect("a beginning can be read");
        let kept = kept.unwrap_or_else(|| body[..cut].to_owned());
        assert!(!kept.contains('h'), "{kept}");
        let unchanged = body[..cut].split(['h', ':']).next().expect("a part");
        assert!(kept.starts_with(unchanged), "{kept}");
    }
}

#[test]
fn a_body_is_looked_at_by_what_it_says_it_is() {
    let table: &[(&str, &str, Kept)] = &[
        (
            "application/x-www-form-urlencoded",
            "user=a&password=b+c",
            Ok(Some("user=a&password=%5Bredacted%5D")),
        ),
        ("application/x-www-form-urlencoded", "user=a", Ok(None)),
        ("application/x-www-form-urlencoded", r#"{"password":1}"#, Ok(Some(r#"{"password":"[redacted]"}"#))),
        ("application/problem+json", r#"{"secret":1}"#, Ok(Some(r#"{"secret":"[redacted]"}"#))),
        ("", r#"[{"secret":1}]"#, Ok(Some(r#"[{"secret":"[redacted]"}]"#))),
        ("text/plain", r#" {"secret":1}"#, Ok(Some(r#" {"secret":"[redacted]"}"#))),
        ("text/plain", "[2026-01-01] a line", Ok(None)),
        ("text/plain", "{ not json", Ok(None)),
        ("text/plain", r#"{"secret":1"#, Err(())),
        ("image/png", r#"{"secret":1}"#, Ok(None)),
        (
            "multipart/form-data; boundary=\"x y\"",
            "--x y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x y\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n--x y--\r\n",
            Ok(Some(
                "--x y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x y\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n[redacted]\r\n--x y--\r\n",
            )),
        ),
        (
            "multipart/form-data; boundary=z",
            "--z\r\nContent-Disposition: form-data; name=password\r\n\r\nhunter2 is cut o",
            Ok(Some("--z\r\nContent-Disposition: form-data; name=password\r\n\r\n[redacted]")),
        ),
        ("multipart/form-data", "--z\r\n", Err(())),
    ];
    for (kind, body, expected) in table {
        let kept = kept(&redactor(), kind, body, true);
        assert_eq!(kept, expected.map(|body| body.map(str::to_owned)), "{kind} {body}");
    }
}

#[test]
fn an_encoded_body_is_decoded_to_be_redacted_and_dropped_if_it_cannot_be() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(br#"{"password":"hunter2"}"#).expect("it is memory");
    let body = gzip.finish().expect("it is memory");
    let headers = Headers::from_pairs([("Content-Type", "application/json"), ("Content-Encoding", "gzip")]);
    assert_eq!(
        redactor().body(&headers, &body, true),
        Redaction::Replaced {
            bytes: r#"{"password":"[redacted]"}"#.into(),
            was_encoded: true,
            truncated: false
        }
    );
    assert_eq!(redactor().body(&headers, &body[..body.len() / 2], true), Redaction::Unreadable);
    assert_eq!(redactor().body(&headers, b"{\"password\":1}", true), Redaction::Unreadable);
    let headers = Headers::from_pairs([("Content-Type", "application/json"), ("Content-Encoding", "rot13")]);
    assert_eq!(redactor().body(&headers, b"{}", true), Redaction::Unreadable);
}

#[test]
fn a_bad_path_is_refused_with_what_is_wrong() {
    for (path, words) in [
        ("", "a name is missing"),
        ("$", "names nothing"),
        ("$.", "a name is missing"),
        ("$..", "a name is missing"),
        ("$.a[", "never closed"),
        ("$.a[x]", "a number"),
        ("$a", "a dot or a bracket"),
    ] {
        let error = JsonPath::parse(path).expect_err(path).to_string();
        assert!(error.contains(words), "{path}: {error}");
    }
}
