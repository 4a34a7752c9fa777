//! Where the CA is kept between starts, and how it is changed for another one.
//!
//! The key and its certificate are one file, so that there is never one without the other: whoever makes it
//! first has made it for all, by a rename that never replaces. Changing it is done under a lock.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::{CaError, InterceptionCa};
use crate::files::{Existing, FileError, FileProblem, NewFile, chain_pem, combined_pem, load_cas, write_all};

/// The CA that signs, with its key.
const CURRENT: &str = "interception-ca.pem";
/// Its certificate alone, for clients.
const PUBLIC: &str = "interception-ca.crt";
/// The CA that will sign, with its key.
const NEXT: &str = "interception-ca-next.pem";
/// The certificate of the CA that signed before.
const PREVIOUS: &str = "interception-ca-previous.crt";
const LOCK: &str = "interception-ca.lock";

/// The CAs in a state directory.
#[derive(Debug)]
pub struct CaSet {
    /// The one that signs.
    pub current: InterceptionCa,
    /// The one that will sign, once clients trust it.
    pub next: Option<InterceptionCa>,
    /// What clients trusted before; nothing is signed by it any more.
    pub previous: Vec<CertificateDer<'static>>,
    /// What is to be told to whoever runs the proxy, a sentence each.
    pub warnings: Vec<String>,
}

impl CaSet {
    /// What clients should trust, each once: the CA that signs, the one that will, and the one that did.
    #[must_use]
    pub fn anchors(&self) -> Vec<CertificateDer<'static>> {
        let mut anchors: Vec<CertificateDer<'static>> = Vec::new();
        let known = std::iter::once(&self.current).chain(&self.next).map(InterceptionCa::anchor);
        for der in known.chain(&self.previous) {
            if !anchors.contains(der) {
                anchors.push(der.clone());
            }
        }
        anchors
    }
}

/// The interception CA's place in a state directory.
#[derive(Clone, Debug)]
pub struct CaStore {
    dir: PathBuf,
}

impl CaStore {
    /// The CA of this state directory. Nothing is read or made yet.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The file that has the CA's key and certificate.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.join(CURRENT)
    }

    /// The file that has its certificate alone.
    #[must_use]
    pub fn public_path(&self) -> PathBuf {
        self.dir.join(PUBLIC)
    }

    /// Reads the CA, and makes one if there is none. Those who do it at the same time get the same. A file that
    /// is there is never replaced, however damaged it is. Gives whether it was made.
    ///
    /// # Errors
    /// It cannot be made, stored, read or used.
    pub fn open_or_create(&self, now: Timestamp) -> Result<(CaSet, bool), CaError> {
        let mut made = false;
        // Not `exists`: a dangling link is somebody's mistake, not a place for a key.
        if fs::symlink_metadata(self.path()).is_err() {
            let ca = InterceptionCa::create(now)?;
            match write_all(&[self.with_key(CURRENT, &ca)?], Existing::Refuse) {
                Ok(()) => made = true,
                // Another process was faster.
                Err(FileError { problem: FileProblem::Exists, .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut set = self.open(now)?;
        if let Err(error) = self.publish(&set) {
            set.warnings.push(error.to_string());
        }
        Ok((set, made))
    }

    /// Reads the CAs.
    ///
    /// # Errors
    /// There is none, or it cannot be read or used.
    pub fn open(&self, now: Timestamp) -> Result<CaSet, CaError> {
        let current = match InterceptionCa::load(&self.path(), None, None, now) {
            Err(CaError::File(FileError {
                problem: FileProblem::Unreadable { kind: io::ErrorKind::NotFound, .. },
                ..
            })) => return Err(CaError::Missing { dir: self.dir.clone() }),
            result => result?,
        };
        let mut warnings = current.warnings().to_vec();
        warnings.extend(self.open_to_others());
        let next = self.optional(NEXT, |path| InterceptionCa::load(path, None, None, now), &mut warnings);
        let previous = self.optional(PREVIOUS, |path| Ok(load_cas(path)?), &mut warnings);
        Ok(CaSet { current, next, previous: previous.unwrap_or_default(), warnings })
    }

    /// What changes when the CA does: compare it to know whether to read it again.
    #[must_use]
    pub fn stamp(&self) -> Vec<Option<(u64, i64, i64)>> {
        use std::os::unix::fs::MetadataExt as _;
        let stamp = |name: &str| {
            let found = fs::metadata(self.dir.join(name)).ok()?;
            Some((found.ino(), found.mtime(), found.mtime_nsec()))
        };
        [CURRENT, NEXT, PREVIOUS].map(stamp).to_vec()
    }

    /// Makes the CA that will sign next. Until [`CaStore::activate`], clients are only given it to trust.
    ///
    /// # Errors
    /// There is none now, there is a next one already, or it cannot be stored.
    pub fn begin(&self, now: Timestamp) -> Result<CaSet, CaError> {
        let lock = self.lock()?;
        let set = self.open(now)?;
        if let Some(next) = &set.next {
            return Err(CaError::NextExists { subject: next.info().subject.clone() });
        }
        let next = InterceptionCa::create(now)?;
        write_all(&[self.with_key(NEXT, &next)?], Existing::Refuse)?;
        self.finish_change(now, &lock)
    }

    /// Lets the next CA sign. The one that signed is still given to clients to trust until
    /// [`CaStore::retire`], and its key is deleted.
    ///
    /// # Errors
    /// There is no next CA, or the files cannot be changed. Then the old one still signs.
    pub fn activate(&self, now: Timestamp) -> Result<CaSet, CaError> {
        let lock = self.lock()?;
        let next = self.dir.join(NEXT);
        if fs::symlink_metadata(&next).is_err() {
            return Err(CaError::NoNext { dir: self.dir.clone() });
        }
        // Read first: what cannot be used must not become the CA.
        InterceptionCa::load(&next, None, None, now)?;
        // The certificate of the old one, which may be past its end or damaged; that is why it is changed.
        if let Ok(old) = load_cas(&self.path()) {
            let text = chain_pem(old.last());
            write_all(&[NewFile::public(self.dir.join(PREVIOUS), &text)], Existing::Replace)?;
        }
        // One step: there is always a CA, and the next is gone with it.
        fs::rename(&next, self.path()).map_err(|error| self.failed(&error))?;
        self.finish_change(now, &lock)
    }

    /// Changes the CA at once, without a time in which clients trust both: for a key that has leaked, or a CA
    /// that has ended.
    ///
    /// # Errors
    /// As [`CaStore::activate`].
    pub fn replace(&self, now: Timestamp) -> Result<CaSet, CaError> {
        {
            let _lock = self.lock()?;
            if fs::symlink_metadata(self.path()).is_err() {
                return Err(CaError::Missing { dir: self.dir.clone() });
            }
            if fs::symlink_metadata(self.dir.join(NEXT)).is_err() {
                let next = InterceptionCa::create(now)?;
                write_all(&[self.with_key(NEXT, &next)?], Existing::Refuse)?;
            }
        }
        self.activate(now)
    }

    /// Drops the next CA.
    ///
    /// # Errors
    /// There is none, or it cannot be deleted.
    pub fn cancel(&self, now: Timestamp) -> Result<CaSet, CaError> {
        let lock = self.lock()?;
        if !self.remove(NEXT)? {
            return Err(CaError::NoNext { dir: self.dir.clone() });
        }
        self.finish_change(now, &lock)
    }

    /// Ends the overlap: clients are no longer given the CA that signed before.
    ///
    /// # Errors
    /// The file cannot be deleted.
    pub fn retire(&self, now: Timestamp) -> Result<CaSet, CaError> {
        let lock = self.lock()?;
        self.remove(PREVIOUS)?;
        self.finish_change(now, &lock)
    }

    fn finish_change(&self, now: Timestamp, _lock: &File) -> Result<CaSet, CaError> {
        drop(File::open(&self.dir).and_then(|dir| dir.sync_all()));
        let set = self.open(now)?;
        self.publish(&set)?;
        Ok(set)
    }

    /// Writes what clients should trust beside the CA, where it is not so already.
    fn publish(&self, set: &CaSet) -> Result<(), CaError> {
        let text = chain_pem(&set.anchors());
        if fs::read_to_string(self.public_path()).is_ok_and(|found| found == text) {
            return Ok(());
        }
        Ok(write_all(&[NewFile::public(self.public_path(), &text)], Existing::Replace)?)
    }

    fn with_key(&self, name: &str, ca: &InterceptionCa) -> Result<NewFile, CaError> {
        let path = self.dir.join(name);
        let text = combined_pem(ca.identity()).map_err(|problem| FileError::new(&path, problem))?;
        Ok(NewFile::private(path, text.as_bytes()))
    }

    fn optional<T>(
        &self,
        name: &str,
        read: impl Fn(&Path) -> Result<T, CaError>,
        warnings: &mut Vec<String>,
    ) -> Option<T> {
        let path = self.dir.join(name);
        fs::symlink_metadata(&path).ok()?;
        // It does not sign: what is wrong with it must not stop the one that does.
        read(&path).map_err(|error| warnings.push(error.to_string())).ok()
    }

    fn open_to_others(&self) -> Option<String> {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(self.path()).ok()?.permissions().mode();
        (mode & 0o077 != 0).then(|| {
            format!(
                "others than its owner can read {}, and with its key everything that clients send; chmod 600 it",
                self.path().display()
            )
        })
    }

    fn remove(&self, name: &str) -> Result<bool, CaError> {
        match fs::remove_file(self.dir.join(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Waits for others that change the CA.
    fn lock(&self) -> Result<File, CaError> {
        let file = File::create(self.dir.join(LOCK)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CaError::Missing { dir: self.dir.clone() },
            _ => self.failed(&error),
        })?;
        file.lock().map_err(|error| self.failed(&error))?;
        Ok(file)
    }

    fn failed(&self, error: &io::Error) -> CaError {
        CaError::State { path: self.dir.clone(), detail: error.to_string() }
    }
}
