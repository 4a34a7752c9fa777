//! Adds up the workers' counters on a scrape and writes every family out.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use egret_core::identity::{TlsVersion, Unattributed};
use egret_core::reason::Reason;
use egret_flows::store::StoreCounts;
use egret_tls::interception::MintCounts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
};

use super::Inner;
use super::clients::{Account, OTHERS};
use super::families::{self, Family};
use super::histogram::Sum;
use super::labels::{CredentialMethod, CredentialResult, Limit, MethodClass, Phase, PoolEvent, StatusClass};
use super::process::ProcessFigures;
use super::sources::Sources;
use super::worker::{OUTCOMES, WorkerMetrics};

/// What is registered with the registry of `prometheus-client`.
#[derive(Debug)]
pub(super) struct Scrape(pub(super) Arc<Inner>);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut out = Out(encoder);
        let inner = &*self.0;
        requests(inner, &mut out)?;
        connections(inner, &mut out)?;
        phases(inner, &mut out)?;
        handshakes(inner, &mut out)?;
        clients(inner, &mut out)?;
        workloads(inner, &mut out)?;
        rules(inner, &mut out)?;
        limits_and_pool(inner, &mut out)?;
        interception(inner, &mut out)?;
        credentials(inner, &mut out)?;
        sources(&inner.sources, &mut out)?;
        configuration(inner, &mut out)?;
        process(&mut out)
    }
}

/// The encoder, in the terms of this module.
struct Out<'a>(DescriptorEncoder<'a>);

type Labels<'a> = [(&'a str, &'a str)];

impl Out<'_> {
    fn family(&mut self, family: &Family) -> Result<MetricEncoder<'_>, Error> {
        // OpenMetrics names a counter without the suffix of its samples.
        let name = family.name.strip_suffix("_total").unwrap_or(family.name);
        self.0.encode_descriptor(name, family.help, None, family.kind.metric_type())
    }

    fn counter(&mut self, family: &Family, value: impl EncodeCounterValue) -> Result<(), Error> {
        self.family(family)?.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn gauge(&mut self, family: &Family, value: impl EncodeGaugeValue) -> Result<(), Error> {
        self.family(family)?.encode_gauge(&value)
    }

    /// One sample for each value of the family's only label.
    fn counters(&mut self, family: &Family, samples: &[(&str, u64)]) -> Result<(), Error> {
        let mut encoder = self.family(family)?;
        let label = family.labels.first().copied().unwrap_or("");
        for (value, count) in samples {
            counter(&mut encoder, &[(label, *value)], *count)?;
        }
        Ok(())
    }
}

fn counter(encoder: &mut MetricEncoder<'_>, labels: &Labels<'_>, count: u64) -> Result<(), Error> {
    encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)
}

fn sum(inner: &Inner, counter: impl Fn(&WorkerMetrics) -> &AtomicU64) -> u64 {
    inner.workers.iter().map(|worker| counter(worker).load(Relaxed)).sum()
}

/// What is open: opened less closed. The closed ones are read first, so that a flow that ends in
/// between makes the gauge too high by one and never negative.
fn open(
    inner: &Inner,
    opened: impl Fn(&WorkerMetrics) -> &AtomicU64,
    closed: impl Fn(&WorkerMetrics) -> &AtomicU64,
) -> u64 {
    let closed = sum(inner, closed);
    sum(inner, opened).saturating_sub(closed)
}

fn requests(inner: &Inner, out: &mut Out<'_>) -> Result<(), Error> {
    let [method_label, status_label, reason_label] = ["method", "status_class", "reason"];
    let mut encoder = out.family(&families::REQUESTS)?;
    for method in MethodClass::ALL {
        for status in StatusClass::ALL {
            let row = (method.index() * StatusClass::COUNT + status.index()) * OUTCOMES;
            for outcome in 0..OUTCOMES {
                let count = sum(inner, |worker| &worker.requests[row + outcome]);
                // Only what has happened: most of the thousands of combinations never will.
                if count > 0 {
                    let reason = outcome.checked_sub(1).map_or("ok", |index| Reason::ALL[index].code());
                    let labels = [
                        (method_label, method.as_str()),
                        (status_label, status.as_str()),
                        (reason_label, reason),
                    ];
                    counter(&mut encoder, &labels, count)?;
                }
            }
        }
    }
    Ok(())
}

fn connections(inner: &Inner, out: &mut Out<'_>) -> Result<(), Error> {
    let connections = open(inner, |worker| &worker.connections_opened, |worker| &worker.connections_closed);
    out.gauge(&families::CONNECTIONS_OPEN, connections)?;
    out.counter(&families::CONNECTIONS, sum(inner, |worker| &worker.connections_opened))?;
    let tunnels = open(inner, |worker| &worker.tunnels_opened, |worker| &worker.tunnels_closed);
    out.gauge(&families::TUNNELS_OPEN, tunnels)?;
    out.counter(&families::TUNNELS, sum(inner, |worker| &worker.tunnels_opened))?;
    let up = sum(inner, |worker| &worker.bytes_up);
    let down = sum(inner, |worker| &worker.bytes_down);
    out.counters(&families::BYTES, &[("up", up), ("down", down)])
}

fn phases(inner: &Inner, out: &mut Out<'_>) -> Result<(), Error> {
    let mut encoder = out.family(&families::PHASES)?;
    for phase in Phase::ALL {
        let mut sum = Sum::default();
        for worker in &inner.workers {
            worker.phases[phase.index()].add_to(&mut sum);
        }
        let labels: &Labels<'_> = &[("phase", phase.as_str())];
        encoder.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
            sum.seconds(),
            sum.count(),
            &sum.buckets(),
            None,
        )?;
    }
    Ok(())
}

fn handshakes(inner: &Inner, out: &mut Out<'_>) -> Result<(), Error> {
    if let Some(ask) = &inner.sources.handshakes {
        out.gauge(&families::HANDSHAKES_OPEN, ask())?;
    }
    let mut encoder = out.family(&families::HANDSHAKES)?;
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        for (index, session) in ["new", "resumed"].into_iter().enumerate() {
            let count = sum(inner, |worker| &worker.handshakes[version as usize][index]);
            counter(&mut encoder, &[("version", version.as_str()), ("session", session)], count)?;
        }
    }
    let failures: Vec<(&str, u64)> = Reason::ALL
        .iter()
        .map(|reason| (reason.code(), sum(inner, |worker| &worker.handshake_failures[reason.index()])))
        .filter(|(_, count)| *count > 0)
        .collect();
    out.counters(&families::HANDSHAKE_FAILURES, &failures)?;
    if let Some(ask) = &inner.sources.certificates {
        let mut encoder = out.family(&families::CERTIFICATE_ENDS)?;
        for figure in ask() {
            let labels: &Labels<'_> = &[("listener", &figure.listener), ("certificate", &figure.certificate)];
            encoder.encode_family(&labels)?.encode_gauge(&figure.not_after)?;
        }
    }
    Ok(())
}

fn clients(inner: &Inner, out: &mut Out<'_>) -> Result<(), Error> {
    let clients = inner.clients.figures();
    let mut encoder = out.family(&families::CLIENT_REQUESTS)?;
    for client in &clients {
        let name = client.name.as_deref().unwrap_or(OTHERS);
        for (blame, count) in client.requests.iter().filter(|(_, count)| *count > 0) {
            counter(&mut encoder, &[("client", name), ("blame", blame)], *count)?;
        }
    }
    let mut encoder = out.family(&families::CLIENT_BYTES)?;
    for client in &clients {
        for (direction, count) in [("up", client.up), ("down", client.down)] {
            let name = client.name.as_deref().unwrap_or(OTHERS);
            counter(&mut encoder, &[("client", name), ("direction", direction)], count)?;
        }
    }
    Ok(())
}

fn workloads(inner: &Inner, out: &mut Out<'_>) -> Result<(), Error> {
    let workloads = inner.workloads.figures();
    let names =
        |name: &Option<Account>| name.clone().unwrap_or_else(|| (Arc::from(OTHERS), Arc::from(OTHERS)));
    let mut encoder = out.family(&families::WORKLOAD_REQUESTS)?;
    for workload in &workloads {
        let (namespace, account) = names(&workload.name);
        for (blame, count) in workload.requests.iter().filter(|(_, count)| *count > 0) {
            let labels = [("namespace", &*namespace), ("service_account", &*account), ("blame", *blame)];
            counter(&mut encoder, &labels, *count)?;
        }
    }
    let mut encoder = out.family(&families::WORKLOAD_BYTES)?;
    for workload in &workloads {
        let (namespace, account) = names(&workload.name);
        for (direction, count) in [("up", workload.up), ("down", workload.down)] {
            let labels =
                [("namespace", &*namespace), ("service_account", &*account), ("direction", direction)];
            counter(&mut encoder, &labels, count)?;
        }
    }
    let Some(figures) = inner.sources.workloads.as_ref().map(|ask| ask()) else { return Ok(()) };
    let results = ["pod"].into_iter().chain(Unattributed::ALL.map(Unattributed::as_str)).enumerate();
    let results: Vec<(&str, u64)> =
        results.map(|(index, result)| (result, sum(inner, |worker| &worker.lookups[index]))).collect();
    out.counters(&families::WORKLOAD_LOOKUPS, &results)?;
    out.gauge(&families::KUBERNETES_PODS, figures.pods)?;
    out.gauge(&families::KUBERNETES_AMBIGUOUS, figures.ambiguous)?;
    let mut encoder = out.family(&families::KUBERNETES_BEHIND)?;
    for watched in &figures.watches {
        let labels: &Labels<'_> = &[("kind", watched.kind)];
        encoder.encode_family(&labels)?.encode_gauge(&watched.behind_seconds)?;
    }
    let mut encoder = out.family(&families::KUBERNETES_SYNCED)?;
    for watched in &figures.watches {
        let labels: &Labels<'_> = &[("kind", watched.kind)];
        encoder.encode_family(&labels)?.encode_gauge(&u64::from(watched.is_read))?;
    }
    let mut encoder = out.family(&families::KUBERNETES_WATCH_FAILURES)?;
    for watched in &figures.watches {
        counter(&mut encoder, &[("kind", watched.kind)], watched.failures)?;
    }
    out.counters(&families::TOKEN_REVIEWS, &figures.token_reviews)?;
    out.counters(&families::KUBERNETES_EVENTS, &figures.events)
}

fn rules(inner: &Inner, out: &mut Out<'_>) -> Result<(), Error> {
    let rules = inner.rules.figures();
    let mut encoder = out.family(&families::POLICY_DECISIONS)?;
    for rule in &rules {
        for (action, count) in rule.decisions.iter().filter(|(_, count)| *count > 0) {
            let labels = [("policy", &*rule.policy), ("rule", &*rule.rule), ("action", *action)];
            counter(&mut encoder, &labels, *count)?;
        }
    }
    let mut encoder = out.family(&families::POLICY_AUDIT_DENIALS)?;
    for rule in rules.iter().filter(|rule| rule.audited > 0) {
        counter(&mut encoder, &[("policy", &*rule.policy), ("rule", &*rule.rule)], rule.audited)?;
    }
    let mut encoder = out.family(&families::POLICY_REFUSALS)?;
    for rule in &rules {
        for (reason, count) in rule.refused.iter().filter(|(_, count)| *count > 0) {
            let labels = [("policy", &*rule.policy), ("rule", &*rule.rule), ("reason", *reason)];
            counter(&mut encoder, &labels, *count)?;
        }
    }
    Ok(())
}

fn limits_and_pool(inner: &Inner, out: &mut Out<'_>) -> Result<(), Error> {
    let shared = inner.sources.limits.as_ref().map(|ask| ask()).unwrap_or_default();
    let by_all = |limit: &Limit| {
        let counts = shared.iter().filter(|(struck, _)| struck == limit);
        counts.map(|(_, count)| count).sum::<u64>()
    };
    let hits: Vec<(&str, u64)> = Limit::ALL
        .iter()
        .map(|limit| {
            let by_workers = sum(inner, |worker| &worker.limits[limit.index()]);
            (limit.as_str(), by_workers + by_all(limit))
        })
        .collect();
    out.counters(&families::LIMIT_HITS, &hits)?;
    let events = [
        (&families::POOL_HITS, PoolEvent::Hit),
        (&families::POOL_MISSES, PoolEvent::Miss),
        (&families::POOL_STALE, PoolEvent::Stale),
        (&families::POOL_RETRIES, PoolEvent::Retry),
    ];
    for (family, event) in events {
        out.counter(family, sum(inner, |worker| &worker.pool[event.index()]))?;
    }
    let idle = open(
        inner,
        |worker| &worker.pool[PoolEvent::Kept.index()],
        |worker| &worker.pool[PoolEvent::Released.index()],
    );
    out.gauge(&families::POOL_IDLE, idle)
}

fn interception(inner: &Inner, out: &mut Out<'_>) -> Result<(), Error> {
    let Some(figures) = inner.sources.interception.as_ref().and_then(|ask| ask()) else { return Ok(()) };
    let MintCounts { hits, minted, failed, evicted, kept } = figures.leaves;
    let counts = [("hit", hits), ("minted", minted), ("failed", failed), ("evicted", evicted)];
    out.counters(&families::LEAVES, &counts)?;
    out.gauge(&families::LEAVES_KEPT, kept)?;
    out.gauge(&families::INTERCEPTION_CA_ENDS, figures.ca_not_after)
}

fn credentials(inner: &Inner, out: &mut Out<'_>) -> Result<(), Error> {
    let Some(figures) = inner.sources.credentials.as_ref().and_then(|ask| ask()) else { return Ok(()) };
    let mut encoder = out.family(&families::CREDENTIALS)?;
    for method in CredentialMethod::ALL {
        for result in CredentialResult::ALL {
            let count = sum(inner, |worker| &worker.credentials[method.index()][result.index()]);
            if count > 0 {
                let labels = [("method", method.as_str()), ("result", result.as_str())];
                counter(&mut encoder, &labels, count)?;
            }
        }
    }
    out.gauge(&families::CREDENTIALS_REMEMBERED, figures.remembered)?;
    out.gauge(&families::LOGIN_CLIENTS, figures.clients)?;
    if let Some(up) = figures.directory_up {
        out.gauge(&families::DIRECTORY_UP, u64::from(up))?;
    }
    if let Some(keys) = figures.keys {
        out.gauge(&families::TOKEN_KEYS, keys)?;
    }
    if let Some(fetched) = figures.keys_fetched {
        out.gauge(&families::TOKEN_KEYS_FETCHED, fetched)?;
    }
    Ok(())
}

fn sources(sources: &Sources, out: &mut Out<'_>) -> Result<(), Error> {
    if let Some(ask) = &sources.dns {
        let dns = ask();
        let lookups = [
            ("cache", dns.cache_hits),
            ("negative_cache", dns.negative_hits),
            ("shared", dns.shared),
            ("stale", dns.stale),
            ("query", dns.cache_misses),
        ];
        out.counters(&families::DNS_LOOKUPS, &lookups)?;
        out.counter(&families::DNS_FAILURES, dns.failures)?;
        out.gauge(&families::DNS_CACHE_ENTRIES, dns.cache_entries)?;
    }
    if let Some(ask) = &sources.parents {
        let mut encoder = out.family(&families::PARENT_UP)?;
        for figure in ask() {
            let labels: &Labels<'_> = &[("group", &figure.group), ("parent", &figure.parent)];
            encoder.encode_family(&labels)?.encode_gauge(&u64::from(figure.up))?;
        }
    }
    if let Some(ask) = &sources.access_log_dropped {
        out.counter(&families::ACCESS_LOG_DROPPED, ask())?;
    }
    if let Some(ask) = &sources.flows {
        flows(&ask(), out)?;
    }
    if let Some(ask) = &sources.spans_dropped {
        out.counter(&families::SPANS_DROPPED, ask())?;
    }
    Ok(())
}

fn flows(counts: &StoreCounts, out: &mut Out<'_>) -> Result<(), Error> {
    out.counter(&families::FLOWS_STORED, counts.flows_stored)?;
    let evicted = [("flow", counts.flows_evicted), ("body", counts.bodies_evicted)];
    out.counters(&families::FLOWS_EVICTED, &evicted)?;
    let lost = [("piece", counts.pieces_dropped), ("flow", counts.flows_lost)];
    out.counters(&families::FLOWS_LOST, &lost)?;
    out.counter(&families::FLOWS_TRUNCATED, counts.bodies_truncated)?;
    out.counter(&families::FLOWS_UNREADABLE, counts.bodies_unreadable)?;
    out.counter(&families::FLOWS_STORAGE_ERRORS, counts.storage_errors)?;
    out.counter(&families::FLOWS_LAGGED, counts.subscribers_lagged)?;
    out.gauge(&families::FLOWS_KEPT, counts.flows)?;
    let mut encoder = out.family(&families::FLOWS_BYTES)?;
    for (place, bytes) in [("memory", counts.memory), ("disk", counts.disk)] {
        let labels: &Labels<'_> = &[("where", place)];
        encoder.encode_family(&labels)?.encode_gauge(&bytes)?;
    }
    Ok(())
}

fn configuration(inner: &Inner, out: &mut Out<'_>) -> Result<(), Error> {
    out.gauge(&families::CONFIG_GENERATION, inner.generation.load(Relaxed))?;
    let reloads = [("ok", inner.reloads_ok.load(Relaxed)), ("refused", inner.reloads_refused.load(Relaxed))];
    out.counters(&families::CONFIG_RELOADS, &reloads)?;
    let loaded = inner.last_success_millis.load(Relaxed) as f64 / 1e3;
    out.gauge(&families::CONFIG_LAST_SUCCESS, loaded)?;
    out.gauge(&families::DRAINING, u64::from(inner.draining.load(Relaxed)))?;
    out.gauge(&families::WORKERS, inner.workers.len() as u64)?;
    let build = &inner.build;
    let labels: &Labels<'_> =
        &[("version", build.version), ("revision", build.revision), ("rustc", build.rustc)];
    out.family(&families::BUILD_INFO)?.encode_family(&labels)?.encode_gauge(&1_u64)
}

fn process(out: &mut Out<'_>) -> Result<(), Error> {
    let figures = ProcessFigures::read();
    if let Some(seconds) = figures.cpu_seconds {
        out.counter(&families::PROCESS_CPU, seconds)?;
    }
    if let Some(seconds) = figures.start_time_seconds {
        out.gauge(&families::PROCESS_START, seconds)?;
    }
    let gauges = [
        (&families::PROCESS_RESIDENT, figures.resident_bytes),
        (&families::PROCESS_OPEN_FDS, figures.open_fds),
        (&families::PROCESS_MAX_FDS, figures.max_fds),
        (&families::PROCESS_THREADS, figures.threads),
    ];
    for (family, value) in gauges {
        if let Some(value) = value {
            out.gauge(family, value)?;
        }
    }
    Ok(())
}
