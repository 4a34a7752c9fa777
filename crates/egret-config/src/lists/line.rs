//! One line of a list.

use std::net::{IpAddr, Ipv6Addr};

use egret_core::destination::Host;
use egret_core::policy::{ListTooLong, NameListBuilder};

use crate::file::ListFormat;
use crate::values::{Complaint, ListTerm, Textual as _};
use crate::yaml::shorten;

/// Names that hosts files have for the machine itself.
const OWN_NAMES: [&str; 15] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
];

/// What a line says: without its comment and the spaces around.
pub(super) fn content(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|byte| *byte == b'#').unwrap_or(line.len());
    line[..end].trim_ascii()
}

/// Adds what a line says.
pub(super) fn add(builder: &mut NameListBuilder, format: ListFormat, line: &[u8]) -> Result<(), Complaint> {
    let line = content(line);
    if line.is_empty() {
        return Ok(());
    }
    // The way of almost every line of a long list: a name in normal form.
    if format != ListFormat::Hosts
        && let Some(name) = plain_name(line)
    {
        let added = match format {
            ListFormat::Domains => builder.push_domain(name),
            _ => builder.push_name(name),
        };
        return added.map_err(too_long);
    }
    let text = std::str::from_utf8(line)
        .map_err(|_| Complaint::new("the line is not UTF-8").help("save the file as UTF-8"))?;
    if text.chars().any(char::is_control) && !text.contains('\t') {
        return Err(Complaint::new("a control character stands in the line").help("is this a text file?"));
    }
    match format {
        ListFormat::Hosts => hosts(builder, text),
        ListFormat::Domains => domain(builder, text),
        ListFormat::Auto | ListFormat::Patterns => pattern(builder, text),
    }
}

fn too_long(error: ListTooLong) -> Complaint {
    Complaint::new(error.to_string())
}

/// The name, when it is one in normal form for sure: lower case, no address in any spelling.
fn plain_name(line: &[u8]) -> Option<&str> {
    if line.len() > 253 {
        return None;
    }
    let mut start = 0;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
            b'.' if (1..=63).contains(&(at - start)) => start = at + 1,
            _ => return None,
        }
    }
    let last = &line[start..];
    if !(1..=63).contains(&last.len()) || last[0].is_ascii_digit() {
        return None;
    }
    std::str::from_utf8(line).ok()
}

fn pattern(builder: &mut NameListBuilder, text: &str) -> Result<(), Complaint> {
    one_word(text, ListFormat::Patterns)?;
    match ListTerm::read(text).map_err(|complaint| explained(complaint, text))? {
        ListTerm::Host(pattern) => builder.push(&pattern).map_err(too_long),
        ListTerm::Network(network) => {
            builder.push_network(network);
            Ok(())
        }
    }
}

fn domain(builder: &mut NameListBuilder, text: &str) -> Result<(), Complaint> {
    one_word(text, ListFormat::Domains)?;
    let bare = ["**.", "*.", "."].iter().find_map(|mark| text.strip_prefix(mark)).unwrap_or(text);
    match ListTerm::read(bare).map_err(|complaint| explained(complaint, text))? {
        ListTerm::Host(egret_core::pattern::HostPattern::Exact(Host::Name(name))) => {
            builder.push_domain(&name).map_err(too_long)
        }
        ListTerm::Network(network) if bare == text => {
            builder.push_network(network);
            Ok(())
        }
        ListTerm::Host(pattern @ egret_core::pattern::HostPattern::Exact(_)) if bare == text => {
            builder.push(&pattern).map_err(too_long)
        }
        _ => Err(Complaint::new(format!("`{}` is no domain", shorten(text)))
            .help("write it as in example.com; it stands for everything below it too")),
    }
}

fn hosts(builder: &mut NameListBuilder, text: &str) -> Result<(), Complaint> {
    let mut words = text.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    // Zones (`fe80::1%lo0`) are of no interest here.
    let address = first.split('%').next().unwrap_or_default();
    if address.parse::<IpAddr>().is_err() {
        return Err(Complaint::new(format!("`{}` is no address, with which a line begins", shorten(first)))
            .help("write it as in 0.0.0.0 example.com; for names alone: format: Patterns"));
    }
    let mut any = false;
    for name in words {
        any = true;
        let is_address = name.parse::<IpAddr>().is_ok() || name.parse::<Ipv6Addr>().is_ok();
        if is_address || OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            continue;
        }
        match plain_name(name.as_bytes()) {
            Some(name) => builder.push_name(name).map_err(too_long)?,
            None => match Host::parse(name) {
                Ok(Host::Name(name)) => builder.push_name(&name).map_err(too_long)?,
                Ok(Host::Address(_)) => {}
                Err(error) => {
                    return Err(Complaint::new(format!("`{}` is no name: {error}", shorten(name))));
                }
            },
        }
    }
    if any {
        return Ok(());
    }
    Err(Complaint::new("an address without a name").help("for addresses alone: format: Patterns"))
}

fn one_word(text: &str, format: ListFormat) -> Result<(), Complaint> {
    if !text.contains(|c: char| c.is_whitespace()) {
        return Ok(());
    }
    let first = text.split_whitespace().next().unwrap_or_default();
    let help = if first.parse::<IpAddr>().is_ok() {
        "it looks like a hosts file: format: Hosts".to_owned()
    } else {
        "write one on a line; a comment begins with #".to_owned()
    };
    Err(Complaint::new(format!("more than one word, where {format} has one")).help(help))
}

/// The complaint in the words of lists.
fn explained(complaint: Complaint, text: &str) -> Complaint {
    if text.starts_with("||") || text.starts_with("@@") {
        return complaint.help("rules of ad blockers are not understood; take the list as hosts or domains");
    }
    if text.starts_with("address=/") || text.starts_with("server=/") || text.starts_with("local-zone") {
        return complaint
            .help("this is the configuration of a name server; take the list as hosts or domains");
    }
    if text.starts_with(['!', ';']) || text.starts_with("//") {
        return complaint.help("a comment begins with #");
    }
    if text.starts_with('.') {
        return complaint.help("for a domain with everything below it: format: Domains");
    }
    complaint
}

#[cfg(test)]
mod tests {
    use egret_core::policy::NameList;
    use proptest::prelude::*;

    use super::*;

    const FORMATS: [ListFormat; 3] = [ListFormat::Patterns, ListFormat::Hosts, ListFormat::Domains];

    proptest! {
        #[test]
        fn no_line_is_too_much(line in prop::collection::vec(any::<u8>(), 0..80)) {
            for format in FORMATS {
                let mut builder = NameList::builder("list", 1, 1);
                let _ = add(&mut builder, format, &line);
            }
        }

        #[test]
        fn the_short_way_takes_only_what_the_long_one_takes_the_same(text in "[a-z0-9._-]{1,12}") {
            if let Some(name) = plain_name(text.as_bytes()) {
                prop_assert_eq!(Host::parse(&text), Ok(Host::Name(name.into())));
            }
        }

        #[test]
        fn what_is_listed_is_found(name in "[a-zA-Z][a-zA-Z0-9-]{0,10}(\\.[a-zA-Z][a-z0-9]{0,5}){0,3}\\.?") {
            let name = format!("a{name}");
            for format in FORMATS {
                let mut builder = NameList::builder("list", 1, 1);
                let line = if format == ListFormat::Hosts { format!("0.0.0.0 {name}") } else { name.clone() };
                prop_assert_eq!(add(&mut builder, format, line.as_bytes()), Ok(()));
                let list = builder.finish();
                prop_assert!(list.contains(&Host::parse(&name).unwrap()), "{} in {}", name, format);
            }
        }
    }
}
