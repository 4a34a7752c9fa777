//! Files that the configuration refers to. Read whole, so each has a bound.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use egret_core::group_file::GroupFile;
use egret_core::htpasswd::UserFile;
use egret_core::route::Credentials;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::problem::{Place, Problem};
use crate::yaml;

/// Every CA that Mozilla trusts takes 250 KiB.
const MAX_CERTIFICATES: usize = 4 << 20;
const MAX_CREDENTIALS: usize = 4 << 10;
/// A hundred thousand users.
const MAX_USERS: usize = 16 << 20;
const MAX_KEYS: usize = 256 << 10;

/// Why a file cannot be used. Never holds its content.
#[derive(Debug)]
pub(crate) struct FileError {
    pub(crate) message: String,
    pub(crate) help: Option<&'static str>,
}

pub(crate) fn error(path: &Path, what: &str, help: Option<&'static str>) -> FileError {
    FileError { message: format!("the file `{}` {what}", path.display()), help }
}

/// Reads the configuration itself.
pub(crate) fn configuration(path: &Path) -> Result<Vec<u8>, Vec<Problem>> {
    // One byte more than is allowed, so that the check says that it is too large.
    bounded(path, yaml::MAX_BYTES + 1).map_err(|FileError { message, help }| {
        let place = Place::File(path.display().to_string().into());
        vec![Problem { message, help: help.map(ToOwned::to_owned), path: String::new(), place }]
    })
}

/// Reads a file of policies.
pub(crate) fn policies(path: &Path, most: usize) -> Result<Vec<u8>, FileError> {
    // One byte more than is allowed, so that the check says that it is too large.
    bounded(path, most + 1)
}

/// Reads CA certificates in PEM.
pub(crate) fn certificates(path: &Path) -> Result<Arc<[u8]>, FileError> {
    let bytes = bounded(path, MAX_CERTIFICATES + 1)?;
    if bytes.len() > MAX_CERTIFICATES {
        return Err(error(path, "is larger than 4 MiB", None));
    }
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        certificate.map_err(|_| {
            error(path, "is not valid PEM", Some("is a line missing, or a part of a certificate?"))
        })?;
        count += 1;
    }
    let text = String::from_utf8_lossy(&bytes);
    if text.contains("PRIVATE KEY-----") {
        return Err(error(
            path,
            "holds a private key",
            Some("certificates alone belong here: nobody needs the key"),
        ));
    }
    if count == 0 {
        let help = if bytes.first() == Some(&0x30) {
            "it looks like DER; convert it with: openssl x509 -inform der -in FILE -out FILE.pem"
        } else {
            "a certificate begins with -----BEGIN CERTIFICATE-----"
        };
        return Err(error(path, "holds no certificate", Some(help)));
    }
    Ok(bytes.into())
}

/// Reads users and their password hashes.
pub(crate) fn users(path: &Path) -> Result<UserFile, FileError> {
    let bytes = at_most(path, MAX_USERS, "16 MiB")?;
    let help = "each line is user:hash; make one with: egret users add FILE USER";
    let file = UserFile::parse(&bytes)
        .map_err(|wrong| error(path, &format!("is no file of users: {wrong}"), Some(help)))?;
    if file.is_empty() && !file.warnings.is_empty() {
        let first = &file.warnings[0];
        let what = format!("has nobody who can log in: on line {}, {}", first.line, first.what);
        return Err(error(path, &what, Some("make new hashes with: egret users add FILE USER")));
    }
    Ok(file)
}

/// Reads groups and the users in them.
pub(crate) fn groups(path: &Path) -> Result<GroupFile, FileError> {
    let bytes = at_most(path, MAX_USERS, "16 MiB")?;
    let help = "each line is a group, a colon, and its users with spaces between them";
    GroupFile::parse(&bytes)
        .map_err(|wrong| error(path, &format!("is no file of groups: {wrong}"), Some(help)))
}

/// Reads a password from the one line of a file.
pub(crate) fn password(path: &Path) -> Result<String, FileError> {
    let help = Some("it holds the password on its one line");
    let bytes = at_most(path, MAX_CREDENTIALS, "4 KiB")?;
    let text = String::from_utf8(bytes).map_err(|_| error(path, "is not UTF-8", help))?;
    let line = one_line(&text).ok_or_else(|| error(path, "has more than one line", help))?;
    if line.is_empty() {
        return Err(error(path, "is empty", help));
    }
    Ok(line.to_owned())
}

/// Reads a JWK set. What the keys are is for whoever uses them to say.
pub(crate) fn keys(path: &Path) -> Result<Arc<[u8]>, FileError> {
    let help = Some("a JWK set is an object with a list `keys` (RFC 7517 section 5)");
    let bytes = at_most(path, MAX_KEYS, "256 KiB")?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|cause| error(path, &format!("is no JSON: {cause}"), help))?;
    match value.get("keys").and_then(serde_json::Value::as_array) {
        Some(list) if !list.is_empty() => Ok(bytes.into()),
        _ => Err(error(path, "holds no keys", help)),
    }
}

fn at_most(path: &Path, most: usize, words: &str) -> Result<Vec<u8>, FileError> {
    let bytes = bounded(path, most + 1)?;
    if bytes.len() > most {
        return Err(error(path, &format!("is larger than {words}"), None));
    }
    Ok(bytes)
}

/// The text without the end of its line; `None` when there is more than one.
fn one_line(text: &str) -> Option<&str> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    (!line.contains('\n')).then_some(line)
}

/// Reads `user:password` from the one line of a file.
pub(crate) fn credentials(path: &Path) -> Result<Credentials, FileError> {
    let help = Some("it holds user, colon and password on one line");
    let bytes = at_most(path, MAX_CREDENTIALS, "4 KiB")?;
    let text = String::from_utf8(bytes).map_err(|_| error(path, "is not UTF-8", help))?;
    let line = one_line(&text).ok_or_else(|| error(path, "has more than one line", help))?;
    let (user, password) = line.split_once(':').ok_or_else(|| error(path, "has no colon", help))?;
    Ok(Credentials { user: user.to_owned(), password: password.to_owned() })
}

/// Whether a file can be opened for reading.
pub(crate) fn readable(path: &Path) -> Result<(), FileError> {
    bounded(path, 1).map(drop)
}

/// Whether a file can be made, as far as can be seen without making it.
pub(crate) fn writable(path: &Path) -> Result<(), FileError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if path.is_dir() {
        return Err(error(path, "is a directory", None));
    }
    if directory.is_some_and(|directory| !directory.is_dir()) {
        return Err(error(
            path,
            "stands in a directory that does not exist",
            Some("make the directory first"),
        ));
    }
    Ok(())
}

/// The first bytes of a regular file.
fn bounded(path: &Path, most: usize) -> Result<Vec<u8>, FileError> {
    // Asked before it is opened: opening a named pipe would wait for its other end.
    let kind = path.metadata().map_err(|cause| unreadable(path, &cause))?;
    if !kind.is_file() {
        return Err(error(path, "is no regular file", None));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|cause| unreadable(path, &cause))?;
    file.take(most as u64).read_to_end(&mut bytes).map_err(|cause| unreadable(path, &cause))?;
    Ok(bytes)
}

pub(crate) fn unreadable(path: &Path, cause: &std::io::Error) -> FileError {
    match cause.kind() {
        ErrorKind::NotFound => error(path, "does not exist", None),
        ErrorKind::PermissionDenied => {
            error(path, "cannot be read: permission denied", Some("which user does Egret run as?"))
        }
        _ => error(path, &format!("cannot be read: {cause}"), None),
    }
}
