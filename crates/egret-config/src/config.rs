//! A configuration that was read and checked.

use std::path::{Path, PathBuf};

use crate::checks;
use crate::file::ConfigFile;
use crate::lists;
use crate::normal;
use crate::overrides::Overrides;
use crate::policies;
use crate::problem::{Place, Problem};
use crate::sheet::Sheet;
use crate::source::Position;
use crate::walk::{Finding, MOST_FINDINGS, Walk};
use crate::yaml::{self, Kind, Node};

/// A configuration in which every field by itself, and all of them together, make sense. The files it
/// refers to are read by [`Config::compile`].
#[derive(Clone, Debug)]
pub struct Config {
    file: ConfigFile,
    sheet: Sheet,
    warnings: Vec<Problem>,
}

/// The defaults, as if from an empty file.
impl Default for Config {
    fn default() -> Self {
        Self { file: ConfigFile::default(), sheet: Sheet::new("defaults", ""), warnings: Vec::new() }
    }
}

/// Reads and checks the text of a configuration. `name` is what errors call the file.
///
/// # Errors
/// Everything that is wrong, in the order of the file.
pub fn check(text: &str, name: &str) -> Result<Config, Vec<Problem>> {
    check_bytes(text.as_bytes(), name, &Overrides::default())
}

/// Reads and checks a configuration with what the command line sets instead.
///
/// # Errors
/// Everything that is wrong, in the order of the file.
pub fn check_bytes(bytes: &[u8], name: &str, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    let text = decode(bytes, name, yaml::MAX_BYTES)?;
    let mut sheet = Sheet::new(name, text);
    let reading = yaml::read(text);
    for range in reading.hidden {
        sheet.source.hide(range);
    }
    let mut findings: Vec<Finding> = reading.faults.into_iter().map(Finding::from).collect();

    let mut config = Config { file: ConfigFile::default(), sheet, warnings: Vec::new() };
    let mut problems = Vec::new();
    if let Some(mut root) = reading.roots.into_iter().next() {
        if root.kind == Kind::Null {
            root = Node { position: Position::Nowhere, kind: Kind::Map(Vec::new()) };
        }
        findings.extend(overrides.apply(&mut root));
        normal::policies(&mut root);
        let (walk, value) = Walk::run(&root);
        findings.extend(walk.findings);
        config.sheet.spots = walk.spots;
        match serde_json::from_value(value) {
            Ok(file) => config.file = file,
            Err(error) => findings.push(Finding {
                position: Position::Nowhere,
                path: String::new(),
                message: format!("the configuration cannot be read: {error}"),
                help: None,
                child: None,
            }),
        }
        (problems, config.warnings) = checks::run(&config, findings.is_empty());
    }
    problems.extend(findings.iter().take(MOST_FINDINGS).map(|finding| finding.problem(&config.sheet.source)));
    if problems.is_empty() {
        return Ok(config);
    }
    problems.sort_by_key(|problem| match &problem.place {
        Place::Line(quote) => (quote.line, quote.column),
        Place::Flag(_) | Place::File(_) => (0, 0),
    });
    if problems.len() >= MOST_FINDINGS {
        let message = "there may be more errors, which are not shown";
        problems.push(config.sheet.source.problem(&Position::Nowhere, "", message, None));
    }
    Err(problems)
}

/// Text from bytes: bounded, and UTF-8 with or without a byte order mark.
pub(crate) fn decode<'a>(bytes: &'a [u8], name: &str, most: usize) -> Result<&'a str, Vec<Problem>> {
    let whole = |message: String, help: &str| {
        let place = Place::File(name.into());
        vec![Problem { message, help: Some(help.to_owned()), path: String::new(), place }]
    };
    if bytes.len() > most {
        let message = format!("the file is larger than {most} bytes");
        return Err(whole(message, "is it the right file?"));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(whole("the file is UTF-16".to_owned(), "save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        whole(format!("line {line} is not UTF-8"), "save the file as UTF-8")
    })
}

impl Config {
    /// The fields, with defaults where nothing was written.
    #[must_use]
    pub fn file(&self) -> &ConfigFile {
        &self.file
    }

    /// The fields, for files of policies that are named elsewhere.
    pub(crate) fn file_mut(&mut self) -> &mut ConfigFile {
        &mut self.file
    }

    /// The files that the configuration refers to and that are read when it is compiled, for a watcher:
    /// certificates and keys, credentials, users, groups, keys of tokens, the hosts file, lists of hosts, and
    /// policies (of a directory, itself and what is in it now). Relative paths begin at `base_dir`.
    #[must_use]
    pub fn referenced_files(&self, base_dir: &Path) -> Vec<PathBuf> {
        let file = &self.file;
        let parents = file.parents.iter().flat_map(|parent| [&parent.credentials_file, &parent.trusted_ca]);
        let authentication = &file.authentication;
        let directory =
            authentication.ldap.iter().flat_map(|ldap| [&ldap.trusted_ca, &ldap.bind_password_file]);
        let tokens = authentication.jwt.iter().flat_map(|jwt| [&jwt.trusted_ca, &jwt.keys_file]);
        let others = [&file.upstream.trusted_ca, &authentication.htpasswd, &authentication.groups_file];
        let paths = parents.chain(directory).chain(tokens).chain(others).flatten().map(|path| &path.0);
        let tls = file.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let tls = tls.flat_map(|tls| tls.files()).map(|path| &path.0);
        let paths = paths.chain(&file.dns.hosts_file.0).chain(tls);
        let mut paths: Vec<_> = paths.map(|path| base_dir.join(path)).collect();
        let ca = file
            .interception
            .ca
            .iter()
            .flat_map(|ca| std::iter::once(&ca.certificate).chain(&ca.key).chain(&ca.password_file));
        let origins = file.upstream.origins.iter().flat_map(|origin| origin.files());
        let ca = ca.chain(origins).chain(&file.upstream.crl);
        paths.extend(ca.map(|path| base_dir.join(&path.0)));
        paths.extend(lists::files(file, base_dir));
        paths.extend(policies::files(file, base_dir));
        paths.sort();
        paths.dedup();
        paths
    }

    /// A problem with the value at a JSON pointer, or with what holds it when it was not written.
    #[must_use]
    pub fn problem(&self, pointer: &str, message: &str, help: Option<&str>) -> Problem {
        self.sheet.problem(pointer, message, help)
    }

    /// What is not wrong and yet worth a look, as far as the file itself shows it.
    pub(crate) fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The text, with its places.
    pub(crate) fn sheet(&self) -> &Sheet {
        &self.sheet
    }

    /// Whether a field was written, rather than left to its default.
    pub(crate) fn is_written(&self, pointer: &str) -> bool {
        self.sheet.is_written(pointer)
    }

    /// A place in words: "on line 3".
    pub(crate) fn place(&self, pointer: &str) -> String {
        self.sheet.place(pointer)
    }
}
