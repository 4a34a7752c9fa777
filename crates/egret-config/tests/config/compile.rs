//! What a configuration becomes.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use egret_config::{Compiled, LoopbackRule, Overrides, check, load, render};
use egret_core::destination::Destination;
use egret_core::identity::{Identity, TlsVersion};
use egret_core::policy::{Ask, Seen};
use egret_core::settings::{
    AccessLogOutput, AddressFamily, ClientAuth, ForwardedHeader, ProcessSettings, Snapshot,
};

fn compile(text: &str, base_dir: &Path) -> Result<Compiled, String> {
    let config = check(text, "egret.yaml").map_err(|problems| render(&problems, false))?;
    config.compile(1, base_dir).map_err(|problems| render(&problems, false))
}

fn compiled(text: &str) -> Compiled {
    compile(text, Path::new("")).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_defaults_are_the_cores() {
    let compiled = compiled("");
    let (snapshot, default) = (compiled.snapshot, Snapshot::default());
    assert_eq!(snapshot.limits, default.limits);
    assert_eq!(snapshot.timeouts, default.timeouts);
    assert_eq!(snapshot.http, default.http);
    assert_eq!(snapshot.dns, default.dns);
    assert_eq!(snapshot.access_log, default.access_log);
    assert_eq!(snapshot.drain, default.drain);
    assert_eq!(format!("{:?}", snapshot.upstream), format!("{:?}", default.upstream));
    assert_eq!(compiled.process.listeners, ProcessSettings::default().listeners);
    assert_eq!(compiled.process.workers, ProcessSettings::default().workers);
    assert!(snapshot.gate.policies.default_allow() && !snapshot.gate.guard.disabled);
    assert!(snapshot.gate.guard.allow_loopback, "the default listener is on loopback");
    assert!(compiled.tracing.is_none());
    assert_eq!(compiled.admin, Some(([127, 0, 0, 1], 9090).into()));
}

#[test]
fn every_field_arrives() {
    let compiled = compiled(
        "
limits: {connections: 1, connectionsPerClient: 2, headBytes: 3KiB, headFields: 4, targetBytes: 1KiB,
  bodyRateFloor: 0, bodyRateWindow: 7s, h2Streams: 8}
timeouts: {head: 1s, keepAlive: 2s, connect: 3s, tls: 4s, response: 5s, bodyIdle: 6s, tunnelIdle: 7s, tunnelLifetime: 8s}
http: {via: edge-1, sendVia: false, forwarded: xForwardedFor, contact: \"ops, room 5\"}
upstream: {sourceAddresses: [\"2001:db8::1\", 192.0.2.1], pool: {perOrigin: 1, total: 2, idle: 3s}, keepalive: 0s, attemptDelay: 100ms}
dns: {servers: [10.0.0.1], hostsFile: off, search: [], ndots: 1, timeout: 1s, attempts: 3, minTTL: 0s, maxTTL: 5s,
  negativeTTL: 6s, failureTTL: 0s, cacheEntries: 9, family: ipv4Only}
accessLog: {format: logfmt, output: {file: /tmp/access.log}, interim: 0s, bufferBytes: 64KiB}
drain: {delay: 5s, timeout: 20s}
tracing: {otlpEndpoint: \"http://collector:4318\", sample: 0.5, serviceName: edge}
workers: 4
admin: {address: off}
",
    );
    let snapshot = &compiled.snapshot;
    let limits = &snapshot.limits;
    assert_eq!((limits.connections, limits.connections_per_client, limits.head_bytes), (1, 2, 3072));
    assert_eq!((limits.head_fields, limits.target_bytes, limits.body_rate_floor), (4, 1024, 0));
    assert_eq!((limits.body_rate_window, limits.h2_streams), (Duration::from_secs(7), 8));
    let t = &snapshot.timeouts;
    let seconds =
        [t.head, t.keep_alive, t.connect, t.tls, t.response, t.body_idle, t.tunnel_idle, t.tunnel_lifetime];
    assert_eq!(seconds.map(|time| time.as_secs()), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!((&*snapshot.http.via, snapshot.http.send_via), ("edge-1", false));
    assert_eq!(snapshot.http.forwarded, ForwardedHeader::XForwardedFor);
    assert_eq!(snapshot.http.contact.as_deref(), Some("ops, room 5"));
    let upstream = &snapshot.upstream;
    assert_eq!(upstream.source_v4, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(upstream.source_v6, Some("2001:db8::1".parse().unwrap()));
    assert_eq!((upstream.pool_per_origin, upstream.pool_total, upstream.pool_idle.as_secs()), (1, 2, 3));
    assert_eq!((upstream.keepalive, upstream.attempt_delay), (Duration::ZERO, Duration::from_millis(100)));
    let dns = &snapshot.dns;
    assert_eq!((dns.hosts_file.as_ref(), dns.search.as_ref(), dns.ndots), (None, Some(&Vec::new()), Some(1)));
    assert_eq!((dns.attempts, dns.cache_entries, dns.family), (3, 9, AddressFamily::Ipv4Only));
    assert_eq!(
        [dns.timeout, dns.min_ttl, dns.max_ttl, dns.negative_ttl, dns.failure_ttl].map(|time| time.as_secs()),
        [1, 0, 5, 6, 0]
    );
    assert_eq!(snapshot.access_log.output, AccessLogOutput::File("/tmp/access.log".into()));
    assert_eq!((snapshot.access_log.interim, snapshot.access_log.buffer_bytes), (Duration::ZERO, 65_536));
    assert_eq!((snapshot.drain.delay.as_secs(), snapshot.drain.timeout.as_secs()), (5, 20));
    let tracing = compiled.tracing.unwrap();
    assert_eq!(
        (tracing.endpoint.as_str(), tracing.sample, tracing.service_name.as_str()),
        ("http://collector:4318/v1/traces", 0.5, "edge")
    );
    assert_eq!((compiled.process.workers, compiled.admin), (4, None));
}

#[test]
fn an_allow_list_refuses_the_rest_even_when_it_is_empty() {
    for (text, default_allow) in [
        ("rules: {allow: [{hosts: [a.example]}]}", false),
        ("rules: {allow: []}", false),
        ("rules: {allow: [{hosts: [a.example]}], default: allow}", true),
        ("rules: {deny: [{hosts: [a.example]}]}", true),
        ("rules: {default: deny}", false),
    ] {
        assert_eq!(compiled(text).snapshot.gate.policies.default_allow(), default_allow, "{text}");
    }
}

#[test]
fn rules_reach_the_gate_with_their_names() {
    let gate = compiled("rules:\n  deny: [{hosts: [\"**.ads.example\"]}, {name: mail, ports: [25, 465-587]}, {cidrs: [\"::ffff:10.0.0.0/104\"]}]\n").snapshot.gate;
    let denied_by = |authority: &str| {
        let denial = gate.evaluate(&Ask {
            identity: &Identity::from_address(([192, 0, 2, 1], 5).into()),
            destination: &Destination::parse_authority(authority).unwrap(),
            address: None,
            seen: Seen::Tunnel,
            now: SystemTime::UNIX_EPOCH,
        });
        denial.err().and_then(|denial| denial.by).map(|facts| facts.rule.to_string())
    };
    assert_eq!(denied_by("x.ads.example:443").as_deref(), Some("deny[0]"));
    assert_eq!(denied_by("x.example:500").as_deref(), Some("mail"));
    assert_eq!(denied_by("10.1.2.3:443").as_deref(), Some("deny[2]"));
    assert_eq!(denied_by("x.example:443"), None);
}

#[test]
fn loopback_is_let_through_only_when_all_listeners_are_on_loopback() {
    for (text, allowed) in [
        ("listeners: [{address: 127.0.0.1:1}, {address: \"[::1]:1\"}]", true),
        ("listeners: [{address: 127.0.0.1:1}, {address: 10.0.0.1:1}]", false),
        ("listeners: [{address: 0.0.0.0:1}]", false),
        ("{listeners: [{address: 0.0.0.0:1}], guard: {allowLoopback: true}}", true),
        ("guard: {allowLoopback: false}", false),
    ] {
        assert_eq!(compiled(text).snapshot.gate.guard.allow_loopback, allowed, "{text}");
    }
}

#[test]
fn sockets_from_elsewhere_decide_about_loopback() {
    let mut compiled = compiled("");
    assert_eq!(compiled.loopback, LoopbackRule::Auto);
    let bound = [SocketAddr::from(([0, 0, 0, 0], 8888))];
    compiled.settle_guard(&bound, vec![IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))]);
    let guard = &compiled.snapshot.gate.guard;
    assert!(!guard.allow_loopback);
    assert_eq!((guard.listeners.as_slice(), guard.local_addresses.len()), (bound.as_slice(), 1));
}

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

#[test]
fn files_are_read_relative_to_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("ca.pem"), CERTIFICATE).unwrap();
    fs::write(dir.path().join("login"), "bob:hun:ter2\n").unwrap();
    fs::write(dir.path().join("hosts"), "").unwrap();
    let text = "upstream: {trustedCA: ca.pem}\ndns: {hostsFile: hosts}\nparents:\n  - {urls: [\"https://p:443\", \"http://p:80\"], credentialsFile: login, trustedCA: ca.pem}\n";
    let path = dir.path().join("egret.yaml");
    fs::write(&path, text).unwrap();
    let loaded = load(Some(&path), &Overrides::default(), 4).unwrap();
    let snapshot = &loaded.compiled.snapshot;
    assert_eq!(snapshot.generation, 4);
    assert_eq!(snapshot.upstream.trusted_ca.as_deref(), Some(CERTIFICATE.as_bytes()));
    let group = &snapshot.routes.groups[0];
    for parent in &group.parents {
        let credentials = parent.credentials.as_ref().unwrap();
        assert_eq!((credentials.user.as_str(), credentials.password.as_str()), ("bob", "hun:ter2"));
    }
    let names: Vec<_> =
        loaded.files.iter().map(|file| file.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["egret.yaml", "ca.pem", "hosts", "login"]);
}

#[test]
fn says_all_that_is_wrong_with_files() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("key.pem", &format!("{CERTIFICATE}-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"));
    write("empty.pem", "");
    write("lines", "bob:hunter2\nal:hunter2\n");
    write("nocolon", "hunter2\n");
    write("huge", &"hunter2".repeat(10_000));
    for (field, words) in [
        ("upstream: {trustedCA: missing.pem}", "does not exist"),
        ("upstream: {trustedCA: key.pem}", "holds a private key"),
        ("upstream: {trustedCA: empty.pem}", "holds no certificate"),
        ("upstream: {trustedCA: .}", "is no regular file"),
        ("upstream: {trustedCA: /dev/zero}", "is no regular file"),
        ("dns: {hostsFile: missing}", "does not exist"),
        ("accessLog: {output: {file: missing/access.log}}", "directory that does not exist"),
        ("accessLog: {output: {file: .}}", "is a directory"),
        ("parents: [{urls: [\"http://p:1\"], credentialsFile: lines}]", "more than one line"),
        ("parents: [{urls: [\"http://p:1\"], credentialsFile: nocolon}]", "has no colon"),
        ("parents: [{urls: [\"http://p:1\"], credentialsFile: huge}]", "larger than 4 KiB"),
        ("parents: [{urls: [\"http://p:1\"], credentialsFile: missing}]", "does not exist"),
    ] {
        let problems = compile(field, dir.path()).unwrap_err();
        assert!(problems.contains(words), "{field}\n{problems}");
        assert!(problems.contains("egret.yaml:1:"), "the place is missing: {problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
    let both = "upstream: {trustedCA: a}\nparents: [{urls: [\"http://p:1\"], credentialsFile: b}]\n";
    assert!(compile(both, dir.path()).unwrap_err().contains("2 errors"));
}

#[test]
fn refuses_a_configuration_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    for (path, words) in
        [(dir.path().join("missing.yaml"), "does not exist"), (dir.path().to_owned(), "no regular file")]
    {
        let problems = load(Some(&path), &Overrides::default(), 1).unwrap_err();
        assert!(problems[0].message.contains(words), "{problems:?}");
    }
}

#[test]
fn refuses_credentials_in_two_places_and_a_ca_for_nobody() {
    let problems =
        compile("parents: [{urls: [\"http://u:p@h:1\"], credentialsFile: f}]", Path::new("")).unwrap_err();
    assert!(problems.contains("`credentialsFile` is given too"), "{problems}");
    let problems = compile("parents: [{urls: [\"http://h:1\"], trustedCA: f}]", Path::new("")).unwrap_err();
    assert!(problems.contains("over TLS"), "{problems}");
}

#[test]
fn tls_of_a_listener_arrives() {
    let compiled = compile(
        "
listeners:
  - address: 127.0.0.1:8888
  - address: 0.0.0.0
    tls:
      certificates:
        - {certificate: a.pem}
        - {certificate: b.crt, key: /keys/b.key, passwordFile: b.password, ocspResponse: b.ocsp}
      minVersion: TLSv1.3
      clientAuth: optional
      clientCA: ca.crt
      crl: [one.crl, two.crl]
      allowedClients: [\"spiffe://a/**\", \"dns:b\"]
",
        Path::new("/etc/egret"),
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    let [plain, over_tls] = compiled.listeners.as_slice() else { panic!("{:?}", compiled.listeners) };
    assert_eq!(plain.tls, None);
    assert_eq!(over_tls.address, "0.0.0.0:8443".parse().unwrap(), "the port that goes without saying");
    assert_eq!(compiled.process.listeners, [plain.address, over_tls.address]);
    let tls = over_tls.tls.as_ref().unwrap();
    assert_eq!((tls.min_version, tls.client_auth), (TlsVersion::Tls13, ClientAuth::Optional));
    let files: Vec<String> = tls.files().map(|path| path.display().to_string()).collect();
    assert_eq!(
        files,
        [
            "/etc/egret/a.pem",
            "/etc/egret/b.crt",
            "/keys/b.key",
            "/etc/egret/b.password",
            "/etc/egret/b.ocsp",
            "/etc/egret/ca.crt",
            "/etc/egret/one.crl",
            "/etc/egret/two.crl"
        ]
    );
    let allowed: Vec<String> = tls.allowed_clients.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["spiffe://a/**", "dns:b"]);
}

#[test]
fn the_files_of_tls_are_watched() {
    let text = "listeners: [{address: 0.0.0.0, tls: {certificates: [{certificate: a.crt, key: a.key}], clientAuth: required, clientCA: ca.crt}}]\n";
    let files = check(text, "egret.yaml").unwrap().referenced_files(Path::new("/etc"));
    for name in ["/etc/a.crt", "/etc/a.key", "/etc/ca.crt"] {
        assert!(files.contains(&name.into()), "{files:?}");
    }
}
