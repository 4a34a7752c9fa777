//! What is printed about files that were made.

use std::fmt::Write as _;
use std::path::PathBuf;

use egret_tls::files::{Access, Identity, NewFile};
use egret_tls::inspect::CertificateInfo;
use serde_json::{Value, json};

use super::CertsError;

/// What a certificate says, for printing.
pub(super) fn info(identity: &Identity) -> Result<CertificateInfo, CertsError> {
    let parsed = identity.chain.first().map(CertificateInfo::parse);
    parsed.and_then(Result::ok).ok_or_else(|| CertsError::Usage("a certificate cannot be parsed".to_owned()))
}

/// The files that were written, for programs.
pub(super) fn files(files: &[NewFile]) -> Value {
    files.iter().map(|file| json!({ "path": file.path, "private": file.access == Access::Private })).collect()
}

/// The names of a certificate on one line, each kind once: `DNS a, b; IP 127.0.0.1`.
pub(super) fn names(names: &[String]) -> String {
    let mut kinds: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in names {
        let (kind, value) = name.split_once(':').unwrap_or(("", name));
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, values)) => values.push(value),
            None => kinds.push((kind, vec![value])),
        }
    }
    let kinds = kinds
        .into_iter()
        .map(|(kind, values)| format!("{kind} {}", values.join(", ")).trim_start().to_owned());
    kinds.collect::<Vec<_>>().join("; ")
}

/// The lines about a certificate that was made: where it is, what it is.
pub(super) fn made(text: &mut String, what: &str, paths: &[PathBuf], info: &CertificateInfo) {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    // Writing to memory cannot fail.
    let _ = writeln!(text, "{what:<8}{}", paths.join("  "));
    let _ = writeln!(text, "        {}, {}, until {}", info.subject, info.key, info.not_after);
    if !info.names.is_empty() {
        let _ = writeln!(text, "        for {}", names(&info.names));
    }
    if let Some(constraints) = &info.name_constraints {
        for (list, word) in
            [(&constraints.permitted, "signs only for"), (&constraints.excluded, "never signs for")]
        {
            if !list.is_empty() {
                let _ = writeln!(text, "        {word} {}", names(list));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_the_names_of_a_kind_together() {
        let names = ["DNS:a", "IP:::1", "DNS:b"].map(str::to_owned);
        assert_eq!(super::names(&names), "DNS a, b; IP ::1");
    }
}
