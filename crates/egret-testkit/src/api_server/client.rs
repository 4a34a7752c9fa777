//! A client for tests that look at answers to the letter.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::handle::ApiServer;

/// An answer of the server.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body: JSON, or each line of a stream as an element of a list.
    pub body: Value,
}

impl ApiServer {
    /// Sends one request in plain HTTP and reads the answer to its end; a stream ends by `timeoutSeconds`.
    ///
    /// # Panics
    /// When the server speaks TLS, or not at all.
    #[must_use]
    pub fn call(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &Value) -> Answered {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
        if !fields.iter().any(|(n, _)| n.eq_ignore_ascii_case("content-type")) && !body.is_empty() {
            head.push_str("Content-Type: application/json\r\n");
        }
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let mut fields = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let chunked = fields.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked");
        let mut text = String::new();
        if chunked {
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap_or(0) == 0 {
                    break;
                }
                let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
                if size == 0 {
                    break;
                }
                let mut chunk = vec![0; size + 2];
                stream.read_exact(&mut chunk).unwrap();
                text.push_str(&String::from_utf8_lossy(&chunk[..size]));
            }
            let lines = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
            return Answered { status, fields, body: Value::Array(lines) };
        }
        stream.read_to_string(&mut text).unwrap();
        Answered { status, fields, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }
}
