//! What is behind an input with other bytes: the nodes and files that are connected to it, and what changed about these,
//! back to the first change. Reads records; knows no plan and decides nothing.

use crate::pipeline::{Edge, Endpoint, NodeId, Pipeline};
use crate::plan::{Action, Records};
use crate::reason::{Reason, differences};
use crate::sources::Sources;
use ddpipe_cache::{Key, Record};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many changed inputs are followed one after the other.
const DEPTH: usize = 12;
/// Of a gathered input with more entries than this, or with more that changed, the [`Telling::First`] change is not looked
/// for in all of them.
const GATHERED: usize = 2000;
const CHANGED: usize = 3;
/// So many gathered entries are as dear to compare as one question.
const GATHERED_FOR_ONE: usize = 100;
/// How many of a node's own changes are told as the first change.
const OWN: usize = 2;

/// How much of the way back is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// Every node on the way: `before changed: b: input before changed: a: to: 4 -> 6`.
    Whole,
    /// The first change alone, in few words: `a: to: 4 -> 6`.
    First,
}

/// What was found out already: many readers of one node ask once. And how many more questions may be asked, since each reads
/// the records of a node.
#[derive(Debug)]
pub struct Asked {
    answers: Mutex<HashMap<Question, Option<String>>>,
    left: AtomicUsize,
}

/// A node's output that had other bytes (the digest) than in the record of this key.
type Question = (NodeId, String, String, Key);

impl Asked {
    /// So many questions may be asked.
    pub fn at_most(questions: usize) -> Self {
        Asked { answers: Mutex::default(), left: AtomicUsize::new(questions) }
    }

    /// So many questions may be asked from now on; what was found out stays.
    pub fn allow(&self, questions: usize) {
        self.left.store(questions, Ordering::Relaxed);
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<Question, Option<String>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes so many questions off those that may be asked, if there are as many.
    fn take(&self, questions: usize) -> bool {
        let less = |left: usize| left.checked_sub(questions);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Answers what is behind changed inputs.
#[derive(Clone, Copy)]
pub struct Changes<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The files from outside.
    pub sources: &'a Sources,
    /// The records of the cache.
    pub records: &'a dyn Records,
    /// The record of a node that is done, in this run or before.
    pub known: &'a dyn Fn(NodeId) -> Option<Arc<Record>>,
    /// How much is told.
    pub telling: Telling,
    /// What was found out already.
    pub asked: &'a Asked,
}

impl Changes<'_> {
    /// Tells each of the reasons that is a changed input what is behind it. `old` is the description that `action` differs
    /// from by these reasons.
    pub fn explain(&self, node: NodeId, reasons: &mut [Reason], old: &[(String, String)], action: &Action) {
        self.fill(node, reasons, old, Some(action), DEPTH);
    }

    fn fill(
        &self,
        node: NodeId,
        reasons: &mut [Reason],
        old: &[(String, String)],
        action: Option<&Action>,
        depth: usize,
    ) {
        for reason in reasons {
            if let Reason::InputChanged { name, cause } = reason {
                let changes = self.of_input(node, name, old, action, depth);
                *cause = (!changes.is_empty()).then(|| changes.join("; "));
            }
        }
    }

    /// What changed about one input, by the nodes and files that are connected to it.
    fn of_input(
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
            return match edges {
                [] => vec!["no longer connected".into()],
                edges => edges.iter().filter_map(|edge| self.of_edge(edge, digest, depth)).collect(),
            };
        }
        let kind = self.pipeline.catalog.declaration(&self.pipeline.node(node).kind);
        if !kind.and_then(|kind| kind.inputs.get(input)).is_some_and(|input| input.many) {
            return edges.iter().map(|edge| format!("{} was not connected", self.name(edge))).collect();
        }
        // To compare with what was gathered before, all of it is read.
        if self.telling == Telling::First
            && (edges.len() > GATHERED || !self.asked.take(1 + edges.len() / GATHERED_FOR_ONE))
        {
            return Vec::new();
        }
        let gathered = format!("{single}[");
        let of_input = old.iter().filter(|(name, _)| name.starts_with(&gathered));
        let before: Vec<Gathered> = of_input.filter_map(|(_, text)| Gathered::parse(text)).collect();
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
        let (mut changed, mut new, mut kept) = (Vec::new(), Vec::new(), HashSet::new());
        for (edge, content) in edges.iter().zip(contents.into_iter().flatten()) {
            let mut labels: Vec<String> =
                content.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            labels.sort();
            match by_label.get(labels.as_slice()) {
                Some(it) if it.digest != content.digest.hex() => changed.push((*edge, it.digest.as_str())),
                Some(_) => {}
                None => new.push(self.name(edge)),
            }
            kept.insert(labels);
        }
        let gone: Vec<String> =
            before.iter().filter(|it| !kept.contains(&it.labels)).map(|it| it.labels.join(", ")).collect();
        let mut words = match self.telling {
            Telling::Whole => {
                few(changed.iter().filter_map(|(edge, digest)| self.of_edge(edge, digest, depth)).collect())
            }
            Telling::First => self.first_of(&changed, depth).into_iter().collect(),
        };
        if !new.is_empty() {
            words.push(format!("gathers {} too", self.few(new).join(", ")));
        }
        if !gone.is_empty() {
            words.push(format!("no longer gathers {}", self.few(gone).join(" and ")));
        }
        words
    }

    /// What is behind the first of many that changed; and whether there is more.
    fn first_of(&self, changed: &[(&Edge, &str)], depth: usize) -> Option<String> {
        let looked_at = changed.iter().take(CHANGED);
        let mut words: Vec<String> = looked_at.filter_map(|(edge, digest)| self.of_edge(edge, digest, depth)).collect();
        words.dedup();
        let more = if words.len() > 1 { ", and more" } else { "" };
        words.into_iter().next().map(|first| format!("{first}{more}"))
    }

    /// What is behind one edge whose bytes differ from these.
    fn of_edge(&self, edge: &Edge, digest: &str, depth: usize) -> Option<String> {
        let Endpoint::Node { node, output } = &edge.from else {
            let Endpoint::Source { source, file } = &edge.from else { return None };
            let now = self.sources.digest(source, file)?.hex();
            return (now != digest).then(|| format!("the file {source}/{file} has other bytes"));
        };
        let record = (self.known)(*node)?;
        if record.outputs.get(output)?.digest.hex() == digest {
            return None;
        }
        let question = (*node, output.clone(), digest.to_string(), record.key);
        if let Some(answer) = self.asked.answers().get(&question) {
            return answer.clone();
        }
        if !self.asked.take(1) {
            return None;
        }
        let answer = self.of_node(*node, output, digest, &record, depth);
        self.asked.answers().insert(question, Some(answer.clone()));
        Some(answer)
    }

    /// What is behind the output of a node that had other bytes than in this record.
    fn of_node(&self, node: NodeId, output: &str, digest: &str, record: &Arc<Record>, depth: usize) -> String {
        let address = self.pipeline.node(node).address();
        let Some(old) = depth.checked_sub(1).and_then(|_| self.maker(node, output, digest, record)) else {
            return format!("{address} gives other bytes than it did");
        };
        let kind = self.pipeline.catalog.declaration(&self.pipeline.node(node).kind);
        let mut reasons = differences(&old.description, &record.description, kind);
        if reasons.is_empty() {
            return format!("{address} gave other bytes when it ran again");
        }
        let inputs = |reason: &Reason| matches!(reason, Reason::InputChanged { .. });
        if self.telling == Telling::First && !reasons.iter().all(inputs) {
            // What the node itself was given is the first change.
            reasons.retain(|reason| !inputs(reason));
        } else {
            self.fill(node, &mut reasons, &old.description, None, depth - 1);
        }
        let cause = |reason: &Reason| match reason {
            Reason::InputChanged { cause, .. } => cause.clone(),
            _ => None,
        };
        if self.telling == Telling::First
            && let Some(first) = reasons.iter().find_map(cause)
        {
            return first;
        }
        let mut words: Vec<String> = reasons.iter().map(Reason::to_string).collect();
        let more = words.len().saturating_sub(OWN);
        let more = match self.telling {
            Telling::First if more > 0 => {
                words.truncate(OWN);
                format!(" and {more} more")
            }
            _ => String::new(),
        };
        format!("{address}: {}{more}", words.join(", "))
    }

    /// The record of a node that had these bytes.
    fn maker(&self, node: NodeId, output: &str, digest: &str, now: &Arc<Record>) -> Option<Record> {
        let address = self.pipeline.node(node).address();
        let name = &self.pipeline.name;
        let made = |record: &Record| {
            record.key != now.key && record.outputs.get(output).is_some_and(|made| made.digest.hex() == digest)
        };
        let newest = self.records.newest(name, &address);
        newest.filter(made).or_else(|| self.records.earlier(name, &address).into_iter().find(made))
    }

    fn name(&self, edge: &Edge) -> String {
        match &edge.from {
            Endpoint::Node { node, .. } => self.pipeline.node(*node).address(),
            Endpoint::Source { source, file } => format!("{source}/{file}"),
        }
    }

    /// The first few, and how many more there are; of the first change, the first alone.
    fn few(&self, mut words: Vec<String>) -> Vec<String> {
        if self.telling == Telling::First && words.len() > 1 {
            let more = format!("{} more", words.len() - 1);
            words.truncate(1);
            words.push(more);
        }
        few(words)
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
