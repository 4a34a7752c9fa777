//! One container: its variables and mounts.

use serde_json::{Value, json};

use super::environment::{Environment, Pair};
use super::patch::Patch;
use super::pod::Container;
use super::proxy::CompiledProxy;
use super::report::Report;
use super::trust::{TrustedFile, VARIABLES};
use super::volume::{Mounted, VolumePlan};
use super::{environment, java};

/// Where a container stands in the pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) field: &'static str,
    pub(super) index: usize,
}

impl Place {
    fn path(self) -> String {
        format!("/spec/{}/{}", self.field, self.index)
    }
}

/// Gives a container what it is to have. Returns whether the volume is mounted.
pub(super) fn inject(
    container: &Container,
    place: Place,
    proxy: &CompiledProxy,
    volume: Option<&VolumePlan<'_>>,
    patch: &mut Patch,
    report: &mut Report,
) -> bool {
    if proxy.skip_containers.iter().any(|glob| glob.matches(&container.name)) {
        return false;
    }
    let at = place.path();
    let mut variables = Environment::new(container, proxy.name.as_str());
    if proxy.variables {
        let pairs = [
            Pair { upper: "HTTP_PROXY", lower: "http_proxy", value: proxy.http_proxy.as_deref() },
            Pair { upper: "HTTPS_PROXY", lower: "https_proxy", value: proxy.https_proxy.as_deref() },
            Pair {
                upper: "ALL_PROXY",
                lower: "all_proxy",
                value: proxy.https_proxy.as_deref().filter(|_| proxy.all_proxy),
            },
        ];
        for pair in pairs {
            variables.pair(pair, report);
        }
        variables.no_proxy(proxy, report);
    }
    if proxy.node {
        variables.single("NODE_USE_ENV_PROXY", "1", report);
    }
    let mounted = volume.is_some_and(|volume| trust(container, &at, volume, &mut variables, patch, report));
    if proxy.java {
        let store = volume.filter(|volume| mounted && volume.trust.volume.has_store()).is_some();
        java::options(&mut variables, proxy, store, report);
    }
    variables.note_unseen(report);
    let (added, changed) = variables.finish();
    for (index, value) in changed {
        patch.add(format!("{at}/env/{index}/value"), json!(value));
    }
    let added: Vec<Value> =
        added.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    patch.append(&format!("{at}/env"), container.env.is_some(), added);
    mounted
}

fn trust(
    container: &Container,
    at: &str,
    volume: &VolumePlan<'_>,
    variables: &mut Environment<'_>,
    patch: &mut Patch,
    report: &mut Report,
) -> bool {
    if let Mounted::Blocked(path) = volume.mount(container, at, patch) {
        report.warn(format!(
            "container {:?} is given no trust in CAs: it mounts a volume of its own at {path}",
            container.name
        ));
        return false;
    }
    for variable in VARIABLES {
        variables.single(variable.name, &variable.file.path(), report);
    }
    if environment::has_cafile(container) {
        report.warn(format!(
            "container {:?} sets npm_config_cafile, with which npm pays no attention to NODE_EXTRA_CA_CERTS: add the \
             CAs of {} to that file",
            container.name,
            TrustedFile::Own.path()
        ));
    }
    true
}
