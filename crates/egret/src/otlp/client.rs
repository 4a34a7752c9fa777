//! The HTTP client of the exporter: one kept connection, names resolved without the C library.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use egret_core::settings::DnsSettings;

/// Collectors answer in a few bytes.
const RESPONSE_BYTES: usize = 64 * 1024;
/// One address of the collector.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A request with everything that belongs to it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);

type Sender = SendRequest<Full<Bytes>>;

pub(super) struct Client {
    resolver: TokioResolver,
    tls: Option<Arc<rustls::ClientConfig>>,
    kept: Mutex<Option<Sender>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Needs the context of the runtime that it will be used on.
    pub(super) fn new(dns: &DnsSettings, tls: Option<Arc<rustls::ClientConfig>>) -> Result<Self, String> {
        let resolver = resolver(dns).map_err(|error| error.to_string())?;
        Ok(Self { resolver, tls, kept: Mutex::new(None) })
    }

    #[expect(clippy::disallowed_methods, reason = "collects a `Limited` body")]
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut kept = self.kept.lock().await;
        let mut sender = match ready(kept.take()).await {
            Some(sender) => sender,
            None => self.connect(request.uri()).await?,
        };
        let (head, body) = sender.send_request(origin_form(request)?).await?.into_parts();
        let body = Limited::new(body, RESPONSE_BYTES).collect().await?.to_bytes();
        *kept = Some(sender);
        Ok(Response::from_parts(head, body))
    }

    async fn connect(&self, uri: &Uri) -> Result<Sender, HttpError> {
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or("the URL has no host")?.trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = self.connect_tcp(host, port).await?;
        if !secure {
            return speak(stream).await;
        }
        let tls = self.tls.clone().ok_or("no TLS settings")?;
        let name = ServerName::try_from(host.to_owned())?;
        speak(TlsConnector::from(tls).connect(name, stream).await?).await
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the collector is named by whoever runs the proxy; no flow chooses where this leads"
    )]
    async fn connect_tcp(&self, host: &str, port: u16) -> Result<TcpStream, HttpError> {
        let addresses: Vec<IpAddr> = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.lookup_ip(host).await?.iter().collect(),
        };
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the collector's name has no address");
        for address in addresses {
            match timeout(CONNECT_TIMEOUT, TcpStream::connect(SocketAddr::new(address, port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failure.into())
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        timeout(REQUEST_TIMEOUT, self.send(request)).await?
    }
}

/// The kept connection, if it can still take a request.
async fn ready(kept: Option<Sender>) -> Option<Sender> {
    let mut sender = kept?;
    sender.ready().await.is_ok().then_some(sender)
}

async fn speak<S>(stream: S) -> Result<Sender, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its end shows in the sender.
    tokio::spawn(connection);
    Ok(sender)
}

/// The request as an origin wants it: a path, and the authority in Host (RFC 9112 section 3.2.1).
fn origin_form(request: Request<Bytes>) -> Result<Request<Full<Bytes>>, HttpError> {
    let (mut head, body) = request.into_parts();
    let authority = head.uri.authority().ok_or("the URL has no host")?;
    // User information has no place in Host.
    let authority = authority.as_str().rsplit('@').next().unwrap_or_default();
    head.headers.insert(HOST, HeaderValue::from_str(authority)?);
    head.uri = head.uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
    Ok(Request::from_parts(head, Full::new(body)))
}

fn resolver(dns: &DnsSettings) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut builder = if dns.servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = dns.servers.iter().map(|server| {
            let at_port = |mut connection: ConnectionConfig| {
                connection.port = server.port();
                connection
            };
            let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    builder.options_mut().timeout = dns.timeout;
    builder.build()
}
