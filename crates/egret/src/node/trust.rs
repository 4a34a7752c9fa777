//! The node's trust store: where distributions look for CAs of their users, and what makes them look.

use super::error::NodeError;
use super::root::{Backup, Change, Root};
use super::whole::State;

/// The most certificates of one CA file. A change of CAs has two.
const MOST: usize = 16;

/// How a family of distributions keeps CAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Store {
    directory: &'static str,
    /// What takes new ones in.
    pub update: &'static [&'static str],
    /// What forgets those that are gone.
    pub forget: &'static [&'static str],
}

const DEBIAN: Store = Store {
    directory: "/usr/local/share/ca-certificates",
    update: &["update-ca-certificates"],
    forget: &["update-ca-certificates", "--fresh"],
};
const RHEL: Store = Store {
    directory: "/etc/pki/ca-trust/source/anchors",
    update: &["update-ca-trust", "extract"],
    forget: &["update-ca-trust", "extract"],
};
const SUSE: Store = Store { directory: "/etc/pki/trust/anchors", ..DEBIAN };
const ARCH: Store = Store { directory: "/etc/ca-certificates/trust-source/anchors", ..RHEL };

/// By the name of the distribution, or of one that it is like.
const FAMILIES: [(&str, Store); 13] = [
    ("debian", DEBIAN),
    ("ubuntu", DEBIAN),
    ("alpine", DEBIAN),
    ("rhel", RHEL),
    ("fedora", RHEL),
    ("centos", RHEL),
    ("amzn", RHEL),
    ("azurelinux", RHEL),
    ("mariner", RHEL),
    ("suse", SUSE),
    ("opensuse", SUSE),
    ("sles", SUSE),
    ("arch", ARCH),
];

/// The node's store: by its os-release, else by the directories that are there, else as Debian has it.
pub(super) fn store(root: &Root) -> Store {
    let known = names(root)
        .into_iter()
        .find_map(|name| FAMILIES.iter().find(|(family, _)| *family == name).map(|(_, store)| *store));
    let there = || [DEBIAN, RHEL, SUSE, ARCH].into_iter().find(|store| root.has(store.directory));
    known.or_else(there).unwrap_or(DEBIAN)
}

/// Whether the node has apt, as far as can be told.
pub(super) fn has_apt(root: &Root) -> bool {
    let names = names(root);
    root.has("/etc/apt") || names.is_empty() || names.iter().any(|name| name == "debian" || name == "ubuntu")
}

/// What the distribution is called, and what it is like.
fn names(root: &Root) -> Vec<String> {
    let text = root.look("/etc/os-release").or_else(|| root.look("/usr/lib/os-release")).unwrap_or_default();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_ascii_lowercase()
    };
    let all = format!("{} {}", value("ID"), value("ID_LIKE"));
    all.split_whitespace().map(str::to_owned).collect()
}

fn path(store: Store, index: usize) -> String {
    match index {
        0 => format!("{}/egret-ca.crt", store.directory),
        // One certificate to a file: Debian's tool takes no more of each.
        _ => format!("{}/egret-ca-{}.crt", store.directory, index + 1),
    }
}

/// One file for each certificate; those of an earlier CA with more of them go.
pub(super) fn install(root: &Root, certificates: &[String]) -> Result<Vec<Change>, NodeError> {
    if certificates.len() > MOST {
        return Err(NodeError::Usage(format!(
            "--ca: the file has {} certificates, and this is for at most {MOST}: give the CA alone, and no bundle",
            certificates.len()
        )));
    }
    let store = store(root);
    let mut changes = Vec::new();
    for index in 0..MOST {
        let path = path(store, index);
        let before = root.read(&path)?;
        let after = certificates.get(index).map(|pem| pem.clone().into_bytes());
        if before.is_some() || after.is_some() {
            changes.push(Change { path, before, after, backup: Backup::Leave });
        }
    }
    Ok(changes)
}

/// Takes them all away.
pub(super) fn remove(root: &Root) -> Result<Vec<Change>, NodeError> {
    install(root, &[])
}

/// What is there.
pub(super) fn state(root: &Root) -> Result<(State, String), NodeError> {
    let path = path(store(root), 0);
    let state = if root.read(&path)?.is_some() { State::Installed } else { State::Absent };
    Ok((state, path))
}
