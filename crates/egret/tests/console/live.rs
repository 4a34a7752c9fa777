//! The live stream.

use egret_testkit::raw::RawClient;
use egret_testkit::wait::PATIENCE;

use super::{Setting, TOKEN, setting};

fn stream(setting: &Setting, query: &str) -> RawClient {
    let mut client = RawClient::connect(setting.egret.console());
    client.send(format!(
        "GET /api/v1/events{query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    ));
    client
}

fn wait(client: &mut RawClient, text: &str) -> String {
    let found = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(text);
    client.read_until(PATIENCE, found);
    let all = String::from_utf8_lossy(&client.pending).into_owned();
    assert!(all.contains(text), "{text} does not come: {all}");
    all
}

#[test]
fn tells_of_flows_that_match_as_they_come() {
    let setting = setting();
    let mut client = stream(&setting, "?topics=flows&filter=status:204");
    wait(&mut client, "event: hello");
    setting.fetch(&setting.origin.url("/status/404"));
    setting.fetch(&setting.origin.url("/status/204"));
    let all = wait(&mut client, "/status/204");
    assert!(!all.contains("/status/404"), "{all}");
}

#[test]
fn whoever_comes_back_gets_what_was_missed() {
    let setting = setting();
    let mut client = stream(&setting, "?topics=flows");
    wait(&mut client, "event: hello");
    setting.fetch(&setting.origin.url("/status/204?first"));
    let all = wait(&mut client, "\"state\":\"complete\"");
    let id = all.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap().to_owned();
    drop(client);
    setting.fetch(&setting.origin.url("/status/204?second"));
    setting.flows("status:204", 2);
    let mut client = stream(&setting, &format!("?topics=flows&lastEventId={id}"));
    let all = wait(&mut client, "?second");
    assert!(all.contains("\"resumed\":true") && !all.contains("?first"), "{all}");
}

#[test]
fn an_id_of_another_process_is_lost() {
    let setting = setting();
    let mut client = stream(&setting, "?lastEventId=zzzz-1");
    let all = wait(&mut client, "event: lost");
    assert!(all.contains("\"resumed\":false") && all.contains("\"why\":\"restarted\""), "{all}");
}
