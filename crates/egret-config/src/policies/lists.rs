//! What no schema says about `hostLists` and `categories`.

use std::collections::HashMap;

use crate::config::Config;
use crate::file::HostList;
use crate::lists::ListKind;
use crate::problem::Problem;
use crate::suggest;
use crate::walk::MOST_FINDINGS;

/// Everything that is wrong with them.
pub(super) fn check(config: &Config, complete: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for kind in ListKind::ALL {
        let lists = kind.lists(config.file());
        let mut check = Check { config, kind, lists, problems: &mut problems };
        check.names();
        for (index, list) in lists.iter().enumerate() {
            check.content(index, list, complete);
            if complete {
                check.includes(index, list);
            }
        }
        if complete {
            check.circles();
        }
    }
    problems.truncate(MOST_FINDINGS);
    problems
}

struct Check<'a> {
    config: &'a Config,
    kind: ListKind,
    lists: &'a [HostList],
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn find(&mut self, pointer: &str, message: &str, help: &str) {
        let help = (!help.is_empty()).then_some(help);
        self.problems.push(self.config.problem(pointer, message, help));
    }

    fn at(&self, index: usize, field: &str) -> String {
        format!("/{}/{index}/{field}", self.kind.field())
    }

    fn names(&mut self) {
        let mut seen = HashMap::new();
        for (index, list) in self.lists.iter().enumerate() {
            if let Some(first) = seen.insert(&list.name.0, index) {
                let first = self.config.place(&self.at(first, "name"));
                let message = format!("the name `{}` is taken", list.name.0);
                self.find(&self.at(index, "name"), &message, &format!("the other is {first}"));
            }
        }
    }

    fn content(&mut self, index: usize, list: &HostList, complete: bool) {
        let has_content = list.file.is_some() || !list.hosts.is_empty() || !list.include.is_empty();
        if complete && !has_content {
            let message = format!("the {} has nothing on it", self.kind.noun());
            self.find(&self.at(index, "name"), &message, "add a `file`, `hosts`, or lists to `include`");
        }
        if complete && list.file.is_none() && self.config.is_written(&self.at(index, "format")) {
            let help = "remove it; what stands under `hosts` are patterns";
            self.find(&self.at(index, "format"), "there is no file whose format this could be", help);
        }
    }

    fn includes(&mut self, index: usize, list: &HostList) {
        for (number, include) in list.include.iter().enumerate() {
            if self.lists.iter().all(|other| other.name != *include) {
                let known: Vec<&str> = self.lists.iter().map(|list| list.name.0.as_str()).collect();
                let message = format!("there is no {} `{}`", self.kind.noun(), include.0);
                let help = suggestion(&include.0, &known, self.kind);
                self.find(&format!("{}/{number}", self.at(index, "include")), &message, &help);
            }
        }
    }

    /// Says of each circle of lists once that it is one.
    fn circles(&mut self) {
        let by_name: HashMap<&str, usize> =
            self.lists.iter().enumerate().map(|(index, list)| (list.name.0.as_str(), index)).collect();
        let mut done = vec![false; self.lists.len()];
        for start in 0..self.lists.len() {
            let mut way = Vec::new();
            self.follow(start, &by_name, &mut way, &mut done);
        }
    }

    fn follow(
        &mut self,
        index: usize,
        by_name: &HashMap<&str, usize>,
        way: &mut Vec<usize>,
        done: &mut [bool],
    ) {
        if done[index] {
            return;
        }
        way.push(index);
        let lists = self.lists;
        for (number, include) in lists[index].include.iter().enumerate() {
            let Some(next) = by_name.get(include.0.as_str()).copied() else { continue };
            if let Some(first) = way.iter().position(|known| *known == next) {
                let circle = way[first..].iter().chain([&next]);
                let circle: Vec<_> = circle.map(|index| lists[*index].name.0.as_str()).collect();
                let message = format!("the {} includes itself: {}", self.kind.noun(), circle.join(" -> "));
                let pointer = format!("{}/{number}", self.at(index, "include"));
                self.find(&pointer, &message, "take one of them out");
            } else {
                self.follow(next, by_name, way, done);
            }
        }
        way.pop();
        done[index] = true;
    }
}

/// What was meant by the name of a list that is not there.
pub(super) fn suggestion(name: &str, known: &[&str], kind: ListKind) -> String {
    match suggest::closest(name, known) {
        Some(close) => format!("did you mean `{close}`?"),
        None if known.is_empty() => format!("define it under `{}`", kind.field()),
        None => {
            let shown: Vec<_> = known.iter().take(8).copied().collect();
            format!("define it under `{}`, where there are {}", kind.field(), shown.join(", "))
        }
    }
}
