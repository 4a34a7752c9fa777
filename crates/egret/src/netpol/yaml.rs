//! JSON values as YAML: block style, every text in double quotes, so that no reader takes `no` or `1.2` for
//! something else.

use std::fmt::Write as _;

use serde_json::Value;

/// A document.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::from("---\n");
    write(&mut text, value, 0, false);
    text
}

/// Writes a value. `in_item`: the first line continues one that begins with a dash.
fn write(text: &mut String, value: &Value, indent: usize, in_item: bool) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (index, (key, value)) in map.iter().enumerate() {
                let pad = if in_item && index == 0 { "" } else { &pad };
                let _ = write!(text, "{pad}{}:", plain(key));
                inner(text, value, indent);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for item in list {
                let _ = write!(text, "{pad}- ");
                match item {
                    Value::Object(map) if !map.is_empty() => write(text, item, indent + 2, true),
                    _ => {
                        let _ = writeln!(text, "{item}");
                    }
                }
            }
        }
        _ => {
            let _ = writeln!(text, "{value}");
        }
    }
}

/// What stands behind a key.
fn inner(text: &mut String, value: &Value, indent: usize) {
    let is_block = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    };
    if is_block {
        text.push('\n');
        write(text, value, indent + 2, false);
    } else {
        // JSON's scalars, `{}` and `[]` are YAML's.
        let _ = writeln!(text, " {value}");
    }
}

/// A key without quotes where it needs none.
fn plain(key: &str) -> String {
    let is_plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '-' | '_'))
        && !matches!(
            key.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if is_plain { key.to_owned() } else { Value::String(key.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_blocks_and_quotes_texts() {
        let value = json!({ "a": { "b": [{ "c": "no", "d": 1 }, { "e": {} }], "f": [] }, "on": ["x"] });
        let text = "---\na:\n  b:\n    - c: \"no\"\n      d: 1\n    - e: {}\n  f: []\n\"on\":\n  - \"x\"\n";
        assert_eq!(document(&value), text);
    }
}
