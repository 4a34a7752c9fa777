//! IPv4 addresses in every spelling that a resolver or a URL parser would take.

use std::net::Ipv4Addr;

/// Whether a name has to be an IPv4 address because its last label is a number
/// (WHATWG URL, "ends in a number"): all digits, or `0x` with any hexadecimal digits.
///
/// `inet_aton`, and with it most C programs, read such a name as an address and never ask DNS. So it
/// is an address, or nothing.
pub(super) fn ends_in_number(name: &[u8]) -> bool {
    let last = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    match last {
        [] => false,
        [b'0', b'x' | b'X', hex @ ..] => hex.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

/// Reads one to four numbers between dots, each decimal, octal (`0`) or hexadecimal (`0x`). The last
/// fills all the bytes that remain: `127.1` is 127.0.0.1.
pub(super) fn parse(name: &[u8]) -> Option<Ipv4Addr> {
    let mut parts = [0_u32; 4];
    let mut count = 0;
    for part in name.split(|byte| *byte == b'.') {
        *parts.get_mut(count)? = parse_number(part)?;
        count += 1;
    }
    let (&last, leading) = parts[..count].split_last()?;
    let mut address = 0_u32;
    for (i, &part) in leading.iter().enumerate() {
        if part > 255 {
            return None;
        }
        address |= part << (24 - 8 * i);
    }
    let room = 32 - 8 * leading.len();
    if room < 32 && last >> room != 0 {
        return None;
    }
    Some(Ipv4Addr::from_bits(address | last))
}

/// One number; `None` when it is none or does not fit 32 bits. A lone `0x` is zero, as WHATWG has it.
fn parse_number(part: &[u8]) -> Option<u32> {
    let (digits, radix) = match part {
        [] => return None,
        [b'0', b'x' | b'X', hex @ ..] => (hex, 16),
        [b'0', octal @ ..] => (octal, 8),
        decimal => (decimal, 10),
    };
    digits.iter().try_fold(0_u32, |number, byte| {
        number.checked_mul(radix)?.checked_add(char::from(*byte).to_digit(radix)?)
    })
}
