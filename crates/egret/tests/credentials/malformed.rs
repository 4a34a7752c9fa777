//! Bad input in Proxy-Authorization.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Setting, basic, reason, request};

#[test]
fn malformed_credentials_are_refused_with_what_is_wrong_with_them() {
    let it = Setting::with("");
    let encoded = |bytes: &[u8]| format!("Basic {}", STANDARD.encode(bytes));
    for (value, words) in [
        ("Basic".to_owned(), "nothing behind the scheme"),
        ("Basic =".to_owned(), "not Base64"),
        ("Basic YWxpY2U6c2VjcmV0!".to_owned(), "not Base64"),
        ("Basic YWxpY2U6c2VjcmV".to_owned(), "not Base64"),
        ("Basic YWxpY2U6 c2VjcmV0".to_owned(), "not Base64"),
        (encoded(b"alice"), "no colon"),
        (encoded(b":secret"), "user name is empty"),
        (encoded(b"alice\0:secret"), "control character"),
        (encoded(b"alice:sec\r\nret"), "control character"),
        (encoded(&[b'x'; 10_000]), "longer than 512 bytes"),
        (encoded(format!("{}:x", "u".repeat(300)).as_bytes()), "longer than 255 bytes"),
        (format!("Basic {}", "A".repeat(40_000)), "longer than 512 bytes"),
        ("\"Basic\" x".to_owned(), "the name of a scheme"),
    ] {
        let answer = it.ask(Some(&value));
        let shown = &value[..value.len().min(40)];
        assert_eq!((answer.status(), reason(&answer).as_str()), (400, "credentials-malformed"), "{shown}");
        assert!(answer.text().contains(words), "{shown}: {}", answer.text());
        assert!(!answer.text().contains("c2VjcmV0"), "they are not quoted");
    }
    assert_eq!(it.egret.metric("egret_credentials_total{method=\"none\",result=\"malformed\"}"), 13.0);
    assert_eq!(it.egret.metric("egret_login_clients"), 0.0, "nothing was guessed");
}

#[test]
fn two_fields_are_one_too_many() {
    let it = Setting::with("");
    let good = basic("alice", "secret");
    for second in [basic("alice", "secret"), basic("bob", "x"), "Bearer x".to_owned()] {
        let text = request(&it.origin, Some(&format!("{good}\r\nProxy-Authorization: {second}")));
        let answer = it.egret.connect().exchange(text);
        assert_eq!((answer.status(), reason(&answer).as_str()), (400, "credentials-malformed"));
    }
    let listed = it.ask(Some(&format!("{good}, {good}")));
    assert_eq!(listed.status(), 400, "and a list is no credentials");
}

#[test]
fn a_huge_field_is_a_head_that_is_too_large() {
    let it = Setting::with("");
    let answer = it.ask(Some(&format!("Basic {}", "A".repeat(70_000))));
    assert_eq!((answer.status(), reason(&answer).as_str()), (431, "head-too-large"));
    assert_eq!(it.ask(Some(&basic("alice", "secret"))).status(), 200, "the proxy goes on");
}

#[test]
fn bytes_that_are_no_utf_8_are_read_as_latin_1() {
    let it = Setting::with("");
    std::fs::write(it.users(), super::line("jörg", "pässwörd")).unwrap();
    it.egret.wait_for_log("reloaded");
    assert_eq!(it.ask(Some(&basic("jörg", "pässwörd"))).status(), 200);
    let latin_1 = format!("Basic {}", STANDARD.encode(b"j\xf6rg:p\xe4ssw\xf6rd"));
    assert_eq!(it.ask(Some(&latin_1)).status(), 200, "RFC 7617 appendix B.3");
    let records = it.egret.exactly(2);
    assert!(records.iter().all(|record| record.text("user") == "jörg"), "{records:?}");
}
