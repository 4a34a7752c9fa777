//! No secret is in an error, however the file is wrong (invariant 6).

use egret_config::{Overrides, check_bytes, render, render_json};
use proptest::prelude::*;

/// All that is ever shown of what is wrong with a text.
fn shown(bytes: &[u8], overrides: &Overrides) -> String {
    match check_bytes(bytes, "egret.yaml", overrides) {
        Ok(config) => format!("{config:?}").split("source:").next().unwrap_or_default().to_owned(),
        Err(problems) => {
            let lines: Vec<_> = problems.iter().map(egret_config::Problem::one_line).collect();
            format!(
                "{}{}{}{problems:?}",
                render(&problems, true),
                render_json(&problems, &[]),
                lines.join("\n")
            )
        }
    }
}

#[track_caller]
fn hides(text: &str) {
    let shown = shown(text.as_bytes(), &Overrides::default());
    assert!(!shown.contains("hunter2"), "{text}\n{shown}");
}

#[test]
fn hides_passwords_in_urls() {
    for url in [
        "http://bob:hunter2@proxy.corp:99999",
        "http://bob:hunter2@proxy.corp",
        "http://bob:hunter2@/",
        "http://bob:hunter2",
        "ftp://bob:hunter2@proxy.corp:3128",
        "hunter2://bob@proxy.corp:3128",
        "bob:hunter2@proxy.corp:3128",
        "http://bob:hun/ter2hunter2@proxy.corp:3128",
        "http://bob:hunter2@ss@proxy.corp:3128",
        "http:/bob:hunter2@proxy.corp:3128",
        "http://bob:hunter2@proxy.corp:3128/path",
    ] {
        hides(&format!("parents:\n  - urls: [\"{url}\"]\n"));
        hides(&format!("parents:\n  - urls:\n      - {url}\n"));
        hides(&format!("parents:\n  - urls: {url}\n"));
        hides(&format!("parents:\n  - url: {url}\n"));
        hides(&format!("parents: [{{urls: ['{url}'], nme: corp}}]\n"));
        hides(&format!("parents:\n  - {url}\n"));
        hides(&format!("parents: {url}\n"));
        hides(&format!("tracing: {{otlpEndpoint: \"{url}\"}}\n"));
        hides(&format!("{url}: 1\n"));
        hides(&format!("{url}\n"));
        hides(&format!("rules: {{deny: [{{hosts: [\"{url}\"]}}]}}\n"));
        hides(&format!("listeners: [{{address: \"{url}\"}}]\n"));
        let overrides = Overrides {
            parents: vec![url.to_owned()],
            listen: vec![url.to_owned()],
            admin: Some(url.to_owned()),
            dns: vec![url.to_owned()],
            no_proxy: Some(url.to_owned()),
            deny_hosts: vec![url.to_owned()],
            access_log_format: Some(url.to_owned()),
            ..Overrides::default()
        };
        let shown = shown(b"", &overrides);
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn hides_passwords_whose_url_is_broken_over_lines_or_escaped() {
    hides("parents:\n  - urls:\n    - \"http://bob:hunter2\n      @proxy.corp\"\n");
    hides("parents:\n  - urls:\n    - >\n      http://bob:hunter2\n      @proxy.corp\n");
    hides("parents:\n  - urls: [\"http://bob:hunter2\\x40proxy.corp\"]\n");
    hides("parents:\n  - urls: [\"http:\\/\\/bob:hunter2\\x40proxy.corp\"]\n");
    hides("parents:\n  - urls: [\"http://bob:hunter2@proxy.corp:3128]\n");
}

#[test]
fn hides_the_values_of_fields_that_look_like_passwords() {
    hides("parents:\n  - {urls: [\"http://a:1\"], user: bob, password: hunter2}\n");
    hides("parents:\n  - urls: [\"http://a:1\"]\n    credentials: bob:hunter2\n");
    hides("proxyPassword: hunter2\n");
    hides("auth_token: \"hunter2\"\n");
}

#[test]
fn a_valid_configuration_is_printed_without_its_passwords() {
    hides("parents:\n  - urls: [\"http://bob:hunter2@proxy.corp:3128\"]\n");
}

proptest! {
    #[test]
    fn a_password_stays_hidden_whatever_is_cut_off(at in any::<proptest::sample::Index>(), junk in "[\\[\\]{}:,\"' \n-]{0,4}") {
        let text = "http:\n  via: [1]\nparents:\n  - name: corp\n    urls: [\"http://bob:hunter2@proxy.corp:99999\"]\n    retryAfter: 5\n";
        let secret = text.find("hunter2").unwrap();
        let at = at.index(text.len());
        // What is put into the password itself makes another one, which is not looked for.
        prop_assume!(at <= secret || at >= secret + "hunter2".len());
        let broken = format!("{}{junk}{}", &text[..at], &text[at..]);
        let shown = shown(broken.as_bytes(), &Overrides::default());
        prop_assert!(!shown.contains("hunter2"), "{broken}\n{shown}");
    }
}
