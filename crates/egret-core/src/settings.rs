//! The settings of the data path, with their defaults: a snapshot of everything a flow is decided by.
//!
//! The configuration file and the command line compile into these; the data path knows only these.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::authentication::Authentication;
use crate::gate::Gate;
use crate::identity::{NamePattern, TlsVersion};
use crate::pattern::HostPattern;
use crate::policy::model::CapturePlan;
use crate::route::Routes;

/// Everything a flow is decided by. Immutable; a reload makes a new one (invariant 2).
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Counts reloads, from 1. Connections kept from an older generation are not used again.
    pub generation: u64,
    /// Whom credentials are asked of; `None` for nobody.
    pub authentication: Option<Arc<Authentication>>,
    /// Who may go where.
    pub gate: Gate,
    /// Which way.
    pub routes: Routes,
    /// Bounds.
    pub limits: Limits,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Details of HTTP.
    pub http: HttpSettings,
    /// SOCKS from clients.
    pub socks: SocksSettings,
    /// The PAC file.
    pub pac: PacSettings,
    /// Looking inside TLS.
    pub interception: InterceptionSettings,
    /// Upstream connections.
    pub upstream: UpstreamSettings,
    /// The resolver.
    pub dns: DnsSettings,
    /// The access log.
    pub access_log: AccessLogSettings,
    /// How much is kept of flows where no rule says it.
    pub capture: CapturePlan,
    /// Shutting down.
    pub drain: DrainSettings,
}

/// The store of flows. Fixed for the life of the process, but for the redaction.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowSettings {
    /// Flows survive a restart, in the state directory.
    pub persistent: bool,
    /// The most flows.
    pub flows: usize,
    /// The most memory that flows take, about, in bytes.
    pub memory_bytes: usize,
    /// The most bytes of bodies on disk.
    pub body_bytes: u64,
    /// Bodies longer than this are written to disk.
    pub spill_bytes: usize,
    /// How long flows are kept; `None` for as long as there is room.
    pub age: Option<Duration>,
    /// The most bytes that wait in the queue of one worker.
    pub queue_bytes: usize,
    /// The most pieces that wait in the queue of one worker.
    pub queue_pieces: usize,
    /// The most bytes of bodies of flows that go on, all together.
    pub assembling_bytes: usize,
    /// The most flows that go on and are captured at once.
    pub assembling_flows: usize,
    /// The most messages that are kept of one WebSocket.
    pub messages: usize,
    /// The most bytes that are kept of one message.
    pub message_bytes: usize,
    /// How many changes a live view may be behind.
    pub feed_changes: usize,
    /// What is taken out.
    pub redaction: FlowRedaction,
}

impl Default for FlowSettings {
    fn default() -> Self {
        Self {
            persistent: false,
            flows: 100_000,
            memory_bytes: 256 << 20,
            body_bytes: 1 << 30,
            spill_bytes: 16 << 10,
            age: None,
            queue_bytes: 8 << 20,
            queue_pieces: 65_536,
            assembling_bytes: 128 << 20,
            assembling_flows: 65_536,
            messages: 1_000,
            message_bytes: 64 << 10,
            feed_changes: 16_384,
            redaction: FlowRedaction::default(),
        }
    }
}

/// What is taken out of flows before they are stored. `*` stands for any run of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRedaction {
    /// What usually bears secrets is taken out as well.
    pub defaults: bool,
    /// Names of header fields.
    pub headers: Vec<String>,
    /// Keys in the query of a URL.
    pub query_keys: Vec<String>,
    /// Names of fields in forms.
    pub form_fields: Vec<String>,
    /// Paths in JSON.
    pub json_paths: Vec<String>,
}

impl Default for FlowRedaction {
    fn default() -> Self {
        Self {
            defaults: true,
            headers: Vec::new(),
            query_keys: Vec::new(),
            form_fields: Vec::new(),
            json_paths: Vec::new(),
        }
    }
}

/// Looking inside TLS: what a tunnel is treated by. Which tunnels are opened is for policy to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterceptionSettings {
    /// Tunnels are opened where policy says so.
    pub enabled: bool,
    /// Every tunnel is opened, but for those that a rule says to leave closed.
    pub everything: bool,
    /// The CA that signs for origins; `None` for that of the state directory.
    pub ca: Option<CaFiles>,
    /// The state directory, where it is not the one of the command line.
    pub state_dir: Option<PathBuf>,
    /// How long a certificate for an origin is valid.
    pub leaf_lifetime: Duration,
    /// Certificates for origins that are kept: the limit `leaves`.
    pub cache_entries: usize,
    /// Certificates are made for the wildcard that the origin's own has, where it has one.
    pub wildcards: bool,
    /// What becomes of a tunnel that carries no TLS, where it was to be opened.
    pub other_protocols: OtherProtocols,
    /// How long a client that has refused the certificates for a host again and again is let through to it unseen;
    /// zero for never.
    pub tunnel_pinned: Duration,
    /// `Alt-Svc` is taken out of responses, so that clients do not go around the proxy over HTTP/3.
    pub strip_alt_svc: bool,
}

impl Default for InterceptionSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            everything: false,
            ca: None,
            state_dir: None,
            leaf_lifetime: Duration::from_secs(7 * 24 * 3600),
            cache_entries: 10_000,
            wildcards: false,
            other_protocols: OtherProtocols::default(),
            tunnel_pinned: Duration::ZERO,
            strip_alt_svc: true,
        }
    }
}

/// The files of a certificate with its key: of the CA that signs for origins, or one that is shown to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFiles {
    /// The certificate with its chain: PEM, combined PEM, or PKCS#12.
    pub certificate: PathBuf,
    /// Its key; `None`: the key is in the same file.
    pub key: Option<PathBuf>,
    /// The password of the key, or of the PKCS#12 file.
    pub password: Option<PathBuf>,
}

impl CaFiles {
    /// Every file, to be watched.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.certificate).chain(&self.key).chain(&self.password)
    }
}

/// What becomes of a tunnel that carries no TLS, where it was to be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtherProtocols {
    /// It is refused: what cannot be looked into does not pass.
    #[default]
    Refuse,
    /// Its bytes pass unseen, if policy allows a tunnel.
    Tunnel,
}

/// The PAC file that clients may fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacSettings {
    /// What it answers for everything else, as in `PROXY proxy.example:8888`. `None`: the proxy by the
    /// address that the file was fetched from.
    pub proxy: Option<Arc<str>>,
    /// What clients reach directly, each with the port that it is limited to.
    pub direct: Vec<(crate::pattern::Scope, Option<u16>)>,
}

/// SOCKS from clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocksSettings {
    /// UDP ASSOCIATE is served.
    pub udp: bool,
    /// How long a destination is remembered after its last datagram.
    pub udp_idle: Duration,
    /// Destinations of one association at a time.
    pub udp_destinations: usize,
    /// Associations in all.
    pub udp_associations: usize,
}

impl Default for SocksSettings {
    fn default() -> Self {
        Self { udp: false, udp_idle: Duration::from_secs(60), udp_destinations: 64, udp_associations: 1024 }
    }
}

/// Bounds; each has a metric `egret_limit_hits_total{limit="…"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Client connections in all.
    pub connections: usize,
    /// Client connections from one address.
    pub connections_per_client: usize,
    /// Bytes of a request or response head.
    pub head_bytes: usize,
    /// Fields in a head or a trailer section.
    pub head_fields: usize,
    /// Bytes of a request target.
    pub target_bytes: usize,
    /// The slowest a body may come or go, in bytes per second over `body_rate_window`; 0 for no floor.
    pub body_rate_floor: u64,
    /// Over which time the floor is measured, and how long a slow start is forgiven.
    pub body_rate_window: Duration,
    /// Streams open at once on one HTTP/2 connection.
    pub h2_streams: u32,
    /// TLS handshakes with clients under way at once.
    pub handshakes: usize,
    /// Client names that metrics tell apart; the others count together.
    pub client_names: usize,
    /// Service accounts that metrics tell apart; the others count together.
    pub workload_names: usize,
    /// Rules that metrics tell apart; the others count together.
    pub policy_rules: usize,
    /// Identities whose use of rules with a rate limit is counted, each for itself; more of them share one
    /// allowance for each rule.
    pub rate_limit_entries: usize,
    /// Flows held at breakpoints at once.
    pub held_flows: usize,
    /// Bytes of a body that is held to be edited.
    pub held_body_bytes: usize,
    /// Requests that are sent again at once.
    pub replays: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 65_536,
            connections_per_client: 16_384,
            head_bytes: 64 * 1024,
            head_fields: 200,
            target_bytes: 16 * 1024,
            body_rate_floor: 64,
            body_rate_window: Duration::from_secs(30),
            h2_streams: 256,
            handshakes: 4096,
            client_names: 1000,
            workload_names: 1000,
            policy_rules: 1000,
            rate_limit_entries: 65_536,
            held_flows: 64,
            held_body_bytes: 1 << 20,
            replays: 16,
        }
    }
}

/// Time limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a request head to its end, and for the first head after connecting.
    pub head: Duration,
    /// A kept client connection without a request.
    pub keep_alive: Duration,
    /// Connecting to an upstream, all its addresses included.
    pub connect: Duration,
    /// The TLS handshake with an upstream.
    pub tls: Duration,
    /// The TLS handshake with a client, from connecting to its end.
    pub client_tls: Duration,
    /// From the end of the request to the head of the response.
    pub response: Duration,
    /// A body in transfer without a byte either way.
    pub body_idle: Duration,
    /// A tunnel without a byte either way.
    pub tunnel_idle: Duration,
    /// A tunnel in all; zero for no limit.
    pub tunnel_lifetime: Duration,
    /// A flow held at a breakpoint that does not say for how long.
    pub held: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            connect: Duration::from_secs(10),
            tls: Duration::from_secs(10),
            client_tls: Duration::from_secs(10),
            response: Duration::from_secs(300),
            body_idle: Duration::from_secs(300),
            tunnel_idle: Duration::from_secs(3600),
            tunnel_lifetime: Duration::ZERO,
            held: Duration::from_secs(60),
        }
    }
}

/// Which header tells the origin about the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// None: what the client sent is passed on as it is.
    #[default]
    Off,
    /// Append to `X-Forwarded-For`.
    XForwardedFor,
    /// Append to `Forwarded` (RFC 7239).
    Forwarded,
    /// Both.
    Both,
    /// Remove both, whoever wrote them.
    Remove,
}

/// Details of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// The name in `Via` (RFC 9110 section 7.6.3), by which loops are found. Must differ between
    /// proxies that stand behind each other.
    pub via: Arc<str>,
    /// `Via` is added. Without it, loops are only found by address.
    pub send_via: bool,
    /// Which header tells the origin about the client.
    pub forwarded: ForwardedHeader,
    /// A contact shown in refusals.
    pub contact: Option<Arc<str>>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { via: "egret".into(), send_via: true, forwarded: ForwardedHeader::Off, contact: None }
    }
}

/// Upstream connections.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// Source address for IPv4 upstreams.
    pub source_v4: Option<IpAddr>,
    /// Source address for IPv6 upstreams.
    pub source_v6: Option<IpAddr>,
    /// PEM of further CAs that origins may be signed by.
    pub trusted_ca: Option<Arc<[u8]>>,
    /// What holds for TLS with some hosts. The first that names a host holds for it; CAs add up.
    pub origins: Vec<OriginTls>,
    /// Files with revocation lists.
    pub crls: Vec<PathBuf>,
    /// Kept connections without work, for one origin and worker.
    pub pool_per_origin: usize,
    /// Kept connections without work, in all and by worker.
    pub pool_total: usize,
    /// How long a kept connection may be without work.
    pub pool_idle: Duration,
    /// TCP keep-alive: first probe after, and interval; zero for none.
    pub keepalive: Duration,
    /// Delay between attempts at the addresses of one destination (RFC 8305 section 5).
    pub attempt_delay: Duration,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            source_v4: None,
            source_v6: None,
            trusted_ca: None,
            origins: Vec::new(),
            crls: Vec::new(),
            pool_per_origin: 256,
            pool_total: 4096,
            pool_idle: Duration::from_secs(60),
            keepalive: Duration::from_secs(60),
            attempt_delay: Duration::from_millis(250),
        }
    }
}

/// What holds for TLS with some hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct OriginTls {
    /// Which hosts.
    pub hosts: Vec<HostPattern>,
    /// The file with further CAs that they may be signed by.
    pub trusted_ca: Option<PathBuf>,
    /// They may be signed by those alone.
    pub only_trusted_ca: bool,
    /// A certificate that is shown to them.
    pub client_certificate: Option<CaFiles>,
    /// The lowest version.
    pub min_version: TlsVersion,
    /// HTTP/1.1 alone is spoken with them.
    pub http1_only: bool,
    /// What may be wrong with their certificates, by code.
    pub accept: Vec<&'static str>,
    /// SHA-256 of certificates that are taken for them whoever signed them.
    pub pins: Vec<[u8; 32]>,
}

/// Which families are asked for, and which is tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// Both; IPv6 first (RFC 8305).
    #[default]
    PreferIpv6,
    /// Both; IPv4 first.
    PreferIpv4,
    /// IPv4 alone.
    Ipv4Only,
    /// IPv6 alone.
    Ipv6Only,
}

/// The resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSettings {
    /// Name servers; empty for those of /etc/resolv.conf.
    pub servers: Vec<SocketAddr>,
    /// The hosts file; `None` for no hosts file.
    pub hosts_file: Option<PathBuf>,
    /// Search domains for short names; `None` for those of /etc/resolv.conf, empty for none.
    pub search: Option<Vec<String>>,
    /// Dots a name must have to be tried as it is first; `None` for resolv.conf's.
    pub ndots: Option<usize>,
    /// One query's time limit.
    pub timeout: Duration,
    /// Tries for each query.
    pub attempts: usize,
    /// The shortest time an answer is kept.
    pub min_ttl: Duration,
    /// The longest time an answer is kept.
    pub max_ttl: Duration,
    /// The longest time a negative answer is kept.
    pub negative_ttl: Duration,
    /// How long a failure (SERVFAIL, timeout) is kept.
    pub failure_ttl: Duration,
    /// Names kept.
    pub cache_entries: usize,
    /// Families.
    pub family: AddressFamily,
}

impl Default for DnsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            hosts_file: Some(PathBuf::from("/etc/hosts")),
            search: None,
            ndots: None,
            timeout: Duration::from_secs(3),
            attempts: 2,
            min_ttl: Duration::from_secs(1),
            max_ttl: Duration::from_secs(300),
            negative_ttl: Duration::from_secs(30),
            failure_ttl: Duration::from_secs(1),
            cache_entries: 10_000,
            family: AddressFamily::default(),
        }
    }
}

/// How access lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// The Common Log Format.
    Common,
    /// The Combined Log Format.
    Combined,
    /// Squid's native format.
    Squid,
    /// `key=value`.
    Logfmt,
}

/// Where access lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLogOutput {
    /// Standard output.
    #[default]
    Stdout,
    /// Appended to a file, which is opened again on SIGUSR1 and on reload.
    File(PathBuf),
    /// Nowhere.
    Off,
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogSettings {
    /// The format.
    pub format: AccessLogFormat,
    /// Where lines go.
    pub output: AccessLogOutput,
    /// How often an open tunnel leaves an interim line; zero for never.
    pub interim: Duration,
    /// Bytes of lines that may wait for the writer, for each worker; more are dropped and counted.
    pub buffer_bytes: usize,
}

impl Default for AccessLogSettings {
    fn default() -> Self {
        Self {
            format: AccessLogFormat::default(),
            output: AccessLogOutput::default(),
            interim: Duration::from_secs(300),
            buffer_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Shutting down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainSettings {
    /// `/readyz` fails for so long before accepting stops, so that load balancers notice.
    pub delay: Duration,
    /// How long in-flight work may take before it is closed.
    pub timeout: Duration,
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self { delay: Duration::ZERO, timeout: Duration::from_secs(25) }
    }
}

/// What is fixed for the life of the process.
#[derive(Clone, Debug)]
pub struct ProcessSettings {
    /// Addresses to listen on.
    pub listeners: Vec<SocketAddr>,
    /// Worker threads, each with a runtime of its own; 0 for one a core.
    pub workers: usize,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self { listeners: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8888)], workers: 0 }
    }
}

/// A listener, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSettings {
    /// The address; port 0 for any that is free.
    pub address: SocketAddr,
    /// TLS; `None` for plain HTTP.
    pub tls: Option<ListenerTls>,
    /// Networks of balancers, whose connections begin with a header of the PROXY protocol.
    pub proxy_protocol: Vec<ipnet::IpNet>,
    /// What is served there.
    pub serves: Serves,
}

/// What a listener serves; the first byte of a connection tells which it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serves {
    /// HTTP/1 and HTTP/2: requests and CONNECT.
    pub http: bool,
    /// SOCKS 5, 4 and 4a.
    pub socks: bool,
}

impl Default for Serves {
    fn default() -> Self {
        Self { http: true, socks: true }
    }
}

/// TLS of a listener: which files it is made of. They are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// The certificates, never none. The first is for clients that ask for no name, or for one that no
    /// certificate has.
    pub certificates: Vec<CertificateFiles>,
    /// The lowest version that is accepted.
    pub min_version: TlsVersion,
    /// Whether clients have to show a certificate.
    pub client_auth: ClientAuth,
    /// The file with the CAs that client certificates may be signed by.
    pub client_ca: Option<PathBuf>,
    /// Files with revocation lists of those CAs.
    pub crls: Vec<PathBuf>,
    /// Names of which a client certificate must have one; empty for any.
    pub allowed_clients: Vec<NamePattern>,
}

/// The files of one server certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate with its chain: PEM, combined PEM, or PKCS#12.
    pub certificate: PathBuf,
    /// Its key; `None`: the key is in the same file.
    pub key: Option<PathBuf>,
    /// The password of the key, or of the PKCS#12 file.
    pub password: Option<PathBuf>,
    /// An OCSP response to staple (DER).
    pub ocsp: Option<PathBuf>,
}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// None is asked for.
    #[default]
    None,
    /// One is asked for; who shows none is served without a name. One that is shown must be good.
    Optional,
    /// Without a good one the handshake fails.
    Required,
}

impl ListenerTls {
    /// Every file, to be watched.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let of_certificates = self.certificates.iter().flat_map(|files| {
            let rest = [&files.key, &files.password, &files.ocsp];
            std::iter::once(&files.certificate).chain(rest.into_iter().flatten())
        });
        of_certificates.chain(&self.client_ca).chain(&self.crls)
    }
}
