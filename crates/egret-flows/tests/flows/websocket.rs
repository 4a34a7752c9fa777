use flate2::{Compress, Compression, FlushCompress};

use egret_flows::flow::{Headers, MessageKind, Side};
use egret_flows::websocket::{Deflate, FrameError, Reader, Received};

/// A frame: its first byte, its payload, its mask.
fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut out = vec![first];
    match payload.len() {
        length @ 0..=125 => out.push(masked | length as u8),
        length @ 126..=65535 => {
            out.push(masked | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(masked | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(mask.unwrap_or_default().iter().take(if mask.is_some() { 4 } else { 0 }));
    out.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ mask.unwrap_or_default()[i % 4]));
    out
}

fn read(pieces: &[&[u8]], limit: usize, deflate: Option<Deflate>) -> (Vec<Received>, Result<(), FrameError>) {
    let mut reader = Reader::new(limit, deflate);
    let mut all = Vec::new();
    for piece in pieces {
        if let Err(error) = reader.feed(piece, |message| all.push(message)) {
            return (all, Err(error));
        }
    }
    (all, Ok(()))
}

fn message(kind: MessageKind, payload: &[u8]) -> Received {
    Received { kind, payload: payload.to_vec().into(), length: payload.len() as u64, truncated: false }
}

#[test]
fn messages_are_the_same_wherever_the_bytes_are_cut() {
    let mask = Some([0x37, 0xfa, 0x21, 0x3d]);
    let mut bytes = frame(0x81, b"Hello", mask);
    bytes.extend(frame(0x02, &[7; 200], mask));
    bytes.extend(frame(0x89, b"still there?", None));
    bytes.extend(frame(0x80, &[8; 3], None));
    bytes.extend(frame(0x81, b"", mask));
    bytes.extend(frame(0x88, b"\x03\xe8bye", mask));
    let expected = [
        message(MessageKind::Text, b"Hello"),
        message(MessageKind::Ping, b"still there?"),
        message(MessageKind::Binary, &[&[7; 200][..], &[8; 3]].concat()),
        message(MessageKind::Text, b""),
        message(MessageKind::Close, b"\x03\xe8bye"),
    ];
    for cut in 0..bytes.len() {
        assert_eq!(
            read(&[&bytes[..cut], &bytes[cut..]], 1000, None),
            (expected.to_vec(), Ok(())),
            "cut at {cut}"
        );
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single, 1000, None), (expected.to_vec(), Ok(())));
}

#[test]
fn a_large_message_is_kept_up_to_the_limit_and_read_to_its_end() {
    let mut bytes = frame(0x82, &[1; 70_000], Some([1, 2, 3, 4]));
    bytes.extend(frame(0x81, b"after", None));
    let (messages, result) = read(&[&bytes], 10, None);
    assert_eq!(result, Ok(()));
    assert_eq!((messages[0].payload.len(), messages[0].length, messages[0].truncated), (10, 70_000, true));
    assert_eq!(messages[1], message(MessageKind::Text, b"after"));
}

#[test]
fn refuses_frames_that_no_endpoint_may_send() {
    let table: &[(&[u8], FrameError)] = &[
        (&[0x83, 0], FrameError::Opcode),
        (&[0x8b, 0], FrameError::Opcode),
        (&[0xc1, 0], FrameError::ReservedBits),
        (&[0x09, 0], FrameError::Control),
        (&[0x89, 126], FrameError::Control),
        (&[0x80, 0], FrameError::Fragment),
        (&[0x01, 0, 0x81, 0], FrameError::Fragment),
        (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], FrameError::Length),
    ];
    for (bytes, error) in table {
        assert_eq!(read(&[bytes], 10, None).1, Err(*error), "{bytes:?}");
    }
    let mut reader = Reader::new(10, None);
    assert!(reader.feed(&[0x83, 0], |_| panic!("no message")).is_err());
    assert!(reader.feed(&frame(0x81, b"a", None), |_| panic!("no message")).is_err(), "it stays so");
}

/// Compresses as RFC 7692 says.
fn compressed(compress: &mut Compress, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 1000);
    compress.compress_vec(text, &mut out, FlushCompress::Sync).expect("it has room");
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

#[test]
fn compressed_messages_are_inflated_with_and_without_context() {
    let text = b"one and the same text, one and the same text".repeat(20);
    for no_context_takeover in [false, true] {
        let mut compress = Compress::new(Compression::default(), false);
        let mut bytes = Vec::new();
        for _ in 0..3 {
            let payload = compressed(&mut compress, &text);
            let (first, second) = payload.split_at(payload.len() / 2);
            bytes.extend(frame(0x41, first, Some([9, 8, 7, 6])));
            bytes.extend(frame(0x80, second, Some([5, 4, 3, 2])));
            if no_context_takeover {
                compress.reset();
            }
        }
        bytes.extend(frame(0x81, b"not compressed", None));
        let mut expected = vec![message(MessageKind::Text, &text); 3];
        expected.push(message(MessageKind::Text, b"not compressed"));
        let deflate = Some(Deflate { no_context_takeover });
        assert_eq!(read(&[&bytes], 10_000, deflate), (expected.clone(), Ok(())));
        let pieces: Vec<&[u8]> = bytes.chunks(3).collect();
        assert_eq!(read(&pieces, 10_000, deflate), (expected, Ok(())));
    }
}

#[test]
fn a_bomb_in_a_message_is_inflated_within_bounds() {
    let mut compress = Compress::new(Compression::best(), false);
    let payload = compressed(&mut compress, &vec![0; 80 << 20]);
    let (messages, result) = read(&[&frame(0xc2, &payload, None)], 100, Some(Deflate::default()));
    assert_eq!(result, Ok(()));
    assert_eq!((messages[0].payload.len(), messages[0].truncated), (100, true));
    assert!(messages[0].length <= egret_flows::websocket::MAX_INFLATED_BYTES + 8192);
}

#[test]
fn garbage_that_says_it_is_compressed_is_said_to_be_cut_off() {
    let (messages, result) = read(&[&frame(0xc1, &[0xff; 50], None)], 100, Some(Deflate::default()));
    assert_eq!(result, Ok(()));
    assert!(messages[0].truncated);
}

#[test]
fn what_was_agreed_is_read_for_each_side() {
    let agreed = |value: &str, from| {
        Deflate::agreed(&Headers::from_pairs([("Sec-WebSocket-Extensions", value)]), from)
    };
    let both = "foo, permessage-deflate; server_no_context_takeover; client_max_window_bits=15";
    assert_eq!(agreed(both, Side::Response), Some(Deflate { no_context_takeover: true }));
    assert_eq!(agreed(both, Side::Request), Some(Deflate { no_context_takeover: false }));
    assert_eq!(agreed("permessage-bzip2", Side::Request), None);
    assert_eq!(Deflate::agreed(&Headers::default(), Side::Request), None);
}
