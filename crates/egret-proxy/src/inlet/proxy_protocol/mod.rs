//! The PROXY protocol: a load balancer says whose connection it passes on. Believed only where it comes
//! from an address that the configuration trusts.

pub mod header;

use std::net::SocketAddr;

use egret_core::reason::Reason;
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, sleep_until, timeout_at};

use crate::refuse::Refusal;

/// How long half a header is waited with before it is looked at again. A header comes in one packet,
/// so this happens to nobody in good order.
const AGAIN: Duration = Duration::from_millis(5);

/// Reads the header and takes it off the connection, and nothing behind it.
///
/// # Errors
/// A refusal; `None` where the connection ended without a byte (a probe of the balancer).
pub async fn read(tcp: &TcpStream, limit: Duration) -> Result<Option<SocketAddr>, Option<Refusal>> {
    let wrong =
        |detail: String| Some(Refusal::new(Reason::MalformedRequest, format!("PROXY protocol: {detail}")));
    let end = Instant::now() + limit;
    // Looked at and left where it is, because the bytes behind it belong to somebody else.
    let mut bytes = Box::new([0; header::LONGEST]);
    let mut before = 0;
    let length = loop {
        let late = || {
            (before > 0)
                .then(|| Refusal::new(Reason::RequestTimeout, format!("no PROXY header within {limit:?}")))
        };
        let count = match timeout_at(end, tcp.peek(&mut bytes[..])).await {
            Err(_) => return Err(late()),
            Ok(Err(_)) => return Err(None),
            Ok(Ok(count)) => count,
        };
        match header::read(&bytes[..count]) {
            Ok(Some(header)) => break header,
            Ok(None) if count == 0 => return Err(None),
            Ok(None) if count == before => {
                if Instant::now() >= end {
                    return Err(late());
                }
                sleep_until(Instant::now() + AGAIN).await;
            }
            Ok(None) => before = count,
            Err(error) => return Err(wrong(error.to_string())),
        }
    };
    let mut taken = 0;
    while taken < length.length {
        match tcp.try_read(&mut bytes[taken..length.length]) {
            Ok(0) => return Err(None),
            Ok(count) => taken += count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if tcp.readable().await.is_err() {
                    return Err(None);
                }
            }
            Err(_) => return Err(None),
        }
    }
    Ok(length.source)
}
