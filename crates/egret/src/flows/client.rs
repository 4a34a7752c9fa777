//! The console's API, as the terminal uses it: HTTP/1.1 without TLS, over loopback or a tunnel of one's own.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::args::FromArgs;
use super::{FlowsError, other};
use crate::console::{TOKEN_FILE, TOKEN_VARIABLE};
use crate::machine;

/// Where the console of a local proxy is.
const CONSOLE: &str = "http://127.0.0.1:8081";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest answer that is held in memory.
const ANSWER_BYTES: usize = 64 << 20;
/// The longest token.
const TOKEN_BYTES: usize = 4096;

/// A console, and a token for it.
pub(super) struct Client {
    authority: String,
    address: SocketAddr,
    token: String,
}

impl Client {
    /// The console that the command line names, or that of the local proxy.
    pub(super) fn new(from: &FromArgs) -> Result<Self, FlowsError> {
        let url = from.console.as_deref().unwrap_or(CONSOLE);
        let bad = |why: &str| other(format!("`{url}` is no console: {why}; write it as in {CONSOLE}"));
        let uri: Uri = url.parse().map_err(|_| bad("it is no URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(bad("this speaks http:// alone; for a console elsewhere open a tunnel (ssh -L)"));
        }
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?.to_string();
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let ip: IpAddr = match host {
            "localhost" => IpAddr::from([127, 0, 0, 1]),
            host => host.parse().map_err(|_| bad("its host is no address"))?,
        };
        let address = SocketAddr::new(ip, uri.port_u16().unwrap_or(80));
        let (path, token) = match (&from.token_file, std::env::var(TOKEN_VARIABLE)) {
            (Some(path), _) => (path.clone(), read_token(path)),
            (None, Ok(token)) if !token.is_empty() => return Ok(Self { authority, address, token }),
            (None, _) => {
                let state = from.state_dir.clone().or_else(machine::default_state_dir);
                let path = state.unwrap_or_else(|| PathBuf::from(".")).join(TOKEN_FILE);
                let token = read_token(&path);
                (path, token)
            }
        };
        let token = token.map_err(|error| {
            let path = path.display();
            other(format!(
                "the console's token cannot be read from {path}: {error}; is a proxy with a console running? Name its \
                 token with --token-file, or read what it has written with --store"
            ))
        })?;
        Ok(Self { authority, address, token })
    }

    /// Asks for JSON.
    pub(super) async fn json(&self, path: &str) -> Result<Value, FlowsError> {
        let bytes = self.bytes(path).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| other(format!("the console's answer is no JSON: {error}")))
    }

    /// Asks for bytes.
    pub(super) async fn bytes(&self, path: &str) -> Result<Bytes, FlowsError> {
        whole(self.open(Method::GET, path, None).await?).await
    }

    /// Posts JSON, and gives the answer.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, FlowsError> {
        let bytes = whole(self.open(Method::POST, path, Some(body)).await?).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| other(format!("the console's answer is no JSON: {error}")))
    }

    /// Asks, and gives an answer that went well, its body still to be read.
    pub(super) async fn open(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, FlowsError> {
        let why = |error: &dyn std::fmt::Display| {
            other(format!(
                "the console at {} does not answer: {error}; is the proxy running, and with a console? Another address is \
                 named with --console",
                self.authority
            ))
        };
        let stream = self.connect().await.map_err(|error| why(&error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| why(&error))?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("Host", &self.authority)
            .header("Authorization", format!("Bearer {}", self.token));
        if body.is_some() {
            request = request.header("Content-Type", "application/json");
        }
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let request = request
            .body(Full::new(Bytes::from(bytes)))
            .map_err(|error| other(format!("the request: {error}")))?;
        let response = sender.send_request(request).await.map_err(|error| why(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let problem = whole(response).await.unwrap_or_default();
        let problem: Value = serde_json::from_slice(&problem).unwrap_or_default();
        let text = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
        let said = [text("title"), text("detail"), text("advice")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("; ");
        let said = if said.is_empty() { status.to_string() } else { said };
        Err(other(format!("the console refuses: {}", super::plain(&said, 1000))))
    }

    #[expect(clippy::disallowed_methods, reason = "the console is named by whoever runs the command")]
    async fn connect(&self) -> std::io::Result<TcpStream> {
        tokio::time::timeout(CONNECT, TcpStream::connect(self.address)).await?
    }
}

fn read_token(path: &Path) -> std::io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    let token = text.trim();
    let fits =
        !token.is_empty() && token.len() <= TOKEN_BYTES && token.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(token.to_owned()) } else { Err(std::io::Error::other("there is no token in it")) }
}

#[expect(clippy::disallowed_methods, reason = "it is a `Limited` one")]
async fn whole(response: Response<Incoming>) -> Result<Bytes, FlowsError> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES);
    let body =
        body.collect().await.map_err(|error| other(format!("the console's answer broke off: {error}")))?;
    Ok(body.to_bytes())
}

/// A value for a query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
