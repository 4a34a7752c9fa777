use rustls::AlertDescription;

use super::*;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const UNKNOWN_CA: End = End::Alert(AlertDescription::UnknownCA);

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_000_000_000 + 60 * minutes).unwrap()
}

#[test]
fn a_client_counts_as_pinned_after_a_few_rejections_and_for_a_while() {
    let rejections = Rejections::new(RejectionSettings::default());
    let (bank, news) = (host("bank.example"), host("news.example"));
    let refuse = |host: &Host, minutes| {
        rejections.rejected("app", host, Stage::AfterCertificate, UNKNOWN_CA, at(minutes)).unwrap()
    };
    assert_eq!(refuse(&bank, 0).rejection, Rejection::CaNotTrusted, "nothing is known about it");
    rejections.accepted("app", &bank);
    assert_eq!(refuse(&bank, 0).rejection, Rejection::CaNotTrusted, "the same host says nothing");
    rejections.accepted("app", &news);
    for count in 1..=3 {
        assert_eq!(rejections.pinned_until("app", &bank, HOUR, at(1)), None);
        let refused = refuse(&bank, 1);
        assert_eq!((refused.rejection, refused.count), (Rejection::Pinned, count));
    }
    assert_eq!(rejections.pinned_until("app", &bank, HOUR, at(2)), Some(at(61)));
    assert_eq!(rejections.pinned_until("app", &news, HOUR, at(2)), None);
    assert_eq!(rejections.pinned_until("other", &bank, HOUR, at(2)), None);
    assert_eq!(rejections.pinned_until("app", &bank, HOUR, at(61)), None, "it is tried again");
    rejections.accepted("app", &bank);
    assert_eq!(rejections.pinned_until("app", &bank, HOUR, at(2)), None, "it is not pinned after all");
}

#[test]
fn a_client_that_does_not_trust_the_ca_is_never_let_through() {
    let rejections = Rejections::new(RejectionSettings::default());
    let bank = host("bank.example");
    for count in 1..=50 {
        let refused = rejections.rejected("app", &bank, Stage::AfterCertificate, UNKNOWN_CA, at(0)).unwrap();
        assert_eq!((refused.rejection, refused.count), (Rejection::CaNotTrusted, count));
    }
    assert_eq!(rejections.pinned_until("app", &bank, HOUR, at(0)), None);
}

#[test]
fn rejections_far_apart_and_of_other_kinds_do_not_add_up() {
    let rejections = Rejections::new(RejectionSettings::default());
    let bank = host("bank.example");
    let refuse = |end, minutes| rejections.rejected("app", &bank, Stage::AfterCertificate, end, at(minutes));
    for round in 0..5 {
        assert_eq!(refuse(End::Closed, 11 * round).unwrap().count, 1);
    }
    refuse(End::Closed, 50);
    refuse(End::TimedOut, 51);
    assert_eq!(refuse(End::Closed, 52).unwrap().count, 1);
    assert_eq!(rejections.rejected("app", &bank, Stage::Used, End::Closed, at(53)), None);
    assert_eq!(rejections.pinned_until("app", &bank, HOUR, at(54)), None);
}

#[test]
fn remembers_so_many_and_lists_the_latest_first() {
    let rejections = Rejections::new(RejectionSettings { entries: 50, ..RejectionSettings::default() });
    for index in 0..500 {
        let client = format!("client-{index}");
        rejections.accepted(&client, &host("a.example"));
        rejections.rejected(&client, &host("b.example"), Stage::Finished, End::Closed, at(index));
    }
    let list = rejections.list();
    assert!((1..=50).contains(&list.len()), "{}", list.len());
    assert!(list.windows(2).all(|pair| pair[0].2.last >= pair[1].2.last));
}
