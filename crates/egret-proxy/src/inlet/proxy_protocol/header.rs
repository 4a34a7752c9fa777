//! The header of the PROXY protocol, in text (version 1) and in binary (version 2), as HAProxy's
//! specification `proxy-protocol.txt` has it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// What a header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header of version 1, its line end included.
const LINE: usize = 107;

/// The longest header of version 2 that is read: addresses, and the additions of a balancer.
pub const LONGEST: usize = 4096;

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The connection begins with something else.
    #[error("the connection does not begin with a PROXY header")]
    None,
    /// A line that is longer than the longest, or does not end with CR LF.
    #[error("the line is not one of version 1")]
    Line,
    /// A word that is neither TCP4, TCP6 nor UNKNOWN.
    #[error("the transport is neither TCP4, TCP6 nor UNKNOWN")]
    Transport,
    /// An address that is none, or of the other family.
    #[error("an address is not one of its family")]
    Address,
    /// A port that is none.
    #[error("a port is no number from 0 to 65535")]
    Port,
    /// A version other than 2 behind the signature, or a command that does not exist.
    #[error("the version or the command does not exist")]
    Version,
    /// A transport other than TCP.
    #[error("the transport is not TCP over IPv4 or IPv6")]
    Family,
    /// Too short for its addresses.
    #[error("the length is too small for its addresses")]
    Short,
    /// Longer than [`LONGEST`].
    #[error("it is longer than {LONGEST} bytes")]
    Long,
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The client's address; `None` where the connection is the balancer's own (a health check).
    pub source: Option<SocketAddr>,
    /// The length of the header in bytes.
    pub length: usize,
}

/// Reads a header. `None`: more bytes are needed.
///
/// # Errors
/// What is wrong with it.
pub fn read(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let common = bytes.len().min(SIGNATURE.len());
    if bytes[..common] == SIGNATURE[..common] {
        return if common < SIGNATURE.len() { Ok(None) } else { binary(bytes) };
    }
    let common = bytes.len().min(6);
    if bytes[..common] == b"PROXY "[..common] {
        return if common < 6 { Ok(None) } else { text(bytes) };
    }
    Err(HeaderError::None)
}

fn text(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let window = &bytes[..bytes.len().min(LINE)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if window.len() == LINE { Err(HeaderError::Line) } else { Ok(None) };
    };
    let line = window[..end].strip_suffix(b"\r").ok_or(HeaderError::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| HeaderError::Line)?;
    let length = end + 1;
    let mut words = line.split(' ').skip(1);
    let source = match words.next() {
        // What stands behind it says nothing.
        Some("UNKNOWN") => return Ok(Some(Header { source: None, length })),
        Some("TCP4") => addresses::<Ipv4Addr>(&mut words)?,
        Some("TCP6") => addresses::<Ipv6Addr>(&mut words)?,
        _ => return Err(HeaderError::Transport),
    };
    match words.next() {
        None => Ok(Some(Header { source: Some(source), length })),
        Some(_) => Err(HeaderError::Line),
    }
}

fn addresses<'a, A: FromStr + Into<IpAddr>>(
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<SocketAddr, HeaderError> {
    let mut address = || words.next().and_then(|word| word.parse::<A>().ok()).ok_or(HeaderError::Address);
    let (source, _destination) = (address()?, address()?);
    let mut port = || words.next().and_then(port).ok_or(HeaderError::Port);
    let (source_port, _destination_port) = (port()?, port()?);
    Ok(SocketAddr::new(source.into(), source_port))
}

/// Digits alone, and no needless zeros.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| plain)
}

fn binary(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    let Some([command, family, high, low]) = bytes[SIGNATURE.len()..].first_chunk::<4>() else {
        return Ok(None);
    };
    let body = usize::from(u16::from_be_bytes([*high, *low]));
    let length = SIGNATURE.len() + 4 + body;
    let local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(HeaderError::Version),
    };
    if length > LONGEST {
        return Err(HeaderError::Long);
    }
    let Some(body) = bytes.get(SIGNATURE.len() + 4..length) else { return Ok(None) };
    let source = match (local, family) {
        // Made by the balancer itself, or of a kind that has no addresses.
        (true, _) | (false, 0x00) => None,
        (false, 0x11) => {
            let addresses = body.first_chunk::<12>().ok_or(HeaderError::Short)?;
            let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
            let port = u16::from_be_bytes([high, low]);
            Some(SocketAddr::new(IpAddr::from([a, b, c, d]), port))
        }
        (false, 0x21) => {
            let addresses = body.first_chunk::<36>().ok_or(HeaderError::Short)?;
            let (source, rest) = addresses.split_first_chunk::<16>().ok_or(HeaderError::Short)?;
            let port = u16::from_be_bytes([rest[16], rest[17]]);
            Some(SocketAddr::new(IpAddr::from(*source), port))
        }
        _ => return Err(HeaderError::Family),
    };
    Ok(Some(Header { source, length }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Header {
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut]), Ok(None), "{cut} of {bytes:?}");
        }
        let header = read(bytes).unwrap().unwrap();
        assert_eq!(header.length, bytes.len());
        assert_eq!(read(&[bytes, b"GET / HTTP/1.1"].concat()), Ok(Some(header)));
        header
    }

    fn version2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    #[test]
    fn reads_version_1() {
        let source = |text: &[u8]| whole(text).source.map(|source| source.to_string());
        assert_eq!(
            source(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n").as_deref(),
            Some("192.0.2.1:56324")
        );
        assert_eq!(source(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n").as_deref(), Some("[2001:db8::1]:1"));
        assert_eq!(source(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(source(b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n"), None);
    }

    #[test]
    fn refuses_what_is_not_version_1() {
        for (text, error) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], HeaderError::None),
            (b"\x16\x03\x01", HeaderError::None),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", HeaderError::Line),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", HeaderError::Line),
            (b"PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", HeaderError::Transport),
            (b"PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", HeaderError::Transport),
            (b"PROXY TCP4 ::1 192.0.2.2 1 2\r\n", HeaderError::Address),
            (b"PROXY TCP4 127.1 192.0.2.2 1 2\r\n", HeaderError::Address),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", HeaderError::Port),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", HeaderError::Port),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", HeaderError::Port),
        ] {
            assert_eq!(read(text), Err(error), "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(read(&[&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat()), Err(HeaderError::Line));
    }

    #[test]
    fn reads_version_2_with_additions() {
        let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 1, 2, 0, 80];
        assert_eq!(whole(&version2(0x21, 0x11, &v4)).source, "192.0.2.1:258".parse().ok());
        let more = [&v4[..], &[0x04, 0, 1, 0]].concat();
        assert_eq!(whole(&version2(0x21, 0x11, &more)).source, "192.0.2.1:258".parse().ok());
        let mut v6 = [0; 36];
        (v6[15], v6[33]) = (1, 9);
        assert_eq!(whole(&version2(0x21, 0x21, &v6)).source, "[::1]:9".parse().ok());
        assert_eq!(whole(&version2(0x20, 0x00, &[])).source, None);
        assert_eq!(whole(&version2(0x20, 0x11, &v4)).source, None);
    }

    #[test]
    fn refuses_what_is_not_version_2() {
        assert_eq!(read(&version2(0x11, 0x11, &[0; 12])), Err(HeaderError::Version));
        assert_eq!(read(&version2(0x22, 0x11, &[0; 12])), Err(HeaderError::Version));
        assert_eq!(read(&version2(0x21, 0x11, &[0; 11])), Err(HeaderError::Short));
        assert_eq!(read(&version2(0x21, 0x12, &[0; 12])), Err(HeaderError::Family));
        assert_eq!(read(&version2(0x21, 0x31, &[0; 216])), Err(HeaderError::Family));
        assert_eq!(read(&version2(0x21, 0x11, &[0; 5000])[..16]), Err(HeaderError::Long));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), text in 0_usize..3) {
            let prefix: &[u8] = [&b""[..], b"PROXY TCP4 ", SIGNATURE][text];
            let bytes = [prefix, &bytes].concat();
            if let Ok(Some(header)) = read(&bytes) {
                proptest::prop_assert!(header.length <= bytes.len());
            }
        }
    }
}
