//! `egret ca show`.

use std::fmt::Write as _;

use egret_tls::inspect::CertificateInfo;
use egret_tls::interception::CaStore;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::args::ShowArgs;
use super::{Failure, Outcome, Source};

/// Says what the CA is.
pub(super) fn show(args: &ShowArgs) -> Result<Outcome, Failure> {
    let source = Source::open(&args.source, false)?;
    let (path, next, previous) = match &source {
        Source::State(store, set) => {
            (store.path(), set.next.as_ref().map(|next| next.info()), infos(&set.previous))
        }
        Source::Files(path, _) => (path.clone(), None, Vec::new()),
    };
    let current = source.current();
    let above = infos(&current.chain()[1..]);
    let mut text = String::new();
    // Writing to memory cannot fail.
    let _ = writeln!(text, "{}", path.display());
    entry(&mut text, "signs", current.info());
    above.iter().for_each(|info| entry(&mut text, "signed by", info));
    next.iter().for_each(|info| entry(&mut text, "next", info));
    previous.iter().for_each(|info| entry(&mut text, "before", info));
    if next.is_some() {
        text.push_str("\nThe next CA does not sign yet: give it to clients (`egret ca export`), then `egret ca rotate --activate`.\n");
    }
    for warning in source.warnings() {
        let _ = writeln!(text, "\nwarning: {warning}");
    }
    let json = json!({
        "path": path,
        "current": value(current.info()),
        "chain": above.iter().map(value).collect::<Vec<_>>(),
        "next": next.map(value),
        "previous": previous.iter().map(value).collect::<Vec<_>>(),
        "warnings": source.warnings(),
    });
    Ok(Outcome::Report { text, json })
}

/// What a change of the CA has led to.
pub(super) fn state(store: &CaStore, set: &egret_tls::interception::CaSet) -> Value {
    json!({
        "path": store.path(),
        "current": value(set.current.info()),
        "next": set.next.as_ref().map(|next| value(next.info())),
        "previous": infos(&set.previous).iter().map(value).collect::<Vec<_>>(),
        "warnings": set.warnings,
    })
}

fn infos(certificates: &[CertificateDer<'_>]) -> Vec<CertificateInfo> {
    certificates.iter().filter_map(|der| CertificateInfo::parse(der).ok()).collect()
}

fn days_left(info: &CertificateInfo) -> i64 {
    info.not_after.duration_since(Timestamp::now()).as_hours() / 24
}

fn value(info: &CertificateInfo) -> Value {
    let mut value = json!(info);
    value["daysLeft"] = json!(days_left(info));
    value
}

fn entry(text: &mut String, role: &str, info: &CertificateInfo) {
    let _ = writeln!(text, "\n{role}: {}", info.subject);
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "   {label:<8} {value}");
    };
    line("valid", &format!("{} to {} ({} days left)", info.not_before, info.not_after, days_left(info)));
    line("key", &info.key);
    if let Some(length) = info.path_length {
        line("CAs", &format!("{length} below it at most"));
    }
    if let Some(constraints) = &info.name_constraints {
        for (label, names) in [("only", &constraints.permitted), ("never", &constraints.excluded)] {
            if !names.is_empty() {
                line(label, &names.join(", "));
            }
        }
    }
    line("serial", &info.serial);
    line("SHA-256", &info.sha256);
}
