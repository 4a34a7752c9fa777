//! What is printed.

use std::fmt::Write as _;

use super::Step;
use super::args::Target;
use super::root::{BACKUP, Backup, Change, Root};
use super::whole::State;

/// Each file, and what becomes of it.
pub(super) fn plan(steps: &[Step], apply: bool, warnings: &[String]) -> String {
    let mut text = String::new();
    for warning in warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    for step in steps {
        for change in &step.changes {
            let _ = writeln!(text, "{:<12}{}: {}", step.target.name(), change.path, verb(change, apply));
            text.push_str(&difference(change));
        }
    }
    text
}

fn verb(change: &Change, apply: bool) -> String {
    let will = |done: &str, planned: &str| if apply { done.to_owned() } else { planned.to_owned() };
    let mut said = match (&change.before, &change.after) {
        (before, after) if before == after => match before {
            Some(_) => "stays as it is".to_owned(),
            None => "is not there".to_owned(),
        },
        (None, _) => will("made", "would be made"),
        (_, None) => will("removed", "would be removed"),
        _ => will("changed", "would be changed"),
    };
    match &change.backup {
        Backup::Make(_) if change.before.is_some() => {
            let _ = write!(said, "; what was there is kept as {}{BACKUP}", change.path);
        }
        Backup::Drop => said.push_str("; as it was before"),
        _ => {}
    }
    said
}

/// The lines that differ: from the first to the last of them.
fn difference(change: &Change) -> String {
    let lines = |bytes: &Option<Vec<u8>>| -> Vec<String> {
        let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
        text.lines().map(str::to_owned).collect()
    };
    let (before, after) = (lines(&change.before), lines(&change.after));
    let same = before.iter().zip(&after).take_while(|(old, new)| old == new).count();
    let (old, new) = (&before[same..], &after[same..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let mut text = String::new();
    for (sign, lines) in [('-', &old[..old.len() - tail]), ('+', &new[..new.len() - tail])] {
        for line in lines {
            let _ = writeln!(text, "    {sign} {line}");
        }
    }
    text
}

/// What is left to do.
pub(super) fn next_steps(steps: &[Step], apply: bool, trust_done: bool, root: &Root) -> String {
    let needed: Vec<&Step> = steps.iter().filter(|step| step.is_needed()).collect();
    if needed.is_empty() {
        return "\nNothing is to be changed.\n".to_owned();
    }
    let mut text = String::new();
    let units = needed.iter().any(|step| matches!(step.target, Target::Containerd | Target::Kubelet));
    let reload: Option<&[&str]> = units.then_some(&["systemctl", "daemon-reload"]);
    let of_steps = needed.iter().filter(|step| !(trust_done && step.target == Target::Trust));
    let commands: Vec<String> = reload
        .into_iter()
        .chain(of_steps.filter_map(|step| step.next))
        .map(|command| command.join(" "))
        .collect();
    if apply && !commands.is_empty() {
        let place = if root.is_here() { "" } else { " on the node" };
        let _ = writeln!(
            text,
            "\nTo take effect{place}, run (a restart of containerd or Docker leaves containers running):"
        );
        for command in commands {
            let _ = writeln!(text, "    {command}");
        }
    }
    if !apply {
        text.push_str("\nNothing was changed. Say --apply to do it.\n");
    }
    text
}

/// What is installed.
pub(super) fn states(lines: &[(Target, State, String)]) -> String {
    let mut text = String::new();
    for (target, state, path) in lines {
        let said = match state {
            State::Absent => "not installed",
            State::Installed => "installed",
            State::Foreign => "somebody else's settings",
        };
        let _ = writeln!(text, "{:<12}{said:<26}{path}", target.name());
    }
    text
}
