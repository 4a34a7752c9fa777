//! `when`: conditions in CEL.

use egret_core::policy::when::When;

use crate::values::Complaint;

/// Compiles a condition; everything that is wrong with it otherwise.
pub(super) fn compile(text: &str) -> Result<When, Vec<Complaint>> {
    When::compile(text).map_err(|errors| {
        let complaint = |error: egret_core::policy::when::WhenError| {
            let message = match (error.line, error.column) {
                (Some(1) | None, Some(column)) => format!("{} (at its character {column})", error.message),
                (Some(line), Some(column)) => {
                    format!("{} (in its line {line}, at character {column})", error.message)
                }
                _ => error.message,
            };
            let complaint = Complaint::new(&message);
            match error.help {
                Some(help) => complaint.help(&help),
                None => complaint,
            }
        };
        errors.into_iter().map(complaint).collect()
    })
}
