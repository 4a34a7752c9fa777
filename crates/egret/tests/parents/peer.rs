//! Other people's proxies, as they come from the distribution.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use egret_testkit::wait::{PATIENCE, wait_until};

/// A running proxy; dropped, it is stopped.
pub(crate) struct Peer {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Peer {
    /// tinyproxy, with a line more in its configuration.
    pub(crate) fn tinyproxy(line: &str) -> Self {
        Self::start(|port, directory| {
            let file = directory.join("tinyproxy.conf");
            let mut config = std::fs::File::create(&file).unwrap();
            writeln!(
                config,
                "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nLogLevel Error\n{line}"
            )
            .unwrap();
            let mut command = Command::new("tinyproxy");
            command.arg("-d").arg("-c").arg(file);
            command
        })
    }

    /// Squid without a cache, which lets tunnels go to any port.
    pub(crate) fn squid() -> Self {
        Self::start(|port, directory| {
            let file = directory.join("squid.conf");
            let at = directory.display();
            // Squid gives up root and must still write its log.
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777)).unwrap();
            std::fs::write(
                &file,
                format!(
                    "http_port 127.0.0.1:{port}\nhttp_access allow all\ncache deny all\ncache_mem 0\n\
                     memory_cache_shared off\nnetdb_filename none\nshutdown_lifetime 0 seconds\n\
                     pid_filename {at}/squid.pid\naccess_log none\ncache_log {at}/cache.log\n\
                     coredump_dir {at}\npinger_enable off\nvisible_hostname squid.test\n"
                ),
            )
            .unwrap();
            let mut command = Command::new("/usr/sbin/squid");
            command.args(["-N", "-n", &format!("parent{port}"), "-f"]).arg(file);
            command
        })
    }

    /// microsocks, with more arguments.
    pub(crate) fn microsocks(arguments: &[&str]) -> Self {
        Self::start(|port, _| {
            let mut command = Command::new("microsocks");
            command.args(["-i", "127.0.0.1", "-p", &port.to_string()]).args(arguments);
            command
        })
    }

    fn start(command: impl FnOnce(u16, &std::path::Path) -> Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = command(address.port(), directory.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; run ./test --deps"));
        let mut peer = Self { child, address, _directory: directory };
        wait_until("a proxy that listens", PATIENCE, || {
            assert!(peer.child.try_wait().unwrap().is_none(), "{command:?} has ended");
            TcpStream::connect(address).is_ok()
        });
        peer
    }

    /// Its URL, with `user:password@` or nothing.
    pub(crate) fn url(&self, scheme: &str, credentials: &str) -> String {
        format!("{scheme}://{credentials}{}", self.address)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Asked politely, Squid takes its shared memory away.
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        for _ in 0..40 {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
