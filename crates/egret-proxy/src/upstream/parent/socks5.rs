//! SOCKS5 as a client (RFC 1928), with user name and password (RFC 1929).

use std::io;
use std::net::IpAddr;

use egret_core::destination::{Destination, Host};
use egret_core::route::Credentials;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Problem;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;
const CONNECT: u8 = 1;
const TYPE_IPV4: u8 = 1;
const TYPE_NAME: u8 = 3;
const TYPE_IPV6: u8 = 4;

/// Asks for a connection. Returns what came behind the answer.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    target: &Destination,
    credentials: Option<&Credentials>,
) -> Result<Vec<u8>, Problem> {
    let request = request(target)?;
    let greeting: &[u8] = match credentials {
        None => &[VERSION, 1, NO_AUTHENTICATION],
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_PASSWORD],
    };
    let mut replies = Replies { io, buffer: Vec::with_capacity(64), taken: 0 };
    replies.send(greeting).await?;
    let [version, method] = replies.take().await?;
    check_version(version)?;
    match (method, credentials) {
        (NO_AUTHENTICATION, _) => {}
        (USER_PASSWORD, Some(credentials)) => {
            replies.send(&authentication(credentials)?).await?;
            let [_, status] = replies.take().await?;
            if status != 0 {
                return Err(Problem::refused("did not accept the credentials configured for it"));
            }
        }
        (NONE_ACCEPTABLE, None) => {
            return Err(Problem::refused("wants credentials, and none are configured for it"));
        }
        (NONE_ACCEPTABLE, Some(_)) => {
            return Err(Problem::refused("takes neither user name and password nor no credentials at all"));
        }
        _ => return Err(Problem::protocol("chose a SOCKS5 method that was not offered")),
    }
    replies.send(&request).await?;
    let [version, reply, _, address_type] = replies.take().await?;
    check_version(version)?;
    if reply != 0 {
        return Err(Problem::refused(format!("answered \"{}\" (SOCKS5 reply {reply})", describe(reply))));
    }
    // The address it is bound to, which is of no interest, and two bytes of port.
    let length = match address_type {
        TYPE_IPV4 => 4,
        TYPE_IPV6 => 16,
        TYPE_NAME => {
            let [length] = replies.take().await?;
            usize::from(length)
        }
        _ => return Err(Problem::protocol("answered with a SOCKS5 address of an unknown type")),
    };
    replies.skip(length + 2).await?;
    Ok(replies.rest())
}

fn request(target: &Destination) -> Result<Vec<u8>, Problem> {
    let mut request = vec![VERSION, CONNECT, 0];
    match &target.host {
        Host::Name(name) => {
            let length = u8::try_from(name.len())
                .map_err(|_| Problem::refused("cannot be told a name of more than 255 bytes"))?;
            request.extend([TYPE_NAME, length]);
            request.extend(name.as_bytes());
        }
        Host::Address(IpAddr::V4(address)) => {
            request.push(TYPE_IPV4);
            request.extend(address.octets());
        }
        Host::Address(IpAddr::V6(address)) => {
            request.push(TYPE_IPV6);
            request.extend(address.octets());
        }
    }
    request.extend(target.port.to_be_bytes());
    Ok(request)
}

fn authentication(credentials: &Credentials) -> Result<Vec<u8>, Problem> {
    let mut message = vec![1];
    for text in [&credentials.user, &credentials.password] {
        let length = u8::try_from(text.len()).map_err(|_| {
            Problem::refused("cannot be given a user name or password of more than 255 bytes")
        })?;
        message.push(length);
        message.extend(text.as_bytes());
    }
    Ok(message)
}

fn check_version(version: u8) -> Result<(), Problem> {
    match version {
        VERSION => Ok(()),
        _ => Err(Problem::protocol("answered with something that is not SOCKS5")),
    }
}

/// RFC 1928 section 6.
fn describe(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "an unknown failure",
    }
}

/// Reads replies out of a buffer: one read for each instead of one for each field.
struct Replies<'a, S> {
    io: &'a mut S,
    buffer: Vec<u8>,
    taken: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Replies<'_, S> {
    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.io.write_all(message).await?;
        self.io.flush().await
    }

    async fn fill(&mut self, length: usize) -> io::Result<()> {
        while self.buffer.len() < self.taken + length {
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    async fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.fill(N).await?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.buffer[self.taken..self.taken + N]);
        self.taken += N;
        Ok(bytes)
    }

    async fn skip(&mut self, length: usize) -> io::Result<()> {
        self.fill(length).await?;
        self.taken += length;
        Ok(())
    }

    fn rest(mut self) -> Vec<u8> {
        self.buffer.split_off(self.taken)
    }
}
