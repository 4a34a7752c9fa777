//! Writes values as YAML on one line, for examples.

use serde_json::Value;

use crate::yaml::{self, Kind};

/// A value in flow style: `{name: corp, ports: [443, "8000-8999"]}`.
pub(crate) fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}: {}", flow(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Text as a plain scalar where it reads as just that text, else in quotes.
fn scalar(text: &str) -> String {
    let is_tame = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/:+".contains(c))
        && !text.ends_with(':');
    let reads_back = is_tame
        && matches!(yaml::read(text).roots.as_slice(), [node] if node.kind == Kind::Text(text.to_owned()));
    // YAML 1.1 readers take these for true and false.
    let is_risky = matches!(text, "off" | "on" | "yes" | "no" | "y" | "n");
    if reads_back && !is_risky && !looks_like_range(text) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

/// `8000-8999` is text in YAML, but people trust it more in quotes.
fn looks_like_range(text: &str) -> bool {
    text.contains('-') && text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_quoted_where_it_has_to_be() {
        for (text, expected) in [
            ("json", "json"),
            ("127.0.0.1:8888", "127.0.0.1:8888"),
            ("10s", "10s"),
            ("off", "\"off\""),
            ("true", "\"true\""),
            ("443", "\"443\""),
            ("*.example.com", "\"*.example.com\""),
            ("[::1]:53", "\"[::1]:53\""),
            ("#chat", "\"#chat\""),
        ] {
            assert_eq!(flow(&json!(text)), expected);
        }
    }
}
