//! Parts of objects that may be wrong: one object that cannot be read must not hide the others of its list.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A part of an object as it was sent, and what it says where it can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Lenient<T> {
    raw: Value,
    read: Result<T, String>,
}

impl<T: DeserializeOwned> Lenient<T> {
    /// Reads a value.
    #[must_use]
    pub fn new(raw: Value) -> Self {
        let read = T::deserialize(&raw).map_err(|error| error.to_string());
        Self { raw, read }
    }
}

impl<T> Lenient<T> {
    /// What it says, where it can be read.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        self.read.as_ref().ok()
    }

    /// What it says.
    ///
    /// # Errors
    /// Why it cannot be read: the first reason alone. [`crate::validate::validate`] has all of them, with
    /// their places.
    pub fn read(&self) -> Result<&T, &str> {
        self.read.as_ref().map_err(String::as_str)
    }

    /// It, as it was sent.
    #[must_use]
    pub fn raw(&self) -> &Value {
        &self.raw
    }
}

impl<T: DeserializeOwned> Default for Lenient<T> {
    fn default() -> Self {
        Self::new(Value::Object(serde_json::Map::new()))
    }
}

impl<T: Serialize> From<T> for Lenient<T> {
    fn from(value: T) -> Self {
        let raw = serde_json::to_value(&value).unwrap_or_default();
        Self { raw, read: Ok(value) }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::new)
    }
}

impl<T> Serialize for Lenient<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.raw.serialize(serializer)
    }
}
