//! What the program says about itself on standard error.

use std::fmt;

use egret_config::{LogFormat, LogLevel, LogSettings};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

/// The diagnostic log, whose level a reload can change.
pub(crate) struct Diagnostics {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Diagnostics").finish_non_exhaustive()
    }
}

impl Diagnostics {
    /// Starts it, once in the life of a process.
    pub(crate) fn start(log: &LogSettings) -> Self {
        let (filter, handle) = reload::Layer::new(filter(log.level));
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match log.format {
            LogFormat::Json => lines.json().boxed(),
            LogFormat::Text => lines.with_target(false).boxed(),
        };
        // Fails only when diagnostics were started already, which nobody else does.
        let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
        Self { filter: handle }
    }

    /// Changes the level.
    pub(crate) fn set_level(&self, level: LogLevel) {
        // Fails only when the subscriber is gone, which lives as long as the process.
        let _ = self.filter.reload(filter(level));
    }
}

/// `RUST_LOG`, where it is set, stands above the setting.
fn filter(level: LogLevel) -> EnvFilter {
    let directives = std::env::var("RUST_LOG").unwrap_or_else(|_| match level {
        LogLevel::Debug | LogLevel::Trace => level.as_str().to_owned(),
        // It repeats at each try what is said here once.
        level => format!("{},kube_runtime=error,kube_client=error", level.as_str()),
    });
    EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new(level.as_str()))
}
