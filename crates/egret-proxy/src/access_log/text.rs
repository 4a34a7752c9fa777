//! Pieces of a line, appended to a byte buffer: numbers, addresses, and hostile text made harmless.
//!
//! Whatever a client puts into a target or a header, no piece ever holds a raw control character,
//! a line break of any alphabet, or a quotation mark that the format gives meaning to.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends a number in decimal.
pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `value` in decimal with leading zeros up to three digits.
pub(super) fn three_digits(out: &mut Vec<u8>, value: u16) {
    if value > 999 {
        return number(out, u64::from(value));
    }
    let digit = |n: u16| b'0' + (n % 10) as u8;
    out.extend_from_slice(&[digit(value / 100), digit(value / 10), digit(value)]);
}

/// Appends a duration in milliseconds with three decimals.
pub(super) fn millis(out: &mut Vec<u8>, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    number(out, micros / 1000);
    out.push(b'.');
    three_digits(out, (micros % 1000) as u16);
}

/// Appends an address without a port.
pub(super) fn ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            for (i, octet) in v4.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                number(out, u64::from(octet));
            }
        }
        // Writing to a Vec cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// Appends an address and port, IPv6 in brackets.
pub(super) fn socket(out: &mut Vec<u8>, address: SocketAddr) {
    if address.is_ipv6() {
        out.push(b'[');
    }
    ip(out, address.ip());
    if address.is_ipv6() {
        out.push(b']');
    }
    out.push(b':');
    number(out, u64::from(address.port()));
}

/// Appends bytes in lower-case hexadecimal.
pub(super) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// Bytes that JSON text may hold as they are. The lead bytes 0xC2 and 0xE2 are looked at closer: the
/// C1 controls, which terminals obey, and the line separators and direction overrides hide there.
const PLAIN_IN_JSON: [bool; 256] = {
    let mut table = [true; 256];
    let mut i = 0;
    while i < 0x20 {
        table[i] = false;
        i += 1;
    }
    table[b'"' as usize] = false;
    table[b'\\' as usize] = false;
    table[0x7f] = false;
    table[0xc2] = false;
    table[0xe2] = false;
    table
};

/// Appends text escaped as inside a JSON string (RFC 8259 section 7), without the quotes.
pub(super) fn json_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut start = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if PLAIN_IN_JSON[usize::from(byte)] {
            at += 1;
            continue;
        }
        let Some((code, length)) = to_escape(&bytes[at..]) else {
            at += 1;
            continue;
        };
        out.extend_from_slice(&bytes[start..at]);
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u");
                hex(out, &code.to_be_bytes());
            }
        }
        at += length;
        start = at;
    }
    out.extend_from_slice(&bytes[start..]);
}

/// The code point at the start of `bytes` and its length in UTF-8, if it must be escaped.
fn to_escape(bytes: &[u8]) -> Option<(u16, usize)> {
    match *bytes {
        [0xc2, low, ..] => (low < 0xa0).then_some((u16::from(low), 2)),
        [0xe2, middle, low, ..] => {
            let code = 0x2000 | u16::from(middle & 0x3f) << 6 | u16::from(low & 0x3f);
            matches!(code, 0x2028..=0x202e | 0x2066..=0x2069).then_some((code, 3))
        }
        [byte, ..] => Some((u16::from(byte), 1)),
        [] => None,
    }
}

/// Appends text for a quoted field of the Common Log Format as Apache does: `\"`, `\\`, and `\xhh`
/// for everything that is not printable ASCII.
pub(super) fn common_escaped(out: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x20..=0x7e => out.push(byte),
            _ => {
                out.extend_from_slice(b"\\x");
                hex(out, &[byte]);
            }
        }
    }
}

/// Appends text as one word of a line whose fields are separated by spaces: everything that is not
/// visible ASCII, and the quotes, percent-encoded.
pub(super) fn word(out: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' | ..=0x20 | 0x7f.. => {
                out.push(b'%');
                hex(out, &[byte]);
            }
            _ => out.push(byte),
        }
    }
}

/// Appends the name of a flow's user as one word, else that of its client certificate, else a dash.
pub(super) fn user(out: &mut Vec<u8>, record: &egret_core::record::FlowRecord) {
    let name = record.client_name().filter(|name| !name.is_empty());
    word(out, name.map_or("-", |name| name));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn durations_have_three_decimals() {
        assert_eq!(made(|out| millis(out, Duration::from_nanos(1_234_567_890))), "1234.567");
        assert_eq!(made(|out| millis(out, Duration::from_micros(7))), "0.007");
        assert_eq!(made(|out| millis(out, Duration::ZERO)), "0.000");
    }

    #[test]
    fn statuses_have_three_digits_at_least() {
        assert_eq!(made(|out| three_digits(out, 0)), "000");
        assert_eq!(made(|out| three_digits(out, 65_535)), "65535");
    }

    #[test]
    fn escapes_what_terminals_and_line_readers_obey() {
        let hostile = "a\u{9b}31m\u{2028}\u{202e}\u{85}\u{1b}[0m\u{7f}\"\\\n\r\té€";
        let expected = concat!(r"a\u009b31m\u2028\u202e\u0085\u001b[0m\u007f", r#"\""#, r"\\\n\r\té€");
        assert_eq!(made(|out| json_escaped(out, hostile)), expected);
        assert_eq!(made(|out| common_escaped(out, "a\"\\\n\u{9b}")), r#"a\"\\\x0a\xc2\x9b"#);
        assert_eq!(made(|out| word(out, "a b\"\n\u{1b}é")), "a%20b%22%0a%1b%c3%a9");
    }

    proptest! {
        #[test]
        fn addresses_agree_with_the_standard_library(address: SocketAddr) {
            // Scope ids are for links, which no log needs.
            let address = SocketAddr::new(address.ip(), address.port());
            prop_assert_eq!(made(|out| socket(out, address)), address.to_string());
            prop_assert_eq!(made(|out| ip(out, address.ip())), address.ip().to_string());
        }

        #[test]
        fn json_text_gives_back_what_went_in(text: String) {
            let json = format!("\"{}\"", made(|out| json_escaped(out, &text)));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
