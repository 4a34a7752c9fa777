//! The lists of change rules and breakpoints, as people edit them.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::desk::MAX_HELD_TIME;
use super::{Active, Breakpoint, ChangeError, Changes, MAX_BREAKPOINTS};
use crate::filter::Filter;
use crate::flow::Side;
use crate::rules::{Hits, MAX_RULES, RuleError, RuleSpec, Rules};

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleSource {
    /// In the configuration file, where alone it can be changed.
    Config,
    /// Somebody added it while the proxy ran; it is gone with the process.
    Console,
}

/// A rule in the list.
#[derive(Clone, Debug)]
pub struct RuleView {
    /// Its id.
    pub id: String,
    /// The rule.
    pub spec: RuleSpec,
    /// Where it stands.
    pub source: RuleSource,
    /// How often it applied.
    pub hits: u64,
    /// When it applied last, in microseconds since 1970.
    pub last_hit: Option<u64>,
}

/// Which messages a breakpoint holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sides {
    /// Requests.
    #[default]
    Request,
    /// Responses.
    Response,
    /// Both.
    Both,
}

impl Sides {
    pub(super) fn has(self, side: Side) -> bool {
        match self {
            Self::Request => side == Side::Request,
            Self::Response => side == Side::Response,
            Self::Both => true,
        }
    }
}

/// What becomes of a flow that nobody let go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTimeout {
    /// It goes on as it is.
    #[default]
    GoOn,
    /// It is refused.
    Drop,
}

/// A breakpoint as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BreakpointSpec {
    /// Which flows, in the filter language; empty for all.
    pub filter: String,
    /// Which messages.
    pub phase: Sides,
    /// Whether it is in force.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How long it holds, in milliseconds; the limit's default where it is left out.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// What becomes of a flow that nobody let go on.
    #[serde(default)]
    pub on_timeout: OnTimeout,
}

fn yes() -> bool {
    true
}

/// A breakpoint in the list.
#[derive(Clone, Debug)]
pub struct BreakpointView {
    /// Its id.
    pub id: String,
    /// The breakpoint.
    pub spec: BreakpointSpec,
    /// How long it holds.
    pub time: Duration,
    /// How many messages it held.
    pub hits: u64,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    id: String,
    spec: T,
    hits: Arc<Hits>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    configured: Vec<Entry<RuleSpec>>,
    rules: Vec<Entry<RuleSpec>>,
    breakpoints: Vec<Entry<BreakpointSpec>>,
    next: u64,
}

impl Book {
    fn id(&mut self, letter: char) -> String {
        self.next += 1;
        format!("{letter}{}", self.next)
    }

    fn all_rules(&self) -> impl Iterator<Item = (RuleSource, &Entry<RuleSpec>)> {
        let configured = self.configured.iter().map(|entry| (RuleSource::Config, entry));
        configured.chain(self.rules.iter().map(|entry| (RuleSource::Console, entry)))
    }

    pub(super) fn compile(&self, time: Duration) -> Result<Option<Active>, ChangeError> {
        if self.configured.len() + self.rules.len() > MAX_RULES {
            return Err(RuleError::TooMany.into());
        }
        let specs = self.all_rules().map(|(_, entry)| (&entry.spec, entry.hits.clone()));
        let rules = Rules::compile_counted(specs)?;
        let breakpoints: Vec<_> = self
            .breakpoints
            .iter()
            .filter(|entry| entry.spec.enabled)
            .map(|entry| {
                Ok(Breakpoint {
                    id: entry.id.as_str().into(),
                    written: entry.spec.filter.as_str().into(),
                    time: time_of(&entry.spec, time),
                    on_timeout: entry.spec.on_timeout,
                    filter: Filter::parse(&entry.spec.filter)?,
                    sides: entry.spec.phase,
                    hits: entry.hits.clone(),
                })
            })
            .collect::<Result<_, ChangeError>>()?;
        Ok((!rules.is_empty() || !breakpoints.is_empty()).then_some(Active { rules, breakpoints }))
    }
}

fn time_of(spec: &BreakpointSpec, default: Duration) -> Duration {
    spec.timeout_ms.map_or(default, Duration::from_millis).min(MAX_HELD_TIME)
}

fn check_rule(spec: &RuleSpec) -> Result<(), ChangeError> {
    // Also of one that is not in force: it would surprise whoever switches it on.
    let enabled = RuleSpec { enabled: true, ..spec.clone() };
    Ok(Rules::compile(&[enabled]).map(|_| ())?)
}

fn check_breakpoint(spec: &BreakpointSpec) -> Result<(), ChangeError> {
    let filter = Filter::parse(&spec.filter)?;
    if filter.needs_bodies() {
        return Err(ChangeError::Breakpoint(
            "the filter looks into bodies, which are not there when a breakpoint is asked; use headers, host, path \
             or method"
                .to_owned(),
        ));
    }
    let most = u64::try_from(MAX_HELD_TIME.as_millis()).unwrap_or(u64::MAX);
    match spec.timeout_ms {
        Some(millis) if !(1000..=most).contains(&millis) => {
            Err(ChangeError::Breakpoint(format!("timeoutMs is {millis}; write one from 1000 to {most}")))
        }
        _ => Ok(()),
    }
}

fn rule_view(source: RuleSource, entry: &Entry<RuleSpec>) -> RuleView {
    RuleView {
        id: entry.id.clone(),
        spec: entry.spec.clone(),
        source,
        hits: entry.hits.total(),
        last_hit: entry.hits.last(),
    }
}

impl Changes {
    /// The change rules, in the order in which they are applied: those of the configuration first.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleView> {
        self.book().all_rules().map(|(source, entry)| rule_view(source, entry)).collect()
    }

    /// Puts the rules of the configuration into force, in place of those that were there from it. A rule that stays
    /// goes on counting.
    ///
    /// # Errors
    /// They cannot be compiled, or there are too many with those of the console; then nothing has changed.
    pub fn set_configured(&self, specs: &[RuleSpec]) -> Result<(), ChangeError> {
        specs.iter().try_for_each(check_rule)?;
        let mut book = self.book();
        let mut draft = book.clone();
        draft.configured = specs
            .iter()
            .enumerate()
            .map(|(index, spec)| {
                let before = book.configured.iter().find(|entry| entry.spec == *spec);
                let hits = before.map(|entry| entry.hits.clone()).unwrap_or_default();
                Entry { id: format!("config-{}", index + 1), spec: spec.clone(), hits }
            })
            .collect();
        self.commit(&mut book, draft, |news| news.rules += 1)
    }

    /// Adds a rule behind all others.
    ///
    /// # Errors
    /// It cannot be compiled, or there are too many.
    pub fn add_rule(&self, spec: RuleSpec) -> Result<RuleView, ChangeError> {
        check_rule(&spec)?;
        let mut book = self.book();
        let mut draft = book.clone();
        let entry = Entry { id: draft.id('c'), spec, hits: Arc::default() };
        let view = rule_view(RuleSource::Console, &entry);
        draft.rules.push(entry);
        self.commit(&mut book, draft, |news| news.rules += 1)?;
        Ok(view)
    }

    /// Puts a rule in the place of another. It goes on counting.
    ///
    /// # Errors
    /// There is none of this id, it is from the configuration, or the new one cannot be compiled.
    pub fn replace_rule(&self, id: &str, spec: RuleSpec) -> Result<RuleView, ChangeError> {
        check_rule(&spec)?;
        let mut book = self.book();
        let mut draft = book.clone();
        let entry = draft.own_rule(id)?;
        entry.spec = spec;
        let view = rule_view(RuleSource::Console, entry);
        self.commit(&mut book, draft, |news| news.rules += 1)?;
        Ok(view)
    }

    /// Removes a rule.
    ///
    /// # Errors
    /// There is none of this id, or it is from the configuration.
    pub fn remove_rule(&self, id: &str) -> Result<(), ChangeError> {
        let mut book = self.book();
        let mut draft = book.clone();
        draft.own_rule(id)?;
        draft.rules.retain(|entry| entry.id != id);
        self.commit(&mut book, draft, |news| news.rules += 1)
    }

    /// The breakpoints.
    #[must_use]
    pub fn breakpoints(&self) -> Vec<BreakpointView> {
        let time = self.limits().time;
        self.book().breakpoints.iter().map(|entry| breakpoint_view(entry, time)).collect()
    }

    /// Adds a breakpoint.
    ///
    /// # Errors
    /// It makes no sense, or there are too many.
    pub fn add_breakpoint(&self, spec: BreakpointSpec) -> Result<BreakpointView, ChangeError> {
        check_breakpoint(&spec)?;
        let mut book = self.book();
        if book.breakpoints.len() >= MAX_BREAKPOINTS {
            return Err(ChangeError::Breakpoint(format!(
                "there are {MAX_BREAKPOINTS} breakpoints already; remove some"
            )));
        }
        let mut draft = book.clone();
        let entry = Entry { id: draft.id('b'), spec, hits: Arc::default() };
        let view = breakpoint_view(&entry, self.limits().time);
        draft.breakpoints.push(entry);
        self.commit(&mut book, draft, |news| news.breakpoints += 1)?;
        Ok(view)
    }

    /// Puts a breakpoint in the place of another. What the other holds stays held.
    ///
    /// # Errors
    /// There is none of this id, or the new one makes no sense.
    pub fn replace_breakpoint(&self, id: &str, spec: BreakpointSpec) -> Result<BreakpointView, ChangeError> {
        check_breakpoint(&spec)?;
        let mut book = self.book();
        let mut draft = book.clone();
        let entry = draft.breakpoints.iter_mut().find(|entry| entry.id == id);
        let entry = entry.ok_or_else(|| ChangeError::Unknown(id.chars().take(64).collect()))?;
        entry.spec = spec;
        let view = breakpoint_view(entry, self.limits().time);
        self.commit(&mut book, draft, |news| news.breakpoints += 1)?;
        Ok(view)
    }

    /// Removes a breakpoint. What it holds goes on.
    ///
    /// # Errors
    /// There is none of this id.
    pub fn remove_breakpoint(&self, id: &str) -> Result<(), ChangeError> {
        {
            let mut book = self.book();
            let mut draft = book.clone();
            draft.breakpoints.retain(|entry| entry.id != id);
            if draft.breakpoints.len() == book.breakpoints.len() {
                return Err(ChangeError::Unknown(id.chars().take(64).collect()));
            }
            self.commit(&mut book, draft, |news| news.breakpoints += 1)?;
        }
        self.release_where(|breakpoint| breakpoint == id);
        Ok(())
    }

    fn commit(
        &self,
        book: &mut Book,
        draft: Book,
        change: impl FnOnce(&mut super::Revisions),
    ) -> Result<(), ChangeError> {
        self.put_into_force(&draft)?;
        *book = draft;
        self.tell(change);
        Ok(())
    }
}

impl Book {
    fn own_rule(&mut self, id: &str) -> Result<&mut Entry<RuleSpec>, ChangeError> {
        if let Some(entry) = self.configured.iter().find(|entry| entry.id == id) {
            return Err(ChangeError::FromConfig(entry.spec.name.clone()));
        }
        let found = self.rules.iter_mut().find(|entry| entry.id == id);
        found.ok_or_else(|| ChangeError::Unknown(id.chars().take(64).collect()))
    }
}

fn breakpoint_view(entry: &Entry<BreakpointSpec>, time: Duration) -> BreakpointView {
    BreakpointView {
        id: entry.id.clone(),
        spec: entry.spec.clone(),
        time: time_of(&entry.spec, time),
        hits: entry.hits.total(),
    }
}
