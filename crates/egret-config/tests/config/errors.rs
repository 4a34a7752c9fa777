//! What people read who made one of the usual mistakes.

use egret_config::{render, render_json};

use super::problems;

/// A test for each mistake, whose text is compared with the one in `snapshots/`.
macro_rules! mistakes {
    ($($name:ident: $text:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let mut settings = insta::Settings::clone_current();
                settings.set_prepend_module_to_snapshot(false);
                settings.set_omit_expression(true);
                settings.set_description($text);
                settings.bind(|| insta::assert_snapshot!(stringify!($name), render(&problems($text), false)));
            }
        )*
    };
}

mistakes! {
    misspelt_section: "limts:\n  connections: 10\n";
    misspelt_field: "limits:\n  conections: 10\n";
    snake_case_field: "limits:\n  connections_per_client: 10\n";
    field_in_the_wrong_section: "limits:\n  pool: {}\n";
    unknown_field_like_no_other: "admin:\n  xyzzy: 1\n";
    misspelt_word: "accessLog:\n  format: jsno\n";
    word_like_no_other: "http:\n  forwarded: perhaps\n";
    number_for_a_duration: "timeouts:\n  connect: 10\n";
    unknown_unit: "timeouts: {connect: 10sec}\n";
    fraction_of_a_duration: "timeouts: {connect: 1.5s}\n";
    size_with_another_unit: "limits:\n  headBytes: 64k\n";
    text_for_a_number: "limits:\n  connections: \"1000\"\n";
    number_out_of_range: "limits: {connections: 0}\n";
    port_alone: "listeners:\n  - address: 8888\n";
    name_for_an_address: "listeners: [{address: localhost:8888}]\n";
    address_without_port: "listeners: [{address: 0.0.0.0}]\n";
    client_certificates_without_a_ca: "listeners:\n  - address: 0.0.0.0\n    tls:\n      certificates: [{certificate: a.crt}]\n      clientAuth: required\n";
    names_without_client_certificates: "listeners:\n  - address: 0.0.0.0\n    tls:\n      certificates: [{certificate: a.crt}]\n      allowedClients: [dns:a]\n";
    client_name_without_its_kind: "listeners:\n  - address: 0.0.0.0\n    tls:\n      certificates: [{certificate: a.crt}]\n      allowedClients: [build.example]\n";
    tls_without_certificates: "listeners:\n  - address: 0.0.0.0:1\n    tls: {}\n";
    text_for_a_list_of_listeners: "listeners: 127.0.0.1:8888\n";
    mapping_for_a_list: "rules:\n  deny:\n    name: ads\n    hosts: [ads.example]\n";
    empty_hosts: "rules:\n  deny:\n    - name: ads\n      hosts: []\n";
    rule_that_names_nothing: "rules:\n  deny:\n    - name: everything\n";
    network_among_hosts: "rules:\n  deny:\n    - hosts: [10.0.0.0/8]\n";
    host_with_a_leading_dot: "rules:\n  allow:\n    - hosts: [.example.com]\n";
    star_without_quotes: "rules:\n  allow:\n    - hosts: [*.example.com]\n";
    network_with_bits_beyond_its_prefix: "guard:\n  allow: [10.1.2.3/8]\n";
    port_out_of_range: "rules:\n  deny: [{ports: [443, 70000, 9000-8000]}]\n";
    names_given_twice: "rules:\n  deny:\n    - {name: ads, hosts: [a.example]}\n    - {name: ads, hosts: [b.example]}\n";
    listener_given_twice: "listeners:\n  - address: 127.0.0.1:8888\n  - address: 127.0.0.1:8888\n";
    admin_on_the_port_of_a_listener: "listeners:\n  - address: 127.0.0.1:9090\n";
    field_given_twice: "limits: {connections: 1}\ntimeouts: {}\nlimits: {connections: 2}\n";
    ttl_the_wrong_way_round: "dns:\n  minTTL: 10m\n";
    off_that_became_false: "admin:\n  address: false\n";
    yes_for_true: "http:\n  sendVia: yes\n";
    parent_without_scheme: "parents:\n  - name: corp\n    urls: [proxy.corp:3128]\n";
    parent_without_port: "parents:\n  - name: corp\n    urls: [\"http://proxy.corp\"]\n";
    parent_without_urls: "parents:\n  - name: corp\n";
    parent_never_used: "parents:\n  - urls: [\"http://a:1\"]\n  - name: second\n    urls: [\"http://b:1\"]\n";
    zero_timeout: "timeouts:\n  response: 0s\n";
    path_for_a_word: "accessLog:\n  output: /var/log/egret.log\n";
    credentials_in_two_places: "parents:\n  - urls: [\"http://bob:hunter2@proxy.corp:3128\"]\n    credentialsFile: /etc/egret/login\n";
    tab_for_indentation: "limits:\n\tconnections: 10\n";
    missing_space: "limits:\n  connections:10\n";
    bad_indentation: "limits:\n  connections: 10\n   headFields: 3\n";
    open_quote: "http:\n  via: \"egret\nlimits: {}\n";
    second_document: "workers: 1\n---\nworkers: 2\n";
    list_for_the_whole: "- listeners\n";
    template_left_over: "listeners:\n  - address: {{ .Values.listen }}\n";
    everything_at_once: "listeners:\n  - address: 127.0.0.1\nlimts: {}\ntimeouts:\n  connect: 10\n  response: 0s\ndns:\n  servers: [ns.corp]\n  minTTL: 10m\n";
}

#[test]
fn json_names_file_line_and_column() {
    insta::assert_snapshot!(render_json(&problems("limits:\n  conections: 10\n"), &[]));
}

#[test]
fn colour_marks_the_place() {
    let text = render(&problems("limits:\n  conections: 10\n"), true);
    assert!(text.contains("\u{1b}["), "{text}");
    assert!(!render(&problems("a: b"), false).contains('\u{1b}'));
}

#[test]
fn every_error_is_said_at_once_and_in_order() {
    let text = "workers: -1\nlimts: {}\ntimeouts:\n  head: 1\n  tls: x\nrules:\n  deny:\n    - {hosts: [\"a*b\"]}\n    - {ports: [0]}\n";
    let lines: Vec<_> = problems(text)
        .iter()
        .map(|problem| match &problem.place {
            egret_config::Place::Line(quote) => quote.line,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lines, [1, 2, 4, 5, 8, 9]);
}

#[test]
fn an_item_that_is_wrong_does_not_move_the_places_of_others() {
    let text = "rules:\n  deny:\n    - {hosts: [\"a*b\"]}\n    - {name: x, ports: [1]}\n    - {name: x, ports: [2]}\n";
    let all = problems(text);
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[1].path, "rules.deny[2].name");
}
