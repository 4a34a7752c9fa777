//! A listener on loopback that hands each connection to a function, and remembers every byte it got.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::raw::Ended;
use crate::wait::{PATIENCE, wait_for};

/// What one connection brought.
#[derive(Clone, Debug)]
pub struct Received {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How it ended; [`Ended::Open`] while it has not.
    pub ended: Ended,
}

/// One accepted connection. Reads through it are remembered.
#[derive(Debug)]
pub struct Connection {
    /// The socket.
    pub stream: TcpStream,
    /// Counts connections from 0.
    pub index: usize,
    received: Arc<Mutex<Received>>,
}

impl Connection {
    /// Everything received so far.
    #[must_use]
    pub fn so_far(&self) -> Vec<u8> {
        self.received.lock().unwrap().bytes.clone()
    }

    /// Reads once; 0 at the end. Errors count as the end.
    pub fn read_some(&mut self) -> usize {
        let mut buffer = [0; 16 * 1024];
        self.read(&mut buffer).unwrap_or(0)
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.stream.read(buffer);
        let mut received = self.received.lock().unwrap();
        match &result {
            // What is read after a reset is the end as well; the reset is what counts.
            Ok(0) if received.ended == Ended::Open => received.ended = Ended::Eof,
            Ok(0) => {}
            Ok(n) => received.bytes.extend_from_slice(&buffer[..*n]),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => received.ended = Ended::Reset,
        }
        result
    }
}

/// A running listener; dropped, it accepts no more.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<Arc<Mutex<Received>>>>>,
}

impl Server {
    /// Listens on 127.0.0.1 and runs `serve` in a thread for each connection.
    ///
    /// # Panics
    /// When no socket can be had.
    pub fn start(serve: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0", serve)
    }

    /// As [`Server::start`], on a given loopback address.
    ///
    /// # Panics
    /// When no socket can be had.
    pub fn start_on(address: &str, serve: impl Fn(Connection) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(address.ip().is_loopback(), "test servers listen on loopback");
        let stop = Arc::new(AtomicBool::new(false));
        let connections: Arc<Mutex<Vec<Arc<Mutex<Received>>>>> = Arc::default();
        let serve = Arc::new(serve);
        let (stopped, accepted) = (stop.clone(), connections.clone());
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let received = Arc::new(Mutex::new(Received { bytes: Vec::new(), ended: Ended::Open }));
                let index = {
                    let mut all = accepted.lock().unwrap();
                    all.push(received.clone());
                    all.len() - 1
                };
                let _ = stream.set_nodelay(true);
                let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
                let _ = stream.set_write_timeout(Some(Duration::from_secs(60)));
                let serve = serve.clone();
                std::thread::spawn(move || serve(Connection { stream, index, received }));
            }
        });
        Self { address, stop, connections }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections came.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.connections.lock().unwrap().len()
    }

    /// What each connection brought, in the order they came.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.connections.lock().unwrap().iter().map(|c| c.lock().unwrap().clone()).collect()
    }

    /// Waits until connection `index` has ended, and says how.
    #[must_use]
    pub fn ending_of(&self, index: usize) -> Ended {
        wait_for("the end of an origin's connection", PATIENCE, || {
            let ended = self.received().get(index)?.ended;
            (ended != Ended::Open).then_some(ended)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)); // wakes `accept`
    }
}
