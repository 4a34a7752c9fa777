//! An API server that is away, restarts, forgets or refuses.

use egret_testkit::wait::PATIENCE;
use egret_testkit::{ApiServer, wait_for};

use super::{Setting, only, pod};

#[test]
fn everything_goes_on_with_what_is_known() {
    let setting = Setting::with(&[pod("web", 1)], "", &only("{namespaces: [team-a]}"));
    let mut tunnel = setting.tunnel(1);
    setting.api.set_away(true);
    wait_for("staleness", PATIENCE, || {
        (setting.egret.metric(r#"egret_kubernetes_staleness_seconds{kind="pods"}"#) > 0.0).then_some(())
    });
    assert_eq!(setting.ask(1).status(), 200);
    tunnel.send("GET /echo HTTP/1.1\r\nHost: o\r\n\r\n");
    assert_eq!(tunnel.response("GET").status(), 200);
    setting.api.put(pod("job", 2));
    setting.api.set_away(false);
    setting.becomes(2, 200);
    assert_eq!(setting.egret.metric(r#"egret_kubernetes_staleness_seconds{kind="pods"}"#), 0.0);
}

#[test]
fn starts_while_the_api_server_is_away() {
    let api = ApiServer::start();
    api.set_away(true);
    let setting =
        Setting::at(api, &[pod("web", 1)], "  unknownSourceWait: 0s\n", &only("{namespaces: [team-a]}"));
    assert_eq!(setting.ask(1).status(), 403);
    assert!(setting.egret.log().contains("the cluster could not be read"), "{}", setting.egret.log());
    setting.api.set_away(false);
    setting.becomes(1, 200);
}

#[test]
fn forgets_what_ended_while_it_could_not_look() {
    let setting =
        Setting::with(&[pod("web", 1)], "  unknownSourceWait: 0s\n", &only("{namespaces: [team-a]}"));
    let mut tunnel = setting.tunnel(1);
    setting.api.set_away(true);
    setting.api.remove("v1", "pods", "team-a", "web");
    setting.api.compact();
    setting.api.set_away(false);
    let _ = tunnel.read_to_end(PATIENCE);
    assert_eq!(setting.egret.record(|r| r.method() == "CONNECT").reason(), "workload-gone");
    setting.becomes(1, 403);
}

#[test]
fn what_is_too_old_is_not_believed_where_that_is_asked_for() {
    let setting = Setting::with(&[pod("web", 1)], "  staleness: 1s\n", &only("{namespaces: [team-a]}"));
    assert_eq!(setting.ask(1).status(), 200);
    setting.api.set_away(true);
    let answer = setting.becomes(1, 403);
    assert!(answer.text().contains("the API server has been away for too long"), "{}", answer.text());
    setting.api.set_away(false);
    setting.becomes(1, 200);
}

#[test]
fn says_what_rbac_lacks_and_serves() {
    let api = ApiServer::start();
    api.forbid("list", "", "services");
    let setting = Setting::at(api, &[pod("web", 1)], "", &only("{namespaces: [team-a]}"));
    assert_eq!(setting.ask(1).status(), 200);
    let log = setting.egret.log();
    assert!(
        log.contains("cannot list resource \\\"services\\\"")
            || log.contains("cannot list resource \"services\""),
        "{log}"
    );
}
