//! placeholder

#[allow(dead_code, reason = "not wired yet")]
mod otlp;

fn main() {}
