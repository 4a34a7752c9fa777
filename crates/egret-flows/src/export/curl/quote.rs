//! Words for a POSIX shell that are what they are, whatever is in them.

/// One word of a command. Nothing in it is expanded, and nothing in it moves the cursor of a terminal: what is
/// no printable text is made by `printf`. A zero byte cannot be in a word and is left out.
#[must_use]
pub fn shell_word(bytes: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._/:=,@%+".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut word = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\0' => {}
                // `$(…)` takes away line feeds at its end.
                '\n' => in_quotes(&mut word, '\n'),
                c if c.is_control() || is_invisible(c) => by_printf(&mut word, c.to_string().as_bytes()),
                c => in_quotes(&mut word, c),
            }
        }
        by_printf(&mut word, chunk.invalid());
    }
    if word.is_empty() { "''".into() } else { word }
}

/// Characters that change how the others are shown, which could make a command look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

const PRINTF_END: &str = "')\"";

fn in_quotes(word: &mut String, c: char) {
    match (c, word.ends_with('\'') && !word.ends_with("\\'")) {
        ('\'', _) => word.push_str("\\'"),
        (c, true) => {
            word.pop();
            word.push(c);
            word.push('\'');
        }
        (c, false) => {
            word.push('\'');
            word.push(c);
            word.push('\'');
        }
    }
}

fn by_printf(word: &mut String, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    if word.ends_with(PRINTF_END) {
        word.truncate(word.len() - PRINTF_END.len());
    } else {
        word.push_str("\"$(printf '");
    }
    for byte in bytes {
        word.push_str(&format!("\\{byte:03o}"));
    }
    word.push_str(PRINTF_END);
}

/// The format, quoted, with which `printf` writes these bytes.
pub(super) fn printf_format(bytes: &[u8]) -> String {
    let mut word = String::from("'");
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || *byte == b' ' {
            word.push(char::from(*byte));
        } else {
            word.push_str(&format!("\\{byte:03o}"));
        }
    }
    word.push('\'');
    word
}
