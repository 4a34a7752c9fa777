//! A request sent byte by byte, and what may become of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use egret_testkit::message::{self, Message, bytes_of, latin1};
use egret_testkit::{Egret, Ended, RecordingOrigin};

/// How long an answer, or the closing of the connection, may take.
const LIMIT: Duration = Duration::from_secs(15);

/// One thing that may become of a request.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Refused with one of these statuses, the connection closed; before it, these requests reached
    /// the origin (none, as a rule).
    Refused(Vec<String>, &'static [u16]),
    /// Answered by the proxy itself; before it, these requests reached the origin.
    Answered(Vec<String>, &'static [u16]),
    /// These requests reached the origin, each answered with 200.
    Passed(Vec<String>),
    /// The body turned out to be bad on the way: the origin saw no complete request, the client no
    /// success, and both connections are closed.
    CutOff,
    /// A tunnel was opened.
    Tunnelled,
}

/// A request and its allowed outcomes.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    name: &'static str,
    section: &'static str,
    send: String,
    outcomes: Vec<Outcome>,
}

/// A case: its name, its section (RFC and number), and the bytes to send.
pub(crate) fn case(name: &'static str, section: &'static str, send: impl Into<String>) -> Case {
    Case { name, section, send: send.into(), outcomes: Vec::new() }
}

impl Case {
    /// Refused with one of these statuses and the connection closed; nothing reaches the origin.
    pub(crate) fn refused(self, statuses: &'static [u16]) -> Self {
        self.passed_then_refused(&[], statuses)
    }

    /// These requests reach the origin, the next one is refused.
    pub(crate) fn passed_then_refused(mut self, upstream: &[&str], statuses: &'static [u16]) -> Self {
        let upstream = upstream.iter().map(ToString::to_string).collect();
        self.outcomes.push(Outcome::Refused(upstream, statuses));
        self
    }

    /// Answered by the proxy itself.
    pub(crate) fn answered(self, statuses: &'static [u16]) -> Self {
        self.passed_then_answered(&[], statuses)
    }

    /// These requests reach the origin, the next one is answered by the proxy itself.
    pub(crate) fn passed_then_answered(mut self, upstream: &[&str], statuses: &'static [u16]) -> Self {
        let upstream = upstream.iter().map(ToString::to_string).collect();
        self.outcomes.push(Outcome::Answered(upstream, statuses));
        self
    }

    /// This request reaches the origin (without `Via`, which is always checked).
    pub(crate) fn passed(self, upstream: impl Into<String>) -> Self {
        self.passed_all(vec![upstream.into()])
    }

    /// These requests reach the origin.
    pub(crate) fn passed_all(mut self, upstream: Vec<String>) -> Self {
        self.outcomes.push(Outcome::Passed(upstream));
        self
    }

    /// The body turns out to be bad. Refusing before anything is sent upstream is as good.
    pub(crate) fn cut_off(mut self) -> Self {
        self.outcomes.push(Outcome::CutOff);
        self.refused(&[400, 413, 431, 501])
    }

    /// A tunnel is opened.
    pub(crate) fn tunnelled(mut self) -> Self {
        self.outcomes.push(Outcome::Tunnelled);
        self
    }
}

/// What was seen.
struct Seen {
    replies: Vec<Message>,
    raw: Vec<u8>,
    left_over: Vec<u8>,
    ended: Ended,
    upstream: Vec<Message>,
    upstream_rest: Vec<u8>,
    upstream_open: bool,
}

/// Runs a table against one proxy, and fails with all the cases that went wrong.
pub(crate) fn run(cases: &[Case]) {
    // The name in Via is fixed, so that cases can name it.
    let egret = Egret::builder(env!("CARGO_BIN_EXE_egret")).config("http: {via: egret-under-test}\n").start();
    let failures = Mutex::new(Vec::new());
    let flows = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let origin = RecordingOrigin::start();
                    let authority = origin.address().to_string();
                    let seen = observe(&egret, &origin, case, &authority);
                    flows.fetch_add(seen.replies.len().max(1), Ordering::SeqCst);
                    if let Err(why) = judge(case, &seen, &authority) {
                        failures.lock().unwrap().push(describe(case, &seen, &why));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
    egret.exactly(flows.load(Ordering::SeqCst));
}

fn fill(text: &str, egret: &Egret, authority: &str) -> String {
    text.replace("{O}", authority).replace("{P}", &egret.address().to_string())
}

fn observe(egret: &Egret, origin: &RecordingOrigin, case: &Case, authority: &str) -> Seen {
    let mut client = egret.connect();
    let send = bytes_of(&fill(&case.send, egret, authority));
    let wanted = case.outcomes.iter().map(replies_of).max().unwrap_or(1);
    let methods = methods_of(case);
    client.send(&send);
    let enough = |bytes: &[u8]| {
        let (replies, _) = split(bytes, &methods, false);
        replies.len() >= wanted || replies.last().is_some_and(|r| r.complete && r.status() >= 400)
    };
    let mut ended = client.read_until(LIMIT, enough);
    let refused = split(&client.pending, &methods, false).0.last().is_some_and(|r| r.status() >= 400);
    let must_close = case.outcomes.iter().any(|o| matches!(o, Outcome::Refused(..) | Outcome::CutOff));
    if ended == Ended::Open && refused && must_close {
        ended = client.read_until(LIMIT, |_| false);
    } else if ended == Ended::Open {
        std::thread::sleep(Duration::from_millis(30)); // what should not arrive has time to
        let so_far = client.pending.len();
        ended = client.read_until(Duration::from_millis(5), |bytes| bytes.len() > so_far);
    }
    let raw = client.pending.clone();
    let (replies, left_over) = split(&raw, &methods, ended == Ended::Eof);
    if ended != Ended::Open {
        // The upstream connection of a request cut short is closed too; give it time to show.
        for _ in 0..400 {
            if !origin.is_open() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let (upstream, upstream_rest) = origin.requests();
    let upstream_open = origin.is_open();
    Seen { replies, raw, left_over, ended, upstream, upstream_rest, upstream_open }
}

fn replies_of(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Refused(before, _) | Outcome::Answered(before, _) => before.len() + 1,
        Outcome::Passed(requests) => requests.len(),
        _ => 1,
    }
}

/// The methods of the requests on a connection, for reading the answers.
fn methods_of(case: &Case) -> Vec<String> {
    let first_word = |text: &str| text.trim_start().split(' ').next().unwrap_or("").to_owned();
    let mut methods: Vec<String> = case
        .outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Passed(all) | Outcome::Refused(all, _) | Outcome::Answered(all, _) => {
                all.iter().map(|r| first_word(r)).collect()
            }
            _ => Vec::new(),
        })
        .max_by_key(Vec::len)
        .unwrap_or_default();
    if methods.is_empty() {
        methods.push(first_word(&case.send));
    }
    methods
}

/// The final replies in these bytes, and what is left.
fn split(mut bytes: &[u8], methods: &[String], at_end: bool) -> (Vec<Message>, Vec<u8>) {
    let mut replies: Vec<Message> = Vec::new();
    loop {
        let method = methods.get(replies.len()).map_or("GET", String::as_str);
        match message::response(bytes, method, at_end) {
            Some(reply) if reply.complete => {
                bytes = &bytes[reply.consumed..];
                if !(100..200).contains(&reply.status()) {
                    replies.push(reply);
                }
            }
            _ => return (replies, bytes.to_vec()),
        }
    }
}

fn judge(case: &Case, seen: &Seen, authority: &str) -> Result<(), String> {
    let mut reasons = Vec::new();
    for outcome in &case.outcomes {
        match fits(outcome, seen, authority) {
            Ok(()) => return Ok(()),
            Err(why) => reasons.push(why),
        }
    }
    Err(reasons.join(" | and not the other: "))
}

fn fits(outcome: &Outcome, seen: &Seen, authority: &str) -> Result<(), String> {
    let statuses: Vec<u16> = seen.replies.iter().map(Message::status).collect();
    let last = statuses.last().copied().unwrap_or(0);
    match outcome {
        Outcome::Refused(before, allowed) => {
            same_requests(before, seen, authority)?;
            check(statuses.len() == before.len() + 1, || format!("replies {statuses:?}"))?;
            check(allowed.contains(&last), || format!("status {last}, wanted one of {allowed:?}"))?;
            check(seen.ended != Ended::Open, || "the connection was left open".into())?;
            check(seen.left_over.is_empty(), || "bytes after the refusal".into())
        }
        Outcome::Answered(before, allowed) => {
            same_requests(before, seen, authority)?;
            check(statuses.len() == before.len() + 1, || format!("replies {statuses:?}"))?;
            check(allowed.contains(&last), || format!("status {last}, wanted one of {allowed:?}"))
        }
        Outcome::Passed(requests) => {
            same_requests(requests, seen, authority)?;
            check(statuses == vec![200; requests.len()], || format!("replies {statuses:?}"))?;
            check(seen.left_over.is_empty(), || "bytes after the replies".into())
        }
        Outcome::CutOff => {
            check(seen.upstream.is_empty(), || "a complete request reached the origin".into())?;
            check(!statuses.iter().any(|s| *s < 400), || format!("replies {statuses:?}"))?;
            check(seen.ended != Ended::Open, || "the connection was left open".into())?;
            check(!seen.upstream_open, || "the upstream connection was left open".into())
        }
        Outcome::Tunnelled => check(statuses == [200], || format!("replies {statuses:?}")),
    }
}

fn check(good: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(otherwise()) }
}

fn same_requests(expected: &[String], seen: &Seen, authority: &str) -> Result<(), String> {
    check(seen.upstream_rest.is_empty(), || {
        format!("bytes of no request at the origin: {:?}", latin1(&seen.upstream_rest))
    })?;
    check(seen.upstream.len() == expected.len(), || {
        let lines: Vec<&str> = seen.upstream.iter().map(|r| r.start_line.as_str()).collect();
        format!("the origin got {} requests instead of {}: {lines:?}", seen.upstream.len(), expected.len())
    })?;
    for (expected, got) in expected.iter().zip(&seen.upstream) {
        let text = expected.replace("{O}", authority);
        let expected = message::request(&bytes_of(&text)).expect("the expected request is one");
        same_request(&expected, got)?;
    }
    Ok(())
}

/// Fields whose place and presence are the proxy's own business; they are checked apart.
const OWN: [&str; 3] = ["via", "connection", "upgrade"];

fn same_request(expected: &Message, got: &Message) -> Result<(), String> {
    check(expected.start_line == got.start_line, || format!("request line {:?}", got.start_line))?;
    let end_to_end = |m: &Message| -> Vec<(String, String)> {
        let own = |name: &str| OWN.contains(&name.to_ascii_lowercase().as_str());
        m.fields.0.iter().filter(|(name, _)| !own(name)).cloned().collect()
    };
    let (want, have) = (end_to_end(expected), end_to_end(got));
    check(want == have || host_first(want.clone()) == have, || format!("fields {have:?}, wanted {want:?}"))?;
    check(got.fields.all("via").any(|v| v.contains("egret")), || "no Via".into())?;
    let wanted_upgrade: Vec<&str> = expected.fields.all("upgrade").collect();
    let upgrade: Vec<&str> = got.fields.all("upgrade").collect();
    check(wanted_upgrade == upgrade, || format!("Upgrade {upgrade:?}"))?;
    for token in got.fields.all("connection").flat_map(|v| v.split(',')).map(str::trim) {
        let own = ["close", "keep-alive"].iter().any(|t| t.eq_ignore_ascii_case(token));
        check(own || expected.fields.lists("connection", token), || format!("Connection: {token}"))?;
    }
    for token in expected.fields.all("connection").flat_map(|v| v.split(',')).map(str::trim) {
        check(got.fields.lists("connection", token), || format!("no Connection: {token}"))?;
    }
    check(expected.framing == got.framing, || format!("framing {:?}", got.framing))?;
    check(expected.body == got.body, || format!("body {:?}", latin1(&got.body)))?;
    check(expected.trailers == got.trailers, || format!("trailers {:?}", got.trailers))
}

/// RFC 9110 section 7.2 wants Host first where it is written anew; keeping its place is as good.
fn host_first(mut fields: Vec<(String, String)>) -> Vec<(String, String)> {
    fields.sort_by_key(|(name, _)| !name.eq_ignore_ascii_case("host"));
    fields
}

fn describe(case: &Case, seen: &Seen, why: &str) -> String {
    let short = |bytes: &[u8]| {
        let text = latin1(bytes);
        let cut: String = text.chars().take(400).collect();
        format!("{cut:?}")
    };
    let upstream: Vec<String> = seen.upstream.iter().map(|m| m.start_line.clone()).collect();
    format!(
        "✗ {} (RFC {}): {why}\n    sent {}\n    client got {} ({:?})\n    origin got {upstream:?} + {}",
        case.name,
        case.section,
        short(case.send.as_bytes()),
        short(&seen.raw),
        seen.ended,
        short(&seen.upstream_rest),
    )
}
