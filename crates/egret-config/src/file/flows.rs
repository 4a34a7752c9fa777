//! `capture` and `flows`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use egret_core::policy::model;
use egret_core::settings;

use super::limits::{bytes, small};
use crate::values::{Size, Time};

/// How much is kept: a word, or more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Capture {
    /// How much.
    Word(CaptureMode),
    /// How much, up to which size, and of how many flows.
    Full(CapturePlan),
}

/// How much of a flow is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CaptureMode {
    /// What the access line says.
    #[default]
    None,
    /// The heads of request and response as well.
    Headers,
    /// Bodies, trailers and messages of WebSockets as well.
    Bodies,
}

/// How much is kept, up to which size, and of how many flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CapturePlan {
    /// How much of a flow is kept.
    #[schemars(example = &"Bodies")]
    pub mode: CaptureMode,
    /// The most bytes of each body, or with a unit; of a WebSocket, of all messages from each side. By default
    /// 1MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1MiB")]
    pub body_bytes: Option<Size>,
    /// Of how many flows in a hundred. By default of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100.0), example = 10)]
    pub sample: Option<f64>,
}

impl From<&Capture> for model::CapturePlan {
    fn from(capture: &Capture) -> Self {
        let plan = match capture {
            Capture::Word(mode) => CapturePlan { mode: *mode, ..CapturePlan::default() },
            Capture::Full(plan) => *plan,
        };
        let level = match plan.mode {
            CaptureMode::None => model::CaptureLevel::None,
            CaptureMode::Headers => model::CaptureLevel::Headers,
            CaptureMode::Bodies => model::CaptureLevel::Bodies,
        };
        let every = f64::from(Self::EVERY);
        let sample = plan.sample.map_or(every, |percent| (percent / 100.0 * every).round());
        Self {
            level,
            body_bytes: plan.body_bytes.map_or(Self::BODY_BYTES, |size| size.0),
            sample: sample.clamp(0.0, every) as u32,
        }
    }
}

/// The store of flows, which the console and `egret flows` read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Flows {
    /// Flows survive a restart, in a database in the state directory.
    pub persistent: bool,
    /// The most flows. When there is one more, the oldest is removed.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub flows: u32,
    /// The most memory that flows take, about. When it is too little, the oldest are removed.
    pub memory_bytes: Size,
    /// The most bytes of bodies on disk. When they are more, the oldest bodies are removed.
    pub body_bytes: Size,
    /// Bodies that are longer are written to disk, where there is a state directory.
    pub spill_bytes: Size,
    /// How long flows are kept. By default as long as there is room.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"1d")]
    pub age: Option<Time>,
    /// The most bytes that wait, in each worker, to be stored. More are dropped, and counted.
    pub queue_bytes: Size,
    /// The most pieces that wait, in each worker, to be stored. More are dropped, and counted.
    #[schemars(range(min = 16, max = 16_777_216))]
    pub queue_pieces: u32,
    /// The most bytes of the bodies of all flows that go on. What is more is not kept.
    pub assembling_bytes: Size,
    /// The most flows that go on and are captured at once. One more is kept by its access line alone.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub assembling_flows: u32,
    /// The most messages that are kept of one WebSocket.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub messages: u32,
    /// The most bytes that are kept of one message.
    pub message_bytes: Size,
    /// How many changes a live view may be behind before it loses some.
    #[schemars(range(min = 16, max = 16_777_216))]
    pub feed_changes: u32,
    /// What is taken out before anything is stored. In each name, `*` stands for any run of characters; case
    /// does not matter.
    pub redaction: Redaction,
}

/// What is taken out of flows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Redaction {
    /// What usually bears secrets is taken out, besides what these lists name: `Authorization`, `Cookie`,
    /// `access_token` and others. The manual lists them in flows.md.
    pub defaults: bool,
    /// Names of header fields.
    #[schemars(length(max = 1000), example = serde_json::json!(["x-session-*"]))]
    pub headers: Vec<String>,
    /// Keys in the query of a URL.
    #[schemars(length(max = 1000), example = serde_json::json!(["session"]))]
    pub query_keys: Vec<String>,
    /// Names of fields in forms.
    #[schemars(length(max = 1000), example = serde_json::json!(["pin"]))]
    pub form_fields: Vec<String>,
    /// Paths in JSON: `$.user.password`, `$.items[*].token`, or `$..secret` for any depth.
    #[schemars(length(max = 1000), example = serde_json::json!(["$..iban"]))]
    pub json_paths: Vec<String>,
}

impl Default for Redaction {
    fn default() -> Self {
        let empty = Vec::new;
        Self {
            defaults: true,
            headers: empty(),
            query_keys: empty(),
            form_fields: empty(),
            json_paths: empty(),
        }
    }
}

impl Default for Flows {
    fn default() -> Self {
        let settings = settings::FlowSettings::default();
        let size = |bytes: usize| Size(bytes as u64);
        Self {
            persistent: settings.persistent,
            flows: small(settings.flows),
            memory_bytes: size(settings.memory_bytes),
            body_bytes: Size(settings.body_bytes),
            spill_bytes: size(settings.spill_bytes),
            age: settings.age.map(Time),
            queue_bytes: size(settings.queue_bytes),
            queue_pieces: small(settings.queue_pieces),
            assembling_bytes: size(settings.assembling_bytes),
            assembling_flows: small(settings.assembling_flows),
            messages: small(settings.messages),
            message_bytes: size(settings.message_bytes),
            feed_changes: small(settings.feed_changes),
            redaction: Redaction::default(),
        }
    }
}

impl From<&Flows> for settings::FlowSettings {
    fn from(flows: &Flows) -> Self {
        let redaction = &flows.redaction;
        Self {
            persistent: flows.persistent,
            flows: flows.flows as usize,
            memory_bytes: bytes(flows.memory_bytes),
            body_bytes: flows.body_bytes.0,
            spill_bytes: bytes(flows.spill_bytes),
            age: flows.age.map(|age| age.0),
            queue_bytes: bytes(flows.queue_bytes),
            queue_pieces: flows.queue_pieces as usize,
            assembling_bytes: bytes(flows.assembling_bytes),
            assembling_flows: flows.assembling_flows as usize,
            messages: flows.messages as usize,
            message_bytes: bytes(flows.message_bytes),
            feed_changes: flows.feed_changes as usize,
            redaction: settings::FlowRedaction {
                defaults: redaction.defaults,
                headers: redaction.headers.clone(),
                query_keys: redaction.query_keys.clone(),
                form_fields: redaction.form_fields.clone(),
                json_paths: redaction.json_paths.clone(),
            },
        }
    }
}
