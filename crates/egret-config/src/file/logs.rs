//! `log`, `accessLog` and `tracing`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::settings;

use crate::values::{Endpoint, FilePath, ServiceName, Size, Time};

/// The diagnostic log on standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Log {
    /// How much is said.
    pub level: LogLevel,
    /// How it is written.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text }
    }
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogLevel {
    /// What failed and needs somebody.
    Error,
    /// And what is likely to.
    Warn,
    /// And what happens to the process as a whole: start, reload, drain.
    Info,
    /// And what happens to connections.
    Debug,
    /// And every step.
    Trace,
}

impl LogLevel {
    /// The level's name, as filters of the `tracing` crate write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How the diagnostic log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct AccessLog {
    /// The format of a line.
    pub format: AccessLogFormat,
    /// Where lines go: `stdout`, `off`, or `file:` with a path. A file is appended to, and opened again on
    /// SIGUSR1 and on reload, so that it can be rotated.
    pub output: AccessLogOutput,
    /// How often a tunnel that is open leaves an interim line; 0s for never.
    pub interim: Time,
    /// How much may wait for a slow disk or pipe, in each worker, in bytes or with a unit, at least 64KiB.
    /// Lines beyond it are dropped and counted in `egret_access_log_dropped_total`; traffic is never held up.
    pub buffer_bytes: Size,
}

impl Default for AccessLog {
    fn default() -> Self {
        let settings = settings::AccessLogSettings::default();
        Self {
            format: settings.format.into(),
            output: AccessLogOutput::Word(OutputWord::Stdout),
            interim: Time(settings.interim),
            buffer_bytes: Size(settings.buffer_bytes as u64),
        }
    }
}

impl From<&AccessLog> for settings::AccessLogSettings {
    fn from(log: &AccessLog) -> Self {
        Self {
            format: log.format.into(),
            output: match &log.output {
                AccessLogOutput::Word(OutputWord::Stdout) => settings::AccessLogOutput::Stdout,
                AccessLogOutput::Word(OutputWord::Off) => settings::AccessLogOutput::Off,
                AccessLogOutput::File { file } => settings::AccessLogOutput::File(file.0.clone()),
            },
            interim: log.interim.0,
            buffer_bytes: super::limits::bytes(log.buffer_bytes),
        }
    }
}

/// The format of an access line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AccessLogFormat {
    /// One JSON object a line, with everything that is known.
    Json,
    /// The Common Log Format.
    Common,
    /// The Combined Log Format.
    Combined,
    /// Squid's native format.
    Squid,
    /// `key=value`, with everything that is known.
    Logfmt,
}

impl From<settings::AccessLogFormat> for AccessLogFormat {
    fn from(format: settings::AccessLogFormat) -> Self {
        match format {
            settings::AccessLogFormat::Json => Self::Json,
            settings::AccessLogFormat::Common => Self::Common,
            settings::AccessLogFormat::Combined => Self::Combined,
            settings::AccessLogFormat::Squid => Self::Squid,
            settings::AccessLogFormat::Logfmt => Self::Logfmt,
        }
    }
}

impl From<AccessLogFormat> for settings::AccessLogFormat {
    fn from(format: AccessLogFormat) -> Self {
        match format {
            AccessLogFormat::Json => Self::Json,
            AccessLogFormat::Common => Self::Common,
            AccessLogFormat::Combined => Self::Combined,
            AccessLogFormat::Squid => Self::Squid,
            AccessLogFormat::Logfmt => Self::Logfmt,
        }
    }
}

/// Where access lines go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum AccessLogOutput {
    /// A word.
    Word(OutputWord),
    /// A file.
    File {
        /// The file's path; a relative one begins at the directory of the configuration.
        #[schemars(example = "/var/log/egret/access.log")]
        file: FilePath,
    },
}

/// A place for access lines that is one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OutputWord {
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
}

/// OpenTelemetry traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Tracing {
    /// Where spans are sent, by OTLP over HTTP: the collector's URL. `/v1/traces` is added to it when it
    /// has no path. None by default, and then nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = "http://127.0.0.1:4318")]
    pub otlp_endpoint: Option<Endpoint>,
    /// Which share of the flows is traced, from 0 to 1, where the client's trace context does not decide.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
    /// The name of this service in traces.
    pub service_name: ServiceName,
}

impl Default for Tracing {
    fn default() -> Self {
        Self { otlp_endpoint: None, sample: 1.0, service_name: ServiceName("egret".to_owned()) }
    }
}
