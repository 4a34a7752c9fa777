//! The CA of interception: what it is, and the files that clients need. Never a key.

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use egret_tls::bundle::Bundle;
use egret_tls::files::{Password, chain_pem, pkcs12_truststore};
use egret_tls::interception::CaSet;
use egret_tls::roots::mozilla_certificates;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::Proxy;
use super::detail::certificate;
use super::problem::Problem;
use super::shape::lean;

/// What opens the PKCS#12; it has no key, so it guards nothing. It is what opens Java's own.
const PASSWORD: &str = "changeit";

/// The files: format, path, name, media type.
const DOWNLOADS: [(&str, &str, &str, &str); 4] = [
    ("pem", "/ca.pem", "egret-ca.pem", "application/x-pem-file"),
    ("der", "/ca.crt", "egret-ca.crt", "application/x-x509-ca-cert"),
    ("p12", "/ca.p12", "egret-ca.p12", "application/x-pkcs12"),
    ("bundle", "/ca-bundle.pem", "egret-ca-bundle.pem", "application/x-pem-file"),
];

/// Whether this path is one of the files.
pub(crate) fn is_download(path: &str) -> bool {
    DOWNLOADS.iter().any(|(_, known, _, _)| *known == path)
}

/// A file.
pub(crate) fn download(path: &str, set: Result<CaSet, String>) -> Result<Response<Body>, Problem> {
    let set = set.map_err(|why| {
        Problem::new(StatusCode::NOT_FOUND, "no-ca", "There is no CA").detail(why.clone()).advice(ADVICE)
    })?;
    let Some((format, _, name, kind)) = DOWNLOADS.iter().find(|(_, known, _, _)| *known == path) else {
        return Err(Problem::internal("there is no such file"));
    };
    let bytes = match *format {
        "pem" => chain_pem(&set.anchors()).into_bytes(),
        "der" => set.current.anchor().to_vec(),
        "bundle" => with_public_roots(&set).to_pem().into_bytes(),
        _ => {
            let bundle = with_public_roots(&set);
            pkcs12_truststore(bundle.certificates(), "egret", &Password::new(PASSWORD.to_owned()))
                .map_err(|problem| Problem::internal(problem.to_string()))?
        }
    };
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

const ADVICE: &str = "Give the proxy a directory for its CA with --state-dir, and start it again";

fn with_public_roots(set: &CaSet) -> Bundle {
    let mut bundle = Bundle::default();
    bundle.add(set.anchors());
    bundle.add(mozilla_certificates().iter().cloned());
    bundle
}

/// The most rejections in one answer.
const MAX_REJECTIONS: usize = 1000;

/// Clients that did not accept a certificate of the CA.
pub(crate) fn rejections(proxy: &dyn Proxy) -> Vec<Value> {
    let rejections = proxy.rejections().into_iter().take(MAX_REJECTIONS);
    let show = |rejection: super::RejectionFacts| {
        lean(json!({
            "identity": rejection.identity,
            "host": rejection.host,
            "alert": rejection.alert,
            "kind": rejection.kind,
            "advice": rejection.advice,
            "count": rejection.count,
            "lastSeen": rejection.last_seen,
            "passthroughUntil": rejection.passthrough_until,
        }))
    };
    rejections.map(show).collect()
}

/// What the page shows. `authority` is how the client named the console.
pub(crate) fn ca(proxy: &dyn Proxy, authority: &str) -> Value {
    let set = match proxy.ca() {
        Ok(set) => set,
        Err(why) => return json!({ "present": false, "advice": format!("{why}. {ADVICE}") }),
    };
    let info = set.current.info();
    let constraints = info.name_constraints.as_ref().map(|constraints| {
        let permitted = constraints.permitted.iter().map(|name| format!("permitted: {name}"));
        permitted
            .chain(constraints.excluded.iter().map(|name| format!("excluded: {name}")))
            .collect::<Vec<_>>()
    });
    let show = |der: &CertificateDer<'_>| certificate(der);
    lean(json!({
        "present": true,
        "certificate": show(set.current.anchor()),
        "next": set.next.as_ref().and_then(|next| show(next.anchor())),
        "previous": set.previous.first().and_then(show),
        "constraints": constraints,
        "downloads": DOWNLOADS.iter().map(|(format, path, name, _)| json!({
            "format": format, "path": path, "filename": name,
            "password": (*format == "p12").then_some(PASSWORD),
        })).collect::<Vec<_>>(),
        "rejections": rejections(proxy),
        "trustCheckUrl": (!authority.eq_ignore_ascii_case(super::names::MAGIC_HOST))
            .then(|| format!("https://{authority}/api/v1/ca/trust-check")),
    }))
}
