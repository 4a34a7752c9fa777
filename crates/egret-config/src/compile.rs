//! From the checked file to what the data path knows.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egret_core::gate::{Gate, Guard};
use egret_core::pattern::NoProxy;
use egret_core::policy::Policies;
use egret_core::policy::model::{Action, Policy, TlsTreatment};
use egret_core::route::{Credentials, ParentGroup, Routes};
use egret_core::settings::{
    AccessLogOutput, CaFiles, CertificateFiles, DnsSettings, FlowSettings, InterceptionSettings,
    ListenerSettings, ListenerTls, ProcessSettings, Serves, Snapshot, UpstreamSettings,
};
use egret_flows::rules::{ActionSpec, RuleSpec};

use crate::checks::{listening_on, parent_name};
use crate::config::Config;
use crate::file::{self, InletProtocol, LogFormat, LogLevel, LoopbackRule, Resolve};
use crate::kubernetes::KubernetesSettings;
use crate::lists::{HostLists, ListCache, ListFacts};
use crate::objects::{ClusterPolicy, FieldProblem};
use crate::policies::{self, DocumentFile, rules_as_policy};
use crate::problem::{Place, Problem};
use crate::referenced;
use crate::terms;
use crate::values::{FilePath, NoProxyTerm, check_credentials};

/// Everything that a configuration says, in the words of those who act on it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What a flow is decided by. The guard does not know the bound listeners and the machine's addresses
    /// yet: see [`Compiled::settle_guard`].
    pub snapshot: Snapshot,
    /// What is fixed for the life of the process.
    pub process: ProcessSettings,
    /// The listeners, in the order of `process.listeners`, with their TLS. Its files are read by whoever
    /// speaks TLS.
    pub listeners: Vec<ListenerSettings>,
    /// Where metrics and health are served; `None` for nowhere.
    pub admin: Option<SocketAddr>,
    /// The web console.
    pub console: ConsoleConfig,
    /// The diagnostic log.
    pub log: LogSettings,
    /// Traces; `None` for none.
    pub tracing: Option<TracingSettings>,
    /// The cluster; `None` outside of one.
    pub kubernetes: Option<KubernetesSettings>,
    /// The store of flows.
    pub flows: FlowSettings,
    /// The rules that change traffic.
    pub changes: Vec<RuleSpec>,
    /// How much is kept of flows was written, rather than left to the default.
    pub capture_written: bool,
    /// What the configuration says about loopback destinations.
    pub loopback: LoopbackRule,
    /// Who may go where, by policies.
    pub policies: PolicySet,
    /// Policies of the cluster that are not among them.
    pub left_out: Vec<LeftOut>,
    /// What is not wrong and yet worth a look, for the log.
    pub warnings: Vec<Problem>,
}

/// A policy of the cluster that does not fit the configuration.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// The policy, as in `EgressPolicy team-a/builds`.
    pub name: String,
    /// Why.
    pub problems: Vec<FieldProblem>,
}

/// Every policy of a configuration, from wherever it was read.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// The policies, as the gate has them. `rules`, the short form, is one of them.
    pub policies: Policies,
    /// The lists of hosts that were read, whether or not a rule names them.
    pub lists: Vec<ListFacts>,
}

/// The diagnostic log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How much is said.
    pub level: LogLevel,
    /// How it is written.
    pub format: LogFormat,
}

/// The web console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsoleConfig {
    /// Where it is served; `None` for nowhere, or where nothing is said about it.
    pub address: Option<SocketAddr>,
    /// The file with the token.
    pub token_file: Option<PathBuf>,
    /// The file with the token of the read-only role.
    pub read_only_token_file: Option<PathBuf>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The directory with files that rules of the console may answer with.
    pub answer_files: Option<PathBuf>,
    /// Further names that it is reached by.
    pub names: Vec<String>,
}

/// Traces by OTLP over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct TracingSettings {
    /// The collector's URL, with the path of the traces.
    pub endpoint: String,
    /// The share of flows that is traced, from 0 to 1.
    pub sample: f64,
    /// The name of this service.
    pub service_name: String,
}

impl Compiled {
    /// Tells the guard which sockets were bound, with their real ports, and which addresses the machine
    /// has. With sockets from elsewhere (systemd), `allowLoopback: auto` is decided by them.
    pub fn settle_guard(&mut self, bound: &[SocketAddr], local_addresses: Vec<IpAddr>) {
        let guard = &mut self.snapshot.gate.guard;
        guard.listeners = bound.to_vec();
        guard.local_addresses = local_addresses;
        guard.allow_loopback = allows_loopback(self.loopback, bound);
    }
}

impl Config {
    /// Compiles the configuration, and reads the files that it refers to. Relative paths begin at
    /// `base_dir`, the directory of the configuration.
    ///
    /// # Errors
    /// Everything that is wrong with those files, at the field that names them.
    pub fn compile(&self, generation: u64, base_dir: &Path) -> Result<Compiled, Vec<Problem>> {
        self.compile_with(generation, base_dir, &mut ListCache::default())
    }

    /// The same, with the lists of hosts that were read before. Those in use are kept there.
    ///
    /// # Errors
    /// Everything that is wrong with the files, at the field that names them.
    pub fn compile_with(
        &self,
        generation: u64,
        base_dir: &Path,
        cache: &mut ListCache,
    ) -> Result<Compiled, Vec<Problem>> {
        self.compile_beside(generation, base_dir, cache, &[])
    }

    /// The same, together with policies of the cluster. One of them that does not fit the configuration is left
    /// out, and [`Compiled::left_out`] says why: it never refuses the configuration.
    ///
    /// # Errors
    /// Everything that is wrong with the files, at the field that names them.
    pub fn compile_beside(
        &self,
        generation: u64,
        base_dir: &Path,
        cache: &mut ListCache,
        cluster: &[Arc<ClusterPolicy>],
    ) -> Result<Compiled, Vec<Problem>> {
        let file = self.file();
        let mut compiler = Compiler {
            config: self,
            base_dir,
            problems: Vec::new(),
            warnings: self.warnings().to_vec(),
            left_out: Vec::new(),
            may_intercept: false,
        };
        let listeners: Vec<_> = file.listeners.iter().map(listening_on).collect();
        let policies = compiler.policies(cache, cluster);
        let snapshot = Snapshot {
            generation,
            authentication: compiler.authentication(),
            gate: gate(file, &listeners, policies.policies.clone()),
            routes: compiler.routes(),
            limits: (&file.limits).into(),
            timeouts: (&file.timeouts).into(),
            http: (&file.http).into(),
            socks: (&file.socks).into(),
            pac: (&file.pac).into(),
            interception: compiler.interception(&policies.policies),
            upstream: compiler.upstream(),
            dns: compiler.dns(),
            access_log: compiler.access_log(),
            capture: file.capture.as_ref().map(Into::into).unwrap_or_default(),
            drain: (&file.drain).into(),
        };
        let changes = compiler.changes();
        if !compiler.problems.is_empty() {
            return Err(compiler.problems);
        }
        let tls = file.listeners.iter().map(|listener| listener.tls.as_ref());
        let tls = tls.map(|tls| tls.map(|tls| listener_tls(tls, base_dir)));
        let settings = listeners.iter().zip(tls).zip(&file.listeners).map(|((address, tls), listener)| {
            let proxy_protocol = listener.proxy_protocol.iter().map(|network| network.0).collect();
            let serves = Serves {
                http: listener.protocols.contains(&InletProtocol::Http),
                socks: listener.protocols.contains(&InletProtocol::Socks),
            };
            ListenerSettings { address: *address, tls, proxy_protocol, serves }
        });
        Ok(Compiled {
            listeners: settings.collect(),
            snapshot,
            process: ProcessSettings { listeners, workers: file.workers as usize },
            admin: file.admin.address.0,
            console: console(&file.console, base_dir),
            log: LogSettings { level: file.log.level, format: file.log.format },
            tracing: tracing(&file.tracing),
            kubernetes: file.kubernetes.as_ref().map(|kubernetes| kubernetes.settings(base_dir)),
            flows: (&file.flows).into(),
            changes,
            capture_written: file.capture.is_some(),
            loopback: file.guard.allow_loopback,
            policies,
            left_out: compiler.left_out,
            warnings: compiler.warnings,
        })
    }
}

pub(crate) struct Compiler<'a> {
    pub(crate) config: &'a Config,
    pub(crate) base_dir: &'a Path,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    left_out: Vec<LeftOut>,
    /// The configuration has tunnels looked into: policies of the cluster may ask for it as well.
    may_intercept: bool,
}

impl Compiler<'_> {
    fn find(&mut self, pointer: &str, message: &str, help: Option<&str>) {
        self.problems.push(self.config.problem(pointer, message, help));
    }

    /// What reading a file gave, or nothing and a problem at the field that names it.
    pub(crate) fn read<T>(&mut self, pointer: &str, result: Result<T, referenced::FileError>) -> Option<T> {
        result.map_err(|error| self.find(pointer, &error.message, error.help)).ok()
    }

    pub(crate) fn trusted_ca(&mut self, pointer: &str, path: Option<&FilePath>) -> Option<Arc<[u8]>> {
        let path = self.base_dir.join(&path?.0);
        self.read(pointer, referenced::certificates(&path))
    }

    fn changes(&mut self) -> Vec<RuleSpec> {
        let rules = &self.config.file().changes;
        // Those that are wrong were found before.
        let mut specs: Vec<RuleSpec> = rules.iter().filter_map(|rule| rule.spec().ok()).collect();
        for (index, spec) in specs.iter_mut().enumerate() {
            for (at, action) in spec.actions.iter_mut().enumerate() {
                if let ActionSpec::Answer { file: Some(file), .. } = action {
                    *file = self.base_dir.join(&*file);
                    let pointer = format!("/changes/{index}/actions/{at}/answer/file");
                    self.read(&pointer, referenced::readable(file));
                }
            }
        }
        specs
    }

    fn upstream(&mut self) -> UpstreamSettings {
        let upstream = &self.config.file().upstream;
        let trusted_ca = self.trusted_ca("/upstream/trustedCA", upstream.trusted_ca.as_ref());
        let origins = upstream.origins.iter().map(|origin| origin.settings(self.base_dir)).collect();
        let crls = upstream.crl.iter().map(|path| self.base_dir.join(&path.0)).collect();
        UpstreamSettings { trusted_ca, origins, crls, ..upstream.into() }
    }

    fn dns(&mut self) -> DnsSettings {
        let mut settings = DnsSettings::from(&self.config.file().dns);
        settings.hosts_file = settings.hosts_file.map(|path| self.base_dir.join(path));
        // The default may be missing, as it is in many containers.
        if let Some(path) = settings.hosts_file.as_ref().filter(|_| self.config.is_written("/dns/hostsFile"))
        {
            self.read("/dns/hostsFile", referenced::readable(path));
        }
        settings
    }

    fn access_log(&mut self) -> egret_core::settings::AccessLogSettings {
        let mut settings = egret_core::settings::AccessLogSettings::from(&self.config.file().access_log);
        if let AccessLogOutput::File(path) = &mut settings.output {
            *path = self.base_dir.join(&*path);
            let result = referenced::writable(path);
            self.read("/accessLog/output/file", result);
        }
        settings
    }

    fn policies(&mut self, cache: &mut ListCache, cluster: &[Arc<ClusterPolicy>]) -> PolicySet {
        let file = self.config.file();
        let files = DocumentFile::read_all(self.config, self.base_dir, &mut self.problems);
        let pointers = policies::pointers(file);
        let own: Vec<_> = policies::own(self.config, &pointers).collect();
        let all: Vec<_> = own.iter().copied().chain(files.iter().flat_map(DocumentFile::placed)).collect();
        // Without files nothing is there that was not checked already.
        if all.len() > own.len() {
            let findings = policies::check(&all, file, true);
            self.problems.extend(findings.problems);
            self.warnings = findings.warnings;
        }
        let lists = HostLists::read(self.config, self.base_dir, cache, &mut self.problems);
        let (rules, default) = rules_as_policy(&file.rules);
        let short = Some(rules).filter(|policy| !policy.rules.is_empty());
        let documents = all.iter().map(|placed| policies::policy(placed.document, &lists));
        let mut policies: Vec<_> = documents.chain(short).collect();
        let interception = &file.interception;
        self.may_intercept =
            policies.iter().any(intercepts) || interception.everything || interception.ca.is_some();
        let is_off = !interception.enabled.unwrap_or(self.may_intercept);
        let names: HashSet<_> = all.iter().map(|placed| (placed.document.kind, placed.name())).collect();
        for policy in cluster {
            let problems = policy.check_beside(file, &names);
            let placed = policy.placed();
            let name = format!("{} {}", placed.document.kind.as_str(), placed.name());
            if !problems.is_empty() {
                self.left_out.push(LeftOut { name, problems });
                continue;
            }
            let compiled = policies::policy(placed.document, &lists);
            if is_off && intercepts(&compiled) {
                self.warnings.push(Problem {
                    message:
                        "a rule says `tls: Intercept`, and interception is off: what it allows passes unseen"
                            .to_owned(),
                    help: Some(
                        "write interception.enabled: true, or name a CA in interception.ca".to_owned(),
                    ),
                    path: String::new(),
                    place: Place::File(name.into()),
                });
            }
            policies.push(compiled);
        }
        let default = file.default_action.map_or(default, Into::into);
        let allows = default == Action::Allow;
        let policies = match file.interception.everything && file.interception.enabled != Some(false) {
            true => Policies::compile_opening(policies, allows),
            false => Policies::compile(policies, allows),
        };
        PolicySet { policies, lists: lists.facts }
    }

    fn interception(&mut self, policies: &Policies) -> InterceptionSettings {
        let interception = &self.config.file().interception;
        let path = |path: &FilePath| self.base_dir.join(&path.0);
        // Whoever may write a policy of a namespace must not start a CA by it.
        let asked = policies.opens_tunnels() && self.may_intercept;
        if asked && interception.enabled == Some(false) {
            let message = "tunnels are not looked into, and there are rules that say `tls: Intercept`";
            let help = "what they allow passes unseen; take `enabled: false` out, or the rules";
            self.warnings.push(self.config.problem("/interception/enabled", message, Some(help)));
        }
        InterceptionSettings {
            enabled: interception.enabled.unwrap_or(asked),
            everything: interception.everything,
            ca: interception.ca.as_ref().map(|ca| CaFiles {
                certificate: path(&ca.certificate),
                key: ca.key.as_ref().map(path),
                password: ca.password_file.as_ref().map(path),
            }),
            state_dir: interception.state_dir.as_ref().map(path),
            leaf_lifetime: interception.leaf_lifetime.0,
            cache_entries: interception.cache_entries as usize,
            wildcards: interception.wildcards,
            other_protocols: interception.other_protocols.into(),
            tunnel_pinned: interception.tunnel_pinned.0,
            strip_alt_svc: interception.strip_alt_svc,
        }
    }

    fn routes(&mut self) -> Routes {
        let parents = &self.config.file().parents;
        let groups = parents.iter().enumerate().map(|(index, parent)| Arc::new(self.group(index, parent)));
        Routes { groups: groups.collect() }
    }

    fn group(&mut self, index: usize, parent: &file::Parent) -> ParentGroup {
        let pointer = format!("/parents/{index}");
        let mut parents: Vec<_> = parent.urls.iter().map(|url| url.parent().clone()).collect();
        if let Some(credentials) = self.credentials(&pointer, parent) {
            for parent in &mut parents {
                parent.credentials = Some(credentials.clone());
            }
        }
        let destinations = parent.destinations.as_ref();
        ParentGroup {
            name: parent_name(parent, index).into(),
            parents,
            destinations: destinations.map(|terms| self.no_proxy(&format!("{pointer}/destinations"), terms)),
            no_proxy: self.no_proxy(&format!("{pointer}/noProxy"), &parent.no_proxy),
            resolve_locally: parent.resolve == Resolve::Local,
            trusted_ca: self.trusted_ca(&format!("{pointer}/trustedCA"), parent.trusted_ca.as_ref()),
            retry_after: parent.retry_after.0,
        }
    }

    fn no_proxy(&mut self, pointer: &str, terms: &[NoProxyTerm]) -> NoProxy {
        terms::no_proxy(terms.iter().map(|term| term.0.as_str())).unwrap_or_else(|error| {
            self.find(pointer, &error, None);
            NoProxy::default()
        })
    }

    fn credentials(&mut self, pointer: &str, parent: &file::Parent) -> Option<Credentials> {
        let path = self.base_dir.join(&parent.credentials_file.as_ref()?.0);
        let pointer = format!("{pointer}/credentialsFile");
        let credentials = self.read(&pointer, referenced::credentials(&path))?;
        for url in &parent.urls {
            if let Err(complaint) = check_credentials(&credentials, url.parent().scheme) {
                self.find(&pointer, &format!("in the file, {complaint}"), None);
                return None;
            }
        }
        Some(credentials)
    }
}

fn intercepts(policy: &Policy) -> bool {
    policy.rules.iter().any(|rule| rule.tls.treatment == Some(TlsTreatment::Intercept))
}

fn listener_tls(tls: &file::ListenerTls, base_dir: &Path) -> ListenerTls {
    let path = |path: &FilePath| base_dir.join(&path.0);
    let certificate = |files: &file::Certificate| CertificateFiles {
        certificate: path(&files.certificate),
        key: files.key.as_ref().map(path),
        password: files.password_file.as_ref().map(path),
        ocsp: files.ocsp_response.as_ref().map(path),
    };
    ListenerTls {
        certificates: tls.certificates.iter().map(certificate).collect(),
        min_version: tls.min_version.into(),
        client_auth: tls.client_auth.into(),
        client_ca: tls.client_ca.as_ref().map(path),
        crls: tls.crl.iter().map(path).collect(),
        allowed_clients: tls.allowed_clients.iter().map(|pattern| pattern.0.clone()).collect(),
    }
}

pub(crate) fn gate(file: &file::ConfigFile, listeners: &[SocketAddr], policies: Policies) -> Gate {
    Gate {
        guard: Guard {
            disabled: !file.guard.enabled,
            allow_loopback: allows_loopback(file.guard.allow_loopback, listeners),
            allow: file.guard.allow.iter().map(|network| network.0).collect(),
            ..Guard::default()
        },
        policies,
    }
}

fn allows_loopback(rule: LoopbackRule, listeners: &[SocketAddr]) -> bool {
    match rule {
        LoopbackRule::Allow => true,
        LoopbackRule::Refuse => false,
        LoopbackRule::Auto => {
            !listeners.is_empty()
                && listeners.iter().all(|listener| listener.ip().to_canonical().is_loopback())
        }
    }
}

fn console(console: &file::Console, base_dir: &Path) -> ConsoleConfig {
    let path = |path: &Option<FilePath>| path.as_ref().map(|path| base_dir.join(&path.0));
    ConsoleConfig {
        address: console.address.0,
        token_file: path(&console.token_file),
        read_only_token_file: path(&console.read_only_token_file),
        password_file: path(&console.password_file),
        answer_files: path(&console.answer_files),
        names: console.names.clone(),
    }
}

fn tracing(tracing: &file::Tracing) -> Option<TracingSettings> {
    let endpoint = &tracing.otlp_endpoint.as_ref()?.0;
    let after_scheme = endpoint.find("://").map_or(0, |at| at + 3);
    let path = endpoint[after_scheme..].find('/').map_or("", |at| &endpoint[after_scheme + at..]);
    let endpoint = match path {
        "" | "/" => format!("{}/v1/traces", endpoint.trim_end_matches('/')),
        _ => endpoint.clone(),
    };
    Some(TracingSettings { endpoint, sample: tracing.sample, service_name: tracing.service_name.0.clone() })
}
