//! Bearer tokens: JWT (RFC 7519) signed with a key of a JWK set, checked as RFC 8725 advises.

mod fetch;
mod groups;
mod keys;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use egret_core::authentication::{KeySource, Tokens as Settings};
use egret_core::htpasswd::check_user_name;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode};
use rustls::ClientConfig;
use serde::Deserialize;

use self::fetch::Fetcher;
use self::keys::Keys;
use crate::upstream::Upstream;

/// A token that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Good {
    pub(super) user: Arc<str>,
    pub(super) groups: Vec<Arc<str>>,
    /// How long it is valid.
    pub(super) left: Duration,
}

/// A token that was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// It is good no more, not yet, or not here, but somebody has signed it: it is no guess.
    Claims(&'static str),
    /// It was made by nobody who may make them.
    Forged(&'static str),
    /// There are no keys to tell by.
    NoKeys,
}

/// The tokens that are accepted.
pub(super) struct Tokens {
    pub(super) settings: Arc<Settings>,
    keys: Arc<ArcSwap<Keys>>,
    fetcher: Option<Fetcher>,
}

/// What is read of a token's header. Whatever else it says about where to find keys is not looked at.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

impl Tokens {
    /// Reads the keys of a file.
    ///
    /// # Errors
    /// Why the set cannot be used.
    pub(super) fn new(settings: Arc<Settings>) -> Result<Self, String> {
        let keys = match &settings.keys {
            KeySource::File(bytes) => {
                Keys::parse(bytes).map_err(|why| format!("authentication.jwt.keysFile: {why}"))?
            }
            KeySource::Url(_) => Keys::default(),
        };
        Ok(Self { settings, keys: Arc::new(ArcSwap::from_pointee(keys)), fetcher: None })
    }

    /// Begins to fetch keys, where they come from a URL. Needs the context of a runtime.
    pub(super) fn start_fetching(
        &mut self,
        upstream: Arc<Upstream>,
        tls: Arc<ClientConfig>,
        snapshot: Arc<ArcSwap<egret_core::settings::Snapshot>>,
    ) {
        if let KeySource::Url(url) = &self.settings.keys {
            let source =
                fetch::Source { url: url.clone(), refresh: self.settings.refresh, tls, upstream, snapshot };
            self.fetcher = Some(Fetcher::start(source, self.keys.clone()));
        }
    }

    /// Figures for the metrics: keys, and when they were fetched.
    pub(super) fn figures(&self) -> (usize, Option<SystemTime>) {
        (self.keys.load().0.len(), self.fetcher.as_ref().and_then(Fetcher::fetched_at))
    }

    /// Fetches keys again when a token names one that is not known: providers change them. Waits for
    /// it, unless that was tried a moment ago.
    pub(super) async fn learn(&self, token: &str) {
        let keys = self.keys.load();
        let named = header(token).ok().and_then(|header| header.kid);
        let is_known = named.as_deref().map_or(!keys.0.is_empty(), |id| keys.has(id));
        drop(keys);
        if let Some(fetcher) = self.fetcher.as_ref().filter(|_| !is_known) {
            fetcher.refresh().await;
        }
    }

    /// Checks a token. Takes a tenth of a millisecond of CPU time.
    pub(super) fn check(&self, token: &str) -> Result<Good, Bad> {
        let header = header(token)?;
        if header.crit.is_some() {
            return Err(Bad::Forged("the token has a critical extension that is not known here"));
        }
        let algorithm: Algorithm =
            header.alg.parse().map_err(|_| match &*header.alg.to_ascii_lowercase() {
                "none" => Bad::Forged("the token is not signed"),
                _ => Bad::Forged("the token is signed with an algorithm that is not accepted"),
            })?;
        if matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
            return Err(Bad::Forged("the token is signed with a shared secret, which is not accepted"));
        }
        let keys = self.keys.load();
        if keys.0.is_empty() {
            return Err(Bad::NoKeys);
        }
        let mut worst = Bad::Forged("no key is known that could have signed the token");
        for key in keys.candidates(header.kid.as_deref(), algorithm) {
            match decode::<serde_json::Value>(token, &key.key, &self.validation(algorithm)) {
                Ok(data) => return self.accept(&data.claims),
                Err(error) => worst = judge(error.kind()),
            }
            if matches!(worst, Bad::Claims(_)) {
                break;
            }
        }
        Err(worst)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&self.settings.issuers);
        validation.set_audience(&self.settings.audiences);
        validation.validate_nbf = true;
        validation.leeway = self.settings.clock_skew.as_secs();
        validation
    }

    fn accept(&self, claims: &serde_json::Value) -> Result<Good, Bad> {
        // An issuer in several (a list) is one that the library takes and RFC 7519 does not know.
        if !claims.get("iss").is_some_and(serde_json::Value::is_string) {
            return Err(Bad::Claims("the issuer of the token is not a text"));
        }
        let user = claims.get(&self.settings.user_claim).and_then(serde_json::Value::as_str);
        let user = user.ok_or(Bad::Claims("the token has no claim that names the user"))?;
        check_user_name_of_token(user)?;
        // `exp` was checked; what is no number there was refused.
        let ends = claims.get("exp").and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ends = Duration::try_from_secs_f64(ends).unwrap_or(Duration::ZERO) + self.settings.clock_skew;
        let groups = groups::named(claims, &self.settings.groups_claim);
        Ok(Good { user: user.into(), groups, left: ends.saturating_sub(now) })
    }
}

/// Subjects may have colons, as service accounts do (`system:serviceaccount:shop:cart`).
fn check_user_name_of_token(user: &str) -> Result<(), Bad> {
    check_user_name(&user.replace(':', "_"))
        .map_err(|_| Bad::Claims("the token names the user with characters that no name has"))
}

fn header(token: &str) -> Result<Header, Bad> {
    let shape = Bad::Forged("the token is not a JWT");
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(shape);
    };
    let bytes = URL_SAFE_NO_PAD.decode(header).map_err(|_| shape)?;
    serde_json::from_slice(&bytes).map_err(|_| shape)
}

fn judge(error: &ErrorKind) -> Bad {
    match error {
        ErrorKind::ExpiredSignature => Bad::Claims("the token has expired"),
        ErrorKind::ImmatureSignature => Bad::Claims("the token is not valid yet"),
        ErrorKind::InvalidIssuer => Bad::Claims("the token is of another issuer"),
        ErrorKind::InvalidAudience => Bad::Claims("the token is for another audience"),
        ErrorKind::MissingRequiredClaim(claim) => Bad::Claims(match claim.as_str() {
            "exp" => "the token does not say when it ends (`exp`)",
            "iss" => "the token does not say who issued it (`iss`)",
            _ => "the token does not say for whom it is (`aud`)",
        }),
        ErrorKind::InvalidClaimFormat(_) => Bad::Claims("a time in the token is not a number"),
        _ => Bad::Forged("the signature of the token is wrong"),
    }
}
