//! Checks of `kubernetes`.

use super::Checks;
use crate::file::KubernetesScope;

impl Checks<'_> {
    pub(super) fn kubernetes(&mut self) {
        let Some(kubernetes) = &self.config.file().kubernetes else { return };
        if let Err(why) = kubernetes.node() {
            let help = "set the environment variable NODE_NAME from spec.nodeName, or write nodeName here";
            self.find("/kubernetes/scope", why, help);
        }
        if kubernetes.scope == KubernetesScope::Cluster && kubernetes.node_name.is_some() {
            let message = "a node is named, and the pods of the whole cluster are watched";
            self.find("/kubernetes/nodeName", message, "write scope: Node, or remove the field");
        }
        if kubernetes.staleness.is_some_and(|time| time.0.is_zero()) {
            let help =
                "write 1m or more, or remove the field: without it, what was last seen goes on to hold";
            self.find("/kubernetes/staleness", "with zero nobody would ever be known", help);
        }
    }
}
