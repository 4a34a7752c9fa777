//! What a filter consists of.

use ipnet::IpNet;

use super::{Glob, Pattern, Range};

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// Lets everything through.
    All,
    /// The contrary.
    Not(Box<Expr>),
    /// All of these; at least two, and none of them an `And`.
    And(Vec<Expr>),
    /// Any of these; at least two, and none of them an `Or`.
    Or(Vec<Expr>),
    /// One test.
    Test(Test),
}

/// One test.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// A regular expression finds something.
    Regex(Atom, Pattern),
    /// The flow is of a kind.
    Is(Flag),
    /// A text is as said.
    Text(TextField, TextMatch),
    /// A number is within a range.
    Number(NumberField, Range),
    /// An address is in a network.
    Net(NetField, IpNet),
    /// A header field is there, of one side or of either, and its value is as said.
    Header(Option<crate::flow::Side>, String, Option<Glob>),
}

/// How a text is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum TextMatch {
    /// The whole of it with a pattern of `*`.
    Glob(Glob),
    /// Any part of it with a regular expression.
    Regex(Pattern),
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal $(| $alias:literal)*,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
        }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As filters write it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The one of this name, or of another name that it has.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word $(| $alias)* => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// Where a regular expression looks: mitmproxy's letters after `~`.
    Atom {
        /// The URL.
        Url = "u",
        /// The host asked for.
        Domain = "d",
        /// The method.
        Method = "m",
        /// A line of a header, of either side.
        Header = "h",
        /// A line of the request's header.
        RequestHeader = "hq",
        /// A line of the response's header.
        ResponseHeader = "hs",
        /// A body, decoded, of either side; messages of a WebSocket too.
        Body = "b",
        /// The request's body.
        RequestBody = "bq",
        /// The response's body.
        ResponseBody = "bs",
        /// The content type, of either side.
        Type = "t",
        /// The request's content type.
        RequestType = "tq",
        /// The response's content type.
        ResponseType = "ts",
        /// The client's address and port.
        Source = "src",
        /// The destination, and the address that was dialled.
        Destination = "dst",
        /// The comment.
        Comment = "comment",
        /// The mark.
        Marker = "marker",
        /// Identity, policy, rule, reason and tags.
        Meta = "meta",
    }
}

words! {
    /// A kind of flow: after `is:`, and some of mitmproxy's letters.
    Flag {
        /// It failed or was refused (`~e`).
        Error = "error" | "failed",
        /// Policy refused it.
        Refused = "refused",
        /// It is over, and nothing went wrong.
        Complete = "complete",
        /// A request without a response yet (`~q`).
        Waiting = "waiting",
        /// It has a response (`~s`).
        Answered = "answered",
        /// The response is a script, a style sheet, an image or a font (`~a`).
        Asset = "asset",
        /// HTTP that was seen (`~http`).
        Http = "http",
        /// A tunnel, unseen (`~tcp`).
        Tunnel = "tunnel" | "tcp",
        /// Datagrams (`~udp`).
        Udp = "udp",
        /// A WebSocket (`~websocket`).
        WebSocket = "websocket",
        /// gRPC.
        Grpc = "grpc",
        /// Server-sent events.
        Events = "events",
        /// A TLS handshake that failed before there was any request.
        Handshake = "handshake",
        /// It bears a mark (`~marked`).
        Marked = "marked",
        /// Somebody wrote about it.
        Commented = "commented",
        /// It repeats another (`~replay`).
        Replay = "replay",
        /// A change rule touched it, or somebody changed it at a breakpoint.
        Changed = "changed",
        /// It goes on.
        Active = "active" | "open",
        /// Not all of it was captured.
        Truncated = "truncated",
        /// Something of it was captured.
        Captured = "captured",
        /// A policy in mode `Audit` would have refused it.
        Audited = "audited" | "audit",
    }
}

words! {
    /// A text of a flow.
    TextField {
        /// The host asked for.
        Host = "host" | "domain",
        /// The URL.
        Url = "url",
        /// Path and query.
        Path = "path",
        /// The method.
        Method = "method",
        /// `http` or `https`.
        Scheme = "scheme",
        /// The protocol of either side: `HTTP/2`.
        Protocol = "protocol",
        /// The name that stands for the client.
        Identity = "identity" | "user",
        /// How the client was proven to be who it is.
        Proof = "proof",
        /// The namespace.
        Namespace = "namespace",
        /// The service account.
        ServiceAccount = "service-account",
        /// The pod.
        Pod = "pod",
        /// A group of the user.
        Group = "group",
        /// The policy that decided.
        Policy = "policy",
        /// The rule that decided.
        Rule = "rule",
        /// The policy and rule, in mode `Audit`, that would have refused it.
        Audit = "audit",
        /// The reason code.
        Reason = "reason",
        /// Who has to act.
        Blame = "blame",
        /// Tunnel, forward, intercept, local.
        Treatment = "treatment",
        /// None, headers, bodies.
        Capture = "capture",
        /// The client's address.
        Client = "client" | "source",
        /// The address dialled.
        Address = "address" | "dialled",
        /// `host:port` asked for.
        Destination = "destination",
        /// The parent group.
        Parent = "parent",
        /// A content type.
        Type = "type",
        /// The name in the ClientHello of either side.
        Sni = "sni",
        /// What ALPN chose on either side.
        Alpn = "alpn",
        /// The version of TLS on either side.
        Tls = "tls",
        /// A tag.
        Tag = "tag",
        /// The mark.
        Mark = "mark",
        /// A change rule that touched it.
        Change = "change",
        /// The comment.
        Comment = "comment",
        /// The id, or that of its tunnel.
        Id = "id",
    }
}

words! {
    /// A number of a flow.
    NumberField {
        /// The status sent to the client.
        Status = "status" | "code",
        /// The port asked for.
        Port = "port",
        /// Bytes both ways.
        Bytes = "bytes",
        /// Bytes from the client.
        BytesUp = "bytes-up" | "up",
        /// Bytes to the client.
        BytesDown = "bytes-down" | "down",
        /// How long it took in all.
        Time = "time" | "duration",
        /// How long the first byte of the response took.
        FirstByte = "first-byte" | "ttfb",
        /// How long ago it began.
        Age = "age",
        /// Messages of a WebSocket.
        Messages = "messages",
    }
}

words! {
    /// An address of a flow.
    NetField {
        /// The client's.
        Client = "client" | "source",
        /// The one dialled.
        Address = "address" | "dialled",
    }
}

/// The cost at which a test reads bodies.
pub(super) const COST_OF_BODIES: u32 = 1000;

impl Expr {
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::All => 0,
            Self::Not(inner) => inner.cost(),
            Self::And(all) | Self::Or(all) => all.iter().map(Self::cost).max().unwrap_or(0),
            Self::Test(Test::Regex(Atom::Body | Atom::RequestBody | Atom::ResponseBody, _)) => COST_OF_BODIES,
            Self::Test(Test::Regex(..) | Test::Text(_, TextMatch::Regex(_))) => 20,
            Self::Test(Test::Header(..)) => 10,
            Self::Test(Test::Text(TextField::Url | TextField::Id, _)) => 5,
            Self::Test(_) => 1,
        }
    }

    /// The same, with what is cheap to test first wherever the order does not matter.
    pub(super) fn cheap_first(self) -> Self {
        let sorted = |all: Vec<Self>| {
            let mut all: Vec<Self> = all.into_iter().map(Self::cheap_first).collect();
            all.sort_by_key(Self::cost);
            all
        };
        match self {
            Self::And(all) => Self::And(sorted(all)),
            Self::Or(all) => Self::Or(sorted(all)),
            Self::Not(inner) => Self::Not(Box::new(inner.cheap_first())),
            same => same,
        }
    }
}
