//! Addresses and networks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use super::{Complaint, Textual};
use crate::yaml::shorten;

/// An IP address and a port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

/// An IP address to listen on, with a port or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// The address.
    pub ip: IpAddr,
    /// The port, if one is given.
    pub port: Option<u16>,
}

/// An IP address and a port to listen on, or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressOrOff(pub Option<SocketAddr>);

/// A name server: an IP address, with a port when it is not 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsServer(pub SocketAddr);

/// A local IP address to connect from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceAddress(pub IpAddr);

/// A network in CIDR notation, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl Textual for Address {
    const FORMAT: &'static str = "address";
    const EXAMPLE: &'static str = "127.0.0.1:8888";

    fn read(text: &str) -> Result<Self, Complaint> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let complaint = Complaint::new(format!("`{}` is no IP address with a port", shorten(text)));
        let port = text.trim_start_matches(['*', ':']);
        Err(if port.parse::<u16>().is_ok() {
            complaint.help(format!(
                "write 127.0.0.1:{port} for this machine alone, or 0.0.0.0:{port} or [::]:{port} for every address"
            ))
        } else if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            complaint.help(format!("add a port: {}", SocketAddr::new(address, 8888)))
        } else if let Some(port) = text.strip_prefix("localhost:") {
            complaint.help(format!("write an address, not a name: 127.0.0.1:{port}"))
        } else if text.contains("://") {
            complaint.help("write address and port alone, without `http://`")
        } else {
            complaint.help("write it as in 127.0.0.1:8888 or [::1]:8888")
        })
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

impl ListenAddress {
    /// The address with its port, or with this one.
    #[must_use]
    pub fn with_default(self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, self.port.unwrap_or(port))
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip(), port: Some(address.port()) }
    }
}

impl Textual for ListenAddress {
    const FORMAT: &'static str = "listen-address";
    const EXAMPLE: &'static str = "127.0.0.1:8888";

    fn read(text: &str) -> Result<Self, Complaint> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        match bare.parse() {
            Ok(ip) => Ok(Self { ip, port: None }),
            Err(_) => Address::read(text).map(|address| address.0.into()),
        }
    }

    fn write(&self) -> String {
        match self.port {
            Some(port) => SocketAddr::new(self.ip, port).to_string(),
            None => self.ip.to_string(),
        }
    }
}

impl Textual for AddressOrOff {
    const FORMAT: &'static str = "address-or-off";
    const EXAMPLE: &'static str = "127.0.0.1:9090";

    fn read(text: &str) -> Result<Self, Complaint> {
        if text == "off" {
            return Ok(Self(None));
        }
        Address::read(text).map(|address| Self(Some(address.0))).map_err(|complaint| Complaint {
            message: format!("{}, and not `off`", complaint.message),
            ..complaint
        })
    }

    fn write(&self) -> String {
        self.0.map_or_else(|| "off".to_owned(), |address| address.to_string())
    }
}

impl Textual for DnsServer {
    const FORMAT: &'static str = "dns-server";
    const EXAMPLE: &'static str = "10.0.0.10";

    fn read(text: &str) -> Result<Self, Complaint> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let address = match bare.parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, 53),
            Err(_) => text.parse().map_err(|_| {
                Complaint::new(format!("`{}` is no address of a name server", shorten(text)))
                    .help("write an IP address, with a port when it is not 53: 10.0.0.10 or [fd00::1]:5353")
            })?,
        };
        if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
            return Err(Complaint::new(format!("no name server can be asked at `{address}`")));
        }
        Ok(Self(address))
    }

    fn write(&self) -> String {
        if self.0.port() == 53 { self.0.ip().to_string() } else { self.0.to_string() }
    }
}

impl Textual for SourceAddress {
    const FORMAT: &'static str = "ip";
    const EXAMPLE: &'static str = "192.0.2.10";

    fn read(text: &str) -> Result<Self, Complaint> {
        let address: IpAddr = text.parse().map_err(|_| {
            Complaint::new(format!("`{}` is no IP address", shorten(text)))
                .help("write an address without port or prefix, as in 192.0.2.10")
        })?;
        let address = address.to_canonical();
        if address.is_unspecified() || address.is_multicast() {
            return Err(Complaint::new(format!("nothing can be sent from `{address}`"))
                .help("leave the field out to let the system choose"));
        }
        Ok(Self(address))
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

impl Textual for Network {
    const FORMAT: &'static str = "cidr";
    const EXAMPLE: &'static str = "10.0.0.0/8";

    fn read(text: &str) -> Result<Self, Complaint> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_canonical().into()));
        }
        let network: IpNet = text.parse().map_err(|_| {
            Complaint::new(format!("`{}` is no network", shorten(text)))
                .help("write address and prefix, as in 10.0.0.0/8 or fd00::/8")
        })?;
        if network.trunc() != network {
            return Err(Complaint::new(format!("`{network}` has bits set beyond its prefix")).help(format!(
                "for the network write {}, for the one address {}",
                network.trunc(),
                network.addr()
            )));
        }
        Ok(Self(unmapped(network)))
    }

    fn write(&self) -> String {
        self.0.to_string()
    }
}

/// A network of IPv4-mapped IPv6 addresses as the IPv4 network it is, since that is what addresses are
/// reduced to before they are compared.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    v4.and_then(|(address, prefix): (Ipv4Addr, u8)| Ipv4Net::new(address, prefix).ok())
        .map_or(network, IpNet::V4)
}
