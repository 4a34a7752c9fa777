//! The webhook's certificate from files, as cert-manager's Secrets are mounted.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use egret_tls::files::{Identity, Limit, load_identity, read};

/// `tls.crt`, `tls.key` and, where it is there, `ca.crt` of a directory.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
    stamp: Option<Stamp>,
}

type Stamp = Vec<Option<(SystemTime, u64)>>;

/// What they hold.
#[derive(Debug)]
pub(crate) struct Found {
    /// What is served.
    pub(crate) identity: Identity,
    /// What the API server is to trust, PEM; `None` leaves that to somebody else, as cert-manager's cainjector.
    pub(crate) trust: Option<Vec<u8>>,
}

impl Files {
    /// Those of this directory. Nothing is read yet.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), stamp: None }
    }

    /// Reads them if they changed since they were last read.
    ///
    /// # Errors
    /// They cannot be used: which, why, and what to do.
    pub(crate) fn changed(&mut self) -> Result<Option<Found>, String> {
        let stamp = self.stamp();
        if self.stamp.as_ref() == Some(&stamp) {
            return Ok(None);
        }
        let (certificate, key) = (self.dir.join("tls.crt"), self.dir.join("tls.key"));
        let identity = load_identity(&certificate, Some(&key), None).map_err(|error| error.to_string())?;
        let trust = self.dir.join("ca.crt");
        let trust = match trust.exists() {
            true => Some(read(&trust, Limit::BUNDLE).map_err(|error| error.to_string())?),
            false => None,
        };
        self.stamp = Some(stamp);
        Ok(Some(Found { identity, trust }))
    }

    fn stamp(&self) -> Stamp {
        let of = |name: &str| {
            let found = std::fs::metadata(self.dir.join(name)).ok()?;
            Some((found.modified().ok()?, found.len()))
        };
        ["tls.crt", "tls.key", "ca.crt"].map(of).to_vec()
    }
}
