//! What the parsers promise for any bytes at all. The single rules are tested from outside, over
//! sockets, in `crates/egret/tests/framing`.

use proptest::prelude::*;

use super::chunked::{Decoder, Emit, Ranges};
use super::fields::FieldName;
use super::request::parse as parse_request;
use super::response::{Asked, parse as parse_response};
use super::{BodyLength, Fields, HeadLimits, ParseError, Parsed};

const LIMITS: HeadLimits = HeadLimits { bytes: 8192, fields: 50, target: 1024 };

fn request(bytes: &[u8]) -> Result<Parsed<super::RequestHead>, ParseError> {
    parse_request(bytes, &LIMITS, Fields::new())
}

fn error_of(bytes: &[u8]) -> Option<ParseError> {
    request(bytes).err()
}

#[test]
fn names_the_rule_that_a_request_breaks() {
    let table: &[(&[u8], ParseError)] = &[
        (
            b"GET http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            ParseError::LengthAndEncoding,
        ),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", ParseError::LengthTwice),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", ParseError::LengthInvalid),
        (
            b"GET http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            ParseError::EncodingUnknown,
        ),
        (
            b"GET http://a/ HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            ParseError::EncodingOnHttp10,
        ),
        (b"GET http://a/ HTTP/1.1\r\n\r\n", ParseError::HostMissing),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", ParseError::HostTwice),
        (b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", ParseError::HostContradicts),
        (b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::UserInfo),
        (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::Scheme),
        (b"GET http://a/#f HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::Target),
        (b"GET http://a/ HTTP/2.0\r\nHost: a\r\n\r\n", ParseError::Version),
        (b"GET http://a/ http/1.1\r\nHost: a\r\n\r\n", ParseError::VersionSyntax),
        (b"GET  http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::RequestLine),
        (b"GET http://a/ HTTP/1.1\nHost: a\r\n\r\n", ParseError::BareLf),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", ParseError::BareCr),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", ParseError::SpaceBeforeColon),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", ParseError::ObsFold),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", ParseError::FieldValue),
        (b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::TargetHost),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 3\r\n\r\n", ParseError::ConnectBody),
    ];
    for (bytes, expected) in table {
        assert_eq!(error_of(bytes), Some(*expected), "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn an_upgrade_that_would_hide_requests_is_not_an_upgrade() {
    for (upgrade, expected) in [
        ("websocket", true),
        ("h2c", false),
        ("HTTP/2.0", false),
        ("tls/1.2", false),
        ("websocket, h2c", false),
    ] {
        let bytes =
            format!("GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n");
        let Ok(Parsed::Complete(head)) = request(bytes.as_bytes()) else { panic!("{upgrade}") };
        assert_eq!(head.upgrade, expected, "{upgrade}");
    }
}

/// A request of valid parts.
fn valid_request() -> impl Strategy<Value = Vec<u8>> {
    let name = "[A-Za-z][A-Za-z0-9-]{0,12}".prop_map(|name| format!("X-{name}"));
    let value = "[ -~]{0,40}";
    let fields = prop::collection::vec((name, value), 0..12);
    ("[A-Z]{1,8}", "[a-z]{1,12}", "[!-\"$-~]{0,40}", fields).prop_filter_map(
        "CONNECT has another form",
        |(method, host, path, fields)| {
            if method == "CONNECT" {
                return None;
            }
            let mut text = format!("{method} http://{host}/{path} HTTP/1.1\r\nHost: {host}\r\n");
            for (name, value) in fields {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            text.push_str("\r\n");
            Some(text.into_bytes())
        },
    )
}

/// Bytes that look a little like HTTP, so that parsers get far into them.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b": ".to_vec()),
        Just(b" ".to_vec()),
        Just(b"GET http://a/ HTTP/1.1\r\nHost: a\r\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\r\n".to_vec()),
        Just(b"Content-Length: 5\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"5;a=\"b\"\r\nhello\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

/// Decodes a body handed over in pieces; gives the data, what would be passed on, and how it ended.
fn decode(pieces: &[&[u8]], emit: Emit) -> (Vec<u8>, Result<bool, ParseError>) {
    let mut decoder = Decoder::default();
    let mut waiting = Vec::new();
    let mut out = Vec::new();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            let mut ranges = Ranges::new();
            let progress = match decoder.advance(&waiting, emit, &LIMITS, &mut ranges) {
                Ok(progress) => progress,
                Err(error) => return (out, Err(error)),
            };
            for range in ranges {
                out.extend_from_slice(&waiting[range]);
            }
            let consumed = progress.consumed;
            waiting.drain(..consumed);
            if progress.done {
                return (out, Ok(true));
            }
            if consumed == 0 {
                break;
            }
        }
    }
    (out, Ok(false))
}

fn chunked_body() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let extension = prop_oneof![Just(""), Just(";a"), Just("; a = b"), Just(";a=\"x;y\\\"\"")];
    prop::collection::vec((prop::collection::vec(any::<u8>(), 1..60), extension), 0..8).prop_map(|chunks| {
        let (mut wire, mut data) = (Vec::new(), Vec::new());
        for (chunk, extension) in chunks {
            wire.extend_from_slice(format!("{:X}{extension}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(&chunk);
            wire.extend_from_slice(b"\r\n");
            data.extend_from_slice(&chunk);
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        (wire, data)
    })
}

fn split<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_a_parser_panic(bytes in hostile(), head in any::<bool>()) {
        let _ = request(&bytes);
        let _ = parse_response(&bytes, &LIMITS, Asked { head, upgrade: true }, Fields::new());
        let _ = decode(&[&bytes], Emit::Chunks);
        let _ = decode(&[&bytes], Emit::Data);
    }

    #[test]
    fn a_request_is_complete_exactly_when_its_last_byte_is_there(bytes in valid_request(), rest in hostile()) {
        for end in 0..bytes.len() {
            prop_assert!(matches!(request(&bytes[..end]), Ok(Parsed::Partial)), "at {end}");
        }
        let whole = [bytes.as_slice(), &rest].concat();
        let Ok(Parsed::Complete(head)) = request(&whole) else { panic!("not complete") };
        prop_assert_eq!(head.length, bytes.len());
        prop_assert_eq!(head.body, BodyLength::None);
        prop_assert!(head.value(FieldName::Host, &whole).is_some());
    }

    #[test]
    fn a_request_that_is_refused_stays_refused_with_more_bytes(bytes in hostile(), more in hostile()) {
        if let Err(error) = request(&bytes) {
            let longer = [bytes.as_slice(), &more].concat();
            prop_assert!(request(&longer).is_err(), "{error:?} was forgotten");
        }
    }

    #[test]
    fn a_chunked_body_is_the_same_however_it_is_cut(
        (wire, data) in chunked_body(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let pieces = split(&wire, &cuts);
        let (decoded, end) = decode(&pieces, Emit::Data);
        prop_assert_eq!(end, Ok(true));
        prop_assert_eq!(&decoded, &data);
        // What is passed on is the same body again, without its extensions.
        let (passed, end) = decode(&pieces, Emit::Chunks);
        prop_assert_eq!(end, Ok(true));
        prop_assert!(memchr::memmem::find(&passed, b";a").is_none() || memchr::memmem::find(&data, b";a").is_some());
        let ended = if passed.ends_with(b"0\r\n\r\n") { passed } else { [passed.as_slice(), b"0\r\n\r\n"].concat() };
        let (again, end) = decode(&[&ended], Emit::Data);
        prop_assert_eq!(end, Ok(true));
        prop_assert_eq!(again, data);
    }

    #[test]
    fn a_cut_chunked_body_is_never_complete((wire, _) in chunked_body(), cut in any::<prop::sample::Index>()) {
        let end = cut.index(wire.len());
        let (_, outcome) = decode(&[&wire[..end]], Emit::Chunks);
        prop_assert_eq!(outcome, Ok(false));
    }
}
