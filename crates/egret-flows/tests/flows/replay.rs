use bytes::Bytes;

use egret_flows::edit::{BodyEdit, EditError, FieldEdit, RequestEdit};
use egret_flows::flow::{Body, Flow, Headers};
use egret_flows::replay::{Replay, ReplayError, replay};

use crate::some;

fn again(flow: &Flow, edit: &RequestEdit) -> Result<Replay, ReplayError> {
    replay(flow, flow.request.body.in_memory().cloned(), edit, false)
}

fn field(name: &str, value: &str) -> FieldEdit {
    FieldEdit { name: name.into(), value: Some(value.into()), ..FieldEdit::default() }
}

fn text(text: &str) -> Option<BodyEdit> {
    Some(BodyEdit::Text(text.into()))
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
    let again = again(&flow, &RequestEdit::default()).expect("it can be sent");
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
    let edit = RequestEdit {
        method: Some("PUT".into()),
        target: Some("http://staging.example:8080/x?y=1#top".into()),
        headers: Some(vec![field("Host", "api.example.com"), field("X-TRACE", "three"), field("X-New", "1")]),
        body: text("another"),
    };
    let again = again(&some::full(), &edit).expect("it can be sent");
    assert_eq!(
        (&*again.request.method, again.request.url().as_str()),
        ("PUT", "http://staging.example:8080/x?y=1")
    );
    assert_eq!(again.body, Bytes::from("another"));
    assert_eq!(
        again.request.headers,
        Headers::from_pairs([("Host", "staging.example:8080"), ("X-TRACE", "three"), ("X-New", "1")])
    );
    let path = RequestEdit { target: Some("/only?path".into()), ..RequestEdit::default() };
    assert_eq!(
        self::again(&some::full(), &path).expect("it can be sent").request.url(),
        "https://api.example.com/only?path"
    );
}

#[test]
fn what_was_redacted_is_said_or_has_to_be_given_anew() {
    let mut flow = some::full();
    flow.request.headers = Headers::from_pairs([
        ("Host", "api.example.com"),
        ("Authorization", "Bearer [redacted]"),
        ("Content-Encoding", "gzip"),
    ]);
    flow.request.body = Body { decoded: true, ..Body::whole(&b"{}"[..]) };
    let first = again(&flow, &RequestEdit::default()).expect("it can be sent");
    assert_eq!(first.request.headers, Headers::from_pairs([("Host", "api.example.com")]));
    assert!(first.notes.len() == 1 && first.notes[0].contains("authorization"), "{:?}", first.notes);
    // As a page sends fields that nobody touched.
    let untouched = FieldEdit { name: "Authorization".into(), redacted: true, ..FieldEdit::default() };
    let edit = RequestEdit { headers: Some(vec![untouched, field("X", "1")]), ..RequestEdit::default() };
    assert_eq!(again(&flow, &edit).expect("it can be sent").notes.len(), 1);
    let edit =
        RequestEdit { headers: Some(vec![field("Authorization", "Bearer new")]), ..RequestEdit::default() };
    let second = again(&flow, &edit).expect("it can be sent");
    assert_eq!(second.request.headers.text("authorization"), Some("Bearer new"));
    assert_eq!(second.notes, Vec::<String>::new());

    flow.request.path = "/?token=%5Bredacted%5D&a=b".into();
    let redacted = |what: &str| Err(ReplayError::Edit(EditError::Redacted(what.into())));
    assert_eq!(again(&flow, &RequestEdit::default()), redacted("the URL"));
    let filled = RequestEdit { target: Some("/?token=1&a=b".into()), ..RequestEdit::default() };
    assert_eq!(again(&flow, &filled).expect("it can be sent").request.path, "/?token=1&a=b");
    flow.request.path = "/".into();
    flow.request.body = Body::whole(&b"{\"password\":\"[redacted]\"}"[..]);
    assert_eq!(again(&flow, &RequestEdit::default()), redacted("the body"));
    assert!(again(&flow, &RequestEdit { body: text("{}"), ..RequestEdit::default() }).is_ok());
    assert_eq!(
        again(&flow, &RequestEdit { body: text("[redacted]"), ..RequestEdit::default() }),
        redacted("the body")
    );
}

#[test]
fn refuses_what_cannot_be_sent_again() {
    assert_eq!(again(&some::tunnel(), &RequestEdit::default()), Err(ReplayError::NotHttp));
    let mut cut = some::full();
    (cut.request.body.length, cut.request.body.truncated) = (100, true);
    assert_eq!(
        again(&cut, &RequestEdit::default()),
        Err(ReplayError::Truncated { captured: 16, length: 100 })
    );
    assert!(replay(&cut, None, &RequestEdit::default(), true).is_ok());
    assert!(again(&cut, &RequestEdit { body: text("x"), ..RequestEdit::default() }).is_ok());
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
    ] {
        let edit = RequestEdit {
            method: Some(method.into()),
            target: Some(url.into()),
            headers: Some(vec![field(header, "v")]),
            body: None,
        };
        assert!(
            matches!(again(&some::full(), &edit), Err(ReplayError::Edit(EditError::Wrong(_)))),
            "{method} {url} {header}"
        );
    }
    let moved =
        RequestEdit { headers: Some(vec![field("Host", "elsewhere.example")]), ..RequestEdit::default() };
    assert!(matches!(again(&some::full(), &moved), Err(ReplayError::Edit(EditError::Wrong(_)))));
}
