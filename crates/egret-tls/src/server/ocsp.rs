//! OCSP responses to be stapled (RFC 6960): read so far as to know that one is for the certificate, good,
//! and not out of date. Whether its signature holds is the client's to check.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls_pki_types::UnixTime;

/// A response that can be stapled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Staple {
    /// The response in DER.
    pub(super) response: Vec<u8>,
    /// When it is out of date.
    pub(super) until: UnixTime,
}

/// Why a response cannot be stapled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadResponse {
    #[error("it is no OCSP response in DER (RFC 6960)")]
    Malformed,
    #[error("the responder answered with the error {0} (RFC 6960 section 4.2.1)")]
    Unsuccessful(u8),
    #[error("it is for another certificate")]
    OtherCertificate,
    #[error("it says that the certificate was revoked")]
    Revoked,
    #[error("it says that the responder does not know the certificate")]
    Unknown,
}

/// How long a response without `nextUpdate` is taken for fresh.
const WITHOUT_NEXT: Duration = Duration::from_secs(24 * 60 * 60);

const SEQUENCE: u8 = 0x30;
const ENUMERATED: u8 = 0x0a;
const OCTETS: u8 = 0x04;
const INTEGER: u8 = 0x02;
const GENERALIZED_TIME: u8 = 0x18;
const CONTEXT_0: u8 = 0xa0;

/// Reads a response for the certificate with this serial number (the content octets of the INTEGER).
pub(super) fn staple(response: &[u8], serial: &[u8]) -> Result<Staple, BadResponse> {
    let mut outer = Der(Der(response).whole(SEQUENCE)?);
    let status = outer.next(ENUMERATED)?;
    match status {
        [0] => {}
        [error] => return Err(BadResponse::Unsuccessful(*error)),
        _ => return Err(BadResponse::Malformed),
    }
    let mut bytes = Der(Der(outer.next(CONTEXT_0)?).whole(SEQUENCE)?);
    bytes.any()?; // The type; there is only one.
    let mut basic = Der(Der(bytes.next(OCTETS)?).whole(SEQUENCE)?);
    let mut data = Der(basic.next(SEQUENCE)?);
    data.optional(CONTEXT_0); // version
    data.any()?; // responderID
    data.next(GENERALIZED_TIME)?; // producedAt
    let mut singles = Der(data.next(SEQUENCE)?);
    while !singles.0.is_empty() {
        let mut single = Der(singles.next(SEQUENCE)?);
        let mut id = Der(single.next(SEQUENCE)?);
        for _ in 0..3 {
            id.any()?; // hash algorithm, and the issuer's name and key in hashes
        }
        if id.next(INTEGER)? != serial {
            continue;
        }
        let (status, _) = single.any()?;
        let this_update = time(single.next(GENERALIZED_TIME)?)?;
        let next_update = match single.optional(CONTEXT_0) {
            Some(explicit) => time(Der(explicit).whole(GENERALIZED_TIME)?)?,
            None => this_update + WITHOUT_NEXT,
        };
        return match status & 0x1f {
            0 => Ok(Staple { response: response.to_vec(), until: UnixTime::since_unix_epoch(next_update) }),
            1 => Err(BadResponse::Revoked),
            _ => Err(BadResponse::Unknown),
        };
    }
    Err(BadResponse::OtherCertificate)
}

/// `YYYYMMDDHHMMSSZ` (RFC 5280 section 4.1.2.5.2), as time since the epoch.
pub(crate) fn time(text: &[u8]) -> Result<Duration, BadResponse> {
    let text =
        std::str::from_utf8(text).ok().filter(|text| text.len() == 15).ok_or(BadResponse::Malformed)?;
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).map_err(|_| BadResponse::Malformed)?;
    let time = time.to_zoned(TimeZone::UTC).map_err(|_| BadResponse::Malformed)?;
    let seconds = u64::try_from(time.timestamp().as_second()).map_err(|_| BadResponse::Malformed)?;
    Ok(Duration::from_secs(seconds))
}

/// As much of DER as is needed: one value after the other.
pub(crate) struct Der<'a>(pub(crate) &'a [u8]);

impl<'a> Der<'a> {
    /// The next value: tag and content.
    pub(crate) fn any(&mut self) -> Result<(u8, &'a [u8]), BadResponse> {
        let read = |bytes: &'a [u8]| {
            let (tag, rest) = bytes.split_first()?;
            let (first, rest) = rest.split_first()?;
            let (length, rest) = match first {
                short @ 0..=0x7f => (usize::from(*short), rest),
                long @ 0x81..=0x83 => {
                    let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                    (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
                }
                _ => return None,
            };
            let (content, rest) = rest.split_at_checked(length)?;
            Some((*tag, content, rest))
        };
        let (tag, content, rest) = read(self.0).ok_or(BadResponse::Malformed)?;
        self.0 = rest;
        Ok((tag, content))
    }

    pub(crate) fn next(&mut self, tag: u8) -> Result<&'a [u8], BadResponse> {
        match self.any()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(BadResponse::Malformed),
        }
    }

    /// The next value with its tag and length, as it is signed, and its content alone.
    pub(crate) fn with_raw(&mut self, tag: u8) -> Result<(&'a [u8], &'a [u8]), BadResponse> {
        let before = self.0;
        let content = self.next(tag)?;
        Ok((&before[..before.len() - self.0.len()], content))
    }

    pub(crate) fn optional(&mut self, tag: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&tag) { self.next(tag).ok() } else { None }
    }

    /// The only value there is.
    pub(crate) fn whole(mut self, tag: u8) -> Result<&'a [u8], BadResponse> {
        let content = self.next(tag)?;
        if self.0.is_empty() { Ok(content) } else { Err(BadResponse::Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_response() {
        for bytes in [&b""[..], b"hello", &[0x30, 0x03, 0x0a, 0x01], &[0x30, 0x80], &[0x30, 0x84, 1, 1, 1, 1]]
        {
            assert_eq!(staple(bytes, &[1]), Err(BadResponse::Malformed), "{bytes:?}");
        }
        // tryLater
        assert_eq!(staple(&[0x30, 0x03, 0x0a, 0x01, 0x03], &[1]), Err(BadResponse::Unsuccessful(3)));
    }

    #[test]
    fn reads_times() {
        assert_eq!(time(b"19700102000000Z"), Ok(Duration::from_secs(86_400)));
        for text in [&b"19700102000000"[..], b"1970010200000Z", b"19701302000000Z", b"\xff"] {
            assert_eq!(time(text), Err(BadResponse::Malformed));
        }
    }
}
