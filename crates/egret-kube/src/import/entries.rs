//! URLs and entries of noProxy as others write them, in the forms that all clients understand.

use std::collections::HashSet;

use ipnet::IpNet;

/// A URL with its scheme.
pub(super) fn url(field: &str, url: &str, notes: &mut Vec<String>) -> String {
    if url.contains("://") || url.is_empty() {
        return url.to_owned();
    }
    notes.push(format!(
        "`{field}` had no scheme, without which several clients fail: http:// was put before it"
    ));
    format!("http://{url}")
}

/// Entries that are understood, in their order; what was changed is noted.
pub(super) fn no_proxy(written: &[String], notes: &mut Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut entries = Vec::new();
    for text in written.iter().filter(|text| !text.is_empty()) {
        let entry = entry(text, notes);
        if seen.insert(entry.clone()) {
            entries.push(entry);
        } else {
            notes.push(format!("`{text}` was in noProxy twice"));
        }
    }
    entries
}

fn entry(text: &str, notes: &mut Vec<String>) -> String {
    let mut say = |entry: String, why: &str| {
        notes.push(format!("`{text}` in noProxy became `{entry}`: {why}"));
        entry
    };
    if text == "*" {
        return text.to_owned();
    }
    if let Some(suffix) = text.strip_prefix("*.") {
        return say(format!(".{suffix}"), "many clients do not understand `*.`");
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = host.rsplit('@').next().unwrap_or(host);
        return say(without_port(host).to_owned(), "an entry is a host, not a URL");
    }
    if let Ok(network) = text.parse::<IpNet>() {
        let whole = network.trunc();
        return match whole == network {
            true => text.to_owned(),
            false => say(whole.to_string(), "clients differ where bits are set beyond the prefix"),
        };
    }
    if text.starts_with('[') || (text.contains(':') && text.parse::<std::net::Ipv6Addr>().is_err()) {
        return say(without_port(text).to_owned(), "many clients understand neither ports nor brackets");
    }
    text.to_owned()
}

fn without_port(host: &str) -> &str {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inner.0;
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.contains(':') => name,
        _ => host,
    }
}
