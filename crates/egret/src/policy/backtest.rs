//! `egret policy backtest`: the flows of the past under new policies.

mod summary;

use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::str::FromStr;

use egret_config::PolicyBook;
use egret_core::policy::model::Rule;
use serde_json::{Value, json};

use super::args::{BacktestArgs, Output};
use super::decide::{Answer, Interception, Question, interception};
use super::output::{Paint, count, number};
use super::records::{Record, Source, Stats, Was, read_all};
use super::target::{Fields, Request};
use super::{FOUND, ToolError, other, read_book};
use summary::{Change, Summary};

/// How many newly denied flows are borne with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Threshold {
    /// So many.
    Flows(u64),
    /// So many of a hundred flows.
    Percent(f64),
}

impl FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no threshold; write a number of flows, as in 10, or a share, as in 0.5%");
        match text.strip_suffix('%') {
            Some(share) => match share.trim().parse::<f64>() {
                Ok(share) if (0.0..=100.0).contains(&share) => Ok(Self::Percent(share)),
                _ => Err(wrong()),
            },
            None => text.parse().map(Self::Flows).map_err(|_| wrong()),
        }
    }
}

impl Threshold {
    fn is_exceeded(self, denied: u64, all: u64) -> bool {
        match self {
            Self::Flows(flows) => denied > flows,
            #[allow(clippy::cast_precision_loss)] // counts of lines are far below 2^52
            Self::Percent(share) => denied as f64 > share / 100.0 * all as f64,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Flows(flows) => count(flows, "flow"),
            Self::Percent(share) => format!("{share}% of all flows"),
        }
    }
}

/// Decides the past again.
pub(super) fn run(args: &BacktestArgs) -> Result<ExitCode, ToolError> {
    let (policies, records) = match (args.policies.as_slice(), args.against.as_slice()) {
        // `--against RECORDS NEW` takes both for records.
        ([], [records @ .., policies]) if !records.is_empty() => (std::slice::from_ref(policies), records),
        ([], _) => {
            return Err(other(
                "say which policies are to be tried: egret policy backtest NEW --against RECORDS",
            ));
        }
        (policies, records) => (policies, records),
    };
    let book = read_book(policies, args.default)?;
    let sources: Vec<Source> = records.iter().map(Source::from).collect();
    let mut test = Backtest {
        can_open: interception(&book) != Interception::Off,
        book: &book,
        summary: Summary::default(),
        totals: Totals::default(),
    };
    let stats = read_all(&sources, |record| test.take(record))?;
    let Backtest { summary, totals, .. } = test;
    let exceeded = args.threshold.is_exceeded(totals.newly_denied, totals.flows);
    let result = Finished { totals, summary, stats, notes: notes(&book), exceeded, args };
    let printed = match args.format {
        Output::Json => crate::print(&format!("{:#}\n", result.json())),
        Output::Text => crate::print(&result.text(Paint::of_stdout())),
    };
    Ok(if exceeded { ExitCode::from(FOUND) } else { printed })
}

/// Counts of flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    flows: u64,
    still_allowed: u64,
    still_denied: u64,
    newly_denied: u64,
    newly_allowed: u64,
    /// Allowed, and a policy in mode Audit would deny it.
    audit_denied: u64,
    /// Decided without an address, where rules on addresses could say something else.
    without_address: u64,
}

struct Backtest<'a> {
    book: &'a PolicyBook,
    can_open: bool,
    summary: Summary,
    totals: Totals,
}

impl Backtest<'_> {
    fn take(&mut self, record: &Record<'_>) {
        // The last line of a tunnel says all that there is to say.
        if record.fields.interim {
            return;
        }
        let answer = self.decide(record);
        let was_allowed = matches!(record.was, Was::Reached | Was::Failed);
        self.totals.flows += 1;
        self.totals.without_address += u64::from(answer.decision.wants_address);
        let change = match (was_allowed, answer.decision.allowed) {
            (true, true) => {
                self.totals.still_allowed += 1;
                if answer.decision.audit.is_none() {
                    return;
                }
                self.totals.audit_denied += 1;
                Change::AuditDenied
            }
            (false, false) => {
                self.totals.still_denied += 1;
                return;
            }
            (true, false) => {
                self.totals.newly_denied += 1;
                Change::NewlyDenied
            }
            (false, true) => {
                self.totals.newly_allowed += 1;
                Change::NewlyAllowed
            }
        };
        self.summary.add(change, record, &answer.decision);
    }

    fn decide(&self, record: &Record<'_>) -> Answer {
        let fields = &record.fields;
        let headers = fields.user_agent.iter().map(|agent| ("user-agent".to_owned(), agent.to_string()));
        let request = Request {
            method: Some(fields.method.to_string()),
            headers: Fields(headers.collect()),
            body_length: (fields.bytes_up > 0).then_some(fields.bytes_up),
        };
        let mut identity = record.identity();
        if let (Some(user), Some(groups)) = (&mut identity.user, &self.book.groups) {
            user.groups = groups.of(&user.name).to_vec().into();
        }
        let addresses: &[IpAddr] = fields.dialled.as_slice();
        let question = Question {
            identity: &identity,
            target: &record.target,
            request: &request,
            addresses,
            now: record.when(),
            can_open: self.can_open,
        };
        // A request for an https:// URL was seen: it did not pass in a tunnel.
        match question.request_ask().filter(|_| record.target.is_tunnel()) {
            Some(ask) => Answer {
                decision: super::decide::decide(&self.book.gate, &ask, addresses),
                treatment: "Intercept",
                tunnel: None,
            },
            None => question.answer(&self.book.gate),
        }
    }
}

/// What policies ask that records do not say.
fn notes(book: &PolicyBook) -> Vec<&'static str> {
    let policies = || book.policies.iter().map(|written| &written.policy);
    let rules = || policies().flat_map(|policy| &policy.rules);
    let asks_fields = |rule: &Rule| {
        rule.http.as_ref().is_some_and(|http| !http.headers.is_empty() || !http.content_types.is_empty())
    };
    let mut notes = Vec::new();
    if policies().flat_map(|policy| &policy.from).any(|source| !source.groups.is_empty()) {
        notes.push(match &book.groups {
            Some(_) => {
                "policies ask about groups, which records do not have: those of `groupsFile` alone count"
            }
            None => "policies ask about groups, which records do not have: users are in none here",
        });
    }
    let asks_labels = policies()
        .flat_map(|policy| &policy.from)
        .any(|source| source.pod_selector.is_some() || source.namespace_selector.is_some());
    if asks_labels {
        notes.push("policies ask about labels, which records do not have: workloads have none here");
    }
    if rules().any(asks_fields) {
        notes.push("rules ask about header fields, of which records have the User-Agent alone");
    }
    notes
}

struct Finished<'a> {
    totals: Totals,
    summary: Summary,
    stats: Stats,
    notes: Vec<&'static str>,
    exceeded: bool,
    args: &'a BacktestArgs,
}

impl Finished<'_> {
    fn json(&self) -> Value {
        let totals = &self.totals;
        json!({
            "flows": totals.flows,
            "stillAllowed": totals.still_allowed,
            "stillDenied": totals.still_denied,
            "newlyDenied": totals.newly_denied,
            "newlyAllowed": totals.newly_allowed,
            "auditDenied": totals.audit_denied,
            "withoutAddress": totals.without_address,
            "thresholdExceeded": self.exceeded,
            "records": self.stats.json(),
            "notes": self.notes,
            "changes": self.summary.json(),
        })
    }

    fn text(&self, paint: Paint) -> String {
        let totals = &self.totals;
        let mut text = String::new();
        for change in [Change::NewlyDenied, Change::NewlyAllowed, Change::AuditDenied] {
            text.push_str(&self.summary.table(change, self.args.top, paint));
        }
        // Writing to memory cannot fail, here and below.
        let _ = writeln!(
            text,
            "{}: {} newly denied, {} newly allowed, {} still allowed, {} still denied",
            count(totals.flows, "flow"),
            if totals.newly_denied > 0 {
                paint.bad(&number(totals.newly_denied))
            } else {
                number(totals.newly_denied)
            },
            number(totals.newly_allowed),
            number(totals.still_allowed),
            number(totals.still_denied),
        );
        if totals.audit_denied > 0 {
            let _ = writeln!(
                text,
                "{} allowed, and a policy in mode Audit would deny it",
                count(totals.audit_denied, "flow")
            );
        }
        if totals.without_address > 0 {
            let _ = writeln!(
                text,
                "{} decided by name alone: the record has no address of the destination, and rules ask for it",
                count(totals.without_address, "flow")
            );
        }
        for line in self.stats.words() {
            let _ = writeln!(text, "{line}");
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        if self.exceeded {
            let _ = writeln!(
                text,
                "{}",
                paint.bad(&format!("above the threshold of {}", self.args.threshold.words()))
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_numbers_or_shares() {
        assert_eq!("10".parse(), Ok(Threshold::Flows(10)));
        assert_eq!("0.5%".parse(), Ok(Threshold::Percent(0.5)));
        for bad in ["", "-1", "x", "101%", "%", "NaN%"] {
            assert!(bad.parse::<Threshold>().is_err(), "{bad}");
        }
        assert!(Threshold::Flows(0).is_exceeded(1, 100));
        assert!(!Threshold::Flows(1).is_exceeded(1, 100));
        assert!(Threshold::Percent(1.0).is_exceeded(2, 100));
        assert!(!Threshold::Percent(1.0).is_exceeded(1, 100));
        assert!(!Threshold::Percent(0.0).is_exceeded(0, 0));
    }
}
