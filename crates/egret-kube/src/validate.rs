//! Whether an object is right: as strict as the configuration, with everything that is wrong at once.

mod certificates;

use egret_config::file::{EgressProxyDocument, TrustedCa};
use egret_config::{ClusterObject, check_object};
use serde_json::Value;

pub use egret_config::FieldProblem;

/// What was found, each with its field, as in `spec.rules[0].to[1].hosts[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong: the object is to be refused. At most 100.
    pub errors: Vec<FieldProblem>,
    /// What is not wrong and yet worth a look.
    pub warnings: Vec<FieldProblem>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }

    /// All errors in one line, in the form in which the API server says them: `[a: …, b: …]`.
    #[must_use]
    pub fn one_line(&self) -> String {
        let errors: Vec<String> = self.errors.iter().map(ToString::to_string).collect();
        match errors.as_slice() {
            [only] => only.clone(),
            several => format!("[{}]", several.join(", ")),
        }
    }
}

/// Checks an `EgressProxy`, `ClusterEgressPolicy` or `EgressPolicy`. Unknown fields are errors. What depends on other
/// objects, or on the configuration of the proxies (lists of hosts), is not looked at.
#[must_use]
pub fn validate(kind: &str, object: &Value) -> Report {
    validate_in(kind, object, None)
}

/// [`validate`], with the namespace of an object that does not name it, as in an admission request.
#[must_use]
pub fn validate_in(kind: &str, object: &Value, namespace: Option<&str>) -> Report {
    let checked = check_object(kind, object, namespace);
    let mut report = Report { errors: checked.errors, warnings: checked.warnings };
    if let Some(ClusterObject::Proxy(document)) = &checked.object {
        report.add_certificates(document);
    }
    report
}

impl Report {
    fn add_certificates(&mut self, document: &EgressProxyDocument) {
        let report = trusted_certificates(document);
        self.errors.extend(report.errors);
        self.warnings.extend(report.warnings);
    }
}

/// What is to be said about the certificates that stand in a proxy's `trustedCA` itself: [`validate`] does it too.
#[must_use]
pub fn trusted_certificates(document: &EgressProxyDocument) -> Report {
    let mut report = Report::default();
    let (path, text) = match &document.spec.trusted_ca {
        Some(TrustedCa::Text(text)) => ("spec.trustedCA", Some(text)),
        Some(TrustedCa::Source(source)) => ("spec.trustedCA.inline", source.inline.as_ref()),
        None => return report,
    };
    if let Some(text) = text {
        certificates::check(&mut report, path, text.certificates());
    }
    report
}
