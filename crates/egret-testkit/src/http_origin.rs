//! A well-behaved HTTP/1.1 origin, with TLS or without.
//!
//! | path | answer |
//! |---|---|
//! | `/echo` | the request as JSON |
//! | `/bytes/N` | N bytes with `Content-Length` |
//! | `/chunked/N` | N bytes in chunks |
//! | `/delay/MS` | `ok` after a pause |
//! | `/slow/N/MS` | N pieces of 10 bytes with a pause after each, `Content-Length` |
//! | `/status/N` | that status |
//! | `/trailers` | chunks with the trailer `X-Checksum: good` |
//! | `/hints` | `103` and then `ok` |
//! | `/until-close` | a body that ends with the connection |
//! | `/upgrade` | `101` and then an echo of the bytes |
//! | `/git/…` | `git http-backend` |
//! | `/files/…` | files of a directory |

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use crate::ca::TestCa;
use crate::server::{Connection, Server};

/// A running origin.
#[derive(Debug)]
pub struct HttpOrigin {
    server: Server,
    scheme: &'static str,
}

/// What an origin serves beside its built-in paths.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// The directory with bare repositories, under `/git/`.
    pub git: Option<PathBuf>,
    /// The directory under `/files/`.
    pub files: Option<PathBuf>,
}

impl HttpOrigin {
    /// An http origin.
    #[must_use]
    pub fn start() -> Self {
        Self::serving(Served::default())
    }

    /// An http origin with more to serve.
    #[must_use]
    pub fn serving(served: Served) -> Self {
        let server = Server::start(move |mut connection| {
            let output = connection.stream.try_clone().unwrap();
            let _ = serve(&mut Plain { input: &mut connection, output }, &served);
        });
        Self { server, scheme: "http" }
    }

    /// An https origin for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn start_tls(ca: &TestCa) -> Self {
        Self::serving_tls(ca.server(&["localhost", "127.0.0.1"]), Served::default())
    }

    /// An https origin with more to serve.
    #[must_use]
    pub fn serving_tls(tls: Arc<ServerConfig>, served: Served) -> Self {
        let server = Server::start(move |connection| {
            let stream = connection.stream.try_clone().unwrap();
            let Ok(session) = ServerConnection::new(tls.clone()) else { return };
            let mut stream = StreamOwned::new(session, stream);
            let _ = serve(&mut stream, &served);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        });
        Self { server, scheme: "https" }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A URL of this origin, with the host as an address.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address())
    }

    /// A URL of this origin, with `localhost` as the host.
    #[must_use]
    pub fn url_by_name(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address().port())
    }

    /// How many connections came.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.server.accepted()
    }
}

struct Plain<'a> {
    input: &'a mut Connection,
    output: std::net::TcpStream,
}

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Plain<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

struct Request {
    method: String,
    target: String,
    version: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    fn wants(&self, field: &str, token: &str) -> bool {
        let value = self.field(field).unwrap_or("");
        value.split(',').any(|t| t.trim().eq_ignore_ascii_case(token))
    }
}

fn serve(stream: &mut (impl Read + Write), served: &Served) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    for _ in 0..100_000 {
        let Some(request) = read_request(&mut stream)? else { return Ok(()) };
        let keep = answer(&mut stream, &request, served)?;
        stream.get_mut().flush()?;
        if !keep || request.wants("connection", "close") || request.version == "HTTP/1.0" {
            return Ok(());
        }
    }
    Ok(())
}

fn read_request<S: Read + Write>(stream: &mut BufReader<S>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut fields = Vec::new();
    read_fields(stream, &mut fields)?;
    let mut request = Request { method, target, version, fields, body: Vec::new() };
    if request.wants("expect", "100-continue") {
        stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        stream.get_mut().flush()?;
    }
    if request.wants("transfer-encoding", "chunked") {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16)
                .map_err(|_| io::ErrorKind::InvalidData)?;
            if size == 0 {
                break;
            }
            let start = request.body.len();
            request.body.resize(start + size, 0);
            stream.read_exact(&mut request.body[start..])?;
            stream.read_exact(&mut [0; 2])?;
        }
        let mut trailers = Vec::new();
        read_fields(stream, &mut trailers)?;
        request.fields.extend(trailers.into_iter().map(|(n, v)| (format!("trailer:{n}"), v)));
    } else if let Some(length) = request.field("content-length").and_then(|v| v.parse().ok()) {
        request.body = vec![0; length];
        stream.read_exact(&mut request.body)?;
    }
    Ok(Some(request))
}

fn read_fields(stream: &mut impl BufRead, fields: &mut Vec<(String, String)>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Ok(());
        }
        let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// A body that any test can make for itself: the bytes 0 to 250, over and over.
#[must_use]
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

/// Answers; `false` when the connection must be closed.
fn answer<S: Read + Write>(
    stream: &mut BufReader<S>,
    request: &Request,
    served: &Served,
) -> io::Result<bool> {
    let path = request.target.split('?').next().unwrap_or("/").to_owned();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let number = |i: usize| parts.get(i).and_then(|p| p.parse::<usize>().ok()).unwrap_or(0);
    match parts[0] {
        "echo" => {
            let echo = json!({
                "method": request.method, "target": request.target, "version": request.version,
                "fields": request.fields, "bytes": request.body.len(),
                "body": String::from_utf8_lossy(&request.body),
            });
            reply(stream, request, 200, "application/json", echo.to_string().as_bytes())
        }
        "bytes" => reply(stream, request, 200, "application/octet-stream", &pattern(number(1))),
        "status" => reply(stream, request, number(1) as u16, "text/plain", b"status\n"),
        "delay" => {
            std::thread::sleep(Duration::from_millis(number(1) as u64));
            reply(stream, request, 200, "text/plain", b"ok\n")
        }
        "slow" => {
            let out = stream.get_mut();
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", number(1) * 10)?;
            for _ in 0..number(1) {
                out.write_all(b"slow bytes")?;
                out.flush()?;
                std::thread::sleep(Duration::from_millis(number(2) as u64));
            }
            Ok(true)
        }
        "chunked" | "trailers" => {
            let out = stream.get_mut();
            out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n")?;
            if request.method != "HEAD" {
                for chunk in pattern(number(1)).chunks(1000) {
                    write!(out, "{:x}\r\n", chunk.len())?;
                    out.write_all(chunk)?;
                    out.write_all(b"\r\n")?;
                }
                out.write_all(b"0\r\nX-Checksum: good\r\n\r\n")?;
            }
            Ok(true)
        }
        "hints" => {
            stream.get_mut().write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")?;
            stream.get_mut().flush()?;
            reply(stream, request, 200, "text/plain", b"ok\n")
        }
        "until-close" => {
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end")?;
            Ok(false)
        }
        "upgrade" => {
            let protocol = request.field("upgrade").unwrap_or("echo").to_owned();
            let out = stream.get_mut();
            write!(
                out,
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n"
            )?;
            out.flush()?;
            let mut buffer = [0; 4096];
            loop {
                let count = stream.read(&mut buffer)?;
                if count == 0 {
                    return Ok(false);
                }
                stream.get_mut().write_all(&buffer[..count])?;
                stream.get_mut().flush()?;
            }
        }
        "git" if served.git.is_some() => git(stream, request, served.git.clone().unwrap()),
        "files" if served.files.is_some() && !path.contains("..") => {
            let file = served.files.clone().unwrap().join(path.trim_start_matches("/files/"));
            match std::fs::read(file) {
                Ok(bytes) => reply(stream, request, 200, "application/octet-stream", &bytes),
                Err(_) => reply(stream, request, 404, "text/plain", b"not found\n"),
            }
        }
        "" => reply(stream, request, 200, "text/plain", b"origin\n"),
        _ => reply(stream, request, 404, "text/plain", b"not found\n"),
    }
}

fn reply<S: Read + Write>(
    stream: &mut BufReader<S>,
    request: &Request,
    status: u16,
    kind: &str,
    body: &[u8],
) -> io::Result<bool> {
    let out = stream.get_mut();
    let bodyless = matches!(status, 100..=199 | 204 | 304);
    write!(out, "HTTP/1.1 {status} Scripted\r\n")?;
    if !bodyless {
        write!(out, "Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len())?;
    }
    out.write_all(b"\r\n")?;
    if !bodyless && request.method != "HEAD" {
        out.write_all(body)?;
    }
    Ok(true)
}

/// Runs `git http-backend` as a CGI program (RFC 3875).
fn git<S: Read + Write>(stream: &mut BufReader<S>, request: &Request, root: PathBuf) -> io::Result<bool> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", path.trim_start_matches("/git"))
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", request.field("content-type").unwrap_or(""))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.field("content-encoding").unwrap_or(""))
        .env("GIT_PROTOCOL", request.field("git-protocol").unwrap_or(""))
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().unwrap().write_all(&request.body)?;
    let output = child.wait_with_output()?.stdout;
    let end = output.windows(4).position(|w| w == b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let status = head.lines().find_map(|l| l.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    let out = stream.get_mut();
    write!(out, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n", output.len() - end - 4)?;
    for line in head.lines().filter(|l| !l.starts_with("Status: ")) {
        write!(out, "{line}\r\n")?;
    }
    out.write_all(b"\r\n")?;
    out.write_all(&output[end + 4..])?;
    Ok(true)
}
