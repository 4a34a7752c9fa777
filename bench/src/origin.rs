//! The origins behind the proxies: HTTP, echo, source and sink, on one thread of their own.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::{io, thread};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::tls;

/// How much the source writes and the sink reads at once. Large, so that the ends cost little beside
/// the proxy.
const BULK: usize = 256 * 1024;

/// Longer heads than this no client here sends.
const HEAD: usize = 16 * 1024;

/// Where the origins listen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// Answers any request with a body of the length that is the path.
    pub(crate) http: SocketAddr,
    /// The same over TLS.
    pub(crate) https: SocketAddr,
    /// Sends back what it reads.
    pub(crate) echo: SocketAddr,
    /// Sends without end once it has read a byte.
    pub(crate) source: SocketAddr,
    /// Reads without end.
    pub(crate) sink: SocketAddr,
}

/// Running origins; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) ports: Ports,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Origin {
    /// Starts origins on free ports. New ones for each measurement, so that connections that linger in
    /// TIME_WAIT from the one before take no port away from it.
    ///
    /// # Errors
    ///
    /// No port can be bound, or no thread started.
    pub(crate) fn start() -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (ready, ports) = mpsc::channel();
        let thread = thread::Builder::new().name("origin".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            runtime.block_on(async {
                let started = start_all().await;
                let failed = started.is_err();
                if ready.send(started).is_ok() && !failed {
                    // Either the sender says stop, or it is gone; both end the origins.
                    let _ = stopped.await;
                }
            });
        })?;
        let ports = ports.recv().map_err(io::Error::other)??;
        Ok(Self { ports, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn start_all() -> io::Result<Ports> {
    Ok(Ports {
        http: listen(http).await?,
        https: listen_tls().await?,
        echo: listen(echo).await?,
        source: listen(source).await?,
        sink: listen(sink).await?,
    })
}

async fn listen<Service, Work>(service: Service) -> io::Result<SocketAddr>
where
    Service: Fn(TcpStream) -> Work + Send + 'static,
    Work: Future<Output = io::Result<()>> + Send + 'static,
{
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    let listener: TcpListener = socket.listen(4096)?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(service(stream));
        }
    });
    Ok(address)
}

async fn listen_tls() -> io::Result<SocketAddr> {
    let acceptor = tls::acceptor()?;
    listen(move |stream| {
        let acceptor = acceptor.clone();
        async move { http(acceptor.accept(stream).await?).await }
    })
    .await
}

/// The whole answer with a body of this length.
fn answer(length: usize) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: origin\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + length, b'e');
    answer
}

/// The length of the body that a head asks for: the number that its path is.
fn asked_length(head: &[u8]) -> Option<usize> {
    let target = head.split(|byte| *byte == b' ').nth(1)?;
    let number = std::str::from_utf8(target.rsplit(|byte| *byte == b'/').next()?).ok()?;
    number.parse().ok().filter(|length| *length <= 1 << 20)
}

async fn http(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(2048);
    let mut prepared = Vec::new();
    let mut prepared_length = None;
    loop {
        let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") else {
            if buffer.len() > HEAD || stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let Some(length) = asked_length(&buffer[..end]) else {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
        };
        buffer.drain(..end + 4);
        if prepared_length != Some(length) {
            prepared = answer(length);
            prepared_length = Some(length);
        }
        stream.write_all(&prepared).await?;
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
}

async fn source(mut stream: TcpStream) -> io::Result<()> {
    let block = vec![b'e'; BULK];
    stream.read_u8().await?;
    loop {
        stream.write_all(&block).await?;
    }
}

async fn sink(mut stream: TcpStream) -> io::Result<()> {
    let mut block = vec![0; BULK];
    while stream.read(&mut block).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_says_the_length() {
        assert_eq!(asked_length(b"GET /1024 HTTP/1.1\r\nHost: a"), Some(1024));
        assert_eq!(asked_length(b"GET http://127.0.0.1:1/65536 HTTP/1.1"), Some(65536));
        assert_eq!(asked_length(b"GET / HTTP/1.1"), None);
        assert_eq!(asked_length(b"GET /99999999999 HTTP/1.1"), None);
    }

    #[test]
    fn an_answer_is_as_long_as_it_says() {
        let answer = answer(1024);
        let end = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap();
        assert_eq!(answer.len() - end - 4, 1024);
    }
}
