//! One connection to a directory server, and the operations of a check.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use egret_core::authentication::{Directory as Settings, DirectoryServer, DirectoryTls};
use egret_core::destination::Host;
use egret_core::htpasswd::check_user_name;
use egret_core::settings::Snapshot;
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, ResultEntry, Scope, SearchEntry,
    SearchOptions, StdStream, ldap_escape,
};
use rustls::ClientConfig;
use tokio::time::Instant;

use super::groups::GroupNames;
use crate::upstream::Upstream;

/// With `LDAP_MATCHING_RULE_IN_CHAIN` of Active Directory: members of members count.
const IN_CHAIN: &str = "(member:1.2.840.113556.1.4.1941:={dn})";

/// Attributes of a user that name groups: Active Directory, OpenLDAP and 389 have the first, directories
/// from Sun's the second. A directory that has neither leaves them out.
const MEMBER_OF: [&str; 2] = ["memberOf", "isMemberOf"];

/// Result codes (RFC 4511 appendix A).
mod code {
    pub(super) const SUCCESS: u32 = 0;
    pub(super) const SIZE_LIMIT_EXCEEDED: u32 = 4;
    pub(super) const CONSTRAINT_VIOLATION: u32 = 19;
    pub(super) const NO_SUCH_OBJECT: u32 = 32;
    pub(super) const INAPPROPRIATE_AUTHENTICATION: u32 = 48;
    pub(super) const INVALID_CREDENTIALS: u32 = 49;
    pub(super) const UNWILLING_TO_PERFORM: u32 = 53;
}

/// Why an operation failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is of no use any more.
    Connection(String),
    /// The server answered, but not what was needed.
    Server(String),
}

/// A user in the directory.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) dn: String,
    pub(super) name: Arc<str>,
}

/// A connection. Dropped, it is closed.
pub(super) struct Connection(Ldap);

impl Connection {
    /// Connects, with TLS where that is wanted.
    pub(super) async fn open(
        upstream: &Upstream,
        snapshot: &Snapshot,
        server: &DirectoryServer,
        tls: &Arc<ClientConfig>,
        limit: Duration,
    ) -> Result<Self, String> {
        let deadline = Instant::now() + limit;
        let connected = upstream.connect_service(snapshot, &server.address, deadline).await;
        let tcp = connected.map_err(|error| error.detail)?;
        let tcp = tcp.into_std().map_err(|error| error.to_string())?;
        let scheme = if server.tls == DirectoryTls::Ldaps { "ldaps" } else { "ldap" };
        let host = match &server.address.host {
            Host::Address(std::net::IpAddr::V6(v6)) => format!("[{v6}]"),
            host => host.to_string(),
        };
        let url = format!("{scheme}://{host}:{}", server.address.port);
        let settings = LdapConnSettings::new()
            .set_config(tls.clone())
            .set_starttls(server.tls == DirectoryTls::StartTls)
            .set_std_stream(StdStream::Tcp(tcp));
        let (driver, ldap) =
            LdapConnAsync::with_settings(settings, &url).await.map_err(|error| describe(&error))?;
        // Ends with the last handle, or with the connection, which the handle sees.
        tokio::spawn(async move {
            if let Err(error) = driver.drive().await {
                tracing::debug!(error = describe(&error), "a connection to the directory ended");
            }
        });
        Ok(Self(ldap))
    }

    pub(super) fn is_open(&mut self) -> bool {
        !self.0.is_closed()
    }

    /// Becomes whoever may search.
    pub(super) async fn bind_to_search(&mut self, settings: &Settings) -> Result<(), Failure> {
        let result = self.0.simple_bind(&settings.bind_dn, &settings.bind_password.0).await;
        match result.map_err(broken)? {
            LdapResult { rc: code::SUCCESS, .. } => Ok(()),
            result => {
                let whom = match &*settings.bind_dn {
                    "" => "an anonymous bind",
                    dn => dn,
                };
                Err(Failure::Server(format!(
                    "it refuses {whom} (`bindDN`, `bindPasswordFile`): {}",
                    words(&result)
                )))
            }
        }
    }

    /// The one user of this name; `None` where there is none, or more than one. Adds the groups that the
    /// entry names.
    pub(super) async fn find(
        &mut self,
        settings: &Settings,
        user: &str,
        groups: &mut GroupNames,
    ) -> Result<Option<Found>, Failure> {
        let filter = settings.filter.replace("{user}", &ldap_escape(user));
        let attribute = &*settings.user_attribute;
        let wanted: Vec<&str> = MEMBER_OF.into_iter().chain([attribute]).collect();
        // Two are enough to know that it is not one.
        self.0.with_search_options(SearchOptions::new().sizelimit(2));
        let answer = self.0.search(&settings.base, Scope::Subtree, &filter, wanted).await;
        let ldap3::SearchResult(entries, result) = answer.map_err(broken)?;
        if !matches!(result.rc, code::SUCCESS | code::SIZE_LIMIT_EXCEEDED) {
            let base = &settings.base;
            return Err(Failure::Server(format!("searching under `{base}` failed: {}", words(&result))));
        }
        // Active Directory adds references to other domains, which are nobody.
        let mut entries = entries.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
        let (first, second) = (entries.next(), entries.next());
        if second.is_some() || result.rc == code::SIZE_LIMIT_EXCEEDED {
            tracing::warn!(
                user,
                "the filter of the directory finds more than one entry for a user, who is refused"
            );
            return Ok(None);
        }
        let Some(entry) = first.map(SearchEntry::construct) else { return Ok(None) };
        if entry.dn.is_empty() {
            // A bind without a name succeeds, and proves nothing (RFC 4513 section 5.1.1).
            return Ok(None);
        }
        let spelled = entry.attrs.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute));
        let name = spelled.and_then(|(_, values)| values.first()).map_or(user, String::as_str);
        let name = if check_user_name(name).is_ok() { name } else { user };
        add_member_of(&entry.attrs, groups);
        Ok(Some(Found { name: name.into(), dn: entry.dn }))
    }

    /// Whether the user is in one of the groups that may use the proxy, or none is asked for. Adds those
    /// that it is in.
    pub(super) async fn is_in_an_allowed_group(
        &mut self,
        settings: &Settings,
        dn: &str,
        user: &str,
        groups: &mut GroupNames,
    ) -> Result<bool, Failure> {
        let filter = filled_in(usual_group_filter(settings), dn, user);
        let mut is_allowed = settings.allowed_groups.is_empty();
        for group in &settings.allowed_groups {
            let answer = self.0.search(group, Scope::Base, &filter, vec!["1.1"]).await;
            let ldap3::SearchResult(entries, result) = answer.map_err(broken)?;
            match result.rc {
                code::SUCCESS => {
                    for dn in dns(entries) {
                        is_allowed = true;
                        groups.add(&dn);
                    }
                }
                code::NO_SUCH_OBJECT => {
                    tracing::warn!(group, "a group of `authentication.ldap.allowedGroups` does not exist");
                }
                _ => {
                    return Err(Failure::Server(format!(
                        "looking into the group `{group}` failed: {}",
                        words(&result)
                    )));
                }
            }
        }
        Ok(is_allowed)
    }

    /// Adds the groups that are found where groups are searched.
    pub(super) async fn search_groups(
        &mut self,
        settings: &Settings,
        dn: &str,
        user: &str,
        groups: &mut GroupNames,
    ) -> Result<(), Failure> {
        let Some(base) = &settings.group_base else { return Ok(()) };
        let filter = settings.group_filter.as_deref().unwrap_or_else(|| usual_group_filter(settings));
        let filter = filled_in(filter, dn, user);
        // One more than are read says that there are too many.
        let size = i32::try_from(groups.most()).unwrap_or(i32::MAX).saturating_add(1);
        self.0.with_search_options(SearchOptions::new().sizelimit(size));
        let answer = self.0.search(base, Scope::Subtree, &filter, vec!["1.1"]).await;
        let ldap3::SearchResult(entries, result) = answer.map_err(broken)?;
        match result.rc {
            code::SUCCESS => dns(entries).for_each(|group| groups.add(&group)),
            // Or more than the server tells at once.
            code::SIZE_LIMIT_EXCEEDED => groups.are_too_many(),
            _ => {
                return Err(Failure::Server(format!(
                    "searching groups under `{base}` (`authentication.ldap.groupBase`) failed: {}",
                    words(&result)
                )));
            }
        }
        Ok(())
    }

    /// Whether this is the password of an entry.
    pub(super) async fn bind_as(&mut self, dn: &str, password: &str) -> Result<bool, Failure> {
        let result = self.0.simple_bind(dn, password).await.map_err(broken)?;
        match result.rc {
            code::SUCCESS => Ok(true),
            code::INVALID_CREDENTIALS
            | code::UNWILLING_TO_PERFORM
            | code::INAPPROPRIATE_AUTHENTICATION
            | code::CONSTRAINT_VIOLATION
            | code::NO_SUCH_OBJECT => Ok(false),
            _ => Err(Failure::Server(format!("binding as a user failed: {}", words(&result)))),
        }
    }
}

/// What finds the groups that have a user as a member.
fn usual_group_filter(settings: &Settings) -> &'static str {
    match settings.nested_groups {
        true => IN_CHAIN,
        false => "(|(member={dn})(uniqueMember={dn})(memberUid={user}))",
    }
}

/// A filter for one user. What is filled in is not looked at again: a name may hold braces.
fn filled_in(filter: &str, dn: &str, user: &str) -> String {
    let parts = filter.split("{dn}").map(|part| part.replace("{user}", &ldap_escape(user)));
    parts.collect::<Vec<_>>().join(&ldap_escape(dn))
}

/// The names of what was found. Active Directory adds references to other domains, which are no groups.
fn dns(entries: Vec<ResultEntry>) -> impl Iterator<Item = String> {
    let entries = entries.into_iter().filter(|entry| !entry.is_ref() && !entry.is_intermediate());
    entries.map(|entry| SearchEntry::construct(entry).dn).filter(|dn| !dn.is_empty())
}

/// Adds the groups that an entry names. The names of attributes may be spelled in capitals, and Active
/// Directory gives more than 1500 values of one in pieces, as `memberOf;range=0-1499`.
fn add_member_of(attributes: &HashMap<String, Vec<String>>, groups: &mut GroupNames) {
    for (attribute, values) in attributes {
        let (name, options) = attribute.split_once(';').unwrap_or((attribute, ""));
        if !MEMBER_OF.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            continue;
        }
        if options.to_ascii_lowercase().contains("range=") {
            groups.are_too_many();
        }
        values.iter().for_each(|group| groups.add(group));
    }
}

fn broken(error: LdapError) -> Failure {
    match error {
        LdapError::FilterParsing => {
            Failure::Server("a filter of `authentication.ldap` is not one".to_owned())
        }
        error => Failure::Connection(describe(&error)),
    }
}

/// A result in words. Diagnostic messages of a directory hold no passwords.
fn words(result: &LdapResult) -> String {
    let text: String = result.text.chars().filter(|c| !c.is_control()).take(200).collect();
    match &*text {
        "" => format!("result code {}", result.rc),
        text => format!("result code {}: {text}", result.rc),
    }
}

/// An error in words; TLS says what is wrong with a certificate.
fn describe(error: &LdapError) -> String {
    let LdapError::Io { source } = error else {
        return match error {
            LdapError::ResultRecv { .. } | LdapError::OpSend { .. } | LdapError::EndOfStream => {
                "the connection broke".to_owned()
            }
            LdapError::LdapResult { result } => format!("it refuses StartTLS: {}", words(result)),
            other => other.to_string(),
        };
    };
    match source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => egret_tls::explain::explain(tls).detail,
        None => source.to_string(),
    }
}
