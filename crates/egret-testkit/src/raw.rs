//! A client that sends exactly the bytes it is told to.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::message::{self, Message};
use crate::wait::PATIENCE;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The other side finished sending (FIN).
    Eof,
    /// The other side reset (RST).
    Reset,
    /// It did not end while we waited.
    Open,
}

/// One TCP connection and what has come in on it that nobody has taken yet.
#[derive(Debug)]
pub struct RawClient {
    /// The socket.
    pub stream: TcpStream,
    /// Bytes read and not yet taken by [`RawClient::response`].
    pub pending: Vec<u8>,
}

impl RawClient {
    /// Connects.
    ///
    /// # Panics
    /// When the connection fails.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .unwrap_or_else(|e| panic!("cannot connect to {address}: {e}"));
        stream.set_nodelay(true).unwrap();
        Self { stream, pending: Vec::new() }
    }

    /// Connects from one of this machine's addresses: every `127.x.y.z` is one.
    ///
    /// # Panics
    /// When the connection fails.
    #[must_use]
    pub fn connect_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket
            .connect_timeout(&address.into(), PATIENCE)
            .unwrap_or_else(|e| panic!("cannot connect from {source} to {address}: {e}"));
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        Self { stream, pending: Vec::new() }
    }

    /// Sends bytes. A peer that has already closed is no failure of the test: what it said counts.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Sends bytes in pieces of `size` with a pause between them, so that each is its own segment.
    pub fn send_in_pieces(&mut self, bytes: &[u8], size: usize, pause: Duration) -> &mut Self {
        for piece in bytes.chunks(size) {
            self.send(piece);
            std::thread::sleep(pause);
        }
        self
    }

    /// Sends FIN.
    pub fn finish(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Closes with RST.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Reads until the connection ends or `limit` is over.
    pub fn read_to_end(&mut self, limit: Duration) -> (Vec<u8>, Ended) {
        let ended = self.read_until(limit, |_| false);
        (std::mem::take(&mut self.pending), ended)
    }

    /// Reads into `pending` until `enough` says so; [`Ended::Open`] then, or when `limit` is over.
    pub fn read_until(&mut self, limit: Duration, mut enough: impl FnMut(&[u8]) -> bool) -> Ended {
        let deadline = Instant::now() + limit;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if enough(&self.pending) {
                return Ended::Open;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ended::Open;
            }
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).unwrap();
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ended::Eof,
                Ok(n) => self.pending.extend_from_slice(&buffer[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Ended::Reset,
            }
        }
    }

    /// Reads exactly `count` bytes and takes them.
    ///
    /// # Panics
    /// When they do not come.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let ended = self.read_until(PATIENCE, |bytes| bytes.len() >= count);
        assert!(self.pending.len() >= count, "wanted {count} bytes, {ended:?} after {:?}", self.pending);
        self.pending.drain(..count).collect()
    }

    /// Reads the final response to a request with `method`; interim responses are dropped.
    ///
    /// # Panics
    /// When none comes.
    pub fn response(&mut self, method: &str) -> Message {
        self.responses(method).pop().unwrap()
    }

    /// Reads the interim responses and the final one. The last is not complete if the connection ended
    /// before it did.
    ///
    /// # Panics
    /// When not even a head comes.
    pub fn responses(&mut self, method: &str) -> Vec<Message> {
        let done = |messages: &[Message]| {
            messages.last().is_some_and(|m| m.complete && (m.status() >= 200 || m.status() == 101))
        };
        let ended = self.read_until(PATIENCE, |bytes| done(&message::responses(bytes, method, false).0));
        let (messages, rest) = message::responses(&self.pending, method, ended == Ended::Eof);
        assert!(
            messages.last().is_some_and(|m| m.status() >= 200 || m.status() == 101),
            "no final response ({ended:?}), only: {:?}",
            message::latin1(&self.pending)
        );
        self.pending = rest;
        messages
    }

    /// A request and its final response.
    ///
    /// # Panics
    /// When no response comes.
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> Message {
        let request = request.as_ref();
        let method = request.split(|b| *b == b' ').next().unwrap_or_default();
        let method = String::from_utf8_lossy(method).into_owned();
        self.send(request);
        self.response(&method)
    }

    /// Whether nothing came and the connection stays open for `time`.
    pub fn is_quiet_for(&mut self, time: Duration) -> bool {
        self.read_until(time, |bytes| !bytes.is_empty()) == Ended::Open && self.pending.is_empty()
    }
}
