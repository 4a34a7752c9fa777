use bytes::Bytes;

use egret_flows::flow::{Body, Flow, Headers};
use egret_flows::replay::{Changes, Replay, ReplayError, replay};

use crate::some;

fn again(flow: &Flow, changes: &Changes) -> Result<Replay, ReplayError> {
    replay(flow, flow.request.body.in_memory().cloned(), changes)
}

#[test]
fn without_changes_it_is_the_same_request_but_for_framing() {
    let mut flow = some::full();
    flow.request.headers = Headers::from_pairs([
        ("Host", "api.example.com"),
        ("Content-Length", "16"),
        ("Connection", "keep-alive"),
        ("X-Trace", "one"),
        ("x-trace", "two"),
        ("Proxy-Authorization", "Basic eA=="),
    ]);
    let again = again(&flow, &Changes::default()).expect("it can be sent");
    assert_eq!((again.of, again.request.url()), (flow.id, flow.request.url()));
    assert_eq!(&again.body[..], b"{\"name\":\"Egret\"}");
    assert_eq!(
        again.request.headers,
        Headers::from_pairs([("Host", "api.example.com"), ("X-Trace", "one"), ("x-trace", "two")])
    );
    assert_eq!(again.notes, Vec::<String>::new());
}

#[test]
fn changes_are_made() {
    let changes = Changes {
        method: Some("PUT".into()),
        url: Some("http://staging.example:8080/x?y=1#top".into()),
        set_headers: vec![("X-TRACE".into(), "three".into()), ("X-New".into(), "1".into())],
        remove_headers: vec!["content-type".into()],
        body: Some("another".into()),
        ..Changes::default()
    };
    let again = again(&some::full(), &changes).expect("it can be sent");
    assert_eq!(
        (&*again.request.method, again.request.url().as_str()),
        ("PUT", "http://staging.example:8080/x?y=1")
    );
    assert_eq!(again.body, Bytes::from("another"));
    assert_eq!(
        again.request.headers,
        Headers::from_pairs([("Host", "staging.example:8080"), ("X-Trace", "three"), ("X-New", "1")])
    );
    let path = Changes { url: Some("/only?path".into()), ..Changes::default() };
    assert_eq!(
        self::again(&some::full(), &path).expect("it can be sent").request.url(),
        "https://api.example.com/only?path"
    );
}

#[test]
fn what_was_redacted_is_said_and_not_sent() {
    let mut flow = some::full();
    flow.request.headers =
        Headers::from_pairs([("Authorization", "Bearer [redacted]"), ("Content-Encoding", "gzip")]);
    flow.request.path = "/?token=%5Bredacted%5D".into();
    flow.request.body = Body { decoded: true, ..Body::whole(&b"{\"password\":\"[redacted]\"}"[..]) };
    let first = again(&flow, &Changes::default()).expect("it can be sent");
    assert!(first.request.headers.is_empty());
    assert_eq!(first.notes.len(), 3, "{:?}", first.notes);
    let set = vec![("authorization".into(), "Bearer new".into())];
    let second = again(
        &flow,
        &Changes { set_headers: set, url: Some("/".into()), body: Some("{}".into()), ..Changes::default() },
    );
    let second = second.expect("it can be sent");
    assert_eq!(second.request.headers.text("Authorization"), Some("Bearer new"));
    assert_eq!(second.notes, Vec::<String>::new());
}

#[test]
fn refuses_what_cannot_be_sent_again() {
    assert_eq!(again(&some::tunnel(), &Changes::default()), Err(ReplayError::NotHttp));
    let mut cut = some::full();
    (cut.request.body.length, cut.request.body.truncated) = (100, true);
    assert_eq!(again(&cut, &Changes::default()), Err(ReplayError::Truncated { captured: 16, length: 100 }));
    assert!(again(&cut, &Changes { allow_truncated: true, ..Changes::default() }).is_ok());
    assert!(again(&cut, &Changes { body: Some("x".into()), ..Changes::default() }).is_ok());
    for (method, url, header) in [
        ("G T", "/", "X"),
        ("CONNECT", "/", "X"),
        ("GET", "ftp://a/", "X"),
        ("GET", "example.com", "X"),
        ("GET", "http:///", "X"),
        ("GET", "http://a:0/", "X"),
        ("GET", "http://u@a/", "X"),
        ("GET", "/a b", "X"),
        ("GET", "/a\r\nEvil: 1", "X"),
        ("GET", "/", "X\r\nEvil"),
        ("GET", "/", "Transfer-Encoding"),
    ] {
        let set_headers = vec![(header.into(), "v".into())];
        let changes =
            Changes { method: Some(method.into()), url: Some(url.into()), set_headers, ..Changes::default() };
        assert!(
            matches!(again(&some::full(), &changes), Err(ReplayError::Change(_))),
            "{method} {url} {header}"
        );
    }
}
