//! A response sent byte by byte by an origin, and what the client may see of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use egret_testkit::message::{self, Framing, Message, bytes_of, latin1};
use egret_testkit::scripted::Step;
use egret_testkit::{Egret, Ended, ScriptedOrigin};

const LIMIT: Duration = Duration::from_secs(15);

/// A text that must not reach the client where a response is refused.
pub(crate) const SECRET: &str = "from-the-origin";

/// What the client may see.
#[derive(Clone, Debug)]
enum Outcome {
    /// 502 of the proxy's own, and nothing of the origin's.
    BadGateway,
    /// This status and body, complete.
    Delivered(u16, String),
    /// Something that does not look complete (or 502).
    Incomplete,
}

/// A response and its allowed outcomes.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    name: &'static str,
    section: &'static str,
    request: String,
    reply: String,
    ending: Vec<Step>,
    outcomes: Vec<Outcome>,
    with: Vec<(&'static str, &'static str)>,
    without: Vec<&'static str>,
    trailers: Vec<(&'static str, &'static str)>,
    not_reused: bool,
}

/// A case: its name, its section and the bytes the origin sends before it closes.
pub(crate) fn reply(name: &'static str, section: &'static str, reply: impl Into<String>) -> Reply {
    Reply {
        name,
        section,
        request: "GET http://{O}/ HTTP/1.1\r\nHost: {O}\r\n\r\n".to_owned(),
        reply: reply.into(),
        ending: Vec::new(),
        outcomes: Vec::new(),
        with: Vec::new(),
        without: Vec::new(),
        trailers: Vec::new(),
        not_reused: false,
    }
}

impl Reply {
    /// Asks with another request.
    pub(crate) fn to(mut self, request: &str) -> Self {
        request.clone_into(&mut self.request);
        self
    }

    /// The origin leaves the connection open instead of closing it.
    pub(crate) fn held(mut self) -> Self {
        self.ending = vec![Step::Hold];
        self
    }

    /// The origin resets the connection instead of closing it.
    pub(crate) fn reset(mut self) -> Self {
        self.ending = vec![Step::Pause(Duration::from_millis(50)), Step::Reset];
        self
    }

    /// The client gets 502.
    pub(crate) fn bad_gateway(mut self) -> Self {
        self.outcomes.push(Outcome::BadGateway);
        self
    }

    /// The client gets this.
    pub(crate) fn delivered(mut self, status: u16, body: impl Into<String>) -> Self {
        self.outcomes.push(Outcome::Delivered(status, body.into()));
        self
    }

    /// The client sees that something is missing.
    pub(crate) fn incomplete(mut self) -> Self {
        self.outcomes.push(Outcome::Incomplete);
        self
    }

    /// A delivered response has this field.
    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.with.push((name, value));
        self
    }

    /// A delivered response does not have this field.
    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.without.push(name);
        self
    }

    /// A delivered response has this trailer.
    pub(crate) fn trailer(mut self, name: &'static str, value: &'static str) -> Self {
        self.trailers.push((name, value));
        self
    }

    /// The next request does not go over the same upstream connection, and gets its own answer.
    pub(crate) fn not_reused(mut self) -> Self {
        self.not_reused = true;
        self
    }
}

struct Seen {
    response: Option<Message>,
    raw: Vec<u8>,
    ended: Ended,
    second: Option<Result<(), String>>,
}

/// Runs a table against one proxy, and fails with all the cases that went wrong.
pub(crate) fn run(cases: &[Reply]) {
    let egret = Egret::start(env!("CARGO_BIN_EXE_egret"));
    let failures = Mutex::new(Vec::new());
    let flows = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let seen = observe(&egret, case);
                    flows.fetch_add(if seen.second.is_some() { 2 } else { 1 }, Ordering::SeqCst);
                    if let Err(why) = judge(case, &seen) {
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

const SECOND: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond";

fn observe(egret: &Egret, case: &Reply) -> Seen {
    let mut script = vec![Step::ReadRequest, Step::Send(bytes_of(&case.reply))];
    script.extend(case.ending.clone());
    let second = vec![Step::ReadRequest, Step::Send(SECOND.into()), Step::Hold];
    let origin = ScriptedOrigin::start(vec![script, second]);
    let authority = origin.address().to_string();
    let request = case.request.replace("{O}", &authority);
    let method = request.split(' ').next().unwrap_or("").to_owned();
    let mut client = egret.connect();
    client.send(bytes_of(&request));
    let last_of = |bytes: &[u8], at_end| message::responses(bytes, &method, at_end).0.pop();
    let finished = |bytes: &[u8]| {
        last_of(bytes, false).is_some_and(|m| m.complete && (m.status() >= 200 || m.status() == 101))
    };
    let mut ended = client.read_until(LIMIT, finished);
    let raw = client.pending.clone();
    let response = last_of(&raw, ended == Ended::Eof);
    let mut second = None;
    if case.not_reused {
        // On the same client connection where it lives on, else on another one.
        let (_, rest) = message::responses(&client.pending, &method, ended == Ended::Eof);
        client.pending = rest;
        if client.read_until(Duration::from_millis(20), |_| false) != Ended::Open {
            client = egret.connect();
        }
        let answer =
            client.exchange(format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
        let good = answer.status() == 200 && answer.body == b"second" && origin.server().accepted() == 2;
        second = Some(if good {
            Ok(())
        } else {
            Err(format!(
                "the second request got {} {:?} over {} connections",
                answer.status(),
                answer.text(),
                origin.server().accepted()
            ))
        });
    } else if ended == Ended::Open && response.as_ref().is_some_and(|r| r.complete) {
        let so_far = client.pending.len();
        ended = client.read_until(Duration::from_millis(20), |bytes| bytes.len() > so_far);
    }
    let raw = if client.pending.len() > raw.len() { client.pending.clone() } else { raw };
    Seen { response, raw, ended, second }
}

fn judge(case: &Reply, seen: &Seen) -> Result<(), String> {
    if let Some(Err(why)) = &seen.second {
        return Err(why.clone());
    }
    let mut reasons = Vec::new();
    for outcome in &case.outcomes {
        match fits(case, outcome, seen) {
            Ok(()) => return Ok(()),
            Err(why) => reasons.push(why),
        }
    }
    Err(reasons.join(" | and not the other: "))
}

fn fits(case: &Reply, outcome: &Outcome, seen: &Seen) -> Result<(), String> {
    let Some(response) = &seen.response else {
        return match outcome {
            Outcome::Incomplete if seen.ended != Ended::Open => Ok(()),
            _ => Err(format!("no response, {:?}", seen.ended)),
        };
    };
    match outcome {
        Outcome::BadGateway => {
            check(response.status() == 502, || format!("status {}, wanted 502", response.status()))?;
            check(response.complete, || "the refusal is not complete".into())?;
            check(!latin1(&seen.raw).contains(SECRET), || "bytes of the origin came through".into())
        }
        Outcome::Incomplete => {
            check(seen.ended != Ended::Open, || "the connection was left open".into())?;
            let looks_complete = match response.framing {
                Framing::UntilClose => seen.ended == Ended::Eof,
                _ => response.complete,
            };
            check(!looks_complete || response.status() == 502, || "it looks complete".into())
        }
        Outcome::Delivered(status, body) => {
            check(response.status() == *status, || format!("status {}, wanted {status}", response.status()))?;
            check(response.complete, || format!("not complete ({:?})", response.framing))?;
            check(response.body == bytes_of(body), || format!("body {:?}", latin1(&response.body)))?;
            let extra = message::responses(&seen.raw, method_of(case), seen.ended == Ended::Eof).1;
            check(extra.is_empty(), || format!("more bytes follow: {:?}", latin1(&extra)))?;
            for (name, value) in &case.with {
                let all: Vec<&str> = response.fields.all(name).collect();
                check(all.contains(value), || format!("{name} is {all:?}, wanted {value:?}"))?;
            }
            for name in &case.without {
                check(!response.fields.has(name), || format!("{name} is there"))?;
            }
            for (name, value) in &case.trailers {
                let found = response.trailers.first(name);
                check(found == Some(value), || format!("the trailer {name} is {found:?}"))?;
            }
            Ok(())
        }
    }
}

fn method_of(case: &Reply) -> &str {
    case.request.split(' ').next().unwrap_or("")
}

fn check(good: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(otherwise()) }
}

fn describe(case: &Reply, seen: &Seen, why: &str) -> String {
    let short = |text: &str| format!("{:?}", text.chars().take(400).collect::<String>());
    format!(
        "✗ {} (RFC {}): {why}\n    asked {}\n    origin sent {}\n    client got {} ({:?})",
        case.name,
        case.section,
        short(&case.request),
        short(&case.reply),
        short(&latin1(&seen.raw)),
        seen.ended,
    )
}
