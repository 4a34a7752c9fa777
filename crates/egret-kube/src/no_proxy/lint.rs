//! What is wrong with proxy variables that somebody wrote by hand: what crashes clients, and what they pass over.
//!
//! Each finding names the clients, as they were seen to behave (docs/kubernetes-injection.md). Findings never repeat a
//! proxy's URL, which may hold a password.

use egret_core::pattern::{Scope, read_entry};

use super::entry::shown;
use super::merge::split;

/// What is wrong with a value of `NO_PROXY`, in words for people; nothing where it is fine.
#[must_use]
pub fn no_proxy(value: &str) -> Vec<String> {
    no_proxy_beside(value, &[])
}

/// [`no_proxy`] of a value that `known` entries were joined with: nothing is said of those.
#[must_use]
pub fn no_proxy_beside(value: &str, known: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    let all: Vec<&str> = split(value).collect();
    let has_spaces = value.split(',').any(|part| part.split_whitespace().nth(1).is_some());
    if has_spaces {
        findings.push("entries divided by spaces: Go, Python and Node know commas alone".to_owned());
    }
    if all == ["*"] {
        findings.push("`*` is not known to wget and Ruby, which go on using the proxy".to_owned());
    } else if all.contains(&"*") {
        findings.push(
            "`*` beside other entries: curl, git, wget, requests and aiohttp know it only alone".to_owned(),
        );
    }
    let own = || all.iter().copied().filter(|entry| !known.iter().any(|one| one == entry));
    findings.extend(own().filter_map(entry));
    if let Some(network) = own().find(|entry| is_ipv4_network(entry)) {
        findings.push(format!(
            "`{}`: networks are not known to wget, httpx, aiohttp, urllib and Node; write the addresses that matter \
             beside them",
            shown(network)
        ));
    }
    findings
}

fn is_ipv4_network(entry: &str) -> bool {
    entry.parse::<ipnet::Ipv4Net>().is_ok_and(|network| network.prefix_len() > 0)
}

fn entry(entry: &str) -> Option<String> {
    if entry == "*" || entry.contains("$(") {
        return None;
    }
    let name = shown(entry);
    if entry.starts_with('[') {
        return Some(format!(
            "`{name}`: brackets make httpx fail when it starts, and curl, git, Go, requests and aiohttp pass it over"
        ));
    }
    if entry.contains("://") {
        return Some(format!("`{}`: no client knows URLs here; write the host", without_login(entry)));
    }
    match read_entry(entry) {
        Err(error) => Some(format!("`{name}`: {error}")),
        Ok((_, Some(_))) => {
            Some(format!("`{name}`: curl, git, wget, aiohttp and reqwest pass entries with a port over"))
        }
        Ok((Scope::Subdomains(suffix), _)) => Some(format!(
            "`{name}`: curl, git, wget, requests, httpx, aiohttp and Ruby do not know `*.`; write `.{}`",
            shown(&suffix)
        )),
        Ok((Scope::Network(network), _)) if entry.contains('/') => {
            if network.prefix_len() == 0 {
                Some(format!("`{name}` names every address, but not to curl; write `*`"))
            } else if network.addr().is_ipv6() {
                Some(format!("`{name}`: a network of IPv6 makes httpx fail when it starts"))
            } else {
                None
            }
        }
        Ok(_) => None,
    }
}

/// Who does not read a variable that stands there in one case alone.
#[must_use]
pub fn lone_case(name: &str) -> Option<&'static str> {
    match name {
        "HTTP_PROXY" => Some("curl, git and wget do not read it in upper case; set http_proxy as well"),
        "HTTPS_PROXY" => Some("wget does not read it in upper case; set https_proxy as well"),
        "NO_PROXY" => Some("wget does not read it in upper case; set no_proxy as well"),
        _ => None,
    }
}

/// What is wrong with a value of `HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY`.
#[must_use]
pub fn proxy_url(value: &str) -> Vec<String> {
    let value = value.trim();
    if value.is_empty() || value.contains("$(") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    match value.split_once("://") {
        None => findings.push("it has no scheme: Node, aiohttp and Ruby fail without `http://`".to_owned()),
        Some((scheme, rest)) => {
            match scheme.to_ascii_lowercase().as_str() {
                "http" => {}
                "https" => findings.push(
                    "its scheme is https: wget, urllib, Ruby and Java speak plain text to it, and aiohttp goes around \
                     it"
                    .to_owned(),
                ),
                scheme if scheme.starts_with("socks") => findings.push(
                    "its scheme is SOCKS, which wget, urllib, Node, Java and aiohttp do not know in variables".to_owned(),
                ),
                _ => findings.push("its scheme is none that clients know; write http://".to_owned()),
            }
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            if authority.contains('@') {
                findings.push("it has a login in it, which all who may read the pod can read".to_owned());
            } else if rest.contains('@') {
                findings.push("its login has a `/`, `?` or `#` that must be percent-encoded".to_owned());
            }
        }
    }
    findings
}

fn without_login(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => shown(&format!("{scheme}://{rest}")),
        _ => shown(url),
    }
}
