//! What is known of one flow, for those who look at it.
//!
//! Every flow is listed, also one of which nothing was captured: then there is what its record says and
//! no more. Times are microseconds, of the clock since 1970 and of durations alike.

mod body;
mod facts;
mod headers;
mod http;
mod id;
mod summary;
mod tls;
mod websocket;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use egret_core::flow_id::FlowId;
use egret_core::record::FlowRecord;
use serde::{Deserialize, Serialize};

pub use body::{Body, BodyNote, Content, Spilled};
pub use facts::{Decision, DecisionStep, Endpoint, Failure, IdentityFacts, Timings};
pub(crate) use headers::shown;
pub use headers::{Headers, HeadersBuilder};
pub use http::{Request, Response};
pub use summary::Summary;
pub use tls::{TlsFacts, TlsSide};
pub use websocket::{Message, MessageKind};

/// A word of which most values are known when the program is built.
pub type Word = Cow<'static, str>;

/// One side of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// From the client to the origin.
    Request,
    /// From the origin to the client.
    Response,
}

/// What became of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Treatment {
    /// Bytes relayed unseen.
    Tunnel,
    /// A plain request, forwarded.
    Forward,
    /// TLS ended here, and its requests seen.
    Intercept,
    /// Answered by the proxy itself.
    Local,
}

impl Treatment {
    /// Every treatment.
    pub const ALL: [Self; 4] = [Self::Tunnel, Self::Forward, Self::Intercept, Self::Local];

    /// As records and filters write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tunnel => "tunnel",
            Self::Forward => "forward",
            Self::Intercept => "intercept",
            Self::Local => "local",
        }
    }

    /// The treatment of that name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|treatment| treatment.as_str().eq_ignore_ascii_case(word))
    }
}

/// How much of a flow is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Level {
    /// Nothing but its record.
    #[default]
    None,
    /// The heads of request and response.
    Headers,
    /// Heads, bodies, trailers and messages.
    Bodies,
}

impl Level {
    /// As policies and filters write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Headers => "Headers",
            Self::Bodies => "Bodies",
        }
    }

    /// The level of that name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::None, Self::Headers, Self::Bodies]
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(word))
    }
}

/// One request, or one tunnel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flow {
    /// Its place in the order of the store; never given twice, also after a restart that the store survives.
    pub seq: u64,
    /// Counts its changes.
    pub revision: u64,
    /// Its id, the same as in the access line and in refusals.
    #[serde(with = "id")]
    pub id: FlowId,
    /// The tunnel that it came out of.
    #[serde(with = "id::option", default, skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<FlowId>,
    /// It goes on.
    pub active: bool,
    /// When the request arrived, in microseconds since 1970.
    pub started: u64,
    /// The client's address.
    pub client: SocketAddr,
    /// Who the client is.
    pub identity: IdentityFacts,
    /// What it asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Endpoint>,
    /// The address that was dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialled: Option<SocketAddr>,
    /// The parent group that it went through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The upstream connection was a kept one.
    pub reused: bool,
    /// The protocol that the client spoke.
    pub downstream: Word,
    /// The protocol that the origin spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Word>,
    /// What was done with it.
    pub treatment: Treatment,
    /// How much was captured.
    pub capture: Level,
    /// The request. Without a captured head it has what the record knows of it.
    pub request: Request,
    /// The response, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// The status that the client was sent, 0 if none.
    pub status: u16,
    /// Why it did not go well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Why it was treated as it was.
    pub decision: Decision,
    /// Durations.
    pub timings: Timings,
    /// TLS with the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_tls: Option<Arc<TlsFacts>>,
    /// TLS with the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_tls: Option<Arc<TlsFacts>>,
    /// Payload bytes from the client.
    pub bytes_up: u64,
    /// Payload bytes to the client.
    pub bytes_down: u64,
    /// Messages of a WebSocket, as far as they were captured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// Messages that were not kept, because there were too many or too large ones.
    #[serde(default)]
    pub messages_dropped: u64,
    /// Something of what should have been captured was not: a limit struck, or pieces were lost because
    /// the queue was full.
    pub truncated: bool,
    /// Pieces lost because the queue was full.
    #[serde(default)]
    pub pieces_lost: u32,
    /// Tags that people or rules gave it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Marked by somebody, with any word or sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// What somebody wrote about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The flow that it repeats.
    #[serde(with = "id::option", default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<FlowId>,
    /// The change rules that touched it, in order; and breakpoints that it was changed at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// The request as it was sent, where that is not the one that came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_request: Option<Box<Request>>,
    /// The response as it was sent, where that is not the one that came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_response: Option<Box<Response>>,
}

impl Flow {
    /// A flow that has begun, of which nothing is known but this.
    #[must_use]
    pub fn begun(id: FlowId, started: u64, client: SocketAddr) -> Self {
        Self {
            seq: 0,
            revision: 0,
            id,
            tunnel: None,
            active: true,
            started,
            client,
            identity: IdentityFacts { proof: "address".into(), ..IdentityFacts::default() },
            destination: None,
            dialled: None,
            route: None,
            reused: false,
            downstream: "".into(),
            upstream: None,
            treatment: Treatment::Local,
            capture: Level::None,
            request: Request::default(),
            response: None,
            status: 0,
            failure: None,
            decision: Decision::default(),
            timings: Timings::default(),
            client_tls: None,
            origin_tls: None,
            bytes_up: 0,
            bytes_down: 0,
            messages: Vec::new(),
            messages_dropped: 0,
            truncated: false,
            pieces_lost: 0,
            tags: Vec::new(),
            mark: None,
            comment: None,
            replay_of: None,
            changes: Vec::new(),
            changed_request: None,
            changed_response: None,
        }
    }

    /// Takes over what the record says. `target` is the record's target after redaction.
    pub(crate) fn apply_record(&mut self, record: &FlowRecord, target: &str) {
        let micros = |duration: std::time::Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(name) = record.client_name() {
            self.identity.name = Some(name.to_string());
        }
        match (&record.user, &record.tls) {
            (Some(user), _) => self.identity.proof = user.proof.as_str().into(),
            (None, Some(tls)) if tls.certificate.is_some() => self.identity.proof = "certificate".into(),
            _ => {}
        }
        if let Some(user) = &record.user
            && self.identity.groups.is_empty()
        {
            self.identity.groups = user.groups.iter().map(ToString::to_string).collect();
        }
        if let Some(workload) = &record.workload {
            let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
            self.identity.namespace = Some(workload.namespace.to_string());
            self.identity.service_account = text(&workload.service_account);
            self.identity.pod = text(&workload.pod);
        }
        if self.client_tls.is_none() {
            self.client_tls = record.tls.as_deref().map(|tls| Arc::new(TlsFacts::of_client(tls)));
        }
        // An inner request knows that it was intercepted; its record need not. What was seen is no tunnel, even if
        // its bytes are relayed from some point on.
        let treatment = Treatment::parse(record.treatment.as_str()).unwrap_or(Treatment::Local);
        let is_upgraded = self.capture != Level::None && record.status == 101;
        if self.treatment != Treatment::Intercept && !is_upgraded {
            self.treatment = treatment;
        }
        self.request.apply_record(record.method.as_str(), target);
        if self.destination.is_none() {
            self.destination = self.request.endpoint();
        }
        self.status = record.status;
        self.failure = record.reason.map(|reason| {
            let facts = reason.facts();
            Failure {
                reason: facts.code.into(),
                blame: facts.blame.as_str().into(),
                detail: record.detail.clone(),
            }
        });
        // A decision that came with its steps says the same, and more.
        if let Some(by) = &record.basis.by {
            self.decision.policy.get_or_insert_with(|| by.policy.to_string());
            self.decision.rule.get_or_insert_with(|| by.rule.to_string());
        }
        if let Some(audit) = &record.basis.audit {
            self.decision.audit.get_or_insert_with(|| format!("{}/{}", audit.policy, audit.rule));
        }
        if let Some(changes) = &record.changes {
            self.changes = changes.rules.iter().map(ToString::to_string).collect();
            self.timings.held = changes.held.map(micros);
            self.timings.held_response = changes.held_response.map(micros);
        }
        self.replay_of = self.replay_of.or(record.replay_of);
        self.route = record.parent.as_deref().map(str::to_owned);
        self.dialled = record.dialled;
        self.reused = record.reused;
        self.downstream = record.downstream.as_str().into();
        self.upstream = record.upstream.map(|protocol| protocol.as_str().into());
        self.bytes_up = record.bytes_up;
        self.bytes_down = record.bytes_down;
        let phases = &record.phases;
        self.timings.dns = phases.dns.map(micros);
        self.timings.connect = phases.connect.map(micros);
        self.timings.origin_tls = phases.tls.map(micros);
        self.timings.first_byte = phases.first_byte.map(micros);
        self.timings.total = Some(micros(phases.total));
        self.active = record.interim;
        // Whoever captures bodies has counted them, apart from what came after an upgrade.
        if !record.interim
            && !is_upgraded
            && self.treatment != Treatment::Tunnel
            && self.capture != Level::Bodies
        {
            self.request.body.length = self.request.body.length.max(record.bytes_up);
            if let Some(response) = &mut self.response {
                response.body.length = response.body.length.max(record.bytes_down);
            }
        }
    }

    /// The body of one side, if that side is there.
    #[must_use]
    pub fn body(&self, side: Side) -> Option<&Body> {
        match side {
            Side::Request => Some(&self.request.body),
            Side::Response => self.response.as_ref().map(|response| &response.body),
        }
    }

    /// The header fields of one side, if that side is there.
    #[must_use]
    pub fn headers(&self, side: Side) -> Option<&Headers> {
        match side {
            Side::Request => Some(&self.request.headers),
            Side::Response => self.response.as_ref().map(|response| &response.headers),
        }
    }

    /// A WebSocket: the origin agreed to the upgrade, or messages were seen.
    #[must_use]
    pub fn is_websocket(&self) -> bool {
        let asked = self.request.headers.text("upgrade").is_some_and(|v| v.eq_ignore_ascii_case("websocket"))
            || self.request.headers.first(b"sec-websocket-version").is_some();
        // All messages of a flow are of the same sort.
        let spoken = self.messages.first().is_some_and(|message| message.kind != MessageKind::Event);
        spoken || (asked && matches!(self.status, 101 | 200))
    }

    /// gRPC: the request's content type says so.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        self.request.headers.text("content-type").is_some_and(|v| v.starts_with("application/grpc"))
    }

    /// A request of HTTP whose method and target were seen, which a tunnel is not.
    #[must_use]
    pub fn is_http(&self) -> bool {
        self.treatment != Treatment::Tunnel
            && !matches!(&*self.request.method, "" | "CONNECT")
            && self.downstream.starts_with("HTTP")
    }

    /// About how many bytes it takes in memory, its bodies in memory included.
    #[must_use]
    pub fn memory(&self) -> usize {
        let tls = |facts: &Option<Arc<TlsFacts>>| facts.as_ref().map_or(0, |facts| facts.memory());
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        std::mem::size_of::<Self>()
            + self.request.memory()
            + self.response.as_ref().map_or(0, Response::memory)
            + self.changed_request.as_ref().map_or(0, |request| request.memory())
            + self.changed_response.as_ref().map_or(0, |response| response.memory())
            + tls(&self.client_tls)
            + tls(&self.origin_tls)
            + self.messages.iter().map(Message::memory).sum::<usize>()
            + self
                .decision
                .steps
                .iter()
                .map(|s| 96 + s.policy.len() + s.rule.len() + s.outcome.len() + s.why.len())
                .sum::<usize>()
            + self.changes.iter().map(|name| 24 + name.len()).sum::<usize>()
            + self.tags.iter().map(|tag| 24 + tag.len()).sum::<usize>()
            + text(&self.comment)
            + text(&self.mark)
            + text(&self.identity.name)
    }
}
