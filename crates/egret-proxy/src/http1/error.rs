//! What can be wrong with a message, each with the rule that it breaks.

use egret_core::reason::Reason;

macro_rules! parse_errors {
    ($($variant:ident $kind:ident $text:literal;)+) => {
        /// Why bytes are not a message that Egret passes on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ParseError {
            $(#[doc = $text] $variant,)+
        }

        impl ParseError {
            fn kind(self) -> Kind {
                match self {
                    $(Self::$variant => Kind::$kind,)+
                }
            }

            /// What is wrong, with the rule of the RFC.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

#[derive(Clone, Copy)]
enum Kind {
    Malformed,
    Ambiguous,
    TooLarge,
    TargetTooLong,
    Version,
    Scheme,
}

parse_errors! {
    BareLf Malformed "a line ends with LF alone (RFC 9112 section 2.2)";
    BareCr Malformed "a CR that is not followed by LF (RFC 9112 section 2.2)";
    RequestLine Malformed "the request line is not method, one space, target, one space, version (RFC 9112 section 3)";
    Method Malformed "the method is not a token (RFC 9110 section 9.1)";
    Target Malformed "the request target has a character that no target may have (RFC 9112 section 3.2)";
    TargetForm Malformed "the request target is of no form that goes with the method (RFC 9112 section 3.2)";
    TargetHost Malformed "the host or port in the request target is not valid (RFC 3986 section 3.2)";
    UserInfo Malformed "the request target has user information in front of the host (RFC 9110 section 4.2.4)";
    Scheme Scheme "the scheme of the request target is neither http nor https";
    Version Version "the version is not HTTP/1.0 or HTTP/1.1 (RFC 9112 section 2.3)";
    VersionSyntax Malformed "the version is not HTTP-name, slash, digit, dot, digit (RFC 9112 section 2.3)";
    StatusLine Malformed "the status line is not version, space, three digits, space, reason (RFC 9112 section 4)";
    FieldName Malformed "a field name is empty or not a token (RFC 9110 section 5.1)";
    SpaceBeforeColon Malformed "white space stands between a field name and the colon (RFC 9112 section 5.1)";
    ObsFold Malformed "a field line is folded or begins with white space (RFC 9112 section 5.2)";
    NoColon Malformed "a field line has no colon (RFC 9112 section 5)";
    FieldValue Malformed "a field value has a control character (RFC 9110 section 5.5)";
    HostMissing Malformed "an HTTP/1.1 request has no Host (RFC 9112 section 3.2)";
    HostTwice Malformed "Host stands more than once (RFC 9112 section 3.2)";
    HostInvalid Malformed "Host is not a valid host and port (RFC 9110 section 7.2)";
    HostContradicts Malformed "Host names another destination than the request target (RFC 9112 section 3.2.2)";
    ConnectBody Ambiguous "a CONNECT request has a body (RFC 9110 section 9.3.6)";
    LengthInvalid Ambiguous "Content-Length is not a plain number (RFC 9110 section 8.6)";
    LengthTwice Ambiguous "Content-Length stands more than once (RFC 9112 section 6.3)";
    LengthAndEncoding Ambiguous "both Content-Length and Transfer-Encoding stand (RFC 9112 section 6.3)";
    EncodingOnHttp10 Ambiguous "Transfer-Encoding in an HTTP/1.0 message (RFC 9112 section 6.1)";
    EncodingUnknown Ambiguous "Transfer-Encoding is something other than chunked, once (RFC 9112 section 6.1)";
    ChunkSize Ambiguous "a chunk size is not a hexadecimal number that fits (RFC 9112 section 7.1)";
    ChunkExtension Ambiguous "a chunk extension is malformed or too long (RFC 9112 section 7.1.1)";
    ChunkEnd Ambiguous "chunk data is not followed by CRLF (RFC 9112 section 7.1)";
    HeadTooLarge TooLarge "the head is larger than limits.headBytes";
    TooManyFields TooLarge "the head has more fields than limits.headFields";
    TargetTooLong TargetTooLong "the request target is longer than limits.targetBytes";
    TrailersTooLarge TooLarge "the trailer section is too large";
    MaxForwards Malformed "Max-Forwards is not a number (RFC 9110 section 7.6.2)";
    Expectation Malformed "Expect names something other than 100-continue (RFC 9110 section 10.1.1)";
    UpgradeResponse Malformed "a 101 response that nobody asked for, or with another protocol (RFC 9110 section 7.8)";
    InterimFlood Malformed "too many interim responses";
    TruncatedHead Malformed "the connection ended within a head";
}

impl ParseError {
    /// The reason code when a client sent it.
    #[must_use]
    pub fn request_reason(self) -> Reason {
        match self.kind() {
            Kind::Malformed => Reason::MalformedRequest,
            Kind::Ambiguous => Reason::AmbiguousFraming,
            Kind::TooLarge => Reason::HeadTooLarge,
            Kind::TargetTooLong => Reason::UriTooLong,
            Kind::Version => Reason::HttpVersion,
            Kind::Scheme => Reason::SchemeUnsupported,
        }
    }

    /// The reason code when an upstream sent it.
    #[must_use]
    pub fn response_reason(self) -> Reason {
        match self.kind() {
            Kind::Ambiguous => Reason::AmbiguousResponse,
            Kind::TooLarge | Kind::TargetTooLong => Reason::ResponseHeadTooLarge,
            Kind::Malformed | Kind::Version | Kind::Scheme => Reason::MalformedResponse,
        }
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.describe())
    }
}

impl std::error::Error for ParseError {}
