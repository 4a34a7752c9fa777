//! Letting a request in, or refusing it with what the client needs to do better.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use egret_core::authentication::Authentication;
use egret_core::identity::{Identity, Proof, User};
use egret_core::reason::Reason;
use egret_core::settings::Snapshot;

use super::check::{Outcome, State};
use super::header::{self, Offered};
use super::verdicts::{Digest, Wrong};
use crate::client::Client;
use crate::flow::Flow;
use crate::http1::RequestHead;
use crate::http1::fields::FieldName;
use crate::metrics::{CredentialMethod, CredentialResult, Limit};
use crate::refuse::Refusal;
use crate::worker::Worker;
use crate::workload;

/// What keeps the digests of a field's value and of a SOCKS login apart.
const KIND_FIELD: u8 = 0;
const KIND_LOGIN: u8 = 1;

/// What is asked of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: no credentials are looked at.
    Nothing,
    /// It may say who it is.
    Optional,
    /// It has to.
    Required,
}

/// What is asked of a client with this address.
#[must_use]
pub fn asked(snapshot: &Snapshot, client: IpAddr) -> Asked {
    match &snapshot.authentication {
        None => Asked::Nothing,
        Some(settings) if settings.is_required_of(client) => Asked::Required,
        Some(_) => Asked::Optional,
    }
}

/// Lets a request in. The user goes into the flow's identity and record. A request for the proxy itself
/// (its page, its health) needs no credentials; do not ask for it.
///
/// # Errors
/// The refusal, with the challenges.
pub async fn admit(client: &mut Client, flow: &mut Flow, head: &RequestHead) -> Result<(), Refusal> {
    if flow.snapshot.authentication.is_none() {
        return Ok(());
    }
    let user = match at_once(client.filled(), flow, head) {
        AtOnce::Is(user) => user,
        AtOnce::Refused(refusal) => return Err(refusal),
        AtOnce::Check(check) => Some(Box::pin(check_field(flow, *check)).await?),
    };
    if client.user_before != user {
        // A connection that authenticated one user upstream serves no other.
        client.pinned = None;
        client.user_before.clone_from(&user);
    }
    flow.identity.user.clone_from(&user);
    flow.record.user = user;
    workload::adopt(flow)
}

/// Checks a user name and a password that did not come by HTTP, as in SOCKS5 (RFC 1929). Give the user
/// to the flow's `identity` and `record`.
///
/// # Errors
/// The refusal.
pub async fn check_password(
    worker: &Worker,
    client: IpAddr,
    user: &[u8],
    password: &[u8],
) -> Result<User, Refusal> {
    let method = CredentialMethod::Basic;
    let shared = &worker.shared.credentials;
    let Some(state) = shared.state.load_full() else {
        return Err(Refusal::new(Reason::AuthenticationUnavailable, "no credentials are taken here"));
    };
    let counted = |result| worker.metrics.credentials(method, result);
    if !state.settings.takes_passwords() {
        counted(CredentialResult::Missing);
        return Err(Refusal::new(Reason::AuthenticationRequired, "passwords are not taken here"));
    }
    // RFC 1929 says nothing of the encoding; what is no UTF-8 is nobody's.
    let parts = (std::str::from_utf8(user).unwrap_or(""), std::str::from_utf8(password).unwrap_or(""));
    let login = header::login(parts.0, parts.1).map_err(|malformed| {
        counted(CredentialResult::Malformed);
        Refusal::new(Reason::CredentialsMalformed, malformed.to_string())
    })?;
    let digest = state.verdicts.digest(KIND_LOGIN, [user, password]);
    let check = Check { state, offered: Offered::Basic(login), digest, method };
    conclude(worker, client, check).await
}

/// Whether what an identity was proved by still stands under a new snapshot, as far as that can be told
/// without asking anybody.
///
/// # Errors
/// What has changed, for people.
pub fn still_hold(snapshot: &Snapshot, identity: &Identity) -> Result<(), String> {
    let Some(settings) = &snapshot.authentication else { return Ok(()) };
    let Some(user) = &identity.user else {
        return match settings.is_required_of(identity.ip()) {
            true => Err("credentials are asked for now".to_owned()),
            false => Ok(()),
        };
    };
    let stands = match user.proof {
        Proof::Htpasswd => settings.htpasswd.as_ref().is_some_and(|file| file.find(&user.name).is_some()),
        Proof::Ldap => settings.ldap.is_some(),
        Proof::Jwt => settings.jwt.is_some(),
        Proof::ServiceAccount => settings.service_accounts.is_some(),
        // What no credentials proved they cannot take away.
        Proof::Address | Proof::Certificate | Proof::Console => true,
    };
    if stands { Ok(()) } else { Err(format!("the user `{}` is not known any more", user.name)) }
}

/// Gives a user the groups that the file of groups has under a new snapshot. Those of a directory or a
/// token stay as they were proved: they change with the next check.
pub fn refresh_groups(snapshot: &Snapshot, identity: &mut Identity) {
    let Some(user) = &mut identity.user else { return };
    let others = snapshot.authentication.as_ref().map_or(&[][..], |settings| settings.groups_of(&user.name));
    user.groups = user.groups.with_others(others);
}

/// What can be said without waiting.
enum AtOnce {
    Is(Option<User>),
    Refused(Refusal),
    Check(Box<Check>),
}

/// What it takes to find out.
struct Check {
    state: Arc<State>,
    offered: Offered,
    digest: Digest,
    method: CredentialMethod,
}

fn at_once(input: &[u8], flow: &Flow, head: &RequestHead) -> AtOnce {
    let metrics = &flow.worker.metrics;
    let state = flow.worker.shared.credentials.state.load();
    let Some(state) = &*state else {
        // The configuration that asks for credentials is not wholly in force yet.
        return AtOnce::Refused(Refusal::new(
            Reason::AuthenticationUnavailable,
            "the proxy is just starting to ask for credentials",
        ));
    };
    let settings = &state.settings;
    let mut values = head.fields.iter().filter(|field| field.name == FieldName::ProxyAuthorization);
    let Some(field) = values.next() else {
        if !settings.is_required_of(flow.identity.ip()) {
            return AtOnce::Is(None);
        }
        metrics.credentials(CredentialMethod::None, CredentialResult::Missing);
        return AtOnce::Refused(required(settings, "the request has no Proxy-Authorization".to_owned()));
    };
    let malformed = |method, malformed: header::Malformed| {
        metrics.credentials(method, CredentialResult::Malformed);
        AtOnce::Refused(Refusal::new(Reason::CredentialsMalformed, malformed.to_string()))
    };
    if values.next().is_some() {
        return malformed(CredentialMethod::None, header::Malformed::Twice);
    }
    let value = field.value(input);
    let digest = state.verdicts.digest(KIND_FIELD, [value, b""]);
    if let Some(user) = state.verdicts.accepted(&digest) {
        let method = match user.proof {
            Proof::Jwt | Proof::ServiceAccount => CredentialMethod::Bearer,
            _ => CredentialMethod::Basic,
        };
        metrics.credentials(method, CredentialResult::Remembered);
        return AtOnce::Is(Some(user));
    }
    let (offered, method) = match header::parse(value, settings.service_accounts.is_some()) {
        Err(error) => return malformed(CredentialMethod::None, error),
        Ok(Offered::Basic(login))
            if settings.service_accounts.is_some() && header::is_jwt(&login.password) =>
        {
            (Offered::Bearer(login.password), CredentialMethod::Bearer)
        }
        Ok(offered @ Offered::Basic(_)) if settings.takes_passwords() => (offered, CredentialMethod::Basic),
        Ok(offered @ Offered::Bearer(_)) if settings.takes_tokens() => (offered, CredentialMethod::Bearer),
        Ok(other) => {
            let detail = match other {
                Offered::Basic(_) => "credentials of the scheme Basic are not taken here".to_owned(),
                Offered::Bearer(_) => "credentials of the scheme Bearer are not taken here".to_owned(),
                Offered::Other(Some(name)) => format!("credentials of the scheme {name} are not taken here"),
                Offered::Other(None) => "the scheme of the credentials is not known".to_owned(),
            };
            metrics.credentials(CredentialMethod::None, CredentialResult::Missing);
            return AtOnce::Refused(required(settings, detail));
        }
    };
    AtOnce::Check(Box::new(Check { state: state.clone(), offered, digest, method }))
}

async fn check_field(flow: &Flow, check: Check) -> Result<User, Refusal> {
    conclude(&flow.worker, flow.identity.ip(), check).await
}

/// Finds out, counts, and says it.
async fn conclude(worker: &Worker, client: IpAddr, check: Check) -> Result<User, Refusal> {
    let Check { state, offered, digest, method } = check;
    // No back end accepts an empty password, and a directory might take it for no password at all.
    let outcome = match (&offered, state.known(&digest)) {
        (_, Some(known)) => known,
        (Offered::Basic(login), None) if login.password.is_empty() => Outcome::Wrong(Wrong::Password),
        (_, None) => {
            let shared = &worker.shared.credentials;
            state.find_out(shared, &worker.metrics, offered, digest, client).await
        }
    };
    let settings = &state.settings;
    let (result, answer) = match outcome {
        Outcome::Accepted(user) => (CredentialResult::Accepted, Ok(user)),
        Outcome::Remembered(user) => (CredentialResult::Remembered, Ok(user)),
        Outcome::Wrong(Wrong::NotAllowed) => {
            let detail = "the user is in none of the groups that may use the proxy";
            (CredentialResult::NotAllowed, Err(Refusal::new(Reason::UserNotAllowed, detail)))
        }
        Outcome::Wrong(Wrong::TooManyGroups) => {
            worker.metrics.limit_hit(Limit::Groups);
            let detail = "the user is in more groups than are read (`authentication.maxGroups`)";
            let refusal = Refusal::new(Reason::AuthenticationUnavailable, detail);
            (CredentialResult::Unavailable, Err(refusal))
        }
        Outcome::Wrong(wrong) => (CredentialResult::Refused, Err(refused(settings, wrong))),
        Outcome::Blocked(time) => (CredentialResult::Blocked, Err(blocked(time))),
        Outcome::Unavailable(why) => {
            (CredentialResult::Unavailable, Err(Refusal::new(Reason::AuthenticationUnavailable, why)))
        }
    };
    worker.metrics.credentials(method, result);
    answer
}

fn required(settings: &Authentication, detail: String) -> Refusal {
    let mut refusal = Refusal::new(Reason::AuthenticationRequired, detail);
    refusal.fields = challenges(settings, None);
    refusal
}

fn refused(settings: &Authentication, wrong: Wrong) -> Refusal {
    let (detail, error) = match wrong {
        Wrong::Token(why) => (why, Some(why)),
        Wrong::Password | Wrong::NotAllowed | Wrong::TooManyGroups => {
            ("user name and password do not belong together", None)
        }
    };
    let mut refusal = Refusal::new(Reason::CredentialsRefused, detail);
    refusal.fields = challenges(settings, error);
    refusal
}

fn blocked(time: Duration) -> Refusal {
    let seconds = time.as_secs_f64().ceil() as u64;
    let detail = format!("the next check is made in {seconds} s");
    let mut refusal = Refusal::new(Reason::TooManyFailures, detail);
    refusal.fields.push(("Retry-After", seconds.to_string()));
    refusal
}

/// What a client may answer with, one field for each scheme: a list in one field confuses some clients.
/// `wrong_token` says what was wrong with a token (RFC 6750 section 3).
fn challenges(settings: &Authentication, wrong_token: Option<&str>) -> Vec<(&'static str, String)> {
    let realm: String = settings
        .realm
        .chars()
        .flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
        .collect();
    let mut fields = Vec::new();
    // The token of a service account may also come as the password.
    if settings.takes_passwords() || settings.service_accounts.is_some() {
        fields.push(("Proxy-Authenticate", format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")));
    }
    if settings.takes_tokens() {
        let error = wrong_token.map_or_else(String::new, |why| {
            // Our own words, without quotes or anything beyond ASCII but what is replaced here.
            let why = why.replace(['"', '\\', '`'], "'");
            format!(", error=\"invalid_token\", error_description=\"{why}\"")
        });
        fields.push(("Proxy-Authenticate", format!("Bearer realm=\"{realm}\"{error}")));
    }
    fields
}
