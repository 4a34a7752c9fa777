//! Files that are wholly ours: drop-ins. Where somebody else's file of the name is, it is kept as a backup and
//! comes back when ours goes.

use super::error::NodeError;
use super::root::{Backup, Change, Root};

/// What the first line of a file of ours says.
pub(super) const MARK: &str = "Written by `egret node install`; `egret node remove` takes it away.";

/// What a file is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is not there, or has nothing of ours in it.
    Absent,
    /// It is ours, or has ours in it.
    Installed,
    /// Somebody else's is there.
    Foreign,
}

/// Writes a file of ours.
pub(super) fn install(root: &Root, path: &str, text: String) -> Result<Change, NodeError> {
    let before = root.read(path)?;
    let backup = match &before {
        Some(bytes) if !is_ours(bytes) => Backup::Make(bytes.clone()),
        _ => Backup::Leave,
    };
    Ok(Change { path: path.to_owned(), before, after: Some(text.into_bytes()), backup })
}

/// Takes a file of ours away.
pub(super) fn remove(root: &Root, path: &str) -> Result<Change, NodeError> {
    let before = root.read(path)?;
    // What somebody wrote in place of ours stays.
    if !before.as_deref().is_some_and(is_ours) {
        return Ok(Change { path: path.to_owned(), after: before.clone(), before, backup: Backup::Leave });
    }
    let after = root.read_backup(path)?;
    let backup = if after.is_some() { Backup::Drop } else { Backup::Leave };
    Ok(Change { path: path.to_owned(), before, after, backup })
}

/// What is there.
pub(super) fn state(root: &Root, path: &str) -> Result<State, NodeError> {
    Ok(match root.read(path)? {
        None => State::Absent,
        Some(bytes) if is_ours(&bytes) => State::Installed,
        Some(_) => State::Foreign,
    })
}

fn is_ours(bytes: &[u8]) -> bool {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(first).contains(MARK)
}
