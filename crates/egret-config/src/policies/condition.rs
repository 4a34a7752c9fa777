//! `when`: conditions in CEL.

use egret_core::policy::when::When;

use crate::values::Complaint;

/// Compiles a condition; everything that is wrong with it otherwise.
pub(super) fn compile(_text: &str) -> Result<When, Vec<Complaint>> {
    Err(vec![Complaint::new("conditions are not available").help("leave `when` out")])
}
