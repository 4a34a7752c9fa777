//! Writing files so that none is ever seen half written, and no key by accident.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use super::{FileError, FileProblem};

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner alone (0600): it holds a key.
    Private,
    /// Everybody (0644).
    Public,
}

/// A file to be written.
pub struct NewFile {
    /// Where.
    pub path: PathBuf,
    /// What is in it. Wiped when dropped.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Who may read it.
    pub access: Access,
}

impl NewFile {
    /// A file without secrets.
    #[must_use]
    pub fn public(path: PathBuf, text: &str) -> Self {
        Self { path, bytes: Zeroizing::new(text.as_bytes().to_vec()), access: Access::Public }
    }

    /// A file with a key in it.
    #[must_use]
    pub fn private(path: PathBuf, text: &[u8]) -> Self {
        Self { path, bytes: Zeroizing::new(text.to_vec()), access: Access::Private }
    }
}

/// Whether files may be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They must not.
    Refuse,
    /// They are replaced.
    Replace,
}

/// Writes all of the files or none: each whole under another name, synced to the disk, and only then all
/// renamed, keys first. Directories that are missing are made, for their owner alone (0700).
///
/// Only a crash between two renames leaves a new key beside an old certificate; a reader notices, for they
/// do not belong together.
///
/// # Errors
/// A file is there and must not be, or the system does not let it be written. Nothing has changed then.
pub fn write_all(files: &[NewFile], existing: Existing) -> Result<(), FileError> {
    let mut staged = Vec::new();
    for file in files {
        // Not `exists`, which takes a dangling link for nothing.
        if existing == Existing::Refuse && fs::symlink_metadata(&file.path).is_ok() {
            return Err(FileError::new(&file.path, FileProblem::Exists));
        }
    }
    for file in files {
        staged.push((file, stage(file).map_err(|error| unwritable(&file.path, &error))?));
    }
    staged.sort_by_key(|(file, _)| file.access != Access::Private);
    let mut done: Vec<&Path> = Vec::new();
    for (file, temporary) in staged {
        let placed = match existing {
            Existing::Refuse => temporary.persist_noclobber(&file.path),
            Existing::Replace => temporary.persist(&file.path),
        };
        if let Err(error) = placed {
            if existing == Existing::Refuse {
                done.iter().for_each(|path| drop(fs::remove_file(path)));
            }
            let error = error.error;
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => FileError::new(&file.path, FileProblem::Exists),
                _ => unwritable(&file.path, &error),
            });
        }
        done.push(&file.path);
    }
    // The names too are to survive a crash. A file system that cannot do that has written them all the same.
    for folder in done.iter().filter_map(|path| folder(path).ok()) {
        drop(File::open(folder).and_then(|folder| folder.sync_all()));
    }
    Ok(())
}

/// The file under another name in the same directory, so that renaming is one step.
fn stage(file: &NewFile) -> io::Result<NamedTempFile> {
    let folder = folder(&file.path)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let mut temporary = tempfile::Builder::new()
        .prefix(".egret-")
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(&folder)?;
    temporary.write_all(&file.bytes)?;
    let mode = match file.access {
        Access::Private => 0o600,
        Access::Public => 0o644,
    };
    // Whatever the umask says: a key is private under any, and a certificate is no secret.
    temporary.as_file().set_permissions(Permissions::from_mode(mode))?;
    temporary.as_file().sync_all()?;
    Ok(temporary)
}

fn folder(path: &Path) -> io::Result<PathBuf> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Ok(PathBuf::from(".")),
        Some(parent) => Ok(parent.to_owned()),
        None => Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory")),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> FileError {
    FileError::new(path, FileProblem::Unwritable { kind: error.kind(), detail: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn pair(folder: &Path) -> [NewFile; 2] {
        [NewFile::public(folder.join("a.crt"), "new"), NewFile::private(folder.join("a.key"), b"new key")]
    }

    #[test]
    fn keys_are_private_and_so_is_a_directory_that_is_made() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("certs/deep");
        write_all(&pair(&folder), Existing::Refuse).unwrap();
        assert_eq!(
            (mode(&folder), mode(&folder.join("a.key")), mode(&folder.join("a.crt"))),
            (0o700, 0o600, 0o644)
        );
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing temporary is left");
    }

    #[test]
    fn never_replaces_a_file_unless_told_to_and_then_writes_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path();
        fs::write(folder.join("a.key"), "old key").unwrap();
        let error = write_all(&pair(folder), Existing::Refuse).unwrap_err();
        assert_eq!((error.path, error.problem), (folder.join("a.key"), FileProblem::Exists));
        assert!(!folder.join("a.crt").exists());
        assert_eq!(fs::read(folder.join("a.key")).unwrap(), b"old key");
        write_all(&pair(folder), Existing::Replace).unwrap();
        assert_eq!(fs::read(folder.join("a.key")).unwrap(), b"new key");
        assert_eq!(mode(&folder.join("a.key")), 0o600);
    }

    #[test]
    fn a_dangling_link_is_a_file_that_is_there() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/nowhere", root.path().join("a.key")).unwrap();
        let error = write_all(&pair(root.path()), Existing::Refuse).unwrap_err();
        assert_eq!(error.problem, FileProblem::Exists);
    }

    #[test]
    fn says_why_a_file_cannot_be_written() {
        let error = write_all(&pair(Path::new("/proc/egret")), Existing::Replace).unwrap_err();
        assert!(matches!(error.problem, FileProblem::Unwritable { .. }), "{error}");
    }
}
