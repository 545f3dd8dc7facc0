//! Which combinations of axes a stage has, and what each of them reads. A stage inherits the axes of the nodes that it
//! reads; combinations are joined on equal names. Knows no parameters.

use super::info::StageInfo;
use super::lookup::{Found, Lookup, Members};
use super::matrix::{self, Axes, MAX_NODES, shortened, unknown_axis};
use super::reference::{Gather, Input, Target, fill_text};
use super::size::{self, MAX_BYTES, MAX_EDGES, MAX_PAIRS};
use crate::address::value_text;
use crate::diagnostic::{Diagnostic, Place, Report};
use crate::manifest::document::{Item, Raw};
use crate::pipeline::{Edge, Endpoint, Node};
use ddpipe_interface::{ArtifactType, Value};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;

/// One combination of a stage's axes.
#[derive(Clone, Debug, Default)]
pub struct Combination {
    /// The values of the axes.
    pub axes: IndexMap<String, Value>,
    /// What it reads, in the order of the stage's inputs.
    pub inputs: Vec<Vec<Link>>,
}

/// One artifact that a combination reads.
#[derive(Clone, Debug)]
pub struct Link {
    /// The edge.
    pub edge: Edge,
    /// The type of the artifact.
    pub artifact: ArtifactType,
    /// The place in the manifest where it is written.
    pub place: Place,
    /// Whether it was gathered without the name of an output: then it is the first of those that the input takes.
    pub any_output: bool,
}

/// The combinations of a stage, and its axes in the order of addresses with their values.
pub struct Joined {
    /// The combinations, in the order of the axes' values.
    pub combinations: Vec<Combination>,
    /// Inherited axes first, in the order of the inputs, then the stage's own.
    pub axes: IndexMap<String, Vec<Value>>,
    /// The names of the inherited ones.
    pub inherited: Vec<String>,
}

/// All combinations of a stage's own axes.
pub fn own_combinations(own: &Axes) -> Vec<Combination> {
    let mut combinations = vec![Combination::default()];
    for (name, axis) in own {
        let with = |combination: &Combination, value: &Value| {
            let mut combination = combination.clone();
            combination.axes.insert(name.clone(), value.clone());
            combination
        };
        combinations = combinations
            .iter()
            .flat_map(|combination| axis.values.iter().map(move |(value, _)| with(combination, value)))
            .collect();
    }
    combinations
}

/// An inherited axis: its values, and the input that it was first met in.
struct Inherited {
    values: Vec<Value>,
    input: String,
}

/// Joins a stage with all that it reads; none, with a report, when that is not possible.
pub fn join(stage: &StageInfo<'_>, own: &Axes, lookup: &mut Lookup<'_>, report: &mut Report) -> Option<Joined> {
    let before = report.diagnostics.len();
    let mut join = Join { stage, lookup, report, inherited: IndexMap::new() };
    let mut combinations = own_combinations(own);
    join.within_limit(combinations.len())?;
    for (name, input) in &stage.inputs {
        let input = input.as_ref()?;
        combinations.iter_mut().for_each(|combination| combination.inputs.push(Vec::new()));
        combinations = match input {
            Input::Gather(gather) => join.gather(name, gather, combinations)?,
            _ => input.references().iter().try_fold(combinations, |all, item| join.plain(name, item, all))?,
        };
    }
    join.restricted(own);
    let inherited = join.inherited;
    let mut axes: IndexMap<_, _> = inherited.iter().map(|(name, axis)| (name.clone(), axis.values.clone())).collect();
    for (name, axis) in own {
        axes.insert(name.clone(), axis.values.iter().map(|(value, _)| value.clone()).collect());
    }
    let exclusions = matrix::exclusions(stage.table.exclude.as_ref(), &axes, report);
    combinations.retain(|combination| {
        let hit = |(name, value): &(String, Value)| combination.axes.get(name) == Some(value);
        !exclusions.iter().any(|exclusion| exclusion.iter().all(hit))
    });
    if report.diagnostics.len() > before {
        return None;
    }
    if combinations.is_empty() {
        let fault =
            Diagnostic::at(&stage.table.key, format!("no combination of axes is left for stage {:?}", stage.name));
        report.push(fault.help("its inputs have no values of their axes in common, or exclude leaves nothing"));
        return None;
    }
    let used = sort(&mut combinations, &axes);
    for (values, used) in axes.values_mut().zip(used) {
        let mut used = used.into_iter();
        values.retain(|_| used.next() == Some(true));
    }
    Some(Joined { combinations, axes, inherited: inherited.into_keys().collect() })
}

/// Brings the axes of every combination, and the combinations, into the order of the axes. Per axis, which of its values
/// a combination has.
fn sort(combinations: &mut [Combination], axes: &IndexMap<String, Vec<Value>>) -> Vec<Vec<bool>> {
    let ranks = |values: &Vec<Value>| -> HashMap<String, usize> {
        values.iter().enumerate().map(|(rank, value)| (value.to_string(), rank)).collect()
    };
    let ranks: IndexMap<&str, _> = axes.iter().map(|(name, values)| (name.as_str(), ranks(values))).collect();
    let mut used: Vec<Vec<bool>> = axes.values().map(|values| vec![false; values.len()]).collect();
    for combination in combinations.iter_mut() {
        if !combination.axes.keys().map(|name| ranks.get_index_of(name.as_str())).is_sorted() {
            combination.axes.sort_by_cached_key(|name, _| ranks.get_index_of(name.as_str()));
        }
    }
    combinations.sort_by_cached_key(|combination| {
        let rank = |((name, ranks), used): ((&&str, &HashMap<String, usize>), &mut Vec<bool>)| {
            // Of a stage whose nodes differ in their axes, those that lack one come last.
            let rank = combination.axes.get(*name).and_then(|value| ranks.get(&value.to_string())).copied();
            if let Some(used) = rank.and_then(|rank| used.get_mut(rank)) {
                *used = true;
            }
            rank.unwrap_or(usize::MAX)
        };
        ranks.iter().zip(&mut used).map(rank).collect::<Vec<_>>()
    });
    used
}

struct Join<'a, 'b> {
    stage: &'a StageInfo<'a>,
    lookup: &'a mut Lookup<'b>,
    report: &'a mut Report,
    inherited: IndexMap<String, Inherited>,
}

/// What the combinations of a stage come to.
#[derive(Default)]
struct Load {
    edges: usize,
    bytes: usize,
}

/// The nodes that a reference found, by the values of the axes that it shares with the combinations.
struct Buckets {
    shared: Vec<String>,
    found: HashMap<String, Vec<usize>>,
}

/// What a reference found for a combination: it is the same for the next one, unless the reference names an axis or the
/// combination has other axes.
struct Meeting {
    axes: Vec<String>,
    members: Rc<Members>,
    buckets: Rc<Buckets>,
}

impl Join<'_, '_> {
    /// One reference: every combination meets every node that agrees with it.
    fn plain(&mut self, input: &str, item: &Item, combinations: Vec<Combination>) -> Option<Vec<Combination>> {
        let mut seen = IndexMap::new();
        let mut buckets: HashMap<(String, Vec<String>), Rc<Buckets>> = HashMap::new();
        let mut joined = Vec::with_capacity(combinations.len());
        let mut load = Load::default();
        let (mut last, is_constant) = (None::<Meeting>, matches!(item.raw, Raw::String(_)));
        let mut key = String::new();
        for combination in combinations {
            let is_alike = |last: &Meeting| is_constant && last.axes.iter().eq(combination.axes.keys());
            if !last.as_ref().is_some_and(is_alike) {
                let (text, members) = self.members(item, &combination)?;
                let shared = shared_axes(&members, &combination);
                let buckets = buckets.entry((text, shared.clone())).or_insert_with(|| {
                    note_values(&members, self.lookup.nodes, &mut seen);
                    Rc::new(Buckets::new(&members, self.lookup.nodes, shared))
                });
                let (axes, buckets) = (combination.axes.keys().cloned().collect(), buckets.clone());
                last = Some(Meeting { axes, members, buckets });
            }
            let Some(Meeting { members, buckets, .. }) = &last else { continue };
            let bucket = buckets.of(&combination, &mut key);
            self.compare(bucket.len(), &item.place)?;
            let mut whole = Some(combination);
            for (place, &index) in bucket.iter().enumerate() {
                let found = &members.found[index];
                let is_last = place + 1 == bucket.len();
                // The last one has the combination itself.
                let Some(mut next) = (if is_last { whole.take() } else { whole.clone() }) else { continue };
                if let Some(node) = found.node(self.lookup.nodes) {
                    let free = || node.axes.iter().filter(|(name, _)| !members.fixed.contains(*name));
                    if free().any(|(name, value)| next.axes.get(name).is_some_and(|have| have != value)) {
                        continue;
                    }
                    for (name, value) in free() {
                        if !next.axes.contains_key(name) {
                            next.axes.insert(name.clone(), value.clone());
                        }
                    }
                }
                push_link(&mut next, Link::new(found, item, &[]));
                self.carry(&mut load, &next)?;
                joined.push(next);
                self.within_limit(joined.len())?;
            }
        }
        self.inherit(input, &item.place, seen);
        Some(joined)
    }

    /// A gather: the axes in `each` are joined, all other axes of the members are collected.
    fn gather(&mut self, input: &str, gather: &Gather, combinations: Vec<Combination>) -> Option<Vec<Combination>> {
        let over: Vec<String> = gather.over.iter().map(|(name, _)| name.clone()).collect();
        let each: Vec<&str> = gather.each.iter().map(|(name, _)| name.as_str()).collect();
        let mut seen = IndexMap::new();
        let mut joined = Vec::new();
        let mut load = Load::default();
        for combination in combinations {
            let mut members = Vec::new();
            for item in &gather.members {
                let (text, found) = self.members(item, &combination)?;
                let any_output = Target::parse(&text).is_ok_and(|target| !target.names_output());
                self.compare(found.found.len(), &gather.place)?;
                members.extend(found.found.iter().map(|found| ((item, any_output), found.clone())));
            }
            let nodes = self.lookup.nodes;
            let axes_of = |found: &Found| found.node(nodes).map(|node| &node.axes);
            for (name, place) in gather.over.iter().chain(&gather.each) {
                if !members.iter().any(|(_, found)| axes_of(found).is_some_and(|axes| axes.contains_key(name))) {
                    let known = members.iter().filter_map(|(_, found)| axes_of(found)).flat_map(IndexMap::keys);
                    let fault = unknown_axis("none of the gathered stages", name, known.map(String::as_str));
                    self.report.push(Diagnostic::at(place, fault));
                    return None;
                }
            }
            let agrees = |found: &Found, axes: &IndexMap<String, Value>| {
                let differs = |name: &&str| match (axes_of(found).and_then(|axes| axes.get(*name)), axes.get(*name)) {
                    (Some(left), Some(right)) => left != right,
                    _ => false,
                };
                !each.iter().any(differs)
            };
            let mut open = vec![combination];
            for name in &each {
                let mut next = Vec::new();
                for combination in open {
                    self.compare(members.len(), &gather.place)?;
                    let agreeing = members.iter().filter(|(_, found)| agrees(found, &combination.axes));
                    let mut values = IndexMap::new();
                    for value in agreeing.filter_map(|(_, found)| axes_of(found)?.get(*name)) {
                        values.entry(value.to_string()).or_insert(value);
                    }
                    seen.entry(name.to_string())
                        .or_insert_with(IndexMap::new)
                        .extend(values.iter().map(|(text, value)| (text.clone(), (*value).clone())));
                    for value in values.into_values() {
                        let mut with = combination.clone();
                        with.axes.insert(name.to_string(), value.clone());
                        next.push(with);
                    }
                    self.within_limit(next.len())?;
                }
                open = next;
            }
            for mut combination in open {
                self.compare(members.len(), &gather.place)?;
                let agreeing = members.iter().filter(|(_, found)| agrees(found, &combination.axes));
                let agreeing: Vec<_> = agreeing.cloned().collect();
                for ((item, any_output), found) in &agreeing {
                    push_link(&mut combination, Link { any_output: *any_output, ..Link::new(found, item, &over) });
                }
                self.carry(&mut load, &combination)?;
                joined.push(combination);
                self.within_limit(joined.len())?;
            }
        }
        self.inherit(input, &gather.place, seen);
        Some(joined)
    }

    fn members(&mut self, item: &Item, combination: &Combination) -> Option<(String, Rc<Members>)> {
        match fill_text(item, &|name| combination.axes.get(name)) {
            Ok(text) => {
                let members = self.lookup.members(item, &text, self.report)?;
                Some((text, members))
            }
            Err(Some((name, place))) => {
                let known = combination.axes.keys().map(String::as_str);
                let fault = unknown_axis(&format!("stage {:?}", self.stage.name), &name, known);
                let help = "an input can refer to the stage's own axes and to those of the inputs before it";
                self.report.push(Diagnostic::at(&place, fault).help(help));
                None
            }
            Err(None) => None,
        }
    }

    fn within_limit(&mut self, count: usize) -> Option<()> {
        if self.lookup.nodes.len() + count <= MAX_NODES {
            return Some(());
        }
        let message = format!("with stage {:?} the pipeline has more than {MAX_NODES} nodes", self.stage.name);
        self.report.push(Diagnostic::at(&self.stage.table.key, message));
        None
    }

    /// Counts the edges and the bytes of a combination; none, with a report, when they become too many.
    fn carry(&mut self, load: &mut Load, combination: &Combination) -> Option<()> {
        load.edges += combination.inputs.iter().map(Vec::len).sum::<usize>();
        load.bytes += size::bytes(&combination.axes);
        let message = if self.lookup.edges + load.edges > MAX_EDGES {
            format!("with stage {:?} the pipeline has more than {MAX_EDGES} edges", self.stage.name)
        } else if load.bytes > MAX_BYTES {
            format!("the axes of stage {:?} have more than {MAX_BYTES} bytes", self.stage.name)
        } else {
            return Some(());
        };
        self.report.push(Diagnostic::at(&self.stage.table.key, message));
        None
    }

    /// Counts comparisons of combinations with nodes; none, with a report, when they become too many.
    fn compare(&mut self, pairs: usize, place: &Place) -> Option<()> {
        self.lookup.pairs = self.lookup.pairs.saturating_add(pairs);
        if self.lookup.pairs <= MAX_PAIRS {
            return Some(());
        }
        self.report.push(Diagnostic::at(place, format!("this compares more than {MAX_PAIRS} pairs of nodes")));
        None
    }

    /// Notes the axes that an input brings; two inputs have to agree on the values.
    fn inherit(&mut self, input: &str, place: &Place, seen: IndexMap<String, IndexMap<String, Value>>) {
        for (name, values) in seen {
            let values: Vec<Value> = values.into_values().collect();
            let Some(known) = self.inherited.get(&name) else {
                self.inherited.insert(name, Inherited { values, input: input.to_string() });
                continue;
            };
            if known.values.len() == values.len() && values.iter().all(|value| known.values.contains(value)) {
                continue;
            }
            let texts = |values: &[Value]| shortened(&values.iter().map(value_text).collect::<Vec<_>>());
            let message = format!(
                "axis {name:?} has the values {} in input {input:?}, but {} in input {:?}",
                texts(&values),
                texts(&known.values),
                known.input
            );
            let help = format!("give both inputs the same values, or fix one of them: \"stage[{name}=…]\"");
            self.report.push(Diagnostic::at(place, message).help(help));
        }
    }

    /// An own axis with the name of an inherited one may only leave values out.
    fn restricted(&mut self, own: &Axes) {
        for (name, axis) in own {
            let Some(inherited) = self.inherited.get(name) else { continue };
            for (value, place) in axis.values.iter().filter(|(value, _)| !inherited.values.contains(value)) {
                let text = matrix::unknown_value(name, &value_text(value), &inherited.values);
                let help =
                    format!("input {:?} brings this axis along; the matrix can only leave values out", inherited.input);
                self.report.push(Diagnostic::at(place, text).help(help));
            }
        }
    }
}

impl Buckets {
    fn new(members: &Members, nodes: &[Node], shared: Vec<String>) -> Self {
        let mut found: HashMap<String, Vec<usize>> = HashMap::with_capacity(members.found.len());
        for (index, member) in members.found.iter().enumerate() {
            let mut key = String::new();
            member.node(nodes).iter().for_each(|node| write_key(&mut key, &shared, &node.axes));
            found.entry(key).or_default().push(index);
        }
        Buckets { shared, found }
    }

    /// What agrees with a combination; `key` is room for its key.
    fn of(&self, combination: &Combination, key: &mut String) -> &[usize] {
        key.clear();
        write_key(key, &self.shared, &combination.axes);
        self.found.get(key.as_str()).map_or(&[], Vec::as_slice)
    }
}

/// Adds the values of these axes, each with its end, which is in no value's text.
fn write_key(key: &mut String, names: &[String], axes: &IndexMap<String, Value>) {
    for value in names.iter().filter_map(|name| axes.get(name)) {
        // Writing to a text cannot fail.
        let _ = write!(key, "{value}\0");
    }
}

/// The axes that all found nodes and the combination have.
fn shared_axes(members: &Members, combination: &Combination) -> Vec<String> {
    members.common.iter().filter(|name| combination.axes.contains_key(*name)).cloned().collect()
}

/// Adds the values of the free axes of the found nodes.
fn note_values(members: &Members, nodes: &[Node], seen: &mut IndexMap<String, IndexMap<String, Value>>) {
    for node in members.found.iter().filter_map(|found| found.node(nodes)) {
        for (name, value) in node.axes.iter().filter(|(name, _)| !members.fixed.contains(*name)) {
            seen.entry(name.clone()).or_default().entry(value.to_string()).or_insert_with(|| value.clone());
        }
    }
}

fn push_link(combination: &mut Combination, link: Link) {
    if let Some(links) = combination.inputs.last_mut() {
        links.push(link);
    }
}

impl Link {
    /// What a reference found.
    pub fn new(found: &Found, item: &Item, over: &[String]) -> Self {
        let edge = Edge { from: found.from.clone(), over: over.to_vec() };
        Link { edge, artifact: found.artifact, place: item.place.clone(), any_output: false }
    }
}

impl Found {
    /// The node behind it; none for a file from outside.
    fn node<'n>(&self, nodes: &'n [Node]) -> Option<&'n Node> {
        match &self.from {
            Endpoint::Node { node, .. } => nodes.get(node.index()),
            Endpoint::Source { .. } => None,
        }
    }
}
