//! The bytes of SOCKS5 (RFC 1928, RFC 1929), SOCKS4 and SOCKS4a: what clients send, and what they are told.
//!
//! Readers take what has come so far and give `None` as long as more is needed. Every length is bounded
//! by one byte of the protocol but for the texts of SOCKS4, which end with NUL; [`TEXT`] bounds those.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use egret_core::destination::{Destination, Host, HostError};

/// The longest text of SOCKS4: the user id, and the host name of SOCKS4a.
pub const TEXT: usize = 255;

/// What is wrong with the bytes of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SocksError {
    /// A version number inside the exchange that does not belong there.
    #[error("version {0} where it does not belong")]
    Version(u8),
    /// A command that is none of CONNECT, BIND and UDP ASSOCIATE.
    #[error("command {0} does not exist")]
    Command(u8),
    /// An address type that does not exist.
    #[error("address type {0} does not exist")]
    AddressType(u8),
    /// The reserved byte is not zero.
    #[error("the reserved byte is {0} and not 0")]
    Reserved(u8),
    /// The destination is none.
    #[error("{0}")]
    Destination(#[from] HostError),
    /// A text of SOCKS4 does not end.
    #[error("a text is longer than {TEXT} bytes")]
    TooLong,
    /// An empty user name or password (RFC 1929 section 2).
    #[error("the user name is empty")]
    EmptyUser,
    /// The client ended its direction in the middle.
    #[error("the connection ended within it")]
    Truncated,
}

/// A result of a reader: `None` for more bytes, else what was read and how long it was.
pub type Read<T> = Result<Option<(T, usize)>, SocksError>;

/// What a client wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A connection to the destination.
    Connect,
    /// A connection from the destination. Not served.
    Bind,
    /// Datagrams.
    UdpAssociate,
}

/// The methods that a client offers (RFC 1928 section 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods {
    /// No authentication.
    pub none: bool,
    /// User name and password (RFC 1929).
    pub password: bool,
}

/// A request. Its destination may have the port 0 for datagrams alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// With whom.
    pub destination: Destination,
}

/// Reads the offer of methods.
///
/// # Errors
/// What is wrong with it.
pub fn methods(bytes: &[u8]) -> Read<Methods> {
    let [version, count, rest @ ..] = bytes else { return Ok(None) };
    if *version != 5 {
        return Err(SocksError::Version(*version));
    }
    let count = usize::from(*count);
    let Some(offered) = rest.get(..count) else { return Ok(None) };
    Ok(Some((Methods { none: offered.contains(&0), password: offered.contains(&2) }, 2 + count)))
}

/// Reads user name and password (RFC 1929 section 2), as places in `bytes`.
///
/// # Errors
/// What is wrong with it.
pub fn password(bytes: &[u8]) -> Read<(Range<usize>, Range<usize>)> {
    let [version, user, rest @ ..] = bytes else { return Ok(None) };
    if *version != 1 {
        return Err(SocksError::Version(*version));
    }
    let user = usize::from(*user);
    if user == 0 {
        return Err(SocksError::EmptyUser);
    }
    let Some(length) = rest.get(user) else { return Ok(None) };
    let start = 3 + user;
    let end = start + usize::from(*length);
    if bytes.len() < end {
        return Ok(None);
    }
    Ok(Some(((2..2 + user, start..end), end)))
}

/// Reads a request of SOCKS5 (RFC 1928 section 4).
///
/// # Errors
/// What is wrong with it.
pub fn request5(bytes: &[u8]) -> Read<Request> {
    let [version, command, reserved, rest @ ..] = bytes else { return Ok(None) };
    if *version != 5 {
        return Err(SocksError::Version(*version));
    }
    let command = match command {
        1 => Command::Connect,
        2 => Command::Bind,
        3 => Command::UdpAssociate,
        other => return Err(SocksError::Command(*other)),
    };
    if *reserved != 0 {
        return Err(SocksError::Reserved(*reserved));
    }
    let Some((destination, length)) = address(rest, command == Command::UdpAssociate)? else {
        return Ok(None);
    };
    Ok(Some((Request { command, destination }, 3 + length)))
}

/// Reads an address with its type and port, as it stands in requests and in front of datagrams.
fn address(bytes: &[u8], may_be_empty: bool) -> Read<Destination> {
    let [kind, rest @ ..] = bytes else { return Ok(None) };
    let (host, length) = match kind {
        1 => match rest.first_chunk::<4>() {
            Some(octets) => (Host::from(IpAddr::from(*octets)), 4),
            None => return Ok(None),
        },
        4 => match rest.first_chunk::<16>() {
            Some(octets) => (Host::from(IpAddr::from(*octets)), 16),
            None => return Ok(None),
        },
        3 => {
            let Some(length) = rest.first() else { return Ok(None) };
            let length = usize::from(*length);
            let Some(name) = rest.get(1..=length) else { return Ok(None) };
            (host(name)?, 1 + length)
        }
        other => return Err(SocksError::AddressType(*other)),
    };
    let Some(port) = rest.get(length..).and_then(<[u8]>::first_chunk::<2>) else { return Ok(None) };
    let port = u16::from_be_bytes(*port);
    if port == 0 && !may_be_empty {
        return Err(HostError::Port.into());
    }
    Ok(Some((Destination::new(host, port), 1 + length + 2)))
}

/// A host as a text: a name, or an address in any spelling. Brackets are not asked for.
fn host(bytes: &[u8]) -> Result<Host, HostError> {
    if let Some(address) = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<Ipv6Addr>().ok()) {
        return Ok(Host::from(IpAddr::V6(address)));
    }
    Host::from_bytes(bytes)
}

/// Reads a request of SOCKS4, or of SOCKS4a with a name in it.
///
/// # Errors
/// What is wrong with it.
pub fn request4(bytes: &[u8]) -> Read<Request> {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
    let [version, command, high, low, a, b, c, d] = *head;
    if version != 4 {
        return Err(SocksError::Version(version));
    }
    let command = match command {
        1 => Command::Connect,
        2 => Command::Bind,
        other => return Err(SocksError::Command(other)),
    };
    let port = u16::from_be_bytes([high, low]);
    if port == 0 {
        return Err(HostError::Port.into());
    }
    let Some(user) = text(rest)? else { return Ok(None) };
    let mut length = 8 + user.len() + 1;
    let host = match [a, b, c, d] {
        [0, 0, 0, last] if last != 0 => {
            let Some(name) = text(&bytes[length..])? else { return Ok(None) };
            length += name.len() + 1;
            host(name)?
        }
        octets => Host::from(IpAddr::from(octets)),
    };
    Ok(Some((Request { command, destination: Destination::new(host, port) }, length)))
}

/// The text in front of a NUL.
fn text(bytes: &[u8]) -> Result<Option<&[u8]>, SocksError> {
    match memchr::memchr(0, &bytes[..bytes.len().min(TEXT + 1)]) {
        Some(end) => Ok(Some(&bytes[..end])),
        None if bytes.len() > TEXT => Err(SocksError::TooLong),
        None => Ok(None),
    }
}

/// Reads the header of a datagram (RFC 1928 section 7). `None` for one that is to be dropped: cut
/// short, a fragment, or of no sense.
#[must_use]
pub fn datagram(bytes: &[u8]) -> Option<(Destination, usize)> {
    let [0, 0, 0, rest @ ..] = bytes else { return None };
    let (destination, length) = address(rest, false).ok()??;
    Some((destination, 3 + length))
}

/// Writes the header of a datagram that came from this address.
pub fn write_datagram_header(out: &mut Vec<u8>, from: SocketAddr) {
    out.extend_from_slice(&[0, 0, 0]);
    write_address(out, from);
}

fn write_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(v4) => {
            out.push(1);
            out.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            out.push(4);
            out.extend_from_slice(&v6.octets());
        }
    }
    out.extend_from_slice(&address.port().to_be_bytes());
}

/// A reply of SOCKS5 (RFC 1928 section 6).
#[must_use]
pub fn reply5(code: u8, bound: Option<SocketAddr>) -> Vec<u8> {
    let mut out = vec![5, code, 0];
    let bound = bound.map(|bound| SocketAddr::new(bound.ip().to_canonical(), bound.port()));
    write_address(&mut out, bound.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into()));
    out
}

/// A reply of SOCKS4.
#[must_use]
pub fn reply4(code: u8, bound: Option<SocketAddr>) -> Vec<u8> {
    let (octets, port) = match bound.map(|bound| (bound.ip().to_canonical(), bound.port())) {
        Some((IpAddr::V4(v4), port)) => (v4.octets(), port),
        _ => ([0; 4], 0),
    };
    let mut out = vec![0, code];
    out.extend_from_slice(&port.to_be_bytes());
    out.extend_from_slice(&octets);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(text: &str) -> Destination {
        Destination::parse_authority(text).unwrap()
    }

    /// Complete only at its last byte, and followed by anything it is the same.
    fn read_whole<T: PartialEq + std::fmt::Debug>(read: impl Fn(&[u8]) -> Read<T>, bytes: &[u8]) -> T {
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut]), Ok(None), "{:?}", &bytes[..cut]);
        }
        let (value, length) = read(bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        let followed = [bytes, b"more"].concat();
        assert_eq!(read(&followed).unwrap().unwrap(), (value, length));
        read(bytes).unwrap().unwrap().0
    }

    #[test]
    fn reads_methods() {
        assert_eq!(read_whole(methods, &[5, 2, 0, 2]), Methods { none: true, password: true });
        assert_eq!(read_whole(methods, &[5, 1, 1]), Methods::default());
        assert_eq!(methods(&[5, 0]), Ok(Some((Methods::default(), 2))));
        assert_eq!(methods(&[4, 1, 0]), Err(SocksError::Version(4)));
    }

    #[test]
    fn reads_passwords() {
        assert_eq!(read_whole(password, b"\x01\x03abc\x02xy"), (2..5, 6..8));
        assert_eq!(read_whole(password, b"\x01\x01a\x00"), (2..3, 4..4));
        assert_eq!(password(b"\x05\x01a\x00"), Err(SocksError::Version(5)));
        assert_eq!(password(b"\x01\x00\x00"), Err(SocksError::EmptyUser));
    }

    #[test]
    fn reads_every_kind_of_address() {
        let table: &[(&[u8], &str)] = &[
            (b"\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x50", "10.0.0.1:80"),
            (b"\x05\x01\x00\x03\x0bexample.com\x01\xbb", "example.com:443"),
            (b"\x05\x01\x00\x03\x03::1\x01\xbb", "[::1]:443"),
            (b"\x05\x01\x00\x03\x0a0x7f000001\x01\xbb", "127.0.0.1:443"),
            (
                b"\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x16",
                "[2001:db8::1]:22",
            ),
            (
                b"\x05\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01\x00\x16",
                "127.0.0.1:22",
            ),
        ];
        for (bytes, expected) in table {
            let request = read_whole(request5, bytes);
            assert_eq!(request, Request { command: Command::Connect, destination: destination(expected) });
        }
    }

    #[test]
    fn refuses_requests_that_make_no_sense() {
        let table: &[(&[u8], SocksError)] = &[
            (b"\x04\x01\x00\x01", SocksError::Version(4)),
            (b"\x05\x09\x00\x01", SocksError::Command(9)),
            (b"\x05\x01\x01\x01", SocksError::Reserved(1)),
            (b"\x05\x01\x00\x02", SocksError::AddressType(2)),
            (b"\x05\x01\x00\x03\x00\x00\x50", SocksError::Destination(HostError::Empty)),
            (b"\x05\x01\x00\x01\x01\x02\x03\x04\x00\x00", SocksError::Destination(HostError::Port)),
            (b"\x05\x01\x00\x03\x03a\x00b\x00\x50", SocksError::Destination(HostError::Character)),
        ];
        for (bytes, expected) in table {
            assert_eq!(request5(bytes), Err(*expected), "{bytes:?}");
        }
    }

    #[test]
    fn reads_version_4_with_and_without_a_name() {
        let plain = read_whole(request4, b"\x04\x01\x00\x50\x0a\x00\x00\x01someone\x00");
        assert_eq!(plain.destination, destination("10.0.0.1:80"));
        let named = read_whole(request4, b"\x04\x01\x00\x50\x00\x00\x00\x01\x00example.com\x00");
        assert_eq!(named.destination, destination("example.com:80"));
        assert_eq!(
            request4(&[&b"\x04\x01\x00\x50\x0a\x00\x00\x01"[..], &[b'a'; 256]].concat()),
            Err(SocksError::TooLong)
        );
        assert_eq!(request4(b"\x04\x03\x00\x50\x0a\x00\x00\x01\x00"), Err(SocksError::Command(3)));
    }

    #[test]
    fn reads_datagrams_and_drops_fragments() {
        let bytes = b"\x00\x00\x00\x01\x0a\x00\x00\x01\x00\x35payload";
        assert_eq!(datagram(bytes), Some((destination("10.0.0.1:53"), 10)));
        assert_eq!(datagram(b"\x00\x00\x01\x01\x0a\x00\x00\x01\x00\x35payload"), None);
        assert_eq!(datagram(&bytes[..9]), None);
    }

    #[test]
    fn writes_replies() {
        assert_eq!(reply5(5, None), [5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
        let bound = "[::1]:8".parse().ok();
        assert_eq!(reply5(0, bound).len(), 22);
        assert_eq!(reply5(0, "[::ffff:1.2.3.4]:258".parse().ok()), [5, 0, 0, 1, 1, 2, 3, 4, 1, 2]);
        assert_eq!(reply4(90, "1.2.3.4:258".parse().ok()), [0, 90, 1, 2, 1, 2, 3, 4]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_read_beyond_them(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
            for length in [
                methods(&bytes).ok().flatten().map(|read| read.1),
                password(&bytes).ok().flatten().map(|read| read.1),
                request5(&bytes).ok().flatten().map(|read| read.1),
                request4(&bytes).ok().flatten().map(|read| read.1),
                datagram(&bytes).map(|read| read.1),
            ] {
                proptest::prop_assert!(length.is_none_or(|length| length <= bytes.len()));
            }
        }
    }
}
