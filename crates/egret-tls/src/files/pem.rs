//! PEM (RFC 7468): which sections a text has, and what is in them. The base64 is decoded by
//! `rustls-pki-types`, in constant time for keys; this finds the sections, so that errors have a line and
//! nothing unknown is passed over without a word.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use zeroize::Zeroizing;

use super::contents::{Item, ItemKind};
use super::{FileProblem, Limit};

/// The sections of a PEM text, in order. What stands between them is comment.
pub(super) fn items(text: &[u8]) -> Result<Vec<Item>, FileProblem> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut items = Vec::new();
    let mut open: Option<Open<'_>> = None;
    let mut offset = 0;
    for (index, raw) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let (start, line) = (offset, index + 1);
        offset += raw.len();
        let content = raw.trim_ascii_end();
        match (boundary(content, line)?, &open) {
            (None, _) => {}
            (Some(Boundary::Begin(label)), None) => open = Some(Open { label, line, body: offset }),
            (Some(Boundary::Begin(_)), Some(section)) => return Err(section.unfinished()),
            (Some(Boundary::End(_)), None) => {
                return Err(damaged(line, "an END line without its BEGIN line"));
            }
            (Some(Boundary::End(label)), Some(section)) => {
                if section.label != label {
                    return Err(damaged(line, "the END line does not fit the BEGIN line"));
                }
                items.push(section.item(&text[section.body..start])?);
                if items.len() > Limit::ITEMS {
                    return Err(FileProblem::TooMany { name: "certificate file items", limit: Limit::ITEMS });
                }
                open = None;
            }
        }
    }
    match open {
        Some(section) => Err(section.unfinished()),
        None => Ok(items),
    }
}

fn damaged(line: usize, detail: impl Into<String>) -> FileProblem {
    FileProblem::Pem { line, detail: detail.into() }
}

enum Boundary<'a> {
    Begin(&'a [u8]),
    End(&'a [u8]),
}

fn boundary(content: &[u8], line: usize) -> Result<Option<Boundary<'_>>, FileProblem> {
    let (begin, rest) = match (content.strip_prefix(b"-----BEGIN "), content.strip_prefix(b"-----END ")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        (None, None) if content.trim_ascii_start().starts_with(b"-----BEGIN ") => {
            return Err(damaged(line, "the line is indented, and PEM starts at the beginning of the line"));
        }
        (None, None) => return Ok(None),
    };
    match rest.strip_suffix(b"-----") {
        Some(label) if !label.contains(&b'-') && label.len() <= Limit::LABEL => {
            Ok(Some(if begin { Boundary::Begin(label) } else { Boundary::End(label) }))
        }
        _ if rest.windows(2).any(|pair| pair == b"\\n") => {
            Err(damaged(line, "the line ends are written out as \\n, and must be real ones"))
        }
        _ => Err(damaged(line, "the line does not end after the five hyphens")),
    }
}

struct Open<'a> {
    label: &'a [u8],
    line: usize,
    /// Where the line after BEGIN starts in the text.
    body: usize,
}

impl Open<'_> {
    fn unfinished(&self) -> FileProblem {
        let label = String::from_utf8_lossy(self.label);
        damaged(self.line, format!("the section {label:?} that begins here has no END line"))
    }

    /// The item of this section, whose lines between BEGIN and END are given.
    fn item(&self, body: &[u8]) -> Result<Item, FileProblem> {
        let kind = match self.label {
            // "X509 CERTIFICATE" and "NEW CERTIFICATE REQUEST" are OpenSSL's older names.
            b"CERTIFICATE" | b"X509 CERTIFICATE" => ItemKind::Certificate(self.public(body)?.into()),
            b"X509 CRL" => ItemKind::Crl(self.public(body)?.into()),
            b"CERTIFICATE REQUEST" | b"NEW CERTIFICATE REQUEST" => ItemKind::Csr(self.public(body)?.into()),
            b"PUBLIC KEY" => ItemKind::PublicKey(self.public(body)?.into()),
            b"ENCRYPTED PRIVATE KEY" => ItemKind::EncryptedKey(self.public(body)?),
            // Encrypted as in RFC 1421, with a key made by MD5: nothing to support.
            b"RSA PRIVATE KEY" | b"EC PRIVATE KEY" if body.starts_with(b"Proc-Type:") => {
                ItemKind::LegacyEncryptedKey
            }
            b"RSA PRIVATE KEY" => ItemKind::Key(PrivatePkcs1KeyDer::from(self.secret(body)?).into()),
            b"EC PRIVATE KEY" => ItemKind::Key(PrivateSec1KeyDer::from(self.secret(body)?).into()),
            b"PRIVATE KEY" => ItemKind::Key(PrivatePkcs8KeyDer::from(self.secret(body)?).into()),
            other => ItemKind::Other(String::from_utf8_lossy(other).into_owned()),
        };
        Ok(Item { line: Some(self.line), kind })
    }

    fn public(&self, body: &[u8]) -> Result<Vec<u8>, FileProblem> {
        let text = wrapped(body, "CERTIFICATE");
        let der = CertificateDer::from_pem_slice(&text).map_err(|_| self.not_base64())?;
        if der.is_empty() { Err(self.not_base64()) } else { Ok(der.to_vec()) }
    }

    /// The same in constant time (and wiped by the key's own type).
    fn secret(&self, body: &[u8]) -> Result<Vec<u8>, FileProblem> {
        let text = wrapped(body, "PRIVATE KEY");
        let der = PrivatePkcs8KeyDer::from_pem_slice(&text).map_err(|_| self.not_base64())?;
        let der = der.secret_pkcs8_der();
        if der.is_empty() { Err(self.not_base64()) } else { Ok(der.to_vec()) }
    }

    /// The library's own words may quote the line, which may be of a key.
    fn not_base64(&self) -> FileProblem {
        damaged(self.line, "the section that begins here does not hold base64")
    }
}

/// The body under a label that the library decodes.
fn wrapped(body: &[u8], label: &str) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(body.len() + 2 * label.len() + 40));
    text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in body.split(|byte| *byte == b'\n') {
        text.extend_from_slice(line.trim_ascii());
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    text
}
