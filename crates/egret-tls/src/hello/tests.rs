use super::*;

const CURL: &[u8] = include_bytes!("recorded/curl");

/// A ClientHello with these extensions, as a message without records.
fn message(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut block = Vec::new();
    for (kind, content) in extensions {
        block.extend_from_slice(&kind.to_be_bytes());
        block.extend_from_slice(&(content.len() as u16).to_be_bytes());
        block.extend_from_slice(content);
    }
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0]);
    body.extend_from_slice(&(block.len() as u16).to_be_bytes());
    body.extend_from_slice(&block);
    let mut message = vec![1];
    message.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend_from_slice(&body);
    message
}

/// The message in records of at most so many bytes.
fn records(message: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for fragment in message.chunks(most) {
        out.extend_from_slice(&[0x16, 3, 1]);
        out.extend_from_slice(&(fragment.len() as u16).to_be_bytes());
        out.extend_from_slice(fragment);
    }
    out
}

fn hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    records(&message(extensions), MAX_FRAGMENT)
}

/// A server_name extension with these names.
fn names(names: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> =
        names.iter().flat_map(|name| [&[0][..], &(name.len() as u16).to_be_bytes(), name].concat()).collect();
    [&(list.len() as u16).to_be_bytes()[..], &list].concat()
}

fn complete(bytes: &[u8]) -> ClientHello {
    match peek(bytes) {
        Hello::Complete(hello) => hello,
        other => panic!("{other:?}"),
    }
}

fn host(text: &str) -> ServerName {
    ServerName::Host(Host::parse(text).unwrap())
}

#[test]
fn reads_the_hellos_of_real_clients() {
    const BOTH: &[&str] = &["h2", "http/1.1"];
    const API: &str = "api.example.com";
    type Recorded = (&'static str, &'static [u8], Option<&'static str>, &'static [&'static str], Version);
    let table: &[Recorded] = &[
        ("curl", CURL, Some(API), BOTH, Version::TLS13),
        ("curl-address", include_bytes!("recorded/curl-address"), None, BOTH, Version::TLS13),
        ("go", include_bytes!("recorded/go"), Some(API), BOTH, Version::TLS13),
        ("java", include_bytes!("recorded/java"), Some(API), &[], Version::TLS13),
        ("node", include_bytes!("recorded/node"), Some(API), BOTH, Version::TLS13),
        ("python", include_bytes!("recorded/python"), Some(API), &[], Version::TLS13),
        ("openssl", include_bytes!("recorded/openssl-noservername"), None, &[], Version::TLS13),
        ("openssl", include_bytes!("recorded/openssl-tls12"), Some(API), &["http/1.1"], Version::TLS12),
        ("openssl", include_bytes!("recorded/openssl-tls10"), Some(API), &[], Version::TLS10),
    ];
    for (client, bytes, name, alpn, version) in table {
        let hello = complete(bytes);
        assert_eq!(hello.server_name, name.map_or(ServerName::Absent, host), "{client}");
        let offered: Vec<_> = hello.alpn.iter().map(|name| std::str::from_utf8(name).unwrap()).collect();
        assert_eq!(&offered, alpn, "{client}");
        assert_eq!(hello.max_version(), *version, "{client}");
        assert_eq!((hello.record_length, hello.handshake_length), (bytes.len(), bytes.len() - 5), "{client}");
        assert!(!hello.has_ech, "{client}");
    }
}

#[test]
fn asks_for_more_until_the_last_byte_however_it_is_split() {
    let whole = complete(CURL);
    for most in [1, 2, 3, 4, 5, 8, 9, 100, 516, 517] {
        let bytes = records(&CURL[5..], most);
        if bytes.len() > CURL.len() - 5 + MAX_HELLO_RECORDS * RECORD_HEADER {
            assert_eq!(peek(&bytes), Hello::Malformed(Malformed::TooManyRecords), "{most}");
            continue;
        }
        for end in 0..bytes.len() {
            assert_eq!(peek(&bytes[..end]), Hello::NeedMore, "{most}: {end}");
        }
        let hello = complete(&bytes);
        assert_eq!(hello, ClientHello { record_length: bytes.len(), ..whole.clone() }, "{most}");
        // What the client sends behind it is none of the hello's.
        let more = [&bytes[..], b"\x14\x03\x03\x00\x01\x01 and early data"].concat();
        assert_eq!(complete(&more), hello, "{most}");
    }
}

#[test]
fn every_hello_is_answered_within_the_bound() {
    let padding = vec![0; MAX_HELLO_BYTES - message(&[(21, &[])]).len()];
    let longest = message(&[(21, &padding)]);
    assert_eq!(longest.len(), MAX_HELLO_BYTES);
    let bytes = records(&longest, MAX_HELLO_BYTES / MAX_HELLO_RECORDS);
    assert_eq!(bytes.len(), MAX_PEEK_BYTES);
    assert_eq!(complete(&bytes).handshake_length, MAX_HELLO_BYTES);
    assert_eq!(peek(&bytes[..bytes.len() - 1]), Hello::NeedMore);

    let too_long = message(&[(21, &[&padding[..], &[0]].concat())]);
    let found = peek(&records(&too_long, 4000)[..9]);
    assert_eq!(found, Hello::Malformed(Malformed::TooLong(MAX_HELLO_BYTES + 1)), "known from its header");
}

#[test]
fn normalises_the_server_name_and_keeps_one_that_is_none() {
    let invalid = |bytes: &[u8]| ServerName::Invalid(SmallVec::from_slice(bytes));
    let table: &[(&[u8], ServerName)] = &[
        (b"API.Example.COM", host("api.example.com")),
        (b"api.example.com.", host("api.example.com")),
        (b"localhost", host("localhost")),
        (b"_dmarc.xn--bcher-kva.example", host("_dmarc.xn--bcher-kva.example")),
        (b"192.0.2.7", host("192.0.2.7")),
        (b"0x7f.1", host("127.0.0.1")),
        (b"[2001:db8::1]", host("[2001:db8::1]")),
        (b"2001:db8::1", invalid(b"2001:db8::1")),
        (b"a..b", invalid(b"a..b")),
        (b"", invalid(b"")),
        (b"api.example.com:443", invalid(b"api.example.com:443")),
        (b"good.example\0.evil.example", invalid(b"good.example\0.evil.example")),
        (b"*.example.com", invalid(b"*.example.com")),
        ("bücher.example".as_bytes(), invalid("bücher.example".as_bytes())),
        (&[b'a'; 64], invalid(&[b'a'; 64])),
    ];
    for (name, expected) in table {
        let found = complete(&hello(&[(0, &names(&[name]))])).server_name;
        assert_eq!(found, *expected, "{:?}", String::from_utf8_lossy(name));
    }
}

#[test]
fn refuses_a_hello_that_two_readers_could_read_differently() {
    let good = names(&[b"a.example"]);
    let alpn: &[u8] = b"\0\x03\x02h2";
    let table: &[(&str, Vec<u8>, Malformed)] = &[
        ("names", hello(&[(0, &names(&[b"a.example", b"b.example"]))]), Malformed::SeveralNames),
        ("same name", hello(&[(0, &names(&[b"a.example", b"a.example"]))]), Malformed::SeveralNames),
        ("no name", hello(&[(0, b"\0\0")]), Malformed::Length),
        ("empty", hello(&[(0, b"")]), Malformed::Length),
        ("kind", hello(&[(0, b"\0\x04\x01\0\x01a")]), Malformed::NameKind(1)),
        ("behind names", hello(&[(0, &[&good[..], b"x"].concat())]), Malformed::Length),
        ("twice", hello(&[(0, &good), (16, alpn), (0, &good)]), Malformed::Twice(0)),
        ("protocols twice", hello(&[(16, alpn), (16, alpn)]), Malformed::Twice(16)),
        ("empty protocol", hello(&[(16, b"\0\x01\0")]), Malformed::Field),
        ("no protocol", hello(&[(16, b"\0\0")]), Malformed::Field),
        ("protocol's length", hello(&[(16, b"\0\x03\x05h2")]), Malformed::Length),
        ("odd versions", hello(&[(43, b"\x03\x03\x04\x03")]), Malformed::Length),
        ("no versions", hello(&[(43, b"\0")]), Malformed::Field),
    ];
    for (what, bytes, expected) in table {
        assert_eq!(peek(bytes), Hello::Malformed(*expected), "{what}");
    }
}

#[test]
fn refuses_what_is_no_single_message_in_handshake_records() {
    let message = message(&[]);
    let one = records(&message, MAX_FRAGMENT);
    let mut after = message.clone();
    after.push(11);
    let mut longer = message.clone();
    longer.push(0);
    longer[3] += 1;
    let two = records(&message, 20);
    let mut alert = two.clone();
    alert[25] = 0x15;
    let mut other = two.clone();
    other[26] = 2;
    let table: &[(&str, Vec<u8>, Malformed)] = &[
        ("another message behind", records(&after, MAX_FRAGMENT), Malformed::AfterHello),
        (
            "another message behind, early",
            records(&after, MAX_FRAGMENT)[..12].to_vec(),
            Malformed::AfterHello,
        ),
        ("bytes behind the extensions", records(&longer, MAX_FRAGMENT), Malformed::Length),
        ("an alert between", alert, Malformed::RecordType(0x15)),
        ("another version between", other, Malformed::RecordVersion),
        ("an alert alone", b"\x15\x03\x01\0\x02\x02\x46".to_vec(), Malformed::RecordType(0x15)),
        ("application data", b"\x17\x03\x03\0\x10".to_vec(), Malformed::RecordType(0x17)),
        ("a server hello", [&one[..5], &[2], &one[6..]].concat(), Malformed::MessageType(2)),
        ("an empty record", b"\x16\x03\x01\0\0".to_vec(), Malformed::EmptyRecord),
        ("a long record", b"\x16\x03\x01\x40\x01".to_vec(), Malformed::RecordTooLong(16385)),
        ("SSL 2.0", b"\x80\x2e\x01\0\x02\0\x15\0\0\0\x10".to_vec(), Malformed::Ssl2),
        ("SSL 2.0 for TLS 1.0", b"\x80\x67\x01\x03\x01\0\x4e\0\0\0\x10".to_vec(), Malformed::Ssl2),
    ];
    for (what, bytes, expected) in table {
        assert_eq!(peek(bytes), Hello::Malformed(*expected), "{what}");
    }
}

#[test]
fn reads_versions_as_a_server_has_to() {
    let with = |extension: &[u8]| complete(&hello(&[(43, extension)])).max_version();
    assert_eq!(with(b"\x06\xfa\xfa\x03\x04\x03\x03"), Version::TLS13, "GREASE is no version");
    assert_eq!(with(b"\x02\x03\x02"), Version::TLS11);
    assert_eq!(with(b"\x04\x7f\x1c\x03\x03"), Version::TLS12, "a draft is not known");
    assert_eq!(with(b"\x02\x03\x05"), Version(0x0305));
    let legacy = |version: [u8; 2]| {
        let mut bytes = hello(&[]);
        bytes[9..11].copy_from_slice(&version);
        complete(&bytes).max_version()
    };
    assert_eq!(legacy([3, 0]), Version::SSL3);
    assert_eq!(legacy([3, 4]), Version::TLS12, "1.3 is offered by the extension alone");
    let mut bare = message(&[]);
    bare.truncate(bare.len() - 2);
    bare[3] -= 2;
    assert_eq!(complete(&records(&bare, 9000)).versions.as_slice(), [Version::TLS12], "no extensions at all");
    let shown = [Version::SSL3, Version::TLS10, Version::TLS13, Version(0x0200)].map(|v| v.to_string());
    assert_eq!(shown, ["SSL 3.0", "TLS 1.0", "TLS 1.3", "version 0x0200"]);
}

#[test]
fn tells_encrypted_hellos() {
    for kind in [0xfe0d, 0xffce] {
        let hello = complete(&hello(&[(0, &names(&[b"outer.example"])), (kind, b"\0sealed")]));
        assert!(hello.has_ech);
        assert_eq!(hello.server_name, host("outer.example"));
    }
}

#[test]
fn tells_what_is_not_tls() {
    let table: &[(&[u8], Look)] = &[
        (b"GET / HTTP/1.1\r\n", Look::Http1),
        (b"\r\nPOST /x HTTP/1.1\r\n", Look::Http1),
        (b"OPTIONS * HTTP/1.1\r\n", Look::Http1),
        (b"GET http://a.example/ HTTP/1.1", Look::Http1),
        (b"CONNECT a.example:443 HTTP/1.1", Look::Http1),
        (b"M-SEARCH * HTTP/1.1", Look::Http1),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Look::Http2),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Look::Ssh),
        (b"EHLO client.example\r\n", Look::Smtp),
        (b"helo client.example\r\n", Look::Smtp),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", Look::Postgres),
        (b"USER anonymous\r\n", Look::Unknown),
        (b"get / HTTP/1.1\r\n", Look::Unknown),
        (b"GETGETGETGETGETGETGETGETGETGET /", Look::Unknown),
        (b"\x05\x01\0", Look::Unknown),
        (b"\x16\xfe\xff\0\0\0\0\0\0\0\0", Look::Unknown),
        (b"\x80\0\0\0\0", Look::Unknown),
        (b"\xff\xfe\xfd", Look::Unknown),
        (b"\0\0\0\x01", Look::Unknown),
    ];
    for (bytes, expected) in table {
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(peek(bytes), Hello::NotTls(*expected), "{shown:?}");
        let first = (1..bytes.len()).find(|end| peek(&bytes[..*end]) != Hello::NeedMore);
        for end in first.unwrap_or(bytes.len())..bytes.len() {
            assert_eq!(peek(&bytes[..end]), Hello::NotTls(*expected), "{shown:?} keeps its answer");
        }
        assert!(first.unwrap_or(bytes.len()) <= LOOK_BYTES, "{shown:?}");
    }
}

#[test]
fn the_end_of_the_bytes_is_an_answer() {
    assert_eq!(peek_last(b""), Hello::NotTls(Look::Silence));
    assert_eq!(peek_last(b"GE"), Hello::NotTls(Look::Unknown));
    assert_eq!(peek_last(b"SSH-2.0-x\r\n"), Hello::NotTls(Look::Ssh));
    assert_eq!(peek_last(&CURL[..1]), Hello::Malformed(Malformed::Truncated));
    assert_eq!(peek_last(&CURL[..516]), Hello::Malformed(Malformed::Truncated));
    assert!(matches!(peek_last(CURL), Hello::Complete(_)));
}

/// Whoever tunnels by what is read here must read the same as a server does.
#[test]
fn agrees_with_rustls_about_the_name_and_the_protocols() {
    for bytes in [CURL, include_bytes!("recorded/go"), include_bytes!("recorded/java")] {
        let mut acceptor = rustls::server::Acceptor::default();
        acceptor.read_tls(&mut &*bytes).unwrap();
        let accepted = acceptor.accept().unwrap().expect("a whole hello");
        let theirs = accepted.client_hello();
        let ours = complete(bytes);
        assert_eq!(theirs.server_name(), ours.server_name.host().and_then(Host::name));
        let protocols: Vec<_> = theirs.alpn().map(Iterator::collect).unwrap_or_default();
        assert_eq!(protocols, ours.alpn.iter().collect::<Vec<_>>());
    }
}
