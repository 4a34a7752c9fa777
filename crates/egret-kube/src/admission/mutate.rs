//! Pods: what they are given.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Inner;
use super::metrics::{Limit, Outcome};
use super::review::{Answer, Review};
use crate::inject::{Labels, Request, Snapshot, inject};

/// Answers for a pod; everything else is allowed as it is.
pub(super) async fn answer(inner: &Inner, review: &Review<'_>) -> (Outcome, Answer) {
    let Some(request) = request(review) else { return (Outcome::Unchanged, Answer::default()) };
    let Some(snapshot) = inner.snapshot.load_full() else {
        return (
            Outcome::Failed,
            Answer::doubt("no proxy is injected: the controller has not read its settings yet"),
        );
    };
    let labels = look_up(inner, &snapshot, request.namespace).await;
    let request = Request { namespace_labels: labels.as_ref(), ..request };
    // A mistake of ours must not stop a pod.
    match catch_unwind(AssertUnwindSafe(|| inject(&request, &snapshot))) {
        Ok(injection) => {
            let answer = Answer {
                refused: None,
                patch: injection.patch,
                warnings: injection.warnings,
                audit: injection.audit,
            };
            (Outcome::Injection(injection.outcome), answer)
        }
        Err(_) => {
            tracing::error!(
                "injection into a pod failed; the pod was let through as it is. Please report this."
            );
            (
                Outcome::Failed,
                Answer::doubt("no proxy is injected: the webhook failed, see the controller's log"),
            )
        }
    }
}

/// What is asked, where it is about a new pod or an ephemeral container.
fn request<'a>(review: &'a Review<'a>) -> Option<Request<'a>> {
    if !review.kind.group.is_empty() || review.kind.kind != "Pod" {
        return None;
    }
    let ephemeral = match (review.operation.as_ref(), review.sub_resource.as_deref().unwrap_or_default()) {
        ("CREATE", "") => false,
        ("UPDATE", "ephemeralcontainers") => true,
        _ => return None,
    };
    Some(Request {
        namespace: review.namespace.as_deref()?,
        namespace_labels: None,
        ephemeral,
        object: review.object?.get(),
        old_object: review.old_object.map(serde_json::value::RawValue::get),
    })
}

/// The labels of a namespace that is too new for the watch.
async fn look_up(inner: &Inner, snapshot: &Snapshot, namespace: &str) -> Option<Labels> {
    let is_known = snapshot.namespaces.contains_key(namespace);
    if is_known || snapshot.proxies().is_empty() || snapshot.is_excluded(namespace) {
        return None;
    }
    let asked = inner.look_up.as_ref()?(namespace);
    let labels = tokio::time::timeout(inner.limits.lookup, asked).await;
    if labels.is_err() {
        inner.metrics.limit_hit(Limit::Lookup);
    }
    labels.ok().flatten()
}
