//! The flows in memory, oldest first.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use egret_core::flow_id::FlowId;

use super::feed::{Change, ChangeKind};
use super::{Annotation, MAX_ANNOTATION_BYTES, MAX_TAGS, StoreSettings};
use crate::flow::{Content, Flow, Side};

#[derive(Debug)]
pub(super) struct Ring {
    /// In the order of `seq`.
    flows: VecDeque<Arc<Flow>>,
    by_id: HashMap<FlowId, u64, foldhash::fast::RandomState>,
    memory: usize,
    /// The last number that was given, to a flow or to a change: both count in the same numbers.
    number: u64,
    revision: u64,
    max_flows: usize,
    max_memory: usize,
}

impl Ring {
    pub(super) fn new(settings: &StoreSettings) -> Self {
        Self {
            flows: VecDeque::new(),
            by_id: HashMap::default(),
            memory: 0,
            number: 0,
            revision: 0,
            max_flows: settings.flows.max(1),
            max_memory: settings.memory_bytes,
        }
    }

    /// Takes a flow of an earlier run. They come oldest first.
    pub(super) fn restore(&mut self, flow: Flow) {
        self.number = self.number.max(flow.seq).max(flow.revision);
        self.revision = self.number;
        self.memory += flow.memory();
        self.by_id.insert(flow.id, flow.seq);
        self.flows.push_back(Arc::new(flow));
    }

    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    fn position(&self, seq: u64) -> Option<usize> {
        self.flows.binary_search_by_key(&seq, |flow| flow.seq).ok()
    }

    pub(super) fn by_seq(&self, seq: u64) -> Option<Arc<Flow>> {
        self.position(seq).map(|at| self.flows[at].clone())
    }

    pub(super) fn by_id(&self, id: FlowId) -> Option<Arc<Flow>> {
        self.by_seq(*self.by_id.get(&id)?)
    }

    /// At most so many flows before this number, newest first.
    pub(super) fn before(&self, seq: u64, count: usize) -> Vec<Arc<Flow>> {
        let end = self.flows.partition_point(|flow| flow.seq < seq);
        self.flows.range(end.saturating_sub(count)..end).rev().cloned().collect()
    }

    /// At most so many flows after this number, oldest first.
    pub(super) fn after(&self, seq: u64, count: usize) -> Vec<Arc<Flow>> {
        let start = self.flows.partition_point(|flow| flow.seq <= seq);
        let end = self.flows.len().min(start.saturating_add(count));
        self.flows.range(start..end).cloned().collect()
    }

    fn change(&mut self, kind: ChangeKind, seq: u64, id: FlowId) -> Change {
        self.revision = self.next_number();
        Change { kind, seq, id: Some(id), revision: self.revision }
    }

    /// The number of a flow that is put in next.
    pub(super) fn reserve(&mut self) -> u64 {
        self.next_number()
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// The number of the newest flow, 0 if there is none. Flows that are put in later have higher ones.
    pub(super) fn newest(&self) -> u64 {
        self.flows.back().map_or(0, |flow| flow.seq)
    }

    /// Puts a new flow in, whose number was reserved after those of all others.
    pub(super) fn add(&mut self, mut flow: Flow) -> (Arc<Flow>, Change) {
        let change = self.change(ChangeKind::Added, flow.seq, flow.id);
        flow.revision = change.revision;
        self.memory += flow.memory();
        self.by_id.insert(flow.id, flow.seq);
        let flow = Arc::new(flow);
        self.flows.push_back(flow.clone());
        (flow, change)
    }

    /// Puts a flow in the place of its former self, whose marks it takes over. `None` if that is gone.
    pub(super) fn replace(&mut self, mut flow: Flow) -> Option<(Arc<Flow>, Change)> {
        let place = self.position(flow.seq)?;
        let change = self.change(ChangeKind::Updated, flow.seq, flow.id);
        flow.revision = change.revision;
        let before = &self.flows[place];
        flow.mark.clone_from(&before.mark);
        flow.comment.clone_from(&before.comment);
        let more = before.tags.iter().filter(|tag| !flow.tags.contains(tag)).cloned().collect::<Vec<_>>();
        flow.tags.extend(more);
        self.memory = self.memory + flow.memory() - before.memory();
        let flow = Arc::new(flow);
        self.flows[place] = flow.clone();
        Some((flow, change))
    }

    pub(super) fn annotate(&mut self, id: FlowId, annotation: Annotation) -> Option<(Arc<Flow>, Change)> {
        let place = self.position(*self.by_id.get(&id)?)?;
        let mut flow = Flow::clone(&self.flows[place]);
        self.memory -= flow.memory();
        let written = |text: String| (!text.is_empty()).then(|| cut(text));
        if let Some(mark) = annotation.mark {
            flow.mark = written(mark);
        }
        if let Some(comment) = annotation.comment {
            flow.comment = written(comment);
        }
        if let Some(tags) = annotation.tags {
            flow.tags = tags.into_iter().filter_map(written).take(MAX_TAGS).collect();
        }
        let change = self.change(ChangeKind::Updated, flow.seq, flow.id);
        flow.revision = change.revision;
        self.memory += flow.memory();
        let flow = Arc::new(flow);
        self.flows[place] = flow.clone();
        Some((flow, change))
    }

    pub(super) fn remove(&mut self, id: FlowId) -> Option<(Arc<Flow>, Change)> {
        let place = self.position(*self.by_id.get(&id)?)?;
        let flow = self.flows.remove(place)?;
        Some((flow.clone(), self.gone(&flow)))
    }

    fn gone(&mut self, flow: &Flow) -> Change {
        self.memory -= flow.memory();
        if self.by_id.get(&flow.id) == Some(&flow.seq) {
            self.by_id.remove(&flow.id);
        }
        self.change(ChangeKind::Removed, flow.seq, flow.id)
    }

    pub(super) fn clear(&mut self) -> (Vec<Arc<Flow>>, Change) {
        self.by_id.clear();
        self.memory = 0;
        self.revision = self.next_number();
        let change = Change { kind: ChangeKind::Cleared, seq: 0, id: None, revision: self.revision };
        (self.flows.drain(..).collect(), change)
    }

    /// Takes out what is too much, or began before `oldest`.
    pub(super) fn evict(&mut self, oldest: u64) -> Vec<(Arc<Flow>, Change)> {
        let mut evicted = Vec::new();
        loop {
            let Some(first) = self.flows.front() else { return evicted };
            let too_much = self.flows.len() > self.max_flows || self.memory > self.max_memory;
            // A tunnel that goes on is not old.
            if !too_much && (first.started >= oldest || first.active) {
                return evicted;
            }
            if let Some(flow) = self.flows.pop_front() {
                let change = self.gone(&flow);
                evicted.push((flow, change));
            }
        }
    }

    /// The files that flows refer to.
    pub(super) fn spilled(&self) -> HashSet<PathBuf> {
        let bodies = self.flows.iter().flat_map(|flow| [flow.body(Side::Request), flow.body(Side::Response)]);
        let files = bodies.flatten().filter_map(|body| match &body.content {
            Content::File(file) => Some(file.path.clone()),
            _ => None,
        });
        files.collect()
    }
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(MAX_ANNOTATION_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}
