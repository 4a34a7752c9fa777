//! Who speaks, and how that was proven.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

mod groups;
mod name;
pub mod spiffe;
pub mod workloads;

pub use groups::{Groups, MAX_GROUP_BYTES, check_group_name};
pub use name::{BadPattern, CertificateName, NameKind, NamePattern};
pub use workloads::{Labels, Owner, Unattributed};

/// The identity of a client, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The address and port that the client connected from.
    pub client: SocketAddr,
    /// The TLS session that the client speaks through, if it does. Its certificate is there, where it
    /// showed one.
    pub tls: Option<Arc<ClientTls>>,
    /// The user, where credentials were asked for and proved to be good.
    pub user: Option<User>,
    /// The workload that the client is, where that is known.
    pub workload: Option<Arc<Workload>>,
    /// Why no workload is known behind the client's address, where it was looked for.
    pub unattributed: Option<Unattributed>,
}

/// A workload of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its service account.
    pub service_account: Option<Arc<str>>,
    /// Its pod.
    pub pod: Option<Arc<str>>,
    /// The pod's uid, which no other pod ever has.
    pub pod_uid: Option<Arc<str>>,
    /// What owns the pod.
    pub owner: Option<Owner>,
    /// The node that the pod is on.
    pub node: Option<Arc<str>>,
    /// The pod's labels.
    pub labels: Labels,
    /// The namespace's labels.
    pub namespace_labels: Labels,
}

impl std::fmt::Display for Workload {
    /// `namespace/account (pod name)`, as far as it is known.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.namespace)?;
        if let Some(account) = &self.service_account {
            write!(f, "/{account}")?;
        }
        if let Some(pod) = &self.pod {
            write!(f, " (pod {pod})")?;
        }
        Ok(())
    }
}

/// A user, as proved by credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name, at most 255 bytes without control characters.
    pub name: Arc<str>,
    /// How it was proved.
    pub proof: Proof,
    /// The groups that it is in.
    pub groups: Groups,
    /// The workload that the credentials are of, where they are one's.
    pub workload: Option<Arc<Workload>>,
}

/// How an identity was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// By nothing but the address that the client connected from.
    Address,
    /// By a client certificate, verified in a TLS handshake.
    Certificate,
    /// By the password of an htpasswd file.
    Htpasswd,
    /// By the password of a directory.
    Ldap,
    /// By a signed token.
    Jwt,
    /// By a login to the console, from which the request was sent again.
    Console,
    /// By the token of a service account, which the API server found good.
    ServiceAccount,
}

impl Proof {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Certificate => "certificate",
            Self::Htpasswd => "htpasswd",
            Self::Ldap => "ldap",
            Self::Jwt => "jwt",
            Self::Console => "console",
            Self::ServiceAccount => "service-account",
        }
    }
}

impl Identity {
    /// An identity of which only the source address is known.
    #[must_use]
    pub fn from_address(client: SocketAddr) -> Self {
        Self {
            client: SocketAddr::new(client.ip().to_canonical(), client.port()),
            tls: None,
            user: None,
            workload: None,
            unattributed: None,
        }
    }

    /// The client's address, IPv4-mapped IPv6 reduced to IPv4.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.client.ip()
    }

    /// The certificate that the client showed and proved to own. It was verified.
    #[must_use]
    pub fn certificate(&self) -> Option<&ClientCertificate> {
        self.tls.as_ref()?.certificate.as_deref()
    }

    /// How the identity was proven: by credentials, else by a certificate, else by its address alone.
    #[must_use]
    pub fn proof(&self) -> Proof {
        match (&self.user, self.certificate()) {
            (Some(user), _) => user.proof,
            (None, Some(_)) => Proof::Certificate,
            (None, None) => Proof::Address,
        }
    }

    /// The name that stands for the client in records, rules and metrics; `None` when only its address
    /// is known.
    #[must_use]
    pub fn name(&self) -> Option<&Arc<str>> {
        match &self.user {
            Some(user) => Some(&user.name),
            None => self.certificate().map(ClientCertificate::name),
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl TlsVersion {
    /// As logs and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// What was agreed in the TLS handshake of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// The version.
    pub version: TlsVersion,
    /// The cipher suite by its IANA name.
    pub cipher_suite: &'static str,
    /// The name that the client asked for (SNI, RFC 6066 section 3).
    pub server_name: Option<Box<str>>,
    /// A session of before was resumed (RFC 8446 section 2.2): no certificate was sent either way.
    pub resumed: bool,
    /// The client's certificate, where it showed one.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The listener that it was agreed with.
    pub listener: SocketAddr,
    /// Which of that listener's rules for clients it was judged by: a number that is another when they
    /// have changed.
    pub judged_by: u64,
}

/// The names of a client certificate that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    names: Vec<CertificateName>,
    name: Arc<str>,
    organizations: Vec<Arc<str>>,
    chain: Vec<Box<[u8]>>,
}

impl ClientCertificate {
    /// A certificate with these names. The first URI (a SPIFFE ID is one) stands for the client, else
    /// the first DNS name, else the first e-mail address, else the subject.
    #[must_use]
    pub fn new(mut names: Vec<CertificateName>) -> Self {
        names.sort_by_key(|name| name.kind);
        let name = names.first().map_or_else(|| "".into(), |first| first.value.clone());
        Self { names, name, organizations: Vec::new(), chain: Vec::new() }
    }

    /// The same, with the organizations of its subject.
    #[must_use]
    pub fn with_organizations(self, organizations: Vec<Arc<str>>) -> Self {
        Self { organizations, ..self }
    }

    /// The organizations of its subject (`O`), which Kubernetes takes for the groups of a client.
    #[must_use]
    pub fn organizations(&self) -> &[Arc<str>] {
        &self.organizations
    }

    /// The workload that it is for, by its SPIFFE ID: the one URI that it has. A certificate with more
    /// than one is none of SPIFFE's (X.509-SVID section 2).
    #[must_use]
    pub fn workload(&self) -> Option<Workload> {
        let mut ids = self.names.iter().filter(|name| name.kind == NameKind::Uri);
        match (ids.next(), ids.next()) {
            (Some(id), None) => spiffe::workload(&id.value),
            _ => None,
        }
    }

    /// The same, with the certificate itself and those that came with it (DER), to judge it again.
    #[must_use]
    pub fn with_chain(self, chain: Vec<Box<[u8]>>) -> Self {
        Self { chain, ..self }
    }

    /// The certificate itself and those that came with it, in DER.
    #[must_use]
    pub fn chain(&self) -> &[Box<[u8]>] {
        &self.chain
    }

    /// Its names: SAN entries, then the subject.
    #[must_use]
    pub fn names(&self) -> &[CertificateName] {
        &self.names
    }

    /// The name that stands for the client.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether one of the patterns is for one of its names.
    #[must_use]
    pub fn matches_any(&self, patterns: &[NamePattern]) -> bool {
        patterns.iter().any(|pattern| self.names.iter().any(|name| pattern.matches(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_one_workload_or_none() {
        let uri = |value| CertificateName::new(NameKind::Uri, value);
        let (cart, web) = (uri("spiffe://td/ns/shop/sa/cart"), uri("spiffe://td/ns/shop/sa/web"));
        let dns = CertificateName::new(NameKind::Dns, "cart.shop.svc");
        let one = ClientCertificate::new(vec![dns.clone(), cart.clone()]).workload().unwrap();
        assert_eq!((&*one.namespace, one.service_account.as_deref()), ("shop", Some("cart")));
        for names in [vec![], vec![dns], vec![cart.clone(), web], vec![cart.clone(), uri("https://x/")]] {
            assert_eq!(ClientCertificate::new(names).workload(), None);
        }
    }
}
