//! `egret certs init`, `ca`, `server` and `client`.

use std::path::{Path, PathBuf};

use egret_tls::authority::{
    Authority, CaRequest, Constraints, LeafRequest, Name, Purpose, Subject, default_server_names,
};
use egret_tls::files::{
    Existing, Identity, NewFile, chain_pem, combined_pem, key_pem, load_chain, write_all,
};
use egret_tls::inspect::CertificateInfo;
use jiff::Timestamp;
use serde_json::json;

use super::args::{
    CaArgs, CaOptions, ClientArgs, InitArgs, LeafArgs, MakeArgs, San, ServerArgs, ServerNames, SignerArgs,
};
use super::{CertsError, Outcome, file_error, output, password_to_read};

/// What the client of `init` is called, and one without a name.
const CLIENT: &str = "egret-client";

/// A CA, a server and a client, in one directory.
pub(super) fn init(args: &InitArgs) -> Result<Outcome, CertsError> {
    if args.keep
        && let Some(outcome) = kept(&args.dir)?
    {
        return Ok(outcome);
    }
    let now = Timestamp::now();
    let authority = Authority::create(&ca_request(&args.ca, &args.make), now)?;
    let names = server_names(&args.names, authority.constraints())?;
    let leaf = |purpose, common_name: &str, names: Vec<Name>| LeafRequest {
        purpose,
        subject: Subject { common_name: common_name.to_owned(), organization: args.ca.organization.clone() },
        names,
        key_type: args.make.key_type,
        days: args.days,
    };
    let server = authority.issue(&leaf(Purpose::Server, &common_name(None, &names, "egret"), names), now)?;
    let client_names = client_names(&[], args.spiffe.as_ref(), authority.constraints());
    let client = authority.issue(&leaf(Purpose::Client, CLIENT, client_names), now)?;
    let parts = [
        Made::new("CA", args.dir.join("ca"), authority.identity().clone(), Combined::No),
        Made::new("server", args.dir.join("server"), server, Combined::Yes),
        Made::new("client", args.dir.join("client"), client, Combined::Yes),
    ];
    write(&parts, &args.make)
}

/// What is said when everything is there already. Some of it alone is an error when it would be written over.
fn kept(dir: &Path) -> Result<Option<Outcome>, CertsError> {
    if !["ca.crt", "server.crt", "server.key", "client.crt", "client.key"]
        .iter()
        .all(|file| dir.join(file).exists())
    {
        return Ok(None);
    }
    let chain = load_chain(&dir.join("server.crt"))?;
    let identity = CertificateInfo::parse(&chain[0])
        .map_err(|error| CertsError::Usage(format!("{}: {error}", dir.join("server.crt").display())))?;
    let text = format!(
        "{} has certificates already; the server's is valid until {}\n",
        dir.display(),
        identity.not_after
    );
    Ok(Some(Outcome { text, json: json!({ "kept": true, "server": identity }), good: true }))
}

/// A CA alone.
pub(super) fn ca(args: &CaArgs) -> Result<Outcome, CertsError> {
    let (now, request) = (Timestamp::now(), ca_request(&args.ca, &args.make));
    let authority = match &args.parent {
        None => Authority::create(&request, now)?,
        Some(parent) => {
            let parent = Authority::load(&parent.join("ca.crt"), Some(&parent.join("ca.key")), None)?;
            parent.create_below(&request, now)?
        }
    };
    let made = Made::new("CA", args.dir.join("ca"), authority.identity().clone(), Combined::No);
    write(&[made], &args.make)
}

/// A certificate for a server.
pub(super) fn server(args: &ServerArgs) -> Result<Outcome, CertsError> {
    let authority = signer(&args.leaf.signer, &args.leaf.dir)?;
    let names = server_names(&args.names, authority.constraints())?;
    leaf(&args.leaf, &authority, Purpose::Server, names, "egret")
}

/// A certificate for a client.
pub(super) fn client(args: &ClientArgs) -> Result<Outcome, CertsError> {
    let authority = signer(&args.leaf.signer, &args.leaf.dir)?;
    let names = client_names(&args.san, args.spiffe.as_ref(), authority.constraints());
    leaf(&args.leaf, &authority, Purpose::Client, names, CLIENT)
}

fn leaf(
    args: &LeafArgs,
    authority: &Authority,
    purpose: Purpose,
    names: Vec<Name>,
    otherwise: &str,
) -> Result<Outcome, CertsError> {
    let role = match purpose {
        Purpose::Server => "server",
        Purpose::Client => "client",
    };
    let stem = args.out.as_deref().unwrap_or(role);
    if stem.is_empty() || stem.contains('/') || matches!(stem, "." | ".." | "ca") {
        return Err(CertsError::Usage(format!(
            "--out {stem:?} cannot be: it is the name of the files before .crt and .key, without a directory, and not ca"
        )));
    }
    let request = LeafRequest {
        purpose,
        subject: Subject {
            common_name: common_name(args.common_name.as_deref(), &names, otherwise),
            organization: args.organization.clone(),
        },
        names,
        key_type: args.make.key_type,
        days: args.days,
    };
    let identity = authority.issue(&request, Timestamp::now())?;
    write(&[Made::new(role, args.dir.join(stem), identity, Combined::Yes)], &args.make)
}

/// The CA that is to sign: the one that is named, or that in the directory.
pub(super) fn signer(args: &SignerArgs, dir: &Path) -> Result<Authority, CertsError> {
    let certificate = args.ca.clone().unwrap_or_else(|| dir.join("ca.crt"));
    let key = match &args.ca_key {
        Some(key) => Some(key.clone()),
        None => Some(certificate.with_extension("key")).filter(|key| key.is_file() && *key != certificate),
    };
    let password = password_to_read(args.password_file.as_deref())?;
    Ok(Authority::load(&certificate, key.as_deref(), password.as_ref())?)
}

fn ca_request(ca: &CaOptions, make: &MakeArgs) -> CaRequest {
    let common_name =
        ca.ca_name.clone().unwrap_or_else(|| format!("Egret CA {:06x}", rand::random::<u32>() & 0xff_ffff));
    CaRequest {
        subject: Subject { common_name, organization: ca.organization.clone() },
        key_type: make.key_type,
        days: ca.ca_days,
        path_length: Some(ca.path_length),
        constraints: Constraints { permitted: ca.permit.clone(), excluded: ca.exclude.clone() },
    }
}

/// The names that were asked for. Of the usual ones only those that the CA may sign for; nobody asked for
/// each of them.
fn server_names(args: &ServerNames, constraints: &Constraints) -> Result<Vec<Name>, CertsError> {
    let usual = || -> Vec<Name> {
        let names = default_server_names(&args.service, &args.namespace);
        names.into_iter().filter(|name| constraints.permit(name)).collect()
    };
    let mut names: Vec<Name> = Vec::new();
    let asked = args.san.iter().flat_map(|san| match san {
        San::Default => usual(),
        San::Name(name) => vec![name.clone()],
    });
    for name in if args.san.is_empty() { usual() } else { asked.collect() } {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if !names.iter().any(|name| matches!(name, Name::Dns(_) | Name::Ip(_))) {
        return Err(CertsError::Usage(
            "none of the usual names is among those that the CA may sign for; give the server's names with --san"
                .to_owned(),
        ));
    }
    Ok(names)
}

fn client_names(asked: &[Name], spiffe: Option<&Name>, constraints: &Constraints) -> Vec<Name> {
    let mut names: Vec<Name> = asked.to_vec();
    if names.is_empty() && spiffe.is_none() {
        let usual = Name::Dns(CLIENT.to_owned());
        names.extend(constraints.permit(&usual).then_some(usual));
    }
    names.extend(spiffe.cloned());
    names
}

/// The subject is for people, and has room for 64 characters.
fn common_name(asked: Option<&str>, names: &[Name], otherwise: &str) -> String {
    let first = names.iter().map(Name::value).find(|name| name != "localhost" && name.len() <= 64);
    asked.map_or_else(|| first.unwrap_or_else(|| otherwise.to_owned()), str::to_owned)
}

/// Whether a combined file is written too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Combined {
    Yes,
    No,
}

/// A certificate that was made, and where it goes.
struct Made {
    what: &'static str,
    /// The path of its files before the dot.
    stem: PathBuf,
    identity: Identity,
    combined: Combined,
}

impl Made {
    fn new(what: &'static str, stem: PathBuf, identity: Identity, combined: Combined) -> Self {
        Self { what, stem, identity, combined }
    }

    /// Not `with_extension`, which would take `proxy.corp` for `proxy`.
    fn path(&self, extension: &str) -> PathBuf {
        let mut path = self.stem.clone().into_os_string();
        path.push(extension);
        path.into()
    }

    fn files(&self) -> Result<Vec<NewFile>, CertsError> {
        let bad = |problem| file_error(&self.stem, problem);
        let mut files = vec![
            NewFile::public(self.path(".crt"), &chain_pem(&self.identity.chain)),
            NewFile::private(self.path(".key"), key_pem(&self.identity.key).map_err(bad)?.as_bytes()),
        ];
        if self.combined == Combined::Yes {
            let text = combined_pem(&self.identity).map_err(bad)?;
            files.push(NewFile::private(self.path(".pem"), text.as_bytes()));
        }
        Ok(files)
    }
}

fn write(parts: &[Made], make: &MakeArgs) -> Result<Outcome, CertsError> {
    let (mut files, mut text, mut json) = (Vec::new(), String::new(), serde_json::Map::new());
    for part in parts {
        let (new, info) = (part.files()?, output::info(&part.identity)?);
        let paths: Vec<PathBuf> = new.iter().map(|file| file.path.clone()).collect();
        output::made(&mut text, part.what, &paths, &info);
        json.insert(part.what.to_lowercase(), json!(info));
        files.extend(new);
    }
    write_all(&files, if make.force { Existing::Replace } else { Existing::Refuse })?;
    json.insert("files".to_owned(), output::files(&files));
    Ok(Outcome { text, json: json.into(), good: true })
}
