//! Where clouds keep the credentials of a machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services and their like on IPv4. Those within 169.254.0.0/16 would be refused as link-local
/// anyway; they stand here so that the refusal names what they are.
pub(super) const METADATA_V4: [Ipv4Addr; 8] = [
    // AWS, Google Cloud, Azure, Oracle Cloud, OpenStack, DigitalOcean, Hetzner, IBM and others.
    Ipv4Addr::new(169, 254, 169, 254),
    // AWS ECS: credentials of a task.
    Ipv4Addr::new(169, 254, 170, 2),
    // AWS EKS: the Pod Identity agent.
    Ipv4Addr::new(169, 254, 170, 23),
    // Scaleway.
    Ipv4Addr::new(169, 254, 42, 42),
    // Tencent Cloud.
    Ipv4Addr::new(169, 254, 0, 23),
    // Azure: the wire server, which hands out the certificates of extensions. A public address.
    Ipv4Addr::new(168, 63, 129, 16),
    // Alibaba Cloud, within the shared address space.
    Ipv4Addr::new(100, 100, 100, 200),
    // Oracle Cloud Infrastructure Classic.
    Ipv4Addr::new(192, 0, 0, 192),
];

/// The same on IPv6. All but one are unique local addresses, which are ordinary otherwise.
pub(super) const METADATA_V6: [Ipv6Addr; 6] = [
    // AWS.
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    // AWS EKS: the Pod Identity agent.
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    // Google Cloud.
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    // Oracle Cloud.
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    // Scaleway.
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
    // OpenStack.
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
];

/// The address that a name stands for wherever it is resolved, for names whose meaning is fixed: the
/// machine itself (RFC 6761 section 6.3, and Debian's /etc/hosts) and the clouds' metadata services.
/// `name` is in normal form.
///
/// This is for names that someone else will resolve. Where names are resolved here, the addresses decide.
#[must_use]
pub fn address_of_well_known_name(name: &str) -> Option<IpAddr> {
    const MACHINE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
    match name {
        "localhost" | "localhost.localdomain" | "ip6-localhost" | "ip6-loopback" => Some(MACHINE),
        // Google Cloud, under its short names as well.
        "metadata" | "metadata.google.internal" | "metadata.goog" => Some(METADATA),
        // AWS.
        "instance-data" | "instance-data.ec2.internal" => Some(METADATA),
        // Tencent Cloud.
        "metadata.tencentyun.com" => Some(IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23))),
        _ if name.ends_with(".localhost") => Some(MACHINE),
        _ => None,
    }
}
