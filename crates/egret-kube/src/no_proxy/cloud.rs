//! What each cloud has that must be reached from the pod itself.

use std::collections::BTreeSet;

/// A provider, as `spec.providerID` of a node begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provider {
    /// `aws://`
    Aws,
    /// `azure://`
    Azure,
    /// `gce://`
    Google,
    /// `alicloud://`.
    Alibaba,
}

/// A cloud that nodes of the cluster run in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cloud {
    /// Whose it is.
    pub provider: Provider,
    /// Google's name of the project, where the node tells.
    pub project: Option<String>,
}

impl Cloud {
    /// Reads `spec.providerID` of a node: `aws:///eu-west-1a/i-0abc`, `azure:///subscriptions/…`,
    /// `gce://project/zone/name`. `None` for providers that need no entries of their own.
    #[must_use]
    pub fn from_provider_id(id: &str) -> Option<Self> {
        let of = |provider| Some(Self { provider, project: None });
        match id.split_once("://") {
            Some(("aws", _)) => of(Provider::Aws),
            Some(("azure", _)) => of(Provider::Azure),
            Some(("gce", rest)) => {
                let project = rest.split('/').next().filter(|project| is_label(project));
                Some(Self { provider: Provider::Google, project: project.map(str::to_owned) })
            }
            Some(("alicloud", _)) => of(Provider::Alibaba),
            _ => None,
        }
    }

    /// Domains inside the cloud.
    #[must_use]
    pub fn domains(&self) -> Vec<String> {
        match self.provider {
            Provider::Aws => vec!["ec2.internal".to_owned(), "compute.internal".to_owned()],
            Provider::Azure => vec!["internal.cloudapp.net".to_owned()],
            Provider::Google => self.project.iter().map(|project| format!("c.{project}.internal")).collect(),
            Provider::Alibaba => Vec::new(),
        }
    }

    /// Hosts and addresses: metadata, DNS and health of the cloud, credentials of pods.
    #[must_use]
    pub fn hosts(&self) -> &'static [&'static str] {
        match self.provider {
            // Credentials of ECS tasks and of EKS Pod Identity.
            Provider::Aws => &["169.254.170.2", "169.254.170.23", "fd00:ec2::23", "instance-data"],
            Provider::Azure => &["168.63.129.16"],
            Provider::Google => &["metadata", "metadata.google.internal", "fd20:ce::254"],
            Provider::Alibaba => &["100.100.100.200"],
        }
    }
}

/// The clouds that these `spec.providerID`s speak of.
pub(super) fn of_nodes<'a>(ids: impl Iterator<Item = &'a str>) -> BTreeSet<Cloud> {
    ids.filter_map(Cloud::from_provider_id).collect()
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.len() <= 63 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
