//! The body of a message, as far as it was captured.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A body as it was sent: encoded as `Content-Encoding` says, without the framing of chunks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Body {
    /// How many bytes went by.
    pub length: u64,
    /// How many were kept.
    pub captured: u64,
    /// More went by than was kept.
    pub truncated: bool,
    /// It is stored decoded, whatever `Content-Encoding` says, because redaction had to decode it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decoded: bool,
    /// Why it is not there, or not as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<BodyNote>,
    /// Where its bytes are.
    #[serde(skip)]
    pub content: Content,
}

/// Why a body is not there, or not as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BodyNote {
    /// Parts were replaced by redaction.
    Redacted,
    /// Redaction applies to it and it could not be read as what it says it is (cut off, too large when
    /// decoded, or not valid), so nothing of it was kept.
    Unreadable,
    /// Pieces were lost because the queue was full, so nothing after them was kept.
    PiecesLost,
    /// Removed because bodies on disk reached their bound.
    Evicted,
    /// It could not be written to disk.
    NotStored,
}

/// Where the bytes of a body are.
#[derive(Clone, Debug, Default)]
pub enum Content {
    /// Nowhere: empty, not captured, or removed.
    #[default]
    None,
    /// In memory.
    Memory(Bytes),
    /// In a file of the store.
    File(Arc<Spilled>),
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Memory(a), Self::Memory(b)) => a == b,
            (Self::File(a), Self::File(b)) => a.path == b.path,
            _ => false,
        }
    }
}

/// A body in a file.
#[derive(Debug)]
pub struct Spilled {
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
}

impl Spilled {
    /// Its size in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Body {
    /// A body that is in memory whole.
    #[must_use]
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len() as u64;
        Self {
            length,
            captured: length,
            truncated: false,
            decoded: false,
            note: None,
            content: Content::Memory(bytes),
        }
    }

    /// Its bytes, if they are in memory.
    #[must_use]
    pub fn in_memory(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Memory(bytes) => Some(bytes),
            Content::None | Content::File(_) => None,
        }
    }

    /// How many bytes of it are in memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.in_memory().map_or(0, Bytes::len)
    }
}
