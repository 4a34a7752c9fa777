//! /etc/environment: a block of lines among those of others.

use super::error::NodeError;
use super::root::{Backup, Change, Root};
use super::settings::Proxy;
use super::whole::State;

pub(super) const PATH: &str = "/etc/environment";

const BEGIN: &str = "# BEGIN egret node";
const END: &str = "# END egret node";

/// Puts the block at the end, where it wins over lines before it.
pub(super) fn install(root: &Root, proxy: &Proxy) -> Result<Change, NodeError> {
    let (before, rest, _) = read(root)?;
    let mut text = rest;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let lines = proxy.variables().into_iter().map(|(name, value)| format!("{name}={value}\n"));
    text.push_str(&format!("{BEGIN}\n{}{END}\n", lines.collect::<String>()));
    Ok(Change { path: PATH.to_owned(), before, after: Some(text.into_bytes()), backup: Backup::Leave })
}

/// Takes the block away; the file goes when nothing else is in it.
pub(super) fn remove(root: &Root) -> Result<Change, NodeError> {
    let (before, rest, has_block) = read(root)?;
    let after = match has_block {
        false => before.clone(),
        true => Some(rest.into_bytes()).filter(|rest| !rest.is_empty()),
    };
    Ok(Change { path: PATH.to_owned(), before, after, backup: Backup::Leave })
}

/// What is there.
pub(super) fn state(root: &Root) -> Result<State, NodeError> {
    Ok(if read(root)?.2 { State::Installed } else { State::Absent })
}

/// The file, what is in it without the block, and whether there is a block.
fn read(root: &Root) -> Result<(Option<Vec<u8>>, String, bool), NodeError> {
    let before = root.read(PATH)?;
    let Some(bytes) = &before else { return Ok((None, String::new(), false)) };
    let unusable =
        |what: &str, fix| NodeError::Unusable { path: root.path(PATH), what: what.to_owned(), fix };
    let text = std::str::from_utf8(bytes).map_err(|_| unusable("it is no text", "Put it right first."))?;
    let (mut rest, mut inside, mut found) = (String::new(), false, false);
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            BEGIN => (inside, found) = (true, true),
            END if inside => inside = false,
            _ if inside => {}
            _ => rest.push_str(line),
        }
    }
    if inside {
        let fix = "Remove that line and those of ours below it.";
        return Err(unusable(&format!("`{BEGIN}` has no `{END}`"), fix));
    }
    Ok((before, rest, found))
}
