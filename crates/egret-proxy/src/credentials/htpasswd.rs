//! Passwords of an htpasswd file. What is here takes long on purpose and blocks: never call it on a
//! thread that serves clients.

use std::collections::HashMap;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc;
use egret_core::htpasswd::{HashScheme, PasswordHash, UserFile};
use sha_crypt::ShaCrypt;

use super::apr1;

/// What an unknown user is checked against when the file has no hash at all. The password is unknown.
const NOBODYS: &str = "$2y$10$qZSOD9ZYhXMWTlk9Lfrwy.KSixt1cUwMfsOXM9LobovemqXFWW/Li";

/// Whether a password is that of a hash. The comparison takes the same time wherever the two differ; the
/// computation as long as the hash says. bcrypt looks at the first 72 bytes alone.
#[must_use]
pub fn verify(password: &str, hash: &PasswordHash) -> bool {
    let (password, text) = (password.as_bytes(), &*hash.text);
    match hash.scheme {
        HashScheme::Bcrypt => bcrypt::verify(password, text).unwrap_or(false),
        HashScheme::Sha256Crypt | HashScheme::Sha512Crypt => {
            ShaCrypt::default().verify_password(password, text).is_ok()
        }
        HashScheme::Argon2 => phc::PasswordHash::new(text)
            .is_ok_and(|parsed| Argon2::default().verify_password(password, &parsed).is_ok()),
        HashScheme::Apr1 => apr1::verify(password, text),
    }
}

/// The users of a file, and what the unknown ones are checked against, so that the time of an answer
/// does not tell whether there is such a user.
#[derive(Debug)]
pub(super) struct Users {
    file: Arc<UserFile>,
    decoy: PasswordHash,
}

impl Users {
    pub(super) fn new(file: Arc<UserFile>) -> Self {
        let decoy =
            most_common(&file).unwrap_or(PasswordHash { scheme: HashScheme::Bcrypt, text: NOBODYS.into() });
        Self { file, decoy }
    }

    /// Whether the file has this user.
    pub(super) fn has(&self, user: &str) -> bool {
        self.file.find(user).is_some()
    }

    /// The user's name, when this is the password.
    pub(super) fn check(&self, user: &str, password: &str) -> Option<Arc<str>> {
        match self.file.find(user) {
            Some((name, hash)) => verify(password, hash).then(|| name.clone()),
            None => {
                let _ = verify(password, &self.decoy);
                None
            }
        }
    }
}

/// A hash of the kind that most users have.
fn most_common(file: &UserFile) -> Option<PasswordHash> {
    let mut kinds: HashMap<HashScheme, (usize, &PasswordHash)> = HashMap::new();
    for (_, hash) in file.iter() {
        kinds.entry(hash.scheme).or_insert((0, hash)).0 += 1;
    }
    kinds.into_values().max_by_key(|(count, _)| *count).map(|(_, hash)| hash.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> PasswordHash {
        PasswordHash { scheme: HashScheme::of(text).unwrap(), text: text.into() }
    }

    /// Made by htpasswd, `openssl passwd` and `argon2`; the last of each SHA-crypt is of its specification.
    const KNOWN: &[(&str, &str)] = &[
        ("correct horse", "$2y$05$770vgo/R/OfiiC7fRoMpXOzqCSF2dsWNP4VS6g2VbV47QOvGK9LHC"),
        ("secret", "$5$Nr9VaV4EwyBpcLAl$E3gzF20.MKiHq8v3VB6eU4CtHXpHCqQidCkBbLXdGJB"),
        ("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
        ("Hello world!", "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"),
        (
            "secret",
            "$6$rounds=10000$Xh/2J16nhVtcPMvS$TezSizvsxSbu13eLLXn.XoV4hWHBuYF9H05hF9WvM/j9vRiACZBJedw2cZluZAiXk8shophAgwd1q6OyPAovf/",
        ),
        (
            "Hello world!",
            "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        ),
        ("secret", "$argon2id$v=19$m=1024,t=2,p=1$c29tZXNhbHQ$L+Zv6RUcZHNM8MRv8NxKmDbA+W2z7wbsR1KkBvCYVuU"),
        ("secret", "$argon2i$v=19$m=1024,t=2,p=2$c29tZXNhbHQ$nTZI3fcA1G+wLtuUyA+a8WNID8pieVlzxGC7V4ONz70"),
        ("secret", "$apr1$0VKSSEzR$b5HyLBxuHacNBYDrnqec7/"),
    ];

    #[test]
    fn agrees_with_the_programs_that_made_the_hashes() {
        for (password, text) in KNOWN {
            assert!(verify(password, &hash(text)), "{text}");
            assert!(!verify("wrong", &hash(text)), "{text}");
            assert!(!verify("", &hash(text)), "{text}");
        }
    }

    #[test]
    fn the_unknown_are_checked_like_the_known() {
        let text = format!("alice:{}\nbob:{}\ncarol:{}\n", KNOWN[0].1, KNOWN[0].1, KNOWN[1].1);
        let users = Users::new(Arc::new(UserFile::parse(text.as_bytes()).unwrap()));
        assert_eq!(users.decoy.scheme, HashScheme::Bcrypt);
        assert_eq!(users.check("alice", "correct horse").as_deref(), Some("alice"));
        assert_eq!(users.check("mallory", "correct horse"), None, "the decoy's password opens nothing");
        assert!(users.has("bob") && !users.has("mallory"));
        let nobody = Users::new(Arc::default());
        assert_eq!(nobody.check("", ""), None);
        assert_eq!(HashScheme::of(NOBODYS), Ok(HashScheme::Bcrypt), "its computation takes its time");
    }
}
