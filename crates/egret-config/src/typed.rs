//! Other YAML files, read as strictly as the configuration: what is unknown is refused at its place.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::decode;
use crate::problem::Problem;
use crate::schema;
use crate::sheet::Sheet;
use crate::source::Position;
use crate::walk::{Finding, MOST_FINDINGS, Walk};
use crate::yaml::{self, Kind, Node};

/// What a file says, with the places where it says so.
#[derive(Clone, Debug)]
pub struct TypedFile<T> {
    /// What it says.
    pub value: T,
    sheet: Sheet,
}

impl<T: JsonSchema + DeserializeOwned> TypedFile<T> {
    /// Reads a text. `name` is what errors call the file.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file.
    pub fn read(bytes: &[u8], name: &str) -> Result<Self, Vec<Problem>> {
        let text = decode(bytes, name, yaml::MAX_BYTES)?;
        let mut sheet = Sheet::new(name, text);
        let reading = yaml::read(text);
        for range in reading.hidden {
            sheet.source.hide(range);
        }
        let mut findings: Vec<Finding> = reading.faults.into_iter().map(Finding::from).collect();
        let mut read = None;
        if let Some(mut root) = reading.roots.into_iter().next() {
            if root.kind == Kind::Null {
                root = Node { position: Position::Nowhere, kind: Kind::Map(Vec::new()) };
            }
            let (mut walk, value) = Walk::beside(&schema_of::<T>(), &root);
            findings.append(&mut walk.findings);
            sheet.spots = walk.spots;
            match serde_json::from_value(value) {
                Ok(value) => read = Some(value),
                Err(error) if findings.is_empty() => findings.push(Finding {
                    position: Position::Nowhere,
                    path: String::new(),
                    message: format!("the file cannot be read: {error}"),
                    help: None,
                    child: None,
                }),
                Err(_) => {}
            }
        }
        match read {
            Some(value) if findings.is_empty() => Ok(Self { value, sheet }),
            _ => {
                let shown = findings.iter().take(MOST_FINDINGS);
                Err(shown.map(|finding| finding.problem(&sheet.source)).collect())
            }
        }
    }

    /// A problem with the value at a JSON pointer, or with what holds it where it was not written.
    #[must_use]
    pub fn problem(&self, pointer: &str, message: &str, help: Option<&str>) -> Problem {
        self.sheet.problem(pointer, message, help)
    }
}

/// The JSON Schema (draft 2020-12) by which such a file is read.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    schema::generate::<T>()
}
