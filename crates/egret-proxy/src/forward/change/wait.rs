//! Waiting, with an eye on the client.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use egret_core::reason::Reason;
use tokio::time::sleep;

use crate::buffer;
use crate::client::Client;
use crate::control::CLOSE;
use crate::refuse::Refusal;

/// Waits so long, if at all.
///
/// # Errors
/// The client is gone, or the proxy closes.
pub(super) async fn pause(client: &mut Client, time: Duration) -> Result<(), Refusal> {
    if time.is_zero() {
        return Ok(());
    }
    until(client, time, |_| Poll::<()>::Pending).await.map(|_| ())
}

/// Waits for something, and at most so long: `None` then.
///
/// # Errors
/// The client is gone, or the proxy closes.
pub(super) async fn until<T>(
    client: &mut Client,
    time: Duration,
    mut ready: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<Option<T>, Refusal> {
    let mut over = pin!(sleep(time));
    // The end of its direction does not say that it is gone, and is not asked about over and over.
    let mut silent = false;
    poll_fn(|context| {
        client.control.register(context);
        if client.control.has(CLOSE) {
            return Poll::Ready(Err(Refusal::new(Reason::Draining, "")));
        }
        if client.stream.is_aborted() {
            return Poll::Ready(Err(Refusal::new(Reason::ClientAborted, "while it was held")));
        }
        if let Poll::Ready(value) = ready(context) {
            return Poll::Ready(Ok(Some(value)));
        }
        while !silent {
            match buffer::poll_fill(context, &mut client.stream, &mut client.input) {
                Poll::Pending => break,
                Poll::Ready(Ok(count)) => silent = count == 0,
                Poll::Ready(Err(error)) => match error.kind() {
                    // The buffer is full, or TLS was ended without its good-bye.
                    io::ErrorKind::OutOfMemory | io::ErrorKind::UnexpectedEof => silent = true,
                    _ => {
                        let detail = format!("while it was held: {error}");
                        return Poll::Ready(Err(Refusal::new(Reason::ClientAborted, detail)));
                    }
                },
            }
        }
        over.as_mut().poll(context).map(|()| Ok(None))
    })
    .await
}
