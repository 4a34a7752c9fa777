//! Writing certificates and keys in the formats that other programs read.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair,
};
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use pem::{EncodeConfig, LineEnding, Pem};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{FileProblem, Identity, Password, key};

/// Rounds of key derivation in PKCS#12 that is written, for the key and for the MAC: Java's default. More
/// than a few ten thousand make the start of programs slow that read it at each.
const ROUNDS: u32 = 10_000;

fn encode(label: &str, der: &[u8]) -> String {
    // Line ends of Unix everywhere: other programs read them, and files stay comparable.
    pem::encode_config(&Pem::new(label, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

/// A certificate in PEM.
#[must_use]
pub fn certificate_pem(der: &CertificateDer<'_>) -> String {
    encode("CERTIFICATE", der)
}

/// Certificates in PEM, one after the other.
#[must_use]
pub fn chain_pem<'a>(chain: impl IntoIterator<Item = &'a CertificateDer<'a>>) -> String {
    chain.into_iter().map(certificate_pem).collect()
}

/// A private key in PEM, in PKCS#8.
///
/// # Errors
/// The key cannot be used.
pub fn key_pem(key: &PrivateKeyDer<'_>) -> Result<Zeroizing<String>, FileProblem> {
    Ok(Zeroizing::new(encode("PRIVATE KEY", &to_pkcs8(key)?)))
}

/// Certificate, chain, key, in this order: curl takes the first certificate for the own one, and all take
/// the key wherever it stands.
///
/// # Errors
/// The key cannot be used.
pub fn combined_pem(identity: &Identity) -> Result<Zeroizing<String>, FileProblem> {
    let mut text = Zeroizing::new(chain_pem(&identity.chain));
    text.push_str(&key_pem(&identity.key)?);
    Ok(text)
}

/// A PKCS#12 archive with a key and its chain, under an alias: a Java keystore.
///
/// # Errors
/// The key or a certificate cannot be used.
pub fn pkcs12(
    identity: &Identity,
    further: &[CertificateDer<'_>],
    alias: &str,
    password: &Password,
) -> Result<Vec<u8>, FileProblem> {
    let key = PrivateKey::from_der(&to_pkcs8(&identity.key)?).map_err(failed)?;
    let mut certificates = identity
        .chain
        .iter()
        .chain(further)
        .map(|der| Certificate::from_der(der).map_err(failed))
        .collect::<Result<Vec<_>, _>>()?;
    certificates.dedup();
    // Ties the key to its certificate. OpenSSL takes the certificate's SHA-1, Java the time; any bytes do.
    let id =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificates[0].as_der()).as_ref().to_vec();
    let mut store = KeyStore::new();
    store.add_entry(alias, KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new(id, key, certificates)));
    write(&store, password)
}

/// A PKCS#12 archive with trusted certificates and no key: a Java truststore.
///
/// # Errors
/// A certificate cannot be used.
pub fn pkcs12_truststore(
    certificates: &[CertificateDer<'_>],
    alias: &str,
    password: &Password,
) -> Result<Vec<u8>, FileProblem> {
    let mut store = KeyStore::new();
    for (index, der) in certificates.iter().enumerate() {
        let alias = if index == 0 { alias.to_owned() } else { format!("{alias}-{}", index + 1) };
        let certificate = Certificate::from_der(der).map_err(failed)?;
        store.add_entry(&alias, KeyStoreEntry::Certificate(certificate));
    }
    write(&store, password)
}

fn write(store: &KeyStore, password: &Password) -> Result<Vec<u8>, FileProblem> {
    let writer = store.writer(password.reveal()).encryption_iterations(ROUNDS).mac_iterations(ROUNDS);
    writer.write().map_err(failed)
}

fn failed(error: p12_keystore::error::Error) -> FileProblem {
    FileProblem::Pkcs12 { detail: error.to_string() }
}

/// The key in PKCS#8 (RFC 5208, version 1), which everything reads.
fn to_pkcs8(key: &PrivateKeyDer<'_>) -> Result<Zeroizing<Vec<u8>>, FileProblem> {
    // Says what is wrong with a key that cannot be used.
    key::signing(key)?;
    let der = key.secret_der();
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
        return pair
            .to_pkcs8v1()
            .map(|document| Zeroizing::new(document.as_ref().to_vec()))
            .map_err(|_| unusable());
    }
    if let PrivateKeyDer::Pkcs8(_) = key {
        return Ok(Zeroizing::new(der.to_vec()));
    }
    if let Ok(pair) = RsaKeyPair::from_der(der) {
        let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| unusable())?;
        return Ok(Zeroizing::new(document.as_ref().to_vec()));
    }
    let curves =
        [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING];
    let pair = curves.into_iter().find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, der).ok());
    let document = pair.and_then(|pair| pair.to_pkcs8v1().ok()).ok_or_else(unusable)?;
    Ok(Zeroizing::new(document.as_ref().to_vec()))
}

fn unusable() -> FileProblem {
    FileProblem::Key { detail: "it cannot be written as PKCS#8".to_owned() }
}
