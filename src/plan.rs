//! What has to run, and why: a function of values. `ddpipe plan` prints it, `ddpipe run` carries it out through the same
//! [`Planner`], tests assert on it. Reads records through a trait; starts nothing and writes nothing.

mod ahead;
mod left_out;

pub use left_out::Demand;

use crate::graph::Graph;
use crate::key::{Content, Description, Environment, describe, describe_params};
use crate::nearest::{Nearest, nearest};
use crate::pipeline::{Edge, Endpoint, Node, NodeId, Pipeline};
use crate::program::Program;
use crate::reason::Reason;
use crate::selection::{self, Pick};
use crate::sources::Sources;
use crate::upstream::{Asked, Changes, Telling};
use ahead::Ahead;
use ddpipe_cache::{CacheError, Key, Record};
use ddpipe_interface::Value;
use ddpipe_interface::metric::MEASURED;
use ddpipe_interface::protocol::Absent;
use indexmap::IndexMap;
use left_out::absent;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The questions that the planner asks a cache.
pub trait Records: Sync {
    /// The record of this key, if there is one, whether or not its outputs are still there.
    fn find(&self, key: &Key) -> Result<Option<Record>, CacheError>;
    /// As [`Records::find`], of an action whose description is known. Where there is a record, the description may go over
    /// to it.
    fn find_described(&self, key: &Key, _description: &mut Description) -> Result<Option<Record>, CacheError> {
        self.find(key)
    }
    /// As [`Records::find_described`], as far as that takes no request to another machine.
    fn find_here(&self, key: &Key, description: &mut Description) -> Result<Option<Record>, CacheError> {
        self.find_described(key, description)
    }
    /// Whether records may come from another machine.
    fn are_elsewhere_too(&self) -> bool {
        false
    }
    /// Looks there for the records of these keys of a pipeline, which are not here, at the same time; what is found is here
    /// afterwards.
    fn look_ahead(&self, _pipeline: &str, _keys: &[Key]) {}
    /// The first output of a record whose bytes are no longer in the cache.
    fn lost_output(&self, record: &Record) -> Result<Option<String>, CacheError>;
    /// The newest record of a node of this pipeline.
    fn newest(&self, pipeline: &str, node: &str) -> Option<Record>;
    /// What the node gave before its newest record, newest first, as far as that is known; a bounded number.
    fn earlier(&self, _pipeline: &str, _node: &str) -> Vec<Record> {
        Vec::new()
    }
}

/// What is to be planned, apart from the pipeline.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Run only these and what they need; everything when empty.
    pub select: Vec<Pick>,
    /// Run these even if they are on record.
    pub force: Vec<Pick>,
    /// The class of the device, for kinds that keep devices apart.
    pub device: String,
    /// The numerics of the workers as text, where the pipeline is strict about them.
    pub numerics: Option<String>,
    /// The threads of each slot, on which the results of programs may depend.
    pub threads: usize,
}

/// What is to be done about one node.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "an action is made once for each node, and moved on at once")]
pub enum Verdict {
    /// On record, with its outputs.
    Fresh(Arc<Record>),
    /// It has to run.
    Run {
        /// The action that has to run.
        action: Action,
        /// Why it has to run; never empty.
        reasons: Vec<Reason>,
    },
    /// Its inputs are not known yet: these run first, and may well give what they gave before.
    Waiting {
        /// The nodes that run first.
        on: Vec<NodeId>,
    },
    /// Whether it is on record cannot be told, because the cache cannot be read.
    Unreadable {
        /// What the cache says.
        error: Arc<CacheError>,
    },
    /// A source file that it reads is not there.
    Missing {
        /// The file's name, `source/file`.
        file: String,
    },
    /// A file of an optional source is not there, and this needs it, or reads what needs it.
    LeftOut {
        /// The file's name, `source/file`.
        file: String,
    },
    /// Neither selected nor needed, nor asked for so far, by a node that is.
    NotSelected,
}

/// A described action, ready to be claimed.
#[derive(Clone, Debug)]
pub struct Action {
    /// The key, which decides reuse.
    pub key: Key,
    /// What the key is made of.
    pub description: Description,
    /// The inputs by content, without the absent ones.
    pub inputs: IndexMap<String, Vec<Content>>,
    /// What is connected to on-demand inputs and was not asked for so far.
    pub absent: IndexMap<String, Vec<Absent>>,
    /// The inputs and positions of what is connected to an input that takes many and is left out: the stage works on the
    /// rest.
    pub left_out: Vec<(String, usize)>,
}

impl Action {
    /// Whether everything that a stage asks for is absent so far.
    pub fn offers(&self, asks: &IndexMap<String, Vec<usize>>) -> bool {
        let offered = |input: &String, position: &usize| {
            self.absent.get(input).is_some_and(|absent| absent.iter().any(|absent| absent.position == *position))
        };
        asks.iter().all(|(input, positions)| positions.iter().all(|position| offered(input, position)))
    }

    /// Those edges of an input that are neither absent nor left out, in the order of its contents.
    pub fn present<'a>(&'a self, input: &'a str, edges: &'a [Edge]) -> impl Iterator<Item = &'a Edge> {
        let absent = self.absent.get(input).map_or(&[][..], Vec::as_slice);
        let is_left_out =
            move |position: usize| self.left_out.iter().any(|(name, left)| name == input && *left == position);
        let is_absent =
            move |position: usize| is_left_out(position) || absent.iter().any(|absent| absent.position == position);
        edges.iter().enumerate().filter(move |(position, _)| !is_absent(*position)).map(|(_, edge)| edge)
    }
}

/// One verdict per node, in the pipeline's order.
#[derive(Debug)]
pub struct Plan {
    /// One verdict per node, in the pipeline's order.
    pub verdicts: Vec<Verdict>,
}

impl Plan {
    /// The keys of the records that are there already.
    pub fn fresh(&self) -> Vec<Key> {
        let key = |verdict: &Verdict| match verdict {
            Verdict::Fresh(record) => Some(record.key),
            _ => None,
        };
        self.verdicts.iter().filter_map(key).collect()
    }

    /// The nodes that are left out, each with the name of the file that is not there.
    pub fn left_out(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.verdicts.iter().enumerate().filter_map(|(index, verdict)| match verdict {
            Verdict::LeftOut { file } => Some((NodeId(index as u32), file.as_str())),
            _ => None,
        })
    }

    /// How many nodes run, wait, and are fresh.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |test: fn(&Verdict) -> bool| self.verdicts.iter().filter(|verdict| test(verdict)).count();
        (
            count(|verdict| matches!(verdict, Verdict::Run { .. })),
            count(|verdict| {
                matches!(verdict, Verdict::Waiting { .. } | Verdict::Missing { .. } | Verdict::Unreadable { .. })
            }),
            count(|verdict| matches!(verdict, Verdict::Fresh(_))),
        )
    }
}

/// Decides about nodes one by one, given what is known about the nodes they read. Grows in one respect: what nodes ask
/// for, by their records, becomes needed.
pub struct Planner<'a> {
    pipeline: &'a Pipeline,
    graph: &'a Graph,
    records: &'a dyn Records,
    sources: &'a Sources,
    environment: IndexMap<String, Environment>,
    programs: IndexMap<String, Program>,
    needed: Vec<bool>,
    asked: BTreeMap<NodeId, BTreeSet<NodeId>>,
    forced: BTreeSet<NodeId>,
    /// Per node, the file without which it is left out.
    left_out: Vec<Option<String>>,
    /// The nodes that have no result in this run.
    lost: BTreeSet<NodeId>,
    /// How many more nodes are compared with all their records instead of the newest alone.
    looks: AtomicUsize,
    /// How often a node asked for something new.
    asks: usize,
    /// What was found out about what is behind changed inputs.
    changes: Asked,
    /// The entries of parameters, by the place of those that nodes share.
    described: HashMap<usize, Vec<(String, String)>>,
}

/// The entries of the parameters of all nodes.
fn described(pipeline: &Pipeline) -> HashMap<usize, Vec<(String, String)>> {
    let mut described: HashMap<usize, Vec<(String, String)>> = HashMap::new();
    for node in &pipeline.nodes {
        if let Some(kind) = pipeline.catalog.declaration(&node.kind) {
            described.entry(place(node)).or_insert_with(|| describe_params(kind, &node.params));
        }
    }
    described
}

/// Where the parameters of a node are: the same for nodes that share them.
fn place(node: &Node) -> usize {
    Arc::as_ptr(&node.params).addr()
}

/// Of so many nodes the nearest record is looked for; a plan of very many stays quick.
const LOOKS: usize = 500;
/// So many outputs with other bytes are followed to the first change.
const CHANGES: usize = 200;
/// The same in a run, which decides about nodes one after the other.
const CHANGES_OF_A_RUN: usize = 10_000;

impl<'a> Planner<'a> {
    /// A planner for this pipeline. `programs` holds the program of each kind that has one.
    pub fn new(
        pipeline: &'a Pipeline,
        graph: &'a Graph,
        records: &'a dyn Records,
        sources: &'a Sources,
        programs: IndexMap<String, Program>,
        choice: &Choice,
    ) -> Self {
        let needed = graph.needed_by(selection::selected(pipeline, graph, &choice.select));
        let environment = pipeline.catalog.names().map(|kind| {
            let program = programs.get(kind).cloned();
            let of_kind = |numerics: &String| match &program {
                Some(_) => format!("{numerics} program on {} threads", choice.threads),
                None => numerics.clone(),
            };
            let numerics = choice.numerics.as_ref().map(of_kind);
            (kind.to_string(), Environment { device: choice.device.clone(), numerics, program })
        });
        let environment = environment.collect();
        let (asked, forced) = (BTreeMap::new(), selection::forced(pipeline, graph, &choice.force));
        let left_out = vec![None; pipeline.nodes.len()];
        let mut planner = Planner {
            pipeline,
            graph,
            records,
            sources,
            environment,
            programs,
            needed,
            asked,
            forced,
            left_out,
            lost: BTreeSet::new(),
            looks: AtomicUsize::new(LOOKS),
            asks: 0,
            changes: Asked::at_most(CHANGES),
            described: described(pipeline),
        };
        planner.leave_out();
        planner
    }

    /// The program of a kind, where it has one.
    pub fn program(&self, kind: &str) -> Option<&Program> {
        self.programs.get(kind)
    }

    /// Whether a node is selected, or needed or asked for by one that is.
    pub fn needed(&self, node: NodeId) -> bool {
        self.needed[node.index()]
    }

    /// The nodes that this one reads as things stand: on demand only what it has asked for.
    pub fn reads(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let asked = move |read: NodeId| self.asked.get(&node).is_some_and(|asked| asked.contains(&read));
        let links = self.graph.links(node);
        links.filter(move |(read, on_demand)| !on_demand || asked(*read)).map(|(read, _)| read)
    }

    /// Takes down what a record asks for in its node's name. False when that is nothing new.
    pub fn ask(&mut self, node: NodeId, record: &Record) -> bool {
        let mut news = BTreeSet::new();
        for (input, positions) in &record.asks {
            let edges = self.pipeline.node(node).inputs.get(input).map_or(&[][..], Vec::as_slice);
            for edge in positions.iter().filter_map(|position| edges.get(*position)) {
                if let Endpoint::Node { node: read, .. } = &edge.from {
                    news.insert(*read);
                }
            }
        }
        let needed = self.graph.needed_by(news.iter().copied());
        self.needed.iter_mut().zip(needed).for_each(|(needed, too)| *needed |= too);
        let asked = self.asked.entry(node).or_default();
        let before = asked.len();
        asked.extend(news);
        let is_new = asked.len() > before;
        self.asks += usize::from(is_new);
        is_new
    }

    /// How often a node has asked for something new so far: when this grows, more nodes may be needed.
    pub fn asks(&self) -> usize {
        self.asks
    }

    /// What is to be done about a node; `known` gives the record of a node that is done, in this run or before. Follows
    /// what the node's records ask for.
    pub fn verdict(&mut self, id: NodeId, known: &dyn Fn(NodeId) -> Option<Arc<Record>>) -> Verdict {
        if !self.needed(id) {
            return Verdict::NotSelected;
        }
        let verdict = self.decide(id, known);
        if let Verdict::LeftOut { file } = &verdict {
            self.left_out[id.index()] = Some(file.clone());
        }
        verdict
    }

    fn decide(&mut self, id: NodeId, known: &dyn Fn(NodeId) -> Option<Arc<Record>>) -> Verdict {
        loop {
            let mut action = match self.action(id, known) {
                Ok(action) => action,
                Err(verdict) => return *verdict,
            };
            if self.forced.contains(&id) {
                return self.run(id, action, |_| vec![Reason::Forced]);
            }
            let unreadable = |error| Verdict::Unreadable { error: Arc::new(error) };
            let record = match self.records.find_described(&action.key, &mut action.description) {
                Err(error) => return unreadable(error),
                Ok(None) => return self.run(id, action, |action| self.explain(id, action, known)),
                Ok(Some(record)) if !record.asks.is_empty() && self.ask(id, &record) => continue,
                Ok(Some(record)) => record,
            };
            let lost = match self.lacks(id, &record) {
                Some(name) => Ok(Some(name)),
                None => self.records.lost_output(&record),
            };
            let name = match lost {
                Err(error) => return unreadable(error),
                Ok(None) => return Verdict::Fresh(Arc::new(record)),
                Ok(Some(name)) => name,
            };
            action.description = Description::recorded(&record.description);
            return self.run(id, action, |_| vec![Reason::OutputLost { name }]);
        }
    }

    /// A node that has to run, if the files that it reads are there.
    fn run(&self, id: NodeId, action: Action, reasons: impl FnOnce(&Action) -> Vec<Reason>) -> Verdict {
        match self.lacking(id).next() {
            Some(missing) => absent(missing),
            None => {
                let reasons = reasons(&action);
                Verdict::Run { action, reasons }
            }
        }
    }

    /// An output that the node's kind declares and the record does not have: the kind got it later, without a new
    /// version. A record that asks for more has none and lacks all.
    pub fn lacks(&self, id: NodeId, record: &Record) -> Option<String> {
        let declared = self.pipeline.catalog.declaration(&self.pipeline.node(id).kind)?;
        declared.outputs.keys().find(|name| !record.outputs.contains_key(*name)).cloned()
    }

    /// Plans all nodes at once, as far as that can be told before anything runs.
    pub fn plan(&mut self) -> Plan {
        loop {
            let needed = self.needed.clone();
            let plan = self.pass();
            // What nodes ask for stands before them in the order: decided about anew.
            if self.needed == needed {
                // From here on a decision comes with a stage that ran.
                self.changes.allow(CHANGES_OF_A_RUN);
                return plan;
            }
        }
    }

    fn pass(&mut self) -> Plan {
        let mut verdicts: Vec<Verdict> = Vec::with_capacity(self.pipeline.nodes.len());
        let mut ahead = Ahead::default();
        for id in self.graph.order() {
            if let Some(record) = ahead.record(self, id, &verdicts) {
                verdicts.push(Verdict::Fresh(record));
                continue;
            }
            let unknown = |read: &NodeId| {
                let verdict = &verdicts[read.index()];
                !matches!(verdict, Verdict::Fresh(_) | Verdict::LeftOut { .. } | Verdict::NotSelected)
            };
            let on: Vec<NodeId> = self.reads(id).filter(unknown).collect();
            let verdict = match self.needed(id) && !on.is_empty() && self.without(id).is_none() {
                true => Verdict::Waiting { on },
                false => self.verdict(id, &|read| match &verdicts[read.index()] {
                    Verdict::Fresh(record) => Some(record.clone()),
                    _ => None,
                }),
            };
            verdicts.push(verdict);
        }
        Plan { verdicts }
    }

    /// The described action of a node, given the records of the nodes that it reads; else the verdict that says what is
    /// missing.
    pub fn action(&self, id: NodeId, known: &dyn Fn(NodeId) -> Option<Arc<Record>>) -> Result<Action, Box<Verdict>> {
        let node = self.pipeline.node(id);
        let Some(kind) = self.pipeline.catalog.get(&node.kind) else {
            return Err(Box::new(Verdict::NotSelected));
        };
        if let Some(file) = self.without(id) {
            return Err(Box::new(Verdict::LeftOut { file }));
        }
        let (mut inputs, mut absent, mut left_out) = (IndexMap::new(), IndexMap::new(), Vec::new());
        for (name, edges) in &node.inputs {
            let many = kind.declaration.inputs.get(name).is_some_and(|input| input.many);
            let measured = many.then(|| kind.declaration.measured_at(name, &node.params));
            let many = measured.as_deref();
            let (mut contents, mut missing) = (Vec::new(), Vec::new());
            let several = OnceCell::new();
            let several = || *several.get_or_init(|| self.are_of_several_stages(edges));
            for (position, edge) in edges.iter().enumerate() {
                if let Some(read) = self.gap(id, name, edge) {
                    missing.push(Absent { position, labels: self.labels(read, several()) });
                    continue;
                }
                if self.is_left_out(edge) {
                    left_out.push((name.clone(), position));
                    continue;
                }
                match self.unasked(id, name, edge) {
                    Some(read) => missing.push(Absent { position, labels: self.labels(read, several()) }),
                    None => contents.push(self.content(edge, &several, many, known)?),
                }
            }
            inputs.insert(name.clone(), contents);
            if !missing.is_empty() {
                absent.insert(name.clone(), missing);
            }
        }
        let none = Environment::default();
        let environment = self.environment.get(&node.kind).unwrap_or(&none);
        let params = self.described.get(&place(node)).map_or(&[][..], Vec::as_slice);
        let description = describe(node, kind, params, &inputs, &absent, environment);
        Ok(Action { key: description.key(), description, inputs, absent, left_out })
    }

    /// The node behind an edge that has no result and need not have one: the stage works on what is there.
    fn gap(&self, id: NodeId, input: &str, edge: &Edge) -> Option<NodeId> {
        let Endpoint::Node { node: read, .. } = &edge.from else { return None };
        let is_gap = self.lost.contains(read) || self.is_left_out(edge);
        (is_gap && self.pipeline.works_on_a_part(id, input)).then_some(*read)
    }

    /// Notes that a node has no result in this run, for those that work on what is there.
    pub fn lose(&mut self, node: NodeId) {
        self.lost.insert(node);
    }

    /// Takes a node that has no result out of this run, whoever needs it: those that read it work on what is there.
    pub fn give_up(&mut self, node: NodeId) {
        self.lost.insert(node);
        if let Some(needed) = self.needed.get_mut(node.index()) {
            *needed = false;
        }
    }

    /// Whether a node can do without the result of one that it reads, as long as there are others.
    pub fn can_do_without(&self, id: NodeId, read: NodeId) -> bool {
        let reads = |edge: &&Edge| matches!(&edge.from, Endpoint::Node { node, .. } if *node == read);
        let inputs = self.pipeline.node(id).inputs.iter();
        inputs
            .filter(|(_, edges)| edges.iter().any(|edge| reads(&edge)))
            .all(|(input, _)| self.pipeline.works_on_a_part(id, input))
    }

    /// The node behind an on-demand edge that was not asked for. Whether its result happens to be known makes no
    /// difference: a search has to take the same way whatever ran before it.
    fn unasked(&self, id: NodeId, input: &str, edge: &Edge) -> Option<NodeId> {
        let Endpoint::Node { node: read, .. } = &edge.from else { return None };
        let asked = || self.asked.get(&id).is_some_and(|asked| asked.contains(read));
        (self.pipeline.on_demand(id, input) && !asked()).then_some(*read)
    }

    /// The results of a node's record, and the measured quantities that a gathering stage names, by the names that it
    /// uses. Others do not matter: equal bytes never make a table run again.
    fn metrics(&self, node: NodeId, record: &Record, measured: &[&str]) -> IndexMap<String, f64> {
        let node = self.pipeline.node(node);
        let kind = self.pipeline.catalog.declaration(&node.kind);
        let is_measured = |name: &str| kind.is_some_and(|kind| kind.is_measured(name, &node.params));
        let mut metrics = record.metrics.clone();
        // Records of format 1 have measured quantities among their metrics.
        metrics.retain(|name, _| !is_measured(name));
        for name in measured {
            let plain = name.strip_prefix(MEASURED).unwrap_or(name);
            if is_measured(plain)
                && let Some(value) = record.number(plain)
            {
                metrics.insert(name.to_string(), value);
            }
        }
        metrics
    }

    /// `many` has the measured quantities that the stage names, for an input that takes many.
    fn content(
        &self,
        edge: &Edge,
        several: &dyn Fn() -> bool,
        many: Option<&[&str]>,
        known: &dyn Fn(NodeId) -> Option<Arc<Record>>,
    ) -> Result<Content, Box<Verdict>> {
        let plain =
            |digest| Content { digest, labels: IndexMap::new(), metrics: IndexMap::new(), over: edge.over.clone() };
        match &edge.from {
            Endpoint::Source { source, file } => match self.sources.digest(source, file) {
                Some(digest) => Ok(plain(digest)),
                None => Err(Box::new(match self.sources.missing(source, file) {
                    Some(missing) => absent(missing),
                    None => Verdict::Missing { file: format!("{source}/{file}") },
                })),
            },
            Endpoint::Node { node, output } => {
                let waits = || Box::new(Verdict::Waiting { on: vec![*node] });
                let record = known(*node).ok_or_else(waits)?;
                let made = record.outputs.get(output).ok_or_else(waits)?;
                let Some(measured) = many else { return Ok(plain(made.digest)) };
                Ok(Content {
                    labels: self.labels(*node, several()),
                    metrics: self.metrics(*node, &record, measured),
                    ..plain(made.digest)
                })
            }
        }
    }

    /// The axes of a gathered node, and its stage's name when nodes of several stages are gathered: only then does the
    /// name tell anything, and only then may renaming the stage change a table.
    fn labels(&self, node: NodeId, several: bool) -> IndexMap<String, Value> {
        let node = self.pipeline.node(node);
        let mut labels = node.axes.clone();
        if several {
            labels.insert("stage".into(), Value::String(node.stage.clone()));
        }
        labels
    }

    /// Whether what is connected to an input is not all of one stage.
    fn are_of_several_stages(&self, edges: &[Edge]) -> bool {
        let stage = |edge: &Edge| match &edge.from {
            Endpoint::Node { node, .. } => Some(self.pipeline.node(*node).stage.as_str()),
            Endpoint::Source { .. } => None,
        };
        let first = edges.first().and_then(stage);
        first.is_none() || edges.iter().any(|edge| stage(edge) != first)
    }

    /// Why an action has no record: what it differs in from the nearest one, with the first change behind each input.
    fn explain(&self, id: NodeId, action: &Action, known: &dyn Fn(NodeId) -> Option<Arc<Record>>) -> Vec<Reason> {
        let looks = self.looks.load(Ordering::Relaxed);
        self.looks.store(looks.saturating_sub(1), Ordering::Relaxed);
        let nearest = nearest(self.records, self.pipeline, id, &action.description, looks > 0);
        // The same in words and yet another key: described by another version of ddpipe.
        let Some(Nearest { record, mut reasons }) = nearest.filter(|nearest| !nearest.reasons.is_empty()) else {
            return vec![Reason::NeverRan];
        };
        let changes = Changes {
            pipeline: self.pipeline,
            sources: self.sources,
            records: self.records,
            known,
            telling: Telling::First,
            asked: &self.changes,
        };
        changes.explain(id, &mut reasons, &record.description, action);
        reasons
    }
}
