//! Who asks: an identity in words.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use egret_core::identity::{
    CertificateName, ClientCertificate, ClientTls, Identity, NameKind, Proof, TlsVersion, User, Workload,
};

/// An identity, as far as it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) user: Option<String>,
    pub(super) groups: Vec<String>,
    pub(super) ip: Option<IpAddr>,
    /// Names in its certificate.
    pub(super) names: Vec<CertificateName>,
    pub(super) namespace: Option<String>,
    pub(super) service_account: Option<String>,
    pub(super) pod: Option<String>,
    pub(super) pod_labels: Vec<(String, String)>,
    pub(super) namespace_labels: Vec<(String, String)>,
}

const KEYS: &str = "user, group, ip, certificate, spiffe, namespace, serviceAccount, pod, podLabel.NAME, \
                    namespaceLabel.NAME";

impl Subject {
    /// Reads `key=value,…`; a word without a key is an address, a SPIFFE ID, a name of a certificate, or a
    /// user.
    pub(super) fn parse(texts: &[String]) -> Result<Self, String> {
        let mut subject = Self::default();
        for text in texts {
            let mut parts: Vec<(&str, String)> = Vec::new();
            for part in text.split(',') {
                match part.split_once('=') {
                    Some((key, value)) if is_key(key.trim()) => {
                        parts.push((key.trim(), value.trim().to_owned()))
                    }
                    // The subject of a certificate has commas of its own.
                    _ => match parts.last_mut() {
                        Some((key, value)) if is_certificate(key) || value.contains('=') => {
                            value.push(',');
                            value.push_str(part);
                        }
                        _ => parts.push(("", part.trim().to_owned())),
                    },
                }
            }
            for (key, value) in parts {
                subject.set(key, &value)?;
            }
        }
        Ok(subject)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        if value.is_empty() {
            return Err(format!("`{key}` has no value; write it as in user=alice,group=payments"));
        }
        match key {
            "" => return self.set_bare(value),
            "user" => self.user = Some(value.to_owned()),
            "group" | "groups" => self.groups.extend(value.split('+').map(str::to_owned)),
            "ip" | "address" => self.ip = Some(ip(value)?),
            "certificate" | "cert" => self.names.push(certificate_name(value)?),
            "spiffe" => self.names.push(spiffe(value)?),
            "namespace" | "ns" => self.namespace = Some(value.to_owned()),
            "serviceAccount" | "serviceaccount" | "sa" => self.set_account(value),
            "pod" => self.pod = Some(value.to_owned()),
            key => {
                let (list, label) = match key.split_once('.') {
                    Some(("podLabel", label)) => (&mut self.pod_labels, label),
                    Some(("namespaceLabel", label)) => (&mut self.namespace_labels, label),
                    _ => return Err(format!("`{key}` is nothing that an identity has; there are {KEYS}")),
                };
                list.push((label.to_owned(), value.to_owned()));
            }
        }
        Ok(())
    }

    fn set_bare(&mut self, value: &str) -> Result<(), String> {
        if let Some(account) = value.strip_prefix("system:serviceaccount:") {
            self.set_account(&account.replacen(':', "/", 1));
        } else if let Ok(address) = value.parse() {
            self.ip = Some(address);
        } else if value.starts_with("spiffe://") || is_name(value) {
            self.names.push(certificate_name(value)?);
        } else if let Some((key, _)) = value.split_once('=') {
            return Err(format!("`{key}` is nothing that an identity has; there are {KEYS}"));
        } else {
            self.user = Some(value.to_owned());
        }
        Ok(())
    }

    /// A service account, as `name` or `namespace/name`.
    pub(super) fn set_account(&mut self, value: &str) {
        match value.split_once('/') {
            Some((namespace, name)) => {
                self.namespace = Some(namespace.to_owned());
                self.service_account = Some(name.to_owned());
            }
            None => self.service_account = Some(value.to_owned()),
        }
    }

    /// The identity, as the proxy would have proved it.
    pub(super) fn identity(&self) -> Result<Identity, String> {
        // An address that nobody has stands for one that is not known.
        let client = SocketAddr::new(self.ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), 0);
        let mut identity = Identity::from_address(client);
        if self.user.is_some() || !self.groups.is_empty() {
            let groups: Vec<Arc<str>> = self.groups.iter().map(|group| group.as_str().into()).collect();
            let name = self.user.as_deref().unwrap_or("(a user)").into();
            identity.user =
                Some(User { name, proof: Proof::Htpasswd, groups: groups.into(), workload: None });
        }
        if !self.names.is_empty() {
            let certificate = ClientCertificate::new(self.names.clone());
            identity.tls = Some(Arc::new(ClientTls {
                version: TlsVersion::Tls13,
                cipher_suite: "TLS13_AES_256_GCM_SHA384",
                server_name: None,
                resumed: false,
                certificate: Some(Arc::new(certificate)),
                listener: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 8443),
                judged_by: 0,
            }));
        }
        identity.workload = self.workload()?.map(Arc::new);
        Ok(identity)
    }

    fn workload(&self) -> Result<Option<Workload>, String> {
        let labels = |labels: &[(String, String)]| {
            labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
        };
        let by_name = self.names.iter().find_map(|name| account_of(&name.value));
        let namespace = self.namespace.as_deref().or(by_name.map(|(namespace, _)| namespace));
        let Some(namespace) = namespace else {
            let has_more = self.service_account.is_some()
                || self.pod.is_some()
                || !self.pod_labels.is_empty()
                || !self.namespace_labels.is_empty();
            return match has_more {
                true => Err("a workload is in a namespace; add namespace=NAME".to_owned()),
                false => Ok(None),
            };
        };
        let account = self.service_account.as_deref().or(by_name.map(|(_, account)| account));
        Ok(Some(Workload {
            namespace: namespace.into(),
            service_account: account.map(Into::into),
            pod: self.pod.as_deref().map(Into::into),
            labels: labels(&self.pod_labels),
            namespace_labels: labels(&self.namespace_labels),
            ..Workload::default()
        }))
    }

    /// In words, for a heading.
    pub(super) fn words(&self) -> String {
        let mut words = Vec::new();
        let mut add = |what: &str, value: &str| words.push(format!("{what} {value}"));
        self.user.iter().for_each(|user| add("user", user));
        self.groups.iter().for_each(|group| add("group", group));
        self.names.iter().for_each(|name| add("certificate", &name.to_string()));
        self.namespace.iter().for_each(|namespace| add("namespace", namespace));
        self.service_account.iter().for_each(|account| add("service account", account));
        self.pod.iter().for_each(|pod| add("pod", pod));
        for (key, value) in &self.pod_labels {
            add("pod label", &format!("{key}={value}"));
        }
        for (key, value) in &self.namespace_labels {
            add("namespace label", &format!("{key}={value}"));
        }
        self.ip.iter().for_each(|ip| add("address", &ip.to_string()));
        if words.is_empty() { "a client of which nothing is known".to_owned() } else { words.join(", ") }
    }
}

/// Namespace and service account of a SPIFFE ID, in the form that Istio and SPIRE give to workloads.
pub(super) fn account_of(id: &str) -> Option<(&str, &str)> {
    let mut parts = id.strip_prefix("spiffe://")?.split('/');
    match (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()) {
        (_, "ns", namespace, "sa", account, None) if !namespace.is_empty() && !account.is_empty() => {
            Some((namespace, account))
        }
        _ => None,
    }
}

/// Reads an address.
pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map(|ip| ip.to_canonical()).map_err(|_| format!("`{text}` is no IP address"))
}

/// Reads a name of a certificate: `dns:`, `uri:`, `email:` or `subject:` and the value, or a SPIFFE ID.
pub(super) fn certificate_name(text: &str) -> Result<CertificateName, String> {
    if text.starts_with("spiffe://") {
        return Ok(CertificateName::new(NameKind::Uri, text));
    }
    let kind = match text.split_once(':') {
        Some(("uri", _)) => NameKind::Uri,
        Some(("dns", _)) => NameKind::Dns,
        Some(("email", _)) => NameKind::Email,
        Some(("subject", _)) => NameKind::Subject,
        _ => {
            return Err(format!(
                "`{text}` does not say what kind of name it is; write uri:, dns:, email: or subject: before it"
            ));
        }
    };
    Ok(CertificateName::new(kind, &text[kind.as_str().len() + 1..]))
}

/// Reads a SPIFFE ID.
pub(super) fn spiffe(text: &str) -> Result<CertificateName, String> {
    if text.starts_with("spiffe://") && text.len() > "spiffe://".len() {
        Ok(CertificateName::new(NameKind::Uri, text))
    } else {
        Err(format!("`{text}` is no SPIFFE ID; write it as in spiffe://cluster.local/ns/web/sa/cart"))
    }
}

fn is_certificate(key: &str) -> bool {
    matches!(key, "certificate" | "cert")
}

fn is_name(text: &str) -> bool {
    matches!(text.split_once(':'), Some(("uri" | "dns" | "email" | "subject", _)))
}

fn is_key(key: &str) -> bool {
    let known = [
        "user",
        "group",
        "groups",
        "ip",
        "address",
        "certificate",
        "cert",
        "spiffe",
        "namespace",
        "ns",
        "serviceAccount",
        "serviceaccount",
        "sa",
        "pod",
    ];
    known.contains(&key) || key.starts_with("podLabel.") || key.starts_with("namespaceLabel.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Subject, String> {
        Subject::parse(&[text.to_owned()])
    }

    #[test]
    fn reads_identities_as_people_write_them() {
        let subject = read(
            "user=alice,group=payments,groups=a+b,ip=10.1.2.3,spiffe=spiffe://td/ns/web/sa/cart,podLabel.app=x",
        )
        .unwrap();
        assert_eq!(subject.groups, ["payments", "a", "b"]);
        let identity = subject.identity().unwrap();
        assert_eq!(identity.ip().to_string(), "10.1.2.3");
        let workload = identity.workload.unwrap();
        assert_eq!((&*workload.namespace, workload.service_account.as_deref()), ("web", Some("cart")));
        assert_eq!(workload.labels.len(), 1);

        assert_eq!(read("alice").unwrap().user.as_deref(), Some("alice"));
        assert_eq!(read("10.0.0.1").unwrap().ip, Some([10, 0, 0, 1].into()));
        assert_eq!(
            read("certificate=subject:CN=build,O=Example").unwrap().names[0].value.as_ref(),
            "CN=build,O=Example"
        );
        let account = read("system:serviceaccount:web:cart").unwrap();
        assert_eq!(
            (account.namespace.as_deref(), account.service_account.as_deref()),
            (Some("web"), Some("cart"))
        );
        assert_eq!(account, read("sa=web/cart").unwrap());
    }

    #[test]
    fn refuses_what_no_identity_has() {
        assert!(read("usr=alice").unwrap_err().contains("`usr` is nothing that an identity has"));
        assert!(read("ip=10.1.2").unwrap_err().contains("no IP address"));
        assert!(read("user=").unwrap_err().contains("has no value"));
        assert!(read("spiffe=cart").unwrap_err().contains("no SPIFFE ID"));
        assert!(read("certificate=cart").unwrap_err().contains("what kind of name"));
        assert!(read("sa=cart").unwrap().identity().unwrap_err().contains("in a namespace"));
    }
}
