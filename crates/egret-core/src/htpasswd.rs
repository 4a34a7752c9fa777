//! Files of users and password hashes, in the form of Apache's `htpasswd`.
//!
//! Read here and not where passwords are checked, so that whatever reads a configuration can say what is
//! wrong with a line. No hash is computed here.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The longest user name, in bytes; as in SOCKS5 (RFC 1929).
pub const MAX_USER_BYTES: usize = 255;

/// Costs of bcrypt that are worked with. Each step doubles the time of a check; 17 takes seconds.
pub const BCRYPT_COSTS: RangeInclusive<u32> = 4..=17;

/// Rounds of SHA-crypt without `rounds=`.
const SHA_ROUNDS: u32 = 5_000;
/// Rounds of SHA-crypt that are worked with: above, one check takes seconds.
const MAX_SHA_ROUNDS: u32 = 5_000_000;

/// Memory in KiB, passes and lanes of Argon2 that are worked with: 256 MiB for each check under way.
const MAX_ARGON2: [(&str, u32); 3] = [("m", 256 * 1024), ("t", 32), ("p", 16)];

/// How a password was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashScheme {
    /// bcrypt: `$2y$`, `$2b$`, `$2a$`.
    Bcrypt,
    /// SHA-256-crypt: `$5$`.
    Sha256Crypt,
    /// SHA-512-crypt: `$6$`.
    Sha512Crypt,
    /// Argon2 in any variant: `$argon2id$`, `$argon2i$`, `$argon2d$`.
    Argon2,
    /// Apache's variant of MD5-crypt, `$apr1$`: read, but too fast to withstand guessing.
    Apr1,
}

impl HashScheme {
    /// As people call it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bcrypt => "bcrypt",
            Self::Sha256Crypt => "SHA-256-crypt",
            Self::Sha512Crypt => "SHA-512-crypt",
            Self::Argon2 => "Argon2",
            Self::Apr1 => "apr1",
        }
    }

    /// Whether a stolen file would give its passwords away too easily.
    #[must_use]
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::Apr1)
    }

    /// The scheme of a hash.
    ///
    /// # Errors
    /// Why it cannot be used, as words that follow "the hash of …".
    pub fn of(hash: &str) -> Result<Self, String> {
        if let Some(rest) = ["$2y$", "$2b$", "$2a$"].iter().find_map(|prefix| hash.strip_prefix(prefix)) {
            return bcrypt(rest);
        }
        if let Some(rest) = hash.strip_prefix("$5$") {
            return sha_crypt(rest, 43).map(|()| Self::Sha256Crypt);
        }
        if let Some(rest) = hash.strip_prefix("$6$") {
            return sha_crypt(rest, 86).map(|()| Self::Sha512Crypt);
        }
        if hash.starts_with("$argon2") {
            return argon2(hash).map(|()| Self::Argon2);
        }
        if let Some(rest) = hash.strip_prefix("$apr1$") {
            let good = rest.split_once('$').is_some_and(|(salt, digest)| {
                (1..=8).contains(&salt.len()) && is_crypt64(salt) && digest.len() == 22 && is_crypt64(digest)
            });
            return if good { Ok(Self::Apr1) } else { Err("is no complete apr1 hash".to_owned()) };
        }
        Err(match hash {
            "" => "is empty".to_owned(),
            _ if hash.starts_with("{SHA}") => "is unsalted SHA-1, which is not supported".to_owned(),
            _ if hash.starts_with('$') => "is of a kind that is not supported".to_owned(),
            _ => "is crypt(3) or plain text, which is not supported".to_owned(),
        })
    }
}

fn bcrypt(rest: &str) -> Result<HashScheme, String> {
    let incomplete = || "is no complete bcrypt hash".to_owned();
    let (cost, rest) = rest.split_once('$').ok_or_else(incomplete)?;
    let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    let cost: u32 = cost.parse().ok().filter(|_| digits).ok_or_else(incomplete)?;
    if rest.len() != 53 || !is_crypt64(rest) {
        return Err(incomplete());
    }
    if !BCRYPT_COSTS.contains(&cost) {
        let (least, most) = (BCRYPT_COSTS.start(), BCRYPT_COSTS.end());
        return Err(format!("has the bcrypt cost {cost}; {least} to {most} are worked with"));
    }
    Ok(HashScheme::Bcrypt)
}

fn sha_crypt(rest: &str, digest_length: usize) -> Result<(), String> {
    let incomplete = || "is no complete SHA-crypt hash".to_owned();
    let mut fields = rest.split('$');
    let mut salt = fields.next().ok_or_else(incomplete)?;
    let mut rounds = SHA_ROUNDS;
    if let Some(number) = salt.strip_prefix("rounds=") {
        rounds = number.parse().map_err(|_| incomplete())?;
        salt = fields.next().ok_or_else(incomplete)?;
    }
    let digest = fields.next().ok_or_else(incomplete)?;
    let complete = salt.len() <= 16 && is_crypt64(salt) && digest.len() == digest_length;
    if !complete || !is_crypt64(digest) || fields.next().is_some() {
        return Err(incomplete());
    }
    if !(1_000..=MAX_SHA_ROUNDS).contains(&rounds) {
        return Err(format!("has {rounds} rounds of SHA-crypt; 1000 to {MAX_SHA_ROUNDS} are worked with"));
    }
    Ok(())
}

/// `$argon2id$v=19$m=65536,t=3,p=4$salt$hash`
fn argon2(hash: &str) -> Result<(), String> {
    let incomplete = || "is no complete Argon2 hash".to_owned();
    let mut fields = hash.split('$').skip(1);
    let variant = fields.next().unwrap_or_default();
    let mut parameters = fields.next().ok_or_else(incomplete)?;
    if let Some(version) = parameters.strip_prefix("v=") {
        if !matches!(version, "16" | "19") {
            return Err(incomplete());
        }
        parameters = fields.next().ok_or_else(incomplete)?;
    }
    let (salt, digest) = (fields.next(), fields.next());
    let filled = |field: Option<&str>| field.is_some_and(|field| (1..=128).contains(&field.len()));
    if !matches!(variant, "argon2id" | "argon2i" | "argon2d")
        || !filled(salt)
        || !filled(digest)
        || fields.next().is_some()
    {
        return Err(incomplete());
    }
    for (name, most) in MAX_ARGON2 {
        let value = parameters.split(',').find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
        let value: u32 = value.and_then(|value| value.parse().ok()).ok_or_else(incomplete)?;
        if value == 0 || value > most {
            return Err(format!("has the Argon2 parameter {name}={value}; 1 to {most} are worked with"));
        }
    }
    Ok(())
}

/// The alphabet of crypt(3).
fn is_crypt64(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'))
}

/// A password hash. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    /// How it was made.
    pub scheme: HashScheme,
    /// As it stands in the file.
    pub text: Box<str>,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({})", self.scheme.as_str())
    }
}

/// What is said about a line that is left out or should be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineWarning {
    /// The line, from 1.
    pub line: usize,
    /// What about it. Names the user, never the hash.
    pub what: String,
}

/// A file that is no file of users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {what}")]
pub struct UserFileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it, as words that follow "line 3 …". Never quotes it: it may be a password.
    pub what: String,
}

/// Users and their password hashes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserFile {
    users: HashMap<Arc<str>, PasswordHash>,
    /// Lines that do not count, or should be looked at.
    pub warnings: Vec<LineWarning>,
}

impl fmt::Debug for UserFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserFile({} users)", self.users.len())
    }
}

impl UserFile {
    /// Reads `user:hash` from each line. Empty lines and those that begin with `#` are passed over, and
    /// so is whatever follows a second colon. A user whose hash cannot be used is left out, with a
    /// warning; of two lines for one user the first counts, as it does for Apache.
    ///
    /// # Errors
    /// The first line that has no `user:hash`.
    pub fn parse(bytes: &[u8]) -> Result<Self, UserFileError> {
        let mut file = Self::default();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let number = index + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let wrong = |what: &str| UserFileError { line: number, what: what.to_owned() };
            let line = std::str::from_utf8(line).map_err(|_| wrong("is not UTF-8"))?;
            let (user, rest) =
                line.split_once(':').ok_or_else(|| wrong("has no colon behind a user name"))?;
            check_user_name(user).map_err(|what| wrong(&format!("has a user name that {what}")))?;
            file.add(number, user, rest.split(':').next().unwrap_or(rest).trim_end());
        }
        Ok(file)
    }

    fn add(&mut self, line: usize, user: &str, hash: &str) {
        let mut warn = |what| self.warnings.push(LineWarning { line, what });
        let scheme = match HashScheme::of(hash) {
            Ok(scheme) => scheme,
            Err(why) => return warn(format!("the hash of `{user}` {why}; the user cannot log in")),
        };
        match self.users.entry(user.into()) {
            Entry::Occupied(_) => warn(format!("`{user}` stands here again; the first line counts")),
            Entry::Vacant(place) => {
                if scheme.is_weak() {
                    warn(format!(
                        "the hash of `{user}` is {}, which is too easily guessed: make a new one",
                        scheme.as_str()
                    ));
                }
                place.insert(PasswordHash { scheme, text: hash.into() });
            }
        }
    }

    /// A user's name and hash.
    #[must_use]
    pub fn find(&self, user: &str) -> Option<(&Arc<str>, &PasswordHash)> {
        self.users.get_key_value(user)
    }

    /// Every user's name and hash, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &PasswordHash)> {
        self.users.iter()
    }

    /// How many users can log in.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody can.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// Whether a name can be a user's: RFC 7617 section 2 allows no colon and no control characters.
///
/// # Errors
/// What is wrong with it, as words that follow "the user name …".
pub fn check_user_name(user: &str) -> Result<(), &'static str> {
    if user.is_empty() {
        return Err("is empty");
    }
    if user.len() > MAX_USER_BYTES {
        return Err("is longer than 255 bytes");
    }
    if user.contains(':') {
        return Err("holds a colon");
    }
    if user.chars().any(char::is_control) {
        return Err("holds a control character");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";
    const SHA256: &str = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8";

    #[test]
    fn reads_users_and_passes_over_what_is_none() {
        let text = format!("# users\n\nalice:{BCRYPT}\r\nbob:{SHA256}:a comment\nalice:{SHA256}\n");
        let file = UserFile::parse(text.as_bytes()).unwrap();
        assert_eq!(file.len(), 2);
        assert_eq!(file.find("alice").unwrap().1.scheme, HashScheme::Bcrypt);
        assert_eq!(&*file.find("bob").unwrap().1.text, SHA256);
        assert_eq!(file.warnings.len(), 1);
        assert_eq!((file.warnings[0].line, file.warnings[0].what.contains("alice")), (5, true));
        assert!(!format!("{file:?} {:?}", file.find("alice")).contains("c4Wo"), "no hash is printed");
    }

    #[test]
    fn users_with_hashes_that_cannot_be_used_cannot_log_in() {
        for hash in [
            "",
            "secret",
            "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "abJnggxhB/yWI",
            "$1$abc$def",
            "$2y$05$short",
            "$2y$31$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
            "$2y$+5$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC",
            "$6$rounds=999999999$salt$x",
            "$5$rounds=999999999$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
            "$5$rounds=10$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
            "$apr1$salt$short",
            "$argon2id$v=19$m=4294967295,t=3,p=4$c2FsdHNhbHQ$aGFzaA",
            "$argon2id$v=19$m=65536,p=4$c2FsdHNhbHQ$aGFzaA",
            "$argon2x$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaA",
        ] {
            let file = UserFile::parse(format!("mallory:{hash}").as_bytes()).unwrap();
            assert!(file.is_empty(), "{hash}");
            assert_eq!(file.warnings.len(), 1, "{hash}");
            assert!(hash.len() < 8 || !file.warnings[0].what.contains(hash), "the hash is not quoted");
        }
    }

    #[test]
    fn refuses_files_that_hold_no_users() {
        for (text, line) in [("alice\n", 1), ("\n#\n:x", 3), ("a\tb:x", 1), ("\u{1}:x", 1)] {
            assert_eq!(UserFile::parse(text.as_bytes()).unwrap_err().line, line, "{text:?}");
        }
        assert_eq!(UserFile::parse(b"alice:x\n\xff\xfe:x").unwrap_err().line, 2);
        let long = format!("{}:x", "u".repeat(256));
        assert!(UserFile::parse(long.as_bytes()).is_err());
    }
}
