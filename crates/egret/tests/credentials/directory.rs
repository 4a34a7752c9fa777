//! A real directory: Debian's slapd on loopback, with entries of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use egret_testkit::TestCa;
use egret_testkit::tools::{client, succeed};
use egret_testkit::wait::{PATIENCE, wait_until};
use rustix::process::{Pid, Signal, kill_process};

const ENTRIES: &str = r#"dn: dc=corp,dc=example
objectClass: dcObject
objectClass: organization
o: Corp
dc: corp

dn: ou=people,dc=corp,dc=example
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=corp,dc=example
objectClass: organizationalUnit
ou: groups

dn: cn=egret,dc=corp,dc=example
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: egret
userPassword: searcher

dn: uid=alice,ou=people,dc=corp,dc=example
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
mail: same@corp.example
userPassword: secret

dn: uid=bob,ou=people,dc=corp,dc=example
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: B
mail: same@corp.example
userPassword: hunter2

dn: uid=carol,ou=people,dc=corp,dc=example
objectClass: inetOrgPerson
objectClass: posixAccount
uid: carol
cn: Carol
sn: C
uidNumber: 1
gidNumber: 1
homeDirectory: /
userPassword: secret

dn: cn=Odd,ou=people,dc=corp,dc=example
objectClass: inetOrgPerson
uid: odd*(name)\, "of" \5c
cn: Odd
sn: O
userPassword: pässwörd

dn: cn=No Password,ou=people,dc=corp,dc=example
objectClass: inetOrgPerson
uid: nopassword
cn: No Password
sn: N

dn: cn=internet,ou=groups,dc=corp,dc=example
objectClass: groupOfNames
cn: internet
member: uid=alice,ou=people,dc=corp,dc=example
member: cn=Odd,ou=people,dc=corp,dc=example

dn: cn=Ops \2C night,ou=groups,dc=corp,dc=example
objectClass: groupOfNames
cn: Ops , night
member: cn=egret,dc=corp,dc=example

dn: cn=posix,ou=groups,dc=corp,dc=example
objectClass: posixGroup
cn: posix
gidNumber: 1
memberUid: carol
"#;

/// A running slapd; dropped, it is stopped.
pub(crate) struct Directory {
    child: Child,
    directory: tempfile::TempDir,
    /// The CA that signed its certificate, which is for 127.0.0.1 and localhost.
    pub(crate) ca: TestCa,
    ldap: u16,
    ldaps: u16,
}

impl Directory {
    /// Makes and starts one.
    pub(crate) fn start() -> Self {
        let ca = TestCa::new();
        let directory = tempfile::tempdir().unwrap();
        let (ldap, ldaps) = (free_port(), free_port());
        configure(directory.path(), &ca);
        let child = spawn(directory.path(), ldap, ldaps);
        let mut it = Self { child, directory, ca, ldap, ldaps };
        it.wait();
        it
    }

    fn wait(&mut self) {
        let ldap = self.ldap;
        let child = &mut self.child;
        wait_until("slapd to answer", PATIENCE, || {
            assert!(child.try_wait().unwrap().is_none(), "slapd ended; is the port taken?");
            std::net::TcpStream::connect(("127.0.0.1", ldap)).is_ok()
        });
    }

    /// Ends it, as a crash does.
    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again where it was.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.directory.path(), self.ldap, self.ldaps);
        self.wait();
    }

    /// Holds it, so that it takes connections and says nothing.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// The section `ldap`, spoken to as `scheme`, with further lines of it.
    pub(crate) fn section(&self, scheme: &str, lines: &[&str]) -> String {
        let port = if scheme == "ldaps" { self.ldaps } else { self.ldap };
        let password = self.directory.path().join("password");
        let mut text = format!(
            "  ldap:\n    urls: [\"{scheme}://127.0.0.1:{port}\"]\n    trustedCA: {}\n    base: dc=corp,dc=example\n    \
             bindDN: cn=egret,dc=corp,dc=example\n    bindPasswordFile: {}\n",
            self.ca.pem().display(),
            password.display()
        );
        for line in lines {
            text.push_str(&format!("    {line}\n"));
        }
        text
    }

    /// Gives a user another password, as the directory's administrator does.
    pub(crate) fn change_password(&self, dn: &str, password: &str) {
        let url = format!("ldap://127.0.0.1:{}", self.ldap);
        let mut command = client("ldappasswd");
        command.args([
            "-x",
            "-H",
            &url,
            "-D",
            "cn=admin,dc=corp,dc=example",
            "-w",
            "admin",
            "-s",
            password,
            dn,
        ]);
        succeed(&mut command);
    }

    /// Makes a user a member of a group, as the directory's administrator does. The user's entry says so
    /// then in `memberOf`, which it does not of groups that were there from the beginning.
    pub(crate) fn join(&self, group: &str, dn: &str) {
        let changes = self.directory.path().join("changes.ldif");
        let text = format!("dn: {group}\nchangetype: modify\nadd: member\nmember: {dn}\n");
        std::fs::write(&changes, text).unwrap();
        let url = format!("ldap://127.0.0.1:{}", self.ldap);
        let mut command = client("ldapmodify");
        command.args(["-x", "-H", &url, "-D", "cn=admin,dc=corp,dc=example", "-w", "admin", "-f"]);
        succeed(command.arg(changes));
    }

    /// How many connections it has had, and is still asked over: those that the system knows of.
    pub(crate) fn connections(&self) -> usize {
        let port = format!(":{:04X}", self.ldaps);
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let established = |line: &&str| {
            let mut words = line.split_whitespace().skip(1);
            words.next().is_some_and(|local| local.ends_with(&port)) && words.nth(1) == Some("01")
        };
        table.lines().filter(established).count()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is held cannot end; what has ended cannot be told.
        let _ = kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), Signal::CONT);
        self.stop();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn configure(directory: &Path, ca: &TestCa) {
    let (certificate, key) = ca.files(&["localhost", "127.0.0.1"]);
    let at = directory.display();
    let schemas: String = ["core", "cosine", "inetorgperson", "nis"]
        .map(|name| format!("include /etc/ldap/schema/{name}.schema\n"))
        .concat();
    std::fs::create_dir(directory.join("data")).unwrap();
    std::fs::write(directory.join("password"), "searcher\n").unwrap();
    std::fs::write(
        directory.join("slapd.conf"),
        format!(
            "{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload memberof\npidfile {at}/slapd.pid\n\
             argsfile {at}/slapd.args\nTLSCACertificateFile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n\
             disallow bind_anon\nsizelimit 100\ndatabase mdb\nmaxsize 10485760\nsuffix dc=corp,dc=example\n\
             rootdn cn=admin,dc=corp,dc=example\nrootpw admin\ndirectory {at}/data\noverlay memberof\n\
             access to attrs=userPassword by anonymous auth by * none\n\
             access to * by dn.exact=cn=egret,dc=corp,dc=example read by anonymous auth by * none\n",
            ca.pem().display(),
            certificate.display(),
            key.display(),
        ),
    )
    .unwrap();
    std::fs::write(directory.join("entries.ldif"), ENTRIES).unwrap();
    let mut command = client("/usr/sbin/slapadd");
    command.arg("-f").arg(directory.join("slapd.conf")).arg("-l").arg(directory.join("entries.ldif"));
    succeed(&mut command);
}

fn spawn(directory: &Path, ldap: u16, ldaps: u16) -> Child {
    let mut command = Command::new("/usr/sbin/slapd");
    command.arg("-h").arg(format!("ldap://127.0.0.1:{ldap} ldaps://127.0.0.1:{ldaps}"));
    // In the foreground, saying nothing.
    command.arg("-d").arg("0").arg("-f").arg(directory.join("slapd.conf"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("cannot start slapd: {error} (run ./test --deps)"))
}
