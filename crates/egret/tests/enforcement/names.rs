//! Policy by name stays policy by name, and what is dialled is what was checked.

use egret_testkit::dns::{A, DnsAnswer};
use egret_testkit::wait::PATIENCE;
use egret_testkit::{DnsServer, HttpOrigin};

use super::{get, names, ruled};

#[test]
fn an_address_of_two_names_is_decided_by_the_name_that_was_asked_for() {
    let dns = names();
    let rules = "      - {name: yes, action: Allow, to: [{hosts: [stay.test]}]}\n      - {name: no, action: Deny, to: [{hosts: [leave.test]}]}\n";
    let egret = ruled(rules).dns(dns.address()).start();
    let origin = HttpOrigin::start();
    let port = origin.address().port();
    let mut kept = egret.connect();
    for round in 0..3 {
        let allowed = kept.exchange(get(format!("stay.test:{port}"), "/echo"));
        assert_eq!(allowed.status(), 200, "{round}");
        let denied = kept.exchange(get(format!("leave.test:{port}"), "/echo"));
        assert_eq!(denied.status(), 403, "{round}: also while a connection to the address is kept");
        assert_eq!(egret.tunnel(&format!("stay.test:{port}")).1.status(), 200, "{round}");
        assert_eq!(egret.tunnel(&format!("leave.test:{port}")).1.status(), 403, "{round}");
        assert_eq!(kept.exchange(get(origin.address(), "/")).status(), 403, "{round}: the address itself");
    }
    assert_eq!(dns.asked("leave.test", A), 0, "what is denied by name is not even resolved");
    let denied = egret.records_where(|record| record.target().contains("leave.test"));
    assert!(denied.iter().all(|record| record.text("rule") == "no" && record.text("dialled").is_empty()));
}

#[test]
fn a_name_that_is_rebound_leads_nowhere_else() {
    // First an address that is allowed, and from then on one that is not.
    let dns = DnsServer::start(|_, kind, before| match (kind, before) {
        (A, 0) => DnsAnswer::Addresses(vec!["127.0.0.1".parse().unwrap()], 0),
        (A, _) => DnsAnswer::Addresses(vec!["127.0.0.2".parse().unwrap()], 0),
        _ => DnsAnswer::Addresses(Vec::new(), 0),
    });
    let rules = "      - {name: one, action: Allow, to: [{cidrs: [127.0.0.1/32]}]}\n";
    let egret = ruled(rules).dns(dns.address()).start();
    let origin = HttpOrigin::start();
    let elsewhere =
        egret_testkit::server::Server::start_on(&format!("127.0.0.2:{}", origin.address().port()), |_| {});
    let authority = format!("rebound.test:{}", origin.address().port());
    let answer = egret.connect().exchange(get(&authority, "/echo"));
    assert_eq!(answer.status(), 200);
    assert_eq!(dns.asked("rebound.test", A), 1, "resolved once: what was checked is what was dialled");
    let mut refused = 0;
    egret_testkit::wait::wait_until("the other answer", PATIENCE, || {
        // Not over the connection that is kept to the address of before.
        let status = egret.tunnel(&authority).1.status();
        assert!([200, 403].contains(&status));
        refused += usize::from(status == 403);
        refused == 3
    });
    assert_eq!(elsewhere.accepted(), 0);
    for record in egret.records_where(|record| record.target().contains("rebound.test")) {
        let dialled = record.text("dialled");
        let checked = origin.address().to_string();
        assert!(dialled == checked || (dialled.is_empty() && record.status() == 403), "{record:?}");
    }
}
