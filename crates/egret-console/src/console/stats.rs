//! The overview: figures of what the store has.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use egret_flows::filter::Filter;
use egret_flows::flow::Flow;
use egret_flows::store::{FlowStore, MAX_PAGE, Query, Sort};
use serde_json::{Map, Value, json};

use super::detail::reason;
use super::hub::percentile;
use super::shape::{identity, lean, micros_time, ms, proof};

/// The windows that there are, and the time between their points.
pub(crate) const WINDOWS: [(&str, u64, u64); 4] =
    [("5m", 300, 5), ("15m", 900, 10), ("1h", 3600, 60), ("6h", 21_600, 300)];

#[derive(Default)]
struct Sums {
    flows: u64,
    errors: u64,
    refusals: u64,
    up: u64,
    down: u64,
    intercepted: u64,
    totals: Vec<u64>,
}

impl Sums {
    fn add(&mut self, flow: &Flow) {
        self.flows += 1;
        match &flow.failure {
            Some(failure) if failure.blame == "policy" => self.refusals += 1,
            Some(_) => self.errors += 1,
            None => {}
        }
        self.up += flow.bytes_up;
        self.down += flow.bytes_down;
        self.intercepted += u64::from(flow.treatment == egret_flows::flow::Treatment::Intercept);
        self.totals.extend(flow.timings.total);
    }

    fn percentile(&mut self, share: usize) -> Option<f64> {
        self.totals.sort_unstable();
        percentile(&self.totals, share).map(ms)
    }
}

/// Looks at every flow, newest first, until told to stop.
pub(crate) fn each_flow(store: &FlowStore, mut look: impl FnMut(&Flow) -> bool) {
    let mut query =
        Query { filter: Filter::default(), sort: Sort::default(), limit: MAX_PAGE, ..Query::default() };
    loop {
        let page = store.list(&query);
        for flow in &page.flows {
            if !look(flow) {
                return;
            }
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return,
        }
    }
}

/// The figures of a window.
pub(crate) fn stats(store: &FlowStore, window: &str, length: u64, step: u64, most_edges: usize) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
    let begin = now_micros.saturating_sub(length * 1_000_000);
    let mut all = Sums::default();
    let (mut open, mut tunnels, mut audit) = (0_u64, 0_u64, 0_u64);
    let steps = usize::try_from(length / step).unwrap_or(1);
    let mut series: Vec<Sums> = (0..steps).map(|_| Sums::default()).collect();
    let mut edges: HashMap<(String, String), (String, Sums)> = HashMap::new();
    let mut reasons: HashMap<String, (String, u64, u64, String)> = HashMap::new();
    let mut treatments: Map<String, Value> = Map::new();
    let mut classes: Map<String, Value> = Map::new();
    let mut phases: [(&str, Vec<u64>); 6] =
        ["dns", "connect", "tls", "client_tls", "first_byte", "total"].map(|name| (name, Vec::new()));
    each_flow(store, |flow| {
        if flow.active {
            open += 1;
            tunnels += u64::from(flow.treatment == egret_flows::flow::Treatment::Tunnel);
        }
        let ended = flow.started.saturating_add(flow.timings.total.unwrap_or(0));
        if ended < begin || flow.active {
            return true;
        }
        all.add(flow);
        audit += u64::from(flow.decision.audit.is_some());
        let place = usize::try_from((ended - begin) / (step * 1_000_000)).unwrap_or(0).min(steps - 1);
        series[place].add(flow);
        let to = flow.destination.as_ref().map_or_else(|| flow.request.authority(), ToString::to_string);
        if !to.is_empty() {
            let edge = edges.entry((identity(flow), to)).or_default();
            edge.0 = proof(flow).to_owned();
            edge.1.add(flow);
        }
        if let Some(failure) = &flow.failure {
            let entry = reasons
                .entry(failure.reason.to_string())
                .or_insert_with(|| (failure.blame.to_string(), 0, ended, flow.id.as_str().to_owned()));
            entry.1 += 1;
        }
        count(&mut treatments, flow.treatment.as_str());
        let class = match flow.status / 100 {
            class @ 1..=5 => format!("{class}xx"),
            _ => "none".to_owned(),
        };
        count(&mut classes, &class);
        let timings = &flow.timings;
        let values = [
            timings.dns,
            timings.connect,
            timings.origin_tls,
            timings.client_tls,
            timings.first_byte,
            timings.total,
        ];
        phases.iter_mut().zip(values).for_each(|((_, list), value)| list.extend(value));
        true
    });
    let mut edges: Vec<_> = edges.into_iter().collect();
    edges.sort_by(|a, b| b.1.1.flows.cmp(&a.1.1.flows).then_with(|| a.0.cmp(&b.0)));
    let others = edges.len().saturating_sub(most_edges);
    edges.truncate(most_edges);
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by(|a, b| b.1.1.cmp(&a.1.1).then_with(|| a.0.cmp(&b.0)));
    lean(json!({
        "now": super::shape::time(UNIX_EPOCH + now),
        "window": window,
        "stepMs": step * 1000,
        "totals": {
            "flows": all.flows, "errors": all.errors, "refusals": all.refusals, "auditDenials": audit,
            "bytesUp": all.up, "bytesDown": all.down, "open": open, "tunnelsOpen": tunnels,
        },
        "series": points(series, begin, step),
        "edges": edges.into_iter().map(|((identity, destination), (proof, mut sums))| json!({
            "identity": identity, "proof": proof, "destination": destination, "flows": sums.flows,
            "errors": sums.errors, "refusals": sums.refusals, "bytesUp": sums.up, "bytesDown": sums.down,
            "intercepted": sums.intercepted, "p50": sums.percentile(50),
        })).collect::<Vec<_>>(),
        "otherEdges": others,
        "reasons": reasons.into_iter().map(|(code, (blame, count, last, id))| json!({
            "what": reason(&code).map(|reason| reason.facts().what),
            "code": code, "blame": blame, "count": count, "lastSeen": micros_time(last), "lastFlow": id,
        })).collect::<Vec<_>>(),
        "latency": phases.into_iter().filter(|(_, values)| !values.is_empty()).map(|(name, mut values)| {
            values.sort_unstable();
            let at = |share| percentile(&values, share).map(ms);
            json!({ "phase": name, "count": values.len(), "p50": at(50), "p90": at(90), "p99": at(99) })
        }).collect::<Vec<_>>(),
        "treatments": treatments,
        "statusClasses": classes,
    }))
}

fn count(counts: &mut Map<String, Value>, name: &str) {
    let before = counts.get(name).and_then(Value::as_u64).unwrap_or(0);
    counts.insert(name.to_owned(), (before + 1).into());
}

#[expect(clippy::cast_precision_loss, reason = "rates for a chart")]
fn points(series: Vec<Sums>, begin: u64, step: u64) -> Value {
    let rate = |value: u64| value as f64 / step as f64;
    let point = |(index, mut sums): (usize, Sums)| {
        let end = Duration::from_micros(begin).as_millis() as u64 + (index as u64 + 1) * step * 1000;
        json!({
            "t": end, "flows": rate(sums.flows), "errors": rate(sums.errors), "refusals": rate(sums.refusals),
            "bytesUp": rate(sums.up), "bytesDown": rate(sums.down),
            "p50": sums.percentile(50), "p90": sums.percentile(90), "p99": sums.percentile(99),
        })
    };
    series.into_iter().enumerate().map(point).collect()
}
