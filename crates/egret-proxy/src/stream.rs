//! One type for every kind of byte stream that the data path carries.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use egret_flows::flow::TlsFacts;
use rustls::{ClientConnection, ServerConnection};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

use crate::inlet::http2::Bridge;
use crate::tls_stream::TlsStream;

/// A stream of bytes both ways. An enum and not a boxed trait, so that the relay can see where the
/// bytes are plain TCP and may be spliced.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS with a client.
    TlsServer(Box<TlsStream<ServerConnection>>),
    /// TLS with an upstream, over another stream (TLS in TLS happens: an https origin through an https
    /// parent).
    Tls(Box<TlsStream<ClientConnection>>),
    /// A pipe in memory: one request of an HTTP/2 connection to an origin, read and written as HTTP/1.1.
    /// Upstreams only.
    Pipe(Box<DuplexStream>),
    /// One stream of an HTTP/2 connection, read and written as HTTP/1.1. Clients only.
    Http2(Box<Bridge>),
}

fn facts(session: &rustls::CommonState, name: Option<&str>) -> TlsFacts {
    let version = match session.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "1.2",
        Some(_) => "1.3",
        None => "",
    };
    let cipher = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let chain = session.peer_certificates().unwrap_or_default();
    TlsFacts {
        version: version.into(),
        // As IANA registers it; rustls marks those of TLS 1.3.
        cipher: cipher.map(|name| name.replacen("TLS13_", "TLS_", 1)).unwrap_or_default().into(),
        alpn: session.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        sni: name.map(str::to_owned),
        resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        chain: chain.iter().map(|der| Bytes::copy_from_slice(der)).collect(),
        problem: None,
    }
}

impl Stream {
    /// The TCP connection, if the bytes of this stream are its bytes.
    #[must_use]
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(tcp) => Some(tcp),
            Self::TlsServer(_) | Self::Tls(_) | Self::Http2(_) | Self::Pipe(_) => None,
        }
    }

    /// The TCP connection at the bottom, whatever lies on it; for socket options. `None` where others
    /// share it.
    #[must_use]
    pub fn tcp_beneath(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(tcp) => Some(tcp),
            Self::TlsServer(tls) => tls.io().tcp_beneath(),
            Self::Tls(tls) => tls.io().tcp_beneath(),
            Self::Http2(_) | Self::Pipe(_) => None,
        }
    }

    /// Whether the peer is known to have given up, where that is told without reading. The task of
    /// the stream is woken when it becomes true.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::TlsServer(_) | Self::Tls(_) | Self::Pipe(_) => false,
            Self::Http2(bridge) => bridge.is_aborted(),
        }
    }

    /// The protocol agreed by ALPN (RFC 7301), if this is TLS and one was.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Tcp(_) | Self::Http2(_) | Self::Pipe(_) => None,
            Self::TlsServer(tls) => tls.connection().alpn_protocol(),
            Self::Tls(tls) => tls.connection().alpn_protocol(),
        }
    }

    /// The certificate of the server, if this is TLS with an upstream.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Self::Tls(tls) => tls.connection().peer_certificates()?.first(),
            _ => None,
        }
    }

    /// What was agreed in TLS, if this is TLS.
    #[must_use]
    pub fn tls_facts(&self) -> Option<TlsFacts> {
        match self {
            Self::Tls(tls) => Some(facts(tls.connection(), None)),
            Self::TlsServer(tls) => Some(facts(tls.connection(), tls.connection().server_name())),
            _ => None,
        }
    }

    /// Says that nothing more will come, as far as the close that follows at once does not say it.
    ///
    /// # Errors
    /// The stream's.
    pub fn poll_last_words(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::TlsServer(tls) => tls.poll_close_notify(context),
            Self::Tls(_) | Self::Http2(_) | Self::Pipe(_) => Pin::new(self).poll_shutdown(context),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self::Tcp(tcp)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::TlsServer(tls) => Pin::new(&mut **tls).poll_read(context, buffer),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_read(context, buffer),
            Self::Http2(bridge) => Pin::new(&mut **bridge).poll_read(context, buffer),
            Self::Pipe(pipe) => Pin::new(&mut **pipe).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::TlsServer(tls) => Pin::new(&mut **tls).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write(context, bytes),
            Self::Http2(bridge) => Pin::new(&mut **bridge).poll_write(context, bytes),
            Self::Pipe(pipe) => Pin::new(&mut **pipe).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(context, slices),
            Self::TlsServer(tls) => Pin::new(&mut **tls).poll_write_vectored(context, slices),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_write_vectored(context, slices),
            Self::Http2(bridge) => Pin::new(&mut **bridge).poll_write_vectored(context, slices),
            Self::Pipe(pipe) => Pin::new(&mut **pipe).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.is_write_vectored(),
            Self::TlsServer(tls) => tls.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
            Self::Http2(bridge) => bridge.is_write_vectored(),
            Self::Pipe(pipe) => pipe.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(context),
            Self::TlsServer(tls) => Pin::new(&mut **tls).poll_flush(context),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_flush(context),
            Self::Http2(bridge) => Pin::new(&mut **bridge).poll_flush(context),
            Self::Pipe(pipe) => Pin::new(&mut **pipe).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::TlsServer(tls) => Pin::new(&mut **tls).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(&mut **tls).poll_shutdown(context),
            Self::Http2(bridge) => Pin::new(&mut **bridge).poll_shutdown(context),
            Self::Pipe(pipe) => Pin::new(&mut **pipe).poll_shutdown(context),
        }
    }
}
