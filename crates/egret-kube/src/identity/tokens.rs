//! Whose a service-account token is: TokenReview (authentication.k8s.io/v1).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use egret_core::identity::workloads::Reviewed;
use egret_core::identity::{Groups, Workload};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus, UserInfo};
use kube::api::PostParams;
use kube::{Api, Client, Error};
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use crate::client::explain;

/// Tokens that were good and may be taken while the API server is away.
const REMEMBERED: usize = 10_000;

/// What precedes namespace and name in the user's name of a service account.
const PREFIX: &str = "system:serviceaccount:";

/// Reviews tokens.
pub(crate) struct Tokens {
    api: Api<TokenReview>,
    audience: String,
    cache: Duration,
    /// What the API server last said of good tokens, by their hashes: never the tokens themselves.
    good: Cache<[u8; 32], Remembered>,
    pub(crate) counts: Counts,
}

/// What became of reviews.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) good: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unavailable: AtomicU64,
}

#[derive(Clone)]
struct Remembered {
    user: Arc<str>,
    groups: Groups,
    workload: Arc<Workload>,
    ends: SystemTime,
}

impl Tokens {
    pub(crate) fn new(client: Client, audience: String, cache: Duration) -> Self {
        let good = Cache::new(REMEMBERED);
        Self { api: Api::all(client), audience, cache, good, counts: Counts::default() }
    }

    /// Asks the API server. While it is away, what it said of this token before holds for as long as the token is
    /// valid.
    pub(crate) async fn review(&self, token: &str) -> Reviewed {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: Some(vec![self.audience.clone()]),
            },
            ..TokenReview::default()
        };
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let answer = self.api.create(&PostParams::default(), &review).await;
        let (reviewed, counter) = match answer {
            Ok(review) => match self.judge(review.status.unwrap_or_default(), token) {
                Ok(good) => {
                    let reviewed = self.reviewed(&good);
                    self.good.insert(hash, good);
                    (reviewed, &self.counts.good)
                }
                Err(why) => {
                    self.good.remove(&hash);
                    (Reviewed::Refused(why), &self.counts.refused)
                }
            },
            // It was understood and refused.
            Err(Error::Api(status)) if status.code == 400 => {
                (Reviewed::Refused("the API server cannot read the token"), &self.counts.refused)
            }
            Err(error) => {
                tracing::warn!(why = explain(&error), "a token cannot be reviewed");
                let remembered = self.good.get(&hash).filter(|good| good.ends > SystemTime::now());
                let is_answer = matches!(&error, Error::Api(status) if matches!(status.code, 401 | 403));
                let reviewed = match remembered {
                    Some(good) if !is_answer => self.reviewed(&good),
                    _ if is_answer => {
                        Reviewed::Unavailable("the API server does not let the proxy review tokens")
                    }
                    _ => Reviewed::Unavailable("the API server cannot be asked about the token"),
                };
                (reviewed, &self.counts.unavailable)
            }
        };
        counter.fetch_add(1, Relaxed);
        reviewed
    }

    fn reviewed(&self, good: &Remembered) -> Reviewed {
        let left = good.ends.duration_since(SystemTime::now()).unwrap_or_default().min(self.cache);
        let Remembered { user, groups, workload, .. } = good.clone();
        Reviewed::Good { user, groups, workload, left }
    }

    fn judge(&self, status: TokenReviewStatus, token: &str) -> Result<Remembered, &'static str> {
        // On failure `authenticated` is absent, not false.
        if status.authenticated != Some(true) {
            return Err(refusal(status.error.as_deref().unwrap_or_default()));
        }
        // An API server that knows nothing of audiences names none, and may mean its own.
        if !status.audiences.unwrap_or_default().contains(&self.audience) {
            return Err("the token is for another audience");
        }
        let user = status.user.unwrap_or_default();
        let workload = workload(&user).ok_or("the token is not a service account's")?;
        let groups = user.groups.unwrap_or_default().into_iter().map(Arc::from).collect();
        let user = user.username.unwrap_or_default().into();
        Ok(Remembered { user, groups, workload: Arc::new(workload), ends: end(token) })
    }
}

/// In words of ours: the API server's may hold anything.
fn refusal(error: &str) -> &'static str {
    if error.contains("audience") {
        "the token is for another audience"
    } else if error.contains("expired") {
        "the token has expired"
    } else if error.contains("invalidated") {
        "the token's service account or pod is gone"
    } else {
        "the API server does not accept the token"
    }
}

fn workload(user: &UserInfo) -> Option<Workload> {
    let (namespace, account) = user.username.as_deref()?.strip_prefix(PREFIX)?.split_once(':')?;
    let extra = |name: &str| {
        let values = user.extra.as_ref()?.get(&format!("authentication.kubernetes.io/{name}"))?;
        Some(Arc::from(values.first()?.as_str()))
    };
    Some(Workload {
        namespace: namespace.into(),
        service_account: Some(account.into()),
        pod: extra("pod-name"),
        pod_uid: extra("pod-uid"),
        node: extra("node-name"),
        ..Workload::default()
    })
}

/// When a token ends, by itself: the API server has found it good. Without a word of it, in a minute.
fn end(token: &str) -> SystemTime {
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<serde_json::Value> = claims.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let seconds = claims.and_then(|claims| claims.get("exp")?.as_u64());
    match seconds.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))) {
        Some(end) => end,
        None => SystemTime::now() + Duration::from_secs(60),
    }
}
