use super::*;

const DAY: i64 = 86_400;
const DAYS: u32 = 90;

fn at(day: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + day * DAY).unwrap()
}

fn own_names() -> Vec<Name> {
    names("egret-controller", "egret-system", None)
}

fn stored(step: Step) -> Stored {
    match step {
        Step::Store(stored, _) => *stored,
        Step::Keep(until) => panic!("nothing to store until {until}"),
    }
}

fn first() -> Stored {
    stored(plan(None, &own_names(), DAYS, at(0)).unwrap())
}

/// What the API server does: asks for the Service's name, and verifies under the caBundle.
fn trusts(trust: &[u8], certificate: &[u8], key: &[u8], now: Timestamp) -> bool {
    let name = [Name::Dns("egret-controller.egret-system.svc".to_owned())];
    look(certificate, key, trust, &name, now).is_ok()
}

#[test]
fn is_for_the_name_that_the_api_server_asks_for() {
    let stored = first();
    assert!(trusts(&stored.trust, &stored.certificate, &stored.key, at(0)));
    let by_url = names("egret-controller", "egret-system", Some("https://[2001:db8::1]:9443/x"));
    assert!(by_url.contains(&Name::Ip("2001:db8::1".parse().unwrap())));
    assert!(names("a", "b", Some("https://Proxy.test")).contains(&Name::Dns("proxy.test".to_owned())));
}

#[test]
fn is_kept_for_two_thirds_of_its_life() {
    let stored = first();
    let Step::Keep(until) = plan(Some(&stored), &own_names(), DAYS, at(10)).unwrap() else { panic!() };
    assert!(until > at(58) && until <= at(60), "{until}");
}

#[test]
fn what_is_served_is_trusted_at_every_step_of_a_change() {
    let old = first();
    let staged = stored(plan(Some(&old), &own_names(), DAYS, at(61)).unwrap());
    assert_eq!(staged.certificate, old.certificate, "the old one is still served");
    assert_eq!(trust_of(&staged.trust, at(61)).len(), 2);
    let next = staged.next.clone().unwrap();
    assert!(trusts(&staged.trust, &next.certificate, &next.key, at(61)), "the next one is trusted first");
    assert!(trusts(&staged.trust, &old.certificate, &old.key, at(61)));

    assert!(matches!(plan(Some(&staged), &own_names(), DAYS, at(61)).unwrap(), Step::Keep(_)));
    let later = at(61).checked_add(STAGED).unwrap();
    let switched = stored(plan(Some(&staged), &own_names(), DAYS, later).unwrap());
    assert_eq!((&switched.certificate, switched.next.is_none()), (&next.certificate, true));
    assert!(
        trusts(&switched.trust, &old.certificate, &old.key, later),
        "a replica may still show the old one"
    );

    let much_later = later.checked_add(OVERLAP).unwrap();
    let settled = stored(plan(Some(&switched), &own_names(), DAYS, much_later).unwrap());
    assert_eq!(trust_of(&settled.trust, much_later).len(), 1);
    assert!(trusts(&settled.trust, &settled.certificate, &settled.key, much_later));
    assert!(matches!(plan(Some(&settled), &own_names(), DAYS, much_later).unwrap(), Step::Keep(_)));
}

#[test]
fn what_cannot_be_used_is_replaced_at_once() {
    let good = first();
    let other = first();
    let broken = [
        Stored { certificate: b"garbage".to_vec(), ..good.clone() },
        Stored { key: other.key.clone(), ..good.clone() },
        Stored { trust: other.trust.clone(), ..good.clone() },
        Stored { trust: Vec::new(), ..good.clone() },
        Stored::default(),
    ];
    for stored_now in broken {
        let new = stored(plan(Some(&stored_now), &own_names(), DAYS, at(1)).unwrap());
        assert!(new.next.is_none() && trusts(&new.trust, &new.certificate, &new.key, at(1)));
    }
    let ended = stored(plan(Some(&good), &own_names(), DAYS, at(91)).unwrap());
    assert!(trusts(&ended.trust, &ended.certificate, &ended.key, at(91)));
    let moved = names("egret-controller", "elsewhere", None);
    assert!(matches!(plan(Some(&good), &moved, DAYS, at(1)).unwrap(), Step::Store(..)));
}

#[test]
fn a_staged_one_that_is_no_good_is_dropped_and_one_that_is_takes_over() {
    let old = first();
    let staged = stored(plan(Some(&old), &own_names(), DAYS, at(61)).unwrap());
    let later = at(61).checked_add(STAGED).unwrap();
    let bad = Stored { next: Some(Staged::default()), ..staged.clone() };
    let dropped = stored(plan(Some(&bad), &own_names(), DAYS, later).unwrap());
    assert_eq!((&dropped.certificate, dropped.next.is_none()), (&old.certificate, true));
    // The old one was damaged while the next one waited.
    let damaged = Stored { certificate: Vec::new(), ..staged.clone() };
    let saved = stored(plan(Some(&damaged), &own_names(), DAYS, at(61)).unwrap());
    assert_eq!(saved.certificate, staged.next.unwrap().certificate);
}
