//! Whom the proxy asks for credentials, and against what they are checked.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::destination::Destination;
use crate::group_file::GroupFile;
use crate::htpasswd::UserFile;

/// Text that is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What is asked of clients. There is at least one back end.
#[derive(Clone, Debug, PartialEq)]
pub struct Authentication {
    /// Who sends no credentials is refused. Otherwise such clients are served as nobody in particular;
    /// wrong credentials are refused all the same.
    pub required: bool,
    /// The realm in challenges (RFC 9110 section 11.5).
    pub realm: Arc<str>,
    /// Source addresses that need no credentials.
    pub exempt: Vec<IpNet>,
    /// Users of a file.
    pub htpasswd: Option<Arc<UserFile>>,
    /// Users of a directory, asked for those that the file does not have.
    pub ldap: Option<Arc<Directory>>,
    /// Bearer tokens.
    pub jwt: Option<Arc<Tokens>>,
    /// Tokens of service accounts, which the API server is asked about.
    pub service_accounts: Option<ServiceAccounts>,
    /// Groups of users, added to those that a directory or a token tells.
    pub groups: Option<Arc<GroupFile>>,
    /// Groups that a directory or a token may tell of one user. Who is in more is refused: a rule that
    /// denies a group must not be lost with it.
    pub max_groups: usize,
    /// How long and how many verdicts are remembered.
    pub cache: VerdictCache,
    /// What becomes of clients that fail again and again.
    pub backoff: Backoff,
    /// Checks that run or wait at once.
    pub checks: usize,
    /// How long one check may take, waiting for its turn included.
    pub timeout: Duration,
}

impl Default for Authentication {
    fn default() -> Self {
        Self {
            required: true,
            realm: "egret".into(),
            exempt: Vec::new(),
            htpasswd: None,
            ldap: None,
            jwt: None,
            service_accounts: None,
            groups: None,
            max_groups: 1000,
            cache: VerdictCache::default(),
            backoff: Backoff::default(),
            checks: 256,
            timeout: Duration::from_secs(10),
        }
    }
}

impl Authentication {
    /// The groups that the file of groups has for a user.
    #[must_use]
    pub fn groups_of(&self, user: &str) -> &[Arc<str>] {
        self.groups.as_ref().map_or(&[], |file| file.of(user))
    }

    /// Whether a user name and password can be checked.
    #[must_use]
    pub fn takes_passwords(&self) -> bool {
        self.htpasswd.is_some() || self.ldap.is_some()
    }

    /// Whether tokens can be checked.
    #[must_use]
    pub fn takes_tokens(&self) -> bool {
        self.jwt.is_some() || self.service_accounts.is_some()
    }

    /// Whether a client without credentials is refused.
    #[must_use]
    pub fn is_required_of(&self, client: IpAddr) -> bool {
        self.required && !self.exempt.iter().any(|network| network.contains(&client))
    }
}

/// How long and how many verdicts are remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictCache {
    /// How long credentials that were found good are taken without another check.
    pub accepted: Duration,
    /// How long credentials that were found wrong are refused without another check.
    pub refused: Duration,
    /// Verdicts kept of each kind.
    pub entries: usize,
}

impl Default for VerdictCache {
    fn default() -> Self {
        Self { accepted: Duration::from_secs(300), refused: Duration::from_secs(10), entries: 10_000 }
    }
}

/// What becomes of client addresses whose credentials are found wrong again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Failures that are forgiven.
    pub failures: u32,
    /// How long no further check is made after the first failure that is not; doubled with each one.
    pub delay: Duration,
    /// The longest such time. When nothing has failed for so long, all is forgiven.
    pub max_delay: Duration,
    /// Client addresses that are remembered.
    pub clients: usize,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            failures: 10,
            delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(300),
            clients: 65_536,
        }
    }
}

/// How a directory server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryTls {
    /// TLS from the first byte (`ldaps`).
    Ldaps,
    /// TLS after the StartTLS operation (RFC 4511 section 4.14).
    StartTls,
    /// None: passwords go in the clear.
    Off,
}

/// One server of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryServer {
    /// Where it is.
    pub address: Destination,
    /// How it is spoken to.
    pub tls: DirectoryTls,
}

/// A directory that is asked by LDAP (RFC 4511): search for the user, then bind as what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Servers that stand in for each other, first choice first.
    pub servers: Vec<DirectoryServer>,
    /// PEM of further CAs that the servers may be signed by.
    pub trusted_ca: Option<Arc<[u8]>>,
    /// Whom to search as; empty for anonymous.
    pub bind_dn: String,
    /// Its password.
    pub bind_password: Secret,
    /// Under which entry users are searched, at any depth.
    pub base: String,
    /// The filter (RFC 4515); `{user}` stands for the user's name, escaped.
    pub filter: String,
    /// The attribute that has the user's name, as the directory spells it.
    pub user_attribute: String,
    /// Groups of which a user has to be in at least one; empty for everybody.
    pub allowed_groups: Vec<String>,
    /// Under which entry the groups of a user are searched, at any depth; `None` to take those alone that
    /// the user's entry names.
    pub group_base: Option<String>,
    /// The filter that finds them; `{dn}` and `{user}` stand for the user's entry and name, escaped.
    /// `None` for what finds members in `allowed_groups`.
    pub group_filter: Option<String>,
    /// Groups within groups count (Active Directory's matching rule 1.2.840.113556.1.4.1941).
    pub nested_groups: bool,
    /// Connections at most.
    pub connections: usize,
    /// One check, all its operations together.
    pub timeout: Duration,
}

/// Where the keys are that tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The content of a file.
    File(Arc<[u8]>),
    /// A URL.
    Url(KeyUrl),
}

/// The URL of a JWK set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUrl {
    /// It is `https`.
    pub tls: bool,
    /// The server.
    pub server: Destination,
    /// Host and port as they were written, for `Host`.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// Tokens (RFC 7519) in `Proxy-Authorization: Bearer` (RFC 6750).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The keys (RFC 7517).
    pub keys: KeySource,
    /// How often keys are fetched again from a URL.
    pub refresh: Duration,
    /// PEM of further CAs that the server of the URL may be signed by.
    pub trusted_ca: Option<Arc<[u8]>>,
    /// Values of `iss` that are accepted.
    pub issuers: Vec<String>,
    /// Values of `aud` of which a token must have one.
    pub audiences: Vec<String>,
    /// How far clocks may differ.
    pub clock_skew: Duration,
    /// The claim that names the user.
    pub user_claim: String,
    /// The claim that names the user's groups; dots lead into objects.
    pub groups_claim: String,
}

/// Tokens of service accounts (Kubernetes), in `Proxy-Authorization: Bearer`, or in Basic as the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccounts {
    /// The audience that a token must be for.
    pub audience: Arc<str>,
    /// A token is refused that comes from the address of another workload than its own.
    pub must_fit_source: bool,
}
