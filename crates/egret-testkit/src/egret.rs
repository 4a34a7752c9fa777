//! The real binary as a child process.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::message::Message;
use crate::raw::RawClient;
use crate::wait::{PATIENCE, wait_for, wait_until};

/// How an [`Egret`] is to be started.
#[derive(Debug)]
pub struct EgretBuilder {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
    config: Option<String>,
    config_file: Option<PathBuf>,
    listen: String,
    descriptors: Option<u64>,
}

impl EgretBuilder {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts with this configuration file; [`Egret::config_path`] says where it lies.
    #[must_use]
    pub fn config(mut self, yaml: &str) -> Self {
        self.config = Some(yaml.to_owned());
        self
    }

    /// Starts with a configuration file that the test keeps itself.
    #[must_use]
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config_file = Some(path.into());
        self
    }

    /// Listens there instead of on 127.0.0.1, port chosen by the system.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Listens where the configuration says, and only there.
    #[must_use]
    pub fn listen_as_configured(mut self) -> Self {
        self.listen.clear();
        self
    }

    /// Uses this name server.
    #[must_use]
    pub fn dns(self, server: SocketAddr) -> Self {
        self.arg("--dns").arg(server.to_string())
    }

    /// Starts with a limit of open files, soft and hard.
    #[must_use]
    pub fn descriptors(mut self, limit: u64) -> Self {
        self.descriptors = Some(limit);
        self
    }

    fn command(&self, directory: &Path) -> Command {
        let mut command = match self.descriptors {
            None => Command::new(&self.program),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("ulimit -n {limit}; exec \"$0\" \"$@\"")).arg(&self.program);
                shell
            }
        };
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().to_ascii_lowercase();
            if text.ends_with("_proxy") || text.starts_with("egret_") {
                command.env_remove(&name);
            }
        }
        command.arg("proxy").args(["--admin", "127.0.0.1:0"]);
        if !self.listen.is_empty() {
            command.args(["--listen", &self.listen]);
        }
        if let Some(config) = &self.config {
            let path = directory.join("egret.yaml");
            std::fs::write(&path, config).unwrap();
            command.arg("--config").arg(path);
        }
        if let Some(path) = &self.config_file {
            command.arg("--config").arg(path);
        }
        command.args(&self.arguments);
        // Many run at once, and few look at it: those say `--console 127.0.0.1:0`.
        command.env("EGRET_CONSOLE", "off");
        command.envs(self.environment.iter().map(|(n, v)| (n, v)));
        command.env("EGRET_READY_FILE", directory.join("ready.json"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready; what it wrote to stderr is shown.
    #[must_use]
    pub fn start(self) -> Egret {
        let directory = tempfile::tempdir().unwrap();
        let mut child = self.command(directory.path()).spawn().unwrap();
        let stdout = gather(child.stdout.take().unwrap());
        let stderr = gather(child.stderr.take().unwrap());
        let ready_file = directory.path().join("ready.json");
        let ready: Value = wait_for("egret to be ready", PATIENCE, || {
            if let Ok(Some(status)) = child.try_wait() {
                std::thread::sleep(Duration::from_millis(100));
                panic!("egret ended with {status}:\n{}", stderr.lock().unwrap().join("\n"));
            }
            serde_json::from_slice(&std::fs::read(&ready_file).ok()?).ok()
        });
        let listeners = ready["listeners"].as_array().unwrap().iter();
        let listeners = listeners.map(|a| a.as_str().unwrap().parse().unwrap()).collect();
        let address = |name: &str| ready[name].as_str().and_then(|a| a.parse().ok());
        let (admin, console) = (address("admin"), address("console"));
        Egret { child, listeners, admin, console, stdout, stderr, directory }
    }

    /// Starts it and waits until it ends by itself: exit status and what it wrote to stderr.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn run_to_end(self) -> (ExitStatus, String) {
        let directory = tempfile::tempdir().unwrap();
        let mut child = self.command(directory.path()).spawn().unwrap();
        let stderr = gather(child.stderr.take().unwrap());
        let deadline = std::time::Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if std::time::Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!("egret did not end");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        std::thread::sleep(Duration::from_millis(50));
        let text = stderr.lock().unwrap().join("\n");
        (status, text)
    }
}

/// Lines of a pipe, collected by a thread.
type Lines = Arc<Mutex<Vec<String>>>;

fn gather(pipe: impl Read + Send + 'static) -> Lines {
    let lines: Lines = Arc::default();
    let sink = lines.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            sink.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
        }
    });
    lines
}

/// One line of the access log.
#[derive(Clone, Debug)]
pub struct Record(pub Value);

impl Record {
    /// A member as text, empty when it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        match self.0.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }

    /// The flow's id.
    #[must_use]
    pub fn id(&self) -> String {
        self.text("flow")
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> String {
        self.text("method")
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> String {
        self.text("target")
    }

    /// The status, 0 for none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.text("status").parse().unwrap_or(0)
    }

    /// The reason code, empty when all went well.
    #[must_use]
    pub fn reason(&self) -> String {
        self.text("reason")
    }

    /// Payload bytes from client to upstream.
    #[must_use]
    pub fn bytes_up(&self) -> u64 {
        self.text("bytesUp").parse().unwrap_or(0)
    }

    /// Payload bytes from upstream to client.
    #[must_use]
    pub fn bytes_down(&self) -> u64 {
        self.text("bytesDown").parse().unwrap_or(0)
    }

    /// Whether the flow went on when this line was written.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.0.get("interim").and_then(Value::as_bool).unwrap_or(false)
    }
}

/// A running proxy. Dropped, it is killed.
#[derive(Debug)]
pub struct Egret {
    child: Child,
    listeners: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    console: Option<SocketAddr>,
    stdout: Lines,
    stderr: Lines,
    directory: TempDir,
}

impl Egret {
    /// How `program` is to be started: `env!("CARGO_BIN_EXE_egret")` in the tests of the `egret` crate.
    #[must_use]
    pub fn builder(program: impl Into<PathBuf>) -> EgretBuilder {
        EgretBuilder {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            config: None,
            config_file: None,
            listen: "127.0.0.1:0".to_owned(),
            descriptors: None,
        }
    }

    /// Starts `program` with nothing configured.
    #[must_use]
    pub fn start(program: impl Into<PathBuf>) -> Self {
        Self::builder(program).start()
    }

    /// Where it listens; the unspecified address is given as loopback, so that it can be connected to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let mut address = self.listeners[0];
        if address.ip().is_unspecified() {
            address.set_ip([127, 0, 0, 1].into());
        }
        address
    }

    /// The proxy's URL, as clients want it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Where its other listeners listen, in the order of the configuration, from 0.
    ///
    /// # Panics
    /// When there are fewer.
    #[must_use]
    pub fn listener(&self, index: usize) -> SocketAddr {
        self.listeners[index]
    }

    /// The URL of a proxy that speaks TLS, by a name that is in its certificate.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("https://localhost:{}", self.address().port())
    }

    /// The admin listener.
    ///
    /// # Panics
    /// When it was switched off.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin.expect("the admin listener is on")
    }

    /// The console.
    ///
    /// # Panics
    /// When it is off, as it is unless the test starts with `--console 127.0.0.1:0`.
    #[must_use]
    pub fn console(&self) -> SocketAddr {
        self.console.expect("the console is on")
    }

    /// Connects to the proxy.
    #[must_use]
    pub fn connect(&self) -> RawClient {
        RawClient::connect(self.address())
    }

    /// Opens a tunnel; the answer to CONNECT is returned with the connection.
    #[must_use]
    pub fn tunnel(&self, authority: &str) -> (RawClient, Message) {
        let mut client = self.connect();
        client.send(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
        let answer = client.response("CONNECT");
        (client, answer)
    }

    /// `GET path` at the admin listener.
    #[must_use]
    pub fn admin_page(&self, path: &str) -> Message {
        let mut client = RawClient::connect(self.admin());
        client.exchange(format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin()))
    }

    /// The value of a metric's sample, the name with its labels as exposed (`name{a="b"}`); 0 if absent.
    #[must_use]
    pub fn metric(&self, sample: &str) -> f64 {
        let text = self.admin_page("/metrics").text();
        let line = text.lines().find_map(|l| l.strip_prefix(sample)?.strip_prefix(' ').map(str::to_owned));
        line.and_then(|v| v.trim().parse().ok()).unwrap_or(0.0)
    }

    /// The directory of this instance; it holds `egret.yaml` if there is a configuration.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration file.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.directory.path().join("egret.yaml")
    }

    /// Access lines so far. Lines that are no JSON objects are no access lines.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let lines = self.stdout.lock().unwrap();
        let values = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        values.filter(Value::is_object).map(Record).collect()
    }

    /// Waits for a line that fits, and returns all that do.
    ///
    /// # Panics
    /// When none comes: shows the lines there are.
    pub fn records_where(&self, fits: impl Fn(&Record) -> bool) -> Vec<Record> {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let found: Vec<Record> = self.records().into_iter().filter(&fits).collect();
            if !found.is_empty() {
                return found;
            }
            if std::time::Instant::now() > deadline {
                panic!("no such record");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for a line that fits.
    ///
    /// # Panics
    /// When none comes, or more than one does (invariant: one record for each flow).
    pub fn record(&self, fits: impl Fn(&Record) -> bool) -> Record {
        let _ = self.records_where(&fits);
        std::thread::sleep(Duration::from_millis(150)); // long enough for a second one to show
        let mut found = self.records_where(fits);
        assert_eq!(found.len(), 1, "one record for each flow: {found:#?}");
        found.remove(0)
    }

    /// Waits until there are `count` records and checks that no more come. They are in the order in which
    /// the flows began, to the millisecond; workers write in an order of their own.
    ///
    /// # Panics
    /// When there are more or fewer.
    pub fn exactly(&self, count: usize) -> Vec<Record> {
        wait_until(&format!("{count} records"), PATIENCE, || self.records().len() >= count);
        std::thread::sleep(Duration::from_millis(150));
        let mut records = self.records();
        assert_eq!(records.len(), count, "one record for each flow");
        records.sort_by_key(|record| record.text("time"));
        records
    }

    /// What it wrote to stderr.
    #[must_use]
    pub fn log(&self) -> String {
        self.stderr.lock().unwrap().join("\n")
    }

    /// Waits until stderr has a text.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{text:?} on stderr"), PATIENCE, || self.log().contains(text));
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        let child = &mut self.child;
        wait_for("the end of egret", limit, || child.try_wait().unwrap())
    }

    /// Resident memory in bytes.
    ///
    /// # Panics
    /// When /proc cannot be read.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Open descriptors.
    ///
    /// # Panics
    /// When /proc cannot be read.
    #[must_use]
    pub fn open_descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }
}

impl Drop for Egret {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- egret's stderr ---\n{}", self.log());
            let records = self.records();
            eprintln!("--- {} records, the last of them: ---", records.len());
            for record in records.iter().rev().take(10).rev() {
                eprintln!("{}", record.0);
            }
        }
    }
}
