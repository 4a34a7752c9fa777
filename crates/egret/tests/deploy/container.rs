//! The image and compose.yaml, as far as they can be looked at without a container engine.

use serde_json::{Value, json};

use super::*;
use crate::objects::items;

fn containerfile() -> String {
    std::fs::read_to_string(root().join("Containerfile")).unwrap()
}

/// What an instruction of the last stage says, in its exec form.
fn last(instruction: &str) -> Value {
    let text = containerfile();
    let line = text.lines().rfind(|line| line.starts_with(&format!("{instruction} ["))).unwrap();
    serde_json::from_str(&line[instruction.len()..]).unwrap()
}

#[test]
fn the_linter_finds_nothing_wrong_with_the_containerfile() {
    succeed(client(of_python("hadolint")).arg(root().join("Containerfile")));
}

#[test]
fn the_image_is_empty_but_for_the_program_and_has_no_root() {
    let text = containerfile();
    let stage = &text[text.rfind("\nFROM ").unwrap()..];
    assert!(stage.starts_with("\nFROM scratch\n"), "{stage}");
    assert!(stage.contains("\nUSER 65532:65532\n") && !stage.contains("\nRUN "), "{stage}");
    assert_eq!(last("ENTRYPOINT"), json!(["/egret"]));
    for platform in ["amd64) target=x86_64", "arm64) target=aarch64", "crt-static", "--locked"] {
        assert!(text.contains(platform), "{platform}");
    }
}

#[test]
fn what_the_image_runs_by_default_is_understood() {
    let arguments: Vec<String> = serde_json::from_value(last("CMD")).unwrap();
    succeed(client(env!("CARGO_BIN_EXE_egret")).args(arguments).arg("--help"));
}

#[test]
fn everything_that_is_built_is_sent_to_the_builder_and_no_secret() {
    let ignore = std::fs::read_to_string(root().join(".dockerignore")).unwrap();
    let lines: Vec<&str> = ignore.lines().collect();
    assert!(lines.contains(&"*"), "all but what is named");
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members: Vec<String> = serde_json::from_str(members).unwrap();
    let folders = members.iter().map(|member| member.trim_end_matches("/*"));
    // The console's built pages are compiled into the program.
    for needed in folders.chain(["Cargo.toml", "Cargo.lock", ".cargo", "console"]) {
        assert!(lines.contains(&format!("!{needed}").as_str()), "{needed} is not sent");
    }
    for secret in ["**/*.pem", "**/*.key"] {
        assert!(lines.contains(&secret), "{secret}");
    }
}

#[test]
fn compose_has_the_three_modes_locked_up() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/deploy/scripts/compose.py");
    let compose = succeed(client(python()).arg(path).arg(root().join("compose.yaml")));
    let compose: Value = serde_json::from_str(&compose).unwrap();
    let services = compose["services"].as_object().unwrap();
    for mode in ["tunnel", "intercept", "mtls"] {
        assert_eq!(services[mode]["profiles"], json!([mode]));
    }
    for (name, service) in services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        for port in items(&service["ports"]) {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name} is open to others: {port}");
        }
        for volume in items(&service["volumes"]) {
            let volume = volume.as_str().unwrap().split(':').next().unwrap();
            assert!(
                compose["volumes"].as_object().unwrap().contains_key(volume),
                "{name}: no volume {volume}"
            );
        }
        let arguments = items(&service["command"]).map(|argument| argument.as_str().unwrap());
        succeed(client(env!("CARGO_BIN_EXE_egret")).args(arguments).arg("--help"));
    }
}
