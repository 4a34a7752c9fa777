//! Whether a certificate would be accepted: the verifier that rustls uses, asked apart from a connection.

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

/// What the peer would take the certificate for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// A server's, to clients.
    Server,
    /// A client's, to servers that ask for one.
    Client,
}

/// Verifies a certificate up to one of the roots, as a peer does in the handshake: signatures, validity, uses,
/// name constraints. Host names are apart, see [`host`]. Roots are trusted whatever is in them, but for their
/// name constraints.
///
/// # Errors
/// What rustls would refuse it for. Work is bounded, as it is there.
pub fn chain(
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    roots: &[CertificateDer<'_>],
    usage: Usage,
    now: Timestamp,
) -> Result<(), Error> {
    let certificate = EndEntityCert::try_from(certificate)?;
    // A root that cannot be parsed is one that is not there.
    let anchors: Vec<_> = roots.iter().filter_map(|der| webpki::anchor_from_trusted_cert(der).ok()).collect();
    let usage = match usage {
        Usage::Server => KeyUsage::server_auth(),
        Usage::Client => KeyUsage::client_auth(),
    };
    let since_epoch = std::time::Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
    let time = UnixTime::since_unix_epoch(since_epoch);
    certificate.verify_for_usage(algorithms, &anchors, intermediates, time, usage, None, None)?;
    Ok(())
}

/// Verifies that a certificate is for this host (RFC 9525): names of it are in subjectAltName, nowhere else.
///
/// # Errors
/// It is not, or cannot be parsed.
pub fn host(certificate: &CertificateDer<'_>, host: &ServerName<'_>) -> Result<(), Error> {
    EndEntityCert::try_from(certificate)?.verify_is_valid_for_subject_name(host)
}
