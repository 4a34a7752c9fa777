//! `egret certs show`.

use std::fmt::Write as _;
use std::path::Path;

use egret_tls::files::{Contents, FileError, Limit, Password, load_cas, read};
use egret_tls::inspect::{
    Client, Entry, Expectations, Judgement, Report, Role, SOON, SignedBy, Trust, Verdict,
};
use egret_tls::roots::{mozilla_certificates, system_certificates};
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::args::{As, ShowArgs};
use super::{CertsError, Outcome, beside, key_beside, output, password_to_read};

/// Looks at files.
pub(super) fn show(args: &ShowArgs) -> Result<Outcome, CertsError> {
    let password = password_to_read(args.password_file.as_deref())?;
    if args.key.is_some() && args.files.len() > 1 {
        return Err(CertsError::Usage("--key goes with one file; look at them one by one".to_owned()));
    }
    let (mut text, mut reports, mut good) = (String::new(), Vec::<Value>::new(), true);
    for (index, path) in args.files.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        match report(path, args, password.as_ref())? {
            Ok(report) => {
                good &= report.problems.is_empty();
                write(&mut text, path, &report);
                let mut value = json!(report);
                value["path"] = json!(path);
                reports.push(value);
            }
            Err(error) => {
                good = false;
                let _ = writeln!(text, "{error}");
                reports.push(json!({ "path": path, "problems": [error.to_string()] }));
            }
        }
    }
    Ok(Outcome { text, json: json!({ "files": reports }), good })
}

/// The report on a file, or what is wrong with the file; the other error is of the command line.
fn report(
    path: &Path,
    args: &ShowArgs,
    password: Option<&Password>,
) -> Result<Result<Report, FileError>, CertsError> {
    let contents = match parse(path, password) {
        Ok(contents) => contents,
        Err(error) => return Ok(Err(error)),
    };
    let mut warnings = Vec::new();
    let key = match (&args.key, key_beside(path)) {
        (Some(key), _) => Some(parse(key, password)?),
        (None, Some(beside))
            if contents.keys().next().is_none() && contents.certificates().next().is_some() =>
        {
            parse(&beside, password).map_err(|error| warnings.push(error.to_string())).ok()
        }
        _ => None,
    };
    let key_path = args.key.clone().or_else(|| key_beside(path));
    for (path, contents) in std::iter::once((path, &contents)).chain(key_path.as_deref().zip(key.as_ref())) {
        warnings.extend(open_to_others(path, contents));
    }
    let trust = trust(path, args)?;
    let role = args.side.map(|side| match side {
        As::Server => Role::Server,
        As::Client => Role::Client,
    });
    let expected = Expectations { trust: &trust, host: args.host.as_deref(), role, now: Timestamp::now() };
    let mut report = Report::new(&contents, key.as_ref(), &expected);
    report.warnings.extend(warnings);
    Ok(Ok(report))
}

fn parse(path: &Path, password: Option<&Password>) -> Result<Contents, FileError> {
    // A bundle may be looked at too; what is for one listener only has a smaller limit there.
    let bytes = Zeroizing::new(read(path, Limit::BUNDLE)?);
    let in_file = |problem| FileError { path: path.to_owned(), problem };
    let mut contents = Contents::parse(&bytes, password).map_err(in_file)?;
    if password.is_some() {
        contents.decrypt(password).map_err(in_file)?;
    }
    Ok(contents)
}

/// Whom a client trusts: whom the command line says, or the public roots and the CA beside the file.
fn trust(path: &Path, args: &ShowArgs) -> Result<Trust, CertsError> {
    if let Some(ca) = &args.ca {
        return Ok(Trust { certificates: load_cas(ca)?, source: ca.display().to_string(), explicit: true });
    }
    let system = system_certificates();
    let (mut certificates, mut source) = if system.is_empty() {
        (mozilla_certificates().to_vec(), "Mozilla's roots".to_owned())
    } else {
        (system, "this system's roots".to_owned())
    };
    let ca = beside(path, "ca.crt");
    if let Some(ca) = &ca {
        certificates.extend(load_cas(ca)?);
        source = format!("{} and {source}", ca.display());
    }
    Ok(Trust { certificates, source, explicit: ca.is_some() })
}

// Writing to memory cannot fail, here and below.
fn write(text: &mut String, path: &Path, report: &Report) {
    let _ = writeln!(text, "{}: {} with {}", path.display(), report.format, report.contents);
    for entry in &report.certificates {
        certificate(text, entry);
    }
    for key in &report.keys {
        let belongs = match key.belongs_to {
            Some(number) => format!("belongs to certificate {number}"),
            None if report.certificates.is_empty() => format!("public key {}", key.public_key_sha256),
            None => "belongs to NONE of the certificates".to_owned(),
        };
        let _ = writeln!(text, "\nprivate key: {}, {belongs}", key.kind);
    }
    for other in &report.others {
        let _ = writeln!(text, "\n{other}");
    }
    if let Some(chain) = &report.chain {
        let path: Vec<String> = chain.path.iter().map(ToString::to_string).collect();
        let end = if chain.whole { "whole, up to" } else { "ends before" };
        let path = if path.len() > 1 { format!("{}, ", path.join(" <- ")) } else { String::new() };
        let _ = writeln!(text, "\nchain: {path}{end} {}", chain.end);
    }
    if let Some(judgement) = &report.judgement {
        judged(text, judgement);
    }
    for (list, word) in [(&report.problems, "problem"), (&report.warnings, "warning")] {
        if !list.is_empty() {
            text.push('\n');
        }
        for line in list {
            let _ = writeln!(text, "{word}: {line}");
        }
    }
}

fn certificate(text: &mut String, entry: &Entry) {
    let info = &entry.info;
    let kind = match (info.ca, &entry.signed_by) {
        (true, SignedBy::Itself) => "root CA",
        (true, _) => "CA",
        (false, SignedBy::Itself) => "self-signed certificate",
        (false, _) => "certificate",
    };
    let _ = writeln!(text, "\n{}. {kind}: {}", entry.number, info.subject);
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "   {label:<10} {value}");
    };
    if !info.names.is_empty() {
        line("for", &output::names(&info.names));
    }
    let signed_by = match &entry.signed_by {
        SignedBy::Itself => "itself".to_owned(),
        SignedBy::File { number } => format!("certificate {number}, {}", info.issuer),
        SignedBy::Trusted { subject } => format!("{subject}, which is trusted"),
        SignedBy::Namesake { subject } => {
            format!("another CA by the name of {subject}: the key is not the one at hand")
        }
        SignedBy::Unknown { subject } => format!("{subject}, which is not at hand"),
    };
    line("signed by", &signed_by);
    let left = match entry.days_left {
        days if days < 0 => "PAST".to_owned(),
        days if days < SOON.as_hours() / 24 => format!("only {days} days left"),
        days => format!("{days} days left"),
    };
    line("valid", &format!("{} to {} ({left})", info.not_before, info.not_after));
    line("key", &format!("{}, may do {}", info.key, listed(&info.key_usage.join(", "), "anything")));
    if info.ca {
        let below = match info.path_length {
            None => "any number of CAs below it".to_owned(),
            Some(0) => "no CA below it".to_owned(),
            Some(count) => format!("{count} CAs below it at most"),
        };
        line("CA", &below);
        if let Some(constraints) = &info.name_constraints {
            line("signs only", &listed(&output::names(&constraints.permitted), "anything not excluded"));
            line("signs not", &listed(&output::names(&constraints.excluded), "nothing is excluded"));
        }
    } else {
        line("use", &listed(&info.extended_key_usage.join(", "), "any"));
    }
    line("serial", &info.serial);
    line("SHA-256", &info.sha256);
    for (label, urls) in [("CRL", &info.crl_urls), ("OCSP", &info.ocsp_urls)] {
        urls.iter().for_each(|url| line(label, url));
    }
}

fn listed(text: &str, none: &str) -> String {
    if text.is_empty() { none.to_owned() } else { text.to_owned() }
}

fn judged(text: &mut String, judgement: &Judgement) {
    let (who, by) = match judgement.role {
        Role::Server => ("clients", judgement.host.as_ref().map(|host| format!(" and reach it as {host}"))),
        Role::Client => ("servers", None),
    };
    let by = by.unwrap_or_default();
    let _ = writeln!(text, "\n{who} that trust {}{by}:", judgement.trust);
    if judgement.accepted {
        let _ = writeln!(text, "   accept certificate {}", judgement.certificate);
    }
    for Verdict { message, sayings, .. } in &judgement.refusals {
        let _ = writeln!(text, "   refuse certificate {}: {message}", judgement.certificate);
        for saying in sayings {
            let client = match saying.client {
                Client::Curl => "curl",
                Client::Openssl => "openssl",
                Client::Go => "Go",
            };
            let words = saying.words.as_deref().unwrap_or("accepts it all the same");
            let _ = writeln!(text, "      {client:<8} {words}");
        }
    }
}

/// Whether others than the owner and the group can read a file with a key in it.
fn open_to_others(path: &Path, contents: &Contents) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?.permissions().mode();
    let open = contents.keys().next().is_some() && mode & 0o004 != 0;
    open.then(|| format!("everybody on this machine can read the key in {}; chmod 600 it", path.display()))
}
