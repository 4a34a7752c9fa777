//! The configuration file of Egret: its fields, their checks, its JSON Schema and reference, and how it
//! becomes what the data path knows.
//!
//! The way of a file: text → tree with places → walk beside the schema → typed
//! [`ConfigFile`] → checks across fields → [`Config`] → [`Compiled`]. Every step says all that it
//! finds wrong, each with its place.

mod checks;
mod command;
mod compile;
mod config;
mod credentials;
mod emit;
pub mod file;
mod kubernetes;
mod lists;
mod mask;
mod normal;
mod objects;
mod overrides;
mod policies;
mod problem;
mod reference;
mod referenced;
mod render;
mod schema;
mod sheet;
mod source;
mod suggest;
mod terms;
mod tools;
mod typed;
pub mod values;
mod walk;
mod yaml;

pub use command::{
    Form, Further, Loaded, ObjectCheck, Verdict, again, check_file, check_files_with, files_of, load,
    load_beside, load_with,
};
pub use compile::{Compiled, ConsoleConfig, LeftOut, LogSettings, PolicySet, TracingSettings};
pub use config::{Config, check, check_bytes};
pub use file::{ConfigFile, ListFormat, LogFormat, LogLevel, LoopbackRule};
pub use kubernetes::KubernetesSettings;
pub use lists::{ListCache, ListFacts};
pub use objects::{
    CheckedObject, ClusterObject, ClusterPolicy, FieldProblem, ObjectFile, WrittenProxy, check_object,
};
pub use overrides::Overrides;
pub use policies::rules_as_policy;
pub use problem::{Place, Problem, Quote};
pub use reference::{example, reference};
pub use render::{Severity, render, render_json, render_one, render_warnings};
pub use schema::schema;
pub use tools::{PolicyBook, WrittenPolicy};
pub use typed::{TypedFile, schema_of};

/// What a fuzz target calls: reads, checks and renders whatever bytes these are. It must never panic.
pub fn fuzz_check(bytes: &[u8]) {
    if let Err(problems) = check_bytes(bytes, "fuzz.yaml", &Overrides::default()) {
        let _ = (render(&problems, true), render_json(&problems, &[]));
    }
}

/// What a fuzz target calls: checks whatever bytes these are as objects of a cluster. It must never panic, and bounds
/// what it says.
pub fn fuzz_object(bytes: &[u8]) {
    if let Ok(object) = serde_json::from_slice(bytes) {
        for kind in ["EgressProxy", "ClusterEgressPolicy", "EgressPolicy"] {
            let checked = check_object(kind, &object, Some("team-a"));
            assert!(checked.errors.len() <= 200, "what is said has a bound");
            assert_eq!(
                checked.object.is_some(),
                checked.errors.is_empty(),
                "it is right, or something is wrong"
            );
        }
    }
    let _ = ObjectFile::read(bytes, "fuzz.yaml");
}
