//! Files of groups and their users, in the form of Apache's `AuthGroupFile`.
//!
//! Read here and not where users are checked, so that whatever reads a configuration can say what is
//! wrong with a line.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::htpasswd::check_user_name;
use crate::identity::check_group_name;

/// A file that is no file of groups.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {what}")]
pub struct GroupFileError {
    /// The line, from 1; of one that goes on in the next, where it begins.
    pub line: usize,
    /// What is wrong with it, as words that follow "line 3 …".
    pub what: String,
}

/// Users and the groups that they are in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GroupFile {
    groups: HashMap<Arc<str>, Arc<[Arc<str>]>>,
}

impl fmt::Debug for GroupFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupFile({} users)", self.groups.len())
    }
}

impl GroupFile {
    /// Reads `group: user user …` from each line. A line that ends with `\` goes on in the next; empty
    /// lines and those that begin with `#` are passed over. A group may stand on several lines. A user with
    /// spaces stands in quotes.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, GroupFileError> {
        let mut users: HashMap<String, BTreeSet<Arc<str>>> = HashMap::new();
        for (number, line) in lines(bytes)? {
            let wrong = |what: String| GroupFileError { line: number, what };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (group, members) = line
                .split_once(':')
                .ok_or_else(|| wrong("has no colon behind the name of a group".to_owned()))?;
            let group = group.trim_end();
            check_group_name(group).map_err(|what| wrong(format!("has a group name that {what}")))?;
            let group: Arc<str> = group.into();
            for user in words(members) {
                let user = user.map_err(|what| wrong(what.to_owned()))?;
                // Users of tokens may have colons.
                check_user_name(&user.replace(':', "_"))
                    .map_err(|what| wrong(format!("has a user name that {what}")))?;
                users.entry(user).or_default().insert(group.clone());
            }
        }
        let shared = |(user, groups): (String, BTreeSet<_>)| (user.into(), groups.into_iter().collect());
        Ok(Self { groups: users.into_iter().map(shared).collect() })
    }

    /// The groups of a user.
    #[must_use]
    pub fn of(&self, user: &str) -> &[Arc<str>] {
        self.groups.get(user).map_or(&[], |groups| groups)
    }

    /// Every user with the groups, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Arc<str>])> {
        self.groups.iter().map(|(user, groups)| (&**user, &**groups))
    }

    /// How many users are in groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

/// The lines with the numbers that they begin at; those that go on are put together.
fn lines(bytes: &[u8]) -> Result<Vec<(usize, String)>, GroupFileError> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line)
            .map_err(|_| GroupFileError { line: index + 1, what: "is not UTF-8".to_owned() })?;
        let (line, continued) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, begun)) => begun.push_str(line),
            None => lines.push((index + 1, line.to_owned())),
        }
        goes_on = continued;
    }
    Ok(lines)
}

/// Words between spaces, or in quotes (`"` or `'`), in which `\` stands before a quote or another `\`.
fn words(text: &str) -> impl Iterator<Item = Result<String, &'static str>> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        if !matches!(first, '"' | '\'') {
            let (word, behind) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
            rest = behind;
            return Some(Ok(word.to_owned()));
        }
        let mut word = String::new();
        let mut characters = rest[1..].char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            match character {
                quote if quote == first => {
                    rest = &rest[1 + at + 1..];
                    return Some(Ok(word));
                }
                '\\' => {
                    let escaped = characters.next_if(|(_, next)| *next == first || *next == '\\');
                    word.push(escaped.map_or('\\', |(_, escaped)| escaped));
                }
                other => word.push(other),
            }
        }
        rest = "";
        Some(Err("has a quote that is not closed"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(file: &GroupFile, user: &str) -> Vec<String> {
        file.of(user).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reads_groups_as_apache_does() {
        let text = "# the staff\n\nstaff: alice bob\\\n  carol\r\nbuild:\tbob\n  Domain Users : \"Jane Doe\" 'o\\'hara' \
                    system:serviceaccount:shop:cart\nempty:\nstaff: dave alice\n";
        let file = GroupFile::parse(text.as_bytes()).unwrap();
        assert_eq!(file.len(), 7);
        assert_eq!(of(&file, "alice"), ["staff"], "once, although it stands there twice");
        assert_eq!(of(&file, "bob"), ["build", "staff"]);
        assert_eq!(of(&file, "carol"), ["staff"], "the line goes on");
        assert_eq!(of(&file, "Jane Doe"), ["Domain Users"]);
        assert_eq!(of(&file, "o'hara"), ["Domain Users"]);
        assert_eq!(of(&file, "system:serviceaccount:shop:cart"), ["Domain Users"]);
        assert_eq!(of(&file, "dave"), ["staff"], "a group may stand on several lines");
        assert!(of(&file, "mallory").is_empty() && of(&file, "").is_empty() && of(&file, "Alice").is_empty());
    }

    #[test]
    fn a_comment_that_goes_on_is_a_comment() {
        let file = GroupFile::parse(b"# staff: \\\nadmins: mallory\nstaff: alice \\").unwrap();
        assert_eq!((of(&file, "alice"), file.len()), (vec!["staff".to_owned()], 1));
        assert!(GroupFile::parse(b"").unwrap().is_empty());
    }

    #[test]
    fn refuses_what_holds_no_groups_and_says_where() {
        for (text, line, words) in [
            ("staff alice\n", 1, "no colon"),
            ("a: b\n: alice\n", 2, "a group name that is empty"),
            ("a: b\\\n c\n\nb\u{1}: x\n", 4, "a group name that holds a control character"),
            ("a: b\nc: \\\n \"d\n", 2, "a quote that is not closed"),
            ("a: \"\"\n", 1, "a user name that is empty"),
            ("a: b\u{1}\n", 1, "a user name that holds a control character"),
        ] {
            let error = GroupFile::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(GroupFile::parse(b"a: b\n\xff: c").unwrap_err().line, 2);
        assert!(GroupFile::parse(format!("a: {}", "u".repeat(256)).as_bytes()).is_err());
        assert!(GroupFile::parse(format!("{}: a", "g".repeat(1025)).as_bytes()).is_err());
    }
}
