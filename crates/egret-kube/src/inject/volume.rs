//! The volume with the bundles, and its mounts.

use serde_json::{Value, json};

use super::MOUNT_PATH;
use super::patch::Patch;
use super::pod::{Container, Pod, Volume};
use super::trust::{Trust, TrustVolume, TrustedFile};

/// What the volume is called, with a number behind it where a pod has one of that name already.
const NAME: &str = "egret-ca";

/// Which volume the mounts are of.
#[derive(Debug)]
pub(super) struct VolumePlan<'a> {
    pub(super) trust: &'a Trust,
    name: String,
    /// Whether the pod has it already.
    is_there: bool,
}

/// What came of a container's mounts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mounted {
    /// The files are there.
    Yes,
    /// They cannot be, for what the container mounts at this path.
    Blocked(String),
}

impl<'a> VolumePlan<'a> {
    /// For a new pod: the volume it has, or a name that none of its volumes has.
    pub(super) fn of(pod: &Pod, trust: &'a Trust) -> Self {
        Self::existing(pod, trust).unwrap_or_else(|| {
            let taken = |name: &str| pod.spec.volumes.iter().flatten().any(|volume| volume.name == name);
            let name = std::iter::once(NAME.to_owned())
                .chain((2..).map(|number| format!("{NAME}-{number}")))
                .find(|name| !taken(name))
                // Some number is free; a pod has no more volumes than there are numbers.
                .unwrap_or_default();
            Self { trust, name, is_there: false }
        })
    }

    /// For a pod whose volumes can no longer be changed.
    pub(super) fn existing(pod: &Pod, trust: &'a Trust) -> Option<Self> {
        let volume = pod.spec.volumes.iter().flatten().find(|volume| is_ours(volume, &trust.volume))?;
        Some(Self { trust, name: volume.name.clone(), is_there: true })
    }

    /// Adds the volume, unless it is there.
    pub(super) fn add(&self, pod: &Pod, patch: &mut Patch) {
        if self.is_there {
            return;
        }
        let (kind, source) = self.trust.volume.source();
        patch.append(
            "/spec/volumes",
            pod.spec.volumes.is_some(),
            vec![json!({"name": self.name, kind: source})],
        );
    }

    /// Mounts it into a container.
    pub(super) fn mount(&self, container: &Container, at: &str, patch: &mut Patch) -> Mounted {
        let mut mounts = Vec::new();
        match self.at(container, MOUNT_PATH) {
            Spot::Ours => {}
            Spot::Blocked(path) => return Mounted::Blocked(path),
            Spot::Free => {
                mounts.push(json!({"name": self.name, "mountPath": MOUNT_PATH, "readOnly": true}));
            }
        }
        for path in &self.trust.over_paths {
            // What the pod puts there itself is what it wants to trust.
            if self.at(container, path) == Spot::Free {
                mounts.push(self.file(path));
            }
        }
        patch.append(&format!("{at}/volumeMounts"), container.volume_mounts.is_some(), mounts);
        Mounted::Yes
    }

    fn file(&self, path: &str) -> Value {
        json!({"name": self.name, "mountPath": path, "subPath": TrustedFile::Bundle.key(), "readOnly": true})
    }

    /// Two mounts at one path are refused by the API server, and one inside another, which may be read-only, keeps a
    /// container from starting.
    fn at(&self, container: &Container, path: &str) -> Spot {
        for mount in container.volume_mounts.iter().flatten() {
            let other = mount.mount_path.trim_end_matches('/');
            if other == path && mount.name == self.name {
                return Spot::Ours;
            }
            let is_above =
                path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if is_above {
                return Spot::Blocked(mount.mount_path.clone());
            }
        }
        Spot::Free
    }
}

#[derive(PartialEq, Eq)]
enum Spot {
    Free,
    Ours,
    Blocked(String),
}

fn is_ours(volume: &Volume, wanted: &TrustVolume) -> bool {
    if !volume.name.starts_with(NAME) {
        return false;
    }
    match wanted {
        TrustVolume::ConfigMap { name } => {
            volume.config_map.as_ref().is_some_and(|config_map| config_map.name == *name)
        }
        TrustVolume::ClusterTrustBundles { bundle, .. } => {
            let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
            sources
                .filter_map(|source| source.cluster_trust_bundle.as_ref())
                .any(|one| one.name.as_deref() == Some(bundle))
        }
    }
}
