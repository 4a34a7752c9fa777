//! Rewriting of targets.

use regex::Regex;

use crate::flow::Request;

/// Where a request is sent instead. What is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The port. With another scheme and no port it is the scheme's own.
    pub port: Option<u16>,
    /// What is replaced in path and query, by what; `$1` stands for what the first group found.
    pub path: Option<(Regex, String)>,
}

impl Rewrite {
    /// Changes the request. Says whether it is another now.
    pub(super) fn apply(&self, request: &mut Request) -> bool {
        let before = (request.scheme.clone(), request.host.clone(), request.port, request.path.clone());
        if let Some(scheme) = &self.scheme {
            if *scheme != request.scheme {
                request.port = if scheme == "https" { 443 } else { 80 };
            }
            request.scheme = scheme.clone().into();
        }
        if let Some(host) = &self.host {
            request.host.clone_from(host);
        }
        if let Some(port) = self.port {
            request.port = port;
        }
        if let Some((pattern, replacement)) = &self.path {
            let path = pattern.replace(&request.path, replacement.as_str()).into_owned();
            if is_target(&path) {
                request.path = path;
            }
        }
        before != (request.scheme.clone(), request.host.clone(), request.port, request.path.clone())
    }
}

/// Whether a text can stand as path and query in a request line: what a group found is somebody else's text.
pub(crate) fn is_target(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}
