//! What goes wrong between this and the API server, and what is done about it.

use std::time::Duration;

use kube::Error;

use crate::client::chain;

/// What any one request to the API server may take. Watches are no request in this sense.
pub(crate) const REQUEST: Duration = Duration::from_secs(20);

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The API server says so, or cannot be reached.
    #[error(transparent)]
    Api(#[from] Error),
    /// It takes too long.
    #[error("the API server did not answer within {} s", REQUEST.as_secs())]
    Late,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Whether another try may end differently without anybody doing something.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Api(Error::Api(status)) => matches!(status.code, 409 | 429 | 500..),
            Self::Api(_) | Self::Late => true,
            Self::Other(_) => false,
        }
    }

    /// Whether the object, or what it is in, is gone or going.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Api(Error::Api(status)) => status.code == 404 || is_terminating(status),
            _ => false,
        }
    }

    /// Whether it is this status.
    pub(crate) fn has_status(&self, code: u16) -> bool {
        matches!(self, Self::Api(error) if is_status(error, code))
    }
}

/// A namespace that is being deleted takes no new objects (403, with that cause).
fn is_terminating(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 403
        && (causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
            || status.message.contains("because it is being terminated"))
}

/// Whether the API server answered with this status.
pub(crate) fn is_status(error: &Error, code: u16) -> bool {
    matches!(error, Error::Api(status) if status.code == code)
}

/// Between a half and the whole: replicas do not ask all at once.
pub(crate) fn jittered(whole: Duration) -> Duration {
    whole.mul_f64(rand::random_range(0.5..=1.0))
}

/// A request within [`REQUEST`].
pub(crate) async fn within<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(REQUEST, request).await {
        Ok(result) => result.map_err(Failure::from),
        Err(_) => Err(Failure::Late),
    }
}

/// A failure in words, with what to do where that is known.
pub(crate) fn explain(failure: &Failure) -> String {
    match failure {
        Failure::Api(Error::Api(status)) if status.code == 403 && !is_terminating(status) => {
            format!(
                "{} (the controller's ClusterRole does not allow it; see docs/kubernetes-controller.md)",
                status.message
            )
        }
        Failure::Api(Error::Api(status)) if status.code == 401 => {
            format!("the API server does not know this client: {}", status.message)
        }
        Failure::Api(Error::Api(status)) if status.message.is_empty() => {
            format!("the API server answered {}", status.code)
        }
        Failure::Api(Error::Api(status)) => status.message.clone(),
        Failure::Api(error) => chain(error),
        other => other.to_string(),
    }
}
