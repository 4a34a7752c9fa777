//! Reading `Proxy-Authorization` (RFC 9110 section 11.7.2): Basic (RFC 7617) and Bearer (RFC 6750).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egret_core::htpasswd::MAX_USER_BYTES;
use zeroize::Zeroizing;

/// The longest password, in bytes. SHA-crypt takes time by its square.
pub const MAX_PASSWORD_BYTES: usize = 512;

/// The longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Schemes that clients are known to send (the IANA registry, and NTLM).
const SCHEMES: [&str; 8] =
    ["Digest", "DPoP", "GNAP", "Negotiate", "NTLM", "OAuth", "SCRAM-SHA-256", "Kerberos"];

/// Base64 of the longest user name and password.
const MAX_BASIC: usize = (MAX_USER_BYTES + 1 + MAX_PASSWORD_BYTES).div_ceil(3) * 4;

/// Base64 of the longest user name and token.
const MAX_BASIC_WITH_TOKEN: usize = (MAX_USER_BYTES + 1 + MAX_TOKEN_BYTES).div_ceil(3) * 4;

/// A user name and a password. Never printed; the password is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name: 1 to 255 bytes, no colon, no control characters.
    pub user: String,
    /// The password: up to 512 bytes, no control characters. It may be empty, which nobody's is.
    pub password: Zeroizing<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(..)")
    }
}

/// What a client sends to prove who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Offered {
    /// A user name and a password.
    Basic(Login),
    /// A token, in the characters that RFC 6750 section 2.1 allows.
    Bearer(Zeroizing<String>),
    /// A scheme that is not spoken here. One that nobody knows has no name: it may well be a password in
    /// the wrong place.
    Other(Option<&'static str>),
}

impl std::fmt::Debug for Offered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic(_) => "Basic(..)",
            Self::Bearer(_) => "Bearer(..)",
            Self::Other(_) => "Other(..)",
        })
    }
}

/// Credentials that cannot be read. The words never quote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The field stands more than once, so that two readers could take two different users.
    #[error("Proxy-Authorization stands more than once")]
    Twice,
    /// No scheme.
    #[error("Proxy-Authorization does not begin with the name of a scheme")]
    Scheme,
    /// A scheme and nothing behind it.
    #[error("there is nothing behind the scheme")]
    Empty,
    /// What follows `Basic` is no Base64.
    #[error("what follows `Basic` is not Base64 (RFC 4648 section 4)")]
    Base64,
    /// No colon between user name and password.
    #[error("there is no colon between user name and password")]
    Colon,
    /// No user name.
    #[error("the user name is empty")]
    NoUser,
    /// The user name is too long.
    #[error("the user name is longer than {MAX_USER_BYTES} bytes")]
    LongUser,
    /// The password is too long.
    #[error("the password is longer than {MAX_PASSWORD_BYTES} bytes")]
    LongPassword,
    /// A control character.
    #[error("user name or password holds a control character (RFC 7617 section 2)")]
    Control,
    /// What follows `Bearer` is no token.
    #[error("what follows `Bearer` is not a token (RFC 6750 section 2.1)")]
    Token,
    /// The token is too long.
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    LongToken,
}

/// Reads the value of `Proxy-Authorization`. `may_hold_token`: the password of Basic may be a signed token, and
/// then as long as one.
///
/// # Errors
/// What is wrong with it.
pub fn parse(value: &[u8], may_hold_token: bool) -> Result<Offered, Malformed> {
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if !crate::http1::fields::is_token(scheme) {
        return Err(Malformed::Scheme);
    }
    let rest = crate::http1::fields::trim(rest);
    if scheme.eq_ignore_ascii_case(b"Basic") {
        return basic(rest, may_hold_token).map(Offered::Basic);
    }
    if scheme.eq_ignore_ascii_case(b"Bearer") {
        return bearer(rest).map(Offered::Bearer);
    }
    Ok(Offered::Other(SCHEMES.into_iter().find(|known| scheme.eq_ignore_ascii_case(known.as_bytes()))))
}

fn basic(encoded: &[u8], may_hold_token: bool) -> Result<Login, Malformed> {
    if encoded.is_empty() {
        return Err(Malformed::Empty);
    }
    // Whatever is longer is too long in one of its parts; which, nobody needs to decode to know.
    if encoded.len() > (if may_hold_token { MAX_BASIC_WITH_TOKEN } else { MAX_BASIC }) {
        return Err(Malformed::LongPassword);
    }
    let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| Malformed::Base64)?);
    // Challenges ask for UTF-8. What is none comes from clients that know only the older encoding, of
    // which every byte is a character (RFC 7617 appendix B.3).
    let text = Zeroizing::new(match std::str::from_utf8(&bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    });
    let (user, password) = text.split_once(':').ok_or(Malformed::Colon)?;
    if may_hold_token && is_jwt(password) {
        // The name is nobody's: the token says whose it is.
        login(user, "")?;
        return Ok(Login { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) });
    }
    login(user, password)
}

/// Whether a text has the form of a signed token (RFC 7515 section 7.1): three parts in Base64 without padding,
/// of which the first is an object.
#[must_use]
pub fn is_jwt(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    // `{"` is `eyJ`, whatever follows.
    text.len() <= MAX_TOKEN_BYTES
        && text.starts_with("eyJ")
        && text.split('.').count() == 3
        && text.split('.').all(is_part)
}

/// A login from its parts, however they came.
///
/// # Errors
/// What is wrong with them.
pub fn login(user: &str, password: &str) -> Result<Login, Malformed> {
    if user.is_empty() {
        return Err(Malformed::NoUser);
    }
    if user.len() > MAX_USER_BYTES {
        return Err(Malformed::LongUser);
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(Malformed::LongPassword);
    }
    if user.chars().chain(password.chars()).any(char::is_control) {
        return Err(Malformed::Control);
    }
    Ok(Login { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) })
}

fn bearer(token: &[u8]) -> Result<Zeroizing<String>, Malformed> {
    if token.is_empty() {
        return Err(Malformed::Empty);
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Malformed::LongToken);
    }
    let is_token68 = token.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte));
    let text = std::str::from_utf8(token).ok().filter(|_| is_token68).ok_or(Malformed::Token)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(value: &str, user: &str, password: &str) {
        let login = login(user, password).unwrap();
        assert_eq!(parse(value.as_bytes(), false), Ok(Offered::Basic(login)), "{value}");
    }

    fn encoded(text: &[u8]) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn reads_the_examples_of_rfc_7617() {
        reads("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame");
        reads("basic   dGVzdDoxMjPCow== ", "test", "123\u{a3}");
        reads(&encoded(b"test:123\xa3"), "test", "123\u{a3}");
        reads(&encoded(b"alice:with:colons"), "alice", "with:colons");
        reads(&encoded(b"alice:"), "alice", "");
    }

    #[test]
    fn refuses_basic_that_is_malformed() {
        let long_user = encoded(format!("{}:p", "u".repeat(256)).as_bytes());
        let long_password = encoded(format!("u:{}", "p".repeat(513)).as_bytes());
        for (value, error) in [
            ("Basic", Malformed::Empty),
            ("Basic ", Malformed::Empty),
            ("Basic !!!", Malformed::Base64),
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", Malformed::Base64),
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ== x", Malformed::Base64),
            ("Basic QWxhZGRpbg==", Malformed::Colon),
            (&encoded(b":secret"), Malformed::NoUser),
            (&encoded(b"a\0b:secret"), Malformed::Control),
            (&encoded(b"alice:se\ncret"), Malformed::Control),
            (&encoded(b"alice:se\x7fcret"), Malformed::Control),
            (&long_user, Malformed::LongUser),
            (&long_password, Malformed::LongPassword),
            (&format!("Basic {}", "A".repeat(60_000)), Malformed::LongPassword),
            ("", Malformed::Scheme),
            ("\u{1}", Malformed::Scheme),
            ("Basic,x", Malformed::Scheme),
        ] {
            assert_eq!(parse(value.as_bytes(), false), Err(error), "{value}");
        }
    }

    #[test]
    fn reads_tokens_and_names_other_schemes() {
        assert_eq!(
            parse(b"Bearer a.b-c_d~e+f/g==", false),
            Ok(Offered::Bearer(Zeroizing::new("a.b-c_d~e+f/g==".into())))
        );
        assert_eq!(parse(b"bearer a b", false), Err(Malformed::Token));
        assert_eq!(parse(b"Bearer \xff", false), Err(Malformed::Token));
        assert_eq!(parse(b"Bearer ", false), Err(Malformed::Empty));
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
        assert_eq!(parse(long.as_bytes(), false), Err(Malformed::LongToken));
        assert_eq!(parse(b"NTLM TlRMTVNTUAAB", false), Ok(Offered::Other(Some("NTLM"))));
    }

    #[test]
    fn takes_a_token_for_a_password_where_tokens_are_taken() {
        let token = format!("eyJhbGciOiJSUzI1NiJ9.{}.{}", "a".repeat(900), "b".repeat(342));
        let value = encoded(format!("anybody:{token}").as_bytes());
        let Ok(Offered::Basic(login)) = parse(value.as_bytes(), true) else { panic!() };
        assert!(is_jwt(&login.password) && login.user == "anybody");
        assert_eq!(parse(value.as_bytes(), false), Err(Malformed::LongPassword));
        for text in ["", "eyJ", "eyJhbGciOiJSUzI1NiJ9.e30", "eyJ..x", "eyJ.a.b.c", "eyJ.a!.b", "a.b.c"] {
            assert!(!is_jwt(text), "{text}");
        }
        let long = encoded(format!("a:{}", "p".repeat(1000)).as_bytes());
        assert_eq!(parse(long.as_bytes(), true), Err(Malformed::LongPassword), "that is no token");
    }

    #[test]
    fn a_password_in_the_wrong_place_is_no_name_of_a_scheme() {
        assert_eq!(parse(b"YWxpY2U6c2VjcmV0", false), Ok(Offered::Other(None)));
    }

    #[test]
    fn nothing_of_it_is_printed() {
        for value in [&b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="[..], b"Bearer secret", b"Secret secret"] {
            let text = format!("{:?}", parse(value, false).unwrap());
            assert!(
                !text.contains("secret") && !text.contains("Aladdin") && !text.contains("sesame"),
                "{text}"
            );
        }
    }
}
