//! Why nothing was changed.

use std::io;
use std::path::{Path, PathBuf};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodeError {
    #[error("{0}")]
    Usage(String),
    #[error("{} cannot be read: {why}; run it as root", path.display())]
    Unreadable { path: PathBuf, why: io::Error },
    #[error("{} cannot be written: {why}{}", path.display(), advice(why))]
    Unwritable { path: PathBuf, why: io::Error },
    #[error("{}: {what}; nothing was changed. {fix}", path.display())]
    Unusable { path: PathBuf, what: String, fix: &'static str },
    #[error("{command} failed: {why}. The file is in place; run it again")]
    Command { command: String, why: String },
}

fn advice(why: &io::Error) -> &'static str {
    match why.kind() {
        io::ErrorKind::PermissionDenied => "; run it as root",
        io::ErrorKind::ReadOnlyFilesystem => {
            "; the file system is read-only: set the proxy up in the node's image"
        }
        _ => "",
    }
}

impl NodeError {
    pub(super) fn unreadable(path: &Path, why: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), why }
    }

    pub(super) fn unwritable(path: &Path, why: io::Error) -> Self {
        Self::Unwritable { path: path.to_owned(), why }
    }
}
