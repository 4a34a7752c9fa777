//! What a list shows of a flow.

use std::net::SocketAddr;

use serde::Serialize;

use super::{Flow, Side, Treatment};

/// A row of a list: small enough to send a thousand at once. Names are those of [`Flow`].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary<'a> {
    /// The flow's number.
    pub seq: u64,
    /// Counts its changes.
    pub revision: u64,
    /// Its id.
    pub id: &'a str,
    /// The id of the tunnel that it came out of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<&'a str>,
    /// It goes on.
    pub active: bool,
    /// When it began, in microseconds since 1970.
    pub started: u64,
    /// The client's address.
    pub client: SocketAddr,
    /// The name that stands for the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<&'a str>,
    /// The client's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// `http`, `https`, or empty.
    pub scheme: &'a str,
    /// The host.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub path: &'a str,
    /// The protocol that the client spoke.
    pub downstream: &'a str,
    /// The protocol that the origin spoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<&'a str>,
    /// The status, 0 if there is none.
    pub status: u16,
    /// The content type of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<&'a str>,
    /// What was done with it.
    pub treatment: Treatment,
    /// How much was captured.
    pub capture: &'a str,
    /// The reason code of what did not go well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    /// The policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<&'a str>,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'a str>,
    /// Payload bytes from the client.
    pub bytes_up: u64,
    /// Payload bytes to the client.
    pub bytes_down: u64,
    /// How long it took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// How long the first byte of the response took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<u64>,
    /// A WebSocket.
    pub websocket: bool,
    /// gRPC.
    pub grpc: bool,
    /// Not all of it was captured.
    pub truncated: bool,
    /// Its tags.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub tags: &'a [String],
    /// Its mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<&'a str>,
    /// What somebody wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<&'a str>,
    /// It repeats another.
    pub replay: bool,
}

impl<'a> From<&'a Flow> for Summary<'a> {
    fn from(flow: &'a Flow) -> Self {
        let request = &flow.request;
        Self {
            seq: flow.seq,
            revision: flow.revision,
            id: flow.id.as_str(),
            tunnel: flow.tunnel.as_ref().map(|id| id.as_str()),
            active: flow.active,
            started: flow.started,
            client: flow.client,
            identity: flow.identity.name.as_deref(),
            namespace: flow.identity.namespace.as_deref(),
            method: &request.method,
            scheme: &request.scheme,
            host: &request.host,
            port: request.port,
            path: &request.path,
            downstream: &flow.downstream,
            upstream: flow.upstream.as_deref(),
            status: flow.status,
            content_type: flow.headers(Side::Response).and_then(|headers| headers.text("content-type")),
            treatment: flow.treatment,
            capture: flow.capture.as_str(),
            reason: flow.failure.as_ref().map(|failure| &*failure.reason),
            policy: flow.decision.policy.as_deref(),
            rule: flow.decision.rule.as_deref(),
            bytes_up: flow.bytes_up,
            bytes_down: flow.bytes_down,
            total: flow.timings.total,
            first_byte: flow.timings.first_byte,
            websocket: flow.is_websocket(),
            grpc: flow.is_grpc(),
            truncated: flow.truncated,
            tags: &flow.tags,
            mark: flow.mark.as_deref(),
            comment: flow.comment.as_deref(),
            replay: flow.replay_of.is_some(),
        }
    }
}
