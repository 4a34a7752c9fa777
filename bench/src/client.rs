//! The clients: one connection to a proxy, and the exchanges that are counted on it.
//!
//! Every answer is checked (status, length, echoed bytes): a proxy that fails fast must not look fast.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// The largest answer here, 64 KiB and its head, fits in one buffer.
const BUFFER: usize = 80 * 1024;

/// A connection to a proxy, plain or in TLS.
#[derive(Debug)]
pub(crate) struct Connection<Stream = TcpStream> {
    pub(crate) stream: Stream,
    buffer: Vec<u8>,
}

/// What an answer's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes, with the empty line.
    pub(crate) length: usize,
    pub(crate) status: u16,
    pub(crate) body: Option<usize>,
    /// The connection can be used again.
    pub(crate) kept: bool,
}

/// Reads an answer's head; `None` while it is not complete.
///
/// # Errors
///
/// It is not an HTTP/1 answer.
pub(crate) fn parse_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let wrong = || io::Error::other("what came is not an HTTP/1 answer");
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| wrong())?;
    let mut lines = text.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let rest = status_line.strip_prefix("HTTP/1.").ok_or_else(wrong)?;
    let status = rest.get(2..5).and_then(|code| code.parse().ok()).ok_or_else(wrong)?;
    let mut head = Head { length: end + 4, status, body: None, kept: rest.starts_with('1') };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            head.body = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("connection") {
            head.kept = !value.trim().eq_ignore_ascii_case("close");
        }
    }
    Ok(Some(head))
}

impl Connection {
    /// Connects to a proxy.
    pub(crate) async fn open(proxy: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(proxy).await?;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Opens a tunnel to an origin.
    pub(crate) async fn tunnel(proxy: SocketAddr, origin: SocketAddr) -> io::Result<Self> {
        Self::open(proxy).await?.into_tunnel(origin).await
    }
}

impl<Stream: AsyncRead + AsyncWrite + Unpin> Connection<Stream> {
    /// A connection over what is open already.
    pub(crate) fn over(stream: Stream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Makes an open connection a tunnel to an origin.
    pub(crate) async fn into_tunnel(self, origin: impl std::fmt::Display) -> io::Result<Self> {
        let mut connection = self;
        let request =
            format!("CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\nUser-Agent: egret-bench\r\n\r\n");
        connection.stream.write_all(request.as_bytes()).await?;
        connection.buffer.reserve(512);
        let head = connection.head().await?;
        if head.status != 200 {
            return Err(io::Error::other(format!("CONNECT was answered with {}", head.status)));
        }
        if connection.buffer.len() > head.length {
            return Err(io::Error::other("bytes came through the tunnel before any were sent"));
        }
        // A waiting tunnel needs no buffer; there may be thousands.
        connection.buffer = Vec::new();
        Ok(connection)
    }

    /// Sends a request and reads the answer, which must be 200 with a body of this length. Says whether
    /// the connection can be used again.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the connection was closed before any byte of the answer, which on a kept
    /// connection is no fault; otherwise what was wrong.
    pub(crate) async fn exchange(&mut self, request: &[u8], length: usize) -> io::Result<bool> {
        self.buffer.clear();
        self.buffer.reserve(if length > 2048 { BUFFER } else { 4096 });
        self.stream.write_all(request).await?;
        let head = self.head().await?;
        if head.status != 200 || head.body.is_some_and(|body| body != length) {
            return Err(io::Error::other(format!("status {}, length {:?}", head.status, head.body)));
        }
        while self.buffer.len() < head.length + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::other("the body was cut short"));
            }
        }
        if self.buffer.len() > head.length + length {
            return Err(io::Error::other("the body is too long"));
        }
        Ok(head.kept && head.body.is_some())
    }

    /// Sends bytes and reads as many, which must be the same.
    pub(crate) async fn echo(&mut self, message: &[u8; 64]) -> io::Result<()> {
        self.stream.write_all(message).await?;
        let mut back = [0; 64];
        self.stream.read_exact(&mut back).await?;
        if back == *message { Ok(()) } else { Err(io::Error::other("the echo differs")) }
    }

    async fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(head) = parse_head(&self.buffer)? {
                return Ok(head);
            }
            let read = self.stream.read_buf(&mut self.buffer).await?;
            if read == 0 && self.buffer.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            } else if read == 0 || self.buffer.len() > BUFFER {
                return Err(io::Error::other("the head has no end"));
            }
        }
    }
}

/// A request in absolute-form, with the fields that curl sends.
pub(crate) fn request(origin: SocketAddr, length: usize) -> Vec<u8> {
    format!(
        "GET http://{origin}/{length} HTTP/1.1\r\nHost: {origin}\r\nUser-Agent: egret-bench\r\n\
         Accept: */*\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_length_and_persistence() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\nVia: 1.1 a\r\n\r\nhello";
        let head = Head { length: bytes.len() - 5, status: 200, body: Some(12), kept: true };
        assert_eq!(parse_head(bytes).unwrap(), Some(head));
    }

    #[test]
    fn an_answer_of_http_1_0_ends_the_connection() {
        let head = parse_head(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n").unwrap().unwrap();
        assert!(!head.kept);
        let head = parse_head(b"HTTP/1.1 502 Bad\r\nConnection: close\r\n\r\n").unwrap().unwrap();
        assert_eq!((head.status, head.body, head.kept), (502, None, false));
    }

    #[test]
    fn refuses_what_is_not_http() {
        assert!(parse_head(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1\r\n\r\n").is_err());
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\n").unwrap(), None);
    }
}
