//! Origins that do exactly what a script says, and one that only records.

use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use socket2::SockRef;

use crate::message::{self, Message};
use crate::raw::Ended;
use crate::server::{Connection, Received, Server};

/// One step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// Read until the end of a head (an empty line) that has not been read before.
    ReadHead,
    /// Read until one whole request more is there.
    ReadRequest,
    /// Read until so many bytes have come in all.
    ReadTotal(usize),
    /// Read until the other side ends.
    ReadToEnd,
    /// Send bytes.
    Send(Vec<u8>),
    /// Send the same bytes so many times, or until the other side goes away.
    Repeat(Vec<u8>, usize),
    /// Wait.
    Pause(Duration),
    /// Send FIN and go on.
    Finish,
    /// Send RST; the script ends.
    Reset,
    /// Keep reading without answering until the other side ends.
    Hold,
}

/// `Step::Send` of text; characters up to U+00FF are single bytes.
#[must_use]
pub fn send(text: &str) -> Step {
    Step::Send(message::bytes_of(text))
}

/// An origin that follows a script for each connection.
#[derive(Debug)]
pub struct ScriptedOrigin {
    server: Server,
}

impl ScriptedOrigin {
    /// Connection number i follows script i; those after the last follow the last. At the end of a
    /// script the connection is closed.
    #[must_use]
    pub fn start(scripts: Vec<Vec<Step>>) -> Self {
        assert!(!scripts.is_empty());
        let server = Server::start(move |connection| {
            let script = &scripts[connection.index.min(scripts.len() - 1)];
            run(connection, script);
        });
        Self { server }
    }

    /// An origin that reads a head, sends `reply` and closes.
    #[must_use]
    pub fn replying(reply: &str) -> Self {
        Self::start(vec![vec![Step::ReadRequest, send(reply)]])
    }

    /// An origin that reads a head, sends `reply` and leaves the connection open.
    #[must_use]
    pub fn replying_and_holding(reply: &str) -> Self {
        Self::start(vec![vec![Step::ReadRequest, send(reply), Step::Hold]])
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The server underneath.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What each connection brought.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.server.received()
    }
}

fn run(mut connection: Connection, script: &[Step]) {
    let mut consumed = 0;
    for step in script {
        match step {
            Step::ReadHead => {
                let Some(end) = read_until(&mut connection, |bytes| {
                    let rest = bytes.get(consumed..)?;
                    rest.windows(4).position(|w| w == b"\r\n\r\n").map(|at| consumed + at + 4)
                }) else {
                    return;
                };
                consumed = end;
            }
            Step::ReadRequest => {
                let Some(end) = read_until(&mut connection, |bytes| {
                    let request = message::request(bytes.get(consumed..)?)?;
                    request.complete.then_some(consumed + request.consumed)
                }) else {
                    return;
                };
                consumed = end;
            }
            Step::ReadTotal(count) => {
                if read_until(&mut connection, |bytes| (bytes.len() >= *count).then_some(())).is_none() {
                    return;
                }
            }
            Step::ReadToEnd | Step::Hold => while connection.read_some() > 0 {},
            Step::Send(bytes) => {
                if connection.stream.write_all(bytes).is_err() {
                    return;
                }
            }
            Step::Repeat(bytes, times) => {
                for _ in 0..*times {
                    if connection.stream.write_all(bytes).is_err() {
                        return;
                    }
                }
            }
            Step::Pause(time) => std::thread::sleep(*time),
            Step::Finish => {
                let _ = connection.stream.shutdown(Shutdown::Write);
            }
            Step::Reset => {
                let _ = SockRef::from(&connection.stream).set_linger(Some(Duration::ZERO));
                return;
            }
        }
    }
    // Closing with bytes unread would reset the connection and may destroy what was sent: finish, then
    // read what is left.
    let _ = connection.stream.shutdown(Shutdown::Write);
    while connection.read_some() > 0 {}
}

fn read_until<T>(connection: &mut Connection, mut found: impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
    loop {
        if let Some(answer) = found(&connection.so_far()) {
            return Some(answer);
        }
        if connection.read_some() == 0 {
            return None;
        }
    }
}

/// An origin that answers every complete request with `200` and records the bytes.
#[derive(Debug)]
pub struct RecordingOrigin {
    server: Server,
}

impl Default for RecordingOrigin {
    fn default() -> Self {
        Self::start()
    }
}

impl RecordingOrigin {
    /// Starts it. The body of its answers is `ok`.
    #[must_use]
    pub fn start() -> Self {
        let server = Server::start(|mut connection| {
            let mut consumed = 0;
            loop {
                let bytes = connection.so_far();
                match message::request(&bytes[consumed..]) {
                    Some(request) if request.complete => {
                        consumed += request.consumed;
                        let head = request.start_line.starts_with("HEAD ");
                        let body = if head { "" } else { "ok" };
                        let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
                        if connection.stream.write_all(reply.as_bytes()).is_err() {
                            return;
                        }
                    }
                    _ => {
                        if connection.read_some() == 0 {
                            return;
                        }
                    }
                }
            }
        });
        Self { server }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// All bytes of all connections, one after the other.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.server.received().into_iter().flat_map(|r| r.bytes).collect()
    }

    /// The complete requests of all connections, and bytes that belong to none.
    #[must_use]
    pub fn requests(&self) -> (Vec<Message>, Vec<u8>) {
        let mut all = Vec::new();
        let mut left_over = Vec::new();
        for received in self.server.received() {
            let (requests, rest) = message::requests(&received.bytes);
            all.extend(requests);
            left_over.extend(rest);
        }
        (all, left_over)
    }

    /// Whether a connection that brought bytes is still open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.server.received().iter().any(|r| r.ended == Ended::Open && !r.bytes.is_empty())
    }

    /// The server underneath.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }
}
