//! What change rules and breakpoints make of a request and its response.
//!
//! A request passes the gate as it came. Then the rules change it, a breakpoint may hold it, and what has become of it
//! passes the gate again: nothing is dialled for a target that was rewritten but by that second decision. Requests for
//! the console are never touched, or a breakpoint could hold the page that lets it go on.
//!
//! All of this is one boxed future, which only exists where there is a rule or a breakpoint.

mod answer;
mod gather;
mod response;
mod wait;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use egret_core::reason::Reason;
use egret_core::record::{ChangeFacts, Protocol};
use egret_flows::capture::{Begin, Changed, Facts};
use egret_flows::changes::{Active, HeldBody, Holding, NotHeld, OnTimeout, Ticket, Verdict};
use egret_flows::edit;
use egret_flows::flow::{Endpoint, Headers, HeadersBuilder, IdentityFacts, Level, Side};
use egret_flows::rules::{Block, Effect, End, subject};
use tokio::time::Instant;

use super::{Exchange, Plan, Stopped, plan, vet, with_facts, write_request};
use crate::body::{Pump, Sink};
use crate::client::{Client, head_limits};
use crate::flow::Flow;
use crate::forward::exchange::Upload;
use crate::gate::{self, Decision};
use crate::http1::request::parse;
use crate::http1::target::{Scheme, Target};
use crate::http1::{BodyLength, Fields, Parsed, RequestHead};
use crate::metrics::Limit;
use crate::refuse::Refusal;

use gather::Gathered;

pub(super) use response::response;

/// What has to be asked about the response of a request.
#[derive(Debug)]
pub struct Editing {
    active: Arc<Active>,
    /// The flow as rules see it: unredacted, and so never kept.
    subject: egret_flows::flow::Flow,
    /// The request's head as it came, and its scheme, for a flow of which nothing was captured.
    original: Option<(Box<[u8]>, Scheme)>,
}

/// Who holds a flow, and for how long.
struct Hold {
    breakpoint: Arc<str>,
    written: Arc<str>,
    time: Duration,
    on_timeout: OnTimeout,
}

/// Makes a request ready to be sent, as rules and people changed it.
pub(super) async fn prepare_boxed(
    client: &mut Client,
    flow: &mut Flow,
    head: &mut RequestHead,
    active: Arc<Active>,
) -> Box<Result<(Plan, Exchange), Stopped>> {
    Box::new(prepare(client, flow, head, active).await)
}

async fn prepare(
    client: &mut Client,
    flow: &mut Flow,
    head: &mut RequestHead,
    active: Arc<Active>,
) -> Result<(Plan, Exchange), Stopped> {
    let input = client.filled()[..head.length].to_vec();
    let mut asked = None;
    let vetted = vet(client, flow, head, &input, &mut |flow, _| {
        let about = about(client, flow, head, &input);
        let Some(mut about) = about else { return Level::None };
        let now = micros_now();
        let effect = active.rules.on_request(&mut about, now);
        let hold = match effect.end {
            Some(_) => None,
            None => hold(flow, &active, &about, Side::Request, &effect, now),
        };
        // Whoever is to let it go on has to find it in the list.
        let least = if hold.is_some() { Level::Headers } else { Level::None };
        asked = Some((about, effect, hold));
        least
    });
    client.consume(head.length);
    let decision = vetted?;
    let Some((subject, effect, hold)) = asked else {
        let plan = plan(client, flow, head, &input, decision)?;
        return Ok(as_it_came(client, flow, head, &input, plan));
    };
    let mut editing = Editing { original: None, active, subject };
    if editing.active.concerns(Side::Response) && flow.capture.is_none() {
        let scheme = if editing.subject.request.scheme == "https" { Scheme::Https } else { Scheme::Http };
        editing.original = Some((input[head.method.start..].into(), scheme));
    }
    change(client, flow, head, input, decision, editing, effect, hold).await
}

#[allow(clippy::too_many_arguments, reason = "the parts of one request, which live apart")]
async fn change(
    client: &mut Client,
    flow: &mut Flow,
    head: &mut RequestHead,
    mut input: Vec<u8>,
    mut decision: Decision,
    mut editing: Editing,
    effect: Effect,
    hold: Option<Hold>,
) -> Result<(Plan, Exchange), Stopped> {
    note(flow, &editing);
    let waited = !effect.delay.is_zero() || hold.is_some();
    let began = Instant::now();
    wait::pause(client, effect.delay).await?;
    match &effect.end {
        None => {}
        Some(End::Block(block)) => return Err(blocked(&editing, block).into()),
        Some(End::Answer(answer)) => {
            let wish = answer::Wish::of(head, &input);
            return Err(answer::give(client, flow, answer, &wish).await?);
        }
    }
    let mut is_changed = effect.changed;
    let (mut gathered, mut body) = (None, None);
    if let Some(hold) = hold {
        gathered = gather::request(client, flow, head).await?;
        let held = gathered.as_ref().map_or_else(|| too_long_or_none(head.body), Gathered::held);
        match hold_until_decided(client, flow, &editing.subject, Side::Request, hold, held).await? {
            Verdict::GoOn => {}
            Verdict::Drop => return Err(dropped(Side::Request).into()),
            Verdict::Answer(given) => {
                note_breakpoint(flow, &mut editing);
                let wish = answer::Wish::of(head, &input);
                return Err(answer::give(client, flow, &given, &wish).await?);
            }
            Verdict::Changed(edited, edited_body) => {
                editing.subject = *edited;
                note_breakpoint(flow, &mut editing);
                (is_changed, body) = (true, edited_body);
            }
        }
    }
    let before = flow.snapshot.generation;
    if waited {
        facts(flow).held = Some(began.elapsed());
        flow.snapshot = flow.worker.snapshot.load_full();
    }
    if is_changed {
        let version = head.version;
        input = edit::request_head(&editing.subject.request, None, version_text(version));
        *head = read_again(flow, &input, version)?;
        note_target(flow, &editing);
    }
    if gathered.is_some() {
        // It was told to go on by us.
        head.expects_continue = false;
    }
    if is_changed || flow.snapshot.generation != before {
        let Target::Absolute { destination, .. } = &head.target else {
            return Err(Refusal::new(Reason::ChangeFailed, "the changed target is no URL").into());
        };
        decision = with_facts(flow, head, &input, |flow, facts| gate::decide(flow, destination, facts))?;
    }
    tell(flow, &editing, is_changed.then(|| Changed { head: input.as_slice().into(), body: body.clone() }));
    let plan = plan(client, flow, head, &input, decision)?;
    let (plan, mut exchange) = as_it_came(client, flow, head, &input, plan);
    match (body, gathered) {
        (Some(body), _) => {
            exchange.upload = Upload::new(Pump::new(BodyLength::None, Sink::Same, plan.limits, Vec::new()));
            exchange.body = Some(body);
        }
        (None, Some(gathered)) => {
            exchange.upload = Upload::new(gathered.pump);
            exchange.body = Some(gathered.raw.into());
        }
        (None, None) => {}
    }
    if editing.active.concerns(Side::Response) {
        flow.edit = Some(Box::new(editing));
    }
    Ok((plan, exchange))
}

fn as_it_came(
    client: &mut Client,
    flow: &mut Flow,
    head: &mut RequestHead,
    input: &[u8],
    plan: Plan,
) -> (Plan, Exchange) {
    let memory = std::mem::take(&mut client.spare.request_head);
    let written = write_request(memory, input, flow, head, &plan);
    client.spare.request_fields = std::mem::take(&mut head.fields);
    let upload = Upload::new(Pump::new(plan.body, Sink::Same, plan.limits, Vec::new()));
    (plan, Exchange { written, upload, upstream: None, body: None })
}

/// The flow that rules are asked about; `None` for one that they must not touch.
fn about(client: &Client, flow: &Flow, head: &RequestHead, input: &[u8]) -> Option<egret_flows::flow::Flow> {
    let Target::Absolute { scheme, destination, path, .. } = &head.target else { return None };
    if flow.snapshot.gate.grant_console(&gate::ask_about_tunnel(flow, destination)).is_some() {
        return None;
    }
    let begin = Begin {
        id: flow.record.id,
        started: flow.record.started,
        client: flow.record.client,
        tunnel: client.inside.as_ref().map(|inside| inside.flow),
        treatment: crate::capture::treatment(flow.record.treatment),
        scheme: scheme.as_str(),
        destination: Some(Endpoint { host: destination.host.to_string(), port: destination.port }),
        replay_of: flow.record.replay_of,
    };
    let mut about = subject(&begin, &input[head.method.start..]);
    // Proxy credentials are nobody's to see, and end here.
    about.request.headers = without_credentials(&about.request.headers);
    about.downstream = flow.record.downstream.as_str().into();
    if head.version == Protocol::Http2 {
        about.request.version = "HTTP/2".into();
    }
    if path.is_empty() && about.request.method == "OPTIONS" {
        // The server as a whole (RFC 9112 section 3.2.4).
        about.request.path = "*".to_owned();
    }
    about.replay_of = flow.record.replay_of;
    about.identity = identity(flow);
    about.client_tls = client.inside.as_ref().and_then(|inside| inside.tls.clone());
    if let Some(by) = &flow.record.basis.by {
        about.decision.policy = Some(by.policy.to_string());
        about.decision.rule = Some(by.rule.to_string());
    }
    Some(about)
}

fn without_credentials(headers: &Headers) -> Headers {
    let mut kept = HeadersBuilder::default();
    for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(b"proxy-authorization"))
    {
        kept.push(name, value);
    }
    kept.finish()
}

fn identity(flow: &Flow) -> IdentityFacts {
    let identity = &flow.identity;
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    let workload = identity.workload.as_deref();
    let groups = identity.user.as_ref().map(|user| user.groups.iter().map(ToString::to_string).collect());
    IdentityFacts {
        name: identity.name().map(ToString::to_string),
        proof: identity.proof().as_str().into(),
        namespace: workload.map(|workload| workload.namespace.to_string()),
        service_account: workload.and_then(|workload| text(&workload.service_account)),
        pod: workload.and_then(|workload| text(&workload.pod)),
        groups: groups.unwrap_or_default(),
    }
}

/// Who holds this message, if anybody does and somebody is there to let it go on.
fn hold(
    flow: &Flow,
    active: &Active,
    about: &egret_flows::flow::Flow,
    side: Side,
    effect: &Effect,
    now: u64,
) -> Option<Hold> {
    let changes = &flow.worker.shared.changes;
    let room = changes.may_hold();
    if room == Err(NotHeld::Unwatched) {
        return None;
    }
    let hold = match &effect.hold {
        Some(rule) => Hold {
            breakpoint: rule.clone(),
            written: rule.clone(),
            time: changes.limits().time,
            on_timeout: OnTimeout::GoOn,
        },
        None => {
            let point = active.breakpoint(about, side, now)?;
            Hold {
                breakpoint: point.id.clone(),
                written: point.written.clone(),
                time: point.time,
                on_timeout: point.on_timeout,
            }
        }
    };
    if room.is_err() {
        flow.worker.metrics.limit_hit(Limit::HeldFlows);
        return None;
    }
    Some(hold)
}

/// Holds a message until somebody decides, or its time is over.
async fn hold_until_decided(
    client: &mut Client,
    flow: &mut Flow,
    about: &egret_flows::flow::Flow,
    side: Side,
    hold: Hold,
    body: HeldBody,
) -> Result<Verdict, Refusal> {
    if body == HeldBody::TooLong {
        flow.worker.metrics.limit_hit(Limit::HeldBodyBytes);
    }
    let Hold { breakpoint, written, time, on_timeout } = hold;
    let holding = Holding { flow: about.clone(), side, breakpoint, written, time, on_timeout, body };
    let mut ticket: Ticket = match flow.worker.shared.changes.hold(holding) {
        Ok(ticket) => ticket,
        Err(NotHeld::Full) => {
            flow.worker.metrics.limit_hit(Limit::HeldFlows);
            return Ok(Verdict::GoOn);
        }
        Err(NotHeld::Unwatched) => return Ok(Verdict::GoOn),
    };
    let verdict = wait::until(client, ticket.time, |context| ticket.poll(context)).await?;
    Ok(verdict.unwrap_or_else(|| {
        flow.worker.metrics.limit_hit(Limit::HeldTime);
        match ticket.on_timeout {
            OnTimeout::GoOn => Verdict::GoOn,
            OnTimeout::Drop => Verdict::Drop,
        }
    }))
}

fn too_long_or_none(body: BodyLength) -> HeldBody {
    if body == BodyLength::None { HeldBody::None } else { HeldBody::TooLong }
}

fn blocked(editing: &Editing, block: &Block) -> Refusal {
    let rule = editing.subject.changes.last().map_or("", String::as_str);
    let detail = match block.message.as_str() {
        "" => format!("rule `{rule}`"),
        message => format!("rule `{rule}`: {message}"),
    };
    Refusal { status: block.status, ..Refusal::new(Reason::BlockedByChangeRule, detail) }
}

fn dropped(side: Side) -> Refusal {
    let which = match side {
        Side::Request => "the request was held",
        Side::Response => "the response was held; the origin has got the request",
    };
    Refusal::new(Reason::DroppedAtBreakpoint, which)
}

/// What the record says of changes.
fn facts(flow: &mut Flow) -> &mut ChangeFacts {
    flow.record.changes.get_or_insert_default()
}

/// Notes for the record which rules touched the flow.
fn note(flow: &mut Flow, editing: &Editing) {
    if !editing.subject.changes.is_empty() {
        facts(flow).rules = editing.subject.changes.iter().map(|name| name.as_str().into()).collect();
    }
}

/// What a flow that was changed by hand names, in the place of a rule.
pub const BY_HAND: &str = "breakpoint";

fn note_breakpoint(flow: &mut Flow, editing: &mut Editing) {
    if !editing.subject.changes.iter().any(|name| name == BY_HAND) {
        editing.subject.changes.push(BY_HAND.to_owned());
    }
    note(flow, editing);
}

/// Notes for the record where it goes instead.
fn note_target(flow: &mut Flow, editing: &Editing) {
    let url = editing.subject.request.url();
    // As the record holds targets: bounded.
    let url: String = url.chars().take(2048).collect();
    if url != flow.record.target {
        facts(flow).target = Some(url.into());
    }
}

/// Tells whoever looks at the flow what has become of its request.
fn tell(flow: &mut Flow, editing: &Editing, changed_request: Option<Changed>) {
    if let Some(capture) = &mut flow.capture {
        capture.changed(Facts {
            changes: editing.subject.changes.clone(),
            tags: editing.subject.tags.clone(),
            changed_request,
            ..Facts::default()
        });
    }
}

/// The same for a request that goes nowhere.
fn tell_answer(flow: &mut Flow) {
    let changes = flow.record.changes.as_deref().map(|changes| changes.rules.as_slice()).unwrap_or_default();
    let changes = changes.iter().map(ToString::to_string).collect();
    if let Some(capture) = &mut flow.capture {
        capture.changed(Facts {
            changes,
            treatment: Some(egret_flows::flow::Treatment::Local),
            ..Facts::default()
        });
    }
}

fn version_text(version: Protocol) -> &'static str {
    if version == Protocol::Http10 { "HTTP/1.0" } else { "HTTP/1.1" }
}

/// Reads a head that was changed. It has to be as good as one from a client.
fn read_again(flow: &Flow, input: &[u8], version: Protocol) -> Result<RequestHead, Refusal> {
    let limits = head_limits(&flow.snapshot.limits);
    match parse(input, &limits, Fields::new()) {
        Ok(Parsed::Complete(head)) if head.length == input.len() => Ok(RequestHead { version, ..head }),
        Ok(_) => Err(Refusal::new(Reason::ChangeFailed, "the changed head has no end")),
        Err(error) => {
            Err(Refusal::new(Reason::ChangeFailed, format!("the changed request: {}", error.describe())))
        }
    }
}

pub(super) fn micros_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Bytes that are put in front of what a pump has left.
fn in_front(mut head: Vec<u8>, bytes: &Bytes) -> Vec<u8> {
    head.extend_from_slice(bytes);
    head
}
