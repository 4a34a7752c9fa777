//! `egret users`.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use egret_testkit::tools::{client, python, run, succeed};

use super::script;

/// Runs `egret users` with this on standard input.
fn users(arguments: &[&str], file: &Path, user: &str, input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
    command.arg("users").args(arguments).arg(file);
    if !user.is_empty() {
        command.arg(user);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that fails early does not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn works(arguments: &[&str], file: &Path, user: &str, input: &str) -> String {
    let output = users(arguments, file, user, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fails(arguments: &[&str], file: &Path, user: &str, input: &str) -> String {
    let output = users(arguments, file, user, input);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn adds_checks_lists_and_removes_users() {
    let directory = tempfile::tempdir().unwrap();
    let file = &directory.path().join("users");
    works(&["add", "--password-stdin"], file, "alice", "secret\n");
    works(&["add", "--password-stdin", "--hash", "argon2"], file, "bob", "hunter2");
    works(&["add", "--password-stdin", "--cost", "5"], file, "jörg", "pässwörd\r\n");
    assert_eq!(std::fs::metadata(file).unwrap().mode() & 0o7777, 0o600, "for its owner alone");
    works(&["verify", "--password-stdin"], file, "alice", "secret\n");
    works(&["verify", "--password-stdin"], file, "bob", "hunter2\n");
    works(&["verify", "--password-stdin"], file, "jörg", "pässwörd\n");
    assert!(
        fails(&["verify", "--password-stdin"], file, "alice", "hunter2\n")
            .contains("not the password of alice")
    );
    assert_eq!(works(&["list"], file, "", ""), "alice  bcrypt\nbob    Argon2\njörg   bcrypt\n");
    let list: serde_json::Value =
        serde_json::from_str(&works(&["list", "--format", "json"], file, "", "")).unwrap();
    assert_eq!(list[1], serde_json::json!({"user": "bob", "hash": "Argon2", "weak": false}));
    let elsewhere = tempfile::tempdir().unwrap();
    let groups = elsewhere.path().join("groups");
    std::fs::write(&groups, "staff: bob \\\n j\u{f6}rg\nbuild: bob\n").unwrap();
    let with = ["list", "--groups-file", groups.to_str().unwrap()];
    assert_eq!(
        works(&with, file, "", ""),
        "alice  bcrypt\nbob    Argon2         build, staff\nj\u{f6}rg   bcrypt         staff\n"
    );
    let list: serde_json::Value =
        serde_json::from_str(&works(&[&with[..], &["--format", "json"]].concat(), file, "", "")).unwrap();
    assert_eq!(list[0]["groups"], serde_json::json!([]));
    assert_eq!(list[1]["groups"], serde_json::json!(["build", "staff"]));
    std::fs::write(&groups, "staff bob\n").unwrap();
    assert!(fails(&with, file, "", "").contains("is no file of groups: line 1 has no colon"));
    std::fs::remove_file(&groups).unwrap();
    assert!(fails(&with, file, "", "").contains("groups does not exist"));
    // Apache's own program agrees.
    succeed(client("htpasswd").arg("-vb").arg(file).args(["alice", "secret"]));
    works(&["add", "--password-stdin"], file, "alice", "changed\n");
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(
        text.lines().map(|line| line.split(':').next().unwrap()).collect::<Vec<_>>(),
        ["alice", "bob", "jörg"]
    );
    fails(&["verify", "--password-stdin"], file, "alice", "secret\n");
    works(&["remove"], file, "alice", "");
    assert!(fails(&["remove"], file, "alice", "").contains("has no user alice"));
    assert!(fails(&["verify", "--password-stdin"], file, "alice", "x").contains("has no user alice"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left behind");
}

#[test]
fn keeps_comments_mode_and_what_others_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let file = &directory.path().join("users");
    std::fs::write(file, "# ours\n\nweak:$apr1$r31....$gnsoqlxyxQQ0Ot5JCwiei.:a note\nalice:$2y$05$770vgo/R/OfiiC7fRoMpXOzqCSF2dsWNP4VS6g2VbV47QOvGK9LHC").unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o640)).unwrap();
    works(&["add", "--password-stdin"], file, "bob", "x\n");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(
        text.starts_with("# ours\n\nweak:$apr1$r31....$gnsoqlxyxQQ0Ot5JCwiei.:a note\nalice:$2y$05$"),
        "{text}"
    );
    assert!(text.lines().last().unwrap().starts_with("bob:$2y$10$"), "{text}");
    assert_eq!(std::fs::metadata(file).unwrap().mode() & 0o7777, 0o640);
    let output = users(&["list"], file, "", "");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("line 3: the hash of `weak` is apr1"),
        "{output:?}"
    );

    let link = &directory.path().join("link");
    std::os::unix::fs::symlink("users", link).unwrap();
    works(&["remove"], link, "bob", "");
    assert!(std::fs::symlink_metadata(link).unwrap().is_symlink(), "a link stays one");
    assert!(!std::fs::read_to_string(file).unwrap().contains("bob"));
}

#[test]
fn refuses_names_and_passwords_that_clients_cannot_send() {
    let directory = tempfile::tempdir().unwrap();
    let file = &directory.path().join("users");
    let long = "u".repeat(256);
    for (user, words) in [
        ("a:b", "holds a colon"),
        ("a\nb", "holds a control character"),
        ("a\u{7f}b", "holds a control character"),
        (long.as_str(), "longer than 255 bytes"),
        ("#alice", "begins a comment"),
        (" alice", "begin or end with a space"),
    ] {
        assert!(fails(&["add", "--password-stdin"], file, user, "x\n").contains(words), "{user:?}");
    }
    for (password, words) in [
        ("\n", "is empty"),
        ("", "is empty"),
        ("a\tb\n", "control character"),
        (&"p".repeat(73), "more than 72 bytes"),
        (&"p".repeat(600), "more than 512 bytes"),
    ] {
        let message = fails(&["add", "--password-stdin"], file, "alice", password);
        assert!(message.contains(words), "{message}");
    }
    works(&["add", "--password-stdin", "--hash", "argon2"], file, "alice", &"p".repeat(73));
    assert_eq!(users(&["add", "--password-stdin", "--cost", "3"], file, "bob", "x").status.code(), Some(2));
    assert!(
        fails(&["add"], file, "bob", "x\n").contains("--password-stdin"),
        "never asked where nobody sees it"
    );
}

#[test]
fn a_file_that_is_no_file_of_users_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = &directory.path().join("notes");
    std::fs::write(file, "just some notes\n").unwrap();
    assert!(fails(&["add", "--password-stdin"], file, "alice", "x\n").contains("line 1 has no colon"));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "just some notes\n");
    fails(&["list"], &directory.path().join("missing"), "", "");
    fails(&["add", "--password-stdin"], directory.path(), "alice", "x\n");
}

#[test]
fn asks_on_the_terminal_without_an_echo() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("users");
    let output = run(client(python()).arg(script("terminal.py")).arg(env!("CARGO_BIN_EXE_egret")).arg(&file));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.ends_with("good\n"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    works(&["verify", "--password-stdin"], &file, "alice", "s3cret word\n");
}

#[test]
fn many_at_once_lose_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let file = &directory.path().join("users");
    std::thread::scope(|scope| {
        for user in 0..8 {
            scope.spawn(move || {
                works(&["add", "--password-stdin", "--cost", "4"], file, &format!("user{user}"), "x\n");
            });
        }
    });
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 8);
}
