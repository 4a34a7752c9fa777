//! Bodies in files.

use std::collections::{HashSet, VecDeque};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::flow::{Content, Flow, Side, Spilled};

/// A directory of bodies, with a bound for all of them.
#[derive(Debug)]
pub(super) struct Spill {
    directory: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    /// Oldest first: the flow's number and its file.
    files: VecDeque<(u64, Arc<Spilled>)>,
}

pub(super) fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    // It may have been there before, open for others.
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// The bytes of a body; `None` if it was removed meanwhile.
pub(super) fn read(file: &Spilled) -> io::Result<Option<Bytes>> {
    match fs::read(&file.path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Spill {
    pub(super) fn open(directory: &Path, max_bytes: u64) -> io::Result<Self> {
        if let Some(parent) = directory.parent() {
            private_directory(parent)?;
        }
        private_directory(directory)?;
        Ok(Self { directory: directory.to_owned(), max_bytes, state: Mutex::default() })
    }

    /// A directory that another process writes to, to be read. Without a bound: nothing may be removed there.
    pub(super) fn of_another(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), max_bytes: u64::MAX, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn used(&self) -> u64 {
        self.state().used
    }

    /// Where the body of a flow stands.
    pub(super) fn path(&self, seq: u64, side: Side) -> PathBuf {
        let side = match side {
            Side::Request => "request",
            Side::Response => "response",
        };
        self.directory.join(format!("{seq:016x}-{side}"))
    }

    /// Writes a body. Gives the file, and the numbers of flows whose bodies have to go for it.
    pub(super) fn write(&self, seq: u64, side: Side, bytes: &[u8]) -> io::Result<(Arc<Spilled>, Vec<u64>)> {
        let path = self.path(seq, side);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        if let Err(error) = file.write_all(bytes) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let file = Arc::new(Spilled { path, length: bytes.len() as u64 });
        Ok((file.clone(), self.known(seq, file)))
    }

    /// Counts a file that is there.
    pub(super) fn known(&self, seq: u64, file: Arc<Spilled>) -> Vec<u64> {
        let mut state = self.state();
        state.used += file.length;
        state.files.push_back((seq, file));
        let mut gone = Vec::new();
        while state.used > self.max_bytes
            && let Some((seq, file)) = state.files.pop_front()
        {
            state.used -= file.length;
            let _ = fs::remove_file(&file.path);
            gone.push(seq);
        }
        gone
    }

    /// Removes the files of a flow.
    pub(super) fn remove(&self, flow: &Flow) {
        for body in [Side::Request, Side::Response].into_iter().filter_map(|side| flow.body(side)) {
            let Content::File(file) = &body.content else { continue };
            let mut state = self.state();
            // Files are in the order of flows, and those that go are among the oldest.
            let Some(at) = state.files.iter().position(|(_, other)| other.path == file.path) else {
                continue;
            };
            state.files.remove(at);
            state.used -= file.length;
            drop(state);
            let _ = fs::remove_file(&file.path);
        }
    }

    /// Removes every file that no flow refers to: what an earlier run left.
    pub(super) fn remove_orphans(&self, known: &HashSet<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if !known.contains(&path) && path.is_file() {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}
