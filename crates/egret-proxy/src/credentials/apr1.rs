//! Apache's variant of MD5-crypt, `$apr1$`, for files that still have it.
//!
//! Made by Poul-Henning Kamp for FreeBSD; Apache changed the prefix alone. 1000 rounds of MD5 are nothing
//! to whoever has stolen the file, which is why each such line is warned about. No crate of its own is
//! kept for it any more.

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

/// What stands before salt and digest, and goes into the digest as well.
const PREFIX: &str = "$apr1$";

/// Whether this is the password of a hash. False for what is no apr1 hash.
#[must_use]
pub(super) fn verify(password: &[u8], hash: &str) -> bool {
    let Some((salt, digest)) = hash.strip_prefix(PREFIX).and_then(|rest| rest.split_once('$')) else {
        return false;
    };
    let ours = encode(&digest_of(password, &salt.as_bytes()[..salt.len().min(8)]));
    ours.as_bytes().ct_eq(digest.as_bytes()).into()
}

fn digest_of(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let mut inner = Md5::new();
    for part in [password, salt, password] {
        inner.update(part);
    }
    let inner = inner.finalize();

    let mut outer = Md5::new();
    for part in [password, PREFIX.as_bytes(), salt] {
        outer.update(part);
    }
    for at in (0..password.len()).step_by(16) {
        outer.update(&inner[..16.min(password.len() - at)]);
    }
    let mut bits = password.len();
    while bits > 0 {
        outer.update(if bits & 1 == 1 { &[0] } else { &password[..1] });
        bits >>= 1;
    }
    let mut digest: [u8; 16] = outer.finalize().into();

    for round in 0..1000 {
        let mut next = Md5::new();
        next.update(if round % 2 == 1 { password } else { &digest });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if round % 2 == 1 { &digest } else { password });
        digest = next.finalize().into();
    }
    digest
}

/// crypt(3)'s own Base64, in the order of bytes that MD5-crypt has.
fn encode(digest: &[u8; 16]) -> String {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
    let mut text = String::with_capacity(22);
    let mut push = |mut bits: u32, characters: usize| {
        for _ in 0..characters {
            text.push(char::from(ALPHABET[(bits & 63) as usize]));
            bits >>= 6;
        }
    };
    for [first, second, third] in ORDER {
        let bits = u32::from(digest[first]) << 16 | u32::from(digest[second]) << 8 | u32::from(digest[third]);
        push(bits, 4);
    }
    push(u32::from(digest[11]), 2);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_openssl_and_htpasswd() {
        for (password, hash) in [
            ("secret", "$apr1$r31....$gnsoqlxyxQQ0Ot5JCwiei."),
            ("", "$apr1$r31....$A5PzYEv7Ur2kPK9l3HAPJ."),
            ("a long password with more than sixteen bytes in it", "$apr1$r31....$kgmVCcfrm11wesyBeKFAX1"),
            ("pässwörd", "$apr1$r31....$rPxHTLzrLC7ciIz3sQERJ1"),
            ("secret", "$apr1$0VKSSEzR$b5HyLBxuHacNBYDrnqec7/"),
        ] {
            assert!(verify(password.as_bytes(), hash), "{hash}");
            assert!(!verify(b"Secret", hash), "{hash}");
        }
        for wrong in ["", "$apr1$", "$apr1$salt", "$1$r31....$gnsoqlxyxQQ0Ot5JCwiei.", "$apr1$r31....$"] {
            assert!(!verify(b"secret", wrong), "{wrong}");
        }
    }
}
