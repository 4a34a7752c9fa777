use std::path::{Path, PathBuf};

use p12_keystore::{Certificate as P12Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use pkcs8::PrivateKeyInfoRef;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::*;

/// A root, an intermediate and a leaf.
struct Chain {
    root: rcgen::Certificate,
    middle: rcgen::Certificate,
    leaf: rcgen::Certificate,
    key: KeyPair,
}

fn params(name: &str, ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec![format!("{name}.test")]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

fn chain() -> Chain {
    let (root_key, middle_key, key) =
        (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root = params("root", true).self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(params("root", true), root_key);
    let middle = params("middle", true).signed_by(&middle_key, &root_issuer).unwrap();
    let middle_issuer = Issuer::new(params("middle", true), middle_key);
    let leaf = params("leaf", false).signed_by(&key, &middle_issuer).unwrap();
    Chain { root, middle, leaf, key }
}

fn identity(certificate: &str, key: Option<&str>) -> Result<Identity, FileError> {
    identity_with(certificate.as_bytes(), key.map(str::as_bytes), None)
}

fn identity_with(
    certificate: &[u8],
    key: Option<&[u8]>,
    password: Option<&str>,
) -> Result<Identity, FileError> {
    let password = password.map(|text| Password::new(text.to_owned()));
    let key = key.map(|bytes| (Path::new("tls.key"), bytes));
    identity_from_bytes((Path::new("tls.crt"), certificate), key, password.as_ref())
}

fn problem(certificate: &str, key: Option<&str>) -> FileProblem {
    identity(certificate, key).unwrap_err().problem
}

fn p12(chain: &Chain, password: &str) -> Vec<u8> {
    let key = PrivateKey::from_der(chain.key.serialized_der()).unwrap();
    let certificates = [&chain.leaf, &chain.middle, &chain.root]
        .map(|certificate| P12Certificate::from_der(certificate.der()).unwrap());
    let mut store = KeyStore::new();
    store.add_entry("leaf", KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new("1", key, certificates)));
    store.writer(password).encryption_iterations(1000).mac_iterations(1000).write().unwrap()
}

#[test]
fn reads_separate_files() {
    let chain = chain();
    let pem = format!("# ours\n{}{}", chain.leaf.pem(), chain.middle.pem());
    let identity = identity(&pem, Some(&chain.key.serialize_pem())).unwrap();
    assert_eq!(identity.chain, [chain.leaf.der().clone(), chain.middle.der().clone()]);
    assert_eq!(identity.key.secret_der(), chain.key.serialized_der());
    assert!(!format!("{identity:?}").contains(&format!("{:?}", &chain.key.serialized_der()[..8])));
}

#[test]
fn reads_a_combined_file_whatever_its_order_and_line_ends() {
    let chain = chain();
    let key_last = format!("{}{}{}", chain.leaf.pem(), chain.middle.pem(), chain.key.serialize_pem());
    let key_first = format!("{}{}{}", chain.key.serialize_pem(), chain.leaf.pem(), chain.middle.pem());
    for pem in [&key_last, &key_first, &key_last.replace('\n', "\r\n"), &format!("\u{feff}{key_last}")] {
        assert_eq!(identity(pem, None).unwrap().chain.len(), 2);
    }
}

#[test]
fn reads_pkcs12_and_puts_its_chain_in_order() {
    let chain = chain();
    let identity = identity_with(&p12(&chain, "geheim"), None, Some("geheim")).unwrap();
    let expected = [&chain.leaf, &chain.middle, &chain.root].map(|certificate| certificate.der().clone());
    assert_eq!(identity.chain, expected);
    assert_eq!(identity.key.secret_der(), chain.key.serialized_der());
}

#[test]
fn refuses_pkcs12_without_its_password() {
    let bytes = p12(&chain(), "geheim");
    let problem = |password| identity_with(&bytes, None, password).unwrap_err().problem;
    assert_eq!(problem(None), FileProblem::PasswordNeeded { what: "the PKCS#12 file" });
    assert_eq!(problem(Some("falsch")), FileProblem::WrongPassword { what: "the PKCS#12 file" });
}

#[test]
fn reads_an_encrypted_key_with_its_password_only() {
    let chain = chain();
    let der = chain.key.serialize_der();
    let encrypted = PrivateKeyInfoRef::try_from(der.as_slice()).unwrap();
    let parameters =
        pkcs8::pkcs5::pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(1000, &[1; 16], [2; 16]).unwrap();
    let encrypted = encrypted.encrypt_with_params(parameters, "geheim").unwrap();
    let pem = encrypted.to_pem("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::LF).unwrap();
    let read = |password| identity_with(chain.leaf.pem().as_bytes(), Some(pem.as_bytes()), password);
    assert_eq!(read(Some("geheim")).unwrap().key.secret_der(), der);
    assert_eq!(read(None).unwrap_err().problem, FileProblem::PasswordNeeded { what: "its private key" });
    assert_eq!(
        read(Some("falsch")).unwrap_err().problem,
        FileProblem::WrongPassword { what: "its private key" }
    );
}

#[test]
fn refuses_the_key_of_another_certificate_and_names_both_files() {
    let error = identity(&chain().leaf.pem(), Some(&chain().key.serialize_pem())).unwrap_err();
    assert_eq!(error.path, PathBuf::from("tls.key"));
    assert!(
        error.to_string().contains("does not belong to the certificate of CN=leaf in tls.crt"),
        "{error}"
    );
}

#[test]
fn refuses_a_chain_in_the_wrong_order_and_says_which_one_goes_where() {
    let chain = chain();
    let key = chain.key.serialize_pem();
    let (leaf, middle, root) = (chain.leaf.pem(), chain.middle.pem(), chain.root.pem());
    for (pem, place, found) in [
        (format!("{middle}{leaf}"), 1, 2),
        (format!("{root}{middle}{leaf}"), 1, 3),
        (format!("{leaf}{root}{middle}"), 2, 3),
    ] {
        assert_eq!(problem(&pem, Some(&key)), FileProblem::WrongOrder { place, found });
    }
}

#[test]
fn refuses_a_certificate_that_has_nothing_to_do_with_the_chain() {
    let (ours, key) = {
        let chain = chain();
        (chain.leaf.pem(), chain.key.serialize_pem())
    };
    let stray = params("stray", true).self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    assert!(matches!(problem(&format!("{ours}{stray}"), Some(&key)), FileProblem::Stray { index: 2, .. }));
}

#[test]
fn says_what_is_in_the_file_instead() {
    let chain = chain();
    let (leaf, key) = (chain.leaf.pem(), chain.key.serialize_pem());
    let csr = params("leaf", false).serialize_request(&chain.key).unwrap().pem().unwrap();
    assert_eq!(problem(&key, None), FileProblem::NoCertificate { found: "a private key".to_owned() });
    assert_eq!(problem(&leaf, None), FileProblem::NoKey { found: "a certificate".to_owned() });
    assert_eq!(
        problem(&csr, Some(&key)),
        FileProblem::NoCertificate { found: "a certificate signing request".to_owned() }
    );
    assert_eq!(problem(&leaf, Some(&format!("{key}{key}"))), FileProblem::SeveralKeys { count: 2 });
    let der = identity_with(chain.leaf.der(), Some(key.as_bytes()), None).unwrap_err().problem;
    assert_eq!(der, FileProblem::Der { what: "a certificate" });
    let der = identity_with(leaf.as_bytes(), Some(chain.key.serialized_der()), None).unwrap_err().problem;
    assert_eq!(der, FileProblem::Der { what: "a private key" });
}

#[test]
fn refuses_damaged_pem_and_says_at_which_line() {
    let leaf = chain().leaf.pem();
    let line = |pem: &str| match problem(pem, None) {
        FileProblem::Pem { line, detail } => (line, detail),
        other => panic!("{other:?}"),
    };
    let cut = leaf.rsplit_once("-----END").unwrap().0;
    assert_eq!(line(&format!("x\n{cut}")).0, 2);
    assert_eq!(line(&leaf.replacen("MII", "M!I", 1)).0, 1);
    assert!(line(&leaf.replace('\n', "\\n")).1.contains("written out as \\n"));
    assert!(line(&format!("  {leaf}")).1.contains("indented"));
    assert_eq!(line("-----END CERTIFICATE-----\n").0, 1);
    assert_eq!(line("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n").0, 1);
    let broken = leaf.lines().enumerate().filter(|(index, _)| *index != 2).map(|(_, line)| line);
    let broken = broken.collect::<Vec<_>>().join("\n");
    assert!(matches!(problem(&broken, None), FileProblem::Certificate { index: 1, .. }));
}

#[test]
fn refuses_what_is_no_certificate_file() {
    assert_eq!(problem(" \n", None), FileProblem::Empty);
    for (bytes, found) in [
        (&b"hello"[..], "text without a PEM section"),
        (b"\xff\xfe-\0-\0", "text in UTF-16"),
        (b"MIIBkTCB", "base64 without BEGIN and END lines"),
        (b"\xfe\xed\xfe\xed\0\0", "a Java keystore in the old format JKS"),
        (b"\x30\x82\x01\x00", "damaged DER, or DER of another kind"),
        (b"\x00\x01", "binary data of another kind"),
    ] {
        let error = identity_with(bytes, None, None).unwrap_err();
        assert_eq!(error.problem, FileProblem::Unrecognised { found });
    }
}

#[test]
fn refuses_a_file_over_the_limit_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.pem");
    std::fs::write(&path, vec![b'\n'; Limit::IDENTITY.bytes as usize + 1]).unwrap();
    let error = load_chain(&path).unwrap_err();
    assert!(error.to_string().contains("identity file size"), "{error}");
    let missing = load_key(&directory.path().join("none"), None).unwrap_err();
    assert!(missing.to_string().contains("egret certs init"), "{missing}");
}

#[test]
fn reads_revocation_lists_and_bundles() {
    let directory = tempfile::tempdir().unwrap();
    let chain = chain();
    let path = directory.path().join("bundle.pem");
    std::fs::write(&path, format!("{}{}", chain.root.pem(), chain.leaf.pem())).unwrap();
    assert_eq!(load_cas(&path).unwrap().len(), 2);
    let error = load_crls(&path).unwrap_err();
    assert_eq!(error.problem, FileProblem::NoCrl { found: "2 certificates".to_owned() });
}

#[test]
fn takes_the_line_end_off_a_password() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    for text in ["geheim", "geheim\n", "geheim\r\n"] {
        std::fs::write(&path, text).unwrap();
        let password = Password::load(&path).unwrap();
        assert_eq!(password.reveal(), "geheim");
        assert!(!format!("{password:?}").contains("geheim"));
    }
}

#[test]
fn refuses_pkcs12_that_asks_for_too_much_work_before_doing_it() {
    let chain = chain();
    let bytes = p12(&chain, "geheim");
    // Key, certificates and MAC, 1000 rounds each.
    assert_eq!(pkcs12_work::rounds(&bytes), 3000);
    let rounds = [0x02, 0x02, 0x03, 0xe8];
    let mut places = bytes.windows(4).enumerate().filter(|(_, window)| *window == rounds).map(|(at, _)| at);
    let last = places.next_back().unwrap();
    // The same length, so that the structure stays whole: 1000 becomes 32767, in many archives of one file.
    let mut more = bytes.clone();
    more[last + 2..last + 4].copy_from_slice(&[0x7f, 0xff]);
    assert_eq!(pkcs12_work::rounds(&more), 2000 + 0x7fff);
    let many: Vec<u8> = more.repeat(200);
    assert!(pkcs12_work::rounds(&many) > Limit::PKCS12_ROUNDS);
    assert!(matches!(pkcs12_read::items(&many, None), Err(FileProblem::Pkcs12 { .. })));
}
