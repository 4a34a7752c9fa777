//! What to do about an error: the field or value that was probably meant.

use serde_json::{Map, Value};

use crate::schema::{self, Shape, Word, has_type, properties};
use crate::yaml::{Kind, Node, shorten};

/// How much alike two names must be to be suggested, by Jaro and Winkler's measure.
const ALIKE: f64 = 0.82;

/// Longer names are not compared: it takes time that grows with their length, and nobody meant them.
const LONGEST: usize = 64;

/// What to write instead of an unknown field.
pub(crate) fn field(name: &str, object: &Map<String, Value>) -> Option<String> {
    let known: Vec<&str> = properties(object).map(|(name, _)| name.as_str()).collect();
    if name == "<<" {
        return Some("merge keys are not supported; write the fields out".to_owned());
    }
    if let Some(close) = closest(name, &known) {
        return Some(format!("did you mean `{close}`?"));
    }
    if let Some(path) = schema::paths_of(name).first() {
        return Some(format!("there is such a field elsewhere: `{path}`"));
    }
    match known.as_slice() {
        [only] => Some(format!("the only field here is `{only}`")),
        _ => Some(format!("the fields here are {}", known.join(", "))),
    }
}

/// What to write instead of an unknown word.
pub(crate) fn word(value: &Value, shape: &Shape<'_>) -> String {
    let words: &[Word<'_>] = &shape.words;
    let spelled_words: Vec<String> = words.iter().map(|word| spelled(word.value)).collect();
    let known: Vec<&str> = spelled_words.iter().map(String::as_str).collect();
    if *value == Value::Bool(false) && known.contains(&"off") {
        return "write \"off\", in quotes (some tools turn off into false)".to_owned();
    }
    if is_field(shape, "file") && spelled(value).contains(['/', '.']) {
        return format!("for a file write {{file: {}}}", spelled(value));
    }
    match closest(&spelled(value), &known) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("it is one of {}", known.join(", ")),
    }
}

/// What should stand at a place, for a message.
pub(crate) fn wanted(shape: &Shape<'_>) -> &'static str {
    match shape {
        Shape { object: Some(_), words, .. } if !words.is_empty() => "a word or a mapping of fields",
        Shape { object: Some(_), .. } => "a mapping of fields",
        Shape { list: Some(_), .. } => "a list",
        Shape { scalar: Some(schema), .. } if has_type(schema, "boolean") => "true or false",
        Shape { scalar: Some(schema), .. } if has_type(schema, "string") => "text",
        Shape { scalar: Some(schema), .. } if has_type(schema, "integer") => "a whole number",
        Shape { scalar: Some(_), .. } => "a number",
        _ => "a word",
    }
}

/// What to do about a value of the wrong kind.
pub(crate) fn mismatch(shape: &Shape<'_>, node: &Node, path: &str) -> Option<String> {
    let scalar = shape.scalar;
    match &node.kind {
        Kind::Text(text) if scalar.is_some_and(|schema| has_type(schema, "boolean")) => {
            match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => Some("write true".to_owned()),
                "no" | "off" | "n" | "false" => Some("write false".to_owned()),
                _ => None,
            }
        }
        Kind::Text(text)
            if scalar.is_some_and(|schema| has_type(schema, "integer") || has_type(schema, "number")) =>
        {
            text.parse::<f64>().is_ok().then(|| format!("write it without quotes: {}", shorten(text)))
        }
        Kind::Bool(false) if scalar.is_some_and(is_or_off) => {
            Some("write \"off\", in quotes (some tools turn off into false)".to_owned())
        }
        Kind::Bool(value) if scalar.is_some_and(|schema| has_type(schema, "string")) => {
            Some(format!("if it is meant as text, write it in quotes: \"{value}\""))
        }
        Kind::Text(_) | Kind::Number(..) if shape.list.is_some() => {
            let items = shape.list.and_then(|list| list.get("items")).map(Shape::of);
            match items.and_then(|items| items.object) {
                Some(_) => Some(format!("write a list of mappings, as in {}", list_example(shape, path))),
                None => Some("write it in brackets, or after a dash".to_owned()),
            }
        }
        Kind::Map(_) if shape.list.is_some() => Some("put a dash in front of each item".to_owned()),
        Kind::Text(text) if text.split_once(':').is_some_and(|(name, _)| is_field(shape, name)) => {
            Some("is a space missing after the `:`?".to_owned())
        }
        _ if shape.object.is_some() => {
            let names: Vec<&str> = shape
                .object
                .into_iter()
                .flat_map(properties)
                .map(|(name, _)| name.as_str())
                .take(8)
                .collect();
            Some(format!("the fields here are {}", names.join(", ")))
        }
        _ => None,
    }
}

fn is_field(shape: &Shape<'_>, name: &str) -> bool {
    shape.object.into_iter().flat_map(properties).any(|(known, _)| known == name)
}

fn list_example(shape: &Shape<'_>, path: &str) -> String {
    let items = shape.list.and_then(|list| list.get("items")).and_then(Value::as_object);
    let first = items.and_then(|items| properties(items).next());
    let name = path.rsplit('.').next().unwrap_or(path);
    match first {
        Some((field, schema)) => format!("{name}: [{{{field}: {}}}]", example(schema).unwrap_or_default()),
        None => format!("{name}: []"),
    }
}

/// An example for a field, as YAML on one line.
pub(crate) fn example(schema: &Value) -> Option<String> {
    let example = schema.get("examples").and_then(Value::as_array).and_then(|examples| examples.first());
    example.map(crate::emit::flow)
}

/// A value as it is written.
pub(crate) fn spelled(value: &Value) -> String {
    match value {
        Value::String(text) => shorten(text),
        other => shorten(&other.to_string()),
    }
}

fn is_or_off(schema: &Map<String, Value>) -> bool {
    schema.get("format").and_then(Value::as_str).is_some_and(|format| format.ends_with("-or-off"))
}

/// The known name that is most like this one: case, `_` and `-` do not count.
pub(crate) fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let plain = |text: &str| text.replace(['_', '-', ' '], "").to_ascii_lowercase();
    let name = plain(name);
    let likeness = |other: &&str| strsim::jaro_winkler(&name, &plain(other));
    let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE).then_some(*best)
}
