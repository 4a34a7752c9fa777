//! What has changed, by identity and rule, within bounds.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::decide::Decision;
use super::super::output::{Paint, Table, number, plain};
use super::super::records::Record;
use super::super::suggest::when;

/// The most combinations of identity and rule that are told apart.
const MOST_GROUPS: usize = 10_000;
/// So many destinations are kept as examples of each.
const EXAMPLES: usize = 3;

/// What is another than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Change {
    NewlyDenied,
    NewlyAllowed,
    /// Allowed still, and a policy in mode Audit would deny it.
    AuditDenied,
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Self::NewlyDenied => "newlyDenied",
            Self::NewlyAllowed => "newlyAllowed",
            Self::AuditDenied => "auditDenied",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::NewlyDenied => "Newly denied",
            Self::NewlyAllowed => "Newly allowed",
            Self::AuditDenied => "Allowed, and denied by a policy in mode Audit",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    change: Change,
    whom: String,
    policy: Arc<str>,
    rule: Option<Arc<str>>,
}

#[derive(Clone, Debug, Default)]
struct Group {
    flows: u64,
    first: Option<i64>,
    last: Option<i64>,
    examples: Vec<String>,
}

impl Group {
    fn note(&mut self, record: &Record<'_>) {
        self.flows += 1;
        let time = record.fields.time;
        self.first = [self.first, time].into_iter().flatten().min();
        self.last = [self.last, time].into_iter().flatten().max();
        if self.examples.len() < EXAMPLES {
            let example = record.destination().to_string();
            if !self.examples.contains(&example) {
                self.examples.push(example);
            }
        }
    }
}

/// What has changed.
#[derive(Debug, Default)]
pub(super) struct Summary {
    groups: HashMap<Key, Group>,
    /// What did not fit, together.
    others: HashMap<Change, Group>,
}

impl Summary {
    /// Takes a flow that is decided otherwise now.
    pub(super) fn add(&mut self, change: Change, record: &Record<'_>, decision: &Decision) {
        let (policy, rule) = match (change, &decision.audit) {
            (Change::AuditDenied, Some(facts)) => (facts.policy.clone(), Some(facts.rule.clone())),
            _ => decision.by_words(),
        };
        let key = Key { change, whom: whom(record), policy, rule };
        if let Some(group) = self.groups.get_mut(&key) {
            group.note(record);
        } else if self.groups.len() < MOST_GROUPS {
            self.groups.entry(key).or_default().note(record);
        } else {
            self.others.entry(change).or_default().note(record);
        }
    }

    fn sorted(&self, change: Change) -> Vec<(&Key, &Group)> {
        let mut groups: Vec<_> = self.groups.iter().filter(|(key, _)| key.change == change).collect();
        groups.sort_by(|(one, this), (other, that)| {
            that.flows.cmp(&this.flows).then_with(|| {
                (&one.whom, &one.policy, &one.rule).cmp(&(&other.whom, &other.policy, &other.rule))
            })
        });
        groups
    }

    /// A table of one kind of change; empty when there is none.
    pub(super) fn table(&self, change: Change, top: usize, paint: Paint) -> String {
        let groups = self.sorted(change);
        if groups.is_empty() {
            return String::new();
        }
        let shown = if top == 0 { groups.len() } else { top };
        let mut table = Table::new(&["FLOWS", "WHO", "POLICY", "RULE", "FIRST", "LAST", "FOR EXAMPLE"]);
        for (key, group) in groups.iter().take(shown) {
            let time = |millis: Option<i64>| millis.and_then(when).unwrap_or_else(|| "-".to_owned());
            table.row([
                number(group.flows),
                key.whom.clone(),
                key.policy.to_string(),
                key.rule.as_deref().unwrap_or("-").to_owned(),
                time(group.first),
                time(group.last),
                group.examples.join(", "),
            ]);
        }
        let mut text = format!("{}\n", paint.strong(change.heading()));
        text.push_str(
            &table.render(|row, _, cell| if row == 0 { paint.faint(cell) } else { cell.to_owned() }),
        );
        let rest = groups.iter().skip(shown).map(|(_, group)| group.flows).sum::<u64>()
            + self.others.get(&change).map_or(0, |group| group.flows);
        if rest > 0 {
            // Writing to memory cannot fail.
            let _ = writeln!(text, "  {:<5}  of others", number(rest));
        }
        text.push('\n');
        text
    }

    /// All of it, for programs.
    pub(super) fn json(&self) -> Value {
        let mut list = Vec::new();
        for change in [Change::NewlyDenied, Change::NewlyAllowed, Change::AuditDenied] {
            let groups = self.sorted(change).into_iter().map(|(key, group)| (Some(key), group));
            let others = self.others.get(&change).map(|group| (None, group));
            list.extend(groups.chain(others).map(|(key, group)| {
                json!({
                    "change": change.as_str(),
                    "identity": key.map_or("others", |key| &key.whom),
                    "policy": key.map(|key| &*key.policy),
                    "rule": key.and_then(|key| key.rule.as_deref()),
                    "flows": group.flows,
                    "firstSeen": group.first.and_then(when),
                    "lastSeen": group.last.and_then(when),
                    "examples": group.examples,
                })
            }));
        }
        Value::Array(list)
    }
}

/// The name that stands for the client.
fn whom(record: &Record<'_>) -> String {
    let fields = &record.fields;
    if let Some(user) = &fields.user {
        return plain(user, 200);
    }
    if let Some(name) = &fields.certificate {
        return plain(name, 200);
    }
    if let Some((namespace, account)) = record.account() {
        return plain(&format!("{namespace}/{}", account.unwrap_or("-")), 200);
    }
    fields.client.map_or_else(|| "unknown".to_owned(), |client| client.to_string())
}
