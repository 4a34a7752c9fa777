//! The PAC file: JavaScript that tells browsers when to use the proxy. Written so that the oldest engines
//! take it, and so that no name is resolved by it.

use std::fmt::Write as _;

use egret_core::pattern::Scope;
use egret_core::settings::PacSettings;
use ipnet::IpNet;

/// Writes the file. `authority` is the proxy's own address, as the client knows it: a host and a port
/// that were read, so nothing in them can end a string.
pub(super) fn write(settings: &PacSettings, authority: &str, over_tls: bool) -> String {
    let own = format!("{} {authority}", if over_tls { "HTTPS" } else { "PROXY" });
    let answer = settings.proxy.as_deref().unwrap_or(&own);
    let mut out = String::from(
        "function FindProxyForURL(url, host) {\n\
         \x20 host = host.toLowerCase().replace(/^\\[|\\]$|\\.$/g, \"\");\n\
         \x20 var parts = /^([a-z]+):\\/\\/(?:[^\\/?#]*@)?(?:\\[[^\\]]*\\]|[^:\\/?#]*)(?::(\\d+))?/i.exec(url) || [];\n\
         \x20 var port = parts[2] || (/^(https|wss)$/i.test(parts[1]) ? \"443\" : \"80\");\n\
         \x20 if (host === \"localhost\" || dnsDomainIs(host, \".localhost\") || host === \"::1\" || ",
    );
    out.push_str(&in_network(&IpNet::from(ipnet::Ipv4Net::new_assert([127, 0, 0, 0].into(), 8))));
    out.push_str(") return \"DIRECT\";\n");
    for (scope, port) in &settings.direct {
        let condition = match scope {
            Scope::Any => "true".to_owned(),
            Scope::Domain(name) => format!("(host === \"{name}\" || dnsDomainIs(host, \".{name}\"))"),
            Scope::Subdomains(name) => format!("dnsDomainIs(host, \".{name}\")"),
            Scope::Network(network) => in_network(network),
        };
        let port = port.map(|port| format!(" && port === \"{port}\"")).unwrap_or_default();
        // Writing to memory cannot fail.
        let _ = writeln!(out, "  if ({condition}{port}) return \"DIRECT\";");
    }
    let _ = write!(out, "  return \"{answer}\";\n}}\n");
    out
}

/// Addresses alone are compared: `isInNet` would resolve a name.
fn in_network(network: &IpNet) -> String {
    match network {
        IpNet::V4(v4) => format!(
            "(/^\\d+\\.\\d+\\.\\d+\\.\\d+$/.test(host) && isInNet(host, \"{}\", \"{}\"))",
            v4.network(),
            v4.netmask()
        ),
        IpNet::V6(v6) if v6.prefix_len() == 128 => format!("host === \"{}\"", v6.addr()),
        // Not in every engine; where it is missing the proxy is used.
        IpNet::V6(v6) => format!(
            "(host.indexOf(\":\") >= 0 && typeof isInNetEx === \"function\" && isInNetEx(host, \"{}/{}\"))",
            v6.network(),
            v6.prefix_len()
        ),
    }
}
