//! The bare relay: what moving the bytes costs when nothing else is done. Neither policy, nor record,
//! nor strictness; the floor that a proxy can be held against, and not a proxy.
//!
//! One runtime for each core, each with its own listener on the same port; upstream connections are
//! pooled by runtime; buffers are taken when a socket is readable and given back when it is drained.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::LocalSet;

use crate::client::parse_head;

/// Bulk is the cheaper the more one read brings.
const BUFFER: usize = 256 * 1024;

/// What the connections of one runtime share.
#[derive(Default)]
struct Shared {
    buffers: RefCell<Vec<Box<[u8]>>>,
    upstreams: RefCell<HashMap<SocketAddr, Vec<TcpStream>>>,
}

impl Shared {
    fn buffer(&self) -> Box<[u8]> {
        self.buffers.borrow_mut().pop().unwrap_or_else(|| vec![0; BUFFER].into_boxed_slice())
    }

    fn give_back(&self, buffer: Box<[u8]>) {
        self.buffers.borrow_mut().push(buffer);
    }
}

/// Serves until the process is ended.
///
/// # Errors
///
/// The address cannot be bound.
pub(crate) fn run(listen: SocketAddr, workers: usize) -> io::Result<()> {
    let threads: Vec<_> = (0..workers).map(|_| std::thread::spawn(move || worker(listen))).collect();
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a worker panicked"))??;
    }
    Ok(())
}

fn worker(listen: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind(listen)?;
        let listener = socket.listen(4096)?;
        let shared = Rc::new(Shared::default());
        loop {
            let (client, _) = listener.accept().await?;
            let shared = Rc::clone(&shared);
            tokio::task::spawn_local(async move {
                let _ = client.set_nodelay(true);
                let _ = serve(client, &shared).await;
            });
        }
    })
}

async fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut head = Vec::with_capacity(512);
    loop {
        head.clear();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > 8192 || client.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let text = std::str::from_utf8(&head).map_err(io::Error::other)?;
        let wrong = || io::Error::from(io::ErrorKind::InvalidData);
        let (method, rest) = text.split_once(' ').ok_or_else(wrong)?;
        if method == "CONNECT" {
            let (authority, _) = rest.split_once(' ').ok_or_else(wrong)?;
            let mut origin = TcpStream::connect(authority).await?;
            origin.set_nodelay(true)?;
            drop(head);
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            let (client_read, client_write) = client.split();
            let (origin_read, origin_write) = origin.split();
            let up = pump(client_read, origin_write, shared);
            let down = pump(origin_read, client_write, shared);
            return tokio::try_join!(up, down).map(|_| ());
        }
        let (authority, path) =
            rest.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let request = format!("{method} /{path}");
        let origin: SocketAddr = authority.parse().map_err(io::Error::other)?;
        forward(&mut client, origin, request.as_bytes(), shared).await?;
    }
}

/// Sends one request upstream and the answer back.
async fn forward(
    client: &mut TcpStream,
    origin: SocketAddr,
    request: &[u8],
    shared: &Shared,
) -> io::Result<()> {
    let pooled = shared.upstreams.borrow_mut().get_mut(&origin).and_then(Vec::pop);
    let mut upstream = match pooled {
        Some(upstream) => upstream,
        None => TcpStream::connect(origin).await?,
    };
    upstream.set_nodelay(true)?;
    upstream.write_all(request).await?;
    upstream.readable().await?;
    let mut buffer = shared.buffer();
    let mut filled = 0;
    let mut expected = None;
    loop {
        filled += upstream.read(&mut buffer[filled..]).await?;
        if expected.is_none() {
            expected = parse_head(&buffer[..filled])?.map(|head| head.length + head.body.unwrap_or(0));
        }
        if expected.is_some_and(|expected| filled >= expected) {
            break;
        }
    }
    client.write_all(&buffer[..filled]).await?;
    shared.give_back(buffer);
    shared.upstreams.borrow_mut().entry(origin).or_default().push(upstream);
    Ok(())
}

/// One direction of a tunnel, until its end, which is passed on.
async fn pump(from: ReadHalf<'_>, mut to: WriteHalf<'_>, shared: &Shared) -> io::Result<()> {
    loop {
        from.readable().await?;
        let mut buffer = shared.buffer();
        let read = match from.try_read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                shared.give_back(buffer);
                continue;
            }
            read => read?,
        };
        to.write_all(&buffer[..read]).await?;
        shared.give_back(buffer);
        if read == 0 {
            return to.shutdown().await;
        }
    }
}
