//! Who was seen, and how a policy says so.

use std::net::IpAddr;

use egret_core::identity::NamePattern;
use egret_core::pattern::Glob;
use serde_json::{Value, json};

use super::super::args::By;
use super::super::output::plain;
use super::super::records::{Record, certificate_name};

/// Whom a list is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Who {
    Everybody,
    User(String),
    Certificate(String),
    /// A namespace, and the service account in it.
    Account(String, Option<String>),
    Address(IpAddr),
}

impl Who {
    /// Of a record; `None` where it does not say.
    pub(super) fn of(record: &Record<'_>, by: By) -> Option<Self> {
        let fields = &record.fields;
        let user = || fields.user.as_deref().map(|user| Self::User(user.to_owned()));
        let certificate = || fields.certificate.as_deref().map(|name| Self::Certificate(name.to_owned()));
        let account = || {
            let (namespace, account) = record.account()?;
            Some(Self::Account(namespace.to_owned(), account.map(str::to_owned)))
        };
        let address = || fields.client.map(Self::Address);
        match by {
            By::Auto => user().or_else(certificate).or_else(account).or_else(address),
            By::User => user(),
            By::Certificate => certificate(),
            By::Namespace => account(),
            By::Address => address(),
            By::None => Some(Self::Everybody),
        }
    }

    /// In words, harmless wherever it is printed.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Everybody => "everybody".to_owned(),
            Self::User(user) => format!("user {}", plain(user, 200)),
            Self::Certificate(name) => format!("certificate {}", plain(name, 200)),
            Self::Account(namespace, None) => format!("namespace {}", plain(namespace, 200)),
            Self::Account(namespace, Some(account)) => {
                format!("service account {}/{}", plain(namespace, 200), plain(account, 200))
            }
            Self::Address(address) => format!("address {address}"),
        }
    }

    /// An entry of `from` that is for this one and nobody else; `None` for everybody.
    ///
    /// # Errors
    /// Why no policy can name it.
    pub(super) fn source(&self) -> Result<Option<Value>, &'static str> {
        Ok(Some(match self {
            Self::Everybody => return Ok(None),
            Self::User(user) => json!({ "users": [exact(user)?] }),
            Self::Certificate(name) => {
                let name = certificate_name(exact(name)?);
                let text = match name.value.starts_with("spiffe://") {
                    true => name.value.to_string(),
                    false => name.to_string(),
                };
                let pattern =
                    text.parse::<NamePattern>().map_err(|_| "its name is of no kind that is known")?;
                if !pattern.matches(&name) {
                    return Err("its name is of no kind that is known");
                }
                json!({ "certificates": [text] })
            }
            Self::Account(namespace, None) => json!({ "namespaces": [exact(namespace)?] }),
            Self::Account(namespace, Some(account)) => {
                if namespace.contains('/') || account.contains('/') {
                    return Err("there is a slash in its name");
                }
                let account = format!("{}/{}", exact(namespace)?, exact(account)?);
                json!({ "namespaces": [namespace], "serviceAccounts": [account] })
            }
            Self::Address(address) => json!({ "cidrs": [address.to_string()] }),
        }))
    }

    /// What a policy for it is called, before it is made unique.
    pub(super) fn slug(&self) -> String {
        let (kind, text) = match self {
            Self::Everybody => return "everybody".to_owned(),
            Self::User(user) => ("user", user.clone()),
            Self::Certificate(name) => ("certificate", name.trim_start_matches("spiffe://").to_owned()),
            Self::Account(namespace, None) => ("namespace", namespace.clone()),
            Self::Account(namespace, Some(account)) => ("account", format!("{namespace}-{account}")),
            Self::Address(address) => ("address", address.to_string()),
        };
        let mut slug = String::from(kind);
        slug.push('-');
        for character in text.chars().take(40) {
            let kept = character.is_ascii_alphanumeric() || ".-".contains(character);
            slug.push(if kept { character.to_ascii_lowercase() } else { '-' });
        }
        slug.trim_end_matches('-').to_owned()
    }
}

/// The text, if a pattern for it stands for it alone.
fn exact(text: &str) -> Result<&str, &'static str> {
    if text.contains('*') {
        return Err("a `*` in its name would stand for others too");
    }
    if text.trim() != text || text.is_empty() || plain(text, usize::MAX) != text {
        return Err("there are spaces around its name, or characters that cannot be seen in it");
    }
    match Glob::new(text) {
        Ok(_) => Ok(text),
        Err(_) => Err("its name is too long"),
    }
}
