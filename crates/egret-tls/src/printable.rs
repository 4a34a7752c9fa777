//! Text from certificates, fit to be shown: whoever made the certificate chose it.

use x509_parser::x509::X509Name;

/// Characters shown of one name.
const CHARACTERS: usize = 256;

/// Text without control characters, which a terminal would obey, and not endless.
#[must_use]
pub(crate) fn text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(CHARACTERS));
    for (index, character) in text.chars().enumerate() {
        if index == CHARACTERS {
            shown.push('…');
            break;
        }
        // The second range turns the direction of writing round, to the same end.
        if character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A subject or issuer: `CN=…, O=…`.
#[must_use]
pub(crate) fn name(name: &X509Name<'_>) -> String {
    let shown = text(&name.to_string());
    if shown.is_empty() { "an empty name".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    #[test]
    fn shows_no_control_characters_and_no_novels() {
        assert_eq!(super::text("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(super::text(&"x".repeat(1000)).chars().count(), 257);
    }
}
