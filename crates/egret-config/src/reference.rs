//! The reference in Markdown and the example file, both made from the schema.

use serde_json::{Map, Value};

use crate::emit::flow;
use crate::schema::{self, Shape, has_type, properties};

const HEAD: &str = "# Configuration

Egret reads one YAML file: `egret proxy --config egret.yaml`. Every field may be left out; `egret check
egret.yaml` says everything that is wrong with a file, and `egret config schema` prints a JSON Schema for
editors (also in [egret.schema.json](egret.schema.json)). [A file with every field](examples/egret.yaml) and
[smaller examples](examples/) are at hand.

- **Durations** have units: `250ms`, `10s`, `5m`, `1h30m`, `2d`.
- **Sizes** are bytes, or have units of 1024: `65536`, `64KiB`, `4MiB`.
- **Paths** that are relative begin at the directory of the configuration.
- **An empty field** (`limits:` and nothing after it) is a field that was left out.
- **Secrets** belong in files of their own; the file and its errors can then be shown to anybody.

The file is read again on SIGHUP and when it or a file it refers to changes. A file with an error changes
nothing: the errors are logged, and what was loaded last goes on.

<!-- Generated from the doc comments in crates/egret-config/src/file/. To change it, change those, and run:
UPDATE=1 cargo nextest run -p egret-config -->
";

/// The reference in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    let root = Shape::of(schema::shared());
    for (name, field) in root.object.into_iter().flat_map(properties) {
        section(&mut text, name, field, 2);
    }
    text
}

/// A field with everything under it.
fn section(text: &mut String, path: &str, field: &Value, level: usize) {
    let shape = Shape::of(field);
    text.push_str(&format!("\n{} `{path}`\n\n", "#".repeat(level)));
    let facts = facts(field, &shape);
    if !facts.is_empty() {
        text.push_str(&format!("{facts}\n\n"));
    }
    if let Some(description) = description(field) {
        text.push_str(&wrap(description));
    }
    words(text, &shape);
    if shape.words.is_empty()
        && let Some(example) = example_of(field, &shape)
    {
        text.push_str(&format!("\n```yaml\n{}: {}\n```\n", last(path), flow(example)));
    }
    let items = shape.list.and_then(|list| list.get("items")).map(Shape::of);
    let (object, mark) = match items.and_then(|items| items.object) {
        Some(object) => (Some(object), "[]"),
        None => (shape.object, ""),
    };
    for (name, field) in object.into_iter().flat_map(properties) {
        section(text, &format!("{path}{mark}.{name}"), field, (level + 1).min(3));
    }
}

/// Type, bounds and default.
fn facts(field: &Value, shape: &Shape<'_>) -> String {
    if shape.object.is_some() && shape.words.is_empty() {
        return String::new();
    }
    let mut facts = vec![kind(shape)];
    if let Some(schema) = shape.scalar {
        let bound = |name: &str| schema.get(name).filter(|bound| **bound != 0);
        match (bound("minimum"), bound("maximum")) {
            (Some(least), Some(most)) => facts.push(format!("from {least} to {most}")),
            (Some(least), None) => facts.push(format!("at least {least}")),
            (None, Some(most)) => facts.push(format!("at most {most}")),
            (None, None) => {}
        }
    }
    if let Some(default) = field.get("default") {
        let default = default.as_str().map_or_else(|| flow(default), ToOwned::to_owned);
        facts.push(format!("default `{default}`"));
    }
    format!("*{}*", facts.join(" · "))
}

/// What a value is called.
fn kind(shape: &Shape<'_>) -> String {
    if let Some(list) = shape.list {
        let items = list.get("items").map(|items| kind(&Shape::of(items))).unwrap_or_default();
        return format!("list of: {items}");
    }
    if shape.object.is_some() && shape.words.is_empty() {
        return "mappings".to_owned();
    }
    if !shape.words.is_empty() {
        let words: Vec<_> =
            shape.words.iter().map(|word| format!("`{}`", crate::suggest::spelled(word.value))).collect();
        let more = if shape.object.is_some() { ", or a mapping" } else { "" };
        return format!("one of {}{more}", words.join(", "));
    }
    let Some(scalar) = shape.scalar else { return String::new() };
    let name = match scalar.get("format").and_then(Value::as_str) {
        Some("duration") => "duration",
        Some("size") => "size",
        Some("address") => "IP address and port",
        Some("listen-address") => "IP address and port",
        Some("client-name") => "client name or pattern",
        Some("address-or-off") => "IP address and port, or `off`",
        Some("ip") => "IP address",
        Some("dns-server") => "IP address, with or without a port",
        Some("cidr") => "network or address",
        Some("port-range") => "port or range of ports",
        Some("host-pattern") => "host pattern",
        Some("no-proxy") => "`NO_PROXY` term",
        Some("proxy-url") => "URL of a proxy",
        Some("http-url" | "keys-url") => "URL",
        Some("directory-url") => "URL of a directory server",
        Some("path") => "path",
        Some("path-or-off") => "path, or `off`",
        Some("name") => "name",
        Some("domain") => "domain",
        Some("name-pattern") => "name or pattern",
        Some("service-account") => "service account or pattern",
        Some("path-pattern") => "path or pattern",
        Some("media-type") => "media type or pattern",
        Some("method") => "method",
        Some("header-name") => "name of a header field",
        Some("list-term") => "host pattern or network",
        Some("request-rate" | "byte-rate") => "rate",
        Some("condition") => "CEL",
        _ if has_type(scalar, "boolean") => "`true` or `false`",
        _ if has_type(scalar, "integer") => "whole number",
        _ if has_type(scalar, "number") => "number",
        _ => "text",
    };
    name.to_owned()
}

fn words(text: &mut String, shape: &Shape<'_>) {
    if shape.words.iter().all(|word| word.description.is_none()) {
        return;
    }
    text.push('\n');
    for word in &shape.words {
        let description = word.description.unwrap_or_default();
        text.push_str(&format!("- `{}`: {description}\n", crate::suggest::spelled(word.value)));
    }
}

/// The example to show: none where the default says it all.
fn example_of<'a>(field: &'a Value, shape: &Shape<'_>) -> Option<&'a Value> {
    let example = field.get("examples").and_then(Value::as_array)?.first()?;
    let default = field.get("default");
    let default_speaks = default.is_some_and(|default| !default.as_array().is_some_and(Vec::is_empty));
    (!default_speaks || shape.list.is_some()).then_some(example)
}

/// The name of a field without what it stands under.
fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn description(field: &Value) -> Option<&str> {
    field.get("description").and_then(Value::as_str)
}

/// Breaks lines before column 110.
fn wrap(text: &str) -> String {
    text.split("\n\n").map(|paragraph| fold(paragraph, "", 110)).collect::<Vec<_>>().join("\n")
}

fn fold(text: &str, prefix: &str, width: usize) -> String {
    let mut folded = String::new();
    for paragraph in text.split("\n\n") {
        let mut line = prefix.to_owned();
        for word in paragraph.split_whitespace() {
            if line.len() > prefix.len() && line.len() + 1 + word.len() > width {
                folded.push_str(line.trim_end());
                folded.push('\n');
                line = prefix.to_owned();
            }
            if line.len() > prefix.len() {
                line.push(' ');
            }
            line.push_str(word);
        }
        folded.push_str(line.trim_end());
        folded.push('\n');
    }
    folded
}

const EXAMPLE_HEAD: &str =
    "# Every field of egret.yaml with its default. Fields without a default, and examples for lists, are in
# comments. A file needs none of this: write only what differs.
# Generated like docs/config.md, where each field is explained at length.
";

/// A file with every field and its default, with comments.
#[must_use]
pub fn example() -> String {
    let mut text = EXAMPLE_HEAD.to_owned();
    let root = Shape::of(schema::shared());
    for (name, field) in root.object.into_iter().flat_map(properties) {
        text.push('\n');
        example_field(&mut text, name, field, field.get("default"), "", false);
    }
    text
}

/// Whether an object must have a field.
fn is_required(object: &Map<String, Value>, name: &str) -> bool {
    object.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|one| one == name))
}

fn example_field(
    text: &mut String,
    name: &str,
    field: &Value,
    default: Option<&Value>,
    indent: &str,
    required: bool,
) {
    let shape = Shape::of(field);
    if let Some(description) = description(field) {
        text.push_str(&fold(description, &format!("{indent}# "), 100));
    }
    if let Some(object) = shape.object.filter(|_| shape.words.is_empty()) {
        if object.get("additionalProperties").is_some_and(Value::is_object) {
            let example = example_of(field, &shape).map(flow).unwrap_or_default();
            text.push_str(&format!("{indent}{name}: {example}\n"));
            return;
        }
        // What has no default is not there unless it is written.
        if default.is_none() {
            let comment = if required { "" } else { "# " };
            fields_of(text, &format!("{indent}{comment}{name}:"), object, indent, comment);
            return;
        }
        text.push_str(&format!("{indent}{name}:\n"));
        for (name, field) in properties(object) {
            let default = default.and_then(|default| default.get(name)).or_else(|| field.get("default"));
            example_field(text, name, field, default, &format!("{indent}  "), is_required(object, name));
        }
        return;
    }
    if let Some(object) = shape.object.filter(|_| default.is_none()) {
        fields_of(text, &format!("{indent}# {name}:"), object, indent, "# ");
        return;
    }
    let items = shape.list.and_then(|list| list.get("items")).map(Shape::of);
    let items = items.and_then(|items| items.object).filter(|_| example_of(field, &shape).is_some());
    // A list that must be there is written out below.
    if let Some(default) = default.filter(|_| items.is_none() || !required) {
        text.push_str(&format!("{indent}{name}: {}\n", flow(default)));
    }
    if let Some(object) = items {
        item(text, name, object, indent, if required { "" } else { "# " });
        return;
    }
    let is_empty_list = default.and_then(Value::as_array).is_some_and(Vec::is_empty);
    if (default.is_none() || is_empty_list)
        && let Some(example) = example_of(field, &shape)
    {
        text.push_str(&format!("{indent}# {name}: {}\n", flow(example)));
    }
}

/// An item of a list with each of its fields, in comments unless the list must be there.
fn item(text: &mut String, name: &str, item: &Map<String, Value>, indent: &str, comment: &str) {
    fields_of(text, &format!("{indent}{comment}{name}:\n{indent}{comment}  -"), item, indent, comment);
}

/// A mapping or an item of a list under its head, with each of its fields.
fn fields_of(text: &mut String, head: &str, item: &Map<String, Value>, indent: &str, comment: &str) {
    let mut inner = String::new();
    for (name, field) in properties(item) {
        let required = is_required(item, name);
        let example = field.get("examples").and_then(Value::as_array).and_then(|examples| examples.first());
        let value =
            field.get("default").filter(|default| default.as_array().is_none_or(|list| !list.is_empty()));
        example_field(&mut inner, name, field, value.or(example), "    ", required);
    }
    text.push_str(&format!("{head}\n"));
    for line in inner.lines() {
        text.push_str(&format!("{indent}{comment}{line}\n"));
    }
}
