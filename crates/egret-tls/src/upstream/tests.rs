//! Real origins with one thing wrong each, and what is said about them.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

use egret_core::destination::Host;
use egret_core::pattern::HostPattern;
use egret_testkit::bad_origin::{BadOrigins, Fault, NAME};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::*;
use crate::files::{load_cas, load_crls};

static ORIGINS: LazyLock<BadOrigins> = LazyLock::new(BadOrigins::new);

const WANTED: &[&[u8]] = &[b"h2", b"http/1.1"];

fn settings() -> UpstreamSettings {
    let mut settings =
        UpstreamSettings { crls: load_crls(&ORIGINS.crl()).unwrap(), ..UpstreamSettings::default() };
    settings.public.add_parsable_certificates(load_cas(&ORIGINS.roots()).unwrap());
    settings
}

fn host() -> Host {
    Host::parse(NAME).unwrap()
}

/// What came of a connection.
struct Spoken {
    excused: Vec<Problem>,
    alpn: Option<Vec<u8>>,
    resumed: bool,
}

/// Speaks with an origin as far as it goes.
fn speak(
    tls: &UpstreamTls,
    origin: &egret_testkit::BadOrigin,
    exceptions: &Exceptions,
) -> Result<Spoken, Problem> {
    let (config, verifier) = tls.config(&host(), WANTED, exceptions).unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let mut session = rustls::ClientConnection::new(config, name.clone()).unwrap();
    let mut stream = TcpStream::connect(origin.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    let failed = |error: std::io::Error| Problem::of_io(&error).unwrap_or_else(|| panic!("{error}"));
    tls.write_all(b"GET / HTTP/1.1\r\nHost: origin.test\r\nConnection: close\r\n\r\n").map_err(failed)?;
    let mut answer = [0; 1024];
    let read = tls.read(&mut answer).map_err(failed)?;
    assert!(answer[..read].starts_with(b"HTTP/1"), "{:?}", String::from_utf8_lossy(&answer[..read]));
    let alpn = session.alpn_protocol().map(<[u8]>::to_vec);
    let resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    let chain = session.peer_certificates().unwrap();
    let excused = verifier.check(&chain[0], &chain[1..], &[], &name, UnixTime::now()).unwrap_or_default();
    Ok(Spoken { excused, alpn, resumed })
}

fn refusal(fault: Fault, exceptions: &Exceptions) -> Option<Problem> {
    let tls = UpstreamTls::new(settings()).unwrap();
    speak(&tls, &ORIGINS.start(fault), exceptions).err()
}

#[test]
fn every_bad_origin_is_refused_with_its_class_and_a_sentence_of_its_own() {
    let mut sentences = BTreeSet::new();
    for fault in Fault::ALL {
        let problem = refusal(*fault, &Exceptions::default());
        assert_eq!(
            problem.as_ref().map(|problem| problem.kind().code()),
            fault.code(),
            "{fault:?}: {problem:?}"
        );
        let Some(problem) = problem else { continue };
        let sentence = problem.to_string();
        assert!(sentence.contains("; ") && !sentence.contains('\n'), "{sentence}");
        let code: ProblemKind = fault.code().unwrap().parse().unwrap();
        assert_eq!(code, problem.kind());
        sentences.insert(sentence);
    }
    assert!(sentences.len() > 25, "{sentences:#?}");
}

#[test]
fn says_what_people_need_to_act() {
    let said = |fault| refusal(fault, &Exceptions::default()).unwrap().what();
    assert_eq!(said(Fault::Expired), "its certificate expired on 2021-01-01T00:00:00Z");
    assert_eq!(said(Fault::NotYetValid), "its certificate is not valid before 2099-01-01T00:00:00Z");
    assert_eq!(
        said(Fault::ExpiredIntermediate),
        "the certificate of CN=Egret bad intermediate, above its own, expired on 2021-01-01T00:00:00Z"
    );
    assert_eq!(
        said(Fault::WrongName),
        "its certificate is not for origin.test; it is for other.test, *.other.test"
    );
    assert!(said(Fault::NoSan).contains("its subject is CN=origin.test"));
    assert!(said(Fault::WeakKey).ends_with("(RSA 1024)"));
    assert!(said(Fault::UnknownRoot).contains("the root CN=Unknown root"));
    assert!(said(Fault::MissingIntermediate).contains("CN=Egret bad intermediate"));
    assert!(said(Fault::Sha1).to_lowercase().contains("sha1"));
    assert!(said(Fault::Md5).to_lowercase().contains("md5"));
    assert!(said(Fault::RevokedByOcsp).contains("OCSP"));
    assert!(said(Fault::RevokedByCrl).contains("list"));
    assert!(said(Fault::NotACa).contains("CN=Egret bad intermediate"));
}

#[test]
fn an_exception_excuses_its_class_alone_and_is_told() {
    let excusable = |fault: &&Fault| {
        let kind: Option<ProblemKind> = fault.code().map(|code| code.parse().unwrap());
        kind.is_some_and(|kind| kind.is_excusable())
    };
    let tls = UpstreamTls::new(settings()).unwrap();
    for fault in Fault::ALL.iter().filter(excusable) {
        let kind: ProblemKind = fault.code().unwrap().parse().unwrap();
        let origin = ORIGINS.start(*fault);
        let spoken = speak(&tls, &origin, &Exceptions::of([kind]).unwrap());
        let spoken = spoken.unwrap_or_else(|problem| panic!("{fault:?}: {problem}"));
        // The stapled response is not at hand any more after the handshake.
        if *fault != Fault::RevokedByOcsp {
            let kinds: Vec<_> = spoken.excused.iter().map(Problem::kind).collect();
            assert_eq!(kinds, [kind], "{fault:?}");
        }
        let other =
            if kind == ProblemKind::WrongName { ProblemKind::Expired } else { ProblemKind::WrongName };
        let refused = speak(&tls, &origin, &Exceptions::of([other]).unwrap()).err();
        assert_eq!(refused.map(|problem| problem.kind()), Some(kind), "{fault:?}");
    }
    let good = speak(&tls, &ORIGINS.start(Fault::None), &Exceptions::of([ProblemKind::Expired]).unwrap());
    assert_eq!(good.unwrap().excused, []);
}

#[test]
fn what_cannot_be_spoken_with_cannot_be_excused() {
    for kind in [ProblemKind::WeakKey, ProblemKind::OldVersion, ProblemKind::NotTls, ProblemKind::BadEncoding]
    {
        let error = Exceptions::of([ProblemKind::Expired, kind]).unwrap_err();
        assert_eq!(error, NotExcusable(kind));
        assert!(error.to_string().contains("tunnel the host"), "{error}");
    }
    assert!("nonsense".parse::<ProblemKind>().unwrap_err().contains("expired, not-yet-valid"));
}

#[test]
fn a_pin_excuses_who_signed_a_certificate_and_not_whose_it_is() {
    let tls = UpstreamTls::new(settings()).unwrap();
    let origin = ORIGINS.start(Fault::SelfSigned);
    // What it shows, seen with everything excused.
    let (config, _) =
        tls.config(&host(), WANTED, &Exceptions::of([ProblemKind::SelfSigned]).unwrap()).unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let mut session = rustls::ClientConnection::new(config, name.clone()).unwrap();
    let mut stream = TcpStream::connect(origin.address()).unwrap();
    session.complete_io(&mut stream).unwrap();
    let certificate = session.peer_certificates().unwrap()[0].clone();
    let mut pin = [0; 32];
    pin.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate).as_ref());

    let pinned = Exceptions::default().with_pin(pin);
    let excused = speak(&tls, &origin, &pinned).unwrap().excused;
    assert_eq!(excused.iter().map(Problem::kind).collect::<Vec<_>>(), [ProblemKind::SelfSigned]);
    assert!(speak(&tls, &ORIGINS.start(Fault::SelfSigned), &pinned).is_err(), "another certificate");
    let (_, verifier) = tls.config(&host(), WANTED, &pinned).unwrap();
    let other = ServerName::try_from("other.test").unwrap();
    let problem = verifier.check(&certificate, &[], &[], &other, UnixTime::now()).unwrap_err();
    assert_eq!(problem.kind(), ProblemKind::WrongName);
}

#[test]
fn alpn_is_offered_as_the_rule_for_the_host_says() {
    let tls = UpstreamTls::new(settings()).unwrap();
    let origin = ORIGINS.start(Fault::None);
    assert_eq!(speak(&tls, &origin, &Exceptions::default()).unwrap().alpn.as_deref(), Some(&b"h2"[..]));
    let rule = AlpnRule {
        hosts: vec![HostPattern::parse("**.test").unwrap()],
        protocols: vec![b"http/1.1".to_vec()],
    };
    let tls = UpstreamTls::new(UpstreamSettings { alpn: vec![rule], ..settings() }).unwrap();
    assert_eq!(speak(&tls, &origin, &Exceptions::default()).unwrap().alpn.as_deref(), Some(&b"http/1.1"[..]));
}

#[test]
fn sessions_are_resumed_under_the_same_rules_and_under_no_others() {
    let tls = UpstreamTls::new(settings()).unwrap();
    let origin = ORIGINS.start(Fault::None);
    let speak = |exceptions: &Exceptions| speak(&tls, &origin, exceptions).unwrap().resumed;
    assert!(!speak(&Exceptions::default()));
    assert!(speak(&Exceptions::default()));
    assert!(!speak(&Exceptions::of([ProblemKind::Expired]).unwrap()));
}

#[test]
fn private_cas_hold_for_their_hosts_and_alone_if_so_said() {
    let roots = load_cas(&ORIGINS.roots()).unwrap();
    let private = |pattern: &str, roots: &[_], only| PrivateCa {
        hosts: vec![HostPattern::parse(pattern).unwrap()],
        roots: roots.to_vec(),
        only,
    };
    let outcome = |settings: UpstreamSettings| {
        let tls = UpstreamTls::new(settings).unwrap();
        speak(&tls, &ORIGINS.start(Fault::None), &Exceptions::default())
            .map(drop)
            .map_err(|problem| problem.kind())
    };
    let with =
        |private: PrivateCa| UpstreamSettings { private: vec![private], ..UpstreamSettings::default() };
    assert_eq!(outcome(with(private("origin.test", &roots, false))), Ok(()));
    assert_eq!(outcome(with(private("other.test", &roots, false))), Err(ProblemKind::UnknownIssuer));
    let alone = UpstreamSettings { private: vec![private("*", &roots[1..], true)], ..settings() };
    assert_eq!(outcome(alone), Err(ProblemKind::UnknownIssuer));
    let beside = UpstreamSettings { private: vec![private("*", &roots[1..], false)], ..settings() };
    assert_eq!(outcome(beside), Ok(()));
}

#[test]
fn a_client_certificate_is_shown_to_its_hosts() {
    let ca = crate::authority::Authority::create(
        &crate::authority::CaRequest {
            subject: crate::authority::Subject { common_name: "clients".to_owned(), organization: None },
            key_type: crate::authority::KeyType::EcdsaP256,
            days: 10,
            path_length: None,
            constraints: crate::authority::Constraints::default(),
        },
        jiff::Timestamp::now(),
    )
    .unwrap();
    let client = |pattern: &str| ClientCertificate {
        hosts: vec![HostPattern::parse(pattern).unwrap()],
        identity: ca.identity().clone(),
    };
    // It takes none but a certificate of its own root: what differs is the alert.
    let alert = |pattern: &str| {
        let settings = UpstreamSettings { client_certificates: vec![client(pattern)], ..settings() };
        let tls = UpstreamTls::new(settings).unwrap();
        let problem =
            speak(&tls, &ORIGINS.start(Fault::ClientCertificate), &Exceptions::default()).err().unwrap();
        assert_eq!(problem.kind(), ProblemKind::ClientCertificate, "{problem}");
        problem.what()
    };
    assert_ne!(alert("origin.test"), alert("other.test"));
}

#[test]
fn old_versions_cannot_be_asked_for_and_the_error_says_why() {
    for text in ["1.0", "TLS1.1", "tls 1.0", "SSLv3"] {
        let error = text.parse::<MinVersion>().unwrap_err();
        assert!(matches!(error, UpstreamSettingsError::OldVersion { .. }), "{text}");
        assert!(error.to_string().contains("RFC 8996") && error.to_string().contains("tunnel"), "{error}");
    }
    assert_eq!("TLS1.3".parse(), Ok(MinVersion::Tls13));
    assert_eq!("1.2".parse(), Ok(MinVersion::Tls12));
    assert!(matches!("7".parse::<MinVersion>(), Err(UpstreamSettingsError::Version { .. })));
    let rule = VersionRule { hosts: vec![HostPattern::parse("*").unwrap()], min: MinVersion::Tls13 };
    let tls = UpstreamTls::new(UpstreamSettings { min_versions: vec![rule], ..settings() }).unwrap();
    // It speaks TLS 1.2 at most.
    let problem = speak(&tls, &ORIGINS.start(Fault::NoneOverTls12), &Exceptions::default()).err().unwrap();
    assert_eq!(problem.kind(), ProblemKind::OldVersion, "{problem:?}");
}

/// A self-signed certificate that says it is a CA, as appliances have them.
fn appliance(change: impl FnOnce(&mut rcgen::CertificateParams)) -> CertificateDer<'static> {
    let mut params = rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "appliance");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    change(&mut params);
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().clone()
}

#[test]
fn a_certificate_that_was_configured_itself_is_trusted_and_no_other() {
    let check = |configured: &CertificateDer<'static>, shown: &CertificateDer<'static>, name: &str| {
        let of = |settings| {
            let tls = UpstreamTls::new(settings).unwrap();
            let (_, verifier) =
                tls.config(&Host::parse(name).unwrap(), WANTED, &Exceptions::default()).unwrap();
            verifier.check(shown, &[], &[], &ServerName::try_from(name.to_owned()).unwrap(), UnixTime::now())
        };
        let mut public = rustls::RootCertStore::empty();
        public.add(configured.clone()).unwrap();
        let for_all = of(UpstreamSettings {
            public,
            configured: vec![configured.clone()],
            ..UpstreamSettings::default()
        });
        let roots = vec![configured.clone()];
        let private = PrivateCa { hosts: vec![HostPattern::Any], roots, only: true };
        let for_host = of(UpstreamSettings { private: vec![private], ..UpstreamSettings::default() });
        assert_eq!(for_all, for_host);
        for_all.map_err(|problem| problem.kind())
    };
    let good = appliance(|_| ());
    assert_eq!(check(&good, &good, NAME), Ok(vec![]));
    assert_eq!(check(&good, &good, "other.test"), Err(ProblemKind::WrongName));
    assert_eq!(check(&good, &appliance(|_| ()), NAME), Err(ProblemKind::SelfSigned), "of the same name");
    let old = appliance(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    assert_eq!(check(&old, &old, NAME), Err(ProblemKind::Expired));
    let client = appliance(|params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert_eq!(check(&client, &client, NAME), Err(ProblemKind::WrongUse));
    // What is trusted to sign is not trusted to be a server because of what stands above it.
    assert_eq!(check(&good, &client, NAME), Err(ProblemKind::SelfSigned));
}

#[test]
fn settings_with_something_unusable_are_refused() {
    let bad = |change: fn(&mut UpstreamSettings)| {
        let mut settings = UpstreamSettings::default();
        change(&mut settings);
        UpstreamTls::new(settings).unwrap_err().to_string()
    };
    let error = bad(|settings| settings.crls.push(b"no list".to_vec().into()));
    assert!(error.contains("revocation list 1"), "{error}");
    let error = bad(|settings| {
        let roots = vec![b"no certificate".to_vec().into()];
        settings.private.push(PrivateCa { hosts: vec![HostPattern::Any], roots, only: false });
    });
    assert!(error.contains("CA 1 of private CAs 1"), "{error}");
}

#[test]
fn the_manual_lists_every_problem_and_whether_it_can_be_excused() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/upstream-tls.md");
    let page = std::fs::read_to_string(page).unwrap();
    for kind in ProblemKind::ALL {
        let start = format!("| `{kind}` |");
        let end = if kind.is_excusable() { "| yes |" } else { "| no |" };
        assert!(page.lines().any(|line| line.starts_with(&start) && line.ends_with(end)), "{start} … {end}");
    }
}

/// The seeds of the fuzz target reach what they are meant to reach.
#[test]
fn a_response_counts_if_the_ca_or_whom_it_appointed_has_signed_it() {
    let seed = |name: &str| {
        let path = format!("{}/../../fuzz/corpus/origin/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap()
    };
    assert_eq!(fuzz_check(&seed("good")), None);
    assert_eq!(fuzz_check(&seed("alone")), Some(ProblemKind::UnknownIssuer));
    assert_eq!(fuzz_check(&seed("selfsigned")), Some(ProblemKind::SelfSigned));
    for name in ["revoked", "delegated"] {
        let whole = seed(name);
        assert_eq!(fuzz_check(&whole), Some(ProblemKind::Revoked), "{name}");
        // Changed anywhere in what is signed, it counts for nothing.
        let signed = signed(&whole[2..]);
        let start = whole.windows(signed.len()).position(|window| window == signed).unwrap();
        for at in start..start + signed.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            assert_eq!(fuzz_check(&changed), None, "{name}: byte {at}");
        }
    }
}

/// The part of an OCSP response that is signed.
fn signed(response: &[u8]) -> &[u8] {
    use crate::server::ocsp::Der;
    let mut outer = Der(Der(response).next(0x30).unwrap());
    outer.any().unwrap();
    let mut bytes = Der(Der(outer.next(0xa0).unwrap()).whole(0x30).unwrap());
    bytes.any().unwrap();
    let mut basic = Der(Der(bytes.next(0x04).unwrap()).whole(0x30).unwrap());
    basic.with_raw(0x30).unwrap().0
}
