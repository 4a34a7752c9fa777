//! The groups of a user.

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::Arc;

/// The longest name of a group, in bytes. Names of a directory are long.
pub const MAX_GROUP_BYTES: usize = 1024;

/// The names of the groups that a user is in. It is known which of them were told by what proved the
/// user, and which by the proxy's own file of groups: when that changes, the others stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups(
    /// One pointer: every connection and flow has it several times. `None` for no groups at all.
    Option<Arc<Names>>,
);

#[derive(Debug, PartialEq, Eq)]
struct Names {
    all: Box<[Arc<str>]>,
    /// How many of them, from the first, were proved with the user.
    proved: usize,
}

impl Groups {
    /// Those that were proved with the user, and these others, instead of the others of before.
    #[must_use]
    pub fn with_others(&self, others: &[Arc<str>]) -> Self {
        let (proved, before) =
            self.0.as_ref().map_or_else(Default::default, |names| names.all.split_at(names.proved));
        if others.is_empty() && before.is_empty() {
            return self.clone();
        }
        let mut known: HashSet<&str> = proved.iter().map(AsRef::as_ref).collect();
        let others: Vec<_> = others.iter().filter(|other| known.insert(other)).collect();
        if others.iter().copied().eq(before) {
            return self.clone();
        }
        Self::new(proved.iter().chain(others).cloned().collect(), proved.len())
    }

    fn new(all: Box<[Arc<str>]>, proved: usize) -> Self {
        Self((!all.is_empty()).then(|| Arc::new(Names { all, proved })))
    }
}

impl Deref for Groups {
    type Target = [Arc<str>];

    fn deref(&self) -> &Self::Target {
        self.0.as_ref().map_or(&[], |names| &names.all)
    }
}

impl From<Vec<Arc<str>>> for Groups {
    /// Groups that were proved with the user.
    fn from(proved: Vec<Arc<str>>) -> Self {
        let count = proved.len();
        Self::new(proved.into(), count)
    }
}

impl FromIterator<Arc<str>> for Groups {
    /// Groups that were proved with the user.
    fn from_iter<I: IntoIterator<Item = Arc<str>>>(proved: I) -> Self {
        proved.into_iter().collect::<Vec<_>>().into()
    }
}

/// Whether a name can be a group's.
///
/// # Errors
/// What is wrong with it, as words that follow "the group name …".
pub fn check_group_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.len() > MAX_GROUP_BYTES {
        return Err("is longer than 1024 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("holds a control character");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn others_replace_the_others_of_before_and_nothing_else() {
        let proved = Groups::from(names(&["staff", "build"]));
        let with = proved.with_others(&names(&["build", "web", "web"]));
        assert_eq!(*with, *names(&["staff", "build", "web"]), "each once");
        let changed = with.with_others(&names(&["ops"]));
        assert_eq!(*changed, *names(&["staff", "build", "ops"]), "what was proved stays, in the file or not");
        assert_eq!(changed.with_others(&[]), proved);
        assert_eq!(*Groups::default().with_others(&names(&["a"])), *names(&["a"]));
    }

    #[test]
    fn what_does_not_change_is_shared() {
        let with = Groups::from(names(&["staff"])).with_others(&names(&["web"]));
        let same = with.with_others(&names(&["web", "staff"]));
        assert!(Arc::ptr_eq(same.0.as_ref().unwrap(), with.0.as_ref().unwrap()));
        assert_eq!(with.with_others(&[]), Groups::from(names(&["staff"])));
        assert!(Groups::default().with_others(&[]).0.is_none() && Groups::from(Vec::new()).0.is_none());
    }

    #[test]
    fn refuses_names_that_no_group_has() {
        for name in ["", "a\nb", "a\u{7f}", &"x".repeat(MAX_GROUP_BYTES + 1)] {
            assert!(check_group_name(name).is_err(), "{name:?}");
        }
        assert!(check_group_name("CN=Domain Admins,OU=Groups,DC=corp,DC=example").is_ok());
    }
}
