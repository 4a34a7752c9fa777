//! Passwords of keys and PKCS#12 files.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use super::{FileError, FileProblem, Limit, read};

/// A password. It is wiped when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// This password.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The password in a file, without the line end that editors and `echo` put after it.
    ///
    /// # Errors
    /// The file cannot be read, is larger than [`Limit::PASSWORD`], or is not UTF-8.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let bytes = Zeroizing::new(read(path, Limit::PASSWORD)?);
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| FileError::new(path, FileProblem::Unrecognised { found: "not UTF-8 text" }))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        Ok(Self::new(text.strip_suffix('\r').unwrap_or(text).to_owned()))
    }

    /// The password itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(…)")
    }
}
