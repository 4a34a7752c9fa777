//! Names to wildcards: as few patterns as it takes, none wider than what was seen gives reason for.

use std::collections::BTreeMap;

/// A pattern for hosts with the names that gave rise to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern<'a> {
    /// As configuration writes it.
    pub(super) text: String,
    /// The names that it stands for; one, for a name.
    pub(super) names: Vec<&'a str>,
}

/// Patterns for names, without wildcards above a registrable domain. `least` names make one; 0 for never.
pub(super) fn collapse<'a>(names: &[&'a str], least: usize) -> Vec<Pattern<'a>> {
    let mut patterns = Vec::new();
    let mut domains: BTreeMap<&str, Vec<&'a str>> = BTreeMap::new();
    for name in names {
        match registrable(name).filter(|domain| least > 0 && domain.len() < name.len()) {
            Some(domain) => domains.entry(domain).or_default().push(name),
            None => patterns.push(exact(name)),
        }
    }
    for (domain, names) in domains {
        let (wild, left) = below(domain, names, least);
        patterns.extend(wild);
        patterns.extend(left.into_iter().map(exact));
    }
    patterns.sort_by(|one, other| one.text.cmp(&other.text));
    patterns
}

/// The registrable domain that a name is in: one label more than a public suffix.
pub(in super::super) fn registrable(name: &str) -> Option<&str> {
    psl::domain_str(name)
}

fn exact(name: &str) -> Pattern<'_> {
    Pattern { text: name.to_owned(), names: vec![name] }
}

/// Patterns for names that all stand below a suffix, and those names that nothing was made of.
fn below<'a>(suffix: &str, names: Vec<&'a str>, least: usize) -> (Vec<Pattern<'a>>, Vec<&'a str>) {
    let mut direct = Vec::new();
    let mut deeper: BTreeMap<&'a str, Vec<&'a str>> = BTreeMap::new();
    for name in &names {
        let front = &name[..name.len() - suffix.len() - 1];
        match front.rfind('.') {
            None => direct.push(*name),
            // The suffix with one label more.
            Some(dot) => deeper.entry(&name[dot + 1..]).or_default().push(name),
        }
    }
    let (mut patterns, mut left) = (Vec::new(), Vec::new());
    for (suffix, names) in deeper {
        let (wild, rest) = below(suffix, names, least);
        patterns.extend(wild);
        left.extend(rest);
    }
    if left.len() >= least || direct.len() < least && !left.is_empty() && direct.len() + left.len() >= least {
        // Their depths differ, so one label does not do.
        return (vec![Pattern { text: format!("**.{suffix}"), names }], Vec::new());
    }
    if direct.len() >= least {
        patterns.push(Pattern { text: format!("*.{suffix}"), names: direct });
        return (patterns, left);
    }
    direct.extend(left);
    (patterns, direct)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[&str], least: usize) -> Vec<String> {
        collapse(names, least).into_iter().map(|pattern| pattern.text).collect()
    }

    #[test]
    fn makes_wildcards_of_enough_names_below_one_domain() {
        let names = ["a.example.com", "b.example.com", "c.example.com"];
        assert_eq!(texts(&names, 3), ["*.example.com"]);
        assert_eq!(texts(&names, 4), names);
        assert_eq!(texts(&names, 0), names);
        // The domain itself is not below itself.
        assert_eq!(texts(&["a.example.com", "b.example.com", "example.com"], 3).len(), 3);
        assert_eq!(
            texts(&["a.example.com", "b.example.com", "example.com"], 2),
            ["*.example.com", "example.com"]
        );
    }

    #[test]
    fn prefers_one_label_as_deep_as_it_can() {
        let names = ["a.cdn.example.com", "b.cdn.example.com", "www.example.com"];
        assert_eq!(texts(&names, 2), ["*.cdn.example.com", "www.example.com"]);
        let mixed = ["a.b.example.com", "c.d.example.com", "e.example.com"];
        assert_eq!(texts(&mixed, 3), ["**.example.com"]);
        assert_eq!(texts(&mixed, 4), mixed);
    }

    #[test]
    fn never_goes_above_a_registrable_domain() {
        let many: Vec<String> = (0..50).map(|number| format!("shop{number}.co.uk")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(texts(&many, 2).len(), 50);
        // Every customer of github.io is somebody else.
        let pages = ["a.github.io", "b.github.io", "c.github.io"];
        assert_eq!(texts(&pages, 2), pages);
        assert_eq!(texts(&["x.a.github.io", "y.a.github.io"], 2), ["*.a.github.io"]);
        assert_eq!(texts(&["localhost", "com", "co.uk"], 1), ["co.uk", "com", "localhost"]);
    }
}
