//! One stage becomes its nodes. Everything that can be said about the stage is said here, even when what it reads is at
//! fault and its nodes cannot be made.

use super::info::StageInfo;
use super::join::{self, Combination, Joined, Link};
use super::lookup::{Expanded, Lookup, Stages};
use super::matrix::{Axes, MAX_NODES, unknown_axis};
use super::params::Params;
use super::reference::{self, axes_in, fill_text, part_of, stages_named};
use super::size::{self, MAX_BYTES, Size};
use super::{by_axis, connect};
use crate::address::address;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Report, did_you_mean};
use crate::manifest::SourceTable;
use crate::manifest::document::{Item, Raw};
use crate::pipeline::{Edge, Node, NodeId};
use ddpipe_interface::{Declaration, Value};
use indexmap::{IndexMap, IndexSet};
use std::collections::HashMap;
use std::sync::Arc;

/// What is known when a stage is expanded: the kinds, the sources, and the stages before it.
pub struct Context<'a> {
    /// The known kinds.
    pub catalog: &'a Catalog,
    /// The declared sources.
    pub sources: &'a IndexMap<String, SourceTable>,
    /// The stages so far.
    pub stages: &'a Stages,
    /// The nodes so far; those of the stage are added.
    pub nodes: &'a mut Vec<Node>,
    /// The sources that were asked for.
    pub used: &'a mut IndexSet<String>,
    /// What the nodes so far come to; those of the stage are added.
    pub size: &'a mut Size,
    /// The pipeline's seed.
    pub seed: u64,
}

/// The kinds of a stage's combinations.
#[derive(Default)]
struct Kinds {
    known: IndexMap<String, Arc<Declaration>>,
    /// Whether some could not be worked out.
    open: bool,
}

impl Context<'_> {
    /// Makes the nodes of a stage; none when that is not possible because of faults that were reported.
    pub fn expand(&mut self, info: &StageInfo<'_>, cyclic: bool, report: &mut Report) -> Option<Expanded> {
        let none = Axes::new();
        let own = info.own.as_ref().unwrap_or(&none);
        let reachable = self.references(info, report) && info.own.is_some() && !cyclic;
        let joined = if reachable { self.join(info, own, report) } else { None };
        let lenient = joined.is_none();
        let joined = joined.unwrap_or_else(|| Joined {
            combinations: self.some_combinations(own),
            axes: IndexMap::new(),
            inherited: Vec::new(),
        });
        let kinds = self.kinds(info, &joined.combinations, lenient, report);
        let declarations: Vec<&Declaration> = kinds.known.values().map(Arc::as_ref).collect();
        let uncertain = kinds.open || info.own.is_none();
        if !declarations.is_empty() {
            connect::check_names(info, &declarations, uncertain, report);
        }
        let setting = self.use_of_axes(info, own, &declarations, &joined.inherited, lenient || kinds.open, report);
        let mut params = Params::new(info, own, setting);
        if !declarations.is_empty() {
            params.check_names(&declarations, uncertain, report);
        }
        if lenient {
            self.probe(info, &declarations, report);
        }
        let first = self.nodes.len();
        for combination in joined.combinations {
            let kind = info
                .table
                .kind
                .as_ref()
                .and_then(|kind| kinds.known.get(&fill_text(kind, &|axis| combination.axes.get(axis)).ok()?));
            let Some(kind) = kind else { continue };
            let values = params.values(kind, &combination.axes, lenient, report);
            if lenient {
                continue;
            }
            self.size.bytes += size::bytes(&combination.axes) + size::bytes(&values);
            self.size.edges += combination.inputs.iter().map(Vec::len).sum::<usize>();
            if self.size.bytes > MAX_BYTES {
                let message = format!(
                    "with stage {:?} the axes and parameters of all nodes have more than {MAX_BYTES} bytes",
                    info.name
                );
                report.push(Diagnostic::at(&info.table.key, message));
                return None;
            }
            self.node(info, kind, combination, values, report);
        }
        (!lenient && !kinds.open).then_some(Expanded { nodes: first..self.nodes.len(), axes: joined.axes })
    }

    /// Combinations of a stage that has no nodes, for checking its parameters; not all, where that would take long.
    fn some_combinations(&mut self, own: &Axes) -> Vec<Combination> {
        let mut combinations = join::own_combinations(own);
        combinations.truncate(MAX_NODES - self.size.probed);
        self.size.probed += combinations.len();
        combinations
    }

    /// Whether all stages that this one reads are there. Reports those that are not known.
    fn references(&self, info: &StageInfo<'_>, report: &mut Report) -> bool {
        let none = Axes::new();
        let mut whole = info.inputs.values().all(Option::is_some);
        for item in info.inputs.values().flatten().flat_map(reference::Input::references) {
            if info.own.is_none() && matches!(item.raw, Raw::Template(_)) {
                continue;
            }
            match stages_named(item, info.own.as_ref().unwrap_or(&none)) {
                Err(fault) => {
                    report.push(*fault);
                    whole = false;
                }
                Ok(names) => {
                    for name in names {
                        whole &= matches!(self.stages.get(&name), Some(Some(_)));
                        if !self.stages.contains_key(&name) && is_name(&name) {
                            report.push(self.unknown_stage(item, &name));
                        }
                    }
                }
            }
        }
        whole
    }

    fn unknown_stage(&self, item: &Item, name: &str) -> Diagnostic {
        let place = match &item.raw {
            Raw::String(text) => part_of(item, text, 0..name.len()),
            _ => item.place.clone(),
        };
        let near = did_you_mean(name, self.stages.keys().map(String::as_str));
        let fault = Diagnostic::at(&place, format!("stage {name:?} is not known{near}"));
        if self.sources.contains_key(name) {
            return fault.help(format!("{name:?} is a source: a file of it is written \"source:{name}/FILE\""));
        }
        fault
    }

    fn join(&mut self, info: &StageInfo<'_>, own: &Axes, report: &mut Report) -> Option<Joined> {
        join::join(info, own, &mut self.lookup(), report)
    }

    fn lookup(&mut self) -> Lookup<'_> {
        Lookup {
            catalog: self.catalog,
            sources: self.sources,
            stages: self.stages,
            nodes: self.nodes,
            used: self.used,
            edges: self.size.edges,
            pairs: 0,
            known: HashMap::new(),
        }
    }

    /// Checks what can be checked of the inputs of a stage that has no nodes: each reference for itself.
    fn probe(&mut self, info: &StageInfo<'_>, kinds: &[&Declaration], report: &mut Report) {
        let catalog = self.catalog;
        for (name, input) in &info.inputs {
            for item in input.iter().flat_map(reference::Input::references) {
                let Raw::String(text) = &item.raw else { continue };
                let mut lookup = self.lookup();
                let (Some(members), nodes) = (lookup.members(item, text, report), lookup.nodes) else { continue };
                // With several kinds it is open which of them meets which node.
                if let [kind] = kinds {
                    let gathered = matches!(input, Some(reference::Input::Gather(_)));
                    let any_output = gathered && reference::Target::parse(text).is_ok_and(|it| !it.names_output());
                    for found in &members.found {
                        let link = Link { any_output, ..Link::new(found, item, &[]) };
                        let link = connect::chosen(kind, name, link, nodes, catalog);
                        connect::check_type(kind, name, &link, nodes, catalog, report);
                    }
                }
            }
        }
    }

    /// The kinds of all combinations. Reports those that are not known.
    fn kinds(&self, info: &StageInfo<'_>, combinations: &[Combination], lenient: bool, report: &mut Report) -> Kinds {
        let mut kinds = Kinds { open: info.own.is_none(), ..Kinds::default() };
        let Some(kind) = &info.table.kind else { return Kinds { open: true, ..kinds } };
        for combination in combinations {
            let name = match fill_text(kind, &|axis| combination.axes.get(axis)) {
                Ok(name) => name,
                Err(missing) => {
                    kinds.open = true;
                    if let Some((axis, place)) = missing.filter(|_| !lenient) {
                        let known = combination.axes.keys().map(String::as_str);
                        let fault = unknown_axis(&format!("stage {:?}", info.name), &axis, known);
                        report.push_once(Diagnostic::at(&place, fault));
                    }
                    continue;
                }
            };
            if kinds.known.contains_key(&name) {
                continue;
            }
            match self.catalog.get(&name) {
                Some(known) => {
                    kinds.known.insert(name, known.declaration.clone());
                }
                None => {
                    kinds.open = true;
                    let near = did_you_mean(&name, self.catalog.names());
                    let fault = kind.fault(format!("kind {name:?} is not known{near}"));
                    let fault = if near.is_empty() { fault.help("`ddpipe stages` lists the kinds") } else { fault };
                    report.push_once(fault);
                }
            }
        }
        kinds
    }

    /// The own axes that set a parameter. Reports axes that do nothing, unless `open`: then something is not known.
    fn use_of_axes<'o>(
        &self,
        info: &StageInfo<'_>,
        own: &'o Axes,
        kinds: &[&Declaration],
        inherited: &[String],
        open: bool,
        report: &mut Report,
    ) -> Vec<&'o str> {
        let mut referred = Vec::new();
        let written = info.table.inputs.values().chain(info.table.params.values()).map(|entry| &entry.item);
        for item in written.chain(&info.table.kind).chain(&info.table.seed) {
            axes_in(item, &mut referred);
        }
        let mut choosing = Vec::new();
        info.table.params.values().for_each(|entry| by_axis::choosing(&entry.item, &mut choosing));
        let mut setting = Vec::new();
        for (name, axis) in own.iter().filter(|(name, _)| !referred.contains(name)) {
            if kinds.iter().any(|kind| kind.params.contains_key(name)) {
                setting.push(name.as_str());
            } else if name == "seed" {
                if let Some(seed) = &info.table.seed {
                    let fault = Diagnostic::at(&seed.place, "the seed is given twice: here and by the axis \"seed\"");
                    report.push(fault.and(&axis.key, "the axis"));
                }
            } else if !inherited.contains(name) && !choosing.contains(name) && !open {
                let known = kinds.iter().flat_map(|kind| kind.params.keys().map(String::as_str));
                let near = did_you_mean(name, known.chain(["seed"]));
                let fault = Diagnostic::at(&axis.key, format!("axis {name:?} does nothing{near}"));
                report.push(fault.help(format!("an axis sets the parameter of its name, or is used as ${{{name}}}")));
            }
        }
        setting
    }

    fn node(
        &mut self,
        info: &StageInfo<'_>,
        kind: &Declaration,
        combination: Combination,
        params: Arc<IndexMap<String, Value>>,
        report: &mut Report,
    ) {
        let seed = self.seed_of(info, &combination, report);
        let mut inputs: IndexMap<String, Vec<Edge>> = IndexMap::new();
        for (name, links) in info.inputs.keys().zip(combination.inputs) {
            if kind.inputs.contains_key(name) {
                let links: Vec<Link> =
                    links.into_iter().map(|link| connect::chosen(kind, name, link, self.nodes, self.catalog)).collect();
                links.iter().for_each(|link| connect::check_type(kind, name, link, self.nodes, self.catalog, report));
                inputs.insert(name.clone(), links.into_iter().map(|link| link.edge).collect());
            }
        }
        inputs.sort_by_cached_key(|name, _| kind.inputs.get_index_of(name));
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        let (stage, kind) = (info.name.to_string(), kind.name.clone());
        let limits = info.table.limits.clone();
        let address = address(&stage, &combination.axes);
        let axes = combination.axes;
        self.nodes.push(Node { id, stage, axes, address, kind, params, seed, inputs, limits });
    }

    /// The stage's own seed, else that of the axis, else the pipeline's.
    fn seed_of(&self, info: &StageInfo<'_>, combination: &Combination, report: &mut Report) -> u64 {
        let Some(item) = &info.table.seed else {
            return match combination.axes.get("seed") {
                Some(Value::Integer(seed)) => seed.unsigned_abs(),
                _ => self.seed,
            };
        };
        match reference::fill(item, &|axis| combination.axes.get(axis)) {
            Ok(Value::Integer(seed)) if seed >= 0 => return seed.unsigned_abs(),
            Ok(other) => {
                let message = format!("a seed is a whole number from 0; found {}", other.describe());
                report.push_once(item.fault(message));
            }
            Err(Some((axis, place))) => {
                let known = combination.axes.keys().map(String::as_str);
                let fault = unknown_axis(&format!("stage {:?}", info.name), &axis, known);
                report.push_once(Diagnostic::at(&place, fault));
            }
            Err(None) if matches!(item.raw, Raw::Table(_)) => {
                report.push_once(item.fault("a seed is a whole number from 0; found a table"));
            }
            Err(None) => {}
        }
        self.seed
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(crate::address::is_name_letter)
}
