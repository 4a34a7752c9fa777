//! Checks across fields: what no schema says.

mod authentication;
mod changes;
mod kubernetes;
mod policies;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use egret_core::route::ParentScheme;

use crate::config::Config;
use crate::file::{ClientAuth, Listener, ListenerTls, Parent, Rule};
use crate::problem::Problem;
use crate::values::{Size, Time};
use crate::walk::MOST_FINDINGS;

/// Where listeners with TLS listen when no port is given.
const TLS_PORT: u16 = 8443;

/// Runs every check. `complete` says that nothing was left out of the file for being wrong: only then can
/// something be wrong by its absence. Gives what is wrong, and what is worth a look.
pub(crate) fn run(config: &Config, complete: bool) -> (Vec<Problem>, Vec<Problem>) {
    let mut checks = Checks { config, problems: Vec::new() };
    checks.addresses();
    checks.listeners(complete);
    checks.durations();
    checks.sizes();
    checks.dns();
    checks.upstream();
    checks.changes();
    checks.interception();
    checks.authentication(complete);
    checks.kubernetes();
    checks.rules(complete);
    checks.parents(complete);
    let warnings = checks.policies(complete);
    (checks.problems, warnings)
}

struct Checks<'a> {
    config: &'a Config,
    problems: Vec<Problem>,
}

impl Checks<'_> {
    fn find(&mut self, pointer: &str, message: impl AsRef<str>, help: &str) {
        if self.is_full() {
            return;
        }
        let help = (!help.is_empty()).then_some(help);
        self.problems.push(self.config.problem(pointer, message.as_ref(), help));
    }

    /// Enough was said; quoting a long line for each of many thousand problems takes long.
    fn is_full(&self) -> bool {
        self.problems.len() >= MOST_FINDINGS
    }

    fn addresses(&mut self) {
        let file = self.config.file();
        let mut seen = HashMap::new();
        let listeners = file.listeners.iter().enumerate();
        let listeners = listeners
            .map(|(index, listener)| (format!("/listeners/{index}/address"), listening_on(listener)));
        let admin = file.admin.address.0.map(|address| ("/admin/address".to_owned(), address));
        let console = file.console.address.0.map(|address| ("/console/address".to_owned(), address));
        for (pointer, address) in listeners.chain(admin).chain(console) {
            let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
            // Port 0 is another one each time.
            if address.port() == 0 || self.is_full() {
                continue;
            }
            if let Some(first) = seen.insert(canonical, pointer.clone()) {
                self.listened_twice(address, &first, &pointer);
            }
        }
    }

    fn listeners(&mut self, complete: bool) {
        let listeners = &self.config.file().listeners;
        for (index, listener) in listeners.iter().enumerate() {
            let pointer = format!("/listeners/{index}");
            match &listener.tls {
                Some(tls) if complete => self.tls(&format!("{pointer}/tls"), tls),
                // A `tls` that is wrong is left out, and would have brought a port.
                None if listener.address.port.is_none()
                    && !self.config.is_written(&format!("{pointer}/tls")) =>
                {
                    let help = format!("add a port: {}", listener.address.with_default(8888));
                    self.find(
                        &format!("{pointer}/address"),
                        format!("`{}` has no port", listener.address.ip),
                        &help,
                    );
                }
                _ => {}
            }
        }
    }

    fn tls(&mut self, pointer: &str, tls: &ListenerTls) {
        let asks = tls.client_auth != ClientAuth::None;
        if asks && tls.client_ca.is_none() {
            self.find(
                &format!("{pointer}/clientAuth"),
                "client certificates are asked for, and no CA is named that may sign them",
                "name its certificate file in `clientCA`",
            );
        }
        let idle = [
            ("clientCA", tls.client_ca.is_some()),
            ("crl", !tls.crl.is_empty()),
            ("allowedClients", !tls.allowed_clients.is_empty()),
        ];
        for (field, _) in idle.iter().filter(|(_, given)| *given && !asks) {
            self.find(
                &format!("{pointer}/{field}"),
                "no client certificate is asked for, so this would have no effect",
                "write clientAuth: required (or optional) beside it",
            );
        }
    }

    /// Said at the second, or at the first where the second was not written.
    fn listened_twice(&mut self, address: SocketAddr, first: &str, second: &str) {
        let (at, other) = if self.config.is_written(second) { (second, first) } else { (first, second) };
        let field = other.trim_start_matches('/').replace('/', ".");
        let place = match self.config.is_written(other) {
            true => self.config.place(other),
            false => format!("the default of `{}`", field.replace(".0.", "[0].")),
        };
        let help = format!("the other is {place}; change or remove one of the two");
        self.find(at, format!("`{address}` is listened on twice"), &help);
    }

    fn durations(&mut self) {
        let file = self.config.file();
        let (timeouts, dns) = (&file.timeouts, &file.dns);
        let never_zero = [
            ("/timeouts/head", timeouts.head),
            ("/timeouts/keepAlive", timeouts.keep_alive),
            ("/timeouts/connect", timeouts.connect),
            ("/timeouts/tls", timeouts.tls),
            ("/timeouts/clientTLS", timeouts.client_tls),
            ("/timeouts/response", timeouts.response),
            ("/timeouts/bodyIdle", timeouts.body_idle),
            ("/timeouts/tunnelIdle", timeouts.tunnel_idle),
            ("/limits/bodyRateWindow", file.limits.body_rate_window),
            ("/upstream/pool/idle", file.upstream.pool.idle),
            ("/dns/timeout", dns.timeout),
        ];
        for (pointer, _) in never_zero.iter().filter(|(_, time)| time.0.is_zero()) {
            self.find(
                pointer,
                "zero would end everything at once",
                "for no limit in practice write a long time, as in 365d",
            );
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(600)).contains(&timeouts.held.0) {
            self.find("/timeouts/held", "it is out of range", "it goes from 1s to 10m");
        }
        let interim = file.access_log.interim;
        if !interim.0.is_zero() && interim.0 < Duration::from_secs(1) {
            self.find(
                "/accessLog/interim",
                "less than a second would flood the log",
                "write 1s or more, or 0s for never",
            );
        }
        let keepalive = file.upstream.keepalive;
        if !keepalive.0.is_zero() && keepalive.0 < Duration::from_secs(1) {
            self.find(
                "/upstream/keepalive",
                "TCP keep-alive counts in whole seconds",
                "write 1s or more, or 0s for none",
            );
        }
    }

    fn sizes(&mut self) {
        let limits = &self.config.file().limits;
        let head = limits.head_bytes;
        self.size("/limits/headBytes", head, 1 << 10, 16 << 20);
        self.size("/limits/targetBytes", limits.target_bytes, 64, 16 << 20);
        self.size("/accessLog/bufferBytes", self.config.file().access_log.buffer_bytes, 64 << 10, 1 << 30);
        self.size("/limits/heldBodyBytes", limits.held_body_bytes, 1 << 10, 1 << 20);
        if limits.target_bytes > head {
            let pointer = if self.config.is_written("/limits/targetBytes") {
                "/limits/targetBytes"
            } else {
                "/limits/headBytes"
            };
            self.find(
                pointer,
                format!(
                    "`targetBytes` ({}) is more than `headBytes` ({}), of which the target is a part",
                    show(limits.target_bytes),
                    show(head)
                ),
                "lower `targetBytes`, or raise `headBytes`",
            );
        }
    }

    fn size(&mut self, pointer: &str, size: Size, least: u64, most: u64) {
        if size.0 < least || size.0 > most {
            let help = format!("it goes from {} to {}", show(Size(least)), show(Size(most)));
            self.find(pointer, format!("`{}` is out of range", show(size)), &help);
        }
    }

    fn dns(&mut self) {
        let dns = &self.config.file().dns;
        let pointer = if self.config.is_written("/dns/minTTL") { "/dns/minTTL" } else { "/dns/maxTTL" };
        if dns.min_ttl > dns.max_ttl {
            self.find(
                pointer,
                format!("`minTTL` ({}) is more than `maxTTL` ({})", time(dns.min_ttl), time(dns.max_ttl)),
                "raise `maxTTL`, or lower `minTTL`",
            );
        }
        let servers: Vec<_> = dns.servers.iter().map(|server| server.0).collect();
        for (index, server) in servers.iter().enumerate() {
            if servers[..index].contains(server) {
                self.find(&format!("/dns/servers/{index}"), format!("`{server}` is named twice"), "");
            }
        }
    }

    fn interception(&mut self) {
        let interception = &self.config.file().interception;
        if interception.leaf_lifetime.0 < Duration::from_secs(600) {
            let help = "write 10m or more";
            self.find("/interception/leafLifetime", "certificates would end while they are in use", help);
        }
        if interception.everything && interception.enabled == Some(false) {
            let help = "take one of the two out";
            self.find("/interception/everything", "`everything` is on, and `enabled` is off", help);
        }
    }

    fn upstream(&mut self) {
        let upstream = &self.config.file().upstream;
        if upstream.attempt_delay.0 < Duration::from_millis(10) {
            let help = "write 10ms or more (RFC 8305 section 5)";
            self.find("/upstream/attemptDelay", "attempts would follow each other too fast", help);
        }
        for (index, origin) in upstream.origins.iter().enumerate() {
            if origin.only_trusted_ca && origin.trusted_ca.is_none() {
                let pointer = format!("/upstream/origins/{index}/onlyTrustedCA");
                let help = "name the file in `trustedCA`";
                self.find(&pointer, "no CA is named that these hosts may be signed by", help);
            }
        }
        for (index, address) in upstream.source_addresses.iter().enumerate() {
            let same = |other: &&crate::values::SourceAddress| other.0.is_ipv4() == address.0.is_ipv4();
            if upstream.source_addresses[..index].iter().any(|other| same(&other)) {
                let family = if address.0.is_ipv4() { "IPv4" } else { "IPv6" };
                let pointer = format!("/upstream/sourceAddresses/{index}");
                self.find(
                    &pointer,
                    format!("a second {family} address"),
                    "name at most one address of each family",
                );
            }
        }
    }

    fn rules(&mut self, complete: bool) {
        let rules = &self.config.file().rules;
        let allow = rules.allow.as_deref().unwrap_or_default();
        let mut names = HashMap::new();
        for (list, rules) in [("deny", rules.deny.as_slice()), ("allow", allow)] {
            for (index, rule) in rules.iter().enumerate() {
                let pointer = format!("/rules/{list}/{index}");
                if complete && rule.hosts.is_none() && rule.cidrs.is_none() && rule.ports.is_none() {
                    self.find(
                        &pointer,
                        "the rule names no hosts, networks or ports",
                        "for every host write hosts: [\"*\"]",
                    );
                }
                self.unique(&mut names, &pointer, rule_name(rule, list, index));
            }
        }
    }

    fn unique(&mut self, names: &mut HashMap<String, String>, pointer: &str, name: String) {
        if self.is_full() {
            return;
        }
        if let Some(first) = names.get(&name) {
            let first = self.config.place(first);
            let help = format!("the other is {first}; logs could not tell them apart");
            self.find(&format!("{pointer}/name"), format!("the name `{name}` is taken"), &help);
        } else {
            names.insert(name, format!("{pointer}/name"));
        }
    }

    fn parents(&mut self, complete: bool) {
        let parents = &self.config.file().parents;
        let mut names = HashMap::new();
        for (index, parent) in parents.iter().enumerate() {
            let pointer = format!("/parents/{index}");
            self.unique(&mut names, &pointer, parent_name(parent, index));
            self.parent(&pointer, parent, complete);
        }
        let takes_all = |parent: &Parent| parent.destinations.is_none() && parent.no_proxy.is_empty();
        let last = parents.iter().position(takes_all).filter(|_| complete);
        for index in last.into_iter().flat_map(|last| last + 1..parents.len()) {
            self.find(
                &format!("/parents/{index}"),
                "this group is never used: one before it takes every destination",
                "put the group without `destinations` last",
            );
        }
    }

    fn parent(&mut self, pointer: &str, parent: &Parent, complete: bool) {
        let mut seen = HashSet::new();
        for (index, url) in parent.urls.iter().enumerate() {
            let url_pointer = format!("{pointer}/urls/{index}");
            if parent.credentials_file.is_some() && url.parent().credentials.is_some() {
                self.find(
                    &url_pointer,
                    "user and password stand in the URL, and `credentialsFile` is given too",
                    "take them out of the URL",
                );
            }
            if !seen.insert((url.parent().scheme, url.parent().address.clone())) {
                self.find(&url_pointer, "the same parent is named twice in this group", "");
            }
        }
        let has_https = parent.urls.iter().any(|url| url.parent().scheme == ParentScheme::Https);
        if parent.trusted_ca.is_some() && !has_https && complete {
            self.find(
                &format!("{pointer}/trustedCA"),
                "no parent of this group is spoken to over TLS",
                "remove it, or write https:// in `urls`",
            );
        }
    }
}

/// Where a listener listens.
pub(crate) fn listening_on(listener: &Listener) -> SocketAddr {
    listener.address.with_default(if listener.tls.is_some() { TLS_PORT } else { 0 })
}

/// A rule's name: its own, or its place.
pub(crate) fn rule_name(rule: &Rule, list: &str, index: usize) -> String {
    rule.name.as_ref().map_or_else(|| format!("{list}[{index}]"), |name| name.0.clone())
}

/// A group's name: its own, or its place.
pub(crate) fn parent_name(parent: &Parent, index: usize) -> String {
    parent.name.as_ref().map_or_else(|| format!("parents[{index}]"), |name| name.0.clone())
}

fn show(size: Size) -> String {
    crate::values::Textual::write(&size)
}

fn time(time: Time) -> String {
    crate::values::Textual::write(&time)
}
