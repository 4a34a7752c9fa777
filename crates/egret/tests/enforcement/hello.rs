//! ClientHellos, made by hand.

fn vector(width: usize, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[4 - width..], content].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(2, content)].concat()
}

/// A hello of TLS 1.2 and 1.3 with this name, and with an encrypted one inside if wanted.
pub(crate) fn hello(name: Option<&str>, encrypted: bool) -> Vec<u8> {
    let mut extensions = extension(43, &vector(1, &[3, 4, 3, 3]));
    if let Some(name) = name {
        let entry = [&[0][..], &vector(2, name.as_bytes())].concat();
        extensions.extend(extension(0, &vector(2, &entry)));
    }
    if encrypted {
        extensions.extend(extension(0xfe0d, &[0; 8]));
    }
    let body = [
        &[3, 3][..],
        &[7; 32],
        &vector(1, &[]),
        &vector(2, &[0x13, 1, 0xc0, 0x2f]),
        &vector(1, &[0]),
        &vector(2, &extensions),
    ]
    .concat();
    let message = [&[1][..], &vector(3, &body)].concat();
    [&[0x16, 3, 1][..], &vector(2, &message)].concat()
}

/// A fatal alert.
pub(crate) fn alert(code: u8) -> [u8; 7] {
    [0x15, 3, 3, 0, 2, 2, code]
}
