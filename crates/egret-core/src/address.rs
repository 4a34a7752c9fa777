//! Classes of addresses, for the guard against requests that reach back into the proxy's own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

mod metadata;

pub use metadata::address_of_well_known_name;

/// What kind of place an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// Nothing special: the public internet, or a private network that may be reached.
    Ordinary,
    /// 127.0.0.0/8, ::1.
    Loopback,
    /// 169.254.0.0/16, fe80::/10.
    LinkLocal,
    /// A cloud's metadata service: 169.254.169.254, 169.254.170.2, fd00:ec2::254 and their like.
    Metadata,
    /// 0.0.0.0/8, ::.
    Unspecified,
    /// 224.0.0.0/4, ff00::/8.
    Multicast,
    /// 255.255.255.255 and 240.0.0.0/4 (RFC 1112 section 4); the site-local fec0::/10, which
    /// RFC 3879 took out of use.
    Reserved,
}

impl AddressClass {
    /// The class of an address, looking through the spellings that hide an IPv4 address in an IPv6
    /// one (see [`embedded_ipv4`]): what is ordinary in itself has the class of the address it hides.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => match Self::of_plain_v6(v6) {
                Self::Ordinary => Self::of_embedded(v6),
                class => class,
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        if metadata::METADATA_V4.contains(&address) {
            return Self::Metadata;
        }
        match address.octets() {
            [0, ..] => Self::Unspecified,
            [127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            [224..=239, ..] => Self::Multicast,
            [240..=255, ..] => Self::Reserved,
            _ => Self::Ordinary,
        }
    }

    fn of_plain_v6(address: Ipv6Addr) -> Self {
        if metadata::METADATA_V6.contains(&address) {
            return Self::Metadata;
        }
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0] => Self::Unspecified,
            [0, 0, 0, 0, 0, 0, 0, 1] => Self::Loopback,
            [0xfe80..=0xfebf, ..] => Self::LinkLocal,
            [0xfec0..=0xfeff, ..] => Self::Reserved,
            [0xff00..=0xffff, ..] => Self::Multicast,
            _ => Self::Ordinary,
        }
    }

    fn of_embedded(address: Ipv6Addr) -> Self {
        // A reading that may be wrong counts only where being wrong the other way would cost most.
        let counts = |certain, class| match class {
            Self::Ordinary => false,
            Self::Metadata | Self::Loopback | Self::LinkLocal => true,
            _ => certain,
        };
        embedded_ipv4(address)
            .into_iter()
            .map(|embedded| (embedded.certain, Self::of_v4(embedded.address)))
            .find(|&(certain, class)| counts(certain, class))
            .map_or(Self::Ordinary, |(_, class)| class)
    }

    /// The words used in a refusal: "a loopback address".
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Ordinary => "an ordinary address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud metadata address",
            Self::Unspecified => "an unspecified address",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        }
    }
}

/// Whether an address belongs to a private network: RFC 1918, shared address space (carrier NAT,
/// RFC 6598), unique local IPv6 (RFC 4193). The guard lets these through; rules may ask.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..]),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// An IPv4 address that an IPv6 address may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedIpv4 {
    /// The IPv4 address.
    pub address: Ipv4Addr,
    /// The format leaves no doubt that this is the address. Without it, several readings are possible.
    pub certain: bool,
}

/// The IPv4 addresses that an IPv6 address may lead to by way of a translator, a tunnel or a lenient
/// stack: IPv4-mapped and IPv4-compatible (RFC 4291 section 2.5.5), IPv4-translated (RFC 2765),
/// NAT64 by the well-known prefix (RFC 6052) and by the local-use one (RFC 8215), 6to4 (RFC 3056),
/// Teredo (RFC 4380), ISATAP (RFC 5214).
#[must_use]
pub fn embedded_ipv4(address: Ipv6Addr) -> SmallVec<[EmbeddedIpv4; 4]> {
    let mut found = SmallVec::new();
    let bits = address.to_bits();
    let at = |shift: u32| Ipv4Addr::from_bits((bits >> shift) as u32);
    let mut add = |address, certain| found.push(EmbeddedIpv4 { address, certain });
    match address.segments() {
        // IPv4-compatible has neither the unspecified address nor loopback.
        [0, 0, 0, 0, 0, 0, ..] if bits > 1 => add(at(0), true),
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            add(at(0), true);
        }
        [0x64, 0xff9b, 1, ..] => {
            // The operator chooses the length of the prefix; RFC 6052 section 2.2 has the address
            // after 96, 64, 56 or 48 bits, around the octet from bit 64 to 71. Most use 96. A reading
            // that ends in three zero octets is more likely the tail of another one.
            add(at(0), bits & 0x00ff_ffff != 0);
            add(at(24), false);
            add(around_octet(bits, 8), false);
            add(around_octet(bits, 16), false);
        }
        [0x2002, ..] => add(at(80), true),
        // The client's address stands inverted, so that address translators leave it alone.
        [0x2001, 0, ..] => add(Ipv4Addr::from_bits(!bits as u32), true),
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => add(at(0), true),
        _ => {}
    }
    found
}

/// An IPv4 address of which `before` bits stand before the unused octet (bits 64 to 71), the others after.
fn around_octet(bits: u128, before: u32) -> Ipv4Addr {
    let head = (bits >> 64) as u32 & ((1 << before) - 1);
    let after = 32 - before;
    let tail = (bits >> (56 - after)) as u32 & ((1 << after) - 1);
    Ipv4Addr::from_bits(head << after | tail)
}
