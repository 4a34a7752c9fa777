//! Interception: reading the CA at the start and on a reload, and telling people how clients come to trust it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use egret_core::settings::InterceptionSettings;
use egret_proxy::intercept::Interceptor;
use egret_tls::files::Password;
use egret_tls::interception::{CaSet, CaStore, InterceptionCa};
use jiff::Timestamp;

use crate::machine;

/// The CA that signs, and what clients need of it.
struct Ca {
    ca: Arc<InterceptionCa>,
    /// A file with what clients have to trust.
    trust: PathBuf,
    files: Vec<PathBuf>,
    /// It was made just now.
    made: bool,
    warnings: Vec<String>,
}

/// Reads the CA; makes one in the state directory where there is none. `None` where nothing is intercepted.
///
/// # Errors
/// What is wrong, in words for people.
fn load(settings: &InterceptionSettings, state_dir: Option<&Path>) -> Result<Option<Ca>, String> {
    if !settings.enabled {
        return Ok(None);
    }
    let now = Timestamp::now();
    if let Some(files) = &settings.ca {
        let password = files.password.as_deref().map(Password::load).transpose();
        let password = password.map_err(|error| error.to_string())?;
        let ca = InterceptionCa::load(&files.certificate, files.key.as_deref(), password.as_ref(), now);
        let ca = ca.map_err(|error| error.to_string())?;
        let warnings = ca.warnings().to_vec();
        let files_ = files.files().cloned().collect();
        return Ok(Some(Ca {
            ca: Arc::new(ca),
            trust: files.certificate.clone(),
            files: files_,
            made: false,
            warnings,
        }));
    }
    let dir = settings.state_dir.clone().or_else(|| state_dir.map(Path::to_owned));
    let dir = dir.or_else(machine::default_state_dir).ok_or_else(|| {
        "there is no home directory to keep the CA in; give a directory with --state-dir, or files in `interception.ca`"
            .to_owned()
    })?;
    std::fs::create_dir_all(&dir)
        .map_err(|error| format!("{}: the directory cannot be made: {error}", dir.display()))?;
    let store = CaStore::new(&dir);
    let (set, made) = store.open_or_create(now).map_err(|error| error.to_string())?;
    Ok(Some(Ca {
        ca: Arc::new(set.current),
        trust: store.public_path(),
        files: vec![store.path()],
        made,
        warnings: set.warnings,
    }))
}

/// What is in force.
#[derive(Default)]
pub(crate) struct Intercepting {
    running: Option<Running>,
}

struct Running {
    settings: InterceptionSettings,
    interceptor: Arc<Interceptor>,
    trust: PathBuf,
    files: Vec<PathBuf>,
}

impl Intercepting {
    /// Reads the CA, or makes one.
    ///
    /// # Errors
    /// What is wrong, in words for people.
    pub(crate) fn start(settings: &InterceptionSettings, state_dir: Option<&Path>) -> Result<Self, String> {
        Self::default().next(settings, state_dir)
    }

    /// The same under new settings, and with the CA that is there now. What has not changed is kept: the
    /// certificates, and the sessions of clients.
    ///
    /// # Errors
    /// What is wrong, in words for people; the old one stays in force.
    pub(crate) fn next(
        &self,
        settings: &InterceptionSettings,
        state_dir: Option<&Path>,
    ) -> Result<Self, String> {
        let Some(ca) = load(settings, state_dir)? else { return Ok(Self::default()) };
        if ca.made {
            tracing::info!(file = %ca.trust.display(), "made a CA for interception");
        }
        for warning in &ca.warnings {
            tracing::warn!("interception: {warning}");
        }
        let same = |running: &&Running| {
            let old = &running.settings;
            (old.leaf_lifetime, old.cache_entries, old.tunnel_pinned)
                == (settings.leaf_lifetime, settings.cache_entries, settings.tunnel_pinned)
        };
        let interceptor = match self.running.as_ref().filter(same) {
            Some(running) => {
                running.interceptor.minter.change_ca(ca.ca).map_err(|error| error.to_string())?;
                running.interceptor.clone()
            }
            None => Arc::new(Interceptor::new(ca.ca, settings).map_err(|error| error.to_string())?),
        };
        let running = Running { settings: settings.clone(), interceptor, trust: ca.trust, files: ca.files };
        Ok(Self { running: Some(running) })
    }

    /// What signs; `None` where nothing is intercepted.
    pub(crate) fn interceptor(&self) -> Option<Arc<Interceptor>> {
        self.running.as_ref().map(|running| running.interceptor.clone())
    }

    /// The CAs that clients are to trust. Without interception, those of the state directory, made if there are
    /// none, so that they can be handed out before it is switched on.
    ///
    /// # Errors
    /// What is wrong, in words for people.
    pub(crate) fn cas(&self, state_dir: Option<&Path>) -> Result<CaSet, String> {
        let now = Timestamp::now();
        let settings = self.running.as_ref().map(|running| &running.settings);
        if let Some(files) = settings.and_then(|settings| settings.ca.as_ref()) {
            let password = files.password.as_deref().map(Password::load).transpose();
            let password = password.map_err(|error| error.to_string())?;
            let ca = InterceptionCa::load(&files.certificate, files.key.as_deref(), password.as_ref(), now);
            let current = ca.map_err(|error| error.to_string())?;
            return Ok(CaSet { current, next: None, previous: Vec::new(), warnings: Vec::new() });
        }
        let dir = settings.and_then(|settings| settings.state_dir.clone());
        let dir = dir.or_else(|| state_dir.map(Path::to_owned)).or_else(machine::default_state_dir);
        let dir = dir.ok_or("there is no directory to keep a CA in")?;
        let opened = CaStore::new(&dir).open_or_create(now);
        opened.map(|(set, _)| set).map_err(|error| error.to_string())
    }

    /// Files to watch: when one changes, the CA is read again.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.running.iter().flat_map(|running| running.files.clone())
    }

    /// What is said at the start: which tunnels are looked into, and the file with what clients have to trust.
    pub(crate) fn said(&self) -> Option<(&'static str, &Path)> {
        let running = self.running.as_ref()?;
        let what = match running.settings.everything {
            true => "everything, unless a rule says `tls: Tunnel`",
            false => "where a rule says `tls: Intercept`",
        };
        Some((what, &running.trust))
    }
}

/// What is in force, to look at or to change.
pub(crate) fn lock(intercepting: &Mutex<Intercepting>) -> MutexGuard<'_, Intercepting> {
    intercepting.lock().unwrap_or_else(PoisonError::into_inner)
}
