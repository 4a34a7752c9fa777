//! What is put into pods: the proxy's variables, what Java and Node need beside them, and trust in CAs.
//!
//! [`inject`] is a function of values: the pod as the API server sends it and a [`Snapshot`] of the settings give a JSON
//! patch, warnings for whoever made the pod, and annotations for the audit log. It does no I/O and has no side effects,
//! so that a dry run is like any other.
//!
//! The rules, each with its reason:
//! - **The pod's own value wins, for both cases of a name.** A variable in one case beside the pod's own in the other
//!   would send some of the pod's programs one way and some the other.
//! - **A patch never makes a pod worse.** With `failurePolicy: Ignore` the API server forgives a webhook that fails, but
//!   not a patch that does not fit. So only `add` is used, absent arrays are added whole, a mount is never put where one
//!   is, and an ephemeral container is given a mount only of a volume that the pod has.
//! - **Twice is once.** The API server calls again when a later webhook adds a container: what is there already is
//!   left, in the same order.
//! - **Doubt leaves the pod as it is**, with a warning.

mod choose;
mod container;
mod environment;
mod java;
mod patch;
mod pod;
mod proxy;
mod report;
#[cfg(test)]
mod tests;
mod trust;
mod volume;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use choose::{Choice, Snapshot};
pub use patch::{Operation, pointer};
pub use proxy::{CompiledProxy, Labels, labels};
pub(crate) use report::clean;
pub use report::{MAX_WARNING_CHARS, MAX_WARNINGS};
pub use trust::{
    Effect, STORE_PASSWORD, Trust, TrustVolume, TrustedFile, VARIABLES, Variable, WELL_KNOWN_PATHS,
};

use container::Place;
use patch::Patch;
use pod::Pod;
use report::Report;
use volume::VolumePlan;

/// The annotation by which a pod opts out, with the value `false`; also read as a label.
pub const INJECT: &str = "egret.dev/inject";
/// The annotation that names the `EgressProxy` a pod was given.
pub const INJECTED: &str = "egret.dev/injected";
/// The annotation with the generation of that `EgressProxy`.
pub const GENERATION: &str = "egret.dev/generation";
/// The annotation that says why a pod was given nothing.
pub const NOT_INJECTED: &str = "egret.dev/not-injected";
/// AKS's annotation by which a pod opts out, with the value `true`.
pub const AKS_OPT_OUT: &str = "kubernetes.azure.com/no-http-proxy-vars";
/// Where the bundles are mounted.
pub const MOUNT_PATH: &str = "/etc/egret/ca";

/// What an AdmissionRequest says that matters here.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `request.namespace`: the pods of Deployments have none in their metadata yet.
    pub namespace: &'a str,
    /// The labels of that namespace, where the snapshot does not have them yet and somebody asked.
    pub namespace_labels: Option<&'a Labels>,
    /// Whether it is about ephemeral containers (UPDATE of the subresource) rather than a new pod.
    pub ephemeral: bool,
    /// The pod, as JSON.
    pub object: &'a str,
    /// The pod as it was, for ephemeral containers.
    pub old_object: Option<&'a str>,
}

/// What became of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It was given what the settings say, or had it already.
    Injected,
    /// No `EgressProxy` selects it.
    NotSelected,
    /// It, or its namespace, asks to be left alone.
    OptedOut,
    /// A setting leaves pods of its kind out.
    Skipped,
    /// It could not be decided; left as it is.
    Doubtful,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Injected, Self::NotSelected, Self::OptedOut, Self::Skipped, Self::Doubtful];

    /// As metrics say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::NotSelected => "not_selected",
            Self::OptedOut => "opted_out",
            Self::Skipped => "skipped",
            Self::Doubtful => "doubtful",
        }
    }
}

/// The answer for a pod. It is always allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// What became of it.
    pub outcome: Outcome,
    /// The JSON patch (RFC 6902); empty where nothing changes.
    pub patch: Vec<Operation>,
    /// What to tell whoever made the pod: bounded in number and length, without control characters.
    pub warnings: Vec<String>,
    /// What the audit log is to say.
    pub audit: BTreeMap<&'static str, String>,
}

/// Decides what a pod is given.
#[must_use]
pub fn inject(request: &Request<'_>, snapshot: &Snapshot) -> Injection {
    let mut report = Report::default();
    let pod: Pod = match serde_json::from_str(request.object) {
        Ok(pod) => pod,
        Err(error) => {
            report.warn(format!("this pod could not be read ({error}), and is left as it is"));
            return report.finish(Outcome::Doubtful, Patch::default());
        }
    };
    let proxy = match snapshot.choose(request, &pod, &mut report) {
        Choice::Use(proxy) => proxy,
        Choice::Leave(outcome, reason) => return leave(outcome, reason, request, &pod, report),
    };
    let patch = if request.ephemeral {
        if !proxy.ephemeral_containers {
            report.warn(format!(
                "ephemeral containers are given no proxy: EgressProxy {} says `ephemeralContainers: false`",
                proxy.name
            ));
            return report.finish(Outcome::Skipped, Patch::default());
        }
        ephemeral(request, &pod, proxy, &mut report)
    } else {
        whole_pod(request, &pod, proxy, snapshot, &mut report)
    };
    report.note("injected", proxy.name.clone());
    report.note("generation", proxy.generation.to_string());
    report.finish(Outcome::Injected, patch)
}

/// Leaves a pod as it is, and says why: nothing where nobody asked for it, a warning where somebody did, and an
/// annotation where it is the settings' doing rather than the pod's own wish.
fn leave(
    outcome: Outcome,
    reason: Option<Cow<'static, str>>,
    request: &Request<'_>,
    pod: &Pod,
    mut report: Report,
) -> Injection {
    let mut patch = Patch::default();
    if let Some(reason) = reason {
        report.warn(format!("no proxy is injected: {reason}"));
        if outcome == Outcome::Skipped && !request.ephemeral {
            patch.annotate(pod, &[(NOT_INJECTED, &reason)]);
        }
        report.note("not-injected", reason.into_owned());
    }
    report.finish(outcome, patch)
}

fn whole_pod(
    request: &Request<'_>,
    pod: &Pod,
    proxy: &CompiledProxy,
    snapshot: &Snapshot,
    report: &mut Report,
) -> Patch {
    let mut patch = Patch::default();
    let trust = proxy.trust.as_ref().filter(|_| {
        let missing = snapshot.missing_bundles.get(request.namespace);
        if let Some(why) = missing {
            report.warn(format!("trust in CAs is left out: the bundle is not in this namespace ({why})"));
        }
        missing.is_none()
    });
    let trust = trust.filter(|_| {
        let windows = pod.is_windows();
        if windows {
            report.warn("trust in CAs is left out: Windows has no files for it".to_owned());
        }
        !windows
    });
    let volume = trust.map(|trust| VolumePlan::of(pod, trust));
    let mut mounted = false;
    for (field, list) in [("initContainers", &pod.spec.init_containers), ("containers", &pod.spec.containers)]
    {
        for (index, container) in list.iter().flatten().enumerate() {
            let place = Place { field, index };
            mounted |= container::inject(container, place, proxy, volume.as_ref(), &mut patch, report);
        }
    }
    if let Some(volume) = volume.filter(|_| mounted) {
        volume.add(pod, &mut patch);
    }
    patch.annotate(pod, &[(INJECTED, &proxy.name), (GENERATION, &proxy.generation.to_string())]);
    patch
}

fn ephemeral(request: &Request<'_>, pod: &Pod, proxy: &CompiledProxy, report: &mut Report) -> Patch {
    let mut patch = Patch::default();
    // Those that are there may not be changed any more.
    let old: Option<Pod> = request.old_object.and_then(|old| serde_json::from_str(old).ok());
    let is_old = |name: &str| {
        let old = old.iter().flat_map(|old| old.spec.ephemeral_containers.iter().flatten());
        old.into_iter().any(|container| container.name == name)
    };
    // The pod's volumes can no longer be changed either.
    let volume = proxy.trust.as_ref().and_then(|trust| VolumePlan::existing(pod, trust));
    let mut any = false;
    for (index, container) in pod.spec.ephemeral_containers.iter().flatten().enumerate() {
        if !is_old(&container.name) {
            any = true;
            let place = Place { field: "ephemeralContainers", index };
            container::inject(container, place, proxy, volume.as_ref(), &mut patch, report);
        }
    }
    if any && volume.is_none() && proxy.trust.is_some() {
        report.warn(
            "trust in CAs is left out of the ephemeral container: this pod was made without the volume for it"
                .to_owned(),
        );
    }
    patch
}
