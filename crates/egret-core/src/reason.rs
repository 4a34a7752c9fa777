//! The reason codes: one name for each way a flow can end other than well.
//!
//! The refusal a client reads, the access record, the metric and the documentation all use the same
//! code (invariant 5). Codes are part of the public interface: they are added, never renamed.

/// Who has to act for the flow to succeed next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The client sent something that cannot be served as it stands.
    Client,
    /// The origin, a parent proxy, or the name service did not do its part.
    Upstream,
    /// A rule, or the built-in guard, said no.
    Policy,
    /// Egret itself: a limit was reached, it is draining, or it is at fault.
    Egret,
}

impl Blame {
    /// The word used in records and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Policy => "policy",
            Self::Egret => "egret",
        }
    }
}

/// Everything that is known about one reason code.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The code as it stands in replies, records, metrics and docs, in kebab case.
    pub code: &'static str,
    /// The HTTP status a refusal with this code carries.
    pub status: u16,
    /// Who has to act.
    pub blame: Blame,
    /// The error type for `Proxy-Status` (RFC 9209 section 2.3).
    pub proxy_error: &'static str,
    /// What happened, as one sentence.
    pub what: &'static str,
    /// What to try next, as one sentence.
    pub advice: &'static str,
}

macro_rules! reasons {
    ($($variant:ident = $code:literal, $status:literal, $blame:ident, $proxy_error:literal, $what:literal, $advice:literal;)+) => {
        /// Why a flow was refused, failed or was ended early.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $what] $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant),+];

            /// What is known about this reason.
            #[must_use]
            pub const fn facts(self) -> &'static Facts {
                match self {
                    $(Reason::$variant => &Facts {
                        code: $code,
                        status: $status,
                        blame: Blame::$blame,
                        proxy_error: $proxy_error,
                        what: $what,
                        advice: $advice,
                    },)+
                }
            }
        }
    };
}

reasons! {
    MalformedRequest = "malformed-request", 400, Client, "http_request_error",
        "The request is not valid HTTP.",
        "Look at the detail: it names the rule of RFC 9112 that was broken. If the client is well known, capture the request bytes and report it.";
    AmbiguousFraming = "ambiguous-framing", 400, Client, "http_request_error",
        "The length of the request body can be read in more than one way, which is how requests are smuggled.",
        "Send either one Content-Length or Transfer-Encoding: chunked, never both and never twice.";
    HeadTooLarge = "head-too-large", 431, Client, "http_request_error",
        "The request line and headers are larger than the limit `limits.headBytes` or have more fields than `limits.headFields`.",
        "Send fewer or smaller headers (cookies are the usual cause), or raise the limit.";
    UriTooLong = "uri-too-long", 414, Client, "http_request_error",
        "The request target is longer than the limit `limits.targetBytes`.",
        "Shorten the URL, or raise the limit.";
    RequestTimeout = "request-timeout", 408, Client, "connection_timeout",
        "The client did not send its request in time (`timeouts.head`, `limits.bodyRateFloor`).",
        "Look at the network between client and proxy; a client that sends this slowly is usually stuck or hostile.";
    HttpVersion = "http-version-unsupported", 505, Client, "http_request_error",
        "The request is of an HTTP version that this listener does not speak.",
        "Use HTTP/1.1, HTTP/1.0, or HTTP/2 with prior knowledge.";
    MethodUnsupported = "method-unsupported", 501, Client, "http_request_error",
        "The method cannot be served here.",
        "Use another method, or send the request to an origin through the proxy.";
    SchemeUnsupported = "scheme-unsupported", 400, Client, "http_request_error",
        "The URL's scheme is not one that Egret forwards.",
        "Use http:// or https:// URLs; for other protocols use CONNECT.";
    NotAProxyRequest = "not-a-proxy-request", 400, Client, "http_request_error",
        "The request names a path and no origin, so it was addressed to the proxy itself, which has nothing there.",
        "Configure this address as a proxy (curl -x, HTTP_PROXY) and do not open it as a web site.";
    TlsToPlainPort = "tls-to-plain-port", 400, Client, "tls_protocol_error",
        "The client began a TLS handshake on a port that speaks plain HTTP.",
        "Use http:// as the scheme of the proxy's URL, also for https:// destinations.";
    PlainToTlsPort = "plain-to-tls-port", 400, Client, "tls_protocol_error",
        "The client sent plain HTTP to a port that speaks TLS.",
        "Use https:// as the scheme of the proxy's URL, and give the client the CA that signed the proxy's certificate.";
    ClientTlsFailed = "client-tls-failed", 400, Client, "tls_protocol_error",
        "The TLS handshake with the client failed.",
        "The detail says what was wrong: no version or cipher in common, or bytes that are not TLS.";
    ClientTlsTimeout = "client-tls-timeout", 408, Client, "connection_timeout",
        "The client did not complete its TLS handshake in time (`timeouts.clientTLS`).",
        "Look at the network between client and proxy; a client that connects and says nothing is usually a probe, stuck or hostile.";
    ProxyCertificateRejected = "proxy-certificate-rejected", 400, Client, "tls_certificate_error",
        "The client does not accept the proxy's certificate and ended the TLS handshake.",
        "Give the client the CA that signed it (curl: --proxy-cacert), and use a name of the proxy that stands in the certificate. The detail has the client's own alert.";
    ClientCertificateMissing = "client-certificate-missing", 400, Client, "tls_certificate_error",
        "The listener wants a client certificate and the client sent none.",
        "Give the client its certificate and key (curl: --proxy-cert and --proxy-key). Go, Java and others send none when theirs is of a CA that the listener does not name.";
    ClientCertificateUnknownCa = "client-certificate-unknown-ca", 400, Client, "tls_certificate_error",
        "The client's certificate is signed by a CA that the listener does not trust.",
        "Use a certificate of the right CA, or add the CA to `clientCA`. A client also has to send the intermediate certificates.";
    ClientCertificateExpired = "client-certificate-expired", 400, Client, "tls_certificate_error",
        "The client's certificate has expired.",
        "Renew it, and have the client load the new one; check the clocks if it should still be valid.";
    ClientCertificateNotYetValid = "client-certificate-not-yet-valid", 400, Client, "tls_certificate_error",
        "The client's certificate is not valid yet.",
        "Check the clocks of the proxy and of whoever made the certificate.";
    ClientCertificateRevoked = "client-certificate-revoked", 403, Policy, "tls_certificate_error",
        "The client's certificate was revoked: it stands in a list of `crl`.",
        "Get a new certificate.";
    ClientCertificatePurpose = "client-certificate-purpose", 400, Client, "tls_certificate_error",
        "The client's certificate is not for client authentication (extended key usage).",
        "Use a client certificate: one with clientAuth in its extended key usage, not a server's.";
    ClientCertificateName = "client-certificate-name", 403, Policy, "tls_certificate_error",
        "The client's certificate is good, but none of its names is allowed here (`allowedClients`).",
        "Ask whoever runs the proxy to allow the name; the detail has the names of the certificate.";
    ClientCertificateInvalid = "client-certificate-invalid", 400, Client, "tls_certificate_error",
        "The client's certificate cannot be used.",
        "The detail says what is wrong with it, or with the revocation list that it was looked up in.";
    InterceptionRejected = "interception-rejected", 400, Client, "tls_certificate_error",
        "The client does not accept the certificate that the proxy made for the destination, so what it sends cannot be looked into.",
        "Give the client the interception CA (`egret ca export`), or leave the host closed with `tls: Tunnel`. The detail has the client's own alert.";
    TlsExpected = "tls-expected", 400, Client, "tls_protocol_error",
        "The tunnel was to be looked into, and the client does not speak TLS in it.",
        "The detail says what it speaks. Use TLS, or have the rule that allows the destination say `tls: Tunnel`.";
    Misdirected = "misdirected-request", 421, Client, "http_request_error",
        "The request names another host than the tunnel that it came through.",
        "Send it over a connection of its own; clients that share connections between hosts try again by themselves.";
    CannotMint = "cannot-intercept", 502, Egret, "proxy_internal_error",
        "The proxy cannot make a certificate for the destination, so what is sent cannot be looked into.",
        "The detail says why: the interception CA may not sign for the host, or has ended.";
    UnknownProtocol = "unknown-protocol", 400, Client, "http_request_error",
        "The first bytes of the connection are of no protocol that this listener speaks.",
        "Check that the client is configured for an HTTP proxy on this port.";
    ClientAborted = "client-aborted", 499, Client, "connection_terminated",
        "The client went away before the flow was complete.",
        "Look at the client's own timeout and log.";
    LoopDetected = "loop-detected", 508, Egret, "proxy_loop_detected",
        "The request came back to the same proxy.",
        "Check the parent proxies and the address of the destination: one of them leads back here.";
    MaxForwards = "max-forwards-exhausted", 502, Client, "http_request_denied",
        "Max-Forwards reached zero here.",
        "Raise Max-Forwards.";
    DeniedByRule = "denied-by-rule", 403, Policy, "http_request_denied",
        "A rule of the proxy's configuration denies this destination.",
        "Ask whoever runs the proxy to allow it; name the rule and the flow id.";
    DeniedByDefault = "denied-by-default", 403, Policy, "http_request_denied",
        "No rule of the proxy's configuration allows this destination.",
        "Ask whoever runs the proxy to allow it; name the destination and the flow id.";
    SniMismatch = "sni-mismatch", 403, Policy, "http_request_denied",
        "The TLS hello inside the tunnel names another host than the one that the tunnel was asked for (domain fronting).",
        "Ask the proxy for the host that is meant. If another name is needed there, whoever runs the proxy can say `tls: {serverName: Any}` in the rule.";
    TlsVersionTooLow = "tls-version-too-low", 403, Policy, "tls_protocol_error",
        "The client offers no version of TLS that the rule accepts (`tls.minVersion`).",
        "Use a client that speaks a later version of TLS, or have the rule changed.";
    ClientHelloMalformed = "client-hello-malformed", 403, Policy, "tls_protocol_error",
        "What the client sent through the tunnel begins as TLS and is no valid hello, so nobody can tell whom it is for.",
        "The detail says what is wrong with it. If the client is well known, capture the bytes and report it.";
    BodyTooLarge = "body-too-large", 413, Policy, "http_request_denied",
        "The request's body is longer than the rule allows (`http.maxBodyBytes`).",
        "Send less at once, or ask whoever runs the proxy for more; name the rule and the flow id.";
    RateLimited = "rate-limited", 429, Policy, "http_request_denied",
        "The client does more than the rule allows it (`rateLimit`).",
        "Try again after the time in Retry-After, or ask whoever runs the proxy for more; name the rule and the flow id.";
    DeniedByGuard = "denied-by-guard", 403, Policy, "destination_ip_prohibited",
        "The destination is an address that the built-in guard protects (loopback, link-local, metadata, multicast, or the proxy itself).",
        "If the destination is meant to be reached, add it to `guard.allow`.";
    BlockedByChangeRule = "blocked-by-change-rule", 403, Policy, "http_request_denied",
        "A change rule blocks this request. Change rules are there for debugging.",
        "The detail names the rule. It stands in the console under Changes, or in the configuration under `changes`: switch it off there.";
    DroppedAtBreakpoint = "dropped-at-breakpoint", 403, Policy, "http_request_denied",
        "It was held at a breakpoint, and dropped by whoever debugs, or when its time was over.",
        "Send it again. The console lists the breakpoints under Changes.";
    ChangeFailed = "change-failed", 502, Egret, "proxy_internal_error",
        "What a change rule or a breakpoint made of it cannot be sent.",
        "The detail says why: a file that cannot be read, or a head that is too large by now. Change the rule, or switch it off.";
    AuthenticationRequired = "authentication-required", 407, Policy, "http_request_denied",
        "The proxy wants credentials and the request carries none that it takes.",
        "Add user and password to the proxy's URL (http://user:password@proxy:8888), or send a token in Proxy-Authorization.";
    CredentialsMalformed = "credentials-malformed", 400, Client, "http_request_error",
        "The credentials in Proxy-Authorization cannot be read.",
        "The detail says what is wrong with them. In a proxy's URL, write special characters of user and password as %XX.";
    CredentialsRefused = "credentials-refused", 407, Policy, "http_request_denied",
        "The credentials are wrong, or not valid any more.",
        "Check user and password, or get a new token.";
    UserNotAllowed = "user-not-allowed", 403, Policy, "http_request_denied",
        "The credentials are good, but this user may not use the proxy.",
        "Ask whoever runs the proxy to add the user to a group that may.";
    TooManyFailures = "too-many-failed-logins", 429, Policy, "http_request_denied",
        "Wrong credentials came from this client's address again and again, so for a while no others are checked.",
        "Look for the program that sends wrong credentials, and try again after the time in Retry-After.";
    AuthenticationUnavailable = "authentication-unavailable", 503, Egret, "proxy_internal_error",
        "The credentials could not be checked: the directory, the keys or the time for it were not there.",
        "Try again; whoever runs the proxy finds the cause in its log.";
    WorkloadGone = "workload-gone", 403, Policy, "http_request_denied",
        "The pod that this connection was of has ended, or its address is another pod's by now.",
        "Connect again; a pod that goes on is known by its new connection.";
    WorkloadMismatch = "workload-mismatch", 403, Policy, "http_request_denied",
        "The service-account token is of another workload than the address that it came from.",
        "Have each pod send its own token. Where the source address is rewritten on the way, `kubernetes.tokenMustFitSource: false` lets the token alone decide.";
    ClusterServiceName = "cluster-service-name", 403, Client, "http_request_denied",
        "The name is that of a Service of the cluster, which pods reach without the proxy.",
        "Add the entry that the detail names to NO_PROXY, or use the Service's whole name (name.namespace.svc) where `.svc` stands there. With `kubernetes.bareServiceNames: Relay` the proxy passes such requests on.";
    UdpNotAllowed = "udp-not-allowed", 403, Policy, "http_request_denied",
        "The client asked for datagrams (SOCKS5 UDP ASSOCIATE), and `socks.udp` is off.",
        "Use TCP, or ask whoever runs the proxy whether datagrams can be switched on.";
    ParentWithoutUdp = "parent-without-udp", 502, Policy, "http_request_denied",
        "The destination is reached through a parent proxy, and parents carry no datagrams.",
        "Use TCP, or have the destination excepted from the parent (`noProxy`).";
    PolicyChanged = "policy-changed", 403, Policy, "http_request_denied",
        "The configuration changed and no longer allows this flow.",
        "Ask whoever runs the proxy what changed.";
    DnsNotFound = "dns-not-found", 502, Upstream, "dns_error",
        "The name does not exist, or has no address.",
        "Check the spelling; a short service name needs its namespace (name.namespace.svc).";
    DnsFailed = "dns-failed", 502, Upstream, "dns_error",
        "The name could not be resolved: the name servers answered with an error.",
        "Check the name servers of the proxy (`dns.servers`).";
    DnsTimeout = "dns-timeout", 504, Upstream, "dns_timeout",
        "The name servers did not answer in time.",
        "Check that the proxy can reach its name servers (`dns.servers`).";
    ConnectRefused = "connect-refused", 502, Upstream, "connection_refused",
        "The destination refused the connection: nothing listens there.",
        "Check the port, and that the service is up.";
    ConnectTimeout = "connect-timeout", 504, Upstream, "connection_timeout",
        "The destination did not answer the connection in time (`timeouts.connect`).",
        "A firewall that drops packets is the usual cause.";
    ConnectUnreachable = "connect-unreachable", 502, Upstream, "destination_ip_unroutable",
        "There is no route from the proxy to the destination.",
        "Check the proxy's network, and whether it has IPv6 where the destination has nothing else.";
    ConnectFailed = "connect-failed", 502, Upstream, "connection_refused",
        "The connection to the destination failed.",
        "The detail has the system's error.";
    TlsFailed = "upstream-tls-failed", 502, Upstream, "tls_protocol_error",
        "The TLS handshake with the upstream failed.",
        "The detail says what was wrong.";
    TlsCertificate = "upstream-certificate-invalid", 502, Upstream, "tls_certificate_error",
        "The upstream's certificate cannot be trusted.",
        "The detail says why. For a private CA use `upstream.trustedCA` or --upstream-ca.";
    ParentRefused = "parent-refused", 502, Upstream, "proxy_internal_response",
        "The parent proxy refused to connect to the destination.",
        "The detail has the parent's own answer; ask whoever runs it.";
    ParentUnavailable = "parent-unavailable", 503, Upstream, "destination_unavailable",
        "No parent proxy of the group could be reached.",
        "Check the parents (`parents`), their credentials and their health metrics.";
    ParentProtocol = "parent-protocol-error", 502, Upstream, "http_protocol_error",
        "The parent proxy answered with something that is not its protocol.",
        "Check the scheme of the parent's URL (http, https, socks5).";
    MalformedResponse = "malformed-response", 502, Upstream, "http_protocol_error",
        "The upstream's response is not valid HTTP.",
        "The detail names the rule that was broken. The origin has to be mended.";
    AmbiguousResponse = "ambiguous-response-framing", 502, Upstream, "http_protocol_error",
        "The length of the response can be read in more than one way, which is how responses are split.",
        "The origin has to send one Content-Length or Transfer-Encoding, never both.";
    ResponseHeadTooLarge = "response-head-too-large", 502, Upstream, "http_response_header_section_size",
        "The status line and headers of the response are larger than `limits.headBytes`.",
        "Raise the limit, or look at what the origin sends.";
    ResponseIncomplete = "response-incomplete", 502, Upstream, "http_response_incomplete",
        "The upstream closed the connection before the response was complete.",
        "Look at the origin's log.";
    ResponseTimeout = "response-timeout", 504, Upstream, "http_response_timeout",
        "The upstream did not answer in time (`timeouts.response`).",
        "Look at the origin, or raise the limit.";
    UpstreamReset = "upstream-reset", 502, Upstream, "connection_terminated",
        "The upstream reset the connection.",
        "Look at the origin's log; a firewall in between can be the cause as well.";
    TransferStalled = "transfer-stalled", 504, Upstream, "connection_read_timeout",
        "No bytes, or too few, came or went for longer than the limit (`timeouts.bodyIdle`, `limits.bodyRateFloor`).",
        "Look at the slower side of the transfer.";
    UpgradeRefused = "upgrade-refused", 502, Upstream, "http_upgrade_failed",
        "The upstream did not accept the upgrade that the client asked for.",
        "Look at the origin's answer.";
    IdleTimeout = "idle-timeout", 504, Egret, "connection_timeout",
        "The tunnel carried nothing for longer than `timeouts.tunnelIdle`.",
        "Use keep-alive messages in the protocol inside, or raise the limit.";
    LifetimeExceeded = "lifetime-exceeded", 503, Egret, "connection_timeout",
        "The tunnel reached `timeouts.tunnelLifetime`.",
        "Connect again, or raise the limit.";
    TooManyConnections = "too-many-connections", 503, Egret, "connection_limit_reached",
        "The proxy holds as many connections as `limits.connections` allows.",
        "Try again; raise the limit or add replicas if it lasts.";
    TooManyConnectionsClient = "too-many-connections-from-client", 503, Egret, "connection_limit_reached",
        "This client holds as many connections as `limits.connectionsPerClient` allows.",
        "Close connections that are not used, or raise the limit.";
    TooManyUdpAssociations = "too-many-udp-associations", 503, Egret, "connection_limit_reached",
        "The proxy serves as many UDP associations as `socks.udpAssociations` allows.",
        "Try again; if it lasts, find the clients that hold them open, or raise the limit.";
    TooManyHandshakes = "too-many-handshakes", 503, Egret, "connection_limit_reached",
        "As many TLS handshakes with clients are under way as `limits.handshakes` allows.",
        "Try again. If it lasts, look for clients that connect and do not go on (`egret_client_handshakes_open`), or raise the limit.";
    OutOfDescriptors = "out-of-descriptors", 503, Egret, "proxy_internal_error",
        "The process has no file descriptors left.",
        "Raise the limit of open files, or lower `limits.connections`.";
    Draining = "draining", 503, Egret, "proxy_internal_response",
        "The proxy is shutting down.",
        "Connect again: another replica will serve it.";
    Internal = "internal-error", 500, Egret, "proxy_internal_error",
        "Egret failed in a way that it should not.",
        "Please report it with the flow id and the log line.";
}

impl Reason {
    /// How many reasons there are; the size of a table indexed by [`Reason::index`].
    pub const COUNT: usize = Self::ALL.len();

    /// The code, in kebab case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.facts().code
    }

    /// The HTTP status of a refusal with this code.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.facts().status
    }

    /// Who has to act.
    #[must_use]
    pub const fn blame(self) -> Blame {
        self.facts().blame
    }

    /// A dense index, stable within one build, for counters.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_kebab_case_and_dense() {
        let mut seen = std::collections::HashSet::new();
        for (i, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), i);
            let code = reason.code();
            assert!(seen.insert(code), "{code} stands twice");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert!((400..600).contains(&reason.status()), "{code}");
            assert!(reason.facts().what.ends_with('.') && reason.facts().advice.ends_with('.'), "{code}");
        }
    }
}
