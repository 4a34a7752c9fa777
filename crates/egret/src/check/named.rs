//! The files that a configuration names, and texts in it that others read: what is wrong with them, at the place
//! that names them, before anything is started.

use egret_config::{Loaded, Problem};
use egret_core::settings::{CaFiles, OriginTls, Snapshot};
use egret_flows::redact::JsonPath;
use egret_tls::files::{self, Password};
use egret_tls::interception::InterceptionCa;
use egret_tls::roots::{GeneralRoots, RootsSource};
use egret_tls::upstream::{ClientCertificate, PrivateCa, UpstreamSettings, UpstreamTls};
use jiff::Timestamp;
use rustls::RootCertStore;

/// Everything that is wrong.
pub(super) fn problems(loaded: &Loaded) -> Vec<Problem> {
    let snapshot = &loaded.compiled.snapshot;
    let mut found = crate::tls::load(loaded, &[]).err().unwrap_or_default();
    let mut note = |pointer: String, wrong: Result<(), String>| {
        if let Err(message) = wrong {
            found.push(loaded.config.problem(&pointer, &message, None));
        }
    };
    note("/upstream/trustedCA".to_owned(), anchors(snapshot.upstream.trusted_ca.as_deref()));
    for (index, parent) in snapshot.routes.groups.iter().enumerate() {
        note(format!("/parents/{index}/trustedCA"), anchors(parent.trusted_ca.as_deref()));
    }
    for (index, origin) in snapshot.upstream.origins.iter().enumerate() {
        note(format!("/upstream/origins/{index}/trustedCA"), trusted(origin));
        note(format!("/upstream/origins/{index}/clientCertificate/certificate"), shown(origin));
    }
    for (index, path) in snapshot.upstream.crls.iter().enumerate() {
        note(format!("/upstream/crl/{index}"), list(path));
    }
    note("/interception/ca/certificate".to_owned(), signs(snapshot));
    for (index, path) in loaded.compiled.flows.redaction.json_paths.iter().enumerate() {
        let wrong = JsonPath::parse(path).map(drop).map_err(|error| error.to_string());
        note(format!("/flows/redaction/jsonPaths/{index}"), wrong);
    }
    found
}

/// Every certificate can be trusted.
fn anchors(pem: Option<&[u8]>) -> Result<(), String> {
    let none =
        GeneralRoots { store: RootCertStore::empty(), source: RootsSource::BuiltIn, warnings: Vec::new() };
    none.with_pem(pem).map(drop).map_err(|error| error.to_string())
}

/// TLS with origins can be set up so.
fn works(settings: UpstreamSettings) -> Result<(), String> {
    UpstreamTls::new(settings).map(drop).map_err(|error| error.to_string())
}

fn trusted(origin: &OriginTls) -> Result<(), String> {
    let Some(path) = &origin.trusted_ca else { return Ok(()) };
    let roots = files::load_cas(path).map_err(|error| error.to_string())?;
    let private = PrivateCa { hosts: origin.hosts.clone(), roots, only: origin.only_trusted_ca };
    works(UpstreamSettings { private: vec![private], ..UpstreamSettings::default() })
}

fn shown(origin: &OriginTls) -> Result<(), String> {
    let Some(shown) = &origin.client_certificate else { return Ok(()) };
    let password = password(shown)?;
    let identity = files::load_identity(&shown.certificate, shown.key.as_deref(), password.as_ref())
        .map_err(|error| error.to_string())?;
    let certificate = ClientCertificate { hosts: origin.hosts.clone(), identity };
    works(UpstreamSettings { client_certificates: vec![certificate], ..UpstreamSettings::default() })
}

fn list(path: &std::path::Path) -> Result<(), String> {
    let crls = files::load_crls(path).map_err(|error| error.to_string())?;
    works(UpstreamSettings { crls, ..UpstreamSettings::default() })
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// The CA of files may sign for origins.
fn signs(snapshot: &Snapshot) -> Result<(), String> {
    let Some(ca) = &snapshot.interception.ca else { return Ok(()) };
    let password = password(ca)?;
    InterceptionCa::load(&ca.certificate, ca.key.as_deref(), password.as_ref(), Timestamp::now())
        .map(drop)
        .map_err(|error| error.to_string())
}

fn password(files: &CaFiles) -> Result<Option<Password>, String> {
    files.password.as_deref().map(Password::load).transpose().map_err(|error| error.to_string())
}
