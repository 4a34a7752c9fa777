//! The groups of a user of the directory, by the names that rules may have for them.

use std::collections::HashSet;
use std::sync::Arc;

use egret_core::identity::check_group_name;

/// Groups, each once, up to a bound.
pub(super) struct GroupNames {
    most: usize,
    names: Vec<Arc<str>>,
    /// DNs in lower case: a directory compares them so, and may spell one in two ways.
    known: HashSet<String>,
    too_many: bool,
}

impl GroupNames {
    /// None yet, and so many at most.
    pub(super) fn new(most: usize) -> Self {
        Self { most, names: Vec::new(), known: HashSet::new(), too_many: false }
    }

    /// How many there may be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// There are more than were told.
    pub(super) fn are_too_many(&mut self) {
        self.too_many = true;
    }

    /// Adds a group by its DN, and by the name that is the first part of it.
    pub(super) fn add(&mut self, dn: &str) {
        if self.too_many || check_group_name(dn).is_err() || !self.known.insert(dn.to_lowercase()) {
            return;
        }
        if self.known.len() > self.most {
            self.too_many = true;
            return;
        }
        self.names.push(dn.into());
        if let Some(name) = common_name(dn).filter(|name| check_group_name(name).is_ok()) {
            self.names.push(name.into());
        }
    }

    /// The names; `None` when there are too many.
    pub(super) fn into_names(self) -> Option<Vec<Arc<str>>> {
        let mut known = HashSet::new();
        let each = self.names.into_iter().filter(|name| known.insert(name.clone())).collect();
        (!self.too_many).then_some(each)
    }
}

/// The value of the first part of a DN (RFC 4514), where that is a common name and nothing else.
fn common_name(dn: &str) -> Option<String> {
    let (attribute, value) = dn.split_once('=')?;
    let attribute = attribute.trim();
    if !attribute.eq_ignore_ascii_case("cn") && attribute != "2.5.4.3" {
        return None;
    }
    let mut bytes = value.trim_start_matches(' ').bytes();
    // Spaces that are not escaped do not count at the end.
    let (mut name, mut end) = (Vec::new(), 0);
    while let Some(byte) = bytes.next() {
        match byte {
            b',' | b';' => break,
            // Two attributes in one part, quotes of old, or bytes in hexadecimal: nobody's name.
            b'+' | b'"' => return None,
            b'#' if name.is_empty() => return None,
            b'\\' => {
                let first = bytes.next()?;
                match char::from(first).to_digit(16) {
                    Some(high) => {
                        let low = char::from(bytes.next()?).to_digit(16)?;
                        name.push(u8::try_from(high * 16 + low).ok()?);
                    }
                    None => name.push(first),
                }
                end = name.len();
            }
            other => {
                name.push(other);
                if other != b' ' {
                    end = name.len();
                }
            }
        }
    }
    name.truncate(end);
    String::from_utf8(name).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_group_is_the_first_part_of_its_dn() {
        for (dn, name) in [
            ("cn=internet,ou=groups,dc=corp,dc=example", Some("internet")),
            ("CN=Domain Admins,CN=Users,DC=corp,DC=example", Some("Domain Admins")),
            ("2.5.4.3=x,dc=y", Some("x")),
            ("cn = spaced  , dc=y", Some("spaced")),
            (r"cn=end\ ,dc=y", Some("end ")),
            (r"cn=a\,b\2Bc\\,dc=y", Some(r"a,b+c\")),
            (r"cn=B\c3\bcro,dc=y", Some("B\u{fc}ro")),
            ("cn=B\u{fc}ro,dc=y", Some("B\u{fc}ro")),
            (r"cn=\#1,dc=y", Some("#1")),
            ("cn=alone", Some("alone")),
            ("ou=staff,dc=y", None),
            ("cn=a+ou=b,dc=y", None),
            ("cn=#04024869,dc=y", None),
            (r"cn=a\", None),
            (r"cn=a\f", None),
            (r"cn=a\fx,dc=y", None),
            (r"cn=\ff,dc=y", None),
            ("cn=,dc=y", None),
            ("", None),
        ] {
            assert_eq!(common_name(dn).as_deref(), name, "{dn}");
        }
    }

    #[test]
    fn groups_count_once_and_are_bounded() {
        let mut groups = GroupNames::new(2);
        for dn in ["cn=web,dc=a", "CN=Web,DC=a", "cn=web,dc=b", "", "cn=a\nb"] {
            groups.add(dn);
        }
        let names = groups.into_names().unwrap();
        let names: Vec<_> = names.iter().map(|name| &**name).collect();
        assert_eq!(names, ["cn=web,dc=a", "web", "cn=web,dc=b"]);
        let mut groups = GroupNames::new(1);
        groups.add("cn=a");
        groups.add("cn=b");
        groups.add("cn=a");
        assert_eq!(groups.into_names(), None);
    }
}
