//! Whether certificates are CAs that can be trusted.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use egret_tls::inspect::CertificateInfo;
use rustls_pki_types::CertificateDer;

use super::{FieldProblem, Report};

/// A CA that ends within this time is worth a word.
const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn check(report: &mut Report, path: &str, certificates: &[CertificateDer<'static>]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut seen = HashSet::new();
    for (index, der) in certificates.iter().enumerate() {
        let which = if certificates.len() == 1 {
            "the certificate".to_owned()
        } else {
            format!("certificate {} of {}", index + 1, certificates.len())
        };
        let problem = |message: String, help: &str| FieldProblem {
            path: path.to_owned(),
            message,
            help: Some(help.to_owned()),
        };
        let info = match CertificateInfo::parse(der) {
            Ok(info) => info,
            Err(why) => {
                let message = format!("{which} cannot be read: {why}");
                report.errors.push(problem(message, "export it again, in PEM"));
                continue;
            }
        };
        let which = format!("{which} ({})", info.subject);
        if !info.ca {
            let help = "name the CA that signed it: the last in the chain that the server shows, or the one above it";
            report.errors.push(problem(format!("{which} is no CA, and would make nothing trusted"), help));
        }
        let until = |at: i64| u64::try_from(at).ok().map(Duration::from_secs).unwrap_or_default();
        let end = until(info.not_after.as_second());
        if end <= now {
            let message = format!("{which} ended at {}", info.not_after);
            report.errors.push(problem(message, "replace it by its successor"));
        } else if end <= now + SOON {
            let message = format!("{which} ends at {}", info.not_after);
            report.warnings.push(problem(message, "add its successor beside it, before it signs"));
        }
        if until(info.not_before.as_second()) > now {
            let message = format!("{which} begins at {}", info.not_before);
            report.warnings.push(problem(message, "until then nothing that it signed is trusted"));
        }
        if !seen.insert(info.sha256.clone()) {
            report.warnings.push(problem(format!("{which} is there twice"), "remove one of the two"));
        }
    }
}
