//! Hosts that will not match what their author thinks.

use egret_config::{PolicyBook, Severity, WrittenPolicy};
use egret_core::destination::Host;
use egret_core::pattern::HostPattern;
use egret_core::policy::model::{Action, Rule};

use super::super::output::plain;
use super::super::suggest::registrable;
use super::Findings;
use super::cover::host_covers;

pub(super) fn look(book: &PolicyBook, findings: &mut Findings) {
    for policy in &book.policies {
        for (index, rule) in policy.policy.rules.iter().enumerate() {
            for (number, target) in rule.to.iter().enumerate() {
                for (at, host) in target.hosts.iter().enumerate() {
                    let field = format!("spec/rules/{index}/to/{number}/hosts/{at}");
                    let mut look = Look { findings, policy, field, rule, host };
                    look.spelling();
                    look.suffix();
                    look.neighbours();
                }
            }
        }
    }
}

struct Look<'a> {
    findings: &'a mut Findings,
    policy: &'a WrittenPolicy,
    field: String,
    rule: &'a Rule,
    host: &'a HostPattern,
}

impl Look<'_> {
    fn say(&mut self, severity: Severity, code: &'static str, message: String, help: &str) {
        self.findings.of_policy((severity, code), self.policy, &self.field, message, help);
    }

    /// What is written, and what it is read as.
    fn spelling(&mut self) {
        let Some(raw) = self.policy.raw(&self.field) else { return };
        let raw = raw.trim_matches(['"', '\'']).to_owned();
        let read = self.host.to_string();
        let shown = plain(&raw, 100);
        let help = format!("write {read}");
        if raw.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let message =
                format!("`{shown}` is read as `{read}`: upper and lower case are the same in names");
            self.say(Severity::Warning, "host-upper-case", message, &help);
        }
        if raw.ends_with('.') {
            let message = format!("`{shown}` is read as `{read}`: the dot at its end means nothing here");
            self.say(Severity::Warning, "host-trailing-dot", message, &help);
        }
        let Some(name) = name_of(self.host) else { return };
        let (unicode, _) = idna::domain_to_unicode(name);
        if unicode == name {
            return;
        }
        let (shown_unicode, wrote_ascii) = (plain(&unicode, 100), raw.is_ascii());
        if let Some(why) = unicode.split('.').find_map(lookalike) {
            let message = format!("`{shown}` looks like another name: {why}; requests ask for `{name}`");
            let help = "if the name in Latin letters is meant, type it anew";
            self.say(Severity::Warning, "host-lookalike", message, help);
        } else if wrote_ascii {
            let message = format!("`{shown}` is the internationalised name `{shown_unicode}`");
            self.say(Severity::Hint, "host-idn", message, "a comment beside it helps who reviews it");
        } else {
            let message =
                format!("`{shown}` is an internationalised name: requests and records have it as `{read}`");
            self.say(Severity::Warning, "host-idn", message, &help);
        }
    }

    /// Wildcards over what everybody can register names below.
    fn suffix(&mut self) {
        let (suffix, stars) = match self.host {
            HostPattern::OneLabel(suffix) => (suffix.clone(), "*"),
            HostPattern::AnyDepth(suffix) => (suffix.clone(), "**"),
            HostPattern::Exact(Host::Name(name)) => {
                let is_known = psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known());
                if is_known && registrable(name).is_none() {
                    let message =
                        format!("`{name}` is a public suffix: it stands for itself, not for names below it");
                    self.say(
                        Severity::Warning,
                        "host-public-suffix",
                        message,
                        "name the domains below it that are meant",
                    );
                }
                return;
            }
            _ => return,
        };
        if registrable(&suffix).is_some() {
            return;
        }
        let known = psl::suffix(suffix.as_bytes()).filter(|found| found.is_known());
        let Some(found) = known else {
            let message = format!("`{stars}.{suffix}` is a whole top-level domain");
            self.say(Severity::Hint, "host-public-suffix", message, "is it one of your own?");
            return;
        };
        let whose = match found.typ() {
            Some(psl::Type::Private) => "each name below it is another customer's",
            _ => "everybody can register names below it",
        };
        let depth = match self.host {
            HostPattern::OneLabel(_) => {
                format!(", and `www.example.{suffix}` is not among them, being one label more")
            }
            _ => String::new(),
        };
        let message = format!("`{stars}.{suffix}` is for all of a public suffix: {whose}{depth}");
        self.say(
            Severity::Warning,
            "host-public-suffix",
            message,
            "name the domains below it that are meant",
        );
    }

    /// The domain without its subdomains, and the other way round.
    fn neighbours(&mut self) {
        let rule = self.rule;
        let covers = |wanted: &HostPattern| {
            let mut hosts = rule.to.iter().flat_map(|target| &target.hosts);
            hosts.any(|host| host_covers(host, wanted))
                || rule.to.iter().any(|target| target.names_no_host() || !target.lists.is_empty())
        };
        let verb = if rule.action == Action::Deny { "denied" } else { "matched" };
        match self.host {
            HostPattern::Exact(Host::Name(name)) if registrable(name) == Some(name) => {
                let www = HostPattern::Exact(Host::Name(format!("www.{name}").into()));
                if !covers(&www) {
                    let message = format!("`{name}` stands for itself alone: `www.{name}` is not {verb}");
                    let help = format!("for all below it add **.{name}");
                    self.say(Severity::Hint, "host-without-subdomains", message, &help);
                }
            }
            HostPattern::OneLabel(suffix) | HostPattern::AnyDepth(suffix)
                if registrable(suffix) == Some(suffix) =>
            {
                let apex = HostPattern::Exact(Host::Name(suffix.as_str().into()));
                if !covers(&apex) {
                    let message = format!("`{}` does not stand for `{suffix}` itself", self.host);
                    let help = format!("if it is meant too, add {suffix}");
                    self.say(Severity::Hint, "host-without-apex", message, &help);
                }
            }
            _ => {}
        }
    }
}

fn name_of(host: &HostPattern) -> Option<&str> {
    match host {
        HostPattern::Exact(Host::Name(name)) => Some(name),
        HostPattern::OneLabel(suffix) | HostPattern::AnyDepth(suffix) => Some(suffix),
        _ => None,
    }
}

/// Letters of Cyrillic and Greek that most typefaces draw as Latin ones.
const LOOK_LATIN: &str = "аеорсухіјѕһԁԛԝӏвкмнтгғьαορνικτυχ";

/// Why a label may be taken for another: letters of several scripts, or only such as look like Latin ones.
fn lookalike(label: &str) -> Option<&'static str> {
    let letters = || label.chars().filter(|character| character.is_alphabetic());
    let is_latin =
        |character: &char| matches!(u32::from(*character), 0x41..=0x7a | 0xc0..=0x24f | 0x1e00..=0x1eff);
    let is_like_latin =
        |character: &char| matches!(u32::from(*character), 0x370..=0x52f | 0x530..=0x58f | 0x13a0..=0x13ff);
    if letters().any(|letter| is_latin(&letter)) && letters().any(|letter| is_like_latin(&letter)) {
        return Some("it mixes Latin letters with such of another script that look like them");
    }
    let has_any = letters().next().is_some();
    (has_any && letters().all(|letter| LOOK_LATIN.contains(letter)))
        .then_some("all its letters are of another script, and look like Latin ones")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_letters_that_look_like_others() {
        assert!(lookalike("pаypal").is_some(), "with a Cyrillic a");
        assert!(lookalike("аррӏе").is_some(), "in Cyrillic alone");
        for good in ["paypal", "bücher", "пример", "例え", "123", "παράδειγμα"] {
            assert!(lookalike(good).is_none(), "{good}");
        }
    }
}
