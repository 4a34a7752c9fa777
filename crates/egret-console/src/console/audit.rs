//! What was done through the console.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::auth::Caller;
use super::shape::{lean, time};

/// The most entries that are kept; they are in the diagnostic log as well.
const MAX_ENTRIES: usize = 2000;
/// The longest target and detail in characters.
const MAX_TEXT: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Audit {
    entries: Mutex<(u64, VecDeque<(u64, Value)>)>,
}

impl Audit {
    /// Notes an action.
    pub(crate) fn note(
        &self,
        who: Option<&Caller>,
        from: IpAddr,
        action: &'static str,
        target: &str,
        detail: &str,
    ) {
        let cut = |text: &str| (!text.is_empty()).then(|| text.chars().take(MAX_TEXT).collect::<String>());
        let role = who.map_or("none", |caller| caller.role.as_str());
        let name = who.and_then(|caller| caller.name.as_deref());
        let (target, detail) = (cut(target), cut(detail));
        tracing::info!(
            target: "egret::audit",
            %from, role, action, name,
            on = target.as_deref().unwrap_or_default(),
            detail = detail.as_deref().unwrap_or_default(),
            "console"
        );
        let entry = lean(json!({
            "at": time(SystemTime::now()),
            "name": name,
            "role": role,
            "from": from.to_string(),
            "action": action,
            "target": target,
            "detail": detail,
        }));
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.0 += 1;
        let number = entries.0;
        entries.1.push_back((number, entry));
        if entries.1.len() > MAX_ENTRIES {
            entries.1.pop_front();
        }
    }

    /// A page, newest first, of what came before this number.
    pub(crate) fn page(&self, before: Option<u64>, limit: usize) -> Value {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let older = entries.1.iter().rev().filter(|(number, _)| before.is_none_or(|before| *number < before));
        let mut page: Vec<&(u64, Value)> = older.take(limit + 1).collect();
        let more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| more).map(|(number, _)| number.to_string());
        lean(json!({ "entries": page.iter().map(|(_, entry)| entry).collect::<Vec<_>>(), "next": next }))
    }
}
