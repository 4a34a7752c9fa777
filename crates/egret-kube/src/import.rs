//! What other programs call their proxy, as an `EgressProxy`: AKS's HTTP proxy configuration, OpenShift's cluster-wide
//! proxy, and `httpProxyEnvs` of Banzai's Istio operator.

mod entries;
mod find;

use serde_json::{Map, Value, json};

use crate::crd::API_VERSION;
use crate::validate::{FieldProblem, validate};

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// Where a text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// AKS: the file of `--http-proxy-config`, or what `az aks show` prints.
    Aks,
    /// OpenShift: `Proxy` of `config.openshift.io/v1`, or `proxy` of an `install-config.yaml`.
    OpenShift,
    /// Banzai's Istio operator: a mesh resource with `httpProxyEnvs`, or these alone.
    Istio,
}

/// What a text came to.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The object.
    pub object: Value,
    /// What was changed, what could not be carried, and what is different here.
    pub notes: Vec<String>,
}

/// Why a text cannot be imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is too large.
    #[error("the file is larger than {MAX_BYTES} bytes; is it the right one?")]
    TooLarge,
    /// It is no YAML or JSON.
    #[error("the file cannot be read as YAML or JSON: {0}")]
    Unreadable(String),
    /// What is looked for is not in it.
    #[error("{0}")]
    NotThere(String),
    /// A field has another kind of value.
    #[error("`{field}` is {found}, and should be {wanted}")]
    Kind {
        /// The field.
        field: String,
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// It would make an object that is wrong.
    #[error("{}", several(.0))]
    Invalid(Vec<FieldProblem>),
}

fn several(problems: &[FieldProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Imported {
    /// The object as a YAML document, with the notes as comments.
    ///
    /// # Errors
    /// None that is known of; the writer of YAML could have one.
    pub fn to_yaml(&self, from: &str) -> Result<String, String> {
        let options = serde_saphyr::ser_options! { folded_wrap_chars: 110 };
        let object =
            serde_saphyr::to_string_with_options(&self.object, options).map_err(|error| error.to_string())?;
        let mut text = format!("# Made by: egret import {from}\n");
        for note in &self.notes {
            for (index, line) in wrapped(note, 105).into_iter().enumerate() {
                text.push_str(if index == 0 { "# - " } else { "#   " });
                text.push_str(&line);
                text.push('\n');
            }
        }
        Ok(text + &object)
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().filter(|line| line.is_empty() || line.len() + 1 + word.len() <= width);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Makes an `EgressProxy` of this name out of a text.
///
/// # Errors
/// What is wrong with the text.
pub fn import(origin: Origin, bytes: &[u8], name: &str) -> Result<Imported, ImportError> {
    if bytes.len() > MAX_BYTES {
        return Err(ImportError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| ImportError::Unreadable(error.to_string()))?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
        ImportError::Unreadable(error.to_string().lines().next().unwrap_or_default().to_owned())
    })?;
    let found = find::settings(origin, &documents)?;
    let mut import = Import { from: &found, notes: Vec::new(), taken: Vec::new() };
    let spec = import.spec(origin)?;
    import.left_over(origin);
    let mut notes = import.notes;
    notes.extend(found.notes.iter().cloned());
    notes.push(difference(origin).to_owned());
    let object = json!({
        "apiVersion": API_VERSION, "kind": "EgressProxy", "metadata": { "name": name }, "spec": spec,
    });
    let report = validate("EgressProxy", &object);
    if !report.errors.is_empty() {
        return Err(ImportError::Invalid(report.errors));
    }
    notes.extend(report.warnings.iter().map(|warning| format!("look at {warning}")));
    Ok(Imported { object, notes })
}

/// What is done differently here.
fn difference(origin: Origin) -> &'static str {
    match origin {
        Origin::Aks => {
            "AKS overwrote a pod's own no_proxy and left `.svc` and `.cluster.local` out; here a pod's own is added to \
             (`existingNoProxy: Merge`), and both are in. AKS gave the CA to nodes alone; here pods have it too \
             (`inject.caTrust: false` leaves it out). For nodes there is `egret node`. Pods with the annotation \
             kubernetes.azure.com/no-http-proxy-vars: \"true\" are left alone here as well."
        }
        Origin::OpenShift => {
            "OpenShift tells the proxy to its own operators alone; here every new pod is told. To begin with some \
             namespaces, add a namespaceSelector. ConfigMaps with the label \
             config.openshift.io/inject-trusted-cabundle: \"true\" are filled here as well."
        }
        Origin::Istio => {
            "Banzai's operator tells pods that have a sidecar; here every new pod is told. To keep to the same \
             namespaces, add a namespaceSelector with the label by which they are injected, and \
             inject.skipContainers: [istio-proxy] if the sidecar is to go its own way."
        }
    }
}

struct Import<'a> {
    from: &'a find::Settings,
    notes: Vec<String>,
    /// Fields that were carried over.
    taken: Vec<&'static str>,
}

impl Import<'_> {
    fn spec(&mut self, origin: Origin) -> Result<Map<String, Value>, ImportError> {
        let mut spec = Map::new();
        if let Some(enabled) = self.field("enabled") {
            let enabled = enabled.as_bool().ok_or_else(|| wrong_kind("enabled", "true or false", enabled))?;
            spec.insert("enabled".to_owned(), enabled.into());
        }
        for field in ["httpProxy", "httpsProxy"] {
            if let Some(url) = self.text(field)?.filter(|url| !url.is_empty()) {
                let url = entries::url(field, &url, &mut self.notes);
                spec.insert(field.to_owned(), url.into());
            }
        }
        let no_proxy = self.no_proxy()?;
        if !no_proxy.is_empty() {
            spec.insert("noProxy".to_owned(), no_proxy.into());
        }
        if let Some(ca) = self.trusted_ca(origin)? {
            spec.insert("trustedCA".to_owned(), ca);
        }
        if let Some(endpoints) = self.field("readinessEndpoints").cloned() {
            if !endpoints.is_array() {
                return Err(wrong_kind("readinessEndpoints", "a list", &endpoints));
            }
            if endpoints.as_array().is_some_and(|endpoints| !endpoints.is_empty()) {
                spec.insert("readinessEndpoints".to_owned(), endpoints);
            }
        }
        if !spec.contains_key("httpProxy") && !spec.contains_key("httpsProxy") {
            let message = format!("neither `httpProxy` nor `httpsProxy` is set in {}", self.from.place);
            return Err(ImportError::NotThere(message));
        }
        if !spec.contains_key("httpProxy") {
            self.notes.push("only httpsProxy is set: `http://` URLs go past the proxy".to_owned());
        }
        Ok(spec)
    }

    fn field(&mut self, name: &'static str) -> Option<&Value> {
        self.taken.push(name);
        self.from.fields.get(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, ImportError> {
        match self.field(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
            Some(other) => {
                Err(ImportError::Kind { field: name.to_owned(), wanted: "text", found: kind_of(other) })
            }
        }
    }

    /// A list, or a text with commas: each of the three has one or the other, and people mix them up.
    fn no_proxy(&mut self) -> Result<Vec<String>, ImportError> {
        let written: Vec<String> = match self.field("noProxy").cloned() {
            None => return Ok(Vec::new()),
            Some(Value::String(text)) => {
                text.split([',', ' ', '\n', '\t']).map(|entry| entry.trim().to_owned()).collect()
            }
            Some(Value::Array(items)) => {
                let mut written = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    match item.as_str() {
                        Some(text) => written.extend(text.split(',').map(|entry| entry.trim().to_owned())),
                        None => return Err(wrong_kind(&format!("noProxy[{index}]"), "text", item)),
                    }
                }
                written
            }
            Some(other) => return Err(wrong_kind("noProxy", "a list or text with commas", &other)),
        };
        Ok(entries::no_proxy(&written, &mut self.notes))
    }

    fn trusted_ca(&mut self, origin: Origin) -> Result<Option<Value>, ImportError> {
        let mut found = None;
        for field in ["trustedCA", "trustedCa", "additionalTrustBundle"] {
            found = self.field(field).cloned().or(found);
        }
        match found {
            None => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.into())),
            Some(Value::Object(reference)) if origin == Origin::OpenShift => {
                let name = reference.get("name").and_then(Value::as_str).unwrap_or_default();
                if name.is_empty() {
                    return Ok(None);
                }
                Ok(Some(json!({
                    "configMap": { "namespace": "openshift-config", "name": name, "key": "ca-bundle.crt" },
                })))
            }
            Some(other) => Err(wrong_kind("trustedCA", "text", &other)),
        }
    }

    /// Names what was not carried over.
    fn left_over(&mut self, origin: Origin) {
        for name in self.from.fields.keys().filter(|name| !self.taken.contains(&name.as_str())) {
            let why = match (origin, name.as_str()) {
                (Origin::Aks, "effectiveNoProxy") => {
                    "it was computed by AKS; Egret computes its own (`status.effectiveNoProxy`)"
                }
                _ => "Egret has nothing of the kind",
            };
            self.notes.push(format!("`{name}` was not carried over: {why}"));
        }
    }
}

fn wrong_kind(field: &str, wanted: &'static str, found: &Value) -> ImportError {
    ImportError::Kind { field: field.to_owned(), wanted, found: kind_of(found) }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping of fields",
    }
}
