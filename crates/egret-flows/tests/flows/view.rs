use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use egret_flows::view::decode::{DecodeLimits, MAX_DECODED_BYTES, Stop, decode};
use egret_flows::view::protobuf::{Field, ProtobufLimits, Value};
use egret_flows::view::{grpc, multipart, protobuf, text};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("it is memory");
    encoder.finish().expect("it is memory")
}

fn limits() -> DecodeLimits {
    DecodeLimits::default()
}

/// `"hello ".repeat(18)` from Node's zlib, and from the command `zstd`.
const BROTLI: &[u8] = &[
    0x1b, 0x6b, 0x00, 0xf8, 0x8d, 0x94, 0x6e, 0xde, 0x44, 0x55, 0x86, 0x96, 0x6c, 0x20, 0x6f, 0x11, 0x5b,
    0x1c, 0x00, 0xc4, 0x01,
];
const ZSTD_COMPRESSED: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58, 0x6d, 0x00, 0x00, 0x30, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x01,
    0x00, 0x23, 0x69, 0x29, 0x02, 0xbd, 0xf1, 0x3e, 0x6c,
];
/// A frame with one raw block and no checksum (RFC 8878).
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x05, 0x29, 0x00, 0x00, b'h', b'e', b'l', b'l', b'o'];

#[test]
fn every_encoding_is_undone() {
    let zlib = {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"hello").expect("it is memory");
        encoder.finish().expect("it is memory")
    };
    let raw = {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"hello").expect("it is memory");
        encoder.finish().expect("it is memory")
    };
    let hellos = "hello ".repeat(18);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9][..], ZSTD, ZSTD].concat();
    let table: &[(&str, Vec<u8>, &[u8])] = &[
        ("", b"hello".to_vec(), b"hello"),
        ("identity", b"hello".to_vec(), b"hello"),
        ("gzip", gzip(b"hello"), b"hello"),
        ("X-GZIP", gzip(b"hello"), b"hello"),
        ("gzip", [gzip(b"hel"), gzip(b"lo")].concat(), b"hello"),
        ("deflate", zlib, b"hello"),
        ("deflate", raw, b"hello"),
        ("br", BROTLI.to_vec(), hellos.as_bytes()),
        ("zstd", ZSTD_COMPRESSED.to_vec(), hellos.as_bytes()),
        ("zstd", ZSTD.to_vec(), b"hello"),
        ("zstd", skippable, b"hellohello"),
        ("zstd, gzip", gzip(ZSTD), b"hello"),
        ("gzip", Vec::new(), b""),
    ];
    for (encoding, body, expected) in table {
        let decoded = decode(encoding, body, &limits());
        assert_eq!((&decoded.bytes[..], &decoded.stopped), (*expected, &None), "{encoding}");
    }
}

#[test]
fn a_bomb_stops_at_the_limit_and_says_so() {
    let bomb = gzip(&vec![0; 3 * MAX_DECODED_BYTES]);
    assert!(bomb.len() < 40_000);
    let decoded = decode("gzip", &bomb, &limits());
    assert_eq!(decoded.bytes.len(), MAX_DECODED_BYTES);
    assert_eq!(decoded.stopped, Some(Stop::Limit(MAX_DECODED_BYTES)));
    assert_eq!(
        decoded.stopped.expect("it did").to_string(),
        "decoding stopped after 8388608 bytes; there is more"
    );
    let twice = decode("gzip, gzip", &gzip(&bomb), &limits());
    assert_eq!((twice.bytes.len(), twice.stopped), (MAX_DECODED_BYTES, Some(Stop::Limit(MAX_DECODED_BYTES))));
    let plain = decode("", &[7; 100], &DecodeLimits { bytes: 10, ..limits() });
    assert_eq!((plain.bytes.len(), plain.stopped), (10, Some(Stop::Limit(10))));
}

#[test]
fn a_window_that_nobody_may_ask_for_is_refused() {
    // 2^41 bytes, by the window descriptor; and 2^60, by the size of the content.
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let content = [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0];
    for bomb in [window, content] {
        assert_eq!(decode("zstd", &bomb, &limits()).stopped, Some(Stop::Corrupt("zstd")));
    }
}

#[test]
fn what_is_cut_off_or_wrong_gives_what_it_has() {
    let text: Vec<u8> = (0..20_000_u32).flat_map(|number| number.to_string().into_bytes()).collect();
    let whole = gzip(&text);
    let cut = decode("gzip", &whole[..whole.len() / 2], &limits());
    assert_eq!(cut.stopped, Some(Stop::Early));
    assert!(cut.bytes.len() > 1000 && text.starts_with(&cut.bytes));
    for encoding in ["gzip", "br", "zstd"] {
        assert_eq!(
            decode(encoding, b"this is no such thing, whatever it says", &limits()).stopped,
            Some(Stop::Corrupt(encoding))
        );
    }
    assert_eq!(decode("zstd", &ZSTD[..12], &limits()).stopped, Some(Stop::Early));
    assert_eq!(decode("rot13", b"abc", &limits()).stopped, Some(Stop::Unknown("rot13".into())));
    assert!(decode("br", &BROTLI[..10], &limits()).stopped.is_some());
    let many = decode("gzip,gzip,gzip,gzip,gzip", b"abc", &limits());
    assert!(matches!(many.stopped, Some(Stop::Unknown(_))));
    assert_eq!(&many.bytes[..], b"abc");
}

#[test]
fn text_is_found_by_charset_and_told_from_binary() {
    assert_eq!(text::text("text/plain; charset=iso-8859-1", b"caf\xe9").as_deref(), Some("café"));
    assert_eq!(text::text("text/plain", "café".as_bytes()).as_deref(), Some("café"));
    assert_eq!(text::text("text/plain; charset=\"Shift_JIS\"", b"\x93\xfa").as_deref(), Some("日"));
    assert_eq!(text::text("", b"\xff\xfea\0b\0").as_deref(), Some("ab"));
    assert_eq!(text::text("image/png", b"\x89PNG\r\n\x1a\n\0\0"), None);
    assert_eq!(text::hex(b"Egret\x00\xff and more than a line", 20).lines().count(), 2);
    assert!(text::hex(b"Egret\x00", 20).starts_with("00000000  45 67 72 65 74 00 "));
}

#[test]
fn the_parts_of_a_form_are_told_apart() {
    let body = b"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"a \\\"b\\\"; c\"\r\n\r\none\r\n--b  \r\ncontent-disposition: form-data; name=file; filename=\"x;y.txt\"\r\nContent-Type: text/plain\r\n\r\ntwo\r\nlines\r\n--b--\r\nepilogue";
    let parts = multipart::parts("multipart/form-data; charset=x; boundary=b", body).expect("parts");
    let shown: Vec<_> = parts
        .iter()
        .map(|part| {
            (part.name.as_deref(), part.filename.as_deref(), &body[part.content.clone()], part.truncated)
        })
        .collect();
    assert_eq!(
        shown,
        [
            (Some("a \"b\"; c"), None, &b"one"[..], false),
            (Some("file"), Some("x;y.txt"), &b"two\r\nlines"[..], false)
        ]
    );
    assert_eq!(multipart::parts("multipart/form-data; boundary=b", b"nothing"), None);
    let cut = multipart::parts("multipart/form-data; boundary=b", b"--b\r\n\r\ncut o").expect("parts");
    assert_eq!((cut[0].name.as_deref(), cut[0].content.clone(), cut[0].truncated), (None, 7..12, true));
}

#[test]
fn grpc_frames_are_told_apart_and_inflated() {
    let message = gzip(b"\x08\x96\x01");
    let mut body = vec![0, 0, 0, 0, 2, 0x08, 0x01, 1];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(&message);
    body.extend([0, 0, 0, 0, 9, 1, 2]);
    let (frames, used) = grpc::frames(&body);
    assert_eq!(used, body.len());
    assert_eq!(
        frames.iter().map(|f| (f.compressed, f.length, f.truncated)).collect::<Vec<_>>(),
        [(false, 2, false), (true, message.len() as u32, false), (false, 9, true)]
    );
    let inflated = grpc::message(&body, &frames[1], "gzip", &limits());
    assert_eq!(&inflated.bytes[..], b"\x08\x96\x01");
    assert_eq!(grpc::frames(b"{\"a\":1}").0, []);
    assert_eq!(grpc::frames(&[0, 0, 0]), (vec![], 0));
}

#[test]
fn protobuf_is_read_without_its_schema() {
    let message = b"\x08\x96\x01\x12\x07testing\x1a\x03\x08\x96\x01\x25\x00\x00\x80\x3f\x2a\x02\xff\xfe\x33\x08\x05\x34";
    let expected = vec![
        Field { number: 1, value: Value::Varint(150) },
        Field { number: 2, value: Value::Text("testing".into()) },
        Field { number: 3, value: Value::Message(vec![Field { number: 1, value: Value::Varint(150) }]) },
        Field { number: 4, value: Value::Fixed32(0x3f80_0000) },
        Field { number: 5, value: Value::Bytes("fffe".into()) },
        Field { number: 6, value: Value::Group(vec![Field { number: 1, value: Value::Varint(5) }]) },
    ];
    assert_eq!(protobuf::fields(message, &ProtobufLimits::default()), Some(expected));
    for bad in [
        &b"\x00"[..],
        b"\x08",
        b"\x12\x05ab",
        b"\x0f",
        b"\x0c",
        b"\x0b\x08\x01",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ] {
        assert_eq!(protobuf::fields(bad, &ProtobufLimits::default()), None, "{bad:?}");
    }
    let many = b"\x08\x01".repeat(20_000);
    assert_eq!(protobuf::fields(&many, &ProtobufLimits::default()), None);
}

#[test]
fn messages_within_messages_are_bounded() {
    let mut message = b"\x08\x01".to_vec();
    for _ in 0..60 {
        let mut outer = vec![0x0a, message.len() as u8];
        outer.extend(&message);
        message = outer;
    }
    let mut fields = protobuf::fields(&message, &ProtobufLimits::default()).expect("a message");
    let mut depth = 0;
    while let Some(Value::Message(inner)) = fields.pop().map(|field| field.value) {
        fields = inner;
        depth += 1;
    }
    assert_eq!(depth, 16);
}
