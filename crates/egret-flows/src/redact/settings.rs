//! What is taken out, and what is when nobody says anything.

use serde::{Deserialize, Serialize};

/// Names of what is taken out. In each, `*` stands for any run of characters, and case does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RedactionSettings {
    /// Names of header fields.
    pub headers: Vec<String>,
    /// Keys in the query of a URL.
    pub query_keys: Vec<String>,
    /// Names of fields in forms (`application/x-www-form-urlencoded`, `multipart/form-data`).
    pub form_fields: Vec<String>,
    /// Paths in JSON: `$.user.password`, `$.items[*].token`, `$..secret` for any depth.
    pub json_paths: Vec<String>,
}

const HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "apikey",
    "x-auth-token",
    "x-access-token",
    "x-csrf-token",
    "x-xsrf-token",
    "x-amz-security-token",
    "x-goog-api-key",
    "x-goog-iam-authorization-token",
    "x-vault-token",
    "x-consul-token",
    "x-gitlab-token",
    "private-token",
    "job-token",
    "x-registry-auth",
    "authentication-info",
    "proxy-authentication-info",
    "x-forwarded-client-cert",
];

/// What bears a secret by these names, in queries, forms and JSON alike.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "client_secret",
    "client_assertion",
    "access_token",
    "refresh_token",
    "id_token",
    "api_key",
    "apikey",
    "private_key",
];

/// Signed URLs: whoever has one may do what it says.
const QUERY_KEYS: &[&str] = &[
    "token",
    "key",
    "sig",
    "signature",
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-credential",
    "x-goog-signature",
    "code",
];

const FORM_FIELDS: &[&str] = &["token", "assertion", "code", "code_verifier"];

impl Default for RedactionSettings {
    fn default() -> Self {
        let owned =
            |names: &[&str], more: &[&str]| names.iter().chain(more).map(|name| (*name).to_owned()).collect();
        Self {
            headers: owned(HEADERS, &[]),
            query_keys: owned(SECRETS, QUERY_KEYS),
            form_fields: owned(SECRETS, FORM_FIELDS),
            json_paths: SECRETS.iter().map(|name| format!("$..{name}")).collect(),
        }
    }
}

impl RedactionSettings {
    /// Nothing is taken out.
    #[must_use]
    pub const fn none() -> Self {
        Self { headers: Vec::new(), query_keys: Vec::new(), form_fields: Vec::new(), json_paths: Vec::new() }
    }

    /// These, and those of another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.headers.extend(other.headers);
        self.query_keys.extend(other.query_keys);
        self.form_fields.extend(other.form_fields);
        self.json_paths.extend(other.json_paths);
        self
    }
}
