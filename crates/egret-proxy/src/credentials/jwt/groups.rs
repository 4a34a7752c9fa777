//! The groups that a token names.

use std::collections::HashSet;
use std::sync::Arc;

use egret_core::identity::check_group_name;
use serde_json::Value;

/// The groups in a claim, each once: a list of strings, or a string with spaces between them. What is no
/// name is left out. There are no more than a token has room for.
pub(super) fn named(claims: &Value, claim: &str) -> Vec<Arc<str>> {
    let mut known = HashSet::new();
    let names: Vec<&str> = match find(claims, claim) {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
        _ => Vec::new(),
    };
    let names = names.into_iter().filter(|name| check_group_name(name).is_ok() && known.insert(*name));
    names.map(Into::into).collect()
}

/// What a path leads to. A name may have dots itself, as `https://corp.example/groups` has: the longest
/// name that is there comes first.
fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    if let Some(found) = object.get(path) {
        return Some(found);
    }
    let dots = path.rmatch_indices('.');
    dots.filter_map(|(dot, _)| find(object.get(&path[..dot])?, &path[dot + 1..])).next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_groups_where_providers_put_them() {
        let claims = json!({
            "groups": ["staff", "Domain Users", "staff", "", 7, null, ["x"], "a\nb"],
            "roles": "reader  writer",
            "realm_access": {"roles": ["offline_access"]},
            "resource_access": {"my.client": {"roles": ["deploy"]}, "my": {"client": {"roles": ["no"]}}},
            "https://corp.example/groups": ["auth0"],
            "a": "text",
            "b": {"c": 1},
        });
        for (claim, expected) in [
            ("groups", &["staff", "Domain Users"][..]),
            ("roles", &["reader", "writer"]),
            ("realm_access.roles", &["offline_access"]),
            ("resource_access.my.client.roles", &["deploy"]),
            ("https://corp.example/groups", &["auth0"]),
            ("none", &[]),
            ("a.b", &[]),
            ("b", &[]),
            ("b.c", &[]),
            ("b.", &[]),
            (".b", &[]),
            ("", &[]),
        ] {
            let names = named(&claims, claim);
            assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), expected, "{claim}");
        }
        assert!(named(&json!(["groups"]), "groups").is_empty());
    }
}
