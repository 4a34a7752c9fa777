//! The names of all metrics, in one table: the scrape and the documentation are made from it.

use prometheus_client::metrics::MetricType;

/// One metric family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    /// The name as classic Prometheus shows it, `_total` included.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }

    pub(super) const fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Histogram => MetricType::Histogram,
        }
    }
}

macro_rules! families {
    ($($constant:ident = $name:literal, $kind:ident, [$($label:literal),*], $help:literal;)+) => {
        $(pub(super) const $constant: Family =
            Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)+
        /// Every family, in the order of the documentation.
        pub(super) const ALL: &[Family] = &[$($constant),+];
    };
}

families! {
    REQUESTS = "egret_requests_total", Counter, ["method", "status_class", "reason"],
        "Finished requests and tunnels, by method, class of the status sent (none: no status was sent) and reason code (ok: it went well).";
    CONNECTIONS_OPEN = "egret_connections_open", Gauge, [],
        "Client connections that are open.";
    CONNECTIONS = "egret_connections_total", Counter, [],
        "Client connections accepted.";
    TUNNELS_OPEN = "egret_tunnels_open", Gauge, [],
        "Tunnels (CONNECT and upgrades) that are open.";
    TUNNELS = "egret_tunnels_total", Counter, [],
        "Tunnels opened.";
    BYTES = "egret_bytes_total", Counter, ["direction"],
        "Payload bytes (bodies and tunnels), by direction: up is client to upstream, down is upstream to client.";
    PHASES = "egret_phase_duration_seconds", Histogram, ["phase"],
        "How long the phases of finished flows took: dns, connect, tls (with the upstream), first_byte (from the request's arrival), total; and client_tls, the handshake of a client's connection.";
    HANDSHAKES_OPEN = "egret_client_handshakes_open", Gauge, [],
        "TLS handshakes with clients that are under way.";
    HANDSHAKES = "egret_client_handshakes_total", Counter, ["version", "session"],
        "TLS handshakes with clients that were completed, by version and session: new, or resumed.";
    HANDSHAKE_FAILURES = "egret_client_handshake_failures_total", Counter, ["reason"],
        "TLS handshakes with clients that failed, by reason code.";
    CERTIFICATE_ENDS = "egret_listener_certificate_not_after_timestamp_seconds", Gauge, ["listener", "certificate"],
        "When the certificates of the listeners end, in seconds since the epoch.";
    CLIENT_REQUESTS = "egret_client_requests_total", Counter, ["client", "blame"],
        "Finished requests and tunnels of clients with a proven name, by that name and by whose fault it was that they failed (none: they went well). The first `limits.clientNames` names are told apart; all others are (other).";
    CLIENT_BYTES = "egret_client_bytes_total", Counter, ["client", "direction"],
        "Payload bytes of clients with a proven name, by that name and direction.";
    WORKLOAD_REQUESTS = "egret_workload_requests_total", Counter, ["namespace", "service_account", "blame"],
        "Finished requests and tunnels of workloads of the cluster, by namespace, service account and by whose fault it was that they failed (none: they went well). The first `limits.workloadNames` service accounts are told apart; all others are (other).";
    WORKLOAD_BYTES = "egret_workload_bytes_total", Counter, ["namespace", "service_account", "direction"],
        "Payload bytes of workloads of the cluster, by namespace, service account and direction.";
    WORKLOAD_LOOKUPS = "egret_workload_lookups_total", Counter, ["result"],
        "Client connections by what was known behind their address: pod, node, ambiguous (more than one pod), unknown (no pod and no node), stale (what is known is too old).";
    KUBERNETES_PODS = "egret_kubernetes_pods", Gauge, [],
        "Pods whose addresses are known.";
    KUBERNETES_AMBIGUOUS = "egret_kubernetes_ambiguous_addresses", Gauge, [],
        "Addresses that more than one pod has. Who comes from there has no identity.";
    KUBERNETES_BEHIND = "egret_kubernetes_staleness_seconds", Gauge, ["kind"],
        "For how long what is known of the cluster may have been out of date, by kind of object; 0 while it is current.";
    KUBERNETES_SYNCED = "egret_kubernetes_synced", Gauge, ["kind"],
        "1 when a kind of object was read whole at least once.";
    KUBERNETES_WATCH_FAILURES = "egret_kubernetes_watch_failures_total", Counter, ["kind"],
        "Lists and watches of the API server that failed or broke, by kind of object.";
    TOKEN_REVIEWS = "egret_token_reviews_total", Counter, ["result"],
        "Tokens of service accounts that the API server was asked about: good, refused, unavailable.";
    KUBERNETES_EVENTS = "egret_kubernetes_events_total", Counter, ["result"],
        "Events about refusals: written, joined (to one that was written before), limited (too many for the pod or in all), failed.";
    POLICY_DECISIONS = "egret_policy_decisions_total", Counter, ["policy", "rule", "action"],
        "Finished requests and tunnels by the rule that decided on them and what it said: Allow, Deny; (default) where none did. Nothing is counted while there are no policies. The first `limits.policyRules` rules are told apart; all others are (other).";
    POLICY_AUDIT_DENIALS = "egret_policy_audit_denials_total", Counter, ["policy", "rule"],
        "Finished requests and tunnels that a rule of a policy in mode Audit would have denied.";
    POLICY_REFUSALS = "egret_policy_refusals_total", Counter, ["policy", "rule", "reason"],
        "Requests and tunnels that a rule allowed and that were refused or ended by what it demands besides, by reason code; and those that a rule denied when it came into force (policy-changed).";
    LIMIT_HITS = "egret_limit_hits_total", Counter, ["limit"],
        "How often a limit was struck.";
    LEAVES = "egret_interception_certificates_total", Counter, ["result"],
        "Certificates for origins, where TLS is looked into: hit (at hand), minted (made), failed, evicted (gave way to another: the limit interception.cacheEntries).";
    LEAVES_KEPT = "egret_interception_certificates_kept", Gauge, [],
        "Certificates for origins that are kept.";
    INTERCEPTION_CA_ENDS = "egret_interception_ca_not_after_seconds", Gauge, [],
        "When the interception CA ends, in seconds since the epoch.";
    CREDENTIALS = "egret_credentials_total", Counter, ["method", "result"],
        "Requests by what was found out about their credentials, where credentials are asked for. Method: basic, bearer, none. Result: accepted (checked now), remembered (checked lately), refused, not_allowed, malformed, missing, blocked, unavailable.";
    CREDENTIALS_REMEMBERED = "egret_credentials_remembered", Gauge, [],
        "Credentials that were accepted and are not checked again for a while.";
    LOGIN_CLIENTS = "egret_login_clients", Gauge, [],
        "Client addresses whose failed logins are remembered.";
    DIRECTORY_UP = "egret_directory_up", Gauge, [],
        "1 when the directory (LDAP) answered the last time that it was asked, else 0.";
    TOKEN_KEYS = "egret_token_keys", Gauge, [],
        "Keys by which tokens are checked.";
    TOKEN_KEYS_FETCHED = "egret_token_keys_fetched_timestamp_seconds", Gauge, [],
        "When the keys for tokens were last fetched from their URL, in seconds since the epoch; absent before the first time.";
    POOL_HITS = "egret_pool_hits_total", Counter, [],
        "Requests sent on a kept upstream connection.";
    POOL_MISSES = "egret_pool_misses_total", Counter, [],
        "Requests for which no kept upstream connection was there.";
    POOL_STALE = "egret_pool_stale_total", Counter, [],
        "Kept upstream connections that turned out to be closed.";
    POOL_RETRIES = "egret_pool_retries_total", Counter, [],
        "Requests sent again on a new connection after a stale one.";
    POOL_IDLE = "egret_pool_idle_connections", Gauge, [],
        "Upstream connections kept for later use.";
    DNS_LOOKUPS = "egret_dns_lookups_total", Counter, ["source"],
        "Names looked up, by where the answer came from: cache (the hosts file included), negative_cache, shared (a query already under way), stale (expired, because the name servers failed), query.";
    DNS_FAILURES = "egret_dns_failures_total", Counter, [],
        "Look-ups that failed: an error of the name servers, or no answer. A name that does not exist is no failure.";
    DNS_CACHE_ENTRIES = "egret_dns_cache_entries", Gauge, [],
        "Names in the DNS cache.";
    PARENT_UP = "egret_parent_up", Gauge, ["group", "parent"],
        "1 while a parent proxy is used when its turn comes, 0 while it is passed over after a failure.";
    ACCESS_LOG_DROPPED = "egret_access_log_dropped_total", Counter, [],
        "Access lines lost because the output was too slow or failed.";
    SPANS_DROPPED = "egret_trace_spans_dropped_total", Counter, [],
        "Trace spans lost because the collector was too slow or failed.";
    FLOWS_STORED = "egret_flows_stored_total", Counter, [],
        "Flows that were stored, captured or listed by their records alone.";
    FLOWS_EVICTED = "egret_flows_evicted_total", Counter, ["what"],
        "What was removed from the store of flows to make room or for its age: flow, body (the flow stays).";
    FLOWS_LOST = "egret_flows_lost_total", Counter, ["what"],
        "What the store of flows did not take because a worker's queue was full: piece (the flow is truncated), flow (its end is missing).";
    FLOWS_TRUNCATED = "egret_flows_bodies_truncated_total", Counter, [],
        "Captured bodies that were cut off at a limit.";
    FLOWS_UNREADABLE = "egret_flows_bodies_unreadable_total", Counter, [],
        "Captured bodies that were dropped because redaction applied and they could not be read.";
    FLOWS_STORAGE_ERRORS = "egret_flows_storage_errors_total", Counter, [],
        "Times that the store of flows could not write to its directory.";
    FLOWS_LAGGED = "egret_flows_views_lagged_total", Counter, [],
        "Times that a live view was too slow and lost changes.";
    FLOWS_KEPT = "egret_flows_kept", Gauge, [],
        "Flows in the store.";
    FLOWS_BYTES = "egret_flows_bytes", Gauge, ["where"],
        "What the flows in the store take: memory (about), disk (bodies).";
    CONFIG_GENERATION = "egret_config_generation", Gauge, [],
        "The generation of the configuration in use, counted from 1.";
    CONFIG_RELOADS = "egret_config_reloads_total", Counter, ["result"],
        "Attempts to reload the configuration, by result: ok, refused (the old one stays in use).";
    CONFIG_LAST_SUCCESS = "egret_config_last_reload_success_timestamp_seconds", Gauge, [],
        "When the configuration in use was loaded, in seconds since the epoch.";
    DRAINING = "egret_draining", Gauge, [],
        "1 while the process shuts down.";
    WORKERS = "egret_workers", Gauge, [],
        "Worker threads.";
    BUILD_INFO = "egret_build_info", Gauge, ["version", "revision", "rustc"],
        "Always 1; the labels say what is running.";
    PROCESS_CPU = "process_cpu_seconds_total", Counter, [],
        "User and system CPU time spent, in seconds.";
    PROCESS_RESIDENT = "process_resident_memory_bytes", Gauge, [],
        "Resident memory, in bytes.";
    PROCESS_OPEN_FDS = "process_open_fds", Gauge, [],
        "Open file descriptors.";
    PROCESS_MAX_FDS = "process_max_fds", Gauge, [],
        "File descriptors the process may have open.";
    PROCESS_THREADS = "process_threads", Gauge, [],
        "Threads of the process.";
    PROCESS_START = "process_start_time_seconds", Gauge, [],
        "When the process started, in seconds since the epoch.";
}
