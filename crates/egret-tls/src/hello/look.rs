//! What bytes that are no TLS look like.

/// The most bytes that are needed to tell what something looks like.
pub const LOOK_BYTES: usize = 32;

/// What a client that speaks no TLS seems to speak. A guess by the first bytes, made to choose a treatment and
/// to say something useful; not a promise that the rest is as the protocol has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    /// An HTTP/1 request.
    Http1,
    /// HTTP/2 with prior knowledge (RFC 9113 section 3.4).
    Http2,
    /// SSH (RFC 4253 section 4.2).
    Ssh,
    /// Mail: SMTP (RFC 5321) or LMTP, where TLS begins after a few lines if at all (STARTTLS).
    Smtp,
    /// PostgreSQL, where TLS begins after the server has agreed to it.
    Postgres,
    /// Nothing has come: the client waits for the server to speak first, as with SMTP, FTP, IMAP and MySQL.
    Silence,
    /// Something else.
    Unknown,
}

impl Look {
    /// A word for records, metrics and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http",
            Self::Http2 => "http2",
            Self::Ssh => "ssh",
            Self::Smtp => "smtp",
            Self::Postgres => "postgres",
            Self::Silence => "silence",
            Self::Unknown => "unknown",
        }
    }
}

/// What can be said about bytes that begin no TLS record.
pub(super) enum Seen {
    Short,
    Ssl2,
    Look(Look),
}

/// Beginnings that say it all.
const BEGINNINGS: &[(&[u8], Look)] = &[
    (b"SSH-", Look::Ssh),
    (b"PRI * HTTP/2.0\r\n", Look::Http2),
    (b"EHLO ", Look::Smtp),
    (b"HELO ", Look::Smtp),
    (b"LHLO ", Look::Smtp),
    // SSLRequest, GSSENCRequest and CancelRequest of PostgreSQL.
    (b"\0\0\0\x08\x04\xd2\x16\x2f", Look::Postgres),
    (b"\0\0\0\x08\x04\xd2\x16\x30", Look::Postgres),
];

/// What follows the method of an HTTP request.
const TARGETS: &[&[u8]] = &[b"/", b"*", b"http://", b"https://"];

/// The longest method that is taken for one.
const MAX_METHOD: usize = LOOK_BYTES - 9;

/// Looks at bytes that are not empty and begin no TLS record.
pub(super) fn at(bytes: &[u8]) -> Seen {
    if bytes[0] & 0x80 != 0 {
        return ssl2(bytes);
    }
    let begun = BEGINNINGS.iter().find(|(beginning, _)| agrees(bytes, beginning));
    match (begun, request(bytes)) {
        (Some((beginning, look)), _) if bytes.len() >= beginning.len() => Seen::Look(*look),
        (Some(_), _) | (None, None) => Seen::Short,
        (None, Some(true)) => Seen::Look(Look::Http1),
        (None, Some(false)) => Seen::Look(Look::Unknown),
    }
}

/// Whether one of them begins with the other, whatever the case.
fn agrees(bytes: &[u8], beginning: &[u8]) -> bool {
    let common = bytes.len().min(beginning.len());
    bytes[..common].eq_ignore_ascii_case(&beginning[..common])
}

/// Whether it is the beginning of an HTTP request line. `None` when that is not decided yet.
fn request(bytes: &[u8]) -> Option<bool> {
    // A client may begin with an empty line (RFC 9112 section 2.2).
    let line = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    if line.is_empty() || line == b"\r" {
        return None;
    }
    let method = line.iter().take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    if method > MAX_METHOD {
        return Some(false);
    }
    match line[method..].split_first() {
        None => None,
        Some((b' ', _)) if method == 0 => Some(false),
        Some((b' ', [])) => None,
        Some((b' ', [first, ..])) if line.starts_with(b"CONNECT ") => Some(first.is_ascii_graphic()),
        Some((b' ', target)) => match TARGETS.iter().find(|beginning| agrees(target, beginning)) {
            Some(beginning) if target.len() >= beginning.len() => Some(true),
            // `https://` agrees as long as `http://` does.
            Some(_) => None,
            None => Some(false),
        },
        Some(_) => Some(false),
    }
}

/// Tells the hello of SSL 2.0: a length with the highest bit set, type 1, a version.
fn ssl2(bytes: &[u8]) -> Seen {
    match bytes {
        [_] | [_, _] | [_, _, 1] | [_, _, 1, 0 | 3] => Seen::Short,
        [_, _, 1, 0, 2, ..] | [_, _, 1, 3, 0..=4, ..] => Seen::Ssl2,
        _ => Seen::Look(Look::Unknown),
    }
}
