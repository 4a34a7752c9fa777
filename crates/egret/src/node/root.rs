//! The node's files, below a root, and changes of them that are planned first and made afterwards.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use super::error::NodeError;

/// A file that is larger is none that is edited here.
const MAX_BYTES: u64 = 4 << 20;

/// What the file of before is called beside its successor. Neither systemd nor apt nor Docker reads files of
/// such names.
pub(super) const BACKUP: &str = ".egret-backup";

/// Where the node's files are.
#[derive(Debug)]
pub(super) struct Root(PathBuf);

/// One file and what becomes of it.
#[derive(Debug)]
pub(super) struct Change {
    /// On the node, from its root.
    pub path: String,
    /// What is there. `None`: nothing.
    pub before: Option<Vec<u8>>,
    /// What will be there. `None`: nothing.
    pub after: Option<Vec<u8>>,
    /// What becomes of the backup beside it.
    pub backup: Backup,
}

/// What becomes of the copy of what was there before us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Backup {
    /// Nothing.
    Leave,
    /// It is made, and holds this; nothing where there was no file.
    Make(Vec<u8>),
    /// It is removed.
    Drop,
}

impl Change {
    /// Whether it changes anything.
    pub(super) fn is_needed(&self) -> bool {
        self.before != self.after || self.backup != Backup::Leave
    }
}

impl Root {
    /// Takes a directory as the node's root.
    pub(super) fn new(path: &Path) -> Result<Self, NodeError> {
        if !path.is_dir() {
            return Err(NodeError::Usage(format!(
                "--root {} is no directory: name the one that holds the node's /etc",
                path.display()
            )));
        }
        let whole = path.canonicalize().map_err(|why| NodeError::unreadable(path, why))?;
        Ok(Self(whole))
    }

    /// Whether these are the files of this machine.
    pub(super) fn is_here(&self) -> bool {
        self.0.components().eq([Component::RootDir])
    }

    /// Where a file of the node is.
    pub(super) fn path(&self, on_node: &str) -> PathBuf {
        self.0.join(on_node.trim_start_matches('/'))
    }

    /// What is in a file; `None` when there is none.
    pub(super) fn read(&self, on_node: &str) -> Result<Option<Vec<u8>>, NodeError> {
        let path = self.path(on_node);
        self.refuse_links(on_node)?;
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(NodeError::unreadable(&path, error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|why| NodeError::unreadable(&path, why))?;
        if bytes.len() as u64 > MAX_BYTES {
            let what = format!("it is larger than {} MiB", MAX_BYTES >> 20);
            return Err(NodeError::Unusable { path, what, fix: "Set it up by hand." });
        }
        Ok(Some(bytes))
    }

    /// What is in a file that is read and never changed. `None` when it cannot be read.
    pub(super) fn look(&self, on_node: &str) -> Option<String> {
        let mut text = String::new();
        let file = File::open(self.path(on_node)).ok()?;
        file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// The backup of a file; `None` when there is none, empty when there was no file.
    pub(super) fn read_backup(&self, on_node: &str) -> Result<Option<Vec<u8>>, NodeError> {
        self.read(&format!("{on_node}{BACKUP}"))
    }

    /// Whether something is there.
    pub(super) fn has(&self, on_node: &str) -> bool {
        self.path(on_node).exists()
    }

    /// A link would lead out of the root, or be replaced by a file.
    fn refuse_links(&self, on_node: &str) -> Result<(), NodeError> {
        let mut path = self.0.clone();
        for part in on_node.split('/').filter(|part| !part.is_empty()) {
            path.push(part);
            let is_link = fs::symlink_metadata(&path).is_ok_and(|meta| meta.file_type().is_symlink());
            // On the node itself links lead where they should; only a file that is one would be replaced.
            if is_link && (!self.is_here() || path == self.path(on_node)) {
                return Err(NodeError::Unusable {
                    path,
                    what: "it is a symbolic link".to_owned(),
                    fix: "Something else looks after this file: set the proxy up there, or leave it out with --only.",
                });
            }
        }
        Ok(())
    }

    /// Makes a change. The backup is there before the file changes, and is removed after it.
    pub(super) fn make(&self, change: &Change) -> Result<(), NodeError> {
        let backup = self.path(&format!("{}{BACKUP}", change.path));
        if let Backup::Make(bytes) = &change.backup {
            write(&backup, bytes)?;
        }
        let path = self.path(&change.path);
        match &change.after {
            _ if change.before == change.after => {}
            Some(bytes) => write(&path, bytes)?,
            None => fs::remove_file(&path).map_err(|why| NodeError::unwritable(&path, why))?,
        }
        if change.backup == Backup::Drop {
            fs::remove_file(&backup).map_err(|why| NodeError::unwritable(&backup, why))?;
        }
        Ok(())
    }
}

/// Writes a file whole or not at all. It keeps the mode that it had.
fn write(path: &Path, bytes: &[u8]) -> Result<(), NodeError> {
    let failed = |why| NodeError::unwritable(path, why);
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(failed)?;
    let mode = fs::metadata(path).map_or(0o644, |meta| meta.permissions().mode() & 0o777);
    let mut draft = tempfile::Builder::new().prefix(".egret-").tempfile_in(folder).map_err(failed)?;
    draft.write_all(bytes).map_err(failed)?;
    draft.as_file().set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
    draft.as_file().sync_all().map_err(failed)?;
    draft.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
