//! The variables of one container: what it has, and what it is given beside that.

use super::pod::{Container, Variable};
use super::proxy::CompiledProxy;
use super::report::Report;
use crate::no_proxy::{MergeRule, lint};

/// A variable in both cases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub(super) upper: &'static str,
    pub(super) lower: &'static str,
    /// What it is to be, if anything.
    pub(super) value: Option<&'a str>,
}

/// What a container has of a pair.
enum Own<'a> {
    /// Neither case.
    None,
    /// At least one, written out; with its place in `env`.
    Values(Vec<(usize, &'static str, &'a str)>),
    /// At least one comes from somewhere else (`valueFrom`).
    Elsewhere,
}

/// Names and values that are added, in order.
pub(super) type Added = Vec<(&'static str, String)>;

/// Values that are changed, by their place in `env`.
pub(super) type Changed = Vec<(usize, String)>;

#[derive(Debug)]
pub(super) struct Environment<'a> {
    container: &'a Container,
    proxy: &'a str,
    added: Added,
    changed: Changed,
}

impl<'a> Environment<'a> {
    pub(super) fn new(container: &'a Container, proxy: &'a str) -> Self {
        Self { container, proxy, added: Vec::new(), changed: Vec::new() }
    }

    /// What is to be added and changed.
    pub(super) fn finish(self) -> (Added, Changed) {
        (self.added, self.changed)
    }

    /// Of several with one name the last one counts.
    fn find(&self, name: &str) -> Option<(usize, &'a Variable)> {
        let variables = self.container.env.as_deref().unwrap_or_default();
        variables.iter().enumerate().rev().find(|(_, variable)| variable.name == name)
    }

    fn own(&self, pair: Pair<'_>) -> Own<'a> {
        let found =
            [pair.upper, pair.lower].map(|name| self.find(name).map(|(at, variable)| (at, name, variable)));
        let mut values = Vec::new();
        for (at, name, variable) in found.into_iter().flatten() {
            if variable.value_from.is_some() {
                return Own::Elsewhere;
            }
            values.push((at, name, variable.value.as_deref().unwrap_or_default()));
        }
        if values.is_empty() { Own::None } else { Own::Values(values) }
    }

    /// Gives a proxy in both cases, unless the container has either.
    pub(super) fn pair(&mut self, pair: Pair<'_>, report: &mut Report) {
        let Some(value) = pair.value else { return };
        let value = literal(value);
        match self.own(pair) {
            Own::None => {
                self.added.push((pair.upper, value.clone()));
                self.added.push((pair.lower, value));
            }
            // Ours already, perhaps in one case alone.
            Own::Values(values) if values.iter().all(|(_, _, own)| *own == value) => {
                self.complete(pair, &values, &value);
            }
            Own::Values(values) => {
                self.lint_case(&values, report);
                for (_, name, own) in &values {
                    for finding in lint::proxy_url(own) {
                        report.warn(format!("container {:?}, {name}: {finding}", self.container.name));
                    }
                }
                let names: Vec<&str> = values.iter().map(|(_, name, _)| *name).collect();
                report.warn(self.keeps(&names.join(" and "), pair));
            }
            Own::Elsewhere => report.warn(self.keeps(pair.upper, pair)),
        }
    }

    fn keeps(&self, names: &str, pair: Pair<'_>) -> String {
        format!(
            "container {:?} sets {names} itself: {} and {} are left as they are, and do not lead to EgressProxy {}",
            self.container.name, pair.upper, pair.lower, self.proxy
        )
    }

    fn complete(&mut self, pair: Pair<'_>, values: &[(usize, &'static str, &str)], value: &str) {
        for name in [pair.upper, pair.lower] {
            if !values.iter().any(|(_, own, _)| *own == name) {
                self.added.push((name, value.to_owned()));
            }
        }
    }

    /// Gives `NO_PROXY`, joined with the container's own by setting.
    pub(super) fn no_proxy(&mut self, proxy: &CompiledProxy, report: &mut Report) {
        let pair = Pair { upper: "NO_PROXY", lower: "no_proxy", value: Some(proxy.no_proxy.value()) };
        let values = match self.own(pair) {
            Own::None if proxy.no_proxy.value().is_empty() => return,
            Own::None => return self.pair(pair, report),
            Own::Values(values) => values,
            Own::Elsewhere => {
                report.warn(format!(
                    "container {:?} takes NO_PROXY from somewhere else (valueFrom), which is left as it is: names of \
                     the cluster have to be in it",
                    self.container.name
                ));
                return;
            }
        };
        self.lint_no_proxy(&values, proxy.no_proxy.entries(), report);
        let value = match proxy.existing_no_proxy {
            MergeRule::Keep => {
                self.lint_case(&values, report);
                let names: Vec<&str> = values.iter().map(|(_, name, _)| *name).collect();
                report.warn(format!(
                    "container {:?} keeps its own {} (existingNoProxy: Keep): names of the cluster have to be in it",
                    self.container.name,
                    names.join(" and ")
                ));
                return;
            }
            MergeRule::Replace => literal(proxy.no_proxy.value()),
            MergeRule::Merge => proxy.no_proxy.merge(values.iter().map(|(_, _, own)| *own)),
        };
        for (at, _, own) in &values {
            if *own != value {
                self.changed.push((*at, value.clone()));
            }
        }
        self.complete(pair, &values, &value);
    }

    fn lint_case(&self, values: &[(usize, &'static str, &str)], report: &mut Report) {
        if let [(_, name, own)] = values
            && !own.is_empty()
            && let Some(finding) = lint::lone_case(name)
        {
            report.warn(format!("container {:?} sets {name} alone: {finding}", self.container.name));
        }
    }

    fn lint_no_proxy(&self, values: &[(usize, &'static str, &str)], ours: &[String], report: &mut Report) {
        for (_, name, own) in values {
            for finding in lint::no_proxy_beside(own, ours) {
                report.warn(format!("container {:?}, {name}: {finding}", self.container.name));
            }
        }
        if let [(_, _, upper), (_, _, lower)] = values
            && upper != lower
        {
            report.warn(format!(
                "container {:?} sets NO_PROXY and no_proxy to different lists: Go and reqwest read the one, most \
                 others the other",
                self.container.name
            ));
        }
    }

    /// Gives a variable that has one spelling, unless the container has it.
    pub(super) fn single(&mut self, name: &'static str, value: &str, report: &mut Report) {
        match self.find(name) {
            None => self.added.push((name, value.to_owned())),
            Some((_, own)) if own.value.as_deref() == Some(value) => {}
            Some(_) => report.warn(format!(
                "container {:?} sets {name} itself, which is left as it is",
                self.container.name
            )),
        }
    }

    /// Gives a variable whose value is words, behind those that the container has. `add` is told what is there and
    /// says what is missing.
    pub(super) fn words(
        &mut self,
        name: &'static str,
        report: &mut Report,
        add: impl FnOnce(&str) -> Vec<String>,
    ) -> usize {
        let own = self.find(name);
        if own.is_some_and(|(_, own)| own.value_from.is_some()) {
            report.warn(format!(
                "container {:?} takes {name} from somewhere else (valueFrom), which is left as it is",
                self.container.name
            ));
            return 0;
        }
        let text = own.and_then(|(_, own)| own.value.as_deref()).unwrap_or_default();
        let missing: Vec<String> = add(text).iter().map(|word| literal(word)).collect();
        if missing.is_empty() {
            return text.len();
        }
        let value =
            if text.trim().is_empty() { missing.join(" ") } else { format!("{text} {}", missing.join(" ")) };
        let length = value.len();
        match own {
            Some((at, _)) => self.changed.push((at, value)),
            None => self.added.push((name, value)),
        }
        length
    }

    pub(super) fn container_name(&self) -> &str {
        &self.container.name
    }

    /// Says that `envFrom` was not looked into, where something in it could be one of our variables.
    pub(super) fn note_unseen(&self, report: &mut Report) {
        let sources: Vec<String> = self
            .container
            .env_from
            .iter()
            .flatten()
            .filter(|source| source.prefix.as_deref().is_none_or(could_begin_ours))
            .filter_map(|source| {
                let config_map = source.config_map_ref.as_ref().map(|of| format!("ConfigMap {}", of.name));
                config_map.or_else(|| source.secret_ref.as_ref().map(|of| format!("Secret {}", of.name)))
            })
            .collect();
        let Some(first) = sources.first().filter(|_| !self.added.is_empty()) else { return };
        let others =
            if sources.len() > 1 { format!(" and {} more", sources.len() - 1) } else { String::new() };
        report.warn(format!(
            "container {:?} has envFrom ({first}{others}), which is not looked into: what is injected goes before a \
             proxy set there; set it in env to keep it",
            self.container.name
        ));
    }
}

/// Whether a name that begins so can be one of those that are given.
fn could_begin_ours(prefix: &str) -> bool {
    const NAMES: [&str; 6] =
        ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];
    NAMES.iter().any(|name| name.starts_with(prefix))
}

/// Whether npm is told of a file of CAs.
pub(super) fn has_cafile(container: &Container) -> bool {
    let mut names = container.env.iter().flatten().map(|variable| variable.name.as_str());
    names.any(|name| name.eq_ignore_ascii_case("npm_config_cafile"))
}

/// A value that kubelet leaves as it is: `$(` would be a reference to another variable.
fn literal(value: &str) -> String {
    value.replace("$(", "$$(")
}
