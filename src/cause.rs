//! From a node back to what started it all: across the nodes that it waits for, and across the inputs that changed, to a
//! parameter, a seed, a file. Reads a plan and records; decides nothing.

use crate::nearest::nearest;
use crate::pipeline::{Edge, Endpoint, NodeId, Pipeline};
use crate::plan::{Action, Plan, Records, Verdict};
use crate::reason::{Reason, differences};
use crate::sources::Sources;
use ddpipe_cache::Record;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How many changed inputs are followed one after the other.
const DEPTH: usize = 12;

/// Explains nodes of a plan.
pub struct Causes<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The plan.
    pub plan: &'a Plan,
    /// The files from outside.
    pub sources: &'a Sources,
    /// The records of the cache.
    pub records: &'a dyn Records,
}

impl Causes<'_> {
    /// The nodes that have to be settled before this one, and that wait for nothing themselves: they run, or their source
    /// files are missing. In the pipeline's order; with the number of nodes between.
    pub fn roots(&self, node: NodeId) -> (Vec<NodeId>, usize) {
        let (mut seen, mut roots, mut between) = (HashSet::new(), Vec::new(), 0);
        let mut stack = vec![node];
        while let Some(id) = stack.pop() {
            match &self.plan.verdicts[id.index()] {
                Verdict::Waiting { on } => {
                    between += usize::from(id != node);
                    stack.extend(on.iter().copied().filter(|id| seen.insert(*id)));
                }
                _ if id != node => roots.push(id),
                _ => {}
            }
        }
        roots.sort();
        (roots, between)
    }

    /// Why a node runs, in words, down to the first change: `lr_img: 5 -> 2`, `input start changed: start: ipc: 1 -> 2`. Beside
    /// it, the record that this is in comparison with.
    pub fn of(&self, node: NodeId, action: &Action, reasons: &[Reason]) -> (Vec<String>, Option<Record>) {
        let near = nearest(self.records, self.pipeline, node, &action.description, true);
        let Some(near) = near.filter(|near| !near.reasons.is_empty()) else {
            return (reasons.iter().map(Reason::to_string).collect(), None);
        };
        let settled = |reason: &&Reason| matches!(reason, Reason::Forced | Reason::OutputLost { .. });
        if let Some(reason) = reasons.iter().find(settled) {
            return (vec![reason.to_string()], Some(near.record));
        }
        let words = self.words(node, &near.reasons, &near.record.description, Some(action), DEPTH);
        (words, Some(near.record))
    }

    fn words(
        &self,
        node: NodeId,
        reasons: &[Reason],
        old: &[(String, String)],
        action: Option<&Action>,
        depth: usize,
    ) -> Vec<String> {
        let word = |reason: &Reason| match reason {
            Reason::InputChanged { name } => {
                let changes = self.changes(node, name, old, action, depth);
                if changes.is_empty() { reason.to_string() } else { format!("{reason}: {}", changes.join("; ")) }
            }
            other => other.to_string(),
        };
        reasons.iter().map(word).collect()
    }

    /// What changed about one input, by the nodes and files that are connected to it.
    fn changes(
        &self,
        node: NodeId,
        input: &str,
        old: &[(String, String)],
        action: Option<&Action>,
        depth: usize,
    ) -> Vec<String> {
        let edges = self.pipeline.node(node).inputs.get(input).map_or(&[][..], Vec::as_slice);
        let single = format!("input {input}");
        if let Some((_, digest)) = old.iter().find(|(name, _)| *name == single) {
            return edges.iter().filter_map(|edge| self.change(edge, digest, depth)).collect();
        }
        let gathered = |name: &str| name.starts_with(&format!("{single}["));
        let before: Vec<Gathered> =
            old.iter().filter(|(name, _)| gathered(name)).filter_map(|(_, text)| Gathered::parse(text)).collect();
        let present: Vec<&Edge> = match action {
            Some(action) => action.present(input, edges).collect(),
            None => edges.iter().collect(),
        };
        self.gathered(&before, &present, input, action, depth)
    }

    /// What changed among many.
    fn gathered(
        &self,
        before: &[Gathered],
        edges: &[&Edge],
        input: &str,
        action: Option<&Action>,
        depth: usize,
    ) -> Vec<String> {
        let by_label: HashMap<&[String], &Gathered> = before.iter().map(|it| (it.labels.as_slice(), it)).collect();
        let contents = action.and_then(|action| action.inputs.get(input));
        let (mut words, mut new, mut kept) = (Vec::new(), Vec::new(), HashSet::new());
        for (edge, content) in edges.iter().zip(contents.into_iter().flatten()) {
            let mut labels: Vec<String> =
                content.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            labels.sort();
            match by_label.get(labels.as_slice()) {
                Some(it) if it.digest != content.digest.hex() => words.extend(self.change(edge, &it.digest, depth)),
                Some(_) => {}
                None => new.push(self.name(edge)),
            }
            kept.insert(labels);
        }
        let gone: Vec<String> =
            before.iter().filter(|it| !kept.contains(&it.labels)).map(|it| it.labels.join(", ")).collect();
        words = few(words);
        if !new.is_empty() {
            words.push(format!("gathers {} too", few(new).join(", ")));
        }
        if !gone.is_empty() {
            words.push(format!("no longer gathers {}", few(gone).join(" and ")));
        }
        words
    }

    /// What is behind one edge whose bytes differ from these.
    fn change(&self, edge: &Edge, digest: &str, depth: usize) -> Option<String> {
        let Endpoint::Node { node, output } = &edge.from else {
            let Endpoint::Source { source, file } = &edge.from else { return None };
            let now = self.sources.digest(source, file)?.hex();
            return (now != digest).then(|| format!("the file {source}/{file} has other bytes"));
        };
        let Verdict::Fresh(record) = &self.plan.verdicts[node.index()] else { return None };
        let made = record.outputs.get(output)?;
        if made.digest.hex() == digest {
            return None;
        }
        let address = self.pipeline.node(*node).address();
        let Some(old) = depth.checked_sub(1).and_then(|_| self.maker(*node, output, digest, record)) else {
            return Some(format!("{address} gives other bytes than it did"));
        };
        let kind = self.pipeline.catalog.declaration(&self.pipeline.node(*node).kind);
        let reasons = differences(&old.description, &record.description, kind);
        let words = self.words(*node, &reasons, &old.description, None, depth - 1);
        Some(match words.is_empty() {
            true => format!("{address} gave other bytes when it ran again"),
            false => format!("{address}: {}", words.join(", ")),
        })
    }

    /// The record of a node that had these bytes.
    fn maker(&self, node: NodeId, output: &str, digest: &str, now: &Arc<Record>) -> Option<Record> {
        let address = self.pipeline.node(node).address();
        let name = &self.pipeline.name;
        let newest = self.records.newest(name, &address);
        let all = newest.into_iter().chain(self.records.earlier(name, &address));
        let made = |record: &Record| record.outputs.get(output).is_some_and(|made| made.digest.hex() == digest);
        all.filter(|record| record.key != now.key).find(made)
    }

    fn name(&self, edge: &Edge) -> String {
        match &edge.from {
            Endpoint::Node { node, .. } => self.pipeline.node(*node).address(),
            Endpoint::Source { source, file } => format!("{source}/{file}"),
        }
    }
}

/// One entry of a gathered input, as descriptions have it.
struct Gathered {
    digest: String,
    labels: Vec<String>,
}

impl Gathered {
    fn parse(text: &str) -> Option<Self> {
        let (digest, labels, ..): (String, Vec<String>, serde_json::Value, serde_json::Value) =
            serde_json::from_str(text).ok()?;
        Some(Gathered { digest, labels })
    }
}

/// The first three, and how many more there are.
fn few(mut words: Vec<String>) -> Vec<String> {
    let count = words.len();
    if count > 4 {
        words.truncate(3);
        words.push(format!("{} more", count - 3));
    }
    words
}
