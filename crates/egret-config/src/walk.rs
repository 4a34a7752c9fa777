//! Walks a tree beside the schema: says everything that is wrong with it, and keeps what is right.
//!
//! What is wrong is left out of the result, so that the checks across fields can still look at the rest and
//! all errors are said at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::problem::Problem;
use crate::schema::{self, Shape, has_type, properties};
use crate::source::{Position, Source};
use crate::suggest;
use crate::values::check_format;
use crate::yaml::{Entry, Fault, Kind, Node, shorten};

/// So many findings end the walk: nobody reads more, and a hostile file has no end of them.
pub(crate) const MOST_FINDINGS: usize = 100;

/// Something wrong at a place in the tree.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) position: Position,
    /// The field, as in `rules.deny[0].ports`.
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
    /// The field under `path` that is unknown or missing.
    pub(crate) child: Option<String>,
}

impl Finding {
    /// As it is said.
    pub(crate) fn problem(&self, source: &Source) -> Problem {
        source.problem(&self.position, &self.path, &self.message, self.help.as_deref())
    }
}

impl From<Fault> for Finding {
    fn from(fault: Fault) -> Self {
        Self {
            position: fault.position,
            path: String::new(),
            message: fault.message,
            help: fault.help,
            child: None,
        }
    }
}

/// Where a value that was kept stands.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub(crate) key: Position,
    pub(crate) value: Position,
    /// The field as the user counts, as in `rules.deny[0].ports`.
    pub(crate) path: String,
}

/// Places by JSON pointer into what was kept.
pub(crate) type Spots = BTreeMap<String, Spot>;

/// What was kept of a tree.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) findings: Vec<Finding>,
    pub(crate) spots: Spots,
}

/// A place while walking: as the user counts, and as a pointer into what is kept. They differ once an item
/// of a list was left out.
struct Here<'a> {
    path: &'a str,
    pointer: &'a str,
}

impl Walk {
    /// Walks a tree beside the schema of the file.
    pub(crate) fn run(root: &Node) -> (Self, Value) {
        Self::beside(schema::shared(), root)
    }

    /// Walks a tree beside any schema of an object.
    pub(crate) fn beside(schema: &Value, root: &Node) -> (Self, Value) {
        let mut walk = Self::default();
        let value = walk.node(schema, root, &Here { path: "", pointer: "" });
        (walk, value.unwrap_or_else(|| Value::Object(Map::new())))
    }

    /// Walks a policy. `path` and `pointer` say where it stands among others.
    pub(crate) fn policy(&mut self, node: &Node, path: &str, pointer: &str) -> Option<Value> {
        self.document(schema::policy_document(), node, path, pointer)
    }

    /// Walks one of several documents. `path` and `pointer` say where it stands among them.
    pub(crate) fn document(
        &mut self,
        schema: &Value,
        node: &Node,
        path: &str,
        pointer: &str,
    ) -> Option<Value> {
        let spot = Spot { key: node.position.clone(), value: node.position.clone(), path: path.to_owned() };
        self.spots.insert(pointer.to_owned(), spot);
        self.node(schema, node, &Here { path, pointer })
    }

    fn find(
        &mut self,
        position: &Position,
        here: &Here<'_>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.findings.push(Finding {
            position: position.clone(),
            path: here.path.to_owned(),
            message: message.into(),
            help,
            child: None,
        });
    }

    /// Says which field the last finding is about.
    fn about(&mut self, child: &str) {
        if let Some(finding) = self.findings.last_mut() {
            finding.child = Some(shorten(child));
        }
    }

    fn node(&mut self, schema: &Value, node: &Node, here: &Here<'_>) -> Option<Value> {
        let shape = Shape::of(schema);
        match (&node.kind, &shape) {
            (Kind::Null | Kind::Broken, _) => None,
            (Kind::Map(entries), Shape { object: Some(object), .. }) => {
                self.object(object, entries, node, here)
            }
            (Kind::List(items), Shape { list: Some(list), .. }) => self.list(list, items, node, here),
            (Kind::Map(_) | Kind::List(_), _) => self.mismatch(&shape, node, here),
            (_, Shape { words, scalar: None, .. }) if !words.is_empty() => self.word(&shape, node, here),
            (_, Shape { scalar: Some(scalar), .. }) => self.scalar(&shape, scalar, node, here),
            _ => self.mismatch(&shape, node, here),
        }
    }

    fn object(
        &mut self,
        object: &Map<String, Value>,
        entries: &[Entry],
        node: &Node,
        here: &Here<'_>,
    ) -> Option<Value> {
        let mut kept = Map::new();
        for entry in entries {
            if self.findings.len() >= MOST_FINDINGS {
                break;
            }
            let path = if entry.key_position == Position::Nowhere {
                here.path.to_owned()
            } else if here.path.is_empty() {
                shorten(&entry.key)
            } else {
                format!("{}.{}", here.path, shorten(&entry.key))
            };
            let named = properties(object).find(|(name, _)| **name == entry.key);
            let any = object.get("additionalProperties").filter(|schema| schema.is_object());
            let Some((name, schema)) = named.or(any.map(|schema| (&entry.key, schema))) else {
                let help = suggest::field(&entry.key, object);
                self.find(
                    &entry.key_position,
                    here,
                    format!("unknown field `{}`", shorten(&entry.key)),
                    help,
                );
                self.about(&entry.key);
                continue;
            };
            let pointer = format!("{}/{}", here.pointer, name.replace('/', "~1"));
            let spot = Spot {
                key: entry.key_position.clone(),
                value: entry.value.position.clone(),
                path: path.clone(),
            };
            if let Some(value) = self.node(schema, &entry.value, &Here { path: &path, pointer: &pointer }) {
                self.spots.insert(pointer, spot);
                kept.insert(name.clone(), value);
            }
        }
        self.require(object, entries, node, here, &kept).then_some(Value::Object(kept))
    }

    /// Says which required fields were not written. False when one of them is not among what was kept.
    fn require(
        &mut self,
        object: &Map<String, Value>,
        entries: &[Entry],
        node: &Node,
        here: &Here<'_>,
        kept: &Map<String, Value>,
    ) -> bool {
        let mut complete = true;
        let required = object.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            complete &= kept.contains_key(name);
            let written = entries.iter().any(|entry| entry.key == name && entry.value.kind != Kind::Null);
            if !written {
                let example = properties(object)
                    .find(|(key, _)| *key == name)
                    .and_then(|(_, schema)| suggest::example(schema));
                let help = example.map(|example| format!("add it, as in {name}: {example}"));
                self.find(&first_line(node, entries), here, format!("the field `{name}` is missing"), help);
                self.about(name);
            }
        }
        complete
    }

    fn list(
        &mut self,
        list: &Map<String, Value>,
        items: &[Node],
        node: &Node,
        here: &Here<'_>,
    ) -> Option<Value> {
        let bound = |name: &str| list.get(name).and_then(Value::as_u64);
        let count = items.len() as u64;
        if bound("minItems").is_some_and(|least| count < least) {
            let help = "leave the field out, or put something into the list".to_owned();
            self.find(&node.position, here, "the list is empty", Some(help));
            return None;
        }
        if let Some(most) = bound("maxItems").filter(|most| count > *most) {
            self.find(&node.position, here, format!("the list has more than {most} items"), None);
            return None;
        }
        let schema = list.get("items").unwrap_or(&Value::Null);
        let mut kept = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if self.findings.len() >= MOST_FINDINGS {
                break;
            }
            let path = format!("{}[{index}]", here.path);
            let pointer = format!("{}/{}", here.pointer, kept.len());
            if item.kind == Kind::Null {
                let help = Some("remove it, or write its value".to_owned());
                self.find(&item.position, &Here { path: &path, pointer: &pointer }, "an item is empty", help);
            } else if let Some(value) = self.node(schema, item, &Here { path: &path, pointer: &pointer }) {
                let spot = Spot { key: item.position.clone(), value: item.position.clone(), path };
                self.spots.insert(pointer, spot);
                kept.push(value);
            }
        }
        // Where every item was wrong, an empty list would say something that was not meant.
        (!kept.is_empty() || items.is_empty()).then_some(Value::Array(kept))
    }

    fn word(&mut self, shape: &Shape<'_>, node: &Node, here: &Here<'_>) -> Option<Value> {
        let value = match &node.kind {
            Kind::Text(text) => Value::String(text.clone()),
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number, _) => Value::Number(number.clone()),
            _ => Value::Null,
        };
        if shape.words.iter().any(|word| *word.value == value) {
            return Some(value);
        }
        let help = suggest::word(&value, shape);
        self.find(&node.position, here, format!("unknown value `{}`", suggest::spelled(&value)), Some(help));
        None
    }

    fn scalar(
        &mut self,
        shape: &Shape<'_>,
        schema: &Map<String, Value>,
        node: &Node,
        here: &Here<'_>,
    ) -> Option<Value> {
        let format = schema.get("format").and_then(Value::as_str);
        match &node.kind {
            Kind::Text(text) if has_type(schema, "string") => self.text(format, text, text, node, here),
            Kind::Number(_, text) if has_type(schema, "string") && has_type(schema, "integer") => {
                self.text(format, text, text, node, here)
            }
            Kind::Number(number, text) if has_type(schema, "integer") || has_type(schema, "number") => {
                self.number(schema, number, text, node, here)
            }
            Kind::Number(_, text) if has_type(schema, "string") => {
                // What the text would be wrong with anyway is said first: `30` as a duration has no unit.
                self.text(format, text, text, node, here)?;
                let help = Some(format!("write it in quotes: \"{text}\""));
                self.find(&node.position, here, "text is wanted here, and this is a number", help);
                None
            }
            Kind::Bool(value) if has_type(schema, "boolean") => Some(Value::Bool(*value)),
            _ => self.mismatch(shape, node, here),
        }
    }

    fn text(
        &mut self,
        format: Option<&str>,
        text: &str,
        kept: &str,
        node: &Node,
        here: &Here<'_>,
    ) -> Option<Value> {
        match format.map_or(Ok(()), |format| check_format(format, text)) {
            Ok(()) => Some(Value::String(kept.to_owned())),
            Err(complaint) => {
                self.find(&node.position, here, complaint.message, complaint.help);
                None
            }
        }
    }

    fn number(
        &mut self,
        schema: &Map<String, Value>,
        number: &serde_json::Number,
        text: &str,
        node: &Node,
        here: &Here<'_>,
    ) -> Option<Value> {
        let is_whole = number.is_u64() || number.is_i64();
        if !is_whole && !has_type(schema, "number") {
            self.find(&node.position, here, format!("`{}` is no whole number", shorten(text)), None);
            return None;
        }
        let value = number.as_f64().unwrap_or(f64::NAN);
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        if least.is_some_and(|least| value < least) || most.is_some_and(|most| value > most) {
            let help = match (least, most) {
                (Some(least), Some(most)) => format!("it goes from {least} to {most}"),
                (Some(least), None) => format!("it is at least {least}"),
                (_, most) => format!("it is at most {}", most.unwrap_or(f64::MAX)),
            };
            self.find(&node.position, here, format!("`{}` is out of range", shorten(text)), Some(help));
            return None;
        }
        Some(Value::Number(number.clone()))
    }

    fn mismatch(&mut self, shape: &Shape<'_>, node: &Node, here: &Here<'_>) -> Option<Value> {
        let message = format!("{} is wanted here, and this is {}", suggest::wanted(shape), node.describe());
        let help = suggest::mismatch(shape, node, here.path);
        self.find(&first_line(node, &[]), here, message, help);
        None
    }
}

/// The first of what a node has, for an error that is about it as a whole.
fn first_line(node: &Node, entries: &[Entry]) -> Position {
    if let Some(first) = entries.first() {
        return first.key_position.clone();
    }
    match &node.kind {
        Kind::Map(entries) if !entries.is_empty() => entries[0].key_position.clone(),
        Kind::List(items) if !items.is_empty() => first_line(&items[0], &[]),
        _ => node.position.clone(),
    }
}
