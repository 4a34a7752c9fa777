//! Our own objects: whether they are right.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;

use super::metrics::Outcome;
use super::review::{Answer, Review};
use crate::inject::{MAX_WARNING_CHARS, MAX_WARNINGS, clean};

/// The group of our objects.
const GROUP: &str = "egret.dev";

/// What was found in an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// All that is wrong, as one text; `None` where nothing is.
    pub refused: Option<String>,
    /// What is worth a word.
    pub warnings: Vec<String>,
}

/// Checks an object of a kind, in a namespace.
pub type Validate = fn(kind: &str, object: &Value, namespace: Option<&str>) -> Verdict;

/// Answers for one of our objects; everything else is allowed.
pub(super) fn answer(validate: Validate, review: &Review<'_>) -> (Outcome, Answer) {
    let is_ours = review.kind.group == GROUP && matches!(review.operation.as_ref(), "CREATE" | "UPDATE");
    let is_whole = review.sub_resource.as_deref().unwrap_or_default().is_empty();
    let (true, true, Some(object)) = (is_ours, is_whole, review.object) else {
        return (Outcome::Unchanged, Answer::default());
    };
    let object: Value = match serde_json::from_str(object.get()) {
        Ok(object) => object,
        Err(error) => {
            let refused = Some(clean(&format!("the object cannot be read: {error}"), MAX_WARNING_CHARS));
            return (Outcome::Refused, Answer { refused, ..Answer::default() });
        }
    };
    // What is being deleted must be able to lose its finalizers, however wrong it is.
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return (Outcome::Allowed, Answer::default());
    }
    let checked =
        catch_unwind(AssertUnwindSafe(|| validate(&review.kind.kind, &object, review.namespace.as_deref())));
    let Ok(verdict) = checked else {
        tracing::error!(kind = %review.kind.kind, "the check of an object failed; it was let through. Please report this.");
        return (
            Outcome::Failed,
            Answer::doubt("the object was not checked: the webhook failed, see the controller's log"),
        );
    };
    let warnings = verdict.warnings.iter().take(MAX_WARNINGS);
    let warnings = warnings.map(|text| clean(&format!("egret: {text}"), MAX_WARNING_CHARS)).collect();
    let outcome = if verdict.refused.is_some() { Outcome::Refused } else { Outcome::Allowed };
    (outcome, Answer { refused: verdict.refused, warnings, ..Answer::default() })
}
