//! What the command line sets, and that the same checks hold for it.

use egret_config::{Config, Overrides, Problem, check_bytes};
use egret_core::destination::Destination;
use egret_core::policy::model::Action;
use egret_core::settings::{AccessLogOutput, ClientAuth};

fn with(text: &str, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    check_bytes(text.as_bytes(), "egret.yaml", overrides)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn flags_win_over_the_file() {
    let overrides = Overrides {
        listen: texts(&["0.0.0.0:1", "[::1]:2"]),
        admin: Some("off".to_owned()),
        dns: texts(&["10.0.0.10", "[fd00::1]:5353"]),
        log_level: Some("debug".to_owned()),
        log_format: Some("json".to_owned()),
        access_log: Some("off".to_owned()),
        access_log_format: Some("squid".to_owned()),
        drain_timeout: Some("5m".to_owned()),
        workers: Some(3),
        ..Overrides::default()
    };
    let file = "listeners: [{address: 127.0.0.1:8888}]\nworkers: 1\ndns: {ndots: 2}\n";
    let compiled = with(file, &overrides).unwrap().compile(7, "".as_ref()).unwrap();
    assert_eq!(compiled.process.listeners, ["0.0.0.0:1".parse().unwrap(), "[::1]:2".parse().unwrap()]);
    assert_eq!((compiled.admin, compiled.process.workers), (None, 3));
    let dns = &compiled.snapshot.dns;
    assert_eq!(dns.servers, ["10.0.0.10:53".parse().unwrap(), "[fd00::1]:5353".parse().unwrap()]);
    assert_eq!(dns.ndots, Some(2));
    assert_eq!(compiled.snapshot.access_log.output, AccessLogOutput::Off);
    assert_eq!(compiled.log.level.as_str(), "debug");
    assert_eq!(compiled.snapshot.drain.timeout, std::time::Duration::from_secs(300));
    assert!(!compiled.snapshot.gate.guard.allow_loopback, "a listener is not on loopback");
}

#[test]
fn hosts_on_the_command_line_add_rules() {
    let overrides = Overrides {
        allow_hosts: texts(&["**.example.com"]),
        deny_hosts: texts(&["bad.example.com"]),
        ..Overrides::default()
    };
    let compiled =
        with("rules: {deny: [{ports: [25]}]}\n", &overrides).unwrap().compile(1, "".as_ref()).unwrap();
    let policies = &compiled.snapshot.gate.policies;
    let rules = &policies.policies()[0].rules;
    let count = |action| rules.iter().filter(|rule| rule.action == action).count();
    assert_eq!((count(Action::Deny), count(Action::Allow), policies.default_allow()), (2, 1, false));
}

#[test]
fn parents_on_the_command_line_are_one_group() {
    let overrides = Overrides {
        parents: texts(&["http://a:1", "http://b:1"]),
        no_proxy: Some("localhost, .corp,10.0.0.0/8".to_owned()),
        ..Overrides::default()
    };
    let compiled =
        with("parents: [{urls: [\"http://old:1\"]}]\n", &overrides).unwrap().compile(1, "".as_ref()).unwrap();
    let routes = &compiled.snapshot.routes;
    assert_eq!(routes.groups.len(), 1);
    assert_eq!(routes.groups[0].parents.len(), 2);
    let to = |text: &str| routes.choose(&Destination::parse_authority(text).unwrap(), &[]).is_some();
    assert!(to("example.com:443") && !to("git.corp:443") && !to("10.1.2.3:80"));
}

#[test]
fn no_proxy_is_added_to_the_groups_of_the_file() {
    let overrides = Overrides { no_proxy: Some("b.example".to_owned()), ..Overrides::default() };
    let config = with("parents: [{urls: [\"http://p:1\"], noProxy: [a.example]}]\n", &overrides).unwrap();
    assert_eq!(config.file().parents[0].no_proxy.len(), 2);
    let problems = with("", &overrides).unwrap_err();
    assert!(problems[0].one_line().starts_with("--no-proxy: there is no parent"), "{problems:?}");
}

#[test]
fn errors_name_the_flag() {
    let overrides = Overrides {
        dns: texts(&["ns.corp"]),
        listen: texts(&["8888"]),
        admin: Some("of".to_owned()),
        parents: texts(&["proxy"]),
        access_log: Some("/nowhere/at/all/access.log".to_owned()),
        ..Overrides::default()
    };
    let problems = with("limts: 1\n", &overrides).unwrap_err();
    let lines: Vec<_> = problems.iter().map(Problem::one_line).collect();
    for flag in ["--dns: ", "--listen: ", "--admin: ", "--parent: ", "egret.yaml:1:1: "] {
        assert!(lines.iter().any(|line| line.starts_with(flag)), "{flag} {lines:?}");
    }
    assert_eq!(problems.len(), 5, "{lines:?}");

    let overrides = Overrides { access_log: overrides.access_log, ..Overrides::default() };
    let problems = with("", &overrides).unwrap().compile(1, "".as_ref()).unwrap_err();
    assert!(problems[0].one_line().starts_with("--access-log: "), "{problems:?}");
}

#[test]
fn a_file_of_the_wrong_shape_is_still_refused() {
    let overrides =
        Overrides { dns: texts(&["10.0.0.10"]), no_proxy: Some("a".to_owned()), ..Overrides::default() };
    let problems = with("dns: 5\nparents: 3\n", &overrides).unwrap_err();
    assert!(problems.iter().any(|problem| problem.path == "dns"), "{problems:?}");
}

#[test]
fn what_is_set_to_nothing_is_not_set() {
    let overrides = Overrides {
        listen: texts(&[""]),
        admin: Some(String::new()),
        dns: texts(&["", " "]),
        upstream_ca: Some("".into()),
        parents: texts(&[""]),
        no_proxy: Some(String::new()),
        allow_hosts: texts(&[""]),
        access_log: Some(String::new()),
        log_level: Some(String::new()),
        ..Overrides::default()
    };
    assert_eq!(*with("", &overrides).unwrap().file(), egret_config::ConfigFile::default());
}

#[test]
fn formats_are_refused_by_the_names_of_their_flags() {
    let overrides = Overrides {
        log_format: Some("xml".to_owned()),
        access_log_format: Some("jsno".to_owned()),
        ..Overrides::default()
    };
    let lines: Vec<_> = with("", &overrides).unwrap_err().iter().map(Problem::one_line).collect();
    assert_eq!(
        lines,
        [
            "--diagnostics-format: unknown value `xml` (it is one of text, json)",
            "--log-format: unknown value `jsno` (did you mean `json`?)",
        ],
    );
}

#[test]
fn one_flag_makes_mutual_tls() {
    let overrides = Overrides { mtls: Some("/certs".into()), ..Overrides::default() };
    let file = "listeners: [{address: 127.0.0.1:8888}]\n";
    let compiled = with(file, &overrides).unwrap().compile(1, "".as_ref()).unwrap();
    let [listener] = compiled.listeners.as_slice() else { panic!("{:?}", compiled.listeners) };
    assert_eq!(listener.address, "127.0.0.1:8443".parse().unwrap());
    let tls = listener.tls.as_ref().unwrap();
    assert_eq!(tls.client_auth, ClientAuth::Required);
    let files: Vec<_> = tls.files().map(|path| path.display().to_string()).collect();
    assert_eq!(files, ["/certs/server.crt", "/certs/server.key", "/certs/ca.crt"]);

    let elsewhere = Overrides { listen: texts(&["0.0.0.0", "[::1]:9443"]), ..overrides };
    let compiled = with(file, &elsewhere).unwrap().compile(1, "".as_ref()).unwrap();
    let addresses: Vec<_> = compiled.listeners.iter().map(|listener| listener.address.to_string()).collect();
    assert_eq!(addresses, ["0.0.0.0:8443", "[::1]:9443"]);
    assert!(compiled.listeners.iter().all(|listener| listener.tls.is_some()));
}

#[test]
fn an_address_on_the_command_line_takes_no_tls_away() {
    let overrides = Overrides { listen: texts(&["0.0.0.0:1"]), ..Overrides::default() };
    let file = "listeners: [{address: 0.0.0.0, tls: {certificates: [{certificate: a.crt}]}}]\n";
    let problems = with(file, &overrides).unwrap_err();
    assert!(
        problems[0].one_line().starts_with("--listen: the listeners of the configuration speak TLS"),
        "{problems:?}"
    );
}
