//! What a scalar without quotes is.

use super::Kind;

/// A plain scalar by the core schema (YAML 1.2.2 section 10.3.2).
pub(super) fn plain(value: &str) -> Kind {
    match value {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    let number = if let Some(digits) = value.strip_prefix("0x") {
        unsigned(digits, 16)
    } else if let Some(digits) = value.strip_prefix("0o") {
        unsigned(digits, 8)
    } else {
        decimal(value)
    };
    number.map_or_else(|| Kind::Text(value.to_owned()), |number| Kind::Number(number, value.to_owned()))
}

fn unsigned(digits: &str, base: u32) -> Option<serde_json::Number> {
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    plain.then(|| u64::from_str_radix(digits, base).ok().map(Into::into)).flatten()
}

fn decimal(value: &str) -> Option<serde_json::Number> {
    let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
    let starts_as_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let made_of_number = digits.bytes().all(|b| b.is_ascii_digit() || b".eE+-".contains(&b));
    if !starts_as_number || !made_of_number || !digits.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        let value = value.strip_prefix('+').unwrap_or(value);
        if let Ok(number) = value.parse::<u64>() {
            return Some(number.into());
        }
        if let Ok(number) = value.parse::<i64>() {
            return Some(number.into());
        }
    }
    value.parse::<f64>().ok().and_then(serde_json::Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_read_by_the_core_schema() {
        let number = |value: &str| matches!(plain(value), Kind::Number(..));
        for value in ["0", "-1", "+1", "443", "0x1f", "0o17", "1.5", ".5", "1e9", "18446744073709551616"] {
            assert!(number(value), "{value}");
        }
        for value in ["", "~", "null"] {
            assert_eq!(plain(value), Kind::Null);
        }
        assert_eq!((plain("true"), plain("False")), (Kind::Bool(true), Kind::Bool(false)));
        for value in [
            "yes",
            "off",
            "10s",
            "127.0.0.1",
            "1-2",
            "0x",
            "-",
            ".",
            "1e",
            "127.0.0.1:80",
            "e5",
            "inf",
            ".nan",
        ] {
            assert_eq!(plain(value), Kind::Text(value.to_owned()), "{value}");
        }
    }
}
