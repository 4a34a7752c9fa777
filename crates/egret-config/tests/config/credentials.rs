//! The section `authentication`, with the files that it refers to.

use std::path::Path;

use egret_config::{Overrides, check, load};
use egret_core::authentication::{DirectoryTls, KeySource};

const HASH: &str = "$2y$05$770vgo/R/OfiiC7fRoMpXOzqCSF2dsWNP4VS6g2VbV47QOvGK9LHC";

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

/// Every message for a configuration with these files beside it.
fn messages(yaml: &str, files: &[(&str, &str)]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "egret.yaml", yaml);
    for (name, text) in files {
        write(directory.path(), name, text);
    }
    match load(Some(&directory.path().join("egret.yaml")), &Overrides::default(), 1) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            problems.into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
        }
    }
}

#[test]
fn nothing_is_asked_for_without_a_back_end() {
    let loaded = load(None, &Overrides::default(), 1).unwrap();
    assert!(loaded.compiled.snapshot.authentication.is_none());
    let found = messages("authentication: {required: true}\n", &[]);
    assert!(found[0].contains("everybody would be served"), "{found:?}");
}

#[test]
fn every_field_reaches_the_data_path() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    write(at, "users", &format!("alice:{HASH}\nbob:{{SHA}}x\n"));
    write(at, "groups", "staff: alice \\\n  bob\n");
    write(at, "password", "hunter2\n");
    write(at, "keys.json", r#"{"keys": [{"kty": "EC"}]}"#);
    write(
        at,
        "egret.yaml",
        "authentication:
  htpasswd: users
  groupsFile: groups
  maxGroups: 50
  required: false
  realm: Corp
  exempt: [10.0.0.0/8]
  cache: {accepted: 1m, refused: 2s, entries: 7}
  backoff: {failures: 3, delay: 4s, maxDelay: 5m, clients: 6}
  checks: 9
  timeout: 8s
  ldap:
    urls: [ldaps://dc1.corp.example, ldap://dc2.corp.example:3389]
    bindDN: cn=egret,dc=corp
    bindPasswordFile: password
    base: dc=corp
    userAttribute: sAMAccountName
    filter: (&(objectClass=user)({userAttribute}={user}))
    allowedGroups: [cn=internet,dc=corp]
    groupBase: ou=groups,dc=corp
    groupFilter: (member={dn})
    nestedGroups: true
    connections: 3
    timeout: 2s
  jwt:
    issuers: [https://login.example/]
    audiences: [egret]
    keysFile: keys.json
    clockSkew: 10s
    userClaim: email
    groupsClaim: realm_access.roles
",
    );
    let loaded = load(Some(&at.join("egret.yaml")), &Overrides::default(), 1).unwrap();
    let settings = loaded.compiled.snapshot.authentication.clone().unwrap();
    assert!(!settings.required && settings.is_required_of("192.0.2.1".parse().unwrap()) == settings.required);
    assert_eq!(settings.exempt.len(), 1);
    let users = settings.htpasswd.as_ref().unwrap();
    assert_eq!((users.len(), users.warnings.len()), (1, 1));
    let ldap = settings.ldap.as_ref().unwrap();
    assert_eq!(ldap.servers[0].address.to_string(), "dc1.corp.example:636");
    assert_eq!(
        ldap.servers.iter().map(|server| server.tls).collect::<Vec<_>>(),
        [DirectoryTls::Ldaps, DirectoryTls::StartTls]
    );
    assert_eq!(ldap.bind_password.0, "hunter2");
    assert_eq!(ldap.filter, "(&(objectClass=user)(sAMAccountName={user}))");
    let jwt = settings.jwt.as_ref().unwrap();
    assert!(matches!(&jwt.keys, KeySource::File(_)) && jwt.user_claim == "email");
    assert_eq!(jwt.groups_claim, "realm_access.roles");
    assert_eq!(ldap.group_base.as_deref(), Some("ou=groups,dc=corp"));
    assert_eq!(ldap.group_filter.as_deref(), Some("(member={dn})"));
    assert_eq!(settings.max_groups, 50);
    assert_eq!((settings.groups_of("bob"), settings.groups_of("carol")), (&["staff".into()][..], &[][..]));
    assert_eq!((settings.cache.entries, settings.backoff.failures, settings.checks), (7, 3, 9));
    assert!(!format!("{loaded:?}").contains("hunter2"), "no secret is printed");
    assert!(!format!("{loaded:?}").contains("770vgo"), "and no hash");
    for name in ["users", "groups", "password", "keys.json"] {
        assert!(loaded.files.iter().any(|file| file.ends_with(name)), "{name} is watched");
    }
}

#[test]
fn says_what_is_wrong_with_the_files() {
    let htpasswd = "authentication: {htpasswd: users}\n";
    for (text, words) in [
        ("alice\n", "is no file of users: line 1 has no colon"),
        (
            "alice:secret\n",
            "has nobody who can log in: on line 1, the hash of `alice` is crypt(3) or plain text",
        ),
        ("a\u{1}b:x\n", "line 1 has a user name that holds a control character"),
    ] {
        let found = messages(htpasswd, &[("users", text)]);
        assert!(found[0].starts_with("authentication.htpasswd: ") && found[0].contains(words), "{found:?}");
        assert!(!found[0].contains("secret"), "what may be a password is not quoted");
    }
    assert!(messages(htpasswd, &[])[0].contains("does not exist"));
    assert_eq!(messages(htpasswd, &[("users", "")]), Vec::<String>::new(), "nobody yet");
    let groups = "authentication: {htpasswd: users, groupsFile: groups}\n";
    for (text, words) in [
        ("staff: alice\nadmins bob\n", "is no file of groups: line 2 has no colon"),
        ("\n\nstaff: \"alice\n", "line 3 has a quote that is not closed"),
    ] {
        let found = messages(groups, &[("users", ""), ("groups", text)]);
        assert!(found[0].starts_with("authentication.groupsFile: ") && found[0].contains(words), "{found:?}");
    }
    assert!(messages(groups, &[("users", "")])[0].contains("does not exist"));
    let jwt = "authentication: {jwt: {issuers: [a], audiences: [b], keysFile: keys}}\n";
    for (text, words) in [("", "is no JSON"), ("{}", "holds no keys"), (r#"{"keys": []}"#, "holds no keys")] {
        let found = messages(jwt, &[("keys", text)]);
        assert!(found[0].contains(words), "{found:?}");
    }
    let ldap =
        "authentication: {ldap: {urls: [ldaps://x], base: dc=x, bindDN: cn=x, bindPasswordFile: password}}\n";
    assert!(messages(ldap, &[("password", "a\nb\n")])[0].contains("more than one line"));
    assert!(messages(ldap, &[("password", "\n")])[0].contains("is empty"));
}

#[test]
fn says_what_does_not_go_together() {
    let in_ldap =
        |field: &str| format!("authentication: {{ldap: {{urls: [ldaps://x], base: dc=x, {field}}}}}\n");
    let in_jwt =
        |field: &str| format!("authentication: {{jwt: {{issuers: [a], audiences: [b], {field}}}}}\n");
    for (yaml, words) in [
        (in_ldap("filter: (uid=alice)"), "the filter does not ask for the user"),
        (in_ldap("filter: \"(&(uid={user})\""), "the parentheses of the filter do not match"),
        (in_ldap("bindDN: cn=x"), "there is no password for it"),
        (in_ldap("bindPasswordFile: x"), "there is nobody whose password it is"),
        (in_ldap("userAttribute: \"uid=*)(x\""), "this is no name of an attribute"),
        (in_ldap("groupFilter: \"(member={dn})\""), "no groups are searched that it could find"),
        (in_ldap("groupBase: dc=x, groupFilter: (cn=staff)"), "the filter does not ask for the user"),
        (
            in_ldap("groupBase: dc=x, groupFilter: \"(member={dn}\""),
            "the parentheses of the filter do not match",
        ),
        ("authentication: {groupsFile: groups}\n".to_owned(), "there are no users who could be in groups"),
        (in_ldap("timeout: 0s"), "zero would refuse everybody"),
        (in_jwt("userClaim: sub"), "there are no keys to check tokens by"),
        (in_jwt("keysURL: https://x/, keysFile: y"), "keys come from keysURL already"),
        (in_jwt("keysURL: http://login.example/"), "could replace keys that come over http://"),
        (in_jwt("keysURL: https://x/, refresh: 1s"), "would be asked too often"),
        (in_jwt("keysURL: https://x/, clockSkew: 1h"), "long after their end"),
        ("authentication: {realm: \"a\\nb\"}\n".to_owned(), "is no realm"),
    ] {
        let problems = check(&yaml, "egret.yaml").expect_err(&yaml);
        assert!(problems.iter().any(|problem| problem.message.contains(words)), "{yaml}{problems:?}");
    }
}

#[test]
fn the_flag_names_a_file_of_users() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "users", &format!("alice:{HASH}\n"));
    let overrides = Overrides { htpasswd: Some(directory.path().join("users")), ..Overrides::default() };
    let loaded = load(None, &overrides, 1).unwrap();
    let settings = loaded.compiled.snapshot.authentication.unwrap();
    assert!(settings.required && settings.htpasswd.as_ref().unwrap().find("alice").is_some());
}
