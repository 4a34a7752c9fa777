//! The alerts that `show` foretells to a client, against those that a server with rustls sends.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Error, RootCertStore, ServerConfig, ServerConnection,
};

use super::*;
use crate::authority::{Authority, CaRequest, Constraints, KeyType, LeafRequest, Purpose, Subject};
use crate::files::{Contents, Identity, chain_pem};

fn ca(name: &str, at: Timestamp) -> Authority {
    let request = CaRequest {
        subject: Subject { common_name: name.to_owned(), organization: None },
        key_type: KeyType::EcdsaP256,
        days: 1000,
        path_length: None,
        constraints: Constraints::default(),
    };
    Authority::create(&request, at).unwrap()
}

fn leaf(ca: &Authority, purpose: Purpose, at: Timestamp) -> Identity {
    let request = LeafRequest {
        purpose,
        subject: Subject { common_name: "leaf".to_owned(), organization: None },
        names: vec!["localhost".parse().unwrap()],
        key_type: KeyType::EcdsaP256,
        days: 10,
    };
    ca.issue(&request, at).unwrap()
}

fn roots(ca: &Authority) -> Arc<RootCertStore> {
    let mut store = RootCertStore::empty();
    store.add(ca.chain()[0].clone()).unwrap();
    Arc::new(store)
}

/// A handshake in memory; what the client is told.
fn alert(ca: &Authority, server: &Identity, client: Identity) -> AlertDescription {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots(ca), Arc::clone(&provider)).build().unwrap();
    let server_config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(server.chain.clone(), server.key.clone_key())
        .unwrap();
    let client_config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(ca))
        .with_client_auth_cert(client.chain, client.key)
        .unwrap();
    let mut server = ServerConnection::new(Arc::new(server_config)).unwrap();
    let mut client = ClientConnection::new(Arc::new(client_config), "localhost".try_into().unwrap()).unwrap();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        server.read_tls(&mut bytes.as_slice()).unwrap();
        let _ = server.process_new_packets();
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        client.read_tls(&mut bytes.as_slice()).unwrap();
        if let Err(Error::AlertReceived(alert)) = client.process_new_packets() {
            return alert;
        }
    }
    panic!("the server accepts it");
}

#[test]
fn foretells_the_alerts_of_rustls() {
    let now = Timestamp::now();
    let past = now - (24 * 100).hours();
    let ours = ca("Root", past);
    let server = leaf(&ours, Purpose::Server, now);
    for (identity, expected) in [
        (leaf(&ca("Other", now), Purpose::Client, now), AlertDescription::UnknownCA),
        (leaf(&ca("Root", now), Purpose::Client, now), AlertDescription::DecryptError),
        (leaf(&ours, Purpose::Client, past), AlertDescription::CertificateExpired),
        (leaf(&ours, Purpose::Server, now), AlertDescription::UnsupportedCertificate),
    ] {
        let text = chain_pem(&identity.chain);
        let contents = Contents::parse(text.as_bytes(), None).unwrap();
        let trust = Trust { certificates: ours.chain().to_vec(), source: String::new(), explicit: true };
        let expectations = Expectations { trust: &trust, host: None, role: Some(Role::Client), now };
        let judgement = Report::new(&contents, None, &expectations).judgement.unwrap();
        let foretold = judgement.refusals[0].sayings[1].words.clone().unwrap();
        assert_eq!(alert(&ours, &server, identity), expected);
        // OpenSSL's words are those of the standard, in lower case.
        let words = match expected {
            AlertDescription::UnknownCA => "alert unknown ca",
            AlertDescription::DecryptError => "alert decrypt error",
            AlertDescription::CertificateExpired => "alert certificate expired",
            _ => "alert unsupported certificate",
        };
        assert_eq!(foretold, words);
    }
}
