//! Answering in place of the origin.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use egret_core::reason::Reason;
use egret_core::record::Treatment;
use egret_flows::edit::{has_no_body, phrase};
use egret_flows::rules::{Answer, AnswerBody};

use super::super::{After, Stopped};
use crate::client::Client;
use crate::flow::Flow;
use crate::http1::{BodyLength, RequestHead};
use crate::refuse::Refusal;

/// How much of a file is read at once.
const PIECE: usize = 64 * 1024;

/// What the client wants of the answer.
pub(super) struct Wish {
    keep_alive: bool,
    head: bool,
}

impl Wish {
    pub(super) fn of(head: &RequestHead, input: &[u8]) -> Self {
        // The connection goes on only when no body of the request is left on it.
        let keep_alive = head.keep_alive && head.body == BodyLength::None;
        Self { keep_alive, head: &input[head.method.clone()] == b"HEAD" }
    }
}

/// Gives the answer. A file is passed on piece by piece.
///
/// # Errors
/// Its file cannot be read, and nothing was said yet.
pub(super) async fn give(
    client: &mut Client,
    flow: &mut Flow,
    answer: &Answer,
    wish: &Wish,
) -> Result<Stopped, Refusal> {
    let keep_alive = wish.keep_alive && !client.worker.draining();
    let (length, mut file) = match &answer.body {
        AnswerBody::Inline(bytes) => (bytes.len() as u64, None),
        AnswerBody::File(path) => {
            let (file, length) = open(path.clone()).await?;
            (length, Some(file))
        }
    };
    let mut bytes = head(answer, length, keep_alive);
    let with_body = !wish.head && !has_no_body(answer.status);
    if let (AnswerBody::Inline(body), true) = (&answer.body, with_body) {
        bytes.extend_from_slice(body);
    }
    flow.record.treatment = Treatment::Local;
    flow.record.status = answer.status;
    flow.first_byte();
    super::tell_answer(flow);
    if let Some(capture) = &mut flow.capture {
        capture.answer(&bytes);
    }
    let limit = flow.snapshot.timeouts.body_idle;
    let mut outcome = client.write_all(&bytes, limit).await;
    flow.record.bytes_down = if with_body && file.is_none() { length } else { 0 };
    let mut left = if with_body { length } else { 0 };
    while let (Some(open), Ok(()), true) = (file.take(), &outcome, left > 0) {
        match piece(open, left).await {
            Ok((open, piece)) if !piece.is_empty() => {
                left -= piece.len() as u64;
                flow.record.bytes_down += piece.len() as u64;
                if let Some(capture) = &mut flow.capture {
                    capture.answer_body(&piece);
                }
                outcome = client.write_all(&piece, limit).await;
                file = Some(open);
            }
            Ok(_) => {
                flow.failed(&Refusal::new(Reason::ChangeFailed, "the file became shorter while it was sent"));
                return Ok(Stopped::Answered(After::Reset));
            }
            Err(error) => {
                flow.failed(&Refusal::new(Reason::ChangeFailed, format!("the file cannot be read: {error}")));
                return Ok(Stopped::Answered(After::Reset));
            }
        }
    }
    if let Err(error) = outcome {
        flow.failed(&Refusal::new(Reason::ClientAborted, error.to_string()));
        return Ok(Stopped::Answered(After::Reset));
    }
    Ok(Stopped::Answered(if keep_alive { After::Keep } else { After::Close }))
}

fn head(answer: &Answer, length: u64, keep_alive: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    // Writing to memory cannot fail.
    let _ = write!(out, "HTTP/1.1 {} {}\r\n", answer.status, phrase(answer.status));
    for (name, value) in answer.headers.iter() {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    if let AnswerBody::File(path) = &answer.body
        && answer.headers.first(b"content-type").is_none()
        && let Some(kind) = media_type(path)
    {
        let _ = write!(out, "Content-Type: {kind}\r\n");
    }
    if !has_no_body(answer.status) {
        let _ = write!(out, "Content-Length: {length}\r\n");
    }
    if !keep_alive {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// What a file is, by the end of its name, where that is well known.
fn media_type(path: &Path) -> Option<&'static str> {
    let end = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match end.as_str() {
        "json" => "application/json",
        "html" | "htm" => "text/html; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "css" => "text/css",
        "js" | "mjs" => "text/javascript",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        _ => return None,
    })
}

/// Opens a file beside the worker, which must not wait for a disk.
async fn open(path: PathBuf) -> Result<(File, u64), Refusal> {
    let shown = path.display().to_string();
    let opened = tokio::task::spawn_blocking(move || open_now(&path)).await;
    let why =
        |why: String| Refusal::new(Reason::ChangeFailed, format!("{shown} cannot be answered with: {why}"));
    match opened {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(error)) => Err(why(error.to_string())),
        Err(_) => Err(why("reading it ended early".to_owned())),
    }
}

fn open_now(path: &Path) -> io::Result<(File, u64)> {
    // A pipe would be waited for when it is opened.
    let facts = std::fs::metadata(path)?;
    if !facts.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

async fn piece(file: File, left: u64) -> io::Result<(File, Vec<u8>)> {
    let read = tokio::task::spawn_blocking(move || {
        let mut piece = Vec::with_capacity(PIECE);
        let most = left.min(PIECE as u64);
        (&file).take(most).read_to_end(&mut piece)?;
        Ok((file, piece))
    });
    read.await.unwrap_or_else(|_| Err(io::Error::other("reading it ended early")))
}
