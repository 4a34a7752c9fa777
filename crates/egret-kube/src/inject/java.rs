//! `JAVA_TOOL_OPTIONS`: the proxy and the truststore in Java's own terms. Java reads no variable of the others.

use super::environment::Environment;
use super::proxy::CompiledProxy;
use super::report::Report;
use super::trust::{STORE_PASSWORD, TrustedFile};

/// Java 8 pays no attention to a longer value.
const JAVA_8_BYTES: usize = 1023;

/// Adds the options that the container does not set itself, behind those it does. What belongs together is decided
/// together: host and port of a proxy, and what says how the truststore is read.
pub(super) fn options(
    variables: &mut Environment<'_>,
    proxy: &CompiledProxy,
    store: bool,
    report: &mut Report,
) {
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for (scheme, url) in [("http", &proxy.http_proxy), ("https", &proxy.https_proxy)] {
        if let Some((host, port)) = url.as_deref().and_then(host_and_port) {
            let prefix = if scheme == "http" { "-Dhttp.proxy" } else { "-Dhttps.proxy" };
            groups.push((prefix, vec![format!("{prefix}Host={host}"), format!("{prefix}Port={port}")]));
        }
    }
    groups.push(("-Dhttp.nonProxyHosts=", vec![format!("-Dhttp.nonProxyHosts={}", proxy.non_proxy_hosts)]));
    if store {
        groups.push((
            "-Djavax.net.ssl.trustStore",
            vec![
                format!("-Djavax.net.ssl.trustStore={}", TrustedFile::Store.path()),
                "-Djavax.net.ssl.trustStoreType=PKCS12".to_owned(),
                format!("-Djavax.net.ssl.trustStorePassword={STORE_PASSWORD}"),
            ],
        ));
    }
    let length = variables.words("JAVA_TOOL_OPTIONS", report, |own| {
        let is_set = |prefix: &str| own.split_whitespace().any(|word| word.starts_with(prefix));
        groups.into_iter().filter(|(prefix, _)| !is_set(prefix)).flat_map(|(_, options)| options).collect()
    });
    if length > JAVA_8_BYTES {
        report.warn(format!(
            "container {:?}: JAVA_TOOL_OPTIONS has {length} bytes; Java 8 pays no attention to more than {JAVA_8_BYTES}",
            variables.container_name()
        ));
    }
}

/// Host and port of a proxy's URL; Java has no place for a login.
fn host_and_port(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 }),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}
