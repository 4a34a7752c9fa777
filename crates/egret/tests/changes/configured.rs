//! Change rules of the configuration.

use egret_testkit::tools::run;

use super::*;

const RULES: &str = "capture: Headers\nchanges:\n- name: from the file\n  filter: path:/echo*\n  actions:\n  - setRequestHeader: {name: X-File, value: '1'}\n  - answer: {status: 202, file: answer.txt}\n";

#[test]
fn rules_of_the_file_are_in_force_and_are_changed_there() {
    let it = setting_with(&RULES.replace("  - answer: {status: 202, file: answer.txt}\n", ""), &[]);
    let seen = Setting::seen(&it.fetch(&[&it.origin.url("/echo")]));
    assert_eq!(fields(&seen, "X-File"), ["1"]);
    let rules = it.api("GET", "/changes", None);
    let rule = &rules["rules"][0];
    assert_eq!(
        (&rule["name"], &rule["source"], &rule["hits"]),
        (&json!("from the file"), &json!("config"), &json!(1))
    );
    let path = format!("/changes/{}", rule["id"].as_str().unwrap());
    let other = json!({ "name": "x", "filter": "", "actions": [{ "block": {} }] });
    assert_eq!(it.refused("PUT", &path, other), (409, "from-config".to_owned()));
    assert_eq!(it.refused("DELETE", &path, json!({})), (409, "from-config".to_owned()));
    // A reload changes them.
    let config = std::fs::read_to_string(it.egret.config_path()).unwrap();
    std::fs::write(it.egret.config_path(), config.replace("value: '1'", "value: '2'")).unwrap();
    wait_for("the reload", PATIENCE, || {
        let seen = Setting::seen(&it.fetch(&[&it.origin.url("/echo")]));
        (fields(&seen, "X-File") == ["2"]).then_some(())
    });
}

#[test]
fn files_are_looked_for_beside_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("answer.txt"), "from a file").unwrap();
    let config = directory.path().join("egret.yaml");
    std::fs::write(
        &config,
        format!("listeners: [{{address: '127.0.0.1:0'}}]\nadmin: {{address: off}}\n{RULES}"),
    )
    .unwrap();
    let egret =
        Egret::builder(env!("CARGO_BIN_EXE_egret")).config_file(&config).listen_as_configured().start();
    let mut curl = client("curl");
    let output = curl.args(["-sS", "-x", &egret.url(), "http://anywhere.test/echo"]).output().unwrap();
    assert_eq!(text(&output.stdout), "from a file", "{}", text(&output.stderr));
}

#[test]
fn check_says_what_is_wrong_with_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("egret.yaml");
    let table = [
        ("- {name: a, filter: 'hots:x', actions: [{block: {}}]}", "there is no field `hots`"),
        ("- {name: a, filter: 'body:x', actions: [{block: {}}]}", "looks into bodies"),
        ("- {name: a, actions: [{}]}", "there is no action"),
        ("- {name: a, actions: [{block: {}, tag: {tag: x}}]}", "more than one action"),
        ("- {name: a, actions: [{explode: {}}]}", "explode"),
        ("- {name: a, actions: [{setRequestHeader: {name: Host, value: x}}]}", "use rewrite with host"),
        ("- {name: a, actions: [{rewrite: {host: 'a b'}}]}", "is no host"),
        ("- {name: a, actions: [{answer: {file: missing.txt}}]}", "missing.txt"),
        ("- {name: a, actions: [{answer: {status: 99}}]}", "200"),
    ];
    for (rule, words) in table {
        std::fs::write(&path, format!("changes:\n{rule}\n")).unwrap();
        let output = run(client(env!("CARGO_BIN_EXE_egret")).arg("check").arg(&path));
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!output.status.success() && said.contains(words) && said.contains(":2:"), "{rule}: {said}");
    }
}
