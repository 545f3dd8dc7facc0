//! What settings change of a plan: the nodes that do something else than they do as the manifest is written, and why. A
//! function of two planned pipelines; looks nothing up and prints nothing.

use crate::comparison::{Because, Difference, at_default, changed};
use crate::history::shown;
use crate::pipeline::{Endpoint, Node, NodeId, Pipeline};
use crate::plan::{Plan, Verdict};
use crate::started::ResolvedNode;
use ddpipe_cache::Key;
use std::collections::{BTreeSet, HashMap};

/// A planned pipeline.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// Its plan.
    pub plan: &'a Plan,
}

/// A node that does something else.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// Its address.
    pub node: String,
    /// What is to be done about it as the manifest is written; none where it has no such node.
    pub was: Option<&'a Verdict>,
    /// What is to be done about it with the settings; none where there is no such node then.
    pub now: Option<&'a Verdict>,
    /// Its place in the pipeline with the settings.
    pub id: Option<NodeId>,
    /// Parameters, kind and seed where they differ.
    pub params: Vec<Difference>,
    /// Why, in words: parameters with their values before and after, inputs, and nodes before it that change.
    pub because: Vec<String>,
}

/// The nodes that differ, in the order of the pipeline with the settings; and how many do not.
pub fn changes<'a>(was: Planned<'a>, now: Planned<'a>) -> (Vec<Change<'a>>, usize) {
    let mut before: HashMap<String, NodeId> = was.pipeline.nodes.iter().map(|node| (node.address(), node.id)).collect();
    let (mut changes, mut same) = (Vec::new(), 0);
    let mut affected = BTreeSet::new();
    for node in &now.pipeline.nodes {
        let address = node.address();
        let old = before.remove(&address).and_then(|id| Some((id, was.verdict(id)?)));
        let new = now.verdict(node.id);
        let because = match (old, new) {
            (None, None) => continue,
            (Some((old, before)), Some(after)) => {
                Pair { was, now, old: was.pipeline.node(old), new: node, affected: &affected }.words(before, after)
            }
            (None, Some(_)) => Some(vec!["is there with these settings only".to_string()]),
            (Some(_), None) => Some(vec!["nothing needs it with these settings".to_string()]),
        };
        match because {
            None => same += 1,
            Some(because) => {
                affected.insert(node.id);
                let params = old.map_or_else(Vec::new, |(old, _)| {
                    let old = ResolvedNode::of(was.pipeline.node(old), was.pipeline);
                    changed(&old, &ResolvedNode::of(node, now.pipeline), &now.pipeline.catalog)
                });
                let was = old.map(|(_, verdict)| verdict);
                changes.push(Change { node: address, was, now: new, id: Some(node.id), params, because });
            }
        }
    }
    for node in &was.pipeline.nodes {
        if let Some(verdict) = before.get(&node.address()).and_then(|id| was.verdict(*id)) {
            let because = vec!["is not there with these settings".to_string()];
            changes.push(Change {
                node: node.address(),
                was: Some(verdict),
                now: None,
                id: None,
                params: Vec::new(),
                because,
            });
        }
    }
    (changes, same)
}

/// The key of an action and what it is made of, as far as that is known.
pub fn described(verdict: &Verdict) -> Option<(Key, &[(String, String)])> {
    match verdict {
        Verdict::Fresh(record) => Some((record.key, &record.description)),
        Verdict::Run { action, .. } => Some((action.key, action.description.entries())),
        _ => None,
    }
}

impl<'a> Planned<'a> {
    /// What is to be done about a node that is selected or needed.
    fn verdict(&self, id: NodeId) -> Option<&'a Verdict> {
        self.plan.verdicts.get(id.index()).filter(|verdict| !matches!(verdict, Verdict::NotSelected))
    }
}

/// One node in both pipelines.
struct Pair<'a> {
    was: Planned<'a>,
    now: Planned<'a>,
    old: &'a Node,
    new: &'a Node,
    /// The nodes before it that change.
    affected: &'a BTreeSet<NodeId>,
}

impl Pair<'_> {
    /// Why it differs; none where it does not.
    fn words(&self, before: &Verdict, after: &Verdict) -> Option<Vec<String>> {
        let (old, new) = (ResolvedNode::of(self.old, self.was.pipeline), ResolvedNode::of(self.new, self.now.pipeline));
        if let (Some((key_before, before)), Some((key_after, after))) = (described(before), described(after)) {
            if key_before == key_after {
                return None;
            }
            let kind = self.now.pipeline.catalog.declaration(&self.new.kind);
            let because = Because { old: before, new: after, old_node: Some(&old), new_node: Some(&new), kind };
            return Some(because.words());
        }
        // The key of one of them is not known yet.
        let mut words = self.own(&old, &new);
        let behind = self.behind();
        if !behind.is_empty() {
            let more = if behind.len() > 3 { format!(" and {} more", behind.len() - 3) } else { String::new() };
            words.push(format!("reads {}{more}", behind.into_iter().take(3).collect::<Vec<_>>().join(", ")));
        }
        (!words.is_empty()).then_some(words)
    }

    /// What differs in the node itself.
    fn own(&self, old: &ResolvedNode, new: &ResolvedNode) -> Vec<String> {
        let catalog = &self.now.pipeline.catalog;
        let kind = catalog.declaration(&new.kind);
        let seeded = kind.is_none_or(|kind| kind.seeded);
        let mut words = Vec::new();
        for change in changed(old, new, catalog).into_iter().filter(|change| seeded || change.what != "seed") {
            let default =
                kind.and_then(|kind| kind.params.get(&change.what)?.default.as_ref()).map(ToString::to_string);
            let value = |value: Option<String>| match (value, &default) {
                (None, _) => "not set".to_string(),
                (Some(value), Some(default)) if value == shown(default) => at_default(default),
                (Some(value), _) => value,
            };
            words.push(format!("{}: {} -> {}", change.what, value(change.a), value(change.b)));
        }
        let names: BTreeSet<&String> = old.inputs.keys().chain(new.inputs.keys()).collect();
        for name in names.into_iter().filter(|name| old.inputs.get(*name) != new.inputs.get(*name)) {
            let connected = |node: &ResolvedNode| match node.inputs.get(name).map(Vec::as_slice) {
                None | Some([]) => "nothing".to_string(),
                Some([one]) => one.clone(),
                Some(many) => format!("{} of them", many.len()),
            };
            words.push(format!("input {name}: {} -> {}", connected(old), connected(new)));
        }
        words
    }

    /// The nodes that change among those that it reads.
    fn behind(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let edges = self.new.inputs.values().flatten();
        let reads = edges.filter_map(|edge| match &edge.from {
            Endpoint::Node { node, .. } if self.affected.contains(node) => Some(*node),
            _ => None,
        });
        reads.filter(|id| seen.insert(*id)).map(|id| self.now.pipeline.node(id).address()).collect()
    }
}
