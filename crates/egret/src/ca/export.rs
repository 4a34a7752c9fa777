//! `egret ca export`.

use egret_tls::bundle::Bundle;
use egret_tls::files::{
    Access, Existing, FileError, NewFile, Password, chain_pem, pkcs12_truststore, write_all,
};
use egret_tls::inspect::CertificateInfo;
use egret_tls::roots::mozilla_certificates;
use rustls_pki_types::CertificateDer;
use serde_json::json;
use zeroize::Zeroizing;

use super::args::{ExportArgs, Form};
use super::{Failure, Outcome, Source, password};

/// What opens Java's own truststore, and is asked for where nobody has chosen a password.
const CHANGEIT: &str = "changeit";

/// Prints what clients have to trust. Never a key.
pub(super) fn export(args: &ExportArgs) -> Result<Outcome, Failure> {
    let source = Source::open(&args.source, true)?;
    for warning in source.warnings() {
        anstream::eprintln!("egret: {warning}");
    }
    let anchors = anchors(args, &source)?;
    let bytes = write(args, &anchors)?;
    let Some(out) = &args.out else { return Ok(Outcome::Bytes(bytes)) };
    let file = NewFile { path: out.clone(), bytes: Zeroizing::new(bytes), access: Access::Public };
    write_all(&[file], if args.force { Existing::Replace } else { Existing::Refuse })?;
    let json = json!({ "certificates": anchors.len(), "file": out });
    Ok(Outcome::Report { text: format!("{}\n", out.display()), json })
}

fn anchors(args: &ExportArgs, source: &Source) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let no_next = "there is no next CA; `egret ca rotate` makes one";
    match source {
        Source::State(_, set) if args.next => match &set.next {
            Some(next) => Ok(vec![next.anchor().clone()]),
            None => Err(Failure::Usage(no_next.to_owned())),
        },
        Source::State(_, set) => Ok(set.anchors()),
        Source::Files(..) if args.next => Err(Failure::Usage(no_next.to_owned())),
        Source::Files(_, ca) => Ok(vec![ca.anchor().clone()]),
    }
}

fn write(args: &ExportArgs, anchors: &[CertificateDer<'static>]) -> Result<Vec<u8>, Failure> {
    Ok(match args.to {
        Form::Pem => chain_pem(anchors).into_bytes(),
        // It has room for one: the one that signs.
        Form::Der => anchors.first().map(|der| der.to_vec()).unwrap_or_default(),
        Form::Pkcs12 => {
            let password = password(args.out_password_file.as_deref(), "EGRET_CERTS_OUT_PASSWORD")?;
            let password = password.unwrap_or_else(|| Password::new(CHANGEIT.to_owned()));
            let path = args.out.clone().unwrap_or_else(|| "the truststore".into());
            pkcs12_truststore(anchors, &args.alias, &password)
                .map_err(|problem| FileError { path, problem })?
        }
        Form::Json => {
            let infos: Vec<_> = anchors.iter().filter_map(|der| CertificateInfo::parse(der).ok()).collect();
            format!("{:#}\n", json!({ "certificates": infos, "pem": chain_pem(anchors) })).into_bytes()
        }
        Form::Bundle => {
            let mut bundle = Bundle::default();
            bundle.add(anchors.iter().cloned());
            bundle.add(mozilla_certificates().iter().cloned());
            bundle.to_pem().into_bytes()
        }
    })
}
