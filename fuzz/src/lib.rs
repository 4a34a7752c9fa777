//! The bodies of the fuzz targets: what must hold for any bytes whatever. cargo-fuzz runs them with
//! libFuzzer, `cargo run --release --bin bounded` with simple mutations on any toolchain.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egret_core::destination::Destination;
use egret_core::group_file::GroupFile;
use egret_core::htpasswd::{HashScheme, MAX_USER_BYTES, UserFile, check_user_name};
use egret_core::identity::{Identity, check_group_name};
use egret_core::policy::when::{FaultKind, When};
use egret_core::policy::{Ask, Headers, RequestFacts, Seen};
use egret_core::record::Protocol;
use egret_proxy::credentials::header::{self, Offered};
use egret_proxy::http1::chunked::{Decoder, Emit, Ranges};
use egret_proxy::http1::response::Asked;
use egret_proxy::http1::{BodyLength, Fields, HeadLimits, ParseError, Parsed, request, response};

const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 50, target: 1024 };

/// Up to four places to cut the input at, taken from the input itself.
fn cuts(data: &[u8]) -> impl Iterator<Item = usize> {
    let length = data.len();
    (0..4).map(move |i| match data.get(i) {
        Some(byte) if length > 0 => (usize::from(*byte) * (i + 1)) % length,
        _ => 0,
    })
}

/// A request head: never a panic; what is complete stays so whatever follows; nothing before its end is
/// complete; and a lenient parser reads the same method, target and fields.
pub fn request(data: &[u8]) {
    let Ok(Parsed::Complete(head)) = request::parse(data, &LIMITS, Fields::default()) else { return };
    assert!(head.length <= data.len() && head.length <= LIMITS.bytes);
    for cut in cuts(data).filter(|cut| *cut < head.length) {
        let early = request::parse(&data[..cut], &LIMITS, Fields::default());
        assert!(
            matches!(early, Ok(Parsed::Partial)),
            "a part of a good head is unfinished, not bad or whole"
        );
    }
    let alone = &data[..head.length];
    let Ok(Parsed::Complete(again)) = request::parse(alone, &LIMITS, Fields::default()) else {
        panic!("what follows a head changes it");
    };
    assert_eq!(again.length, head.length);
    if std::str::from_utf8(&alone[head.target_text.clone()]).is_err() {
        return; // passed on as it is, but the other parser gives text
    }
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut lenient = httparse::Request::new(&mut fields);
    let status = match lenient.parse(alone) {
        // A later minor version is served as 1.1 (RFC 9110 section 2.5); the other knows 0 and 1 alone.
        Err(httparse::Error::Version) => return,
        outcome => outcome.expect("a lenient parser takes what the strict one does"),
    };
    assert_eq!(status, httparse::Status::Complete(head.length));
    assert_eq!(lenient.method.map(str::as_bytes), Some(&alone[head.method.clone()]));
    assert_eq!(lenient.path.map(str::as_bytes), Some(&alone[head.target_text.clone()]));
    assert_eq!(lenient.headers.len(), head.fields.len());
    let named = |name: &str| lenient.headers.iter().filter(|f| f.name.eq_ignore_ascii_case(name)).count();
    match head.body {
        BodyLength::Chunked => {
            assert_eq!((named("transfer-encoding"), named("content-length")), (1, 0));
            assert_eq!(head.version, Protocol::Http11);
        }
        BodyLength::Fixed(_) => assert_eq!(named("transfer-encoding"), 0),
        BodyLength::None => {
            assert_eq!(named("transfer-encoding"), 0);
            let length = |f: &httparse::Header<'_>| {
                f.name.eq_ignore_ascii_case("content-length")
                    && f.value.iter().any(|b| (b'1'..=b'9').contains(b))
            };
            assert!(!lenient.headers.iter().any(length), "a length is not forgotten");
        }
        BodyLength::UntilClose => panic!("a request body never lasts until the close (RFC 9112 section 6.3)"),
    }
    assert!(named("host") <= 1);
}

/// A response head, for every kind of question.
pub fn response(data: &[u8]) {
    for (is_head, upgrade) in [(false, false), (true, false), (false, true)] {
        let asked = Asked { head: is_head, upgrade };
        let Ok(Parsed::Complete(head)) = response::parse(data, &LIMITS, asked, Fields::default()) else {
            continue;
        };
        assert!(head.length <= data.len() && head.length <= LIMITS.bytes);
        assert!((100..1000).contains(&head.status));
        for cut in cuts(data).filter(|cut| *cut < head.length) {
            let early = response::parse(&data[..cut], &LIMITS, asked, Fields::default());
            assert!(matches!(early, Ok(Parsed::Partial)), "a part of a good head is unfinished");
        }
        if is_head || head.status == 204 || head.status == 304 {
            assert_eq!(head.body, BodyLength::None);
        }
        if head.body == BodyLength::UntilClose {
            assert!(!head.keep_alive, "a body until the close leaves no connection");
        }
    }
}

/// Decodes a body given in these pieces: its data, and whether it came to its end or how it failed.
fn decode(pieces: &[&[u8]], emit: Emit) -> (Vec<u8>, Result<bool, ParseError>) {
    let mut decoder = Decoder::default();
    let mut pending: Vec<u8> = Vec::new();
    let mut out = Vec::new();
    for piece in pieces {
        pending.extend_from_slice(piece);
        // Each round consumes something, gives ranges out, or is the last.
        for _ in 0..=2 * pending.len() + 2 {
            let mut ranges = Ranges::new();
            let result = decoder.advance(&pending, emit, &LIMITS, &mut ranges);
            for range in &ranges {
                out.extend_from_slice(&pending[range.clone()]);
            }
            match result {
                Err(error) => return (out, Err(error)),
                Ok(progress) => {
                    assert!(progress.consumed <= pending.len());
                    pending.drain(..progress.consumed);
                    if progress.done {
                        return (out, Ok(true));
                    }
                    if progress.consumed == 0 {
                        break;
                    }
                }
            }
        }
    }
    (out, Ok(false))
}

/// A chunked body: the same however it is cut into pieces, and with and without its framing.
pub fn chunked(data: &[u8]) {
    let (whole, end) = decode(&[data], Emit::Data);
    assert!(whole.len() <= data.len());
    for cut in cuts(data) {
        let (left, right) = data.split_at(cut);
        let (parts, parts_end) = decode(&[left, right], Emit::Data);
        assert_eq!((&whole, end.is_ok()), (&parts, parts_end.is_ok()), "a cut at {cut} changes the body");
        if let (Ok(end), Ok(parts_end)) = (&end, &parts_end) {
            assert_eq!(end, parts_end);
        }
    }
    if end == Ok(true) {
        let (framed, framed_end) = decode(&[data], Emit::Chunks);
        assert_eq!(framed_end, Ok(true));
        // What is passed on reads as the same body; the end may be left to the caller.
        let mut closed = framed.clone();
        closed.extend_from_slice(b"0\r\n\r\n");
        let (again, again_end) = decode(&[&closed], Emit::Data);
        assert_eq!((again, again_end), (whole, Ok(true)), "what is passed on is another body");
    }
}

/// An authority: what is taken has one normal form, which reads as itself.
pub fn authority(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for result in [Destination::parse_authority(text), Destination::parse_with_default(text, Some(80))] {
        let Ok(destination) = result else { continue };
        assert_ne!(destination.port, 0);
        let normal = destination.to_string();
        assert!(normal.is_ascii() && !normal.contains(['@', '/', '\\', ' ', '?', '#', '%']), "{normal:?}");
        assert_eq!(Destination::parse_authority(&normal).as_ref(), Ok(&destination), "{normal:?}");
    }
}

/// A value of Proxy-Authorization, and a file of users: what is taken is within its bounds and reads as
/// itself again, and nothing of it is printed.
pub fn credentials(data: &[u8]) {
    for may_hold_token in [false, true] {
        let Ok(offered) = header::parse(data, may_hold_token) else { continue };
        let shown = format!("{offered:?}");
        assert!(["Basic(..)", "Bearer(..)", "Other(..)"].contains(&shown.as_str()), "{shown}");
        match &offered {
            Offered::Basic(login) => {
                let (user, password) = (&login.user, &*login.password);
                assert!((1..=MAX_USER_BYTES).contains(&user.len()) && !user.contains(':'));
                let most = if may_hold_token { header::MAX_TOKEN_BYTES } else { header::MAX_PASSWORD_BYTES };
                assert!(password.len() <= most);
                assert!(!user.chars().chain(password.chars()).any(char::is_control));
                let again = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
                assert_eq!(header::parse(again.as_bytes(), may_hold_token).as_ref(), Ok(&offered));
            }
            Offered::Bearer(token) => {
                assert!((1..=header::MAX_TOKEN_BYTES).contains(&token.len()) && token.is_ascii());
                let again = format!("Bearer {}", **token);
                assert_eq!(header::parse(again.as_bytes(), may_hold_token).as_ref(), Ok(&offered));
            }
            Offered::Other(_) => {}
        }
    }
    if let Ok(file) = UserFile::parse(data) {
        for (user, hash) in file.iter() {
            assert_eq!(check_user_name(user), Ok(()));
            assert_eq!(HashScheme::of(&hash.text), Ok(hash.scheme));
            let line = format!("{user}:{}", hash.text);
            let again = UserFile::parse(line.as_bytes()).expect("a line that was taken is taken alone");
            assert_eq!(again.find(user), Some((user, hash)));
        }
    }
    if let Ok(file) = GroupFile::parse(data) {
        for (user, groups) in file.iter() {
            let quoted = user.replace('\\', "\\\\").replace('"', "\\\"");
            for group in groups {
                assert_eq!(check_group_name(group), Ok(()));
                let line = format!("{group}: \"{quoted}\"");
                let again = GroupFile::parse(line.as_bytes()).expect("a line that was taken is taken alone");
                assert_eq!(again.of(user), std::slice::from_ref(group));
            }
        }
    }
}

/// A configuration file: errors, never a panic.
pub fn config(data: &[u8]) {
    egret_config::fuzz_check(data);
}

/// An object of the cluster, as JSON and as a file: errors with bounds, never a panic.
pub fn object(data: &[u8]) {
    egret_config::fuzz_object(data);
}

/// The messages of SOCKS: what is complete stays so whatever follows, and nothing before its end is.
pub fn socks(data: &[u8]) {
    use egret_proxy::inlet::socks::wire::{Read, methods, password, request4, request5};
    fn check<T: PartialEq + std::fmt::Debug>(read: impl Fn(&[u8]) -> Read<T>, data: &[u8]) {
        let Ok(Some((value, length))) = read(data) else { return };
        assert!(length <= data.len());
        assert_eq!(read(&data[..length]), Ok(Some((value, length))), "what follows changes nothing");
        for cut in cuts(data).filter(|cut| *cut < length) {
            assert_eq!(read(&data[..cut]), Ok(None), "a part of a good message is unfinished");
        }
    }
    check(methods, data);
    check(password, data);
    check(request5, data);
    check(request4, data);
    if let Some((_, length)) = egret_proxy::inlet::socks::wire::datagram(data) {
        assert!(length <= data.len());
    }
}

/// A file of certificates and keys in any format: errors of one line, never a panic; and what is in it can be
/// looked at.
pub fn certificates(data: &[u8]) {
    egret_tls::files::fuzz_check(data);
}

/// The first bytes of an unknown client: an answer stays whatever follows, comes within its bound, and is the
/// same however the hello is split over records; and a server reads the same name in it.
pub fn hello(data: &[u8]) {
    use egret_tls::hello::{Hello, MAX_HELLO_RECORDS, MAX_PEEK_BYTES, peek, peek_last};
    assert_ne!(peek_last(data), Hello::NeedMore);
    let seen = peek(data);
    if seen == Hello::NeedMore {
        assert!(data.len() < MAX_PEEK_BYTES);
    }
    for cut in cuts(data) {
        let early = peek(&data[..cut]);
        assert!(early == Hello::NeedMore || early == seen, "more bytes change an answer");
    }
    let Hello::Complete(hello) = &seen else { return };
    for cut in cuts(data).filter(|cut| *cut < hello.record_length) {
        assert_eq!(peek(&data[..cut]), Hello::NeedMore, "a part of a good hello is unfinished");
    }
    let alone = &data[..hello.record_length];
    assert_eq!(peek(alone), seen, "what follows a hello changes it");
    assert!(hello.alpn.iter().all(|name| !name.is_empty()));

    // One record of what came in several, and the other way round.
    if alone.len() == hello.handshake_length + 5 && alone.len() > 64 {
        let most = (hello.handshake_length / MAX_HELLO_RECORDS + 1) + usize::from(data[0] ^ data[43]);
        let mut split = Vec::new();
        for fragment in alone[5..].chunks(most) {
            split.extend_from_slice(&[0x16, 3, 3]);
            split.extend_from_slice(&(fragment.len() as u16).to_be_bytes());
            split.extend_from_slice(fragment);
        }
        let Hello::Complete(again) = peek(&split) else { panic!("splitting a hello makes it unreadable") };
        assert_eq!((&again.server_name, &again.alpn), (&hello.server_name, &hello.alpn));
    }

    let mut acceptor = rustls::server::Acceptor::default();
    let mut rest = alone;
    while !rest.is_empty() && acceptor.read_tls(&mut rest).is_ok_and(|read| read > 0) {}
    if let Ok(Some(accepted)) = acceptor.accept() {
        let theirs = accepted.client_hello();
        if let Some(name) = theirs.server_name() {
            let host = hello.server_name.host().expect("a name that a server takes is one");
            let theirs = egret_core::destination::Host::parse(name);
            assert_eq!(theirs.as_ref(), Ok(host));
        }
    }
}

/// A condition: errors that stand in it, or a program that decides, and decides the same again. What follows a
/// zero byte is the request that it is decided over.
pub fn when(data: &[u8]) {
    let (text, request) = match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[][..]),
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let when = match When::compile(text) {
        Ok(when) => when,
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(!error.message.is_empty() && error.line.is_some() == error.column.is_some());
                assert!(!error.message.contains("Egret's own"), "{text:?}: {error}");
                assert!(error.line.is_none_or(|line| line <= text.split('\n').count()), "{text:?}: {error}");
            }
            return;
        }
    };
    let request_text = String::from_utf8_lossy(request);
    let fields = Field(request);
    let request = RequestFacts {
        method: "GET",
        scheme: "http",
        path: &request_text,
        query: Some(&request_text),
        headers: &fields,
        body_length: Some(request.len() as u64),
    };
    let identity = Identity::from_address(([192, 0, 2, 1], 40_000).into());
    let destination = Destination::from(std::net::SocketAddr::from(([192, 0, 2, 2], 443)));
    for seen in [Seen::Request(request), Seen::Tunnel] {
        let now = std::time::UNIX_EPOCH;
        let ask = Ask { identity: &identity, destination: &destination, address: None, seen, now };
        let said = when.evaluate(&ask);
        assert_eq!(said, when.evaluate(&ask), "{text:?}");
        if let Err(fault) = said {
            assert_ne!(fault.kind(), &FaultKind::Internal, "{text:?}");
            assert!(!matches!(seen, Seen::Request(_)) || fault.kind() != &FaultKind::NoRequest, "{text:?}");
        }
    }
}

/// Two headers of one value.
#[derive(Debug)]
struct Field<'a>(&'a [u8]);

impl Headers for Field<'_> {
    fn for_each(&self, f: &mut dyn FnMut(&str, &[u8])) {
        f("Accept", self.0);
        f("accept", self.0);
    }
}

/// What an origin shows in its handshake: certificates, and an OCSP response.
pub fn origin(data: &[u8]) {
    egret_tls::upstream::fuzz_check(data);
}

/// A filter: what reads is printed as what reads as the same and finds the same, in bounded time; what does
/// not read says where.
pub fn filter(data: &[u8]) {
    use egret_flows::filter::Filter;
    use egret_flows::flow::Flow;
    let Ok(text) = std::str::from_utf8(data) else { return };
    let filter = match Filter::parse(text) {
        Ok(filter) => filter,
        Err(error) => {
            assert!((1..=text.chars().count() + 1).contains(&error.column), "{error}");
            return;
        }
    };
    let printed = filter.to_string();
    match Filter::parse(&printed) {
        Ok(again) => {
            assert_eq!(again, filter, "{printed}");
            let Some(id) = egret_core::flow_id::FlowId::parse("00000000") else { return };
            let mut flow = Flow::begun(id, 1, ([127, 0, 0, 1], 1).into());
            flow.request.apply_target("https://example.com/a?b=c");
            assert_eq!(again.matches(&flow, 2, &()), filter.matches(&flow, 2, &()), "{printed}");
        }
        // Printed, it has quotes and parentheses that it did without.
        Err(error) => assert!(error.what.contains("longer than"), "{printed}: {error}"),
    }
}

/// The frames of a WebSocket: the same messages however they are cut, and within the limit.
pub fn websocket(data: &[u8]) {
    use egret_flows::websocket::{Deflate, Reader};
    const LIMIT: usize = 100;
    for deflate in [None, Some(Deflate::default()), Some(Deflate { no_context_takeover: true })] {
        let read = |pieces: &[&[u8]]| {
            let mut reader = Reader::new(LIMIT, deflate);
            let mut messages = Vec::new();
            let mut result = Ok(());
            for piece in pieces {
                result = reader.feed(piece, |message| messages.push(message));
            }
            (messages, result)
        };
        let whole = read(&[data]);
        for message in &whole.0 {
            assert!(message.payload.len() <= LIMIT);
            assert!(message.truncated || message.length == message.payload.len() as u64);
        }
        for cut in cuts(data) {
            let (left, right) = data.split_at(cut);
            let parts = read(&[left, right]);
            assert_eq!(parts.1, whole.1, "a cut at {cut} changes the end");
            // Compressed data that is broken breaks at one byte or at another, by how it is cut.
            let shown = |messages: &[egret_flows::websocket::Received]| {
                messages
                    .iter()
                    .map(|message| (message.kind, deflate.is_none().then(|| message.clone())))
                    .collect::<Vec<_>>()
            };
            assert_eq!(shown(&parts.0), shown(&whole.0), "a cut at {cut} changes the messages");
        }
    }
}

/// Bodies made readable, and redacted: within bounds, never a panic, and no secret that a rule names is left.
pub fn flow_bodies(data: &[u8]) {
    use egret_flows::flow::Headers;
    use egret_flows::redact::{Redaction, RedactionSettings, Redactor};
    use egret_flows::view::decode::{self, DecodeLimits};
    use egret_flows::view::{grpc, multipart, protobuf, text};
    let limits = DecodeLimits { bytes: 10_000, ..DecodeLimits::default() };
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, zstd"] {
        let decoded = decode::decode(encoding, data, &limits);
        assert!(decoded.bytes.len() <= limits.bytes);
    }
    let (frames, used) = grpc::frames(data);
    assert!(used <= data.len() && frames.iter().all(|frame| frame.message.end <= data.len()));
    let _ = protobuf::fields(data, &protobuf::ProtobufLimits::default());
    let _ = text::text("", data);
    let form = "multipart/form-data; boundary=b";
    for part in multipart::parts(form, data).unwrap_or_default() {
        assert!(part.content.end <= data.len());
    }
    let Ok(redactor) = Redactor::new(&RedactionSettings::default()) else { return };
    for kind in ["application/json", "", "application/x-www-form-urlencoded", form] {
        for complete in [true, false] {
            let headers = Headers::from_pairs([("Content-Type", kind)]);
            let outcome = redactor.body(&headers, data, complete);
            let kept = match &outcome {
                Redaction::Same => data,
                Redaction::Replaced { bytes, .. } => bytes,
                Redaction::Unreadable => continue,
            };
            if kind == "application/json" && complete {
                check_no_password(kept);
            }
            // What was redacted once has nothing left to redact but what already was.
            if let Redaction::Replaced { bytes, truncated, .. } = &outcome
                && kind == "application/json"
                && !truncated
            {
                let again = redactor.body(&headers, bytes, true);
                assert!(
                    matches!(&again, Redaction::Replaced { bytes: again, .. } if again == bytes),
                    "{again:?}"
                );
            }
        }
    }
}

/// Looks for passwords with another reader of JSON.
fn check_no_password(json: &[u8]) {
    fn look(value: &serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    let hidden = value == egret_flows::redact::REDACTED;
                    assert!(hidden || !name.eq_ignore_ascii_case("password"), "{name}: {value}");
                    look(value);
                }
            }
            serde_json::Value::Array(values) => values.iter().for_each(look),
            _ => {}
        }
    }
    if let Ok(value) = serde_json::from_slice(json) {
        look(&value);
    }
}

/// An AdmissionReview: never a panic; a pod that is injected can take its patch, and is then given nothing more.
pub fn admission(data: &[u8]) {
    use egret_kube::admission::Review;
    use egret_kube::inject::{MAX_WARNINGS, Outcome, Request, inject};
    let Ok(review) = Review::parse(data) else { return };
    let Some(object) = review.object else { return };
    let old = review.old_object.map(|old| old.get());
    let ephemeral = review.sub_resource.as_deref() == Some("ephemeralcontainers");
    let namespace = review.namespace.as_deref().unwrap_or_default();
    let ask = |object: &str| {
        let request = Request { namespace, namespace_labels: None, ephemeral, object, old_object: old };
        inject(&request, &ADMISSION)
    };
    let first = ask(object.get());
    assert!(first.warnings.len() <= MAX_WARNINGS);
    assert!(
        first.warnings.iter().all(|text| text.chars().count() <= 256 && !text.contains(char::is_control))
    );
    let Ok(mut pod) = serde_json::from_str::<serde_json::Value>(object.get()) else { return };
    let patch: json_patch::Patch =
        serde_json::from_value(serde_json::json!(first.patch)).expect("a JSON patch");
    json_patch::patch(&mut pod, &patch).expect("it fits what it is for");
    if first.outcome == Outcome::Injected {
        let again = ask(&pod.to_string());
        assert!(again.patch.is_empty(), "{:?}", again.patch);
    }
}

static ADMISSION: std::sync::LazyLock<egret_kube::inject::Snapshot> = std::sync::LazyLock::new(|| {
    use egret_kube::inject::{CompiledProxy, Snapshot, Trust, WELL_KNOWN_PATHS};
    let no_proxy = egret_kube::no_proxy::Injected::from_entries([".svc".to_owned(), "10.0.0.0/8".to_owned()]);
    let over_paths = WELL_KNOWN_PATHS.map(str::to_owned).to_vec();
    let proxy = CompiledProxy {
        trust: Some(Trust { over_paths, ..Trust::from_config_map("egret-ca") }),
        java: true,
        all_proxy: true,
        host_network: true,
        ..CompiledProxy::new("default", 1, "http://egret:8888", no_proxy)
    };
    Snapshot::new(vec![std::sync::Arc::new(proxy)], std::sync::Arc::default(), "egret-system".to_owned())
});

/// Lists of what goes past the proxy, an entry a line: what comes of them is in the forms that clients understand,
/// and joining it again with what was there changes nothing.
pub fn no_proxy(data: &[u8]) {
    use egret_kube::no_proxy::{ClusterFacts, Injected, Wanted, compute, java, lint};
    let Ok(text) = std::str::from_utf8(data) else { return };
    let user: Vec<String> = text.lines().take(100).map(str::to_owned).collect();
    let effective = compute(&ClusterFacts::default(), &Wanted { user, ..Wanted::default() });
    assert!(effective.entries.is_sorted_by(|one, other| one < other));
    for entry in &effective.entries {
        let is_v6 = entry.matches(':').count() > 1;
        assert!(!entry.is_empty() && !entry.contains(['[', ']', ',', ' ', '|']), "{entry:?}");
        assert!(!(entry.contains(char::is_whitespace) || is_v6 && entry.contains('/')), "{entry:?}");
        assert!(egret_core::pattern::read_entry(entry).is_ok(), "{entry:?}");
    }
    let ours = Injected::new(&effective);
    let merged = ours.merge([text]);
    assert_eq!(ours.merge([merged.as_str()]), merged);
    assert!(
        !java::non_proxy_hosts(effective.entries.iter().map(String::as_str)).contains(char::is_whitespace)
    );
    for finding in lint::no_proxy(text).into_iter().chain(lint::proxy_url(text)) {
        assert!(!finding.is_empty());
    }
}
