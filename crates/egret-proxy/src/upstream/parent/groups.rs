//! The parents of a snapshot, and what is known of them.

use std::collections::HashMap;
use std::sync::Arc;

use egret_core::destination::Destination;
use egret_core::route::{Parent, ParentGroup};
use egret_core::settings::Snapshot;

use super::super::health::ParentHealth;
use super::proxy_authorization_value;

/// One parent and what is known of it.
pub(super) struct ParentState {
    pub(super) parent: Parent,
    pub(super) authorization: Option<Arc<str>>,
    pub(super) health: Arc<ParentHealth>,
}

impl ParentState {
    fn new(parent: &Parent) -> Self {
        let authorization = proxy_authorization_value(parent).map(Into::into);
        Self { parent: parent.clone(), authorization, health: Arc::default() }
    }
}

pub(super) type GroupState = Arc<[Arc<ParentState>]>;

/// The groups of one snapshot, by name.
pub(in super::super) struct Groups {
    by_name: HashMap<Arc<str>, GroupState>,
}

impl Groups {
    /// The groups of a snapshot. Parents that were in the old one keep their health.
    pub(in super::super) fn new(snapshot: &Snapshot, old: Option<&Self>) -> Self {
        let state = |group: &ParentGroup| -> GroupState {
            let before = old.and_then(|old| old.by_name.get(&group.name));
            let keep = |parent: &Parent| {
                before.and_then(|before| before.iter().find(|state| state.parent == *parent)).cloned()
            };
            group
                .parents
                .iter()
                .map(|parent| keep(parent).unwrap_or_else(|| Arc::new(ParentState::new(parent))))
                .collect()
        };
        let groups = &snapshot.routes.groups;
        Self { by_name: groups.iter().map(|group| (group.name.clone(), state(group))).collect() }
    }

    pub(super) fn state(&self, group: &ParentGroup) -> GroupState {
        let same = |state: &&GroupState| {
            state.len() == group.parents.len()
                && state.iter().zip(&group.parents).all(|(state, parent)| state.parent == *parent)
        };
        match self.by_name.get(&group.name).filter(same) {
            Some(state) => state.clone(),
            // A flow that was decided by another snapshot; its parents count as up.
            None => group.parents.iter().map(|parent| Arc::new(ParentState::new(parent))).collect(),
        }
    }

    pub(in super::super) fn states(&self) -> Vec<(Arc<str>, Destination, bool, u64)> {
        let row = |name: &Arc<str>, state: &ParentState| {
            (name.clone(), state.parent.address.clone(), state.health.is_up(), state.health.failures())
        };
        let mut states: Vec<_> = self
            .by_name
            .iter()
            .flat_map(|(name, states)| states.iter().map(move |state| row(name, state)))
            .collect();
        states.sort_by(|one, other| one.0.cmp(&other.0));
        states
    }
}
