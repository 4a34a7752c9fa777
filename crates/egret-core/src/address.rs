//! Classes of addresses, for the guard against requests that reach back into the proxy's own network.

use std::net::IpAddr;

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
    /// 255.255.255.255 and 240.0.0.0/4.
    Reserved,
}

impl AddressClass {
    /// The class of an address, looking through the spellings that hide an IPv4 address in an IPv6 one.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) if v4.is_loopback() => Self::Loopback,
            IpAddr::V6(v6) if v6.is_loopback() => Self::Loopback,
            _ => Self::Ordinary,
        }
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
