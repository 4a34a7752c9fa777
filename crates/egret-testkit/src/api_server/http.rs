//! The server's side of HTTP/1.1: requests read, answers and streams written.

use std::io::{self, BufRead, BufReader, Read, Write};

use serde_json::Value;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path without the query.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
    }

    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.query.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.parameter(name), "1" | "true" | "True" | "t")
            || (self.parameter(name).is_empty() && self.query.iter().any(|(n, _)| n == name))
    }
}

pub(crate) fn read_request<S: Read>(stream: &mut BufReader<S>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query
        .split('&')
        .filter(|p| !p.is_empty())
        .map(|p| p.split_once('=').unwrap_or((p, "")))
        .map(|(n, v)| (decode(n), decode(v)))
        .collect();
    let mut request = Request {
        method: method.to_owned(),
        path: decode(path),
        query,
        fields: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
        request.fields.push((name.to_owned(), value.trim().to_owned()));
    }
    if request.field("transfer-encoding").eq_ignore_ascii_case("chunked") {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line)?;
            let size = usize::from_str_radix(line.split(';').next().unwrap_or("").trim(), 16)
                .map_err(|_| io::ErrorKind::InvalidData)?;
            let start = request.body.len();
            request.body.resize(start + size, 0);
            stream.read_exact(&mut request.body[start..])?;
            stream.read_exact(&mut [0; 2])?;
            if size == 0 {
                break;
            }
        }
    } else if let Ok(length) = request.field("content-length").parse() {
        request.body = vec![0; length];
        stream.read_exact(&mut request.body)?;
    }
    Ok(Some(request))
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' if tail.len() >= 2 => {
                let digits = String::from_utf8_lossy(&tail[..2]).into_owned();
                match u8::from_str_radix(&digits, 16) {
                    Ok(byte) => {
                        bytes.push(byte);
                        rest = &tail[2..];
                    }
                    Err(_) => bytes.push(b'%'),
                }
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What goes out with an answer beside its body.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    pub(crate) content_type: Option<&'static str>,
    pub(crate) warnings: Vec<String>,
    pub(crate) retry_after: Option<u32>,
}

pub(crate) fn write_json(out: &mut impl Write, status: u16, body: &Value, extras: &Extras) -> io::Result<()> {
    let text = format!("{body}\n");
    let kind = extras.content_type.unwrap_or("application/json");
    let mut head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nCache-Control: no-cache, private\r\nContent-Length: {}\r\n",
        phrase(status),
        text.len()
    );
    for warning in &extras.warnings {
        let escaped = warning.replace('\\', "\\\\").replace('"', "\\\"");
        head.push_str(&format!("Warning: 299 - \"{escaped}\"\r\n"));
    }
    if let Some(seconds) = extras.retry_after {
        head.push_str(&format!("Retry-After: {seconds}\r\n"));
    }
    out.write_all(head.as_bytes())?;
    out.write_all(b"\r\n")?;
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        410 => "Gone",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

/// Begins a stream of events.
pub(crate) fn begin_stream(out: &mut impl Write) -> io::Result<()> {
    out.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-cache, private\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    out.flush()
}

/// One event of a stream, a line of its own.
pub(crate) fn write_event(out: &mut impl Write, kind: &str, object: &Value) -> io::Result<()> {
    let mut text = serde_json::json!({"type": kind, "object": object}).to_string();
    text.push('\n');
    out.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())?;
    out.flush()
}

/// Ends a stream as the real server does when its time is over.
pub(crate) fn end_stream(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"0\r\n\r\n")?;
    out.flush()
}
