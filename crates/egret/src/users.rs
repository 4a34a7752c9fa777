//! `egret users`: the users of an htpasswd file.
//!
//! A password is asked for without an echo, or read from standard input. It is never an argument, which
//! everybody on the machine can read.

use std::fs::{self, File};
use std::io::{self, BufRead as _, ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::ExitCode;

use argon2::password_hash::PasswordHasher as _;
use egret_core::group_file::GroupFile;
use egret_core::htpasswd::{HashScheme, UserFile, check_user_name};
use egret_proxy::credentials::header::MAX_PASSWORD_BYTES;
use egret_proxy::credentials::htpasswd;
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::{AddUserArgs, Format, Hash, ListUsersArgs, RemoveUserArgs, UsersCommand, VerifyUserArgs};

/// A file that is larger is not ours to read.
const MAX_BYTES: u64 = 16 << 20;

/// bcrypt looks no further.
const BCRYPT_BYTES: usize = 72;

/// What went wrong, and what to do.
type Problem = String;

/// Runs one of the commands. Exit status 1: it failed, or the password is wrong.
pub(crate) fn run(command: &UsersCommand) -> ExitCode {
    let outcome = match command {
        UsersCommand::Add(args) => add(args),
        UsersCommand::Verify(args) => verify(args),
        UsersCommand::Remove(args) => remove(args),
        UsersCommand::List(args) => return list(args).unwrap_or_else(|problem| fail(&problem)),
    };
    match outcome {
        Ok(said) => {
            anstream::eprintln!("{said}");
            ExitCode::SUCCESS
        }
        Err(problem) => fail(&problem),
    }
}

fn fail(problem: &str) -> ExitCode {
    anstream::eprintln!("egret: {problem}");
    ExitCode::FAILURE
}

fn add(args: &AddUserArgs) -> Result<String, Problem> {
    check_name(&args.user)?;
    // Read first: nobody types a password for a file that cannot be changed.
    let _lock = Lock::take(&args.file)?;
    let text = match read(&args.file) {
        Ok(text) => text,
        Err(Unreadable::Missing) => String::new(),
        Err(Unreadable::Other(problem)) => return Err(problem),
    };
    let password = new_password(&args.user, args.password_stdin)?;
    let hash = match args.hash {
        Hash::Bcrypt if password.len() > BCRYPT_BYTES => {
            return Err(format!(
                "the password has more than {BCRYPT_BYTES} bytes, of which bcrypt would leave the rest out: \
                 choose a shorter one, or --hash argon2"
            ));
        }
        Hash::Bcrypt => bcrypt::hash_with_result(password.as_bytes(), args.cost)
            .map(|parts| parts.format_for_version(bcrypt::Version::TwoY))
            .map_err(|error| format!("the password cannot be hashed: {error}"))?,
        Hash::Argon2 => argon2::Argon2::default()
            .hash_password(password.as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|error| format!("the password cannot be hashed: {error}"))?,
    };
    let (lines, was_there) = edited(&text, &args.user, Some(&format!("{}:{hash}\n", args.user)));
    write(&args.file, &lines)?;
    let what = if was_there { "has a new password in" } else { "was added to" };
    Ok(format!("{} {what} {}", args.user, args.file.display()))
}

fn verify(args: &VerifyUserArgs) -> Result<String, Problem> {
    let file = parse(&args.file)?;
    let (name, hash) = file.find(&args.user).ok_or_else(|| unknown(&file, &args.file, &args.user))?;
    let password = ask("Password: ", args.password_stdin)?;
    if !htpasswd::verify(&password, hash) {
        return Err(format!("this is not the password of {name}"));
    }
    Ok(format!("this is the password of {name}"))
}

fn remove(args: &RemoveUserArgs) -> Result<String, Problem> {
    let _lock = Lock::take(&args.file)?;
    let text = read(&args.file).map_err(|error| error.words(&args.file))?;
    let (lines, was_there) = edited(&text, &args.user, None);
    if !was_there {
        return Err(format!("{} has no user {}", args.file.display(), args.user));
    }
    write(&args.file, &lines)?;
    Ok(format!("{} was removed from {}", args.user, args.file.display()))
}

fn list(args: &ListUsersArgs) -> Result<ExitCode, Problem> {
    let file = parse(&args.file)?;
    let groups = args.groups_file.as_deref().map(parse_groups).transpose()?;
    let groups_of = |user: &str| groups.as_ref().map(|file| file.of(user));
    let mut users: Vec<(&str, HashScheme)> = file.iter().map(|(name, hash)| (&**name, hash.scheme)).collect();
    users.sort_unstable_by_key(|(name, _)| *name);
    let text = match args.format {
        Format::Json => {
            let users: Vec<_> = users
                .iter()
                .map(|(name, scheme)| {
                    let mut user = json!({"user": name, "hash": scheme.as_str(), "weak": scheme.is_weak()});
                    if let Some(groups) = groups_of(name) {
                        user["groups"] = groups.iter().map(|group| &**group).collect();
                    }
                    user
                })
                .collect();
            format!("{:#}\n", json!(users))
        }
        Format::Text => {
            let width = users.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
            let line = |(name, scheme): &(&str, HashScheme)| match groups_of(name) {
                None | Some([]) => format!("{name:width$}  {}\n", scheme.as_str()),
                Some(groups) => format!("{name:width$}  {:13}  {}\n", scheme.as_str(), groups.join(", ")),
            };
            users.iter().map(line).collect()
        }
    };
    for warning in &file.warnings {
        anstream::eprintln!("line {}: {}", warning.line, warning.what);
    }
    Ok(crate::print(&text))
}

fn parse_groups(path: &Path) -> Result<GroupFile, Problem> {
    let text = read_text(path).map_err(|error| match error {
        Unreadable::Missing => format!("{} does not exist: which file has the groups?", path.display()),
        Unreadable::Other(problem) => problem,
    })?;
    GroupFile::parse(text.as_bytes())
        .map_err(|error| format!("{} is no file of groups: {error}", path.display()))
}

fn check_name(user: &str) -> Result<(), Problem> {
    if user.starts_with('#') {
        return Err("a user name cannot begin with #, which begins a comment in the file".to_owned());
    }
    if user.trim() != user {
        return Err("a user name cannot begin or end with a space".to_owned());
    }
    check_user_name(user).map_err(|what| {
        format!(
            "the user name {what}: choose another (RFC 7617 section 2: no colon and no control characters)"
        )
    })
}

fn unknown(file: &UserFile, path: &Path, user: &str) -> Problem {
    let warning = file.warnings.iter().find(|warning| warning.what.contains(&format!("`{user}`")));
    match warning {
        Some(warning) => format!("{}, line {}: {}", path.display(), warning.line, warning.what),
        None => format!("{} has no user {user}; add one with: egret users add", path.display()),
    }
}

/// The lines of a file with another in the place of a user's, or with none; and whether the user was
/// there. All else stays as it is.
fn edited(text: &str, user: &str, new: Option<&str>) -> (String, bool) {
    let mut lines = String::with_capacity(text.len() + 512);
    let mut was_there = false;
    for line in text.lines() {
        if line.split_once(':').is_none_or(|(name, _)| name != user) {
            lines.push_str(line);
            lines.push('\n');
        } else if !std::mem::replace(&mut was_there, true) {
            lines.push_str(new.unwrap_or_default());
        }
    }
    if !was_there {
        lines.push_str(new.unwrap_or_default());
    }
    (lines, was_there)
}

fn new_password(user: &str, from_stdin: bool) -> Result<Zeroizing<String>, Problem> {
    let password = ask(&format!("Password for {user}: "), from_stdin)?;
    if password.is_empty() {
        return Err("the password is empty, and an empty one is never accepted".to_owned());
    }
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(format!("the password has more than {MAX_PASSWORD_BYTES} bytes; choose a shorter one"));
    }
    if password.chars().any(char::is_control) {
        return Err("the password holds a control character, which clients cannot send (RFC 7617)".to_owned());
    }
    if !from_stdin && *ask("Again: ", false)? != *password {
        return Err("the two passwords differ; nothing was changed".to_owned());
    }
    Ok(password)
}

/// Asks on the terminal without an echo, or reads the first line of standard input.
fn ask(prompt: &str, from_stdin: bool) -> Result<Zeroizing<String>, Problem> {
    if !from_stdin {
        if !io::stdin().is_terminal() {
            return Err("there is no terminal to ask for the password on; give --password-stdin".to_owned());
        }
        let password = rpassword::prompt_password(prompt);
        return password.map(Zeroizing::new).map_err(|error| format!("the password cannot be read: {error}"));
    }
    let mut line = Zeroizing::new(String::new());
    // One byte more than fits tells that there is more.
    let mut input = io::stdin().lock().take(MAX_PASSWORD_BYTES as u64 + 3);
    input
        .read_line(&mut line)
        .map_err(|error| format!("the password cannot be read from standard input: {error}"))?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

enum Unreadable {
    Missing,
    Other(Problem),
}

impl Unreadable {
    fn words(self, path: &Path) -> Problem {
        match self {
            Self::Missing => format!("{} does not exist; make it with: egret users add", path.display()),
            Self::Other(problem) => problem,
        }
    }
}

fn read(path: &Path) -> Result<String, Unreadable> {
    let text = read_text(path)?;
    match UserFile::parse(text.as_bytes()) {
        Ok(_) => Ok(text),
        Err(wrong) => Err(Unreadable::Other(format!(
            "{} is no file of users: {wrong}; nothing was changed",
            path.display()
        ))),
    }
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    let other = |what: String| Unreadable::Other(format!("{} {what}", path.display()));
    let meta = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Unreadable::Missing,
        _ => other(format!("cannot be read: {error}")),
    })?;
    if !meta.is_file() {
        return Err(other("is no regular file".to_owned()));
    }
    if meta.len() > MAX_BYTES {
        return Err(other(format!("is larger than {} MiB", MAX_BYTES >> 20)));
    }
    fs::read_to_string(path).map_err(|error| other(format!("cannot be read: {error}")))
}

fn parse(path: &Path) -> Result<UserFile, Problem> {
    let text = read(path).map_err(|error| error.words(path))?;
    UserFile::parse(text.as_bytes()).map_err(|wrong| format!("{}: {wrong}", path.display()))
}

/// Puts the new content in the place of the file at once, so that a proxy that watches it never reads
/// half of it. Mode and owner stay; a new file is for its owner alone. A symbolic link stays a link.
fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let problem =
        |error: io::Error| format!("{} cannot be written: {error}; nothing was changed", path.display());
    let directory = directory(path);
    // Made with mode 0600.
    let mut draft =
        tempfile::Builder::new().prefix(".egret-users-").tempfile_in(directory).map_err(problem)?;
    draft.write_all(text.as_bytes()).map_err(problem)?;
    if let Ok(old) = fs::metadata(path) {
        keep_owner(draft.as_file(), &old).map_err(|error| {
            format!(
                "{} belongs to somebody else (user {}, group {}), which cannot be kept: {error}; run this as \
                 root or as the owner",
                path.display(),
                old.uid(),
                old.gid()
            )
        })?;
        let mode = fs::Permissions::from_mode(old.mode() & 0o7777);
        draft.as_file().set_permissions(mode).map_err(problem)?;
    }
    draft.as_file().sync_all().map_err(problem)?;
    draft.persist(path).map_err(|error| problem(error.error))?;
    // The name is on disk when the directory is. Some file systems cannot do that, and need not.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

fn keep_owner(draft: &File, old: &fs::Metadata) -> io::Result<()> {
    let new = draft.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(draft, Some(old.uid()), Some(old.gid()))
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Keeps two commands that change one file apart. The lock is on the directory, so that it leaves no
/// file behind and outlives the file's replacement.
struct Lock(#[expect(dead_code, reason = "the lock ends when the directory is closed")] File);

impl Lock {
    fn take(path: &Path) -> Result<Self, Problem> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let directory = directory(&path);
        let problem = |error: io::Error| format!("{} cannot be locked: {error}", directory.display());
        let file = File::open(directory).map_err(problem)?;
        file.lock().map_err(problem)?;
        Ok(Self(file))
    }
}
