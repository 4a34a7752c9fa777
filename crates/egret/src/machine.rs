//! What the machine gives and allows.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The machine's own addresses, against which listeners on `0.0.0.0` and `[::]` are checked.
#[must_use]
pub(crate) fn addresses() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.iter().map(|interface| interface.ip().to_canonical()).collect(),
        Err(error) => {
            tracing::warn!(%error, "the machine's addresses are not known: loops through them are not found");
            Vec::new()
        }
    }
}

/// Raises the limit of open files as far as the system allows. Gives the limit in force.
pub(crate) fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files stays as it is");
            limit.current
        }
    }
}

/// The state directory where none is given: that of the user (XDG Base Directory Specification). `None` without
/// a home.
#[must_use]
pub(crate) fn default_state_dir() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("egret"))
}

/// The name of this instance in `Via`: kept in the state directory, where there is one, else made up
/// anew at each start. Two proxies behind each other must not have the same.
#[must_use]
pub(crate) fn instance_name(state_dir: Option<&Path>) -> String {
    let path = state_dir.map(|dir| dir.join("instance"));
    if let Some(name) = path.as_ref().and_then(|path| std::fs::read_to_string(path).ok()) {
        let name = name.trim();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=40).contains(&name.len()) && name.bytes().all(fits) {
            return name.to_owned();
        }
    }
    let name = format!("egret-{:06x}", rand::random::<u32>() & 0xff_ffff);
    if let (Some(dir), Some(path)) = (state_dir, path) {
        let written = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&path, &name));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "the instance's name could not be kept");
        }
    }
    name
}
