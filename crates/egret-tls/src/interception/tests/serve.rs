use rustls::{ClientConfig, ClientConnection, Error, HandshakeKind, ServerConnection};

use super::*;

/// A client that trusts the CA and offers these protocols.
fn client(minter: &Minter, offers: &[&[u8]]) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(minter.ca().anchor().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = offers.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// What both sides of a handshake come to.
struct Met {
    alpn: Option<Vec<u8>>,
    kind: Option<HandshakeKind>,
}

/// Shakes hands in memory; the error is the server's.
fn meet(client: &Arc<ClientConfig>, server: Arc<rustls::ServerConfig>) -> Result<Met, Error> {
    let name = "a.example".try_into().unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
        }
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
        }
        client.process_new_packets().unwrap();
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Met { alpn: server.alpn_protocol().map(<[u8]>::to_vec), kind: server.handshake_kind() })
}

#[test]
fn each_connection_has_its_own_choice_of_protocols() {
    let minter = minter(InterceptionCa::create(now()).unwrap(), MintSettings::default());
    let leaf = minter.mint_now(&LeafNames::of(&host("a.example")), now()).unwrap();
    let server = InterceptServer::new().unwrap();
    let (h1, h2): (&[u8], &[u8]) = (b"http/1.1", b"h2");
    type Case<'a> = (&'a [&'a [u8]], &'a [&'a [u8]], Option<&'a [u8]>);
    let table: &[Case<'_>] = &[
        (&[h2, h1], &[h2], Some(h2)),
        (&[h2, h1], &[h1], Some(h1)),
        (&[h1, h2], &[h2, h1], Some(h2)),
        (&[], &[h2, h1], None),
        (&[h2], &[], None),
    ];
    for (offered, taken, chosen) in table {
        let met = meet(&client(&minter, offered), server.config(&leaf, taken)).unwrap();
        assert_eq!(met.alpn.as_deref(), *chosen, "{offered:?} {taken:?}");
    }
    let refused = meet(&client(&minter, &[h1]), server.config(&leaf, &[h2])).err();
    assert_eq!(refused, Some(Error::NoApplicationProtocol));
}

#[test]
fn clients_resume_their_sessions_with_another_leaf_too() {
    let minter = minter(InterceptionCa::create(now()).unwrap(), MintSettings::default());
    let names = LeafNames::of(&host("a.example"));
    let server = InterceptServer::new().unwrap();
    let client = client(&minter, &[b"h2"]);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
        let leaf = minter.mint_now(&names, now()).unwrap();
        let met = meet(&client, server.config(&leaf, &[b"h2"])).unwrap();
        assert_eq!(met.kind, Some(expected));
    }
}
