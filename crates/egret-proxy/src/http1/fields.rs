//! Field lines: names, values, and the names that mean something to a proxy.

use super::{HeadLimits, ParseError};

/// The fields that the data path itself looks at; everything else is passed on unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FieldName {
    /// Any other field.
    Other,
    /// `Authorization`
    Authorization,
    /// `Connection`
    Connection,
    /// `Content-Length`
    ContentLength,
    /// `Expect`
    Expect,
    /// `Forwarded`
    Forwarded,
    /// `Host`
    Host,
    /// `HTTP2-Settings`
    Http2Settings,
    /// `Keep-Alive`
    KeepAlive,
    /// `Max-Forwards`
    MaxForwards,
    /// `Proxy-Authenticate`
    ProxyAuthenticate,
    /// `Proxy-Authentication-Info`
    ProxyAuthenticationInfo,
    /// `Proxy-Authorization`
    ProxyAuthorization,
    /// `Proxy-Connection`
    ProxyConnection,
    /// `Referer`
    Referer,
    /// `TE`
    Te,
    /// `Trailer`
    Trailer,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Traceparent`
    Traceparent,
    /// `Upgrade`
    Upgrade,
    /// `User-Agent`
    UserAgent,
    /// `Via`
    Via,
    /// `WWW-Authenticate`
    WwwAuthenticate,
    /// `X-Forwarded-For`
    XForwardedFor,
    /// `Accept`
    Accept,
}

impl FieldName {
    fn classify(name: &[u8]) -> Self {
        let (candidate, known): (&[u8], Self) = match name.len() {
            2 => (b"te", Self::Te),
            3 => (b"via", Self::Via),
            4 => (b"host", Self::Host),
            6 => match name[0] | 0x20 {
                b'e' => (b"expect", Self::Expect),
                _ => (b"accept", Self::Accept),
            },
            7 => match name[0] | 0x20 {
                b'u' => (b"upgrade", Self::Upgrade),
                b'r' => (b"referer", Self::Referer),
                _ => (b"trailer", Self::Trailer),
            },
            9 => (b"forwarded", Self::Forwarded),
            10 => match name[0] | 0x20 {
                b'c' => (b"connection", Self::Connection),
                b'u' => (b"user-agent", Self::UserAgent),
                _ => (b"keep-alive", Self::KeepAlive),
            },
            11 => (b"traceparent", Self::Traceparent),
            12 => (b"max-forwards", Self::MaxForwards),
            13 => (b"authorization", Self::Authorization),
            14 => match name[0] | 0x20 {
                b'c' => (b"content-length", Self::ContentLength),
                _ => (b"http2-settings", Self::Http2Settings),
            },
            15 => (b"x-forwarded-for", Self::XForwardedFor),
            16 => match name[0] | 0x20 {
                b'p' => (b"proxy-connection", Self::ProxyConnection),
                _ => (b"www-authenticate", Self::WwwAuthenticate),
            },
            17 => (b"transfer-encoding", Self::TransferEncoding),
            18 => (b"proxy-authenticate", Self::ProxyAuthenticate),
            19 => (b"proxy-authorization", Self::ProxyAuthorization),
            25 => (b"proxy-authentication-info", Self::ProxyAuthenticationInfo),
            _ => return Self::Other,
        };
        if name.eq_ignore_ascii_case(candidate) { known } else { Self::Other }
    }

    /// Fields that concern one connection and are never passed on (RFC 9110 section 7.6.1), whether
    /// or not `Connection` names them. `Transfer-Encoding` and `Upgrade` are handled where the
    /// message is written.
    #[must_use]
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::Http2Settings
                | Self::KeepAlive
                | Self::ProxyAuthenticate
                | Self::ProxyAuthenticationInfo
                | Self::ProxyAuthorization
                | Self::ProxyConnection
                | Self::Te
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }
}

/// What a trailer section may not have, besides the fields of one connection (RFC 9110 section 6.5.1).
const FORBIDDEN_IN_TRAILERS: &[&[u8]] = &[
    // Framing and routing.
    b"content-length",
    b"forwarded",
    b"host",
    b"trailer",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    // Authentication, and state that stands for it.
    b"authentication-info",
    b"authorization",
    b"cookie",
    b"set-cookie",
    b"www-authenticate",
    // What is asked for, and how.
    b"cache-control",
    b"expect",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"max-forwards",
    b"pragma",
    b"range",
    // What is done with a response.
    b"age",
    b"date",
    b"expires",
    b"location",
    b"retry-after",
    b"strict-transport-security",
    b"vary",
    b"warning",
    // How the content is read.
    b"content-encoding",
    b"content-range",
    b"content-type",
];

/// One field line, as positions in the buffer that holds the head.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Which field it is.
    pub name: FieldName,
    line: u32,
    name_end: u32,
    value: u32,
    value_end: u32,
}

impl Field {
    /// The name as it was sent.
    #[must_use]
    pub fn name_bytes<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        &head[self.line as usize..self.name_end as usize]
    }

    /// The value without the white space around it.
    #[must_use]
    pub fn value<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        &head[self.value as usize..self.value_end as usize]
    }

    /// Where the value stands, without the white space around it.
    #[must_use]
    pub fn value_range(&self) -> std::ops::Range<usize> {
        self.value as usize..self.value_end as usize
    }

    /// Whether it may not stand in a trailer section (RFC 9110 section 6.5.1): a recipient that merges it
    /// into the head would frame, route, authenticate or understand the message otherwise than whoever
    /// looked at the head alone.
    #[must_use]
    pub fn is_forbidden_in_trailers(&self, section: &[u8]) -> bool {
        let name = self.name_bytes(section);
        self.name.is_hop_by_hop()
            || FORBIDDEN_IN_TRAILERS.iter().any(|other| name.eq_ignore_ascii_case(other))
    }

    /// The whole line as it was sent, without CRLF but with the white space around the value.
    #[must_use]
    pub fn line<'a>(&self, head: &'a [u8]) -> &'a [u8] {
        &head[self.line as usize..self.value_end as usize]
    }
}

/// The fields of a message, in the order they were sent.
pub type Fields = Vec<Field>;

/// Bytes that a token may have (RFC 9110 section 5.6.2).
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        table[i] = byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        i += 1;
    }
    table
};

/// Whether these bytes are a token (RFC 9110 section 5.6.2).
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| TOKEN[*byte as usize])
}

/// Whether every byte may stand in a field value (RFC 9110 section 5.5): no control but HTAB.
#[must_use]
pub fn is_field_value(bytes: &[u8]) -> bool {
    // Written without branches, so that it becomes vector instructions.
    !bytes.iter().fold(false, |bad, &byte| bad | ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f))
}

/// White space at the ends removed (OWS, RFC 9110 section 5.6.3).
#[must_use]
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list (RFC 9110 section 5.6.1), empty ones left out. Not for
/// lists whose elements may hold quoted commas.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Reads field lines until the empty line.
///
/// `head` is the whole buffer; lines begin at `start`. Gives the position behind the empty line, or
/// `None` when it has not come yet. A line that is there is judged even if the end is not.
///
/// # Errors
/// What is wrong with the first line that is.
pub fn parse_fields(
    head: &[u8],
    start: usize,
    limits: &HeadLimits,
    fields: &mut Fields,
) -> Result<Option<usize>, ParseError> {
    let mut position = start;
    loop {
        let Some(length) = memchr::memchr(b'\n', &head[position..]) else {
            return Ok(None);
        };
        let line_end = position + length;
        if length == 0 || head[line_end - 1] != b'\r' {
            return Err(ParseError::BareLf);
        }
        if length == 1 {
            return Ok(Some(line_end + 1));
        }
        if fields.len() >= limits.fields {
            return Err(ParseError::TooManyFields);
        }
        fields.push(parse_field(head, position, line_end - 1)?);
        position = line_end + 1;
    }
}

fn parse_field(head: &[u8], start: usize, end: usize) -> Result<Field, ParseError> {
    let line = &head[start..end];
    if matches!(line[0], b' ' | b'\t') {
        return Err(ParseError::ObsFold);
    }
    let name_length = line.iter().position(|byte| !TOKEN[*byte as usize]).ok_or(ParseError::NoColon)?;
    if line[name_length] != b':' {
        return Err(match line[name_length] {
            b' ' | b'\t' if memchr::memchr(b':', line).is_some() => ParseError::SpaceBeforeColon,
            b'\r' => ParseError::BareCr,
            _ if memchr::memchr(b':', line).is_none() => ParseError::NoColon,
            _ => ParseError::FieldName,
        });
    }
    if name_length == 0 {
        return Err(ParseError::FieldName);
    }
    let raw = &line[name_length + 1..];
    if !is_field_value(raw) {
        return Err(if memchr::memchr(b'\r', raw).is_some() {
            ParseError::BareCr
        } else {
            ParseError::FieldValue
        });
    }
    let leading = raw.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let value = start + name_length + 1 + leading;
    let value_end = value + trim(&raw[leading..]).len();
    Ok(Field {
        name: FieldName::classify(&line[..name_length]),
        line: start as u32,
        name_end: (start + name_length) as u32,
        value: value as u32,
        value_end: value_end as u32,
    })
}
