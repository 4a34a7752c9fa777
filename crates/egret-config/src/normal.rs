//! Brings policies into one form before they are walked: the short form, in which the fields of `metadata`
//! and `spec` stand beside each other, becomes the long one, with every place kept.

use crate::schema::{self, Shape, properties};
use crate::source::Position;
use crate::suggest;
use crate::yaml::{Entry, Kind, Node};

/// What a cluster adds to the metadata of its objects, as `kubectl get -o yaml` shows it.
const OF_THE_CLUSTER: [&str; 9] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "selfLink",
];

/// The fields of a document that stand above `metadata` and `spec`.
const ABOVE: [&str; 2] = ["apiVersion", "kind"];

/// Brings the policies of a configuration into the long form.
pub(crate) fn policies(root: &mut Node) {
    let Kind::Map(entries) = &mut root.kind else { return };
    let policies = entries.iter_mut().find(|entry| entry.key == "policies");
    let Some(Node { kind: Kind::List(items), .. }) = policies.map(|entry| &mut entry.value) else { return };
    items.iter_mut().for_each(document);
}

/// Brings a policy into the long form.
pub(crate) fn document(node: &mut Node) {
    let position = node.position.clone();
    tidy(node);
    let Kind::Map(entries) = &mut node.kind else { return };
    if entries.iter().any(|entry| matches!(entry.key.as_str(), "metadata" | "spec")) {
        return;
    }
    let (mut above, mut metadata, mut spec) = (Vec::new(), Vec::new(), Vec::new());
    let fields = Fields::new();
    for entry in std::mem::take(entries) {
        match entry.key.as_str() {
            key if ABOVE.contains(&key) => above.push(entry),
            key if fields.are_of_metadata(key) => metadata.push(entry),
            _ => spec.push(entry),
        }
    }
    above.push(implied("metadata", metadata, &position));
    above.push(implied("spec", spec, &position));
    *entries = above;
}

/// Takes out what a cluster adds to its objects.
pub(crate) fn tidy(node: &mut Node) {
    let Kind::Map(entries) = &mut node.kind else { return };
    entries.retain(|entry| entry.key != "status");
    let metadata = entries.iter_mut().find(|entry| entry.key == "metadata");
    if let Some(Node { kind: Kind::Map(fields), .. }) = metadata.map(|entry| &mut entry.value) {
        fields.retain(|field| !OF_THE_CLUSTER.contains(&field.key.as_str()));
    }
}

/// A field that nobody wrote, which is why its key stands nowhere.
fn implied(key: &str, entries: Vec<Entry>, position: &Position) -> Entry {
    let value = Node { position: position.clone(), kind: Kind::Map(entries) };
    Entry { key: key.to_owned(), key_position: Position::Nowhere, value }
}

/// The names of the fields that may stand in the short form.
struct Fields {
    metadata: Vec<&'static str>,
    spec: Vec<&'static str>,
}

impl Fields {
    fn new() -> Self {
        let document = Shape::of(schema::policy_document()).object;
        let names = |field: &str| {
            let field = document.into_iter().flat_map(properties).find(|(name, _)| *name == field);
            let object = field.and_then(|(_, schema)| Shape::of(schema).object);
            object.into_iter().flat_map(properties).map(|(name, _)| name.as_str()).collect()
        };
        Self { metadata: names("metadata"), spec: names("spec") }
    }

    /// Whether a field belongs into `metadata`, be it that its name is misspelt.
    fn are_of_metadata(&self, key: &str) -> bool {
        if self.metadata.contains(&key) || self.spec.contains(&key) {
            return self.metadata.contains(&key);
        }
        let all: Vec<&str> = self.spec.iter().chain(&self.metadata).copied().collect();
        suggest::closest(key, &all).is_some_and(|close| self.metadata.contains(&close))
    }
}
