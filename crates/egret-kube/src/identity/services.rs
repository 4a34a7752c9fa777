//! Short names of Services, which pods find by their search path and a proxy does not.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use egret_config::file::BareServiceNames;
use egret_core::destination::{Destination, Host};
use egret_core::identity::workloads::ServiceName;

use super::objects::Service;
use crate::watch::Change;

/// Names by namespace, while a list of them is being read.
type Listing = HashMap<Arc<str>, HashSet<Arc<str>>>;
type Names = HashMap<Arc<str>, Arc<HashSet<Arc<str>>>>;

/// The Services of the cluster, by namespace and name.
pub(crate) struct Services {
    rule: BareServiceNames,
    domain: String,
    names: ArcSwap<Names>,
    listing: Mutex<Option<Listing>>,
}

impl Services {
    pub(crate) fn new(rule: BareServiceNames, domain: String) -> Self {
        Self { rule, domain, names: ArcSwap::default(), listing: Mutex::default() }
    }

    /// Takes in what the watch tells.
    pub(crate) fn change(&self, change: Change<Service>) {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let key = |service: Service| {
            let metadata = service.metadata;
            (Arc::from(metadata.namespace.unwrap_or_default()), Arc::from(metadata.name.unwrap_or_default()))
        };
        match change {
            Change::Begin => *listing = Some(HashMap::new()),
            Change::Listed(service) => {
                let (namespace, name) = key(service);
                listing.get_or_insert_default().entry(namespace).or_default().insert(name);
            }
            Change::Complete => {
                let all = listing.take().unwrap_or_default();
                self.names
                    .store(Arc::new(all.into_iter().map(|(of, names)| (of, Arc::new(names))).collect()));
            }
            Change::Applied(service) => {
                let (namespace, name) = key(service);
                self.edit(namespace, |names| names.insert(name));
            }
            Change::Deleted(service) => {
                let (namespace, name) = key(service);
                self.edit(namespace, |names| names.remove(&name));
            }
        }
    }

    fn edit(&self, namespace: Arc<str>, edit: impl FnOnce(&mut HashSet<Arc<str>>) -> bool) {
        let mut all = Names::clone(&self.names.load());
        let mut names = all.get(&namespace).map(|names| HashSet::clone(names)).unwrap_or_default();
        if edit(&mut names) {
            all.insert(namespace, Arc::new(names));
            self.names.store(Arc::new(all));
        }
    }

    /// What becomes of a name that a client of this namespace asks for.
    pub(crate) fn judge(&self, namespace: Option<&str>, destination: &Destination) -> Option<ServiceName> {
        let Host::Name(name) = &destination.host else { return None };
        if self.rule == BareServiceNames::Ignore {
            return None;
        }
        let mut labels = name.trim_end_matches('.').split('.');
        let parts = (labels.next()?, labels.next(), labels.next(), labels.next());
        let (service, of, entry) = match parts {
            (service, None, ..) => (service, namespace?, service.to_owned()),
            (service, Some(of), None, _) => (service, of, format!(".{of}")),
            (service, Some(of), Some("svc"), None) => (service, of, ".svc".to_owned()),
            _ => return None,
        };
        if !self.names.load().get(of)?.contains(service) {
            return None;
        }
        if self.rule == BareServiceNames::Relay {
            let whole = format!("{service}.{of}.svc.{}", self.domain);
            let host = Host::Name(whole.as_str().into());
            return Some(ServiceName::Relay(Destination { host, port: destination.port }));
        }
        let mut detail = format!(
            "`{name}` is the Service {service} of namespace {of}, and stands not in the client's NO_PROXY: add `{entry}` to it"
        );
        if entry != ".svc" {
            detail.push_str(&format!(", or call it `{service}.{of}.svc` with `.svc` in NO_PROXY"));
        }
        Some(ServiceName::Refuse(detail))
    }
}

/// The cluster's domain, by the search path of resolv.conf: `NAMESPACE.svc.DOMAIN svc.DOMAIN DOMAIN …`.
pub(crate) fn domain_of(resolv_conf: &str) -> Option<String> {
    let lines = resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("search"));
    let mut domains = lines.flat_map(str::split_whitespace);
    domains
        .find_map(|domain| domain.strip_prefix("svc."))
        .map(|domain| domain.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(rule: BareServiceNames) -> Services {
        let services = Services::new(rule, "corp.local".to_owned());
        services.change(Change::Begin);
        for (namespace, name) in [("a", "web"), ("b", "db")] {
            let mut service = Service::default();
            service.metadata.namespace = Some(namespace.to_owned());
            service.metadata.name = Some(name.to_owned());
            services.change(Change::Listed(service));
        }
        services.change(Change::Complete);
        services
    }

    fn judge(services: &Services, namespace: Option<&str>, name: &str) -> Option<String> {
        let destination = Destination { host: Host::Name(name.into()), port: 80 };
        services.judge(namespace, &destination).map(|judged| match judged {
            ServiceName::Refuse(detail) => detail,
            ServiceName::Relay(whole) => whole.to_string(),
        })
    }

    #[test]
    fn refuses_short_names_with_the_entry_that_is_missing() {
        let services = services(BareServiceNames::Refuse);
        for (namespace, name, entry) in [
            (Some("a"), "web", Some("add `web` to it, or call it `web.a.svc`")),
            (Some("a"), "db.b", Some("add `.b` to it")),
            (None, "db.b", Some("add `.b` to it")),
            (Some("b"), "web.a.svc", Some("add `.svc` to it")),
            (Some("b"), "web", None),
            (None, "web", None),
            (Some("a"), "web.b", None),
            (Some("a"), "example.com", None),
            (Some("a"), "web.a.svc.corp.local", None),
        ] {
            let said = judge(&services, namespace, name);
            match entry {
                Some(entry) => {
                    assert!(said.as_ref().is_some_and(|said| said.contains(entry)), "{name}: {said:?}")
                }
                None => assert_eq!(said, None, "{name}"),
            }
        }
    }

    #[test]
    fn relays_short_names_under_their_whole_names() {
        let services = services(BareServiceNames::Relay);
        assert_eq!(judge(&services, Some("a"), "web").unwrap(), "web.a.svc.corp.local:80");
        assert_eq!(judge(&services, None, "db.b").unwrap(), "db.b.svc.corp.local:80");
    }

    #[test]
    fn finds_the_domain_of_the_cluster() {
        let text = "search team-a.svc.corp.local svc.corp.local corp.local\nnameserver 10.96.0.10\n";
        assert_eq!(domain_of(text).as_deref(), Some("corp.local"));
        assert_eq!(domain_of("search lan\n"), None);
    }
}
