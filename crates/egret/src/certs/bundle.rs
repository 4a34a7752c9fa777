//! `egret certs bundle`.

use std::fmt::Write as _;

use egret_tls::bundle::Bundle;
use egret_tls::files::{Existing, NewFile, load_cas, write_all};
use egret_tls::inspect::CertificateInfo;
use egret_tls::roots::{mozilla_certificates, system_certificates};
use jiff::Timestamp;
use serde_json::json;

use super::args::{BundleArgs, Roots};
use super::{CertsError, Outcome};

/// Merges files and public roots, each certificate once.
pub(super) fn bundle(args: &BundleArgs) -> Result<Outcome, CertsError> {
    let mut bundle = Bundle::default();
    let (mut sources, mut warnings) = (Vec::new(), Vec::new());
    for path in &args.files {
        let certificates = load_cas(path)?;
        let source = path.display().to_string();
        for (index, der) in certificates.iter().enumerate() {
            warnings.extend(doubts(der).map(|doubt| format!("{source}: certificate {}: {doubt}", index + 1)));
        }
        sources.push((source, bundle.add(certificates)));
    }
    match args.roots {
        Roots::Mozilla => {
            sources.push(("Mozilla's list".to_owned(), bundle.add(mozilla_certificates().iter().cloned())));
        }
        Roots::System => {
            let roots = system_certificates();
            if roots.is_empty() {
                return Err(CertsError::Usage(
                    "this system has no public roots; install ca-certificates, or take --roots mozilla"
                        .to_owned(),
                ));
            }
            sources.push(("the system's roots".to_owned(), bundle.add(roots)));
        }
        Roots::None => {}
    }
    if bundle.certificates().is_empty() {
        return Err(CertsError::Usage(
            "there is nothing to merge; name files with CA certificates".to_owned(),
        ));
    }
    let count = bundle.certificates().len();
    let pem = bundle.to_pem();
    let json = json!({
        "certificates": count,
        "duplicates": bundle.duplicates,
        "sources": sources.iter().map(|(name, new)| json!({ "name": name, "new": new })).collect::<Vec<_>>(),
        "warnings": warnings,
        "file": args.out,
        "pem": if args.out.is_none() { Some(&pem) } else { None },
    });
    for warning in &warnings {
        anstream::eprintln!("egret: {warning}");
    }
    let Some(out) = &args.out else { return Ok(Outcome { text: pem, json, good: true }) };
    let existing = if args.force { Existing::Replace } else { Existing::Refuse };
    write_all(&[NewFile::public(out.clone(), &pem)], existing)?;
    let mut text = String::new();
    let _ = writeln!(text, "{}: {count} certificates", out.display());
    for (name, new) in sources {
        let _ = writeln!(text, "  {new:>4} from {name}");
    }
    if bundle.duplicates > 0 {
        let _ = writeln!(text, "  {:>4} were there already", bundle.duplicates);
    }
    Ok(Outcome { text, json, good: true })
}

/// What speaks against trusting it.
fn doubts(der: &rustls_pki_types::CertificateDer<'_>) -> Option<String> {
    let info = CertificateInfo::parse(der).ok()?;
    if info.not_after < Timestamp::now() {
        return Some(format!("{} expired at {}; leave it out", info.subject, info.not_after));
    }
    if !info.ca && info.subject != info.issuer {
        return Some(format!(
            "{} is not a CA, and most clients trust it for nothing; give the CA that signed it",
            info.subject
        ));
    }
    None
}
