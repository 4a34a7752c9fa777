//! `authentication`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::authentication as core;

use super::limits::small;
use crate::values::{DirectoryUrl, FilePath, KeysUrl, Network, Realm, Time, Words};

/// Whom credentials are asked of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Authentication {
    /// A file of users and password hashes, as `egret users` and Apache's `htpasswd` make it: bcrypt,
    /// SHA-crypt (`$5$`, `$6$`) or Argon2; `apr1` with a warning. It is read again when it changes. None by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = "/etc/egret/users.htpasswd")]
    pub htpasswd: Option<FilePath>,
    /// A directory, asked by LDAP for users that the file does not have. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap: Option<Ldap>,
    /// Bearer tokens. None are taken by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
    /// A file of groups and the users in them, in the form of Apache's `AuthGroupFile`: `group: user user …`
    /// on each line. It counts for users of the file, of the directory and of tokens alike, in addition to
    /// the groups that those tell of. It is read again when it changes. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = "/etc/egret/groups")]
    pub groups_file: Option<FilePath>,
    /// Groups that a directory or a token may tell of one user. Who is in more is refused with the reason
    /// `authentication-unavailable`, so that no rule that denies a group is passed by. Metric label:
    /// `groups`.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_groups: u32,
    /// With `true`, who sends no credentials is refused with the reason `authentication-required`. With
    /// `false`, such clients are served without a user; wrong credentials are refused all the same. By
    /// default `true`, once there is something to check credentials against.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = false)]
    pub required: Option<bool>,
    /// What clients are told that the credentials are for.
    pub realm: Realm,
    /// Source addresses that need no credentials, as with `required: false`.
    #[schemars(length(max = 1000), example = serde_json::json!(["10.96.0.0/16"]))]
    pub exempt: Vec<Network>,
    /// How long it is remembered what was found out about credentials.
    pub cache: LoginCache,
    /// What becomes of client addresses from which wrong credentials come again and again.
    pub backoff: LoginBackoff,
    /// Checks that run or wait at once; a quarter of them for one client address. One more is refused with
    /// the reason `authentication-unavailable`. Remembered credentials need no check. Metric label:
    /// `credential_checks`.
    #[schemars(range(min = 1, max = 100_000))]
    pub checks: u32,
    /// How long one check may take, waiting for its turn included.
    pub timeout: Time,
}

impl Default for Authentication {
    fn default() -> Self {
        let settings = core::Authentication::default();
        Self {
            htpasswd: None,
            ldap: None,
            jwt: None,
            groups_file: None,
            max_groups: small(settings.max_groups),
            required: None,
            realm: Realm(settings.realm.to_string()),
            exempt: Vec::new(),
            cache: LoginCache::default(),
            backoff: LoginBackoff::default(),
            checks: small(settings.checks),
            timeout: Time(settings.timeout),
        }
    }
}

/// How long verdicts are remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginCache {
    /// How long credentials that were accepted are taken without another check, tokens no longer than
    /// they are valid; 0s for not at all. A user whom the directory has locked out goes on for so long.
    pub accepted: Time,
    /// How long credentials that were wrong are refused without another check.
    pub refused: Time,
    /// How many of each kind are remembered.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub entries: u32,
}

impl Default for LoginCache {
    fn default() -> Self {
        let core::VerdictCache { accepted, refused, entries } = core::VerdictCache::default();
        Self { accepted: Time(accepted), refused: Time(refused), entries: small(entries) }
    }
}

/// What becomes of clients that fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginBackoff {
    /// How many different wrong credentials from one address (IPv6: one /64) are forgiven. With one more,
    /// nothing from there is checked for a while: the reason is `too-many-failed-logins`. Credentials that
    /// are remembered as good go on. Metric label: `login_failures`.
    #[schemars(range(max = 1_000_000))]
    pub failures: u32,
    /// How long that while is at first; it doubles with each further failure.
    pub delay: Time,
    /// How long it is at most. When nothing has failed for so long, all is forgiven.
    pub max_delay: Time,
    /// Client addresses that are remembered; when there are more, others are forgotten. Metric label:
    /// `login_clients`.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub clients: u32,
}

impl Default for LoginBackoff {
    fn default() -> Self {
        let core::Backoff { failures, delay, max_delay, clients } = core::Backoff::default();
        Self { failures, delay: Time(delay), max_delay: Time(max_delay), clients: small(clients) }
    }
}

/// A directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ldap {
    /// The servers, first choice first: `ldaps://` (port 636), or `ldap://` (port 389) with StartTLS.
    /// When one cannot be reached, the next is used.
    #[schemars(length(min = 1, max = 16), example = serde_json::json!(["ldaps://dc1.corp.example", "ldaps://dc2.corp.example"]))]
    pub urls: Vec<DirectoryUrl>,
    /// With `false`, `ldap://` goes without TLS, and every password in the clear. For a directory on the
    /// same machine.
    #[serde(default = "yes", rename = "startTLS")]
    pub start_tls: bool,
    /// A PEM file with CAs that the servers may be signed by, in addition to the usual ones. It is read
    /// again when it changes.
    #[serde(default, rename = "trustedCA", skip_serializing_if = "Option::is_none")]
    #[schemars(example = "/etc/egret/corp-ca.pem")]
    pub trusted_ca: Option<FilePath>,
    /// Whom to search as: the name of an entry, in Active Directory also `user@domain`. By default nobody
    /// (an anonymous bind).
    #[serde(default, rename = "bindDN", skip_serializing_if = "Option::is_none")]
    #[schemars(example = "cn=egret,ou=services,dc=corp,dc=example")]
    pub bind_dn: Option<Words>,
    /// A file that holds the password for `bindDN` on its one line. It is read again when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = "/etc/egret/directory-password")]
    pub bind_password_file: Option<FilePath>,
    /// The entry under which users are searched, at any depth.
    #[schemars(example = "ou=people,dc=corp,dc=example")]
    pub base: Words,
    /// The attribute that has the user's name; in Active Directory `sAMAccountName`. What it holds is the
    /// name that logs show.
    #[serde(default = "uid")]
    pub user_attribute: Words,
    /// The filter (RFC 4515) that finds a user; `{user}` stands for the name, which is escaped. It must
    /// find one entry, or the user is refused. By default `({userAttribute}={user})`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = "(&(objectClass=user)(sAMAccountName={user}))")]
    pub filter: Option<Words>,
    /// Groups of which a user has to be in one, by the attributes `member`, `uniqueMember` or `memberUid`
    /// of the group. Others are refused with the reason `user-not-allowed`. By default everybody may.
    #[serde(default)]
    #[schemars(length(max = 32), example = serde_json::json!(["cn=internet,ou=groups,dc=corp,dc=example"]))]
    pub allowed_groups: Vec<Words>,
    /// The entry under which the groups of a user are searched, at any depth. Without it, the groups are
    /// those that the user's own entry has in `memberOf`, and those of `allowedGroups` that the user is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = "ou=groups,dc=corp,dc=example")]
    pub group_base: Option<Words>,
    /// The filter (RFC 4515) that finds the groups of a user under `groupBase`; `{dn}` stands for the
    /// user's entry and `{user}` for the name, both escaped. By default
    /// `(|(member={dn})(uniqueMember={dn})(memberUid={user}))`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = "(&(objectClass=groupOfNames)(member={dn}))")]
    pub group_filter: Option<Words>,
    /// Groups within groups count as well, in `allowedGroups` and under `groupBase`. Only Active Directory
    /// can do that.
    #[serde(default)]
    pub nested_groups: bool,
    /// Connections to the directory at most; each check has one for its time.
    #[serde(default = "connections")]
    #[schemars(range(min = 1, max = 1000))]
    pub connections: u32,
    /// How long one check may take in all. Then the reason is `authentication-unavailable`, as it is when
    /// no server can be reached.
    #[serde(default = "ldap_timeout")]
    pub timeout: Time,
}

/// Bearer tokens: JWT (RFC 7519), signed with RSA, ECDSA (P-256, P-384) or Ed25519.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Jwt {
    /// Who may issue tokens: values of `iss`.
    #[schemars(length(min = 1, max = 32), example = serde_json::json!(["https://login.corp.example/"]))]
    pub issuers: Vec<Words>,
    /// For whom tokens have to be: values of `aud`, of which a token needs one.
    #[schemars(length(min = 1, max = 32), example = serde_json::json!(["egret"]))]
    pub audiences: Vec<Words>,
    /// Where the provider's keys are: a JWK set (RFC 7517). It is fetched in the background; while that
    /// fails, the keys that were fetched last are used. One of `keysURL` and `keysFile` is needed.
    #[serde(default, rename = "keysURL", skip_serializing_if = "Option::is_none")]
    #[schemars(example = "https://login.corp.example/.well-known/jwks.json")]
    pub keys_url: Option<KeysUrl>,
    /// A file with a JWK set. It is read again when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = "/etc/egret/keys.json")]
    pub keys_file: Option<FilePath>,
    /// How often `keysURL` is fetched, at least 10s apart. A token that names a key which is not known has
    /// it fetched at once.
    #[serde(default = "refresh")]
    pub refresh: Time,
    /// A PEM file with CAs that the server of `keysURL` may be signed by, in addition to the usual ones. It
    /// is read again when it changes.
    #[serde(default, rename = "trustedCA", skip_serializing_if = "Option::is_none")]
    #[schemars(example = "/etc/egret/corp-ca.pem")]
    pub trusted_ca: Option<FilePath>,
    /// How far the provider's clock and ours may differ, at most 10m.
    #[serde(default = "clock_skew")]
    pub clock_skew: Time,
    /// The claim that names the user.
    #[serde(default = "sub")]
    pub user_claim: Words,
    /// The claim that names the user's groups: a list, or a text with spaces between them. Dots lead into
    /// objects, as in `realm_access.roles`.
    #[serde(default = "groups")]
    pub groups_claim: Words,
}

fn yes() -> bool {
    true
}

fn uid() -> Words {
    Words("uid".to_owned())
}

fn sub() -> Words {
    Words("sub".to_owned())
}

fn groups() -> Words {
    Words("groups".to_owned())
}

fn connections() -> u32 {
    8
}

fn ldap_timeout() -> Time {
    Time(std::time::Duration::from_secs(5))
}

fn refresh() -> Time {
    Time(std::time::Duration::from_secs(600))
}

fn clock_skew() -> Time {
    Time(std::time::Duration::from_secs(30))
}

impl Authentication {
    /// Whether there is anything to check credentials against.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.htpasswd.is_some() || self.ldap.is_some() || self.jwt.is_some()
    }
}

impl Ldap {
    /// The filter with what stands for the attribute filled in.
    #[must_use]
    pub fn filter(&self) -> String {
        let filter = self.filter.as_ref().map_or("({userAttribute}={user})", |filter| &filter.0);
        filter.replace("{userAttribute}", &self.user_attribute.0)
    }
}
