//! `egret certs export`.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use egret_tls::files::{
    Access, Contents, Existing, FileProblem, Identity, Limit, NewFile, Password, chain_pem, combined_pem,
    gather, key_pem, pkcs12, pkcs12_truststore, read, write_all,
};
use egret_tls::inspect::CertificateInfo;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use zeroize::Zeroizing;

use super::args::{ExportArgs, Target};
use super::{CertsError, Outcome, beside, file_error, key_beside, output, password, password_to_read};

/// What was read, put in order.
struct Source {
    /// The own certificate and the CAs below the root.
    chain: Vec<CertificateDer<'static>>,
    /// The root, if it is known.
    roots: Vec<CertificateDer<'static>>,
    key: Option<PrivateKeyDer<'static>>,
}

/// Writes a certificate and its key in another format.
pub(super) fn export(args: &ExportArgs) -> Result<Outcome, CertsError> {
    let source = source(args)?;
    let files = match args.to {
        Target::Pem => apart(args, &source)?,
        _ => vec![one(args, &source)?],
    };
    let good = |text: String, json| Ok(Outcome { text, json, good: true });
    if let ([file], None) = (files.as_slice(), &args.out) {
        let text = String::from_utf8_lossy(&file.bytes).into_owned();
        let json = json!({ "format": name(args.to), "content": text });
        return good(text, json);
    }
    write_all(&files, if args.force { Existing::Replace } else { Existing::Refuse })?;
    let text = files.iter().map(|file| format!("{}\n", file.path.display())).collect();
    good(text, json!({ "format": name(args.to), "files": output::files(&files) }))
}

fn name(target: Target) -> &'static str {
    match target {
        Target::Pem => "pem",
        Target::Combined => "combined",
        Target::Pkcs12 => "pkcs12",
        Target::Base64 => "base64",
    }
}

fn source(args: &ExportArgs) -> Result<Source, CertsError> {
    let password = password_to_read(args.password_file.as_deref())?;
    let main = parse(&args.file, password.as_ref(), !args.no_key)?;
    let key_path = args.key.clone().or_else(|| key_beside(&args.file));
    let apart = match key_path {
        Some(path) if !args.no_key && main.keys().next().is_none() => {
            Some((parse(&path, password.as_ref(), true)?, path))
        }
        _ => None,
    };
    let mut keys = main.keys().chain(apart.iter().flat_map(|(contents, _)| contents.keys()));
    let key = keys.next().filter(|_| !args.no_key).map(PrivateKeyDer::clone_key);
    if let (Some((contents, path)), None) = (&apart, &key) {
        return Err(file_error(path, FileProblem::NoKey { found: contents.summary() }));
    }
    let ca = args.ca.clone().or_else(|| beside(&args.file, "ca.crt"));
    let ca = ca.map(|path| parse(&path, None, false)).transpose()?;
    let all: Vec<&Contents> = std::iter::once(&main).chain(&ca).collect();
    // Without a key a bundle of CAs is one too, and has no order.
    let whole = match (gather(&[&main], key.as_ref()), &key) {
        (Err(FileProblem::SeveralLeaves), None) if args.to == Target::Pkcs12 => {
            let roots = main.certificates().cloned().collect();
            return Ok(Source { chain: Vec::new(), roots, key: None });
        }
        (Err(problem), _) => return Err(file_error(&args.file, problem)),
        // The CAs beside it lengthen the chain, but do not say which certificate is meant.
        (Ok(own), _) => extend(own, &all),
    };
    let is_root =
        |der: &CertificateDer<'_>| CertificateInfo::parse(der).is_ok_and(|info| info.subject == info.issuer);
    let (mut chain, mut roots): (Vec<_>, Vec<_>) = whole.into_iter().partition(|der| !is_root(der));
    if chain.is_empty() {
        // A root, or a lone self-signed certificate, is what is exported.
        chain = std::mem::take(&mut roots);
    }
    Ok(Source { chain, roots, key })
}

/// Appends the issuers that are at hand.
fn extend(mut chain: Vec<CertificateDer<'static>>, all: &[&Contents]) -> Vec<CertificateDer<'static>> {
    let candidates: Vec<&CertificateDer<'static>> =
        all.iter().flat_map(|contents| contents.certificates()).collect();
    for _ in 0..Limit::CHAIN {
        let issuer = chain.last().and_then(|last| CertificateInfo::parse(last).ok()).map(|info| info.issuer);
        let next = candidates.iter().find(|candidate| {
            !chain.contains(candidate)
                && CertificateInfo::parse(candidate).is_ok_and(|info| Some(info.subject) == issuer)
        });
        match next {
            Some(next) => chain.push((*next).clone()),
            None => break,
        }
    }
    chain
}

fn parse(path: &Path, password: Option<&Password>, decrypt: bool) -> Result<Contents, CertsError> {
    let bytes = Zeroizing::new(read(path, Limit::BUNDLE)?);
    let mut contents = Contents::parse(&bytes, password).map_err(|problem| file_error(path, problem))?;
    if decrypt {
        contents.decrypt(password).map_err(|problem| file_error(path, problem))?;
    }
    Ok(contents)
}

/// Certificate, key and root in files of their own.
fn apart(args: &ExportArgs, source: &Source) -> Result<Vec<NewFile>, CertsError> {
    let Some(out) = &args.out else {
        return Err(CertsError::Usage(
            "several files need a place: give the path before .crt and .key with --out".to_owned(),
        ));
    };
    let path = |extension: &str| -> PathBuf {
        let mut path = out.clone().into_os_string();
        path.push(extension);
        path.into()
    };
    let mut files = vec![NewFile::public(path(".crt"), &chain_pem(&source.chain))];
    if let Some(key) = &source.key {
        let text = key_pem(key).map_err(|problem| file_error(&args.file, problem))?;
        files.push(NewFile::private(path(".key"), text.as_bytes()));
    }
    if !source.roots.is_empty() {
        files.push(NewFile::public(path(".ca.crt"), &chain_pem(&source.roots)));
    }
    Ok(files)
}

/// The one file of the other formats.
fn one(args: &ExportArgs, source: &Source) -> Result<NewFile, CertsError> {
    let bad = |problem| file_error(&args.file, problem);
    let identity =
        source.key.as_ref().map(|key| Identity { chain: source.chain.clone(), key: key.clone_key() });
    let path = args.out.clone().unwrap_or_default();
    if args.to == Target::Pkcs12 {
        if args.out.is_none() {
            return Err(CertsError::Usage("PKCS#12 is no text; give a file for it with --out".to_owned()));
        }
        let password = password(args.out_password_file.as_deref(), "EGRET_CERTS_OUT_PASSWORD")?.ok_or_else(|| {
            CertsError::Usage(
                "PKCS#12 needs a password, for Java of six characters at least; give a file with --out-password-file, or EGRET_CERTS_OUT_PASSWORD"
                    .to_owned(),
            )
        })?;
        let bytes = match &identity {
            Some(identity) => pkcs12(identity, &source.roots, &args.alias, &password),
            None => {
                let all: Vec<_> = source.chain.iter().chain(&source.roots).cloned().collect();
                pkcs12_truststore(&all, &args.alias, &password)
            }
        };
        let access = if identity.is_some() { Access::Private } else { Access::Public };
        return Ok(NewFile { path, bytes: Zeroizing::new(bytes.map_err(bad)?), access });
    }
    let text = match &identity {
        Some(identity) => combined_pem(identity).map_err(bad)?,
        None => Zeroizing::new(chain_pem(&source.chain)),
    };
    let text = match args.to {
        Target::Base64 => Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(&*text) + "\n"),
        _ => text,
    };
    Ok(match identity {
        Some(_) => NewFile::private(path, text.as_bytes()),
        None => NewFile::public(path, &text),
    })
}
