//! `AdmissionReview` of `admission.k8s.io/v1`: reading and answering.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::inject::{Operation, clean};

/// The only version that is spoken. `v1beta1` went with Kubernetes 1.22.
pub(super) const API_VERSION: &str = "admission.k8s.io/v1";

/// How long a uid may be. It is a UUID, and is sent back.
const UID_BYTES: usize = 128;

/// Why something is no AdmissionReview to answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// No JSON, or not of this form.
    #[error("the body is no AdmissionReview: {0}")]
    Form(String),
    /// JSON of another kind.
    #[error(
        "the body is of kind {0:?}, not AdmissionReview; this address is for the API server's webhooks alone"
    )]
    Kind(String),
    /// Another version.
    #[error(
        "the AdmissionReview is of version {0:?}; only admission.k8s.io/v1 is understood: set `admissionReviewVersions: \
         [v1]` in the webhook configuration"
    )]
    Version(String),
    /// An answer, or nothing.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// Nothing to answer to.
    #[error("the request has no uid, or one of more than 128 bytes; an answer needs it")]
    Uid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(default, borrow)]
    api_version: Cow<'a, str>,
    #[serde(default, borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    request: Option<&'a RawValue>,
}

/// A request, as far as it matters. Objects stay unread.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Review<'a> {
    /// What the answer names.
    #[serde(default, borrow)]
    pub uid: Cow<'a, str>,
    /// The kind of the object.
    #[serde(default, borrow)]
    pub kind: Kind<'a>,
    /// `ephemeralcontainers`, `status`; empty for the object itself.
    #[serde(borrow)]
    pub sub_resource: Option<Cow<'a, str>>,
    /// The namespace; none for objects of the cluster.
    #[serde(borrow)]
    pub namespace: Option<Cow<'a, str>>,
    /// CREATE, UPDATE, DELETE or CONNECT.
    #[serde(default, borrow)]
    pub operation: Cow<'a, str>,
    /// The object, as JSON.
    #[serde(borrow)]
    pub object: Option<&'a RawValue>,
    /// The object before.
    #[serde(borrow)]
    pub old_object: Option<&'a RawValue>,
}

/// A kind, by group and name.
#[derive(Debug, Default, Deserialize)]
pub struct Kind<'a> {
    /// The group; empty for the core.
    #[serde(default, borrow)]
    pub group: Cow<'a, str>,
    /// The kind.
    #[serde(default, borrow)]
    pub kind: Cow<'a, str>,
}

impl<'a> Review<'a> {
    /// Reads the body of a request. Objects in it are passed over at whatever depth, without recursion.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &'a [u8]) -> Result<Self, ReviewError> {
        let form = |error: serde_json::Error| ReviewError::Form(clean(&error.to_string(), 200));
        let envelope: Envelope<'a> = serde_json::from_slice(body).map_err(form)?;
        if envelope.kind != "AdmissionReview" {
            return Err(ReviewError::Kind(clean(&envelope.kind, 60)));
        }
        if envelope.api_version != API_VERSION {
            return Err(ReviewError::Version(clean(&envelope.api_version, 60)));
        }
        let request = envelope.request.ok_or(ReviewError::NoRequest)?;
        let review: Self = serde_json::from_str(request.get()).map_err(form)?;
        if review.uid.is_empty() || review.uid.len() > UID_BYTES {
            return Err(ReviewError::Uid);
        }
        Ok(review)
    }
}

/// What is answered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Why not; `None` for allowed.
    pub(super) refused: Option<String>,
    pub(super) patch: Vec<Operation>,
    pub(super) warnings: Vec<String>,
    pub(super) audit: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerEnvelope<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: AnswerBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerBody<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    // Both or neither: a patch type without a patch is an error to the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: &'a BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    reason: &'static str,
    message: &'a str,
}

impl Answer {
    /// Allowed as it is, with a warning.
    pub(super) fn doubt(warning: &str) -> Self {
        Self { warnings: vec![format!("egret: {warning}")], ..Self::default() }
    }

    /// The AdmissionReview to send back.
    pub(super) fn body(&self, uid: &str) -> Vec<u8> {
        let patch = serde_json::to_vec(&self.patch).ok().filter(|_| !self.patch.is_empty());
        let patch = patch.map(|patch| STANDARD.encode(patch));
        let envelope = AnswerEnvelope {
            api_version: API_VERSION,
            kind: "AdmissionReview",
            response: AnswerBody {
                uid,
                allowed: self.refused.is_none(),
                status: self.refused.as_deref().map(|message| Status {
                    // As the API server's own validation answers.
                    code: 422,
                    reason: "Invalid",
                    message,
                }),
                patch_type: patch.as_ref().map(|_| "JSONPatch"),
                patch,
                warnings: &self.warnings,
                audit_annotations: &self.audit,
            },
        };
        // Text and numbers alone: this cannot fail.
        serde_json::to_vec(&envelope).unwrap_or_default()
    }
}
