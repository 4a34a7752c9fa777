//! `egret certs renew`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use egret_tls::authority::{Authority, Renewal};
use egret_tls::files::{
    Contents, Existing, FileProblem, Format, Identity, ItemKind, Limit, NewFile, Password, chain_pem,
    combined_pem, key_pem, load_identity, read, write_all,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::args::RenewArgs;
use super::{CertsError, Outcome, file_error, key_beside, make, output, password_to_read};

/// Renews each file. Those before one that fails stay renewed: each is whole by itself.
pub(super) fn renew(args: &RenewArgs) -> Result<Outcome, CertsError> {
    let (mut text, mut renewed) = (String::new(), Vec::<Value>::new());
    let password = password_to_read(args.signer.password_file.as_deref())?;
    for file in &args.files {
        let (old, new, files) = one(file, args, password.as_ref())?;
        write_all(&files, Existing::Replace)?;
        let (was, is) = (output::info(&old)?, output::info(&new)?);
        let paths: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
        let _ = writeln!(text, "renewed {}", paths.join("  "));
        let _ = writeln!(text, "        {}, until {} (was {})", is.subject, is.not_after, was.not_after);
        if is.ca {
            text.push_str("        its key is the same: what it signed stays valid; give clients the new file before the old one ends\n");
        }
        renewed.push(json!({ "was": was, "is": is, "files": output::files(&files) }));
    }
    Ok(Outcome { text, json: json!({ "renewed": renewed }), good: true })
}

/// What it was, what it is now, and the files that change.
fn one(
    file: &Path,
    args: &RenewArgs,
    password: Option<&Password>,
) -> Result<(Identity, Identity, Vec<NewFile>), CertsError> {
    let now = Timestamp::now();
    let failed = |error| CertsError::Renewal { path: file.to_owned(), error };
    let contents = parse(file, password)?;
    if contents.format == Format::Pkcs12 {
        return Err(CertsError::Usage(format!(
            "{}: it is PKCS#12, and PEM is renewed; renew the PEM files that it was made from, and export them again",
            file.display()
        )));
    }
    let key_apart = if has_key(&contents) { None } else { key_beside(file) };
    let old = load_identity(file, key_apart.as_deref(), password)?;
    let dir = file.parent().unwrap_or(Path::new(""));
    let is_ca = output::info(&old)?.ca;
    let new = if is_ca {
        if args.new_key {
            return Err(CertsError::Usage(format!(
                "{}: a CA with a new key is a new CA, and all that it signed with it; make one with `egret certs init` in another directory, give clients both (`egret certs bundle`), and change the servers over",
                file.display()
            )));
        }
        let authority = Authority::from_identity(old.clone()).map_err(failed)?;
        authority.renew_root(args.days, now).map_err(failed)?.identity().clone()
    } else {
        let key = match args.new_key {
            true => args.key_type.unwrap_or_default().generate()?,
            false => old.key.clone_key(),
        };
        let authority = make::signer(&args.signer, dir)?;
        authority.renew(Renewal { certificate: &old.chain[0], key, days: args.days }, now).map_err(failed)?
    };
    let mut files = Vec::new();
    for path in same_certificate(file, &old)? {
        files.push(rewritten(&path, &new, password)?);
    }
    if let (true, Some(path)) = (args.new_key, key_apart.or_else(|| key_beside(file))) {
        let text = key_pem(&new.key).map_err(|problem| file_error(&path, problem))?;
        files.push(NewFile::private(path, text.as_bytes()));
    }
    Ok((old, new, files))
}

fn parse(path: &Path, password: Option<&Password>) -> Result<Contents, CertsError> {
    Contents::parse(&read(path, Limit::IDENTITY)?, password).map_err(|problem| file_error(path, problem))
}

fn has_key(contents: &Contents) -> bool {
    let is_key = |kind: &ItemKind| {
        matches!(kind, ItemKind::Key(_) | ItemKind::EncryptedKey(_) | ItemKind::LegacyEncryptedKey)
    };
    contents.items.iter().any(|item| is_key(&item.kind))
}

/// The file, and those beside it of the same name that begin with the same certificate.
fn same_certificate(file: &Path, old: &Identity) -> Result<Vec<PathBuf>, CertsError> {
    let mut paths = vec![file.to_owned()];
    for extension in ["crt", "pem"] {
        let path = file.with_extension(extension);
        if path == file || !path.is_file() {
            continue;
        }
        if parse(&path, None)?.certificates().next() == old.chain.first() {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The file with the new certificate: with the key too, if it had one.
fn rewritten(path: &Path, new: &Identity, password: Option<&Password>) -> Result<NewFile, CertsError> {
    let contents = parse(path, password)?;
    if !has_key(&contents) {
        return Ok(NewFile::public(path.to_owned(), &chain_pem(&new.chain)));
    }
    if contents.keys().next().is_none() {
        // It would have to be written in the clear.
        let detail = "and is in one file with the certificate; keep it in a file of its own".to_owned();
        return Err(file_error(path, FileProblem::KeyEncryption { detail }));
    }
    let text = combined_pem(new).map_err(|problem| file_error(path, problem))?;
    Ok(NewFile::private(path.to_owned(), text.as_bytes()))
}
