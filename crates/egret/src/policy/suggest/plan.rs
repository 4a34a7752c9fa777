//! From what was seen to policies.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use egret_core::destination::Host;
use serde_json::Value;

use super::collapse::collapse;
use super::collect::{Collection, Seen, Usage};
use super::identity::Who;

/// The most ports of a target, as configuration has it.
const MOST_PORTS: usize = 1000;
/// So many addresses of clients share a policy, as configuration has it.
const MOST_SOURCES: usize = 10_000;

/// A target without what was seen of it.
type HostsAndPorts = (Vec<String>, Vec<u16>);

/// The policies to write.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) policies: Vec<Suggested>,
    /// Identities that no policy can name, and why.
    pub(super) unnameable: Vec<(String, &'static str)>,
    /// What was denied, of identities of which nothing else was seen too.
    pub(super) denied: Vec<Denied>,
}

/// One policy.
#[derive(Debug)]
pub(super) struct Suggested {
    pub(super) name: String,
    /// In words.
    pub(super) whom: Vec<String>,
    /// The entries of `from`; empty for everybody.
    pub(super) from: Vec<Value>,
    pub(super) targets: Vec<Target>,
    pub(super) usage: Usage,
}

/// Hosts that were asked for on the same ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) hosts: Vec<HostLine>,
    pub(super) ports: Vec<u16>,
}

/// A host or a pattern, with what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostLine {
    pub(super) pattern: String,
    pub(super) usage: Usage,
    /// How many names, and the first few of them.
    pub(super) names: usize,
    pub(super) examples: Vec<String>,
}

/// A destination that somebody was denied.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) whom: String,
    pub(super) destination: String,
    pub(super) usage: Usage,
}

impl Plan {
    pub(super) fn new(collection: &Collection, least: usize) -> Self {
        let mut all: Vec<(&Who, &Seen)> = collection.identities.iter().collect();
        all.sort_by_key(|(who, _)| *who);
        let mut plan = Self { policies: Vec::new(), unnameable: Vec::new(), denied: Vec::new() };
        let mut names = HashMap::new();
        // Clients that are known by their address alone, and asked for the same.
        let mut alike: HashMap<Vec<HostsAndPorts>, usize> = HashMap::new();
        for (who, seen) in all {
            plan.denied.extend(seen.denied.iter().map(|(destination, usage)| Denied {
                whom: who.words(),
                destination: destination.to_string(),
                usage: *usage,
            }));
            if seen.wanted.is_empty() {
                continue;
            }
            let source = match who.source() {
                Ok(source) => source,
                Err(why) => {
                    plan.unnameable.push((who.words(), why));
                    continue;
                }
            };
            let targets = targets(seen, least);
            let mut usage = Usage::default();
            seen.wanted.values().for_each(|one| usage.add(one));
            if matches!(who, Who::Address(_)) {
                let key = targets
                    .iter()
                    .map(|target| {
                        (target.hosts.iter().map(|host| host.pattern.clone()).collect(), target.ports.clone())
                    })
                    .collect();
                if let Some(index) = alike.get(&key)
                    && plan.policies[*index].from.len() < MOST_SOURCES
                {
                    plan.policies[*index].join(who, source, &targets, &usage);
                    continue;
                }
                alike.insert(key, plan.policies.len());
            }
            plan.policies.push(Suggested {
                name: unique(who.slug(), &mut names),
                whom: vec![who.words()],
                from: source.into_iter().collect(),
                targets,
                usage,
            });
        }
        plan.denied.sort_by(|one, other| {
            other
                .usage
                .flows
                .cmp(&one.usage.flows)
                .then_with(|| (&one.whom, &one.destination).cmp(&(&other.whom, &other.destination)))
        });
        plan
    }
}

impl Suggested {
    /// Takes in another client that asked for the same.
    fn join(&mut self, who: &Who, source: Option<Value>, targets: &[Target], usage: &Usage) {
        self.whom.push(who.words());
        self.from.extend(source);
        self.usage.add(usage);
        for (mine, theirs) in self.targets.iter_mut().zip(targets) {
            for (mine, theirs) in mine.hosts.iter_mut().zip(&theirs.hosts) {
                mine.usage.add(&theirs.usage);
            }
        }
    }
}

fn unique(slug: String, names: &mut HashMap<String, u32>) -> String {
    let number = names.entry(slug.clone()).or_default();
    *number += 1;
    if *number == 1 { slug } else { format!("{slug}.{number}") }
}

/// The destinations of one identity: exactly these ports of exactly these hosts.
fn targets(seen: &Seen, least: usize) -> Vec<Target> {
    let mut by_port: BTreeMap<u16, Vec<&Host>> = BTreeMap::new();
    for destination in seen.wanted.keys() {
        by_port.entry(destination.port).or_default().push(&destination.host);
    }
    // Patterns with their ports, and the names of each.
    let mut patterns: BTreeMap<String, (BTreeSet<u16>, BTreeSet<&str>, Usage)> = BTreeMap::new();
    for (port, hosts) in &by_port {
        let usage_of = |host: Host| {
            let destination = egret_core::destination::Destination::new(host, *port);
            seen.wanted.get(&destination).copied().unwrap_or_default()
        };
        let mut names: Vec<&str> = hosts.iter().filter_map(|host| host.name()).collect();
        names.sort_unstable();
        for pattern in collapse(&names, least) {
            let (ports, all, usage) = patterns.entry(pattern.text).or_default();
            ports.insert(*port);
            for name in pattern.names {
                all.insert(name);
                usage.add(&usage_of(Host::Name(name.into())));
            }
        }
        for address in hosts.iter().filter_map(|host| host.address()) {
            let (ports, _, usage) = patterns.entry(address.to_string()).or_default();
            ports.insert(*port);
            usage.add(&usage_of(Host::Address(address)));
        }
    }
    let mut by_ports: BTreeMap<Vec<u16>, Vec<HostLine>> = BTreeMap::new();
    for (pattern, (ports, names, usage)) in patterns {
        by_ports.entry(ports.into_iter().collect()).or_default().push(HostLine {
            pattern,
            usage,
            names: names.len().max(1),
            examples: names.into_iter().take(3).map(str::to_owned).collect(),
        });
    }
    let mut targets: Vec<Target> = by_ports
        .into_iter()
        .flat_map(|(ports, mut hosts)| {
            // By what they are below, so that neighbours stand together.
            hosts.sort_by_cached_key(|host| host.pattern.rsplit('.').map(str::to_owned).collect::<Vec<_>>());
            let chunks: Vec<_> = ports.chunks(MOST_PORTS).map(<[u16]>::to_vec).collect();
            chunks.into_iter().map(move |ports| Target { hosts: hosts.clone(), ports })
        })
        .collect();
    targets.sort_by_key(|target| std::cmp::Reverse(target.hosts.len()));
    targets
}
