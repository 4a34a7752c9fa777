use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn makes_a_ca_once_that_nobody_else_can_read() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("state");
    let store = CaStore::new(&dir);
    assert!(matches!(store.open(now()), Err(CaError::Missing { .. })));
    let (first, made) = store.open_or_create(now()).unwrap();
    assert!(made);
    assert_eq!((mode(&dir), mode(&store.path()), mode(&store.public_path())), (0o700, 0o600, 0o644));
    assert!(!fs::read_to_string(store.public_path()).unwrap().contains("PRIVATE"));
    let (again, made) = store.open_or_create(now()).unwrap();
    assert!(!made);
    assert_eq!(again.current.chain(), first.current.chain());
    assert_eq!(again.warnings, [] as [&str; 0]);

    fs::set_permissions(store.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = store.open(now()).unwrap().warnings;
    assert!(warnings[0].contains("chmod 600"), "{warnings:?}");
}

#[test]
fn all_who_start_at_once_get_the_same_ca() {
    let dir = tempfile::tempdir().unwrap();
    let store = CaStore::new(dir.path());
    let barrier = std::sync::Barrier::new(16);
    let opened: Vec<_> = std::thread::scope(|scope| {
        let start = || {
            barrier.wait();
            let (set, made) = store.open_or_create(now()).unwrap();
            (set.current.certificate().clone(), made)
        };
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(opened.iter().all(|(certificate, _)| *certificate == opened[0].0));
    assert_eq!(opened.iter().filter(|(_, made)| *made).count(), 1);
}

#[test]
fn never_replaces_a_file_that_is_there_however_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = CaStore::new(dir.path());
    for text in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(store.path(), text).unwrap();
        let error = store.open_or_create(now()).unwrap_err();
        assert!(error.to_string().contains("interception-ca.pem"), "{error}");
        assert_eq!(fs::read_to_string(store.path()).unwrap(), text);
    }
    fs::remove_file(store.path()).unwrap();
    std::os::unix::fs::symlink("/nowhere/ca.pem", store.path()).unwrap();
    store.open_or_create(now()).unwrap_err();
    assert!(fs::symlink_metadata(store.path()).unwrap().is_symlink());
}

#[test]
fn clients_trust_the_next_ca_before_it_signs_and_the_old_one_after() {
    let dir = tempfile::tempdir().unwrap();
    let store = CaStore::new(dir.path());
    assert!(matches!(store.begin(now()), Err(CaError::Missing { .. })));
    let (first, _) = store.open_or_create(now()).unwrap();
    let (old, stamp) = (first.current.certificate().clone(), store.stamp());
    assert!(matches!(store.activate(now()), Err(CaError::NoNext { .. })));

    let begun = store.begin(now()).unwrap();
    assert_eq!(begun.current.certificate(), &old, "the old one signs");
    let new = begun.next.as_ref().unwrap().certificate().clone();
    assert_eq!(begun.anchors(), [old.clone(), new.clone()]);
    assert_ne!(store.stamp(), stamp);
    assert_eq!(crate::files::load_cas(&store.public_path()).unwrap(), begun.anchors());
    assert_eq!(mode(&dir.path().join("interception-ca-next.pem")), 0o600);
    assert!(matches!(store.begin(now()), Err(CaError::NextExists { .. })));

    let active = store.activate(now()).unwrap();
    assert_eq!(active.current.certificate(), &new);
    assert!(active.next.is_none());
    assert_eq!(active.anchors(), [new.clone(), old.clone()]);
    let previous = fs::read_to_string(dir.path().join("interception-ca-previous.crt")).unwrap();
    assert!(!previous.contains("PRIVATE"), "the old key is gone");

    assert_eq!(store.retire(now()).unwrap().anchors(), std::slice::from_ref(&new));
    store.begin(now()).unwrap();
    assert_eq!(store.cancel(now()).unwrap().anchors(), [new]);
    assert!(matches!(store.cancel(now()), Err(CaError::NoNext { .. })));
}

#[test]
fn an_expired_ca_can_be_changed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = CaStore::new(dir.path());
    let (first, _) = store.open_or_create(now()).unwrap();
    let later = now() + days(3700);
    assert!(matches!(store.open(later), Err(CaError::Expired { .. })));
    let set = store.replace(later).unwrap();
    assert_ne!(set.current.certificate(), first.current.certificate());
    assert!(set.anchors().contains(first.current.certificate()));
}

#[test]
fn a_damaged_next_ca_does_not_stop_the_one_that_signs() {
    let dir = tempfile::tempdir().unwrap();
    let store = CaStore::new(dir.path());
    store.open_or_create(now()).unwrap();
    fs::write(dir.path().join("interception-ca-next.pem"), "garbage").unwrap();
    let set = store.open(now()).unwrap();
    assert!(set.next.is_none());
    assert!(set.warnings[0].contains("interception-ca-next.pem"), "{:?}", set.warnings);
    store.activate(now()).unwrap_err();
    assert_eq!(store.open(now()).unwrap().current.certificate(), set.current.certificate());
}
