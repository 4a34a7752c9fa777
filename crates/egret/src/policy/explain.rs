//! `egret policy explain`.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::SystemTime;

use egret_core::policy::model::{Action, Mode};
use egret_core::policy::{Ask, Explanation, Policies, StepOutcome};
use serde_json::{Value, json};

use super::args::{ExplainArgs, Output};
use super::decide::{Answer, Decision, Interception, Question, interception};
use super::output::{Paint, Table, plain};
use super::subject::{self, Subject};
use super::target::{self, Fields, Request, Target};
use super::{FOUND, ToolError, other, read_book};

/// Explains one flow.
pub(super) fn run(args: &ExplainArgs) -> Result<ExitCode, ToolError> {
    let subject = Subject::parse(&args.who).map_err(|problem| other(format!("--as: {problem}")))?;
    let identity = subject.identity().map_err(|problem| other(format!("--as: {problem}")))?;
    let target =
        Target::parse(&args.url).map_err(|problem| other(format!("{}: {problem}", plain(&args.url, 200))))?;
    let request = request(args)?;
    let addresses = args.address.iter().map(|text| subject::ip(text)).collect::<Result<Vec<_>, _>>();
    let addresses = addresses.map_err(|problem| other(format!("--address: {problem}")))?;
    let now = args.at.as_deref().map_or(Ok(SystemTime::now()), target::time);
    let now = now.map_err(|problem| other(format!("--at: {problem}")))?;
    let book = read_book(&args.config, args.default)?;
    let can_open = interception(&book) != Interception::Off;
    let question = Question {
        identity: &identity,
        target: &target,
        request: &request,
        addresses: &addresses,
        now,
        can_open,
    };
    let explained = Explained::new(&question, &book.gate);
    let printed = match args.format {
        Output::Json => crate::print(&format!("{:#}\n", explained.json(&subject, &target))),
        Output::Text => crate::print(&explained.text(&subject, &target, Paint::of_stdout())),
    };
    if args.exit_code && !explained.answer.decision.allowed {
        return Ok(ExitCode::from(FOUND));
    }
    Ok(printed)
}

fn request(args: &ExplainArgs) -> Result<Request, ToolError> {
    let mut headers = Vec::new();
    for field in &args.header {
        let Some((name, value)) = field.split_once(':') else {
            return Err(other(format!(
                "--header: `{}` has no colon; write it as in `x-team: web`",
                plain(field, 80)
            )));
        };
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(Request { method: args.method.clone(), headers: Fields(headers), body_length: args.body_length })
}

/// Everything that there is to say about one flow.
struct Explained {
    answer: Answer,
    /// Whether tunnels can be looked into.
    can_open: bool,
    parts: Vec<Part>,
}

/// One question that policies are asked.
struct Part {
    /// `tunnel` or `request`.
    asked: &'static str,
    decision: Decision,
    explanation: Explanation,
    /// What policies in mode Audit would say, where there are any and it is another word.
    audit: Option<Explanation>,
    /// It is not asked as things are: the tunnel is not looked into.
    hypothetical: bool,
}

impl Explained {
    fn new(question: &Question<'_>, gate: &egret_core::gate::Gate) -> Self {
        let answer = question.answer(gate);
        let part = |asked, ask: Ask<'_>, hypothetical| {
            let decision = super::decide::decide(gate, &ask, question.addresses);
            let ask = Ask { address: address_of(&decision, question.addresses), ..ask };
            Part {
                asked,
                explanation: gate.policies.explain(&ask),
                audit: audit(&gate.policies, &ask),
                decision,
                hypothetical,
            }
        };
        let mut parts = Vec::new();
        if question.target.is_tunnel() {
            parts.push(part("tunnel", question.tunnel_ask(), false));
        }
        if let Some(ask) = question.request_ask() {
            parts.push(part("request", ask, question.target.is_tunnel() && answer.treatment != "Intercept"));
        }
        Self { answer, can_open: question.can_open, parts }
    }

    fn json(&self, subject: &Subject, target: &Target) -> Value {
        let parts: Vec<_> = self.parts.iter().map(Part::json).collect();
        let (policy, rule) = self.answer.decision.by_words();
        json!({
            "as": subject.words(),
            "destination": target.destination.to_string(),
            "decision": self.answer.decision.word(),
            "policy": &*policy,
            "rule": rule.as_deref(),
            "treatment": self.answer.treatment,
            "guard": self.answer.decision.guard,
            "reason": self.answer.decision.by.as_ref().and_then(|by| by.reason.as_deref()),
            "contact": self.answer.decision.by.as_ref().and_then(|by| by.contact.as_deref()),
            "address": self.answer.decision.address.map(|address| address.to_string()),
            "addressWanted": self.answer.decision.wants_address,
            "audit": self.answer.decision.audit.as_ref().map(|facts| json!({
                "decision": "Deny", "policy": &*facts.policy, "rule": &*facts.rule,
            })),
            "questions": parts,
        })
    }

    fn text(&self, subject: &Subject, target: &Target, paint: Paint) -> String {
        let mut text = String::new();
        let who = plain(&subject.words(), 400);
        // Writing to memory cannot fail, here and below.
        let _ = writeln!(text, "{} asks for {}", who, paint.strong(&target.destination.to_string()));
        for part in &self.parts {
            text.push('\n');
            let _ = writeln!(text, "{}", paint.strong(&self.heading(part)));
            text.push_str(&steps(&part.explanation, paint));
            let _ = writeln!(text, "  {}", verdict(&part.decision, paint));
            if let Some(audit) = &part.audit {
                let _ = writeln!(text, "  with the policies in mode Audit enforced:");
                text.push_str(&steps(audit, paint));
            }
        }
        let _ = writeln!(text, "\n{}", self.final_word(paint));
        text
    }

    fn heading(&self, part: &Part) -> String {
        match (part.asked, part.hypothetical) {
            ("tunnel", _) => "The tunnel (CONNECT)".to_owned(),
            (_, true) if !self.can_open => {
                "A request inside, if the tunnel were intercepted (interception is switched off)".to_owned()
            }
            (_, true) => "A request inside, if the tunnel were intercepted (no rule has it so)".to_owned(),
            _ if self.parts.len() > 1 => {
                "The request inside, which is seen because the tunnel is intercepted".to_owned()
            }
            _ => "The request".to_owned(),
        }
    }

    fn final_word(&self, paint: Paint) -> String {
        let decision = &self.answer.decision;
        let what = match self.answer.treatment {
            "Forward" => "the request is forwarded",
            "Intercept" => "the tunnel is intercepted",
            _ => "the bytes pass unseen, in a tunnel",
        };
        let mut words = format!("{}: {}", paint.decision(decision.word()), by(decision));
        if decision.allowed {
            let _ = write!(words, "; {what}");
        }
        if let Some(facts) = &decision.by {
            for (name, said) in [("reason", &facts.reason), ("contact", &facts.contact)] {
                if let Some(said) = said {
                    let _ = write!(words, "\n  {name}: {}", plain(said, 400));
                }
            }
        }
        if let Some(facts) = &decision.audit {
            let _ = write!(
                words,
                "\n  rule `{}` of policy `{}` is in mode Audit, and would deny it",
                facts.rule, facts.policy
            );
        }
        if decision.wants_address {
            words.push_str(
                "\n  rules on addresses could change this, and no address is known: name what it resolves to with \
                 --address",
            );
        }
        words
    }
}

impl Part {
    fn json(&self) -> Value {
        let (policy, rule) = self.decision.by_words();
        json!({
            "asked": self.asked,
            "hypothetical": self.hypothetical,
            "decision": self.decision.word(),
            "policy": &*policy,
            "rule": rule.as_deref(),
            "lookInside": self.decision.look_inside,
            "steps": steps_json(&self.explanation),
            "auditSteps": self.audit.as_ref().map(steps_json),
        })
    }
}

/// What would be decided with policies in mode Audit enforced, where that is another word.
fn audit(policies: &Policies, ask: &Ask<'_>) -> Option<Explanation> {
    if policies.policies().iter().all(|policy| policy.mode == Mode::Enforce) {
        return None;
    }
    Some(policies.explain_audit(ask))
}

/// The steps of an explanation, for programs.
pub(super) fn steps_json(explanation: &Explanation) -> Value {
    let steps = explanation.steps.iter().enumerate().map(|(index, step)| {
        json!({
            "policy": &*step.policy,
            "mode": step.mode.as_str(),
            "rule": step.rule.as_deref(),
            "action": step.action.map(Action::as_str),
            "outcome": step.outcome.to_string(),
            "why": step.why,
            "decided": explanation.decided_by == Some(index),
        })
    });
    Value::Array(steps.collect())
}

/// The steps of an explanation as a table.
pub(super) fn steps(explanation: &Explanation, paint: Paint) -> String {
    let mut table = Table::new(&["", "POLICY", "RULE", "SAYS", "OUTCOME", "WHY"]);
    for (index, step) in explanation.steps.iter().enumerate() {
        let mark = if explanation.decided_by == Some(index) { ">" } else { "" };
        let mode = if step.mode == Mode::Audit { " (Audit)" } else { "" };
        table.row([
            mark.to_owned(),
            format!("{}{mode}", step.policy),
            step.rule.as_deref().unwrap_or("-").to_owned(),
            step.action.map_or("-", Action::as_str).to_owned(),
            step.outcome.to_string(),
            plain(&step.why, 300),
        ]);
    }
    if table.is_empty() {
        return "  no policy has anything to say about it\n".to_owned();
    }
    let outcome = |row: usize| row.checked_sub(1).and_then(|index| explanation.steps.get(index));
    table.render(|row, column, cell| match outcome(row) {
        None => paint.faint(cell),
        Some(step) => match (step.outcome, column) {
            (StepOutcome::NotForClient, _) => paint.faint(cell),
            (StepOutcome::Match | StepOutcome::Unseen | StepOutcome::Later, 3 | 4) => match step.action {
                Some(Action::Deny) => paint.bad(cell),
                Some(Action::Allow) => paint.good(cell),
                _ => cell.to_owned(),
            },
            _ => cell.to_owned(),
        },
    })
}

fn verdict(decision: &Decision, paint: Paint) -> String {
    let inside =
        if decision.look_inside { ", and looked into: each request inside is asked about" } else { "" };
    format!("-> {} by {}{inside}", paint.decision(decision.word()), by(decision))
}

/// What decided, in words.
pub(super) fn by(decision: &Decision) -> String {
    match (&decision.guard, &decision.by) {
        (Some(guard), _) => format!("the built-in guard ({})", plain(guard, 200)),
        (None, Some(facts)) => format!("rule `{}` of policy `{}`", facts.rule, facts.policy),
        (None, None) => "the default".to_owned(),
    }
}

/// The address that an explanation is about.
pub(super) fn address_of(decision: &Decision, addresses: &[IpAddr]) -> Option<IpAddr> {
    decision.address.or(addresses.first().copied())
}
