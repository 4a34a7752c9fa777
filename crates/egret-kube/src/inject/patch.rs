//! JSON patches (RFC 6902). Only `add` is used: on a member of an object it replaces what is there.

use serde::Serialize;
use serde_json::{Value, json};

use super::pod::Pod;

/// One operation: `add`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    op: &'static str,
    /// Where, as a JSON pointer (RFC 6901).
    pub path: String,
    /// What.
    pub value: Value,
}

/// One name in a JSON pointer: `~` and `/` are escaped (RFC 6901 section 3).
#[must_use]
pub fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[derive(Debug, Default)]
pub(super) struct Patch {
    operations: Vec<Operation>,
}

impl Patch {
    pub(super) fn add(&mut self, path: String, value: Value) {
        self.operations.push(Operation { op: "add", path, value });
    }

    /// Appends to an array, which is made where it is not there: the API server leaves empty ones out.
    pub(super) fn append(&mut self, array: &str, is_there: bool, values: Vec<Value>) {
        if values.is_empty() {
            return;
        }
        if is_there {
            for value in values {
                self.add(format!("{array}/-"), value);
            }
        } else {
            self.add(array.to_owned(), Value::Array(values));
        }
    }

    /// Sets annotations, those that are not so already.
    pub(super) fn annotate(&mut self, pod: &Pod, wanted: &[(&str, &str)]) {
        let all = || -> serde_json::Map<String, Value> {
            wanted.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
        };
        match (&pod.metadata, pod.annotations()) {
            (None, _) => self.add("/metadata".to_owned(), json!({"annotations": all()})),
            (Some(_), None) => self.add("/metadata/annotations".to_owned(), Value::Object(all())),
            (Some(_), Some(present)) => {
                for (name, value) in wanted {
                    if present.get(*name).map(String::as_str) != Some(*value) {
                        self.add(format!("/metadata/annotations/{}", pointer(name)), json!(value));
                    }
                }
            }
        }
    }

    pub(super) fn into_operations(self) -> Vec<Operation> {
        self.operations
    }
}
