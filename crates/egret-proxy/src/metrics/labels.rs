//! What metrics are told apart by. Every label has a fixed set of values, so the number of time
//! series is bounded whatever clients send.

use egret_core::record::MethodName;

macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$what])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// How many values there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The value as metrics show it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }

            /// A dense index for tables of counters.
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// A request method, or OTHER for one that not everybody knows.
    MethodClass {
        /// GET.
        Get = "GET",
        /// HEAD.
        Head = "HEAD",
        /// POST.
        Post = "POST",
        /// PUT.
        Put = "PUT",
        /// DELETE.
        Delete = "DELETE",
        /// CONNECT.
        Connect = "CONNECT",
        /// OPTIONS.
        Options = "OPTIONS",
        /// TRACE.
        Trace = "TRACE",
        /// PATCH.
        Patch = "PATCH",
        /// Datagrams to one destination, asked for by SOCKS5.
        Udp = "UDP",
        /// The connection that datagrams are asked for with.
        UdpAssociate = "UDP-ASSOCIATE",
        /// Any other method.
        Other = "OTHER",
        /// No method could be read.
        None = "NONE",
    }
}

impl MethodClass {
    /// The class of a method.
    #[must_use]
    pub fn of(method: &MethodName) -> Self {
        match method {
            MethodName::None => Self::None,
            MethodName::Other(_) => Self::Other,
            MethodName::Known(name) => {
                Self::ALL.iter().copied().find(|class| class.as_str() == *name).unwrap_or(Self::Other)
            }
        }
    }
}

label! {
    /// The first digit of the status sent to the client.
    StatusClass {
        /// No status was sent.
        None = "none",
        /// Informational; in the end only 101.
        Informational = "1xx",
        /// Success.
        Success = "2xx",
        /// Redirection.
        Redirection = "3xx",
        /// Client error.
        ClientError = "4xx",
        /// Server error.
        ServerError = "5xx",
        /// A number that is no HTTP status, passed on from an origin.
        Other = "other",
    }
}

impl StatusClass {
    /// The class of a status, 0 for none sent.
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status {
            0 => Self::None,
            100..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::Other,
        }
    }
}

label! {
    /// A phase of a flow that is timed.
    Phase {
        /// Resolving the name.
        Dns = "dns",
        /// Connecting to the upstream.
        Connect = "connect",
        /// The TLS handshake with the upstream.
        Tls = "tls",
        /// The TLS handshake with the client.
        ClientTls = "client_tls",
        /// From the request's arrival to the first byte of the response.
        FirstByte = "first_byte",
        /// From the request's arrival to the end.
        Total = "total",
    }
}

label! {
    /// A limit that can be struck.
    Limit {
        /// `limits.connections`.
        Connections = "connections",
        /// `limits.connectionsPerClient`.
        ConnectionsPerClient = "connections_per_client",
        /// `limits.headBytes`.
        HeadBytes = "head_bytes",
        /// `limits.headFields`.
        HeadFields = "head_fields",
        /// `limits.targetBytes`.
        TargetBytes = "target_bytes",
        /// `limits.bodyRateFloor`.
        BodyRateFloor = "body_rate_floor",
        /// `limits.h2Streams`.
        H2Streams = "h2_streams",
        /// SETTINGS, PING, PRIORITY and unknown frames on one HTTP/2 connection.
        H2IdleFrames = "h2_idle_frames",
        /// `socks.udpAssociations`.
        UdpAssociations = "udp_associations",
        /// `socks.udpDestinations`.
        UdpDestinations = "udp_destinations",
        /// `authentication.checks`.
        CredentialChecks = "credential_checks",
        /// `authentication.backoff.failures`.
        LoginFailures = "login_failures",
        /// `authentication.backoff.clients`.
        LoginClients = "login_clients",
        /// `authentication.maxGroups`.
        Groups = "groups",
        /// `limits.handshakes`.
        Handshakes = "handshakes",
        /// `limits.workloadNames`.
        WorkloadNames = "workload_names",
        /// `limits.clientNames`.
        ClientNames = "client_names",
        /// `limits.policyRules`.
        PolicyRules = "policy_rules",
        /// `limits.rateLimitEntries`.
        RateLimitEntries = "rate_limit_entries",
        /// `limits.heldFlows`.
        HeldFlows = "held_flows",
        /// `limits.heldBodyBytes`.
        HeldBodyBytes = "held_body_bytes",
        /// How long a breakpoint holds.
        HeldTime = "held_time",
        /// `limits.replays`.
        Replays = "replays",
        /// Origins of tunnels that are looked into, as they are remembered.
        MetOrigins = "met_origins",
        /// Origins that clients spoke HTTP/2 with, as one worker remembers them.
        Http2Origins = "http2_origins",
        /// Clients and hosts whose rejections of a certificate are remembered.
        Rejections = "interception_rejections",
        /// Configurations of TLS with origins.
        UpstreamTlsConfigurations = "upstream_tls_configurations",
        /// Accepting was paused.
        AcceptPaused = "accept_paused",
        /// No file descriptors were left.
        Descriptors = "descriptors",
    }
}

label! {
    /// What happened with a kept upstream connection.
    PoolEvent {
        /// A kept connection was used.
        Hit = "hit",
        /// None was there; a new one was made.
        Miss = "miss",
        /// A kept connection turned out to be closed.
        Stale = "stale",
        /// A request was sent again on a new connection after a stale one.
        Retry = "retry",
        /// A connection was put away for later use.
        Kept = "kept",
        /// A connection left the pool: used, closed or too old.
        Released = "released",
    }
}

label! {
    /// How credentials were sent.
    CredentialMethod {
        /// Not at all, or in no way that is known.
        None = "none",
        /// User name and password.
        Basic = "basic",
        /// A token.
        Bearer = "bearer",
    }
}

label! {
    /// What was found out about credentials.
    CredentialResult {
        /// A check found them good.
        Accepted = "accepted",
        /// They were found good lately.
        Remembered = "remembered",
        /// They are wrong.
        Refused = "refused",
        /// They are good, but this user may not use the proxy.
        NotAllowed = "not_allowed",
        /// They cannot be read.
        Malformed = "malformed",
        /// They were wanted, and there are none that are taken here.
        Missing = "missing",
        /// Not checked, because this client's address failed too often.
        Blocked = "blocked",
        /// They could not be checked.
        Unavailable = "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_fall_into_a_fixed_set() {
        for name in ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] {
            assert_eq!(MethodClass::of(&MethodName::new(name)).as_str(), name);
        }
        assert_eq!(MethodClass::of(&MethodName::new("get")), MethodClass::Other);
        assert_eq!(MethodClass::of(&MethodName::new("PROPFIND")), MethodClass::Other);
        assert_eq!(MethodClass::of(&MethodName::None), MethodClass::None);
    }

    #[test]
    fn every_status_has_a_class() {
        let table = [(0, "none"), (101, "1xx"), (204, "2xx"), (499, "4xx"), (599, "5xx"), (600, "other")];
        for (status, class) in table {
            assert_eq!(StatusClass::of(status).as_str(), class);
        }
    }
}
