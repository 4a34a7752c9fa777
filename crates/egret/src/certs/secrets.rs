//! `egret certs secrets`: certificates as Secrets, made and renewed by a Job in the cluster. A key that somebody
//! else put there is never replaced.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use egret_tls::authority::{
    Authority, CA_DAYS, CaRequest, Constraints, KeyType, LeafRequest, Name, Purpose, Subject,
    default_server_names,
};
use egret_tls::files::{Identity, chain_pem, identity_from_bytes, key_pem};
use egret_tls::inspect::CertificateInfo;
use egret_tls::interception::InterceptionCa;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use serde_json::{Value, json};

use super::args::SecretsArgs;
use super::{CertsError, Outcome, output};
use crate::api_server::{self, failed};

const MTLS_CA: &str = "egret-mtls-ca";
const MTLS_SERVER: &str = "egret-mtls";
const MTLS_CLIENT: &str = "egret-mtls-client";
const INTERCEPTION_CA: &str = "egret-ca";

/// What tells Secrets of ours from those of others.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "egret-certs");

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const CA: &str = "ca.crt";

/// How often another's change of a Secret in between is met with another try.
const TRIES: usize = 3;

/// What became of a Secret.
struct Kept {
    name: &'static str,
    what: &'static str,
    info: CertificateInfo,
}

/// What a Secret is to hold.
struct Wanted<'a> {
    name: &'static str,
    /// Makes what is in it: `tls.crt`, `tls.key`, and what CA signed it.
    make: &'a dyn Fn() -> Result<(Identity, Option<String>), CertsError>,
    /// Whether what is there has to be made again; never for a CA.
    stale: &'a dyn Fn(&CertificateInfo, Option<&[u8]>) -> bool,
}

/// Makes what is not there, and renews what ends soon.
pub(super) fn secrets(args: &SecretsArgs) -> Result<Outcome, CertsError> {
    let kept = api_server::ask(async { all(args).await.map_err(|error| error.to_string()) });
    let kept = kept.map_err(CertsError::Usage)?;
    let (mut text, mut json) = (String::new(), serde_json::Map::new());
    for Kept { name, what, info } in kept {
        // Writing to memory cannot fail.
        let _ = writeln!(text, "{name:<18} {what}: {}, until {}", info.subject, info.not_after);
        if !info.names.is_empty() {
            let _ = writeln!(text, "{:<18} for {}", "", output::names(&info.names));
        }
        json.insert(name.to_owned(), json!({ "what": what, "certificate": info }));
    }
    Ok(Outcome { text, json: Value::Object(json), good: true })
}

async fn all(args: &SecretsArgs) -> Result<Vec<Kept>, CertsError> {
    let client = api_server::client(args.kubeconfig.as_deref(), args.context.as_deref()).await;
    let client = client.map_err(CertsError::Usage)?;
    let namespace = args.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let api: Api<Secret> = Api::namespaced(client, &namespace);
    let now = Timestamp::now();
    let mut kept = Vec::new();
    if args.interception {
        let make = || {
            let ca = InterceptionCa::create(now).map_err(|error| CertsError::Usage(error.to_string()))?;
            let (certificate, key) = ca.to_pem().map_err(|problem| CertsError::Usage(problem.to_string()))?;
            Ok((identity(INTERCEPTION_CA, certificate.as_bytes(), key.as_bytes())?, None))
        };
        kept.push(keep(&api, &Wanted { name: INTERCEPTION_CA, make: &make, stale: &|_, _| false }).await?.0);
    }
    if args.mtls {
        kept.extend(mutual_tls(&api, args, &namespace, now).await?);
    }
    Ok(kept)
}

async fn mutual_tls(
    api: &Api<Secret>,
    args: &SecretsArgs,
    namespace: &str,
    now: Timestamp,
) -> Result<Vec<Kept>, CertsError> {
    let ca_request = || CaRequest {
        subject: Subject {
            common_name: format!("Egret CA {:06x}", rand::random::<u32>() & 0xff_ffff),
            organization: None,
        },
        key_type: KeyType::EcdsaP256,
        days: CA_DAYS,
        path_length: Some(0),
        constraints: Constraints::default(),
    };
    let make = || Ok((Authority::create(&ca_request(), now)?.identity().clone(), None));
    let (ca, identity) = keep(api, &Wanted { name: MTLS_CA, make: &make, stale: &|_, _| false }).await?;
    let authority = Authority::from_identity(identity)?;
    let trust = chain_pem(authority.chain());
    let mut server_names = default_server_names(&args.service, namespace);
    server_names
        .extend(args.san.iter().filter(|name| !server_names.contains(name)).cloned().collect::<Vec<_>>());
    let client_names = vec![Name::Dns("egret-client".to_owned())];
    let mut kept = vec![ca];
    for (name, purpose, common_name, names) in [
        (MTLS_SERVER, Purpose::Server, args.service.as_str(), &server_names),
        (MTLS_CLIENT, Purpose::Client, "egret-client", &client_names),
    ] {
        let make = || {
            let request = LeafRequest {
                purpose,
                subject: Subject { common_name: common_name.to_owned(), organization: None },
                names: names.clone(),
                key_type: KeyType::EcdsaP256,
                days: args.days,
            };
            Ok((authority.issue(&request, now)?, Some(trust.clone())))
        };
        let stale = |info: &CertificateInfo, signed_by: Option<&[u8]>| {
            ends_soon(info, now)
                || signed_by != Some(trust.as_bytes())
                || names.iter().any(|name| !info.names.contains(&name.to_string()))
        };
        kept.push(keep(api, &Wanted { name, make: &make, stale: &stale }).await?.0);
    }
    Ok(kept)
}

/// Whether less than a third of its time is left.
fn ends_soon(info: &CertificateInfo, now: Timestamp) -> bool {
    let life = info.not_after.duration_since(info.not_before);
    info.not_after.duration_since(now) < life / 3
}

/// Makes one where there is none, or makes it again.
async fn keep(api: &Api<Secret>, wanted: &Wanted<'_>) -> Result<(Kept, Identity), CertsError> {
    let name = wanted.name;
    let parameters = PostParams { field_manager: Some("egret".to_owned()), ..PostParams::default() };
    for _ in 0..TRIES {
        let found = api.get_opt(name).await;
        let found =
            found.map_err(|error| CertsError::Usage(failed(&format!("read the Secret {name}"), &error)))?;
        let Some(secret) = found else {
            let (identity, ca) = (wanted.make)()?;
            match api.create(&parameters, &filled(Secret::default(), name, &identity, ca)?).await {
                Ok(_) => return Ok((kept(name, "made", &identity)?, identity)),
                Err(error) if is_conflict(&error) => continue,
                Err(error) => {
                    return Err(CertsError::Usage(failed(&format!("make the Secret {name}"), &error)));
                }
            }
        };
        let data =
            |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
        let identity = identity(name, data(CERTIFICATE).unwrap_or_default(), data(KEY).unwrap_or_default())?;
        let info = output::info(&identity)?;
        if !(wanted.stale)(&info, data(CA)) {
            return Ok((Kept { name, what: "is good", info }, identity));
        }
        let is_ours = secret
            .metadata
            .labels
            .as_ref()
            .is_some_and(|all| all.get(MANAGED_BY.0).is_some_and(|by| by == MANAGED_BY.1));
        if !is_ours {
            return Ok((Kept { name, what: "is somebody else's, and left alone", info }, identity));
        }
        let (identity, ca) = (wanted.make)()?;
        match api.replace(name, &parameters, &filled(secret, name, &identity, ca)?).await {
            Ok(_) => return Ok((kept(name, "renewed", &identity)?, identity)),
            Err(error) if is_conflict(&error) => {}
            Err(error) => return Err(CertsError::Usage(failed(&format!("renew the Secret {name}"), &error))),
        }
    }
    Err(CertsError::Usage(format!(
        "the Secret {name} was changed by somebody else {TRIES} times in a row: run this again"
    )))
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn kept(name: &'static str, what: &'static str, identity: &Identity) -> Result<Kept, CertsError> {
    Ok(Kept { name, what, info: output::info(identity)? })
}

fn identity(name: &str, certificate: &[u8], key: &[u8]) -> Result<Identity, CertsError> {
    identity_from_bytes((Path::new(CERTIFICATE), certificate), Some((Path::new(KEY), key)), None).map_err(
        |error| {
            CertsError::Usage(format!(
                "the Secret {name} cannot be used: {error}. Put it right, or delete it, and a new one is made"
            ))
        },
    )
}

/// The Secret with its certificate and key; what else is in it stays.
fn filled(
    mut secret: Secret,
    name: &str,
    identity: &Identity,
    ca: Option<String>,
) -> Result<Secret, CertsError> {
    let key = key_pem(&identity.key).map_err(|problem| CertsError::Usage(problem.to_string()))?;
    let mut data = BTreeMap::from([
        (CERTIFICATE.to_owned(), ByteString(chain_pem(&identity.chain).into_bytes())),
        (KEY.to_owned(), ByteString(key.as_bytes().to_vec())),
    ]);
    data.extend(ca.map(|ca| (CA.to_owned(), ByteString(ca.into_bytes()))));
    secret.metadata = ObjectMeta { name: Some(name.to_owned()), managed_fields: None, ..secret.metadata };
    let labels = secret.metadata.labels.get_or_insert_default();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    labels.insert("app.kubernetes.io/part-of".to_owned(), "egret".to_owned());
    secret.type_ = secret.type_.or_else(|| Some("kubernetes.io/tls".to_owned()));
    secret.data.get_or_insert_default().extend(data);
    Ok(secret)
}
