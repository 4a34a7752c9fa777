//! Which resources there are: those that a real server's discovery documents name, and those that
//! CustomResourceDefinitions add.

use serde_json::{Map, Value, json};

/// One resource, as a path names it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The API group, empty for the core.
    pub group: String,
    /// The version.
    pub version: String,
    /// The plural name.
    pub plural: String,
    /// The kind.
    pub kind: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether a CustomResourceDefinition made it.
    pub custom: bool,
    /// The names of its subresources.
    pub subresources: Vec<String>,
    /// The OpenAPI schema, for a custom resource.
    pub schema: Value,
    /// The JSON paths that a field selector may name, for a custom resource.
    pub selectable: Vec<String>,
    singular: String,
    short_names: Vec<String>,
    categories: Vec<String>,
    verbs: Vec<String>,
    subresource_documents: Value,
}

impl Resource {
    /// `v1` or `group/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `pods` or `deployments.apps`, as error texts name it.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    pub(crate) fn has_status(&self) -> bool {
        self.subresources.iter().any(|s| s == "status")
    }

    /// Whether a change of `spec` raises `metadata.generation`.
    pub(crate) fn has_generation(&self) -> bool {
        self.custom
            || matches!(
                self.kind.as_str(),
                "Pod"
                    | "Deployment"
                    | "ReplicaSet"
                    | "DaemonSet"
                    | "StatefulSet"
                    | "Job"
                    | "CronJob"
                    | "NetworkPolicy"
                    | "Ingress"
                    | "PodDisruptionBudget"
                    | "CustomResourceDefinition"
                    | "MutatingWebhookConfiguration"
                    | "ValidatingWebhookConfiguration"
                    | "EndpointSlice"
            )
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The resources of a real server of version 1.36.
pub(crate) fn built_in() -> Vec<Resource> {
    let mut all = Vec::new();
    let core: Value = serde_json::from_str(include_str!("../../fixtures/k8s/api_v1.json")).unwrap();
    let core = core["resources"].as_array().unwrap();
    for entry in core.iter().filter(|r| !text(&r["name"]).contains('/')) {
        let prefix = format!("{}/", text(&entry["name"]));
        let subresources: Vec<Value> = core
            .iter()
            .filter_map(|r| {
                let name = text(&r["name"]).strip_prefix(&prefix)?.to_owned();
                let kind =
                    json!({"group": text(&r["group"]), "version": text(&r["version"]), "kind": r["kind"]});
                Some(json!({"subresource": name, "responseKind": kind, "verbs": r["verbs"]}))
            })
            .collect();
        all.push(Resource {
            group: String::new(),
            version: "v1".to_owned(),
            plural: text(&entry["name"]),
            kind: text(&entry["kind"]),
            namespaced: entry["namespaced"].as_bool().unwrap_or(false),
            custom: false,
            subresources: subresources.iter().map(|s| text(&s["subresource"])).collect(),
            schema: Value::Null,
            selectable: Vec::new(),
            singular: text(&entry["singularName"]),
            short_names: strings(&entry["shortNames"]),
            categories: strings(&entry["categories"]),
            verbs: strings(&entry["verbs"]),
            subresource_documents: Value::Array(subresources),
        });
    }
    let groups: Value =
        serde_json::from_str(include_str!("../../fixtures/k8s/aggregated_apis.json")).unwrap();
    for group in groups["items"].as_array().unwrap() {
        for version in group["versions"].as_array().unwrap() {
            for entry in version["resources"].as_array().unwrap() {
                all.push(aggregated(&text(&group["metadata"]["name"]), &text(&version["version"]), entry));
            }
        }
    }
    all
}

fn aggregated(group: &str, version: &str, entry: &Value) -> Resource {
    let subresources = entry["subresources"].clone();
    Resource {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: text(&entry["resource"]),
        kind: text(&entry["responseKind"]["kind"]),
        namespaced: entry["scope"] == "Namespaced",
        custom: false,
        subresources: subresources
            .as_array()
            .into_iter()
            .flatten()
            .map(|s| text(&s["subresource"]))
            .collect(),
        schema: Value::Null,
        selectable: Vec::new(),
        singular: text(&entry["singularResource"]),
        short_names: strings(&entry["shortNames"]),
        categories: strings(&entry["categories"]),
        verbs: strings(&entry["verbs"]),
        subresource_documents: if subresources.is_null() { json!([]) } else { subresources },
    }
}

/// A resource that a test adds, with every verb and a status.
pub(crate) fn extra(group: &str, version: &str, plural: &str, kind: &str, namespaced: bool) -> Resource {
    let entry = json!({
        "resource": plural,
        "responseKind": {"group": "", "version": "", "kind": kind},
        "scope": if namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.to_lowercase(),
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        "subresources": [{
            "subresource": "status", "responseKind": {"group": "", "version": "", "kind": kind},
            "verbs": ["get", "patch", "update"],
        }],
    });
    aggregated(group, version, &entry)
}

/// The resources of a CustomResourceDefinition, one for each version that it serves.
pub(crate) fn of_definition(definition: &Value) -> Vec<Resource> {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let served = spec["versions"].as_array().into_iter().flatten().filter(|v| v["served"] == true);
    served
        .map(|version| {
            let kind = text(&names["kind"]);
            let mut subresources = Vec::new();
            let mut documents = Vec::new();
            for name in ["scale", "status"] {
                if !version["subresources"][name].is_null() {
                    subresources.push(name.to_owned());
                    let kind = if name == "scale" {
                        json!({"group": "autoscaling", "version": "v1", "kind": "Scale"})
                    } else {
                        json!({"group": "", "version": "", "kind": kind})
                    };
                    documents.push(json!({
                        "subresource": name, "responseKind": kind, "verbs": ["get", "patch", "update"],
                    }));
                }
            }
            Resource {
                group: text(&spec["group"]),
                version: text(&version["name"]),
                plural: text(&names["plural"]),
                kind: kind.clone(),
                namespaced: spec["scope"] == "Namespaced",
                custom: true,
                subresources,
                schema: version["schema"]["openAPIV3Schema"].clone(),
                selectable: version["selectableFields"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|f| text(&f["jsonPath"]).trim_start_matches('.').to_owned())
                    .collect(),
                singular: names["singular"].as_str().map_or_else(|| kind.to_lowercase(), str::to_owned),
                short_names: strings(&names["shortNames"]),
                categories: strings(&names["categories"]),
                verbs: ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
                    .map(str::to_owned)
                    .to_vec(),
                subresource_documents: Value::Array(documents),
            }
        })
        .collect()
}

/// `/api/v1` or `/apis/GROUP/VERSION`.
pub(crate) fn resource_list(all: &[Resource], group: &str, version: &str) -> Option<Value> {
    let mut entries = Vec::new();
    for r in all.iter().filter(|r| r.group == group && r.version == version) {
        let mut entry = json!({
            "name": r.plural, "singularName": r.singular, "namespaced": r.namespaced, "kind": r.kind,
            "verbs": r.verbs,
        });
        let map = entry.as_object_mut().unwrap();
        if !r.short_names.is_empty() {
            map.insert("shortNames".to_owned(), json!(r.short_names));
        }
        if !r.categories.is_empty() {
            map.insert("categories".to_owned(), json!(r.categories));
        }
        entries.push(entry);
        for sub in r.subresource_documents.as_array().into_iter().flatten() {
            let mut map = Map::new();
            map.insert("name".to_owned(), json!(format!("{}/{}", r.plural, text(&sub["subresource"]))));
            map.insert("singularName".to_owned(), json!(""));
            map.insert("namespaced".to_owned(), json!(r.namespaced));
            for name in ["group", "version"] {
                if sub["responseKind"][name] != "" {
                    map.insert(name.to_owned(), sub["responseKind"][name].clone());
                }
            }
            map.insert("kind".to_owned(), sub["responseKind"]["kind"].clone());
            map.insert("verbs".to_owned(), sub["verbs"].clone());
            entries.push(Value::Object(map));
        }
    }
    if entries.is_empty() {
        return None;
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut list = json!({"kind": "APIResourceList"});
    if !group.is_empty() {
        list["apiVersion"] = json!("v1");
    }
    list["groupVersion"] = json!(group_version);
    list["resources"] = json!(entries);
    Some(list)
}

fn groups(all: &[Resource]) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for r in all {
        match groups.iter_mut().find(|(g, _)| *g == r.group) {
            Some((_, versions)) if versions.contains(&r.version) => {}
            Some((_, versions)) => versions.push(r.version.clone()),
            None => groups.push((r.group.clone(), vec![r.version.clone()])),
        }
    }
    groups
}

/// `/apis`.
pub(crate) fn group_list(all: &[Resource]) -> Value {
    let groups = groups(all).into_iter().filter(|(g, _)| !g.is_empty()).map(|(group, versions)| {
        let versions: Vec<Value> =
            versions.iter().map(|v| json!({"groupVersion": format!("{group}/{v}"), "version": v})).collect();
        json!({"name": group, "versions": versions, "preferredVersion": versions[0]})
    });
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.collect::<Vec<_>>()})
}

/// `/api` or `/apis` in the aggregated form (`apidiscovery.k8s.io/v2`).
pub(crate) fn aggregated_list(all: &[Resource], core: bool) -> Value {
    let items = groups(all).into_iter().filter(|(g, _)| g.is_empty() == core).map(|(group, versions)| {
        let versions = versions.iter().map(|version| {
            let resources = all.iter().filter(|r| r.group == group && r.version == *version).map(|r| {
                let mut entry = json!({
                    "resource": r.plural,
                    "responseKind": {"group": "", "version": "", "kind": r.kind},
                    "scope": if r.namespaced { "Namespaced" } else { "Cluster" },
                    "singularResource": r.singular, "verbs": r.verbs,
                });
                let map = entry.as_object_mut().unwrap();
                for (name, list) in [("shortNames", &r.short_names), ("categories", &r.categories)] {
                    if !list.is_empty() {
                        map.insert(name.to_owned(), json!(list));
                    }
                }
                if !r.subresources.is_empty() {
                    map.insert("subresources".to_owned(), r.subresource_documents.clone());
                }
                entry
            });
            json!({"version": version, "resources": resources.collect::<Vec<_>>(), "freshness": "Current"})
        });
        let metadata = if core { json!({}) } else { json!({"name": group}) };
        json!({"metadata": metadata, "versions": versions.collect::<Vec<_>>()})
    });
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": items.collect::<Vec<_>>(),
    })
}
