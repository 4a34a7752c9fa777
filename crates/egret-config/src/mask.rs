//! Keeps secrets out of what is quoted (invariant 6): user information in URLs, and the values of
//! fields that look like passwords. When in doubt, more is masked.

use std::ops::Range;

/// What stands for a secret.
pub(crate) const MASK: &str = "***";

/// What a URL may begin with to be shown so far.
const SCHEMES: [&str; 6] = ["http:", "https:", "socks:", "socks4:", "socks5:", "socks5h:"];

/// Words in a field's name that make its value a secret. `credentialsFile` and `htpasswd` are paths, and are shown.
const SECRET_WORDS: [&str; 6] = ["passw", "passphrase", "secret", "token", "credential", "userinfo"];

/// A line of YAML with its secrets masked, and a range of it moved accordingly.
pub(crate) fn line(line: &str, mark: Range<usize>) -> (String, Range<usize>) {
    let mut secrets = secret_field(line).into_iter().collect::<Vec<_>>();
    secrets.extend(user_info(line));
    secrets.extend(cut_off_password(line));
    secrets.sort_by_key(|range| range.start);

    let (mut text, mut mapped) = (String::new(), mark.clone());
    let mut done = 0;
    for secret in secrets {
        if secret.end <= done {
            continue;
        }
        let start = secret.start.max(done);
        text.push_str(&line[done..start]);
        let at = text.len();
        // A mark within the secret covers the mask as a whole.
        for (new, old, inside) in
            [(&mut mapped.start, mark.start, at), (&mut mapped.end, mark.end, at + MASK.len())]
        {
            if old >= secret.end {
                *new = at + MASK.len() + (old - secret.end);
            } else if old > start {
                *new = inside;
            } else if old > done {
                *new = at - (start - old);
            }
        }
        text.push_str(MASK);
        done = secret.end;
    }
    text.push_str(&line[done..]);
    (replace_controls(&text, mapped.clone()), mapped)
}

/// Words of a message with user information masked.
pub(crate) fn words(text: &str) -> String {
    self::line(text, 0..0).0
}

/// Characters that could move a terminal's cursor or reorder a line become `?`, as many bytes as they had.
fn replace_controls(text: &str, _mark: Range<usize>) -> String {
    let is_dangerous = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_dangerous(c) {
            clean.extend(std::iter::repeat_n('?', c.len_utf8()));
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Everything from the `//` of the first URL, or else the beginning of the value, to the last `@`.
fn user_info(line: &str) -> Option<Range<usize>> {
    let at = line.rfind('@')?;
    let start = match line[..at].find("//") {
        // What is no scheme may be a part of a password.
        Some(slashes) if SCHEMES.iter().any(|scheme| line[..slashes].ends_with(scheme)) => slashes + 2,
        _ => value_start(&line[..at]),
    };
    (start < at).then_some(start..at)
}

/// Where a value begins on a line: after indentation, dashes, a key, and an opening quote or bracket.
fn value_start(line: &str) -> usize {
    let after_key = line
        .match_indices(": ")
        .map(|(at, _)| at + 2)
        .take_while(|at| line[..*at].chars().all(|c| c.is_alphanumeric() || " -:{[,\"'".contains(c)))
        .last()
        .unwrap_or(0);
    let rest = &line[after_key..];
    after_key + (rest.len() - rest.trim_start_matches([' ', '-', '[', '{', '"', '\'', '`']).len())
}

/// `http://user:secret` of which the `@host` is missing: what follows the last colon is no port.
fn cut_off_password(line: &str) -> Option<Range<usize>> {
    let start = line.find("://")? + 3;
    let rest = &line[start..];
    let end = rest.find(|c: char| c.is_whitespace() || "\"'`,/?#]}".contains(c)).unwrap_or(rest.len());
    let authority = rest[..end].trim_end_matches(':');
    let (_, port) = authority.rsplit_once(':')?;
    let plausible = port.bytes().all(|b| b.is_ascii_digit()) || authority.contains('[');
    (!plausible && !authority.contains('@')).then_some(start..start + end)
}

/// The value of a field that looks like a password, to the end of the line.
fn secret_field(line: &str) -> Option<Range<usize>> {
    let lower = line.to_ascii_lowercase();
    let mut found = None;
    for word in SECRET_WORDS {
        for (at, _) in lower.match_indices(word) {
            let rest = &lower[at..];
            let name_end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)));
            let Some(name_end) = name_end else { continue };
            let is_a_path = rest[..name_end].ends_with("file")
                || (lower[..at].ends_with("ht") && &rest[..name_end] == "passwd");
            if is_a_path {
                continue;
            }
            let after = rest[name_end..].trim_start_matches(['"', '\'']).trim_start();
            let Some(value) = after.strip_prefix([':', '=']) else { continue };
            let value = value.trim_start();
            let start = line.len() - value.len();
            if !value.is_empty() && found.is_none_or(|other: usize| start < other) {
                found = Some(start);
            }
        }
    }
    found.map(|start| start..line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn masks(line: &str, expected: &str) {
        assert_eq!(super::line(line, 0..0).0, expected);
    }

    #[test]
    fn user_information_is_masked_however_it_is_written() {
        masks("  - urls: [\"http://u:p@h:3128\"]", "  - urls: [\"http://***@h:3128\"]");
        masks("urls: [http://a:b@h1:1, http://c:d@h2:2]", "urls: [http://***@h2:2]");
        masks("- user:pa ss@host:3128", "- ***@host:3128");
        masks("url: \"user:pa ss@host:3128\"", "url: \"***@host:3128\"");
        masks("- http://u:p@ss/wo@rd@h:1", "- http://***@h:1");
        masks("- http://user:hunter2", "- http://***");
        masks("- https://[fd00::1]:3128", "- https://[fd00::1]:3128");
        masks("- https://proxy.corp:3128", "- https://proxy.corp:3128");
    }

    #[test]
    fn fields_that_look_like_passwords_are_masked() {
        masks("{user: bob, password: hunter2}", "{user: bob, password: ***");
        masks("\"proxyToken\": abc", "\"proxyToken\": ***");
        masks("credentialsFile: /etc/egret/parent", "credentialsFile: /etc/egret/parent");
        masks("htpasswd: /etc/egret/users", "htpasswd: /etc/egret/users");
        masks("{htpasswd: users, password: x}", "{htpasswd: users, password: ***");
    }

    #[test]
    fn a_mark_moves_with_the_text() {
        let text = "- http://user:secret@h:99999";
        let start = text.find("h:99999").unwrap();
        let (masked, mark) = line(text, start..text.len());
        assert_eq!(&masked[mark], "h:99999");
        let (masked, mark) = line(text, 2..text.len());
        assert_eq!(&masked[mark], "http://***@h:99999");
    }
}
