//! Tests made ready, and run.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use egret_config::{PolicyBook, Problem, TypedFile};
use egret_core::identity::Identity;
use egret_core::policy::Ask;
use serde_json::{Value, json};

use super::super::args::DefaultArg;
use super::super::decide::{Answer, Interception, Question, interception};
use super::super::explain::{address_of, steps, steps_json};
use super::super::output::{Paint, plain};
use super::super::subject::{self, Subject};
use super::super::target::{self, Fields, Request, Target};
use super::super::{ToolError, read_book};
use super::file::{AuditExpect, AuditWord, Case, DecisionWord, Expect, RequestSpec, TestFile, Who};

/// The tests of one file with the policies that they are for.
pub(super) struct Suite {
    file: String,
    book: PolicyBook,
    can_open: bool,
    cases: Vec<Ready>,
}

/// A test in which everything was read.
struct Ready {
    name: String,
    who: String,
    identity: Identity,
    target: Target,
    request: Request,
    addresses: Vec<IpAddr>,
    now: SystemTime,
    expect: Expect,
}

/// What came of a test.
pub(super) struct Outcome {
    pub(super) file: String,
    pub(super) name: String,
    who: String,
    destination: String,
    /// What was expected, and what it was instead.
    pub(super) mismatches: Vec<Mismatch>,
    answer: Answer,
    steps: egret_core::policy::Explanation,
}

/// One expectation that did not hold.
pub(super) struct Mismatch {
    field: &'static str,
    expected: String,
    got: String,
}

impl Suite {
    /// Reads what the tests say, and the policies.
    pub(super) fn prepare(
        path: &Path,
        file: &TypedFile<TestFile>,
        policies: &[PathBuf],
    ) -> Result<Self, ToolError> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let named: Vec<PathBuf> = match policies {
            [] => file.value.policies.iter().map(|path| directory.join(path)).collect(),
            policies => policies.to_vec(),
        };
        let mut problems = Vec::new();
        if named.is_empty() {
            let help = "add policies: [egret.yaml] to the file, or say --policies FILE";
            problems.push(file.problem(
                "/policies",
                "these tests do not say of which policies they are",
                Some(help),
            ));
        }
        let cases = ready(file, &mut problems);
        if !problems.is_empty() {
            return Err(ToolError::Problems(problems));
        }
        let default = file.value.default.map(|default| match default {
            DecisionWord::Allow => DefaultArg::Allow,
            DecisionWord::Deny => DefaultArg::Deny,
        });
        let book = read_book(&named, default)?;
        let can_open = file.value.interception.unwrap_or(interception(&book) != Interception::Off);
        Ok(Self { file: path.display().to_string(), book, can_open, cases })
    }

    /// Runs the tests.
    pub(super) fn run(&self) -> impl Iterator<Item = Outcome> + '_ {
        self.cases.iter().map(|case| self.run_one(case))
    }

    fn run_one(&self, case: &Ready) -> Outcome {
        let question = Question {
            identity: &case.identity,
            target: &case.target,
            request: &case.request,
            addresses: &case.addresses,
            now: case.now,
            can_open: self.can_open,
        };
        let gate = &self.book.gate;
        let answer = question.answer(gate);
        // The explanation of what had the final word.
        let of_request = answer.tunnel.is_some() || !case.target.is_tunnel();
        let ask = question.request_ask().filter(|_| of_request).unwrap_or_else(|| question.tunnel_ask());
        let ask = Ask { address: address_of(&answer.decision, &case.addresses), ..ask };
        Outcome {
            file: self.file.clone(),
            name: case.name.clone(),
            who: case.who.clone(),
            destination: case.target.destination.to_string(),
            mismatches: mismatches(&case.expect, &answer),
            steps: gate.policies.explain(&ask),
            answer,
        }
    }
}

fn ready(file: &TypedFile<TestFile>, problems: &mut Vec<Problem>) -> Vec<Ready> {
    let mut cases = Vec::new();
    for (index, case) in file.value.tests.iter().enumerate() {
        let pointer = format!("/tests/{index}");
        let mut find = |field: &str, message: &str, help: Option<&str>| {
            problems.push(file.problem(&format!("{pointer}{field}"), message, help));
        };
        let subject = match subject(&case.subject, &mut find) {
            Some(subject) => subject,
            None => continue,
        };
        let identity = match subject.identity() {
            Ok(identity) => identity,
            Err(problem) => {
                find("/as", &problem, None);
                continue;
            }
        };
        let now = match case.at.as_deref().map_or(Ok(SystemTime::now()), target::time) {
            Ok(now) => now,
            Err(problem) => {
                find("/at", &problem, None);
                continue;
            }
        };
        if !says_anything(&case.expect) {
            let help = "add decision: Allow, or decision: Deny";
            find("/expect", "the test expects nothing, and so would always pass", Some(help));
        }
        let specs: Vec<(String, &RequestSpec)> = match (&case.request, case.requests.as_slice()) {
            (Some(request), []) => vec![("/request".to_owned(), request)],
            (None, several @ [_, ..]) => {
                several.iter().enumerate().map(|(number, one)| (format!("/requests/{number}"), one)).collect()
            }
            (Some(_), _) => {
                find("/requests", "`request` and `requests` cannot stand beside each other", None);
                continue;
            }
            (None, _) => {
                let help = "add request: {url: https://example.com/}, or request: {connect: example.com:443}";
                find("", "the test asks for nothing", Some(help));
                continue;
            }
        };
        let many = specs.len() > 1;
        for (field, spec) in specs {
            let Some((target, request, addresses)) = self::request(spec, &field, &mut find) else { continue };
            let asked = spec.url.as_deref().or(spec.connect.as_deref()).unwrap_or_default();
            cases.push(Ready {
                name: name(case, &subject, asked, many),
                who: subject.words(),
                identity: identity.clone(),
                target,
                request,
                addresses,
                now,
                expect: case.expect.clone(),
            });
        }
    }
    cases
}

fn name(case: &Case, subject: &Subject, asked: &str, many: bool) -> String {
    match &case.name {
        Some(name) if many => format!("{name} ({asked})"),
        Some(name) => name.clone(),
        None => format!("{} asks for {asked}", subject.words()),
    }
}

fn says_anything(expect: &Expect) -> bool {
    expect.decision.is_some()
        || expect.policy.is_some()
        || expect.rule.is_some()
        || expect.treatment.is_some()
        || expect.audit.is_some()
}

type Find<'a> = dyn FnMut(&str, &str, Option<&str>) + 'a;

fn subject(who: &Who, find: &mut Find<'_>) -> Option<Subject> {
    let mut good = true;
    let mut subject = Subject {
        user: who.user.clone(),
        groups: who.groups.clone(),
        namespace: who.namespace.clone(),
        pod: who.pod.clone(),
        pod_labels: who.pod_labels.clone().into_iter().collect(),
        namespace_labels: who.namespace_labels.clone().into_iter().collect(),
        ..Subject::default()
    };
    let mut take = |field: &str, result: Result<(), String>| {
        if let Err(problem) = result {
            good = false;
            find(field, &problem, None);
        }
    };
    if let Some(text) = &who.ip {
        take("/as/ip", subject::ip(text).map(|ip| subject.ip = Some(ip)));
    }
    if let Some(text) = &who.spiffe {
        take("/as/spiffe", subject::spiffe(text).map(|name| subject.names.push(name)));
    }
    if let Some(text) = &who.certificate {
        take("/as/certificate", subject::certificate_name(text).map(|name| subject.names.push(name)));
    }
    for (index, text) in who.certificates.iter().enumerate() {
        let name = subject::certificate_name(text).map(|name| subject.names.push(name));
        take(&format!("/as/certificates/{index}"), name);
    }
    if let Some(account) = &who.service_account {
        let namespace = subject.namespace.clone();
        subject.set_account(account);
        if namespace.is_some() && subject.namespace != namespace {
            take("/as/serviceAccount", Err("this is in another namespace than `namespace` says".to_owned()));
        }
    }
    good.then_some(subject)
}

fn request(spec: &RequestSpec, field: &str, find: &mut Find<'_>) -> Option<(Target, Request, Vec<IpAddr>)> {
    let target = match (&spec.url, &spec.connect) {
        (Some(url), None) => Target::parse(url)
            .map_err(|problem| (format!("{field}/url"), problem))
            .and_then(|target| match target.url {
                Some(_) => Ok(target),
                None => Err((
                    format!("{field}/url"),
                    "this is no URL; a tunnel is written as connect: host:port".into(),
                )),
            }),
        (None, Some(connect)) => {
            Target::parse_authority(connect).map_err(|problem| (format!("{field}/connect"), problem))
        }
        (Some(_), Some(_)) => {
            Err((format!("{field}/connect"), "give `url` or `connect`, not both".to_owned()))
        }
        (None, None) => Err((field.to_owned(), "the request has neither `url` nor `connect`".to_owned())),
    };
    let target = match target {
        Ok(target) => target,
        Err((place, problem)) => {
            find(&place, &problem, None);
            return None;
        }
    };
    if target.url.is_none()
        && (spec.method.is_some() || !spec.headers.is_empty() || spec.body_length.is_some())
    {
        let help = "write url: https://host/path for a request inside a tunnel";
        find(field, "nothing is known of what a tunnel by `connect` carries", Some(help));
        return None;
    }
    let mut addresses = Vec::new();
    let one = spec.address.iter().map(|text| (format!("{field}/address"), text));
    let all =
        spec.addresses.iter().enumerate().map(|(index, text)| (format!("{field}/addresses/{index}"), text));
    for (place, text) in one.chain(all) {
        match subject::ip(text) {
            Ok(address) => addresses.push(address),
            Err(problem) => {
                find(&place, &problem, None);
                return None;
            }
        }
    }
    let headers = Fields(spec.headers.clone().into_iter().collect());
    Some((target, Request { method: spec.method.clone(), headers, body_length: spec.body_length }, addresses))
}

fn mismatches(expect: &Expect, answer: &Answer) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let mut compare = |field, expected: Option<&str>, got: &str| {
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            found.push(Mismatch { field, expected: expected.to_owned(), got: got.to_owned() });
        }
    };
    let decision = &answer.decision;
    let (policy, rule) = decision.by_words();
    compare("decision", expect.decision.map(DecisionWord::as_str), decision.word());
    compare("policy", expect.policy.as_deref(), &policy);
    compare("rule", expect.rule.as_deref(), rule.as_deref().unwrap_or("none"));
    let treatment = if decision.allowed { answer.treatment } else { "none, it is denied" };
    compare("treatment", expect.treatment.map(super::file::TreatmentWord::as_str), treatment);
    let tunnel_audit = answer.tunnel.as_ref().and_then(|tunnel| tunnel.audit.as_ref());
    let audit = decision.audit.as_ref().or(tunnel_audit);
    match &expect.audit {
        None => {}
        Some(AuditExpect::Word(word)) => {
            let expected = if *word == AuditWord::Deny { "Deny" } else { "None" };
            let got = audit.map_or("None".to_owned(), |_| "Deny".to_owned());
            compare("audit", Some(expected), &got);
        }
        Some(AuditExpect::Rule(wanted)) => {
            let none = "none: no policy in mode Audit would deny it";
            compare("audit.policy", wanted.policy.as_deref(), audit.map_or(none, |facts| &facts.policy));
            compare("audit.rule", wanted.rule.as_deref(), audit.map_or(none, |facts| &facts.rule));
        }
    }
    found
}

impl Outcome {
    /// What did not hold, in one line.
    pub(super) fn summary(&self) -> String {
        let one = |mismatch: &Mismatch| {
            format!("{}: expected {}, got {}", mismatch.field, plain(&mismatch.expected, 200), mismatch.got)
        };
        self.mismatches.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// What did not hold, and the explanation of the decision.
    pub(super) fn details(&self, paint: Paint) -> String {
        let mut text = String::new();
        // Writing to memory cannot fail, here and below.
        for Mismatch { field, expected, got } in &self.mismatches {
            let _ = writeln!(text, "  {field}: expected {}, got {}", plain(expected, 200), paint.strong(got));
        }
        let _ = writeln!(text, "  {} asks for {}:", plain(&self.who, 400), self.destination);
        text.push_str(&steps(&self.steps, paint));
        let _ = writeln!(
            text,
            "  -> {} by {}",
            paint.decision(self.answer.decision.word()),
            super::super::explain::by(&self.answer.decision)
        );
        if self.answer.decision.wants_address {
            let _ = writeln!(
                text,
                "  rules on addresses could change this: say with `address` what the name resolves to"
            );
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let (policy, rule) = self.answer.decision.by_words();
        let audit = self.answer.decision.audit.as_ref();
        let failures: Vec<_> = self
            .mismatches
            .iter()
            .map(|one| json!({ "field": one.field, "expected": one.expected, "got": one.got }))
            .collect();
        json!({
            "file": self.file,
            "name": self.name,
            "passed": failures.is_empty(),
            "decision": self.answer.decision.word(),
            "policy": &*policy,
            "rule": rule.as_deref(),
            "treatment": self.answer.decision.allowed.then_some(self.answer.treatment),
            "audit": audit.map(|facts| json!({ "policy": &*facts.policy, "rule": &*facts.rule })),
            "failures": failures,
            "steps": steps_json(&self.steps),
        })
    }
}
