//! Conditions: what is the case, since when, and why.

use egret_config::file::{ConditionStatus, StatusCondition};
use jiff::Timestamp;

/// The longest message. The API server takes 32 KiB; nobody reads so much.
const LONGEST: usize = 2000;

/// What is to be said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// The type.
    pub(crate) kind: &'static str,
    /// Whether it is so; `None` if nobody knows yet.
    pub(crate) status: Option<bool>,
    /// Why, in one word.
    pub(crate) reason: &'static str,
    /// Why, in words.
    pub(crate) message: String,
}

impl Said {
    pub(crate) fn new(
        kind: &'static str,
        status: impl Into<Option<bool>>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, status: status.into(), reason, message: message.into() }
    }
}

/// The conditions from now on. Those that are the same keep their time; what somebody else put there stays.
pub(crate) fn merge(
    before: &[StatusCondition],
    said: &[Said],
    generation: i64,
    now: Timestamp,
) -> Vec<StatusCondition> {
    let mut all: Vec<StatusCondition> = said
        .iter()
        .map(|said| {
            let status = match said.status {
                Some(true) => ConditionStatus::True,
                Some(false) => ConditionStatus::False,
                None => ConditionStatus::Unknown,
            };
            let known = before.iter().find(|known| known.kind == said.kind && known.status == status);
            let seconds = Timestamp::from_second(now.as_second()).unwrap_or(now);
            StatusCondition {
                kind: said.kind.to_owned(),
                status,
                observed_generation: Some(generation),
                last_transition_time: known
                    .map_or_else(|| seconds.to_string(), |known| known.last_transition_time.clone()),
                reason: said.reason.to_owned(),
                message: said.message.chars().take(LONGEST).collect(),
            }
        })
        .collect();
    all.extend(before.iter().filter(|known| said.iter().all(|said| said.kind != known.kind)).cloned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_changes_with_the_status_alone() {
        let (early, late) = (Timestamp::from_second(1000).unwrap(), Timestamp::from_second(2000).unwrap());
        let first = merge(&[], &[Said::new("Ready", true, "A", "a")], 1, early);
        assert_eq!(first[0].last_transition_time, "1970-01-01T00:16:40Z");
        let same = merge(&first, &[Said::new("Ready", true, "B", "b")], 2, late);
        assert_eq!(
            (same[0].last_transition_time.as_str(), same[0].reason.as_str()),
            ("1970-01-01T00:16:40Z", "B")
        );
        let other = merge(&same, &[Said::new("Ready", false, "C", "c")], 2, late);
        assert_eq!(other[0].last_transition_time, "1970-01-01T00:33:20Z");
    }

    #[test]
    fn keeps_what_others_say() {
        let before = merge(&[], &[Said::new("Theirs", true, "A", "a")], 1, Timestamp::UNIX_EPOCH);
        let all = merge(&before, &[Said::new("Ready", None, "B", "b")], 1, Timestamp::UNIX_EPOCH);
        let kinds: Vec<_> = all.iter().map(|condition| condition.kind.as_str()).collect();
        assert_eq!(kinds, ["Ready", "Theirs"]);
    }
}
