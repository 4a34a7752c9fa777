//! The proxy's side of a TLS connection, with a client or with an upstream.
//!
//! rustls speaks the protocol; this moves its bytes, with as few system calls as it takes:
//! - What has arrived is read at once, into a buffer that the connections of a worker share, and not in
//!   pieces of 4 KiB.
//! - What ends a handshake goes out with the first bytes behind it: session tickets with an answer, where the
//!   request is there already, and Finished with a request. Nothing waits for the other side: before a wait
//!   everything is sent.
//! - Bulk is written in as many records as one read brought, with one call.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read as _, Write};
use std::ops::DerefMut;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::{ClientConfig, ClientConnection, ConnectionCommon, ServerConnection, SideData};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::buffer::{self, Buffer};
use crate::stream::Stream;

/// Bytes that may wait in records for the socket: what one read brings, and what TLS adds to it.
const SEALED: usize = buffer::CAPACITY + 16 * 1024;

/// A TLS connection over another stream: the server's side of it, or the client's.
#[derive(Debug)]
pub struct TlsStream<Side> {
    io: Stream,
    connection: Side,
    /// Bytes that were read, and that the connection has not looked at yet.
    sealed: Option<Buffer>,
    /// The socket did not take all of what waits.
    blocked: bool,
    /// close_notify was sent, or waits.
    closed: bool,
    /// The end of the connection is an end also without close_notify.
    forgives_cuts: bool,
    /// What went wrong behind bytes that were good, to be told by the next read.
    failed: Option<io::Error>,
}

impl TlsStream<ServerConnection> {
    /// A connection with a client whose handshake is to come. `sealed` is what was read behind the ClientHello.
    ///
    /// Many clients close without close_notify (RFC 8446 section 6.1). What they send has an end of its own, so that
    /// nothing that was cut off is taken for whole.
    #[must_use]
    pub fn server(io: Stream, connection: ServerConnection, sealed: Option<Buffer>) -> Self {
        Self::new(io, connection, sealed, true)
    }
}

impl TlsStream<ClientConnection> {
    /// A connection with an upstream whose handshake is to come. What it sends may end with the connection, so it has
    /// to say that this is the end.
    #[must_use]
    pub fn client(io: Stream, connection: ClientConnection) -> Self {
        Self::new(io, connection, None, false)
    }

    /// Shakes hands with an upstream, which has to prove that it has this name. The last of it that is to be sent
    /// may still wait then: it goes with the first bytes.
    ///
    /// # Errors
    /// As [`TlsStream::poll_handshake`].
    pub async fn connect(
        io: Stream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Box<Self>> {
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut stream = Box::new(Self::client(io, connection));
        poll_fn(|context| stream.poll_handshake(context)).await?;
        Ok(stream)
    }
}

impl<Side, Data> TlsStream<Side>
where
    Side: DerefMut<Target = ConnectionCommon<Data>>,
    Data: SideData,
{
    fn new(io: Stream, mut connection: Side, sealed: Option<Buffer>, forgives_cuts: bool) -> Self {
        connection.set_buffer_limit(Some(SEALED));
        Self { io, connection, sealed, blocked: false, closed: false, forgives_cuts, failed: None }
    }

    /// What was agreed.
    #[must_use]
    pub fn connection(&self) -> &Side {
        &self.connection
    }

    /// What lies beneath.
    #[must_use]
    pub fn io(&self) -> &Stream {
        &self.io
    }

    /// What lies beneath, after a handshake that failed.
    #[must_use]
    pub fn into_io(self) -> Stream {
        self.io
    }

    /// Shakes hands. What is left to be sent at its end goes with the first bytes behind it, or before a wait.
    ///
    /// # Errors
    /// The socket's, `UnexpectedEof`, and `InvalidData` with the error of the protocol inside; the alert for
    /// it was sent.
    pub fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.is_handshaking() {
            ready!(self.poll_send(context))?;
            if ready!(self.poll_receive(context))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more will come, and leaves the socket as it is: who closes it next need not
    /// shut it down before.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_close_notify(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            self.closed = true;
            self.connection.send_close_notify();
        }
        self.poll_send(context)
    }

    /// Sends what waits.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut Writer { io: &mut self.io, context }) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.blocked = false;
        Poll::Ready(Ok(()))
    }

    /// Gives the connection some more of what was read, and reads where nothing is left. 0: the end.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if buffer::filled(&self.sealed).is_empty() {
            let outcome = buffer::poll_fill(context, &mut self.io, &mut self.sealed);
            if outcome.is_pending() {
                // Nobody is to wait for what waits here.
                if self.connection.wants_write()
                    && let Poll::Ready(Err(error)) = self.poll_send(context)
                {
                    return Poll::Ready(Err(error));
                }
                return Poll::Pending;
            }
            ready!(outcome)?;
        }
        let mut bytes = buffer::filled(&self.sealed);
        // An empty read tells the connection of the end.
        let count = self.connection.read_tls(&mut bytes)?;
        match &mut self.sealed {
            Some(buffer) if count > 0 => buffer.consume(count),
            // What comes behind close_notify is nobody's.
            _ => self.sealed = None,
        }
        buffer::release_empty(&mut self.sealed);
        if let Err(error) = self.connection.process_new_packets() {
            // The alert says it better than a closed connection; where it cannot go, it is let be.
            let _ = self.poll_send(context);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write_with(
        &mut self,
        context: &mut Context<'_>,
        mut seal: impl FnMut(&mut rustls::Writer<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.blocked {
                ready!(self.poll_send(context))?;
            }
            let count = seal(&mut self.connection.writer())?;
            if let Poll::Ready(outcome) = self.poll_send(context) {
                outcome?;
            }
            // Nothing was taken only where too much waited before.
            if count > 0 || !self.blocked {
                return Poll::Ready(Ok(count));
            }
        }
    }
}

impl<Side, Data> AsyncRead for TlsStream<Side>
where
    Side: DerefMut<Target = ConnectionCommon<Data>> + Unpin,
    Data: SideData,
{
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = room.filled().len();
        if let Some(error) = this.failed.take() {
            return Poll::Ready(Err(error));
        }
        loop {
            while room.remaining() > 0 {
                match this.connection.reader().read(room.initialize_unfilled()) {
                    Ok(0) => return Poll::Ready(Ok(())),
                    Ok(count) => room.advance(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if this.forgives_cuts && error.kind() == io::ErrorKind::UnexpectedEof => {
                        return Poll::Ready(Ok(()));
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            let moved = room.filled().len() > before;
            if room.remaining() == 0 || (moved && buffer::filled(&this.sealed).is_empty()) {
                return Poll::Ready(Ok(()));
            }
            match this.poll_receive(context) {
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) if moved => {
                    this.failed = Some(error);
                    return Poll::Ready(Ok(()));
                }
                outcome => return outcome.map_ok(|_| ()),
            }
        }
    }
}

impl<Side, Data> AsyncWrite for TlsStream<Side>
where
    Side: DerefMut<Target = ConnectionCommon<Data>> + Unpin,
    Data: SideData,
{
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_with(context, |writer| writer.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_with(context, |writer| writer.write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(context))?;
        Pin::new(&mut this.io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_close_notify(context))?;
        Pin::new(&mut this.io).poll_shutdown(context)
    }
}

/// The socket, as rustls writes to it.
struct Writer<'a, 'b> {
    io: &'a mut Stream,
    context: &'a mut Context<'b>,
}

impl Writer<'_, '_> {
    fn now<T>(outcome: Poll<io::Result<T>>) -> io::Result<T> {
        match outcome {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Writer<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::now(Pin::new(&mut *self.io).poll_write(self.context, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            // A plain write costs the system less than one that gathers.
            [only] => self.write(only),
            many => Self::now(Pin::new(&mut *self.io).poll_write_vectored(self.context, many)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
