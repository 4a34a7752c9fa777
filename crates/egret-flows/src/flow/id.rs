//! Flow ids as text.

use egret_core::flow_id::FlowId;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(super) fn serialize<S: Serializer>(id: &FlowId, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(id.as_str())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<FlowId, D::Error> {
    let text = String::deserialize(from)?;
    FlowId::parse(&text).ok_or_else(|| D::Error::custom("this is not the id of a flow"))
}

pub(super) mod option {
    use super::{Deserialize, Deserializer, Error, FlowId, Serializer};

    pub(in crate::flow) fn serialize<S: Serializer>(id: &Option<FlowId>, to: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => to.serialize_str(id.as_str()),
            None => to.serialize_none(),
        }
    }

    pub(in crate::flow) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<FlowId>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        FlowId::parse(&text).map(Some).ok_or_else(|| D::Error::custom("this is not the id of a flow"))
    }
}
