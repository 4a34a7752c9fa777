use jiff::{Timestamp, ToSpan as _};

use super::*;
use crate::authority::{Authority, CaRequest, Constraints, KeyType, LeafRequest, Purpose, Subject};
use crate::files::{Contents, chain_pem, combined_pem};

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn ca(name: &str) -> CaRequest {
    CaRequest {
        subject: Subject { common_name: name.to_owned(), organization: None },
        key_type: KeyType::EcdsaP256,
        days: 365,
        path_length: None,
        constraints: Constraints::default(),
    }
}

fn leaf(purpose: Purpose, days: u32) -> LeafRequest {
    LeafRequest {
        purpose,
        subject: Subject { common_name: "leaf".to_owned(), organization: None },
        names: vec!["a.test".parse().unwrap()],
        key_type: KeyType::EcdsaP256,
        days,
    }
}

fn trust(ca: &Authority, explicit: bool) -> Trust {
    Trust { certificates: ca.chain().to_vec(), source: "ca.crt".to_owned(), explicit }
}

fn report(text: &str, trust: &Trust, host: Option<&str>, at: Timestamp) -> Report {
    let contents = Contents::parse(text.as_bytes(), None).unwrap();
    Report::new(&contents, None, &Expectations { trust, host, role: None, now: at })
}

fn reasons(report: &Report) -> Vec<String> {
    let judgement = report.judgement.as_ref().unwrap();
    judgement
        .refusals
        .iter()
        .map(|verdict| serde_json::to_value(&verdict.refusal).unwrap()["reason"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn finds_nothing_wrong_with_what_is_right() {
    let ca = Authority::create(&ca("Root"), now()).unwrap();
    let pem = combined_pem(&ca.issue(&leaf(Purpose::Server, 90), now()).unwrap()).unwrap();
    let report = report(&pem, &trust(&ca, true), Some("a.test"), now());
    assert!(report.problems.is_empty() && report.warnings.is_empty(), "{report:?}");
    assert!(report.judgement.unwrap().accepted);
    assert_eq!(report.keys[0].belongs_to, Some(1));
    assert_eq!(report.certificates[0].days_left, 90);
    let chain = report.chain.unwrap();
    assert!(chain.whole && chain.in_order);
}

#[test]
fn warns_before_the_end_and_has_a_problem_after_it() {
    let ca = Authority::create(&ca("Root"), now()).unwrap();
    let pem = chain_pem(&ca.issue(&leaf(Purpose::Server, 90), now()).unwrap().chain);
    let at = |days: i64| report(&pem, &trust(&ca, true), None, now() + (24 * days).hours());
    assert!(at(59).warnings.is_empty());
    assert!(at(61).warnings[0].contains("ends in 29 days"), "{:?}", at(61).warnings);
    let late = at(91);
    assert_eq!(late.certificates[0].days_left, -1);
    assert_eq!(late.problems.len(), 1, "{:?}", late.problems);
    assert!(late.problems[0].contains("expired at 2027-02-19T12:00:00Z"), "{:?}", late.problems);
    assert_eq!(reasons(&late), ["expired"]);
    assert_eq!(reasons(&at(-1)), ["notYetValid"]);
}

#[test]
fn tells_everything_that_is_wrong_and_not_only_the_first_thing() {
    let (ours, other) =
        (Authority::create(&ca("Root"), now()).unwrap(), Authority::create(&ca("Other"), now()).unwrap());
    let pem = chain_pem(&ours.issue(&leaf(Purpose::Server, 90), now()).unwrap().chain);
    let report = report(&pem, &trust(&other, true), Some("b.test"), now() + (24 * 91).hours());
    assert_eq!(reasons(&report), ["expired", "missingIssuer", "otherName"]);
}

#[test]
fn an_unknown_ca_is_a_problem_only_if_somebody_said_whom_to_trust() {
    let (ours, other) =
        (Authority::create(&ca("Root"), now()).unwrap(), Authority::create(&ca("Other"), now()).unwrap());
    let pem = chain_pem(&ours.issue(&leaf(Purpose::Client, 90), now()).unwrap().chain);
    let problems = |explicit| report(&pem, &trust(&other, explicit), None, now()).problems;
    assert!(problems(false).is_empty());
    assert!(problems(true)[0].contains("CN=Root, which is neither in the file nor trusted"));
}

#[test]
fn looks_at_the_root_as_openssl_and_go_do() {
    let root = CaRequest { days: 10, ..ca("Root") };
    let root = Authority::create(&root, now()).unwrap();
    let pem = chain_pem(&root.issue(&leaf(Purpose::Server, 10), now()).unwrap().chain);
    let report = report(&pem, &trust(&root, true), None, now() + (24 * 11).hours());
    assert_eq!(reasons(&report), ["expired"]);
}

#[test]
fn names_what_is_missing_from_a_chain() {
    let root = Authority::create(&ca("Root"), now()).unwrap();
    let middle = root.create_below(&ca("Middle"), now()).unwrap();
    let identity = middle.issue(&leaf(Purpose::Server, 90), now()).unwrap();
    let alone = report(&chain_pem(&identity.chain[..1]), &trust(&root, true), None, now());
    assert!(!alone.chain.as_ref().unwrap().whole);
    assert!(alone.problems[0].contains("CN=leaf was signed by CN=Middle"), "{:?}", alone.problems);
    let whole = report(&chain_pem(&identity.chain), &trust(&root, true), None, now());
    assert_eq!(whole.chain.unwrap().path, [1, 2]);
    assert!(whole.problems.is_empty());
}

#[test]
fn a_certificate_that_is_sent_for_nothing_is_worth_a_warning() {
    let root = Authority::create(&ca("Root"), now()).unwrap();
    let other = Authority::create(&ca("Other"), now()).unwrap();
    let pem = combined_pem(&root.issue(&leaf(Purpose::Server, 90), now()).unwrap()).unwrap();
    let text = pem.to_string() + &chain_pem(other.chain());
    let report = report(&text, &trust(&root, true), None, now());
    assert!(report.warnings[0].contains("CN=Other) is not in the chain"), "{:?}", report.warnings);
}

#[test]
fn a_ca_is_not_judged_as_a_server_unless_somebody_asks() {
    let root = Authority::create(&ca("Root"), now()).unwrap();
    let pem = chain_pem(root.chain());
    assert!(report(&pem, &trust(&root, true), None, now()).judgement.is_none());
    assert_eq!(reasons(&report(&pem, &trust(&root, true), Some("a.test"), now())), ["isCa", "otherName"]);
}

#[test]
fn keeps_the_key_out_of_what_is_printed() {
    let root = Authority::create(&ca("Root"), now()).unwrap();
    let pem = combined_pem(root.identity()).unwrap();
    let report = report(&pem, &trust(&root, true), None, now());
    let (json, secret) = (serde_json::to_string(&report).unwrap(), root.identity().key.secret_der());
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!json.contains(&hex[40..80]) && !json.contains("PRIVATE"));
}
