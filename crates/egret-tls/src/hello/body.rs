//! What stands inside a ClientHello.

use egret_core::destination::Host;
use smallvec::SmallVec;

use super::{Alpn, ClientHello, Gathered, HANDSHAKE_HEADER, Malformed, ServerName, Version};

/// Extensions that are read. The second of encrypted hellos is that of the drafts before RFC 9849.
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const ENCRYPTED_SERVER_NAME: u16 = 0xffce;

/// Bytes that are yet to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn pair(&mut self) -> Result<u16, Malformed> {
        let pair = self.take(2)?;
        Ok(u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// A vector with a length of one byte.
    fn short(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.byte()?;
        self.take(length.into())
    }

    /// A vector with a length of two bytes.
    fn long(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.pair()?;
        self.take(length.into())
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed::Length) }
    }
}

fn required(holds: bool) -> Result<(), Malformed> {
    if holds { Ok(()) } else { Err(Malformed::Field) }
}

pub(super) fn read(gathered: &Gathered<'_>) -> Result<ClientHello, Malformed> {
    let mut reader = Reader(&gathered.body);
    // Without the extension, a later version than 1.2 means 1.2 (RFC 8446 section 4.2.1).
    let legacy = Version(reader.pair()?).min(Version::TLS12);
    reader.take(32)?; // random
    let session = reader.short()?;
    let suites = reader.long()?;
    let compressions = reader.short()?;
    required(session.len() <= 32 && !compressions.is_empty())?;
    required(!suites.is_empty() && suites.len().is_multiple_of(2))?;
    // SSL 3.0 and early clients of TLS 1.0 have no extensions, not even an empty block.
    let extensions = if reader.0.is_empty() { &[] } else { reader.long()? };
    reader.end()?;
    let found = Found::read(extensions)?;
    Ok(ClientHello {
        server_name: found.server_name.map_or(Ok(ServerName::Absent), server_name)?,
        alpn: found.alpn.map_or(Ok(Alpn::default()), protocols)?,
        versions: found.versions.map_or_else(|| Ok(SmallVec::from_slice(&[legacy])), versions)?,
        has_ech: found.has_ech,
        handshake_length: HANDSHAKE_HEADER + gathered.body.len(),
        record_length: gathered.record_length,
    })
}

/// The extensions that are read.
#[derive(Default)]
struct Found<'a> {
    server_name: Option<&'a [u8]>,
    alpn: Option<&'a [u8]>,
    versions: Option<&'a [u8]>,
    has_ech: bool,
}

impl<'a> Found<'a> {
    fn read(extensions: &'a [u8]) -> Result<Self, Malformed> {
        let mut found = Self::default();
        let mut reader = Reader(extensions);
        while !reader.0.is_empty() {
            let kind = reader.pair()?;
            let content = reader.long()?;
            let place = match kind {
                SERVER_NAME => &mut found.server_name,
                ALPN => &mut found.alpn,
                SUPPORTED_VERSIONS => &mut found.versions,
                ENCRYPTED_CLIENT_HELLO | ENCRYPTED_SERVER_NAME => {
                    found.has_ech = true;
                    continue;
                }
                _ => continue,
            };
            if place.replace(content).is_some() {
                return Err(Malformed::Twice(kind));
            }
        }
        Ok(found)
    }
}

/// Reads a list of exactly one name (RFC 6066 section 3).
fn server_name(content: &[u8]) -> Result<ServerName, Malformed> {
    let mut outer = Reader(content);
    let mut list = Reader(outer.long()?);
    outer.end()?;
    let kind = list.byte()?;
    if kind != 0 {
        return Err(Malformed::NameKind(kind));
    }
    let name = list.long()?;
    if !list.0.is_empty() {
        return Err(Malformed::SeveralNames);
    }
    // Names are in ASCII here: what else would be mapped to another name is none.
    Ok(match Host::from_bytes(name) {
        Ok(host) if name.is_ascii() => ServerName::Host(host),
        _ => ServerName::Invalid(SmallVec::from_slice(name)),
    })
}

/// Reads a list of protocols, none of them empty (RFC 7301 section 3.1).
fn protocols(content: &[u8]) -> Result<Alpn, Malformed> {
    let mut outer = Reader(content);
    let wire = outer.long()?;
    outer.end()?;
    required(!wire.is_empty())?;
    let mut list = Reader(wire);
    while !list.0.is_empty() {
        required(!list.short()?.is_empty())?;
    }
    Ok(Alpn { wire: SmallVec::from_slice(wire) })
}

/// Reads a list of versions (RFC 8446 section 4.2.1), without those that mean nothing (RFC 8701).
fn versions(content: &[u8]) -> Result<SmallVec<[Version; 4]>, Malformed> {
    let mut outer = Reader(content);
    let mut list = Reader(outer.short()?);
    outer.end()?;
    required(!list.0.is_empty())?;
    let mut versions = SmallVec::new();
    while !list.0.is_empty() {
        let version = list.pair()?;
        if version & 0x0f0f != 0x0a0a || version >> 8 != version & 0xff {
            versions.push(Version(version));
        }
    }
    Ok(versions)
}
