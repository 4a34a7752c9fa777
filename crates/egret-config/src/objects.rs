//! Objects of a cluster: policies and proxies that came as JSON, checked as strictly as files are. What is wrong
//! stands in fields, as in `spec.rules[0].to[1].hosts[0]`, since there are no lines.

mod egress_proxy;
mod file;

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::file::{ConfigFile, EgressProxyDocument, PolicyDocument, PolicyKind};
use crate::policies::{self, Placed};
use crate::problem::Problem;
use crate::schema;
use crate::sheet::Sheet;
use crate::source::Position;
use crate::walk::{Finding, MOST_FINDINGS, Walk};
use crate::yaml::{Entry, Kind, Node};

static EGRESS_PROXY: LazyLock<Value> = LazyLock::new(schema::generate::<EgressProxyDocument>);

pub use file::{ObjectFile, WrittenProxy};

/// Something about a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field, as in `spec.rules[0].to[1].hosts[0]`; empty for the object as a whole.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// In one line: `spec.rules[0].too: unknown field (did you mean …)`.
impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl From<Problem> for FieldProblem {
    fn from(problem: Problem) -> Self {
        Self { path: problem.path, message: problem.message, help: problem.help }
    }
}

/// A policy of the cluster that is valid by itself.
#[derive(Clone, Debug)]
pub struct ClusterPolicy {
    sheet: Sheet,
    document: PolicyDocument,
}

impl ClusterPolicy {
    /// What it says.
    #[must_use]
    pub fn document(&self) -> &PolicyDocument {
        &self.document
    }

    /// It, as one of the policies that are compiled together.
    pub(crate) fn placed(&self) -> Placed<'_> {
        Placed { sheet: &self.sheet, pointer: "", document: &self.document }
    }

    /// What is wrong with it beside a configuration: lists that it names and that there are not, and a name that
    /// a policy of a file has already.
    pub(crate) fn check_beside(
        &self,
        file: &ConfigFile,
        taken: &HashSet<(PolicyKind, String)>,
    ) -> Vec<FieldProblem> {
        let placed = self.placed();
        let findings = policies::check_one(&placed, Some(file), true);
        let mut problems: Vec<FieldProblem> = findings.problems.into_iter().map(FieldProblem::from).collect();
        let name = placed.name();
        if taken.contains(&(self.document.kind, name.clone())) {
            problems.push(FieldProblem {
                path: "metadata.name".to_owned(),
                message: format!("a policy of the proxy's configuration is called `{name}` as well"),
                help: Some("rename one of the two; that of the configuration holds".to_owned()),
            });
        }
        problems
    }
}

/// What an object says.
#[derive(Clone, Debug)]
pub enum ClusterObject {
    /// A `ClusterEgressPolicy` or `EgressPolicy`.
    Policy(Box<ClusterPolicy>),
    /// An `EgressProxy`.
    Proxy(Box<EgressProxyDocument>),
}

/// An object that was looked at.
#[derive(Clone, Debug)]
pub struct CheckedObject {
    /// What it says, where nothing is wrong with it.
    pub object: Option<ClusterObject>,
    /// What is wrong with it, at most 100 things.
    pub errors: Vec<FieldProblem>,
    /// What is worth a look.
    pub warnings: Vec<FieldProblem>,
}

/// Checks an object of this kind. Of its metadata only name and namespace are looked at, since the API server knows
/// the rest better; `namespace` stands in for a namespace that it does not have yet, as in an admission request.
#[must_use]
pub fn check_object(kind: &str, object: &Value, namespace: Option<&str>) -> CheckedObject {
    match kind {
        "EgressProxy" => proxy(object),
        "ClusterEgressPolicy" => policy(PolicyKind::ClusterEgressPolicy, object, None),
        "EgressPolicy" => policy(PolicyKind::EgressPolicy, object, namespace),
        other => CheckedObject::refused(FieldProblem {
            path: "kind".to_owned(),
            message: format!("`{}` is no kind of egret.dev", crate::yaml::shorten(other)),
            help: Some("the kinds are EgressProxy, ClusterEgressPolicy and EgressPolicy".to_owned()),
        }),
    }
}

impl CheckedObject {
    fn refused(problem: FieldProblem) -> Self {
        Self { object: None, errors: vec![problem], warnings: Vec::new() }
    }
}

fn policy(kind: PolicyKind, object: &Value, namespace: Option<&str>) -> CheckedObject {
    let reading: Reading<PolicyDocument> =
        match read(kind.as_str(), object, namespace, schema::policy_document()) {
            Ok(reading) => reading,
            Err(problem) => return CheckedObject::refused(problem),
        };
    let Reading { mut errors, sheet, value, .. } = reading;
    let complete = errors.is_empty();
    let Some(document) = value else { return CheckedObject { object: None, errors, warnings: Vec::new() } };
    let read = ClusterPolicy { sheet, document };
    let findings = policies::check_one(&read.placed(), None, complete);
    errors.extend(findings.problems.into_iter().map(FieldProblem::from));
    errors.truncate(MOST_FINDINGS);
    let warnings = findings.warnings.into_iter().map(FieldProblem::from).collect();
    let object = errors.is_empty().then(|| ClusterObject::Policy(Box::new(read)));
    CheckedObject { object, errors, warnings }
}

fn proxy(object: &Value) -> CheckedObject {
    let reading: Reading<EgressProxyDocument> = match read("EgressProxy", object, None, &EGRESS_PROXY) {
        Ok(reading) => reading,
        Err(problem) => return CheckedObject::refused(problem),
    };
    let Reading { mut errors, sheet, value, kept } = reading;
    let complete = errors.is_empty();
    let Some(document) = value else { return CheckedObject { object: None, errors, warnings: Vec::new() } };
    let found = egress_proxy::check(&document, &kept, complete);
    let said = |pointer: &str, message: &str, help: &str| {
        FieldProblem::from(sheet.problem(pointer, message, Some(help).filter(|help| !help.is_empty())))
    };
    errors.extend(found.errors.iter().map(|(pointer, message, help)| said(pointer, message, help)));
    errors.truncate(MOST_FINDINGS);
    let warnings =
        found.warnings.iter().map(|(pointer, message, help)| said(pointer, message, help)).collect();
    let object = errors.is_empty().then(|| ClusterObject::Proxy(Box::new(document)));
    CheckedObject { object, errors, warnings }
}

struct Reading<T> {
    errors: Vec<FieldProblem>,
    sheet: Sheet,
    value: Option<T>,
    /// The value with what is wrong left out.
    kept: Value,
}

/// Walks an object beside its schema.
fn read<T: DeserializeOwned>(
    kind: &str,
    object: &Value,
    namespace: Option<&str>,
    schema: &Value,
) -> Result<Reading<T>, FieldProblem> {
    let reduced = reduced(kind, object, namespace)?;
    let (mut walk, mut kept) = Walk::beside(schema, &node(&reduced));
    let mut errors: Vec<FieldProblem> = walk.findings.drain(..).take(MOST_FINDINGS).map(of_finding).collect();
    errors.extend(egress_proxy::one_spelling(&mut kept));
    let sheet = Sheet::of_object(kind, walk.spots);
    let value = match T::deserialize(&kept) {
        Ok(value) => Some(value),
        Err(error) => {
            if errors.is_empty() {
                let message = format!("it cannot be read: {error}");
                errors.push(FieldProblem { path: String::new(), message, help: None });
            }
            None
        }
    };
    Ok(Reading { errors, sheet, value, kept })
}

/// The object without its status, and with name and namespace as its only metadata.
fn reduced(kind: &str, object: &Value, namespace: Option<&str>) -> Result<Value, FieldProblem> {
    let wrong = |path: &str, message: String, help: &str| FieldProblem {
        path: path.to_owned(),
        message,
        help: Some(help.to_owned()),
    };
    let Some(fields) = object.as_object() else {
        return Err(wrong(
            "",
            "it is no object".to_owned(),
            "an object has apiVersion, kind, metadata and spec",
        ));
    };
    if let Some(written) = fields.get("kind").filter(|written| *written != kind) {
        let message = format!("it is {written}, and {kind} was said to come");
        return Err(wrong("kind", message, "send it under the name of its kind"));
    }
    let mut reduced: Map<String, Value> = fields
        .iter()
        .filter(|(key, _)| *key != "status")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    reduced.insert("kind".to_owned(), kind.into());
    if let Some(metadata) = fields.get("metadata").and_then(Value::as_object) {
        let mut kept = Map::new();
        // A name that is still to be made begins with this.
        if let Some(name) = metadata.get("name").or_else(|| metadata.get("generateName")) {
            kept.insert("name".to_owned(), name.clone());
        }
        let namespace = metadata.get("namespace").cloned().or_else(|| namespace.map(Value::from));
        if let Some(namespace) = namespace {
            kept.insert("namespace".to_owned(), namespace);
        }
        reduced.insert("metadata".to_owned(), Value::Object(kept));
    } else if !fields.contains_key("metadata") {
        reduced.insert("metadata".to_owned(), json!({}));
    }
    Ok(Value::Object(reduced))
}

fn of_finding(finding: Finding) -> FieldProblem {
    let Finding { path, child, message, help, .. } = finding;
    let path = match child {
        Some(child) if path.is_empty() => child,
        Some(child) => format!("{path}.{child}"),
        None => path,
    };
    FieldProblem { path, message, help }
}

/// A tree without places: what is wrong is said by field.
fn node(value: &Value) -> Node {
    let position = Position::File(0..0);
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(value) => Kind::Bool(*value),
        Value::Number(number) => Kind::Number(number.clone(), number.to_string()),
        Value::String(text) => Kind::Text(text.clone()),
        Value::Array(items) => Kind::List(items.iter().map(node).collect()),
        Value::Object(fields) => {
            let entry = |(key, value): (&String, &Value)| Entry {
                key: key.clone(),
                key_position: position.clone(),
                value: node(value),
            };
            Kind::Map(fields.iter().map(entry).collect())
        }
    };
    Node { position, kind }
}
