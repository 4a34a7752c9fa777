//! The proxies that are compared: where their programs are, how they are configured and started.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::load::probe;
use crate::origin::Ports;
use crate::plan::Setup;
use crate::{configs, intercept, process, tls};

/// Squid needs a few seconds until its workers share a listener.
const START: Duration = Duration::from_secs(20);

/// What kind of proxy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Egret,
    Tinyproxy,
    Squid,
    Envoy,
    /// For tunnels that are looked into alone.
    Mitmproxy,
    Bare,
    /// Egret with `capture: Headers`.
    EgretCapturing,
}

/// A proxy that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// The table's column.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    /// What speaks TLS for it, when it is another program: stunnel before tinyproxy, and Squid's build
    /// with OpenSSL, since the usual one of Debian asks for no client certificates.
    pub(crate) tls_program: Option<PathBuf>,
    /// What the program says of its version.
    pub(crate) version: String,
}

/// The names that `--peers` knows, in the table's order.
pub(crate) const NAMES: &[(&str, Kind)] = &[
    ("egret", Kind::Egret),
    ("tinyproxy", Kind::Tinyproxy),
    ("squid", Kind::Squid),
    ("envoy", Kind::Envoy),
    ("mitmproxy", Kind::Mitmproxy),
    ("bare", Kind::Bare),
    ("egret-capturing", Kind::EgretCapturing),
];

impl Peer {
    /// A peer whose program is there and says its version.
    ///
    /// # Errors
    ///
    /// The program is missing or does not run.
    pub(crate) fn find(name: &str, kind: Kind, program: PathBuf) -> io::Result<Self> {
        let flag = match kind {
            Kind::Tinyproxy | Kind::Squid => "-v",
            Kind::Egret | Kind::EgretCapturing | Kind::Envoy | Kind::Mitmproxy | Kind::Bare => "--version",
        };
        let output = Command::new(&program).arg(flag).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("unknown");
        // Envoy's says: version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL.
        let version = version.split_once("version: ").map_or(version, |(_, version)| version).trim();
        let version = version.split('/').nth(1).unwrap_or(version).to_owned();
        Ok(Self { name: name.to_owned(), kind, program, tls_program: None, version })
    }

    /// Starts the proxy on a free port and waits until it forwards and tunnels properly.
    ///
    /// # Errors
    ///
    /// It cannot be started, ends, or does not answer properly within 20 seconds; with the end of what
    /// it wrote.
    pub(crate) async fn start(&self, workers: usize, origin: Ports, setup: Setup) -> io::Result<Running> {
        let directory = tempfile::Builder::new().prefix("egret-bench-").tempdir()?;
        open_to_all(directory.path())?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = match setup {
            Setup::Plain => self.command(directory.path(), address, workers)?,
            Setup::Tls => {
                tls::write_certificates(directory.path())?;
                self.tls_command(directory.path(), address, workers)?
            }
            Setup::Intercept => {
                tls::write_certificates(directory.path())?;
                self.intercept_command(directory.path(), address)?
            }
        };
        let output = std::fs::File::create(directory.path().join("output"))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // A group of its own, so that it can be ended with its children.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn()?;
        let mut running = Running { address, child, directory, is_squid: self.kind == Kind::Squid };
        running.wait_until_it_works(origin, setup).await?;
        Ok(running)
    }

    fn command(&self, directory: &Path, address: SocketAddr, workers: usize) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        let config = directory.join("config");
        let write = |text: String| std::fs::write(&config, text);
        let workers_text = workers.to_string();
        match self.kind {
            Kind::Egret | Kind::EgretCapturing => {
                // The name by which a reader of configurations knows what is in the file.
                let config = config.with_extension("yaml");
                std::fs::write(&config, self.egret_config(configs::egret()))?;
                command.args(["proxy", "--listen", &address.to_string(), "--admin", "off", "--config"]);
                command.arg(&config).current_dir(directory);
            }
            Kind::Tinyproxy => {
                write(configs::tinyproxy(address))?;
                command.arg("-d").arg("-c").arg(&config);
            }
            Kind::Squid => {
                write(configs::squid(address, workers, directory))?;
                // The name keeps its shared memory apart from that of another Squid.
                command.args(["--foreground", "-n", &squid_name(address), "-f"]).arg(&config);
            }
            Kind::Envoy => {
                write(configs::envoy(address))?;
                let config = config.with_extension("yaml");
                std::fs::rename(directory.join("config"), &config)?;
                command.args(["--concurrency", &workers_text, "--disable-hot-restart", "-l", "error"]);
                command.arg("-c").arg(&config);
            }
            Kind::Mitmproxy => return Err(io::Error::other("it is measured where it looks into tunnels")),
            Kind::Bare => {
                command.args(["relay", "--listen", &address.to_string(), "--workers", &workers_text]);
            }
        }
        Ok(command)
    }

    /// Whether it can be measured with this setup.
    pub(crate) fn can(&self, setup: Setup) -> bool {
        match (self.kind, setup) {
            (Kind::Egret | Kind::EgretCapturing, _) | (Kind::Mitmproxy, Setup::Intercept) => true,
            (Kind::Tinyproxy | Kind::Squid, Setup::Tls) => self.tls_program.is_some(),
            (Kind::Mitmproxy, _) | (_, Setup::Intercept) | (Kind::Bare, Setup::Tls) => false,
            (Kind::Tinyproxy | Kind::Squid | Kind::Envoy | Kind::Bare, _) => true,
        }
    }

    /// Egret's configuration, as this peer has it.
    fn egret_config(&self, config: String) -> String {
        let captures = self.kind == Kind::EgretCapturing;
        if captures { format!("{config}capture: Headers\n") } else { config }
    }

    /// The same as [`Self::command`], looking into tunnels; the certificates are in the directory.
    fn intercept_command(&self, directory: &Path, address: SocketAddr) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).map(|()| path)
        };
        match self.kind {
            Kind::Egret | Kind::EgretCapturing => {
                write("hosts", intercept::hosts_file())?;
                let config = write("config.yaml", self.egret_config(configs::egret_intercept()))?;
                command.args(["proxy", "--listen", &address.to_string(), "--admin", "off", "--config"]);
                command.arg(config).arg("--state-dir").arg(directory).current_dir(directory);
            }
            Kind::Mitmproxy => {
                let script = write("hosts.py", configs::mitmproxy_script())?;
                command.args(["-q", "--listen-host", "127.0.0.1", "-p", &address.port().to_string(), "-s"]);
                command.arg(script).arg("--set").arg(format!("confdir={}", directory.display()));
                let authority = directory.join("ca.crt");
                command.arg("--set").arg(format!("ssl_verify_upstream_trusted_ca={}", authority.display()));
            }
            _ => return Err(io::Error::other("this proxy looks into no tunnels here")),
        }
        Ok(command)
    }

    /// The same as [`Self::command`], with mutual TLS; the certificates are in the directory.
    fn tls_command(&self, directory: &Path, address: SocketAddr, workers: usize) -> io::Result<Command> {
        let missing = || io::Error::other("this proxy has no TLS here");
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).map(|()| path)
        };
        let mut command = Command::new(&self.program);
        match self.kind {
            Kind::Egret | Kind::EgretCapturing => {
                let config = write("config.yaml", self.egret_config(configs::egret_tls(address)))?;
                command.args(["proxy", "--admin", "off", "--config"]).arg(config).current_dir(directory);
            }
            Kind::Tinyproxy => {
                let stunnel = self.tls_program.as_ref().ok_or_else(missing)?;
                let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
                let inner = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let tinyproxy_config = write("tinyproxy", configs::tinyproxy(inner))?;
                let stunnel_config = write("stunnel", configs::stunnel(address, inner, directory))?;
                // stunnel takes the shell's place, so that tinyproxy is its child and both are counted.
                command = Command::new("/bin/sh");
                command.args(["-c", "\"$1\" -d -c \"$2\" & exec \"$3\" \"$4\"", "sh"]);
                command.arg(&self.program).arg(tinyproxy_config).arg(stunnel).arg(stunnel_config);
            }
            Kind::Squid => {
                command = Command::new(self.tls_program.as_ref().ok_or_else(missing)?);
                let config = write("config", configs::squid_tls(address, workers, directory))?;
                command.args(["--foreground", "-n", &squid_name(address), "-f"]).arg(config);
            }
            Kind::Envoy => {
                let config = write("config.yaml", configs::envoy_tls(address, directory))?;
                command.args(["--concurrency", &workers.to_string(), "--disable-hot-restart", "-l", "error"]);
                command.arg("-c").arg(config);
            }
            Kind::Mitmproxy | Kind::Bare => return Err(missing()),
        }
        Ok(command)
    }
}

fn squid_name(address: SocketAddr) -> String {
    format!("egretbench{}", address.port())
}

/// Squid gives up root and must still write where its configuration says.
fn open_to_all(directory: &Path) -> io::Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(directory, mode)
}

/// A running proxy; it is ended, with its children, when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    child: Child,
    directory: TempDir,
    is_squid: bool,
}

impl Running {
    /// The process that was started, the root of its tree.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The CA that it signs with where it looks into tunnels, once it has made it.
    ///
    /// # Errors
    ///
    /// It is not there yet.
    pub(crate) fn interception_ca(&self) -> io::Result<Vec<u8>> {
        let read = |name: &str| std::fs::read(self.directory.path().join(name));
        read("interception-ca.crt").or_else(|_| read("mitmproxy-ca-cert.pem"))
    }

    async fn wait_until_it_works(&mut self, origin: Ports, setup: Setup) -> io::Result<()> {
        let deadline = Instant::now() + START;
        loop {
            let error = match probe(self, origin, setup).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let output = std::fs::read(self.directory.path().join("output")).unwrap_or_default();
                let output = String::from_utf8_lossy(&output);
                let lines: Vec<&str> = output.lines().collect();
                let last = lines[lines.len().saturating_sub(5)..].join("\n    ");
                let state = ended.map_or("does not answer".to_owned(), |status| format!("ended, {status}"));
                return Err(io::Error::other(format!("{state} ({error})\n    {last}")));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let members = process::tree(self.pid()).unwrap_or_default();
        let signal = |pid: u32, signal: Signal| {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, signal);
            }
        };
        signal(self.pid(), Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(3);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // Whatever is left of the tree that was seen, by its number and only if it is still one's own.
        for pid in members.into_iter().filter(|pid| self.is_left(*pid)) {
            signal(pid, Signal::KILL);
        }
        let _ = self.child.wait();
        if self.is_squid {
            // Sockets that its processes spoke over, in a place that no setting moves.
            let name = squid_name(self.address);
            for part in ["coordinator", "kid-1", "kid-2"] {
                let _ = std::fs::remove_file(format!("/run/squid/{name}-{part}.ipc"));
            }
        }
    }
}

impl Running {
    /// The process still exists and belongs to the group that was started, so that its number has not
    /// gone to another program.
    fn is_left(&self, pid: u32) -> bool {
        let group =
            i32::try_from(pid).ok().and_then(Pid::from_raw).map(|pid| rustix::process::getpgid(Some(pid)));
        matches!(group, Some(Ok(group)) if group.as_raw_nonzero().get() as u32 == self.pid())
    }
}
