//! What the command line sets instead of the file. It is put into the tree before the checks, so that the
//! same checks hold for it; an error names the flag instead of a line.

use std::path::{Path, PathBuf};

use crate::source::Position;
use crate::walk::Finding;
use crate::yaml::{self, Entry, Kind, Node};

/// Settings from the command line or its environment variables. What is empty or `None` changes nothing: in
/// containers, a variable that is set to nothing means one that is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--listen`: addresses instead of `listeners`; with `--mtls`, addresses to speak mutual TLS on.
    pub listen: Vec<String>,
    /// `--mtls`: a directory with `ca.crt`, `server.crt` and `server.key`, with which mutual TLS is spoken
    /// instead of what `listeners` says.
    pub mtls: Option<PathBuf>,
    /// `--admin`: instead of `admin.address`.
    pub admin: Option<String>,
    /// `--console`: instead of `console.address`.
    pub console: Option<String>,
    /// `--dns`: instead of `dns.servers`.
    pub dns: Vec<String>,
    /// `--upstream-ca`: instead of `upstream.trustedCA`. A relative path begins at the working directory.
    pub upstream_ca: Option<PathBuf>,
    /// `--htpasswd`: instead of `authentication.htpasswd`. A relative path begins at the working directory.
    pub htpasswd: Option<PathBuf>,
    /// `--parent`: URLs of one group that stands instead of `parents`.
    pub parents: Vec<String>,
    /// `--no-proxy`: a list in `NO_PROXY`'s form, added to `noProxy` of every group.
    pub no_proxy: Option<String>,
    /// `--allow-host`: a rule in addition to `rules.allow`.
    pub allow_hosts: Vec<String>,
    /// `--deny-host`: a rule in addition to `rules.deny`.
    pub deny_hosts: Vec<String>,
    /// `--log-level`: instead of `log.level`.
    pub log_level: Option<String>,
    /// `--diagnostics-format`: instead of `log.format`.
    pub log_format: Option<String>,
    /// `--access-log`: `stdout`, `off` or a path, instead of `accessLog.output`. A relative path begins at
    /// the working directory.
    pub access_log: Option<String>,
    /// `--log-format`: instead of `accessLog.format`.
    pub access_log_format: Option<String>,
    /// `--capture`: instead of `capture`.
    pub capture: Option<String>,
    /// `--intercept`: `interception.everything` is true.
    pub intercept: bool,
    /// `--drain-timeout`: instead of `drain.timeout`.
    pub drain_timeout: Option<String>,
    /// `--workers`: instead of `workers`.
    pub workers: Option<u32>,
}

impl Overrides {
    /// Puts the settings into the tree of a file.
    pub(crate) fn apply(&self, root: &mut Node) -> Vec<Finding> {
        self.without_empty().apply_all(root)
    }

    fn without_empty(&self) -> Self {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let texts = |texts: &[String]| texts.iter().filter(|text| !text.trim().is_empty()).cloned().collect();
        Self {
            listen: texts(&self.listen),
            mtls: self.mtls.clone().filter(|path| !path.as_os_str().is_empty()),
            admin: text(&self.admin),
            console: text(&self.console),
            dns: texts(&self.dns),
            upstream_ca: self.upstream_ca.clone().filter(|path| !path.as_os_str().is_empty()),
            htpasswd: self.htpasswd.clone().filter(|path| !path.as_os_str().is_empty()),
            parents: texts(&self.parents),
            no_proxy: text(&self.no_proxy),
            allow_hosts: texts(&self.allow_hosts),
            deny_hosts: texts(&self.deny_hosts),
            log_level: text(&self.log_level),
            log_format: text(&self.log_format),
            access_log: text(&self.access_log),
            access_log_format: text(&self.access_log_format),
            capture: text(&self.capture),
            intercept: self.intercept,
            drain_timeout: text(&self.drain_timeout),
            workers: self.workers,
        }
    }

    fn apply_all(&self, root: &mut Node) -> Vec<Finding> {
        let mut findings = Vec::new();
        findings.extend(self.apply_listeners(root));
        let words = [
            ("--admin", &self.admin, ["admin", "address"]),
            ("--console", &self.console, ["console", "address"]),
            ("--log-level", &self.log_level, ["log", "level"]),
            ("--diagnostics-format", &self.log_format, ["log", "format"]),
            ("--log-format", &self.access_log_format, ["accessLog", "format"]),
            ("--drain-timeout", &self.drain_timeout, ["drain", "timeout"]),
        ];
        for (flag, value, path) in words {
            if let Some(value) = value {
                set(root, &path, text_node(&yaml::flag(flag), value));
            }
        }
        if !self.dns.is_empty() {
            set(root, &["dns", "servers"], texts("--dns", &self.dns));
        }
        if let Some(path) = &self.upstream_ca {
            set(root, &["upstream", "trustedCA"], path_node("--upstream-ca", path));
        }
        if let Some(path) = &self.htpasswd {
            set(root, &["authentication", "htpasswd"], path_node("--htpasswd", path));
        }
        if let Some(output) = &self.access_log {
            let flag = yaml::flag("--access-log");
            let node = match output.as_str() {
                "stdout" | "off" => text_node(&flag, output),
                path => map(&flag, [("file", path_node("--access-log", Path::new(path)))]),
            };
            set(root, &["accessLog", "output"], node);
        }
        if let Some(capture) = &self.capture {
            set(root, &["capture"], text_node(&yaml::flag("--capture"), capture));
        }
        if self.intercept {
            for field in ["enabled", "everything"] {
                let position = yaml::flag("--intercept");
                set(root, &["interception", field], Node { position, kind: Kind::Bool(true) });
            }
        }
        if let Some(workers) = self.workers {
            let kind = Kind::Number(workers.into(), workers.to_string());
            set(root, &["workers"], Node { position: yaml::flag("--workers"), kind });
        }
        self.apply_rules(root);
        findings.extend(self.apply_parents(root));
        findings
    }

    fn apply_listeners(&self, root: &mut Node) -> Option<Finding> {
        let listen = yaml::flag("--listen");
        if let Some(directory) = &self.mtls {
            let flag = yaml::flag("--mtls");
            let default = [MTLS_ADDRESS.to_owned()];
            let (addresses, position) = if self.listen.is_empty() {
                (default.as_slice(), &flag)
            } else {
                (self.listen.as_slice(), &listen)
            };
            let item = |text: &String| {
                let tls = mutual_tls(&flag, directory);
                map(&flag, [("address", text_node(position, text)), ("tls", tls)])
            };
            set(root, &["listeners"], list(&flag, addresses.iter().map(item)));
            return None;
        }
        if self.listen.is_empty() {
            return None;
        }
        if has_tls(root) {
            return Some(Finding {
                position: listen,
                path: String::new(),
                message: "the listeners of the configuration speak TLS, and these would not".to_owned(),
                help: Some("write the addresses into `listeners`, each with its `tls`".to_owned()),
                child: None,
            });
        }
        let item = |text: &String| map(&listen, [("address", text_node(&listen, text))]);
        set(root, &["listeners"], list(&listen, self.listen.iter().map(item)));
        None
    }

    fn apply_rules(&self, root: &mut Node) {
        for (flag, hosts, list_name) in
            [("--allow-host", &self.allow_hosts, "allow"), ("--deny-host", &self.deny_hosts, "deny")]
        {
            if hosts.is_empty() {
                continue;
            }
            let position = yaml::flag(flag);
            let name = text_node(&position, &format!("command-line-{list_name}"));
            let rule = map(&position, [("name", name), ("hosts", texts(flag, hosts))]);
            let Some(node) = reach(root, &["rules", list_name], &position) else { continue };
            match &mut node.kind {
                Kind::List(rules) => rules.push(rule),
                Kind::Null => *node = list(&position, [rule]),
                _ => {}
            }
        }
    }

    fn apply_parents(&self, root: &mut Node) -> Option<Finding> {
        if !self.parents.is_empty() {
            let flag = yaml::flag("--parent");
            let name = text_node(&flag, "command-line");
            let group = map(&flag, [("name", name), ("urls", texts("--parent", &self.parents))]);
            set(root, &["parents"], list(&flag, [group]));
        }
        let no_proxy = self.no_proxy.as_ref()?;
        let flag = yaml::flag("--no-proxy");
        let terms = no_proxy.split([',', ' ', '\t']).filter(|term| !term.is_empty());
        let terms: Vec<Node> = terms.map(|term| text_node(&flag, term)).collect();
        let Some(Node { kind: Kind::List(groups), .. }) = reach(root, &["parents"], &flag) else {
            return Some(Finding {
                position: flag,
                path: String::new(),
                message: "there is no parent proxy that it could be about".to_owned(),
                help: Some("give --parent as well, or parents in the configuration".to_owned()),
                child: None,
            });
        };
        for group in groups {
            let Some(node) = reach(group, &["noProxy"], &flag) else { continue };
            match &mut node.kind {
                Kind::List(list) => list.extend(terms.iter().cloned()),
                Kind::Null => *node = list(&flag, terms.iter().cloned()),
                _ => {}
            }
        }
        None
    }
}

/// Where `--mtls` listens.
const MTLS_ADDRESS: &str = "127.0.0.1:8443";

/// `tls` with the files that `egret certs init` makes.
fn mutual_tls(flag: &Position, directory: &Path) -> Node {
    let file = |name: &str| path_node("--mtls", &directory.join(name));
    let certificate = map(flag, [("certificate", file("server.crt")), ("key", file("server.key"))]);
    map(
        flag,
        [
            ("certificates", list(flag, [certificate])),
            ("clientAuth", text_node(flag, "required")),
            ("clientCA", file("ca.crt")),
        ],
    )
}

/// Whether a listener of the file has `tls`.
fn has_tls(root: &Node) -> bool {
    let field = |node: &Node, name: &str| match &node.kind {
        Kind::Map(entries) => entries.iter().find(|entry| entry.key == name).map(|entry| entry.value.clone()),
        _ => None,
    };
    match field(root, "listeners").map(|listeners| listeners.kind) {
        Some(Kind::List(listeners)) => {
            listeners.iter().any(|listener| field(listener, "tls").is_some_and(|tls| tls.kind != Kind::Null))
        }
        _ => false,
    }
}

/// Puts a node at a path; nothing happens where the file has something else than a mapping on the way, which
/// is an error of its own.
fn set(root: &mut Node, path: &[&str], node: Node) {
    if let Some(place) = reach(root, path, &node.position) {
        *place = node;
    }
}

/// The node at a path. Mappings on the way, and null at its end, are made where there is nothing.
fn reach<'a>(root: &'a mut Node, path: &[&str], position: &Position) -> Option<&'a mut Node> {
    let Some((first, rest)) = path.split_first() else { return Some(root) };
    if root.kind == Kind::Null {
        *root = map(position, []);
    }
    let Kind::Map(entries) = &mut root.kind else { return None };
    let index = entries.iter().position(|entry| entry.key == *first).unwrap_or_else(|| {
        let value = Node { position: position.clone(), kind: Kind::Null };
        entries.push(Entry { key: (*first).to_owned(), key_position: position.clone(), value });
        entries.len() - 1
    });
    reach(&mut entries[index].value, rest, position)
}

fn text_node(position: &Position, text: &str) -> Node {
    Node::text(position.clone(), text)
}

fn path_node(flag: &str, path: &Path) -> Node {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    text_node(&yaml::flag(flag), &path.to_string_lossy())
}

fn texts(flag: &str, texts: &[String]) -> Node {
    let flag = yaml::flag(flag);
    list(&flag, texts.iter().map(|text| text_node(&flag, text)))
}

fn list(position: &Position, items: impl IntoIterator<Item = Node>) -> Node {
    Node { position: position.clone(), kind: Kind::List(items.into_iter().collect()) }
}

fn map<const N: usize>(position: &Position, fields: [(&str, Node); N]) -> Node {
    let entry =
        |(key, value): (&str, Node)| Entry { key: key.to_owned(), key_position: position.clone(), value };
    Node { position: position.clone(), kind: Kind::Map(fields.into_iter().map(entry).collect()) }
}
