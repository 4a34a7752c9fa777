//! A failed handshake, told so that somebody can act on it.

use jiff::Timestamp;
use rustls::{CertificateError, Error};
use rustls_pki_types::UnixTime;

use crate::upstream::Problem;

/// Names of a certificate that are listed at most; some have hundreds.
const NAMES_LISTED: usize = 6;

/// What went wrong with a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsProblem {
    /// The certificate is at fault, not the protocol.
    pub certificate: bool,
    /// What is wrong, as a clause without a subject: "its certificate expired on …".
    pub detail: String,
}

/// Explains an error of a handshake as client.
#[must_use]
pub fn explain(error: &Error) -> TlsProblem {
    let protocol = |detail: String| TlsProblem { certificate: false, detail };
    match error {
        Error::InvalidCertificate(error) => TlsProblem { certificate: true, detail: certificate(error) },
        Error::NoCertificatesPresented => {
            TlsProblem { certificate: true, detail: "it presented no certificate".to_owned() }
        }
        Error::InvalidMessage(_) => protocol(format!(
            "it answered with something that is not TLS, as a port for plain HTTP does ({error})"
        )),
        Error::AlertReceived(alert) => protocol(format!("it refused the handshake with the alert {alert:?}")),
        Error::PeerIncompatible(_) => {
            protocol(format!("it speaks no version or cipher that is accepted ({error})"))
        }
        Error::NoApplicationProtocol => protocol("it speaks none of the protocols offered (ALPN)".to_owned()),
        other => protocol(format!("the handshake failed: {other}")),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate expired on {}", time(*not_after))
        }
        CertificateError::Expired => "its certificate has expired".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate is not valid before {}", time(*not_before))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("its certificate is not for {}; it is for {}", expected.to_str(), names(presented))
        }
        CertificateError::UnknownIssuer => {
            "its certificate is signed by a CA that is not trusted here, or by itself, or an intermediate certificate is missing"
                .to_owned()
        }
        CertificateError::Other(other) if other.0.is::<Problem>() => {
            other.0.downcast_ref::<Problem>().map(Problem::what).unwrap_or_default()
        }
        CertificateError::Other(other)
            if other.0.to_string().contains("CaUsedAsEndEntity") =>
        {
            "its certificate is a CA's (CA:TRUE) and not a server's; a self-signed certificate made for a server is usually of this kind"
                .to_owned()
        }
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        CertificateError::BadSignature => "its certificate has a signature that does not fit".to_owned(),
        other => format!("its certificate is not acceptable: {other}"),
    }
}

/// rustls prints names of a certificate in Rust's debug form, as `DnsName("a.test")`.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name at all (it has no subjectAltName)".to_owned();
    }
    let plain = |name: &String| match (name.find('"'), name.rfind('"')) {
        (Some(first), Some(last)) if first < last => name[first + 1..last].to_owned(),
        _ => name.clone(),
    };
    let mut listed: Vec<String> = presented.iter().take(NAMES_LISTED).map(plain).collect();
    if presented.len() > NAMES_LISTED {
        listed.push(format!("{} more", presented.len() - NAMES_LISTED));
    }
    listed.join(", ")
}

pub(crate) fn time(at: UnixTime) -> String {
    i64::try_from(at.as_secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(|| "an unreadable date".to_owned(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::ServerName;

    use super::*;

    fn detail(error: CertificateError) -> String {
        let problem = explain(&Error::InvalidCertificate(error));
        assert!(problem.certificate);
        problem.detail
    }

    #[test]
    fn says_since_when_a_certificate_is_expired() {
        let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let text =
            detail(CertificateError::ExpiredContext { time: at(2_000_000_000), not_after: at(86_400) });
        assert_eq!(text, "its certificate expired on 1970-01-02T00:00:00Z");
    }

    #[test]
    fn lists_the_names_a_certificate_has_but_not_hundreds() {
        let expected = || ServerName::try_from("a.test").unwrap();
        let presented = vec!["DnsName(\"b.test\")".to_owned()];
        let text = detail(CertificateError::NotValidForNameContext { expected: expected(), presented });
        assert_eq!(text, "its certificate is not for a.test; it is for b.test");
        let presented = (0..200).map(|i| format!("n{i}.test")).collect();
        let text = detail(CertificateError::NotValidForNameContext { expected: expected(), presented });
        assert!(text.ends_with("n5.test, 194 more"), "{text}");
    }

    #[test]
    fn tells_certificates_from_protocol() {
        assert!(!explain(&Error::AlertReceived(rustls::AlertDescription::HandshakeFailure)).certificate);
        assert!(explain(&Error::NoCertificatesPresented).certificate);
    }
}
