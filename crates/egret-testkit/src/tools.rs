//! Other programs: the clients, and what `./test` installs for them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::wait::wait_for;

/// How long a client may take.
const LIMIT: Duration = Duration::from_secs(90);

/// Where `./test` puts packages: `target/test-deps` of the workspace, or `EGRET_TEST_DEPS`.
#[must_use]
pub fn dependencies() -> PathBuf {
    match std::env::var_os("EGRET_TEST_DEPS") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-deps"),
    }
}

/// A program of the Python environment that `./test` makes.
///
/// # Panics
/// When it is not there: a client that is missing is a failure, never a skip.
#[must_use]
pub fn python() -> PathBuf {
    let python = dependencies().join("venv/bin/python");
    assert!(python.exists(), "{} is missing: run ./test --deps", python.display());
    python
}

/// A program that a package of the Python environment brings.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn of_python(name: &str) -> PathBuf {
    let program = dependencies().join("venv/bin").join(name);
    assert!(program.exists(), "{} is missing: run ./test --deps", program.display());
    program
}

/// kubectl, from the Python environment or the system's.
#[must_use]
pub fn kubectl() -> PathBuf {
    let installed = dependencies().join("venv/bin/kubectl");
    if installed.exists() { installed } else { PathBuf::from("kubectl") }
}

/// A client's command without this machine's own proxy settings and credentials.
#[must_use]
pub fn client(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().to_ascii_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command.env("HOME", std::env::temp_dir()).stdin(Stdio::null());
    command
}

/// Runs a command to its end, for at most 90 s.
///
/// # Panics
/// When it cannot be started or does not end.
pub fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|e| panic!("cannot start {program}: {e} (run ./test --deps)"));
    let (stdout, stderr) = (gather(child.stdout.take().unwrap()), gather(child.stderr.take().unwrap()));
    let status = wait_for(&format!("the end of {program}"), LIMIT, || child.try_wait().unwrap());
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn gather(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// Runs a command that must succeed, and returns what it wrote to stdout.
///
/// # Panics
/// When it fails: shows what it wrote.
pub fn succeed(command: &mut Command) -> String {
    let line = format!("{command:?}");
    let output = run(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{line}\nfailed with {}\n{out}\n{err}", output.status);
    out.into_owned()
}
