//! CONNECT through an HTTP parent (RFC 9110 section 9.3.6).

use egret_core::destination::Destination;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Problem;

/// The parent's answer, interim ones (1xx) included, may be this long. Squid's refusals carry heads of
/// under 1 KiB.
const MAX_HEAD: usize = 16 * 1024;

/// Of a parent's reason phrase, this much is passed on.
const MAX_PHRASE: usize = 160;

/// Asks for a tunnel. Returns what came behind the answer.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    io: &mut S,
    target: &Destination,
    authorization: Option<&str>,
    via: Option<&str>,
) -> Result<Vec<u8>, Problem> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(authorization) = authorization {
        request.extend(["Proxy-Authorization: ", authorization, "\r\n"]);
    }
    if let Some(via) = via {
        request.extend(["Via: 1.1 ", via, "\r\n"]);
    }
    request.push_str("\r\n");
    io.write_all(request.as_bytes()).await?;
    io.flush().await?;

    let mut buffer = Vec::with_capacity(1024);
    let mut skipped = 0;
    loop {
        let end = match find_end(&buffer[skipped..]) {
            Some(length) => skipped + length,
            None if buffer.len() >= MAX_HEAD => {
                return Err(Problem::protocol(format!("sent an answer of more than {MAX_HEAD} bytes")));
            }
            None => {
                if io.read_buf(&mut buffer).await? == 0 {
                    let words = match buffer.len() {
                        0 => "closed the connection without an answer",
                        _ => "closed the connection in the middle of its answer",
                    };
                    return Err(Problem::protocol(words));
                }
                // What does not begin like HTTP never gets an end; do not wait for one.
                let begun = &buffer[skipped..];
                let prefix = begun.len().min(b"HTTP/1.".len());
                if begun[..prefix] != b"HTTP/1."[..prefix] {
                    return Err(Problem::protocol("answered with something that is not HTTP/1"));
                }
                continue;
            }
        };
        let head = parse_head(&buffer[skipped..end]).map_err(Problem::protocol)?;
        match head.status {
            // A switch of protocols was not asked for.
            101 => return Err(Problem::protocol("answered 101 to CONNECT")),
            100..=199 => skipped = end,
            200..=299 => return Ok(buffer.split_off(end)),
            // tinyproxy says 401 to credentials that are wrong.
            status @ (401 | 407) => {
                let words = match authorization {
                    Some(_) => "did not accept the credentials configured for it",
                    None => "wants credentials, and none are configured for it",
                };
                return Err(Problem::refused(format!("{words} ({status}{})", phrase(&head.phrase))));
            }
            status => return Err(Problem::refused(format!("answered {status}{}", phrase(&head.phrase)))),
        }
    }
}

/// The length of a head, its empty line included.
fn find_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

struct Head {
    status: u16,
    phrase: String,
}

/// Reads a response head strictly (RFC 9112 sections 4 and 5): what is guessed at here would be where a
/// tunnel begins.
fn parse_head(head: &[u8]) -> Result<Head, &'static str> {
    let bad_byte = |byte: &u8| matches!(*byte, 0..=8 | 10..=31 | 127);
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    if lines.iter().any(|line| line.iter().any(bad_byte)) {
        return Err("answered with a head that has control characters in it");
    }
    let Some((status_line, fields)) = lines.split_first() else {
        return Err("answered with an empty head");
    };
    for field in fields.iter().filter(|field| !field.is_empty()) {
        let colon = memchr::memchr(b':', field).ok_or("answered with a header line without a colon")?;
        if colon == 0 || !field[..colon].iter().all(is_token) {
            return Err("answered with a malformed header name");
        }
    }
    let malformed = "answered with a malformed status line";
    let line = status_line
        .strip_prefix(b"HTTP/1.0 ")
        .or_else(|| status_line.strip_prefix(b"HTTP/1.1 "))
        .ok_or(malformed)?;
    let (digits, phrase) = line.split_at_checked(3).ok_or(malformed)?;
    if !digits.iter().all(u8::is_ascii_digit) || !(phrase.is_empty() || phrase[0] == b' ') {
        return Err(malformed);
    }
    let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
    if status < 100 {
        return Err(malformed);
    }
    let phrase = String::from_utf8_lossy(phrase).trim().chars().take(MAX_PHRASE).collect();
    Ok(Head { status, phrase })
}

fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

fn phrase(phrase: &str) -> String {
    if phrase.is_empty() { String::new() } else { format!(" {phrase}") }
}

#[cfg(test)]
mod tests {
    use egret_core::reason::Reason;

    use super::*;

    async fn answer(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
        let (mut io, mut parent) = tokio::io::duplex(64 * 1024);
        parent.write_all(bytes).await.unwrap();
        let target = Destination::parse_authority("origin.test:443").unwrap();
        let outcome = tokio::spawn(async move { open(&mut io, &target, Some("Basic eA=="), None).await });
        let mut request = vec![0; 4096];
        let length = parent.read(&mut request).await.unwrap();
        let expected = "CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\nProxy-Authorization: Basic eA==\r\n\r\n";
        assert_eq!(std::str::from_utf8(&request[..length]).unwrap(), expected);
        drop(parent);
        outcome.await.unwrap()
    }

    #[tokio::test]
    async fn takes_any_2xx_and_keeps_what_follows() {
        for head in
            ["HTTP/1.0 200 Connection established\r\n", "HTTP/1.1 200\r\n", "HTTP/1.1 204 \r\nX: y\r\n"]
        {
            let early = answer(format!("{head}\r\nSSH-2.0").as_bytes()).await.ok();
            assert_eq!(early.as_deref(), Some(&b"SSH-2.0"[..]), "{head}");
        }
    }

    #[tokio::test]
    async fn skips_interim_answers() {
        let bytes =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nrest";
        assert_eq!(answer(bytes).await.ok().as_deref(), Some(&b"rest"[..]));
    }

    #[tokio::test]
    async fn refuses_what_is_not_strictly_http() {
        let long = [&b"HTTP/1.1 200 OK\r\nX: "[..], &vec![b'x'; MAX_HEAD]].concat();
        let cases: [&[u8]; 12] = [
            b"",
            b"HTTP/1.1 200 OK\r\nX: y",
            b"SSH-2.0-OpenSSH",
            b"HTTP/2 200 OK\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 099 OK\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\n\r\n",
            b"HTTP/1.1 200 OK\nX: y\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX\0: y\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            &long,
        ];
        for case in cases {
            let problem = answer(case).await.expect_err("must be refused");
            let start = String::from_utf8_lossy(&case[..case.len().min(40)]).into_owned();
            assert_eq!(problem.reason, Reason::ParentProtocol, "{start:?}");
        }
    }

    #[tokio::test]
    async fn tells_the_parents_words_but_not_all_of_them() {
        let problem = answer(b"HTTP/1.1 403 No way\r\nServer: x\r\n\r\n<html>").await.err().unwrap();
        assert_eq!((problem.reason, problem.words.as_str()), (Reason::ParentRefused, "answered 403 No way"));
        let long = format!("HTTP/1.1 503 {}\r\n\r\n", "long ".repeat(1000));
        assert!(answer(long.as_bytes()).await.err().unwrap().words.len() < MAX_PHRASE + 20);
        let problem = answer(b"HTTP/1.1 407 Auth\r\n\r\n").await.err().unwrap();
        assert!(problem.words.contains("credentials") && !problem.words.contains("eA=="));
    }
}
