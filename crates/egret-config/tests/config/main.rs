//! Tests of the configuration through its public functions.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod compile;
mod credentials;
mod errors;
mod examples;
mod generated;
mod hostile;
mod lists;
mod overrides;
mod policies;
mod policy_errors;
mod secrets;

use egret_config::Problem;

/// The problems with a text that must be wrong.
fn problems(text: &str) -> Vec<Problem> {
    egret_config::check(text, "egret.yaml").expect_err("the configuration should be refused")
}

/// The messages of the problems with a text that must be wrong, one on a line.
fn messages(text: &str) -> String {
    problems(text).iter().map(Problem::one_line).collect::<Vec<_>>().join("\n")
}
