//! What a list is written in, told by how it begins.

use std::net::IpAddr;
use std::path::Path;

use super::line::content;
use crate::file::ListFormat;

/// Of so many lines, most have to look like those of a hosts file.
const LINES: usize = 1000;

/// The format of a file that begins like this.
pub(super) fn detect(path: &Path, beginning: &[u8]) -> ListFormat {
    let (mut addressed, mut others, mut dotted) = (0_usize, 0_usize, false);
    let lines = beginning.split(|byte| *byte == b'\n').map(content).filter(|line| !line.is_empty());
    for line in lines.take(LINES) {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let first = words.next().and_then(|word| std::str::from_utf8(word).ok()).unwrap_or_default();
        if words.next().is_some() && first.parse::<IpAddr>().is_ok() {
            addressed += 1;
        } else {
            others += 1;
        }
        dotted |= line.starts_with(b".");
    }
    if addressed > others {
        ListFormat::Hosts
    } else if dotted || path.file_name().is_some_and(|name| name == "domains") {
        ListFormat::Domains
    } else {
        ListFormat::Patterns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_tells_the_format() {
        for (text, format) in [
            ("", ListFormat::Patterns),
            ("a.example\n*.b.example\n", ListFormat::Patterns),
            ("10.0.0.1\n10.0.0.0/8\n", ListFormat::Patterns),
            ("# a list\n\n.a.example\nb.example\n", ListFormat::Domains),
            ("127.0.0.1 localhost\r\n::1 localhost\r\n0.0.0.0 a.example\r\n", ListFormat::Hosts),
            ("0.0.0.0\ta.example b.example\nbroken\n0.0.0.0 c.example\n", ListFormat::Hosts),
        ] {
            assert_eq!(detect(Path::new("list.txt"), text.as_bytes()), format, "{text:?}");
        }
        assert_eq!(detect(Path::new("ads/domains"), b"a.example\n"), ListFormat::Domains);
    }
}
