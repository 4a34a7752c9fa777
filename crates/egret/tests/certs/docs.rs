//! docs/certificates.md describes the commands that there are.

use std::collections::BTreeSet;

use super::Place;

fn words(text: &str, start: &str) -> BTreeSet<String> {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let begins = text.match_indices(start).filter(|(at, _)| !text[..*at].ends_with(goes_on));
    begins
        .map(|(at, _)| text[at..].chars().take_while(|c| goes_on(*c)).collect::<String>())
        .filter(|word| word[start.len()..].starts_with(|c: char| c.is_ascii_alphabetic()))
        .collect()
}

#[test]
fn the_page_has_every_flag_and_variable() {
    let page = include_str!("../../../../docs/certificates.md");
    let place = Place::new();
    let commands = ["init", "ca", "server", "client", "renew", "show", "bundle", "export", "secrets"];
    let help = commands.map(|command| place.egret(&[command, "--help"])).concat();
    let missing: Vec<String> = ["--", "EGRET_"]
        .iter()
        .flat_map(|start| words(&help, start).difference(&words(page, start)).cloned().collect::<Vec<_>>())
        .filter(|flag| flag != "--help")
        .collect();
    assert!(missing.is_empty(), "docs/certificates.md lacks {missing:?}");
    for command in commands {
        assert!(page.contains(&format!("egret certs {command}")), "{command}");
    }
}
