//! Which protocol comes next? One table, asked when a connection begins.

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// HTTP/1, or something that its parser will refuse in good words.
    Http1,
    /// HTTP/2 with prior knowledge (RFC 9113 section 3.4).
    Http2,
    /// A TLS handshake (RFC 8446 section 5.1).
    Tls,
    /// SOCKS, version 4 or 5 (RFC 1928).
    Socks(u8),
    /// More bytes are needed to tell.
    More,
}

/// The preface of an HTTP/2 connection.
pub const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Tells the protocol by its first bytes. Never gives up: it asks for more, or answers.
#[must_use]
pub fn first(bytes: &[u8]) -> First {
    match bytes {
        [] => First::More,
        [0x16, 0x03, ..] => First::Tls,
        [0x16] => First::More,
        [version @ (4 | 5), ..] => First::Socks(*version),
        _ if bytes.starts_with(HTTP2_PREFACE) => First::Http2,
        // `PRI` is nobody's method but this preface's, so waiting for all of it harms no one.
        _ if HTTP2_PREFACE.starts_with(bytes) => First::More,
        _ => First::Http1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_protocols_by_their_first_bytes() {
        let table: &[(&[u8], First)] = &[
            (b"", First::More),
            (b"P", First::More),
            (b"PR", First::More),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", First::More),
            (HTTP2_PREFACE, First::Http2),
            (b"PO", First::Http1),
            (b"GET / HTTP/1.1", First::Http1),
            (b"\x16", First::More),
            (b"\x16\x03\x01", First::Tls),
            (b"\x16\x00", First::Http1),
            (b"\x05\x01\x00", First::Socks(5)),
            (b"\x04\x01", First::Socks(4)),
            (b"\r\nGET", First::Http1),
        ];
        for (bytes, expected) in table {
            assert_eq!(first(bytes), *expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
