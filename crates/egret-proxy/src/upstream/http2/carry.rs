//! One request and its response, between a pipe of HTTP/1.1 and a stream of HTTP/2.

use std::future::{Future as _, poll_fn};
use std::io::{self, Write as _};
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};

use crate::http1::chunked::{Decoder, Emit, Ranges};
use crate::http1::request::parse;
use crate::http1::{BodyLength, Field, FieldName, Fields, HeadLimits, Parsed, RequestHead};

/// What the data path itself has written is read here; the bounds on what clients write were kept where it was
/// read.
const LIMITS: HeadLimits = HeadLimits { bytes: 1024 * 1024, fields: 16 * 1024, target: 1024 * 1024 };

/// Bytes handed to the frame layer at once.
const PIECE: usize = 32 * 1024;

/// Carries a request to the origin and its response back. Whatever goes wrong ends the pipe in the middle of the
/// response, which the shared path tells.
pub(super) async fn carry(mut sender: SendRequest<Bytes>, pipe: DuplexStream) {
    let (mut read, mut write) = tokio::io::split(pipe);
    let mut input = BytesMut::new();
    let Some(head) = read_head(&mut read, &mut input).await else { return };
    let is_head = &input[head.method.clone()] == b"HEAD";
    let Ok(request) = request(&head, &input) else {
        let _ = write.write_all(UNTRANSLATABLE).await;
        return;
    };
    let body = head.body;
    let _ = input.split_to(head.length);
    let Ok((response, stream)) = sender.send_request(request, body == BodyLength::None) else { return };
    drop(sender);
    let up = async {
        if body != BodyLength::None
            && let Err(Broken::Pipe) = upload(&mut read, input, body, stream).await
        {
            return;
        }
        // What the origin does not take any more is dropped: it may answer all the same. Behind it comes nothing
        // but the end, when nobody waits for the response any more.
        let mut sink = [0; 4096];
        while !matches!(read.read(&mut sink).await, Ok(0) | Err(_)) {}
    };
    let down = download(response, write, is_head);
    tokio::pin!(up, down);
    // Whichever ends first ends both. Where that is not the whole response, what is open is reset by being dropped.
    poll_fn(|context| {
        if down.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        up.as_mut().poll(context)
    })
    .await;
}

/// Said where a target cannot stand in HTTP/2.
const UNTRANSLATABLE: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

async fn read_head(read: &mut ReadHalf<DuplexStream>, input: &mut BytesMut) -> Option<RequestHead> {
    loop {
        match parse(input, &LIMITS, Fields::new()) {
            Ok(Parsed::Complete(head)) => return Some(head),
            Ok(Parsed::Partial) => {}
            Err(_) => return None,
        }
        if read.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
}

fn request(head: &RequestHead, input: &[u8]) -> Result<Request<()>, http::Error> {
    let host = head.value(FieldName::Host, input).unwrap_or_default();
    let path = &input[head.target_text.clone()];
    let uri = Uri::builder().scheme("https").authority(host).path_and_query(path).build()?;
    let mut fields = HeaderMap::with_capacity(head.fields.len() + 1);
    for field in &head.fields {
        let dropped = field.name.is_hop_by_hop()
            || matches!(field.name, FieldName::Host | FieldName::TransferEncoding | FieldName::Upgrade);
        if !dropped {
            append(&mut fields, field, input)?;
        }
    }
    fields.insert(header::TE, HeaderValue::from_static("trailers"));
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(&input[head.method.clone()])?;
    *request.uri_mut() = uri;
    *request.headers_mut() = fields;
    Ok(request)
}

fn append(fields: &mut HeaderMap, field: &Field, input: &[u8]) -> Result<(), http::Error> {
    let name = HeaderName::from_bytes(field.name_bytes(input))?;
    fields.append(name, HeaderValue::from_bytes(field.value(input))?);
    Ok(())
}

/// Where a body broke off.
enum Broken {
    /// The shared path has gone, or its body is not whole.
    Pipe,
    /// The origin does not take any more of it.
    Stream,
}

/// Sends the request's body.
async fn upload(
    read: &mut ReadHalf<DuplexStream>,
    mut input: BytesMut,
    body: BodyLength,
    mut stream: SendStream<Bytes>,
) -> Result<(), Broken> {
    if let BodyLength::Fixed(mut left) = body {
        while left > 0 {
            if input.is_empty() {
                fill(read, &mut input).await?;
            }
            let count = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= count as u64;
            send(&mut stream, input.split_to(count).freeze(), left == 0).await?;
        }
        return Ok(());
    }
    let mut decoder = Decoder::default();
    loop {
        let mut ranges = Ranges::new();
        let progress = decoder.advance(&input, Emit::Data, &LIMITS, &mut ranges);
        let progress = progress.map_err(|_| Broken::Pipe)?;
        let trailers = progress.trailers.map(|(range, fields)| {
            let section = &input[range];
            let mut map = HeaderMap::new();
            for field in &fields {
                // What cannot stand in HTTP/2 was no use to anybody.
                let _ = append(&mut map, field, section);
            }
            map
        });
        let taken = input.split_to(progress.consumed).freeze();
        for range in ranges {
            send(&mut stream, taken.slice(range), false).await?;
        }
        if progress.done {
            return match trailers.filter(|trailers| !trailers.is_empty()) {
                Some(trailers) => stream.send_trailers(trailers).map_err(|_| Broken::Stream),
                None => stream.send_data(Bytes::new(), true).map_err(|_| Broken::Stream),
            };
        }
        if progress.consumed == 0 {
            fill(read, &mut input).await?;
        }
    }
}

async fn fill(read: &mut ReadHalf<DuplexStream>, input: &mut BytesMut) -> Result<(), Broken> {
    input.reserve(PIECE);
    match read.read_buf(input).await {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => Err(Broken::Pipe),
    }
}

/// Sends data as the origin has room for them.
async fn send(stream: &mut SendStream<Bytes>, mut data: Bytes, end: bool) -> Result<(), Broken> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len().min(PIECE));
        let room = poll_fn(|context| stream.poll_capacity(context)).await;
        let Some(Ok(room)) = room else { return Err(Broken::Stream) };
        let piece = data.split_to(room.min(data.len()));
        let last = end && data.is_empty();
        stream.send_data(piece, last).map_err(|_| Broken::Stream)?;
    }
    Ok(())
}

/// Writes the response.
async fn download(
    mut response: ResponseFuture,
    mut write: WriteHalf<DuplexStream>,
    is_head: bool,
) -> io::Result<()> {
    // Interim responses first, as they come.
    let response = loop {
        let next = poll_fn(|context| {
            if let Poll::Ready(Some(interim)) = response.poll_informational(context) {
                return Poll::Ready(interim.map(Next::Interim));
            }
            std::pin::Pin::new(&mut response).poll(context).map(|outcome| outcome.map(Next::Final))
        })
        .await;
        match next.map_err(io::Error::other)? {
            Next::Interim(interim) => {
                let mut out = Vec::new();
                write_head(&mut out, &interim);
                out.extend_from_slice(b"\r\n");
                write.write_all(&out).await?;
            }
            Next::Final(response) => break response,
        }
    };
    let status = response.status();
    let mut out = Vec::with_capacity(1024);
    write_head(&mut out, &response);
    let has_length = response.headers().contains_key(header::CONTENT_LENGTH);
    let no_body = is_head || status == 204 || status == 304;
    let chunked = !no_body && !has_length && !response.body().is_end_stream();
    if chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    } else if !no_body && !has_length {
        out.extend_from_slice(b"Content-Length: 0\r\n");
    }
    out.extend_from_slice(b"Connection: close\r\n\r\n");
    write.write_all(&out).await?;
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let data = data.map_err(io::Error::other)?;
        if data.is_empty() {
            continue;
        }
        if chunked {
            write.write_all(format!("{:x}\r\n", data.len()).as_bytes()).await?;
        }
        write.write_all(&data).await?;
        if chunked {
            write.write_all(b"\r\n").await?;
        }
        body.flow_control().release_capacity(data.len()).map_err(io::Error::other)?;
    }
    let trailers = body.trailers().await.map_err(io::Error::other)?;
    if chunked {
        out.clear();
        out.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.iter().flatten() {
            line(&mut out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        write.write_all(&out).await?;
    }
    write.shutdown().await
}

enum Next {
    Interim(Response<()>),
    Final(Response<h2::RecvStream>),
}

fn write_head<T>(out: &mut Vec<u8>, response: &Response<T>) {
    // Writing to memory cannot fail.
    let _ = write!(out, "HTTP/1.1 {} \r\n", response.status().as_u16());
    for (name, value) in response.headers() {
        line(out, name, value);
    }
}

fn line(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}
