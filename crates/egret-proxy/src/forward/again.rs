//! Deciding again on a request that is under way.

use egret_core::policy::RequestFacts;

use super::Plan;
use crate::flow::{Asked, Flow};
use crate::gate::{self, HeadFields, KeptRequest};
use crate::http1::request::parse;
use crate::http1::target::Target;
use crate::http1::{Fields, HeadLimits, Parsed, RequestHead};
use crate::refuse::Refusal;

/// The head as it went upstream is what is still known of a request, and it costs nothing to have it.
struct Sent<'a> {
    head: RequestHead,
    bytes: &'a [u8],
}

impl<'a> Sent<'a> {
    /// Reads what the proxy itself has written.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let limits = HeadLimits { bytes: usize::MAX, fields: usize::MAX, target: usize::MAX };
        match parse(bytes, &limits, Fields::new()) {
            Ok(Parsed::Complete(head)) => Some(Self { head, bytes }),
            _ => None,
        }
    }

    fn with_facts<T>(&self, plan: &Plan, then: impl FnOnce(RequestFacts<'_>) -> T) -> T {
        let path = match &self.head.target {
            Target::Absolute { path, .. } => path,
            _ => &self.head.target_text,
        };
        let path_and_query = String::from_utf8_lossy(&self.bytes[path.clone()]);
        let headers = HeadFields::new(&self.head, self.bytes);
        then(gate::facts(&self.head, plan.scheme, &path_and_query, &headers))
    }
}

/// Decides again, because the configuration has changed. `None`: it goes on.
pub(super) fn decide(flow: &mut Flow, plan: &Plan, sent: &[u8]) -> Option<Refusal> {
    // What cannot be read again can only be judged by what is asked of every flow.
    let Some(sent) = Sent::read(sent) else { return gate::decide_again(flow, &plan.destination, None) };
    sent.with_facts(plan, |facts| gate::decide_again(flow, &plan.destination, Some(facts)))
}

/// Keeps what is known of a request that becomes a tunnel.
pub(super) fn keep(flow: &mut Flow, plan: &Plan, sent: &[u8]) {
    let Some(sent) = Sent::read(sent) else { return };
    let request = sent.with_facts(plan, |facts| KeptRequest::new(&facts));
    flow.asked = Some(Box::new(Asked { destination: plan.destination.clone(), request: Some(request) }));
}
