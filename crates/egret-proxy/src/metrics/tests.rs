use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use egret_core::gate::Basis;
use egret_core::policy::RuleFacts;
use egret_core::policy::model::Action;
use egret_core::reason::Reason;
use egret_core::record::FlowRecord;
use egret_flows::store::StoreCounts;

use super::families;
use super::*;
use crate::credentials::CredentialsFigures;

const BUILD: BuildInfo = BuildInfo { version: "1.2.3", revision: "abc", rustc: "1.95.0" };

fn full_sources() -> Sources {
    Sources {
        dns: Some(Box::new(|| DnsFigures { cache_hits: 5, failures: 2, ..DnsFigures::default() })),
        parents: Some(Box::new(|| {
            let parent = |name: &str, up| ParentFigure { group: "corporate".into(), parent: name.into(), up };
            vec![parent("a.example:3128", true), parent("odd\"\\\nname", false)]
        })),
        credentials: Some(Box::new(|| {
            Some(CredentialsFigures {
                remembered: 7,
                clients: 8,
                directory_up: Some(true),
                keys: Some(2),
                keys_fetched: Some(1.5e9),
            })
        })),
        interception: Some(Box::new(|| Some(InterceptionFigures::default()))),
        workloads: Some(Box::new(|| WorkloadFigures {
            pods: 3,
            ambiguous: 1,
            watches: vec![WatchFigure { kind: "pods", is_read: true, behind_seconds: 1.5, failures: 2 }],
            token_reviews: vec![("good", 4)],
            events: vec![("written", 5)],
        })),
        limits: Some(Box::new(|| vec![(Limit::MetOrigins, 3)])),
        access_log_dropped: Some(Box::new(|| 4)),
        handshakes: Some(Box::new(|| 8)),
        certificates: Some(Box::new(|| {
            let (listener, certificate) = ("127.0.0.1:8443".to_owned(), "proxy.example".to_owned());
            vec![CertificateFigure { listener, certificate, not_after: 2_000_000_000 }]
        })),
        flows: Some(Box::new(|| StoreCounts { flows_stored: 9, disk: 11, ..StoreCounts::default() })),
        spans_dropped: Some(Box::new(|| 6)),
    }
}

/// The value of a sample, as text.
fn sample<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
}

#[test]
fn workers_are_added_up() {
    let metrics = Metrics::new(2, BUILD, Sources::default());
    for (worker, count) in [(0, 3), (1, 4)] {
        let worker = metrics.worker(worker);
        for _ in 0..count {
            worker.request(MethodClass::Get, 200, None);
            worker.connection_opened();
            worker.tunnel_opened();
            worker.pool(PoolEvent::Kept);
        }
        worker.request(MethodClass::Connect, 403, Some(Reason::DeniedByRule));
        worker.connection_closed();
        worker.tunnel_closed();
        worker.pool(PoolEvent::Released);
        worker.bytes(10, 200);
        worker.limit_hit(Limit::Descriptors);
        worker.phase(Phase::Dns, Duration::from_millis(2));
    }
    let text = metrics.render(None).body;
    let expected = [
        ("egret_requests_total{method=\"GET\",status_class=\"2xx\",reason=\"ok\"}", "7"),
        ("egret_requests_total{method=\"CONNECT\",status_class=\"4xx\",reason=\"denied-by-rule\"}", "2"),
        ("egret_connections_total", "7"),
        ("egret_connections_open", "5"),
        ("egret_tunnels_open", "5"),
        ("egret_pool_idle_connections", "5"),
        ("egret_bytes_total{direction=\"up\"}", "20"),
        ("egret_bytes_total{direction=\"down\"}", "400"),
        ("egret_limit_hits_total{limit=\"descriptors\"}", "2"),
        ("egret_limit_hits_total{limit=\"connections\"}", "0"),
        ("egret_phase_duration_seconds_bucket{le=\"0.001\",phase=\"dns\"}", "0"),
        ("egret_phase_duration_seconds_bucket{le=\"0.0025\",phase=\"dns\"}", "2"),
        ("egret_phase_duration_seconds_bucket{le=\"+Inf\",phase=\"dns\"}", "2"),
        ("egret_phase_duration_seconds_count{phase=\"dns\"}", "2"),
        ("egret_phase_duration_seconds_sum{phase=\"dns\"}", "0.004"),
        ("egret_workers", "2"),
        ("egret_build_info{version=\"1.2.3\",revision=\"abc\",rustc=\"1.95.0\"}", "1"),
    ];
    for (series, value) in expected {
        assert_eq!(sample(&text, series), Some(value), "{series} in\n{text}");
    }
}

#[test]
fn figures_of_others_are_asked_for_on_each_scrape() {
    let metrics = Metrics::new(1, BUILD, full_sources());
    metrics.config_loaded(1);
    metrics.config_refused();
    metrics.config_reloaded(2);
    metrics.set_draining(true);
    let text = metrics.render(None).body;
    let expected = [
        ("egret_dns_lookups_total{source=\"cache\"}", "5"),
        ("egret_dns_failures_total", "2"),
        ("egret_parent_up{group=\"corporate\",parent=\"a.example:3128\"}", "1"),
        ("egret_parent_up{group=\"corporate\",parent=\"odd\\\"\\\\\\nname\"}", "0"),
        ("egret_limit_hits_total{limit=\"met_origins\"}", "3"),
        ("egret_access_log_dropped_total", "4"),
        ("egret_trace_spans_dropped_total", "6"),
        ("egret_flows_stored_total", "9"),
        ("egret_flows_bytes{where=\"disk\"}", "11"),
        ("egret_config_generation", "2"),
        ("egret_config_reloads_total{result=\"ok\"}", "1"),
        ("egret_config_reloads_total{result=\"refused\"}", "1"),
        ("egret_draining", "1"),
    ];
    for (series, value) in expected {
        assert_eq!(sample(&text, series), Some(value), "{series} in\n{text}");
    }
    let loaded: f64 =
        sample(&text, "egret_config_last_reload_success_timestamp_seconds").unwrap().parse().unwrap();
    assert!(loaded > 1.7e9);
}

#[test]
fn absent_sources_leave_no_metric() {
    let text = Metrics::new(1, BUILD, Sources::default()).render(None).body;
    for name in ["egret_dns_", "egret_parent_up", "egret_access_log_dropped", "egret_trace_spans"] {
        assert!(!text.contains(name), "{name}");
    }
}

#[test]
fn every_family_of_the_table_is_scraped_and_none_besides() {
    let text = Metrics::new(1, BUILD, full_sources()).render(None).body;
    let scraped: HashSet<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let documented: HashSet<(&str, &str)> = docs().into_iter().map(|(name, kind, _)| (name, kind)).collect();
    assert_eq!(scraped, documented);
    for family in families::ALL {
        assert!(text.contains(&format!("# HELP {} {}\n", family.name, family.help)), "{}", family.name);
        assert_eq!(
            family.name.ends_with("_total"),
            family.kind == families::Kind::Counter,
            "{}",
            family.name
        );
    }
}

#[test]
fn labels_are_those_of_the_table() {
    let metrics = Metrics::new(1, BUILD, full_sources());
    metrics.worker(0).request(MethodClass::Get, 200, None);
    metrics.worker(0).credentials(CredentialMethod::Basic, CredentialResult::Accepted);
    metrics.worker(0).handshake_failed(Reason::ClientCertificateExpired);
    metrics.worker(0).clients.finished(&"CN=a \"client\"".into(), None);
    metrics.worker(0).workloads.finished(&("team-a".into(), "builder".into()), None);
    let by = RuleFacts::new("web", "allow web", Action::Allow);
    let audit = Some(Arc::new(RuleFacts::new("soon", "deny all", Action::Deny)));
    let basis = Basis { audit, ..Basis::of(by) };
    metrics.worker(0).decided(&FlowRecord {
        basis,
        reason: Some(Reason::RateLimited),
        ..crate::access_log::tests::a_record()
    });
    let text = metrics.render(None).body;
    for family in families::ALL.iter().filter(|family| !family.labels.is_empty()) {
        let line = text
            .lines()
            .find(|line| line.strip_prefix(family.name).is_some_and(|rest| rest.starts_with(['{', '_'])));
        let line = line.unwrap_or_else(|| panic!("no sample of {}", family.name));
        for label in family.labels {
            assert!(line.contains(&format!("{label}=\"")), "{label} in {line}");
        }
    }
}

#[test]
fn openmetrics_ends_with_its_mark() {
    let metrics = Metrics::new(1, BUILD, full_sources());
    let exposition = metrics.render(Some("application/openmetrics-text;version=1.0.0"));
    assert!(exposition.content_type.starts_with("application/openmetrics-text"));
    assert!(exposition.body.ends_with("# EOF\n"));
    assert!(exposition.body.contains("# TYPE egret_requests counter\n"));
    assert!(!metrics.render(None).body.contains("# EOF"));
}

#[test]
fn the_number_of_series_is_bounded_whatever_happens() {
    let metrics = Metrics::new(1, BUILD, Sources::default());
    let worker = metrics.worker(0);
    for status in 0..1000 {
        for method in ["GET", "MADE-UP", "", "PROPFIND"] {
            let class = MethodClass::of(&egret_core::record::MethodName::new(method));
            worker.request(class, status, None);
        }
    }
    let text = metrics.render(None).body;
    let series = text.lines().filter(|line| line.starts_with("egret_requests_total{")).count();
    assert_eq!(series, 2 * StatusClass::COUNT, "GET and OTHER with every class");
}

#[test]
fn the_page_in_docs_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    if std::env::var_os("EGRET_UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, markdown()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(page, markdown(), "run the test again with EGRET_UPDATE_DOCS=1 to write docs/metrics.md");
}
