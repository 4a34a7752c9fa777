//! What an unknown client says first: a ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), and
//! of it what has to be known before anybody answers; or that it is no TLS, and what it looks like instead.
//!
//! [`peek`] is given all bytes that have come so far, and again when there are more. It keeps nothing and
//! consumes nothing: the bytes go to whoever takes the connection on, rustls or a tunnel. Whoever has
//! [`MAX_PEEK_BYTES`] gets an answer.

mod body;
mod look;
mod malformed;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use egret_core::destination::Host;
use smallvec::SmallVec;

pub use look::{LOOK_BYTES, Look};
pub use malformed::Malformed;

/// The longest ClientHello that is read, in bytes of handshake message with its header of four. A hello with
/// a post-quantum key share is 1.8 KB and one that resumes with many tickets a few more; OpenSSL's server
/// has a limit of 128 KiB, BoringSSL's and Go's are 16 and 64 KiB.
pub const MAX_HELLO_BYTES: usize = 16 * 1024;

/// The most TLS records that a ClientHello may be split over. Clients that split it on purpose, to get past
/// something that reads only the first record, make a few; a record a byte would cost whoever reads it most.
pub const MAX_HELLO_RECORDS: usize = 64;

/// The most bytes after which [`peek`] still asks for more, so the buffer that it needs.
pub const MAX_PEEK_BYTES: usize = MAX_HELLO_BYTES + MAX_HELLO_RECORDS * RECORD_HEADER;

/// The longest fragment in one record of plaintext (RFC 8446 section 5.1).
const MAX_FRAGMENT: usize = 1 << 14;
const RECORD_HEADER: usize = 5;
const HANDSHAKE_HEADER: usize = 4;
const CLIENT_HELLO: u8 = 1;

/// What the first bytes of a client are. Only [`Hello::NeedMore`] changes when more bytes come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hello {
    /// Too few bytes to tell.
    NeedMore,
    /// No TLS, and what it looks like.
    NotTls(Look),
    /// TLS, or meant to be, that no server may accept.
    Malformed(Malformed),
    /// A whole ClientHello.
    Complete(ClientHello),
}

/// What a ClientHello says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// Whom the client wants to speak with (RFC 6066 section 3).
    pub server_name: ServerName,
    /// The application protocols that it offers, as it prefers them (RFC 7301).
    pub alpn: Alpn,
    /// The versions of TLS that it offers, as it prefers them, without GREASE (RFC 8701): those of
    /// supported_versions (RFC 8446 section 4.2.1), or the legacy version of a client without that.
    pub versions: SmallVec<[Version; 4]>,
    /// Whether there is an encrypted ClientHello (RFC 9849). The server name is then that of the outer hello,
    /// which need not be the one that is meant. Browsers send a meaningless one to every server, which cannot
    /// be told from a real one by anybody but the server.
    pub has_ech: bool,
    /// The bytes of the handshake message with its header, at most [`MAX_HELLO_BYTES`].
    pub handshake_length: usize,
    /// The bytes of the records that hold it. What stands behind them, the client sent without an answer.
    pub record_length: usize,
}

/// The server name of a ClientHello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerName {
    /// The client names none.
    Absent,
    /// A host: a name in its one normal form. An address (RFC 6066 section 3 does not allow one, but clients
    /// that take whatever stands in a URL send it) is here as well; rustls takes it for no name.
    Host(Host),
    /// Bytes that are no host: they cannot be compared with anything, and rustls refuses them.
    Invalid(SmallVec<[u8; 32]>),
}

impl ServerName {
    /// The host, where there is a valid one.
    #[must_use]
    pub fn host(&self) -> Option<&Host> {
        match self {
            Self::Host(host) => Some(host),
            Self::Absent | Self::Invalid(_) => None,
        }
    }
}

/// A version of TLS, as two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16);

impl Version {
    /// SSL 3.0.
    pub const SSL3: Self = Self(0x0300);
    /// TLS 1.0.
    pub const TLS10: Self = Self(0x0301);
    /// TLS 1.1.
    pub const TLS11: Self = Self(0x0302);
    /// TLS 1.2.
    pub const TLS12: Self = Self(0x0303);
    /// TLS 1.3.
    pub const TLS13: Self = Self(0x0304);
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::SSL3 => f.write_str("SSL 3.0"),
            Self(version @ 0x0301..=0x03ff) => write!(f, "TLS 1.{}", version - 0x0301),
            Self(version) => write!(f, "version {version:#06x}"),
        }
    }
}

/// The protocols of an ALPN extension, kept as they were sent so that they need no memory of their own each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alpn {
    /// Names with a length byte before each, checked when they were read. `h2` with `http/1.1` is 12 bytes.
    wire: SmallVec<[u8; 24]>,
}

impl Alpn {
    /// The protocols, the most wanted first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest: &[u8] = &self.wire;
        std::iter::from_fn(move || {
            let (&length, tail) = rest.split_first()?;
            let (name, tail) = tail.split_at_checked(usize::from(length))?;
            rest = tail;
            Some(name)
        })
    }

    /// Whether this protocol is among them: `b"h2"`, `b"http/1.1"`.
    #[must_use]
    pub fn offers(&self, protocol: &[u8]) -> bool {
        self.iter().any(|offered| offered == protocol)
    }

    /// Whether the client offers none, or sent no such extension.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wire.is_empty()
    }
}

impl ClientHello {
    /// The highest version that the client offers among those that are known. One that knows a later version
    /// only is given as that.
    #[must_use]
    pub fn max_version(&self) -> Version {
        let known = self.versions.iter().filter(|version| **version <= Version::TLS13).max();
        known.or(self.versions.iter().min()).copied().unwrap_or(Version::SSL3)
    }
}

/// Reads what a client says first, given all of its bytes so far. Cheap on every call but the one that has the
/// whole hello, since a client may send it a byte at a time.
#[must_use]
pub fn peek(bytes: &[u8]) -> Hello {
    match bytes {
        [] | [0x14..=0x17] => Hello::NeedMore,
        [0x16, 3, ..] => match gather(bytes) {
            Ok(Some(gathered)) => match body::read(&gathered) {
                Ok(hello) => Hello::Complete(hello),
                Err(malformed) => Hello::Malformed(malformed),
            },
            Ok(None) => Hello::NeedMore,
            Err(malformed) => Hello::Malformed(malformed),
        },
        [kind @ (0x14 | 0x15 | 0x17), 3, ..] => Hello::Malformed(Malformed::RecordType(*kind)),
        _ => match look::at(bytes) {
            look::Seen::Short => Hello::NeedMore,
            look::Seen::Ssl2 => Hello::Malformed(Malformed::Ssl2),
            look::Seen::Look(look) => Hello::NotTls(look),
        },
    }
}

/// [`peek`] for bytes after which no more come, because the client has closed or waits: never
/// [`Hello::NeedMore`].
#[must_use]
pub fn peek_last(bytes: &[u8]) -> Hello {
    match (peek(bytes), bytes) {
        (Hello::NeedMore, [0x16, ..]) => Hello::Malformed(Malformed::Truncated),
        (Hello::NeedMore, []) => Hello::NotTls(Look::Silence),
        (Hello::NeedMore, _) => Hello::NotTls(Look::Unknown),
        (hello, _) => hello,
    }
}

/// A whole handshake message, put together from the records it came in.
struct Gathered<'a> {
    /// The message without its header.
    body: Cow<'a, [u8]>,
    record_length: usize,
}

/// Finds the end of the first handshake message. `None` when it has not come yet.
fn gather(bytes: &[u8]) -> Result<Option<Gathered<'_>>, Malformed> {
    // First only counted: all but the last call end here, and none of them copies anything.
    let mut header = [0; HANDSHAKE_HEADER];
    let mut have = 0;
    let mut rest = bytes;
    for records in 1.. {
        if records > MAX_HELLO_RECORDS {
            return Err(Malformed::TooManyRecords);
        }
        let Some((length, tail)) = record(rest)? else { return Ok(None) };
        let fragment = &tail[..length.min(tail.len())];
        for (into, byte) in header.iter_mut().skip(have).zip(fragment) {
            *into = *byte;
        }
        have += fragment.len();
        if have > 0 && header[0] != CLIENT_HELLO {
            return Err(Malformed::MessageType(header[0]));
        }
        if have < HANDSHAKE_HEADER && fragment.len() < length {
            return Ok(None);
        }
        if have >= HANDSHAKE_HEADER {
            let whole = HANDSHAKE_HEADER + u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
            if whole > MAX_HELLO_BYTES {
                return Err(Malformed::TooLong(whole));
            }
            // Nothing may follow in the record (RFC 8446 section 5.1): the keys change here.
            if have - fragment.len() + length > whole {
                return Err(Malformed::AfterHello);
            }
            if have == whole {
                let record_length = bytes.len() - tail.len() + length;
                let body = whole_body(&bytes[..record_length], records, whole);
                return Ok(Some(Gathered { body, record_length }));
            }
        }
        if fragment.len() < length {
            return Ok(None);
        }
        rest = &tail[length..];
    }
    Ok(None)
}

/// Reads a record's header: the length of its fragment, and the bytes from there. `None` when it is unfinished.
fn record(bytes: &[u8]) -> Result<Option<(usize, &[u8])>, Malformed> {
    if let [kind, ..] = bytes
        && *kind != 0x16
    {
        return Err(Malformed::RecordType(*kind));
    }
    // The minor version says nothing (RFC 8446 section 5.1), the major one that this is a record at all.
    if let [_, major, ..] = bytes
        && *major != 3
    {
        return Err(Malformed::RecordVersion);
    }
    let Some((header, tail)) = bytes.split_at_checked(RECORD_HEADER) else { return Ok(None) };
    match usize::from(u16::from_be_bytes([header[3], header[4]])) {
        0 => Err(Malformed::EmptyRecord),
        length if length > MAX_FRAGMENT => Err(Malformed::RecordTooLong(length)),
        length => Ok(Some((length, tail))),
    }
}

/// The body of the message in these records, which are whole and hold nothing else.
fn whole_body(bytes: &[u8], records: usize, whole: usize) -> Cow<'_, [u8]> {
    if records == 1 {
        return Cow::Borrowed(&bytes[RECORD_HEADER + HANDSHAKE_HEADER..]);
    }
    let mut message = Vec::with_capacity(whole);
    let mut rest = bytes;
    while let Ok(Some((length, tail))) = record(rest) {
        let (fragment, tail) = tail.split_at(length.min(tail.len()));
        message.extend_from_slice(fragment);
        rest = tail;
    }
    message.drain(..HANDSHAKE_HEADER.min(message.len()));
    Cow::Owned(message)
}
