//! Readiness endpoints, asked through the proxy before a change takes effect: three tries a second apart, 2xx and 3xx
//! pass.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use egret_core::destination::{Destination, Host};
use egret_tls::client::{Alpn, ClientConfigs};
use egret_tls::roots::GeneralRoots;
use hickory_resolver::TokioResolver;
use http::header::{HOST, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

/// How often an endpoint is asked.
const TRIES: u32 = 3;
/// Between two tries.
const BETWEEN: Duration = Duration::from_secs(1);
/// One try.
const TRY: Duration = Duration::from_secs(5);
/// One address of the proxy.
const CONNECT: Duration = Duration::from_secs(3);

/// The proxies of an EgressProxy, and what is trusted beyond them.
#[derive(Clone)]
pub(crate) struct Way {
    /// For `http://`, as `http://user:password@host:port`.
    pub(crate) http: Option<String>,
    /// For `https://`.
    pub(crate) https: Option<String>,
    /// CAs beside the public ones: Egret's own, where it looks into TLS.
    pub(crate) trusted: Vec<CertificateDer<'static>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Asks an endpoint until it passes, three times at most.
///
/// # Errors
/// Why the last try failed. It holds no password.
pub(crate) async fn passes(way: &Way, endpoint: &str) -> Result<(), String> {
    let mut why = String::new();
    for number in 0..TRIES {
        if number > 0 {
            sleep(BETWEEN).await;
        }
        why = match timeout(TRY, ask(way, endpoint)).await {
            Ok(Ok(status)) if status.is_success() || status.is_redirection() => return Ok(()),
            Ok(Ok(status)) => format!("{endpoint} answered {}", status.as_u16()),
            Ok(Err(why)) => format!("{endpoint}: {why}"),
            Err(_) => format!("{endpoint}: no answer within {} s", TRY.as_secs()),
        };
    }
    Err(why)
}

async fn ask(way: &Way, endpoint: &str) -> Result<StatusCode, String> {
    let uri: Uri = endpoint.parse().map_err(|_| "it is no URL".to_owned())?;
    let secure = uri.scheme_str() == Some("https");
    let proxy = if secure { &way.https } else { &way.http };
    let proxy = proxy.as_deref().ok_or("the EgressProxy has no proxy for such URLs")?;
    let proxy = Proxy::read(proxy)?;
    let configs = configs(&way.trusted)?;
    let stream = proxy.connect(&configs).await?;
    let authority = uri.authority().ok_or("it has no host")?.as_str().to_owned();
    if !secure {
        // The whole URL, as proxies want it (RFC 9112 section 3.2.2).
        return exchange(stream, Method::GET, uri.clone(), &authority, proxy.login.as_ref()).await;
    }
    let target = Destination::parse_with_default(&authority, Some(443)).map_err(|error| error.to_string())?;
    let tunnel = tunnel(stream, &target, proxy.login.as_ref()).await?;
    let name = server_name(&target)?;
    let tls = TlsConnector::from(configs.for_alpn(Alpn::Http1).clone());
    let stream =
        tls.connect(name, tunnel).await.map_err(|error| format!("TLS with {}: {error}", target.host))?;
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let path = path.parse().map_err(|_| "it has no path".to_owned())?;
    exchange(Box::new(stream), Method::GET, path, &authority, None).await
}

async fn exchange(
    stream: Box<dyn Stream>,
    method: Method,
    uri: Uri,
    authority: &str,
    login: Option<&HeaderValue>,
) -> Result<StatusCode, String> {
    let words = |error: hyper::Error| crate::client::chain(&error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    let task = tokio::spawn(connection);
    let answer = sender.send_request(request(method, uri, authority, login)?).await.map_err(words);
    // The body is of no interest, and may be long.
    task.abort();
    Ok(answer?.status())
}

async fn tunnel(
    stream: Box<dyn Stream>,
    target: &Destination,
    login: Option<&HeaderValue>,
) -> Result<TokioIo<hyper::upgrade::Upgraded>, String> {
    let words = |error: hyper::Error| crate::client::chain(&error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    tokio::spawn(connection.with_upgrades());
    let authority = target.to_string();
    let uri = authority.parse().map_err(|_| "it has no host".to_owned())?;
    let answer =
        sender.send_request(request(Method::CONNECT, uri, &authority, login)?).await.map_err(words)?;
    if !answer.status().is_success() {
        // The reason phrase of a refusal carries Egret's code and the flow.
        let phrase = answer.extensions().get::<hyper::ext::ReasonPhrase>();
        let phrase = phrase.map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
        let phrase = phrase.map(|phrase| format!(" {phrase}")).unwrap_or_default();
        return Err(format!("the proxy refused the tunnel: {}{phrase}", answer.status().as_u16()));
    }
    hyper::upgrade::on(answer).await.map(TokioIo::new).map_err(words)
}

fn request(
    method: Method,
    uri: Uri,
    authority: &str,
    login: Option<&HeaderValue>,
) -> Result<Request<Empty<Bytes>>, String> {
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("egret-controller/", env!("CARGO_PKG_VERSION")));
    if let Some(login) = login {
        request = request.header(PROXY_AUTHORIZATION, login);
    }
    request.body(Empty::new()).map_err(|error| error.to_string())
}

/// A proxy as variables name it.
struct Proxy {
    address: Destination,
    is_tls: bool,
    login: Option<HeaderValue>,
}

impl Proxy {
    fn read(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("the proxy's URL has no scheme")?;
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, rest),
        };
        let is_tls = scheme == "https";
        let default_port = if is_tls { 443 } else { 80 };
        let address = Destination::parse_with_default(address.trim_end_matches('/'), Some(default_port))
            .map_err(|error| format!("the proxy's URL: {error}"))?;
        let login = login.map(basic).transpose()?;
        Ok(Self { address, is_tls, login })
    }

    async fn connect(&self, configs: &ClientConfigs) -> Result<Box<dyn Stream>, String> {
        let stream = dial(&self.address).await?;
        if !self.is_tls {
            return Ok(Box::new(stream));
        }
        let tls = TlsConnector::from(configs.for_alpn(Alpn::Http1).clone());
        let stream = tls.connect(server_name(&self.address)?, stream).await;
        Ok(Box::new(stream.map_err(|error| format!("TLS with the proxy {}: {error}", self.address))?))
    }
}

/// `user:password`, percent-encoded, as `Proxy-Authorization` has it (RFC 7617).
fn basic(login: &str) -> Result<HeaderValue, String> {
    let unusable = || "the login in the proxy's URL cannot be used".to_owned();
    let mut bytes = Vec::with_capacity(login.len());
    let mut rest = login.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().ok_or_else(unusable)?, rest.next().ok_or_else(unusable)?];
                let digits = std::str::from_utf8(&digits).map_err(|_| unusable())?;
                u8::from_str_radix(digits, 16).map_err(|_| unusable())?
            }
            byte => byte,
        });
    }
    let mut value =
        HeaderValue::try_from(format!("Basic {}", STANDARD.encode(bytes))).map_err(|_| unusable())?;
    value.set_sensitive(true);
    Ok(value)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the proxy is named by whoever administers the cluster; no flow chooses where this leads"
)]
async fn dial(address: &Destination) -> Result<TcpStream, String> {
    let mut failure = format!("the proxy's name {} has no address", address.host);
    for ip in addresses(&address.host).await? {
        let socket = SocketAddr::new(ip, address.port);
        match timeout(CONNECT, TcpStream::connect(socket)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = format!("the proxy {address} ({socket}): {error}"),
            Err(_) => failure = format!("the proxy {address} ({socket}) did not take the connection in time"),
        }
    }
    Err(failure)
}

async fn addresses(host: &Host) -> Result<Vec<IpAddr>, String> {
    if let Some(address) = host.address() {
        return Ok(vec![address]);
    }
    let name = host.to_string();
    let unknown = |error: String| format!("the proxy's name {name} cannot be resolved: {error}");
    let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build());
    let resolver = resolver.map_err(|error| unknown(error.to_string()))?;
    let found = resolver.lookup_ip(name.as_str()).await.map_err(|error| unknown(error.to_string()))?;
    Ok(found.iter().collect())
}

fn server_name(target: &Destination) -> Result<ServerName<'static>, String> {
    match target.host.address() {
        Some(address) => Ok(ServerName::from(address)),
        None => ServerName::try_from(target.host.to_string())
            .map_err(|_| format!("{} is no name for TLS", target.host)),
    }
}

fn configs(trusted: &[CertificateDer<'static>]) -> Result<ClientConfigs, String> {
    let mut roots = GeneralRoots::load().store;
    roots.add_parsable_certificates(trusted.iter().cloned());
    ClientConfigs::new(roots).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_proxy_with_a_login() {
        let proxy = Proxy::read("http://al%40ce:s%3Acret@proxy.test:3128").unwrap();
        assert_eq!(proxy.address.to_string(), "proxy.test:3128");
        let login = proxy.login.unwrap();
        assert_eq!(login, format!("Basic {}", STANDARD.encode("al@ce:s:cret")).as_str());
        assert!(login.is_sensitive());
        assert!(!Proxy::read("http://proxy.test").unwrap().is_tls);
        assert!(Proxy::read("proxy.test").is_err());
    }
}
