//! Files with objects of a cluster, as `kubectl apply -f` takes them.

use serde_json::Value;

use super::{EGRESS_PROXY, egress_proxy};
use crate::config::decode;
use crate::file::{EgressProxyDocument, PolicyDocument};
use crate::normal;
use crate::policies::{self, MAX_FILE_BYTES, Placed, documents};
use crate::problem::Problem;
use crate::schema;
use crate::sheet::Sheet;
use crate::source::Position;
use crate::walk::{Finding, MOST_FINDINGS, Walk};
use crate::yaml::{self, Kind, Node};

/// The group of our objects.
const GROUP: &str = "egret.dev/";

/// What a file with objects says.
#[derive(Debug)]
pub struct ObjectFile {
    /// Its `EgressProxy` objects.
    pub proxies: Vec<WrittenProxy>,
    /// What is wrong beyond the fields by themselves.
    pub problems: Vec<Problem>,
    /// What is not wrong and yet worth a look.
    pub warnings: Vec<Problem>,
    policies: usize,
    others: usize,
    sheet: Sheet,
}

/// An `EgressProxy` with its place.
#[derive(Clone, Debug)]
pub struct WrittenProxy {
    /// What it says.
    pub document: EgressProxyDocument,
    pointer: String,
}

impl ObjectFile {
    /// Whether a file has objects, and no configuration: whether one of its documents says its kind.
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        let Ok(text) = decode(bytes, "", MAX_FILE_BYTES) else { return false };
        let says_kind = |node: &Node| ["apiVersion", "kind"].iter().any(|key| text_of(node, key).is_some());
        yaml::read_policies(text).roots.iter().any(says_kind)
    }

    /// Reads a file. Objects of other groups are passed over.
    ///
    /// # Errors
    /// Everything that is wrong with its fields.
    pub fn read(bytes: &[u8], name: &str) -> Result<Self, Vec<Problem>> {
        let text = decode(bytes, name, MAX_FILE_BYTES)?;
        let mut sheet = Sheet::new(name, text);
        let reading = yaml::read_policies(text);
        for range in reading.hidden {
            sheet.source.hide(range);
        }
        let mut reader = Reader::default();
        reader.findings.extend(reading.faults.into_iter().map(Finding::from));
        for (node, path) in documents(reading.roots) {
            reader.document(node, &path);
        }
        let Reader { mut walk, mut findings, policies: written, proxies, others, .. } = reader;
        findings.append(&mut walk.findings);
        sheet.spots = walk.spots;
        let complete = findings.is_empty();
        let shown = findings.iter().take(MOST_FINDINGS);
        let mut file = Self {
            proxies: Vec::new(),
            problems: shown.map(|finding| finding.problem(&sheet.source)).collect(),
            warnings: Vec::new(),
            policies: written.len(),
            others,
            sheet,
        };
        file.check(&written, &proxies, complete);
        if !complete {
            return Err(file.problems);
        }
        file.proxies =
            proxies.into_iter().map(|(pointer, document, _)| WrittenProxy { document, pointer }).collect();
        Ok(file)
    }

    fn check(
        &mut self,
        written: &[(String, PolicyDocument)],
        proxies: &[(String, EgressProxyDocument, Value)],
        complete: bool,
    ) {
        let sheet = self.sheet.clone();
        let placed: Vec<_> =
            written.iter().map(|(pointer, document)| Placed { sheet: &sheet, pointer, document }).collect();
        for one in &placed {
            let found = policies::check_one(one, None, complete);
            self.problems.extend(found.problems);
            self.warnings.extend(found.warnings);
        }
        let found = policies::check_together(&placed);
        self.problems.extend(found.problems);
        for (pointer, document, value) in proxies {
            let found = egress_proxy::check(document, value, complete);
            let said = |(inner, message, help): &(String, String, String)| {
                sheet.problem(&format!("{pointer}{inner}"), message, Some(help))
            };
            self.problems.extend(found.errors.iter().map(said));
            self.warnings.extend(found.warnings.iter().map(said));
        }
        self.problems.truncate(MOST_FINDINGS);
        self.warnings.truncate(MOST_FINDINGS);
    }

    /// A problem with a field of a proxy, by its JSON pointer in the object.
    #[must_use]
    pub fn problem(&self, proxy: &WrittenProxy, pointer: &str, message: &str, help: Option<&str>) -> Problem {
        self.sheet.problem(&format!("{}{pointer}", proxy.pointer), message, help)
    }

    /// What it holds, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |count: usize, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let parts: Vec<_> = [
            count(self.policies, "policy", "policies"),
            count(self.proxies.len(), "EgressProxy", "EgressProxy objects"),
            count(
                self.others,
                "object of another kind, not looked at",
                "objects of other kinds, not looked at",
            ),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() { "nothing is in it".to_owned() } else { parts.join("; ") }
    }
}

#[derive(Default)]
struct Reader {
    walk: Walk,
    findings: Vec<Finding>,
    policies: Vec<(String, PolicyDocument)>,
    proxies: Vec<(String, EgressProxyDocument, Value)>,
    others: usize,
    /// How many documents there were, for their pointers.
    count: usize,
}

impl Reader {
    fn document(&mut self, mut node: Node, path: &str) {
        let version = text_of(&node, "apiVersion");
        let kind = text_of(&node, "kind");
        // What has no version can be a policy alone: a file of policies may leave it out.
        let is_ours = match &version {
            Some(version) => version.starts_with(GROUP),
            None => kind.is_none_or(|kind| kind.contains("Egress")),
        };
        if !is_ours {
            self.others += 1;
            return;
        }
        let pointer = format!("/{}", self.count);
        self.count += 1;
        if text_of(&node, "kind").as_deref() != Some("EgressProxy") {
            normal::document(&mut node);
            let value = self.walk.document(schema::policy_document(), &node, path, &pointer);
            if let Some(policy) = self.typed(value) {
                self.policies.push((pointer, policy));
            }
            return;
        }
        normal::tidy(&mut node);
        let Some(mut value) = self.walk.document(&EGRESS_PROXY, &node, path, &pointer) else { return };
        if let Some(problem) = egress_proxy::one_spelling(&mut value) {
            let spot = self.walk.spots.get(&format!("{pointer}/spec/trustedCa"));
            let position = spot.map(|spot| spot.key.clone()).unwrap_or_default();
            let super::FieldProblem { path, message, help } = problem;
            self.findings.push(Finding { position, path, message, help, child: None });
        }
        if let Some(proxy) = self.typed(Some(value.clone())) {
            self.proxies.push((pointer, proxy, value));
        }
    }

    fn typed<T: serde::de::DeserializeOwned>(&mut self, value: Option<Value>) -> Option<T> {
        match serde_json::from_value(value?) {
            Ok(typed) => Some(typed),
            Err(error) => {
                if self.findings.is_empty() && self.walk.findings.is_empty() {
                    self.findings.push(Finding {
                        position: Position::Nowhere,
                        path: String::new(),
                        message: format!("an object cannot be read: {error}"),
                        help: None,
                        child: None,
                    });
                }
                None
            }
        }
    }
}

fn text_of(node: &Node, key: &str) -> Option<String> {
    let Kind::Map(entries) = &node.kind else { return None };
    let entry = entries.iter().find(|entry| entry.key == key)?;
    match &entry.value.kind {
        Kind::Text(text) => Some(text.clone()),
        _ => None,
    }
}
