//! Certificates that change on disk, without a connection being dropped.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use egret_testkit::scripted::Step;
use egret_testkit::wait::{PATIENCE, wait_until};
use egret_testkit::{Egret, HttpOrigin, ScriptedOrigin, TestCa, TestLeaf, TlsClients};
use rcgen::SerialNumber;

use super::{configured, get, listener};

fn certificate(egret: &Egret, clients: &TlsClients) -> Vec<u8> {
    clients.connect(egret.address()).unwrap().proxy_certificate()
}

fn copy(from: &TestLeaf, to: &TestLeaf) {
    std::fs::copy(&from.certificate, &to.certificate).unwrap();
    std::fs::copy(&from.key, &to.key).unwrap();
}

#[test]
fn a_new_certificate_is_used_without_dropping_anything() {
    let ca = TestCa::new();
    let leaf = ca.server_leaf("server", &["localhost"]);
    let egret = configured(&listener(&leaf, ""));
    let clients = TlsClients::new(&ca.pem(), None);
    let origin = HttpOrigin::start();
    let held =
        ScriptedOrigin::start(vec![vec![Step::ReadTotal(2), Step::Send(b"hi".to_vec()), Step::ReadToEnd]]);
    let mut tunnel = clients.connect(egret.address()).unwrap();
    let authority = held.address();
    let connect = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    assert_eq!(tunnel.exchange(connect).unwrap().status(), 200);
    let mut kept = clients.connect(egret.address()).unwrap();
    assert_eq!(kept.exchange(get(origin.address(), "/echo")).unwrap().status(), 200);

    // Traffic on new connections all the while: not one may fail.
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let traffic = {
        let (stop, served, clients) = (stop.clone(), served.clone(), clients.clone());
        let (proxy, origin) = (egret.address(), origin.address());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let mut client = clients.connect(proxy).unwrap();
                assert_eq!(client.exchange(get(origin, "/echo")).unwrap().status(), 200);
                served.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    for round in 0..2 {
        let before = certificate(&egret, &TlsClients::new(&ca.pem(), None));
        copy(&ca.server_leaf(&format!("next{round}"), &["localhost"]), &leaf);
        wait_until("the new certificate", PATIENCE, || {
            certificate(&egret, &TlsClients::new(&ca.pem(), None)) != before
        });
    }
    let so_far = served.load(Ordering::Relaxed);
    wait_until("more traffic", PATIENCE, || served.load(Ordering::Relaxed) > so_far + 10);
    stop.store(true, Ordering::Relaxed);
    traffic.join().unwrap();
    assert_eq!(kept.exchange(get(origin.address(), "/echo")).unwrap().status(), 200, "a kept connection");
    assert_eq!(tunnel.echo(b"hi").unwrap(), b"hi", "an open tunnel");
    assert!(egret.metric("egret_config_reloads_total{result=\"ok\"}") >= 2.0);
}

/// As the kubelet does it with a Secret: files are links through `..data`, which is swapped.
#[test]
fn a_swapped_secret_is_noticed() {
    let ca = TestCa::new();
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (version, name) in [("..one", "first"), ("..two", "second")] {
        let leaf = ca.server_leaf(name, &["localhost"]);
        std::fs::create_dir(root.join(version)).unwrap();
        std::fs::copy(&leaf.certificate, root.join(version).join("tls.crt")).unwrap();
        std::fs::copy(&leaf.key, root.join(version).join("tls.key")).unwrap();
    }
    symlink("..one", root.join("..data")).unwrap();
    symlink("..data/tls.crt", root.join("tls.crt")).unwrap();
    symlink("..data/tls.key", root.join("tls.key")).unwrap();
    let leaf = TestLeaf {
        certificate: root.join("tls.crt"),
        key: root.join("tls.key"),
        combined: root.join("none"),
    };
    let egret = configured(&listener(&leaf, ""));
    let clients = TlsClients::new(&ca.pem(), None);
    let before = certificate(&egret, &clients);
    symlink("..two", root.join("..data_tmp")).unwrap();
    std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    std::fs::remove_dir_all(root.join("..one")).unwrap();
    let fresh = || TlsClients::new(&ca.pem(), None);
    wait_until("the new certificate", PATIENCE, || certificate(&egret, &fresh()) != before);
}

fn refusals(egret: &Egret) -> f64 {
    egret.metric("egret_config_reloads_total{result=\"refused\"}")
}

#[test]
fn a_bad_file_is_refused_and_the_old_certificate_goes_on() {
    let ca = TestCa::new();
    let leaf = ca.server_leaf("server", &["localhost"]);
    let egret = configured(&listener(&leaf, ""));
    let fresh = || TlsClients::new(&ca.pem(), None);
    let before = certificate(&egret, &fresh());
    let other = ca.server_leaf("other", &["localhost"]);
    let bad = |break_it: &dyn Fn(), word: &str| {
        let count = refusals(&egret);
        break_it();
        wait_until("the refusal", PATIENCE, || refusals(&egret) > count);
        egret.wait_for_log(word);
        assert_eq!(certificate(&egret, &fresh()), before, "the old one goes on");
    };
    let truncate = |path: &Path| std::fs::write(path, "-----BEGIN CERTIFICATE-----\nMII").unwrap();
    bad(&|| truncate(&leaf.certificate), "certificates[0].certificate");
    bad(
        &|| assert!(std::fs::copy(&other.certificate, &leaf.certificate).unwrap() > 0),
        "does not belong to the certificate",
    );
    bad(&|| std::fs::remove_file(&leaf.key).unwrap(), "it cannot be read");
    // The key for the new certificate comes, and all is well again.
    std::fs::copy(&other.key, &leaf.key).unwrap();
    wait_until("the new certificate", PATIENCE, || certificate(&egret, &fresh()) != before);
}

#[test]
fn a_revocation_takes_effect_for_sessions_of_before_too() {
    let ca = TestCa::new();
    let crl = ca.crl("ca.crl", &[], 2090);
    let named = ca.leaf("named", |params| params.serial_number = Some(SerialNumber::from(77)));
    let yaml = listener(
        &ca.server_leaf("server", &["localhost"]),
        &format!(
            "      clientAuth: required\n      clientCA: {}\n      crl: [{}]\n",
            ca.pem().display(),
            crl.display()
        ),
    );
    let egret = configured(&yaml);
    let origin = HttpOrigin::start();
    let clients = TlsClients::new(&ca.pem(), Some(&named));
    let ask = || {
        let mut client = clients.connect(egret.address())?;
        let status = client.exchange(get(origin.address(), "/echo"))?.status();
        std::io::Result::Ok((status, client.is_resumed()))
    };
    assert_eq!(ask().unwrap(), (200, false));
    assert_eq!(ask().unwrap(), (200, true));
    let held = ScriptedOrigin::start(vec![vec![Step::ReadToEnd]]);
    let mut tunnel = clients.connect(egret.address()).unwrap();
    let connect = format!("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", held.address());
    assert_eq!(tunnel.exchange(connect).unwrap().status(), 200);
    let mut kept = clients.connect(egret.address()).unwrap();
    assert_eq!(kept.exchange(get(origin.address(), "/echo")).unwrap().status(), 200);
    let _ = ca.crl("ca.crl", &[77], 2090);
    wait_until("the revocation", PATIENCE, || ask().is_err());
    let record = egret.records_where(|record| record.text("downstream") == "TLS").remove(0);
    assert_eq!(record.reason(), "client-certificate-revoked");

    // Connections of before: an open tunnel ends, and another request on a kept one is refused.
    let record = egret.record(|record| record.method() == "CONNECT");
    assert_eq!(record.reason(), "policy-changed");
    assert!(record.text("detail").contains("was revoked"), "{record:?}");
    assert!(tunnel.echo(b"hi").is_err());
    let answer = kept.exchange(get(origin.address(), "/echo")).unwrap();
    assert!(
        answer.status() == 403 && answer.text().contains("client-certificate-revoked"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_certificate_that_ends_within_a_session_is_noticed() {
    let ca = TestCa::new();
    // Valid for a few seconds more: the certificate ends, the session's ticket does not.
    let mut soon = None;
    let named = ca.leaf("named", |params| {
        let end = rcgen::date_time_ymd(1970, 1, 1)
            + std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        params.not_after = end + std::time::Duration::from_secs(4);
        soon = Some(std::time::Instant::now() + std::time::Duration::from_secs(6));
    });
    let yaml = listener(
        &ca.server_leaf("server", &["localhost"]),
        &format!("      clientAuth: required\n      clientCA: {}\n", ca.pem().display()),
    );
    let egret = configured(&yaml);
    let clients = TlsClients::new(&ca.pem(), Some(&named));
    let health = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(clients.connect(egret.address()).unwrap().exchange(health).unwrap().status(), 200);
    std::thread::sleep(soon.unwrap().saturating_duration_since(std::time::Instant::now()));
    let mut client = clients.connect(egret.address()).unwrap();
    let answer = client.exchange(health).unwrap();
    assert!(client.is_resumed());
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("client-certificate-expired"), "{}", answer.text());
}
