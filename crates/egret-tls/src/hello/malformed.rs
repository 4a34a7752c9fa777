//! Why something that begins as TLS is no ClientHello.

/// What is wrong with the bytes. Each is something that a TLS server has to end the connection for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A hello in the format of SSL 2.0, even where it offers a later version (RFC 8446 appendix D.5).
    #[error("the client says hello as SSL 2.0 does, which no server may accept any more; use a newer client")]
    Ssl2,
    /// A record that holds no handshake, in front of the hello or in the middle of it.
    #[error("a TLS record of type {0} stands where the ClientHello should be")]
    RecordType(u8),
    /// A record whose version has another major number than 3.
    #[error("a TLS record of the ClientHello has an unknown version")]
    RecordVersion,
    /// A handshake record with nothing in it (RFC 8446 section 5.1).
    #[error("an empty TLS record stands in the ClientHello")]
    EmptyRecord,
    /// A record longer than any may be.
    #[error("a TLS record of {0} bytes; the longest may have 16384")]
    RecordTooLong(usize),
    /// The hello is split over more records than [`super::MAX_HELLO_RECORDS`].
    #[error("the ClientHello is split over more than {} TLS records", super::MAX_HELLO_RECORDS)]
    TooManyRecords,
    /// The hello is longer than [`super::MAX_HELLO_BYTES`].
    #[error("the ClientHello has {0} bytes; more than {max} are not read", max = super::MAX_HELLO_BYTES)]
    TooLong(usize),
    /// Another handshake message comes first.
    #[error("the first TLS handshake message is of type {0}, not a ClientHello")]
    MessageType(u8),
    /// More follows the hello in its record (RFC 8446 section 5.1).
    #[error("more follows the ClientHello in its TLS record")]
    AfterHello,
    /// The connection ends, or waits, in the middle of the hello.
    #[error("the ClientHello ends in the middle")]
    Truncated,
    /// A length inside points past the end, or leaves something over.
    #[error("the lengths inside the ClientHello do not agree")]
    Length,
    /// A field has a length that the protocol does not allow.
    #[error("a field of the ClientHello has a length that TLS does not allow")]
    Field,
    /// An extension that decides something comes twice (RFC 8446 section 4.2).
    #[error("extension {0} comes twice in the ClientHello")]
    Twice(u16),
    /// More than one server name (RFC 6066 section 3): whoever reads another of them than we do would be
    /// deceived about where the connection goes.
    #[error("the ClientHello has several server names; only one is allowed")]
    SeveralNames,
    /// A server name of a kind that does not exist.
    #[error("the ClientHello has a server name of an unknown kind, {0}")]
    NameKind(u8),
}
