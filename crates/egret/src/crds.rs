//! `egret crds`.

use std::process::ExitCode;

use egret_kube::crd;

/// Prints the definitions of the custom resources as YAML documents.
pub(crate) fn run() -> ExitCode {
    let mut text = String::new();
    for definition in crd::definitions() {
        match crd::yaml(&definition) {
            Ok(yaml) => text.push_str(&yaml),
            Err(error) => {
                anstream::eprintln!(
                    "egret: the definition of {} cannot be written: {error}",
                    definition.kind
                );
                return ExitCode::FAILURE;
            }
        }
    }
    crate::print(&text)
}
