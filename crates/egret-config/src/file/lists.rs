//! `hostLists` and `categories`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::{FilePath, ListTerm, Name};

/// A named list of hosts: everything of its file, its `hosts`, and the lists that it includes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HostList {
    /// The name that rules call it by.
    #[schemars(example = &"partners")]
    pub name: Name,
    /// A file with one entry on a line, of a million entries or more. It is read again when it changes. Of
    /// a directory, the file `domains` in it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = "/etc/egret/partners.txt")]
    pub file: Option<FilePath>,
    /// How the file is written.
    #[serde(default)]
    pub format: ListFormat,
    /// Hosts beside those of the file: names, `*.` and `**.` patterns, addresses and networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1_000_000), example = serde_json::json!(["example.com", "**.example.com", "203.0.113.0/24"]))]
    pub hosts: Vec<ListTerm>,
    /// Names of other lists (of categories, other categories) that are a part of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 1000), example = serde_json::json!(["suppliers"]))]
    pub include: Vec<Name>,
}

/// How a list of hosts is written. In each, `#` begins a comment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ListFormat {
    /// Told by the first lines: `Hosts` where they begin with an address, `Domains` where one begins with
    /// a dot or the file is called `domains`, else `Patterns`. `egret check` says what it is taken for.
    #[default]
    Auto,
    /// A name, a pattern (`*.example.com`, `**.example.com`), an address or a network on each line. A name
    /// stands for itself alone.
    Patterns,
    /// As in `/etc/hosts`: an address, and names behind it, which stand for themselves alone. The entries
    /// of the machine itself (`localhost`) are passed over.
    Hosts,
    /// A domain on each line, which stands for itself and for everything below it. A dot or `*.` may stand
    /// in front.
    Domains,
}

impl fmt::Display for ListFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "Auto",
            Self::Patterns => "Patterns",
            Self::Hosts => "Hosts",
            Self::Domains => "Domains",
        })
    }
}
