//! Finds what a reference names among the nodes that are already expanded and the sources, and says what is wrong with
//! a name. Answers are remembered by the text of the reference.

use super::matrix::{unknown_axis, unknown_value};
use super::reference::{Target, part_of};
use super::size::MAX_PAIRS;
use crate::address::value_matches;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Report, did_you_mean};
use crate::manifest::SourceTable;
use crate::manifest::document::Item;
use crate::pipeline::{Endpoint, Node, NodeId, names_folder};
use crate::selector::Selector;
use ddpipe_interface::{ArtifactType, Value};
use indexmap::{IndexMap, IndexSet};
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

/// A stage that has been expanded.
#[derive(Clone, Debug)]
pub struct Expanded {
    /// Its nodes.
    pub nodes: Range<usize>,
    /// Its axes and their values, in the order of addresses.
    pub axes: IndexMap<String, Vec<Value>>,
}

/// All stages by name; none for those that could not be expanded because of a fault that was reported.
pub type Stages = IndexMap<String, Option<Expanded>>;

/// One artifact that a reference found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The node's output or source file that was found.
    pub from: Endpoint,
    /// Its type.
    pub artifact: ArtifactType,
}

/// Everything that a reference found.
#[derive(Debug)]
pub struct Members {
    /// The artifacts, in the order of the nodes.
    pub found: Vec<Found>,
    /// The axes that the reference fixes; they are not inherited.
    pub fixed: Vec<String>,
    /// The free axes that all found nodes have.
    pub common: Vec<String>,
}

/// Looks references up.
pub struct Lookup<'a> {
    /// The known kinds.
    pub catalog: &'a Catalog,
    /// The declared sources.
    pub sources: &'a IndexMap<String, SourceTable>,
    /// The stages so far.
    pub stages: &'a Stages,
    /// The nodes so far.
    pub nodes: &'a [Node],
    /// The sources that were asked for.
    pub used: &'a mut IndexSet<String>,
    /// The edges of the nodes so far.
    pub edges: usize,
    /// How many nodes were compared with references so far.
    pub pairs: usize,
    /// Answers by place and text.
    pub known: HashMap<(usize, usize, String), Option<Rc<Members>>>,
}

impl Lookup<'_> {
    /// What the text of a reference names; none when it was at fault, which is reported once.
    pub fn members(&mut self, item: &Item, text: &str, report: &mut Report) -> Option<Rc<Members>> {
        let key = (Arc::as_ptr(&item.place.source).addr(), item.place.span.start, text.to_string());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let members = match Target::parse(text) {
            Ok(Target::Source { source, file }) => self.source(item, text, &source, &file, report),
            Ok(Target::Stage { selector, output }) => self.stage(item, text, &selector, output.as_deref(), report),
            Err(fault) => {
                let place = part_of(item, text, fault.range.clone());
                report.push(Diagnostic::at(&place, format!("{text:?} is not a reference: {}", fault.message)));
                None
            }
        };
        let members = members.map(Rc::new);
        self.known.insert(key, members.clone());
        members
    }

    fn source(&mut self, item: &Item, text: &str, source: &str, file: &str, report: &mut Report) -> Option<Members> {
        let start = "source:".len();
        let Some(table) = self.sources.get(source) else {
            let near = did_you_mean(source, self.sources.keys().map(String::as_str));
            let place = part_of(item, text, start..start + source.len());
            report.push(Diagnostic::at(&place, format!("source {source:?} is not known{near}")));
            return None;
        };
        self.used.insert(source.to_string());
        if !table.files.contains_key(file) {
            let near = did_you_mean(file, table.files.keys().map(String::as_str));
            let place = part_of(item, text, start + source.len() + 1..text.len());
            let fault = Diagnostic::at(&place, format!("source {source:?} has no file {file:?}{near}"));
            report.push(fault.help(format!("files are declared one by one: [sources.{source}.files.{file:?}]")));
            return None;
        }
        let from = Endpoint::Source { source: source.into(), file: file.into() };
        let artifact = if names_folder(file) { ArtifactType::Folder } else { ArtifactType::Files };
        let found = vec![Found { from, artifact }];
        Some(Members { found, fixed: Vec::new(), common: Vec::new() })
    }

    fn stage(
        &mut self,
        item: &Item,
        text: &str,
        selector: &Selector,
        output: Option<&str>,
        report: &mut Report,
    ) -> Option<Members> {
        let stage = self.stages.get(&selector.stage)?.as_ref()?;
        let faults = selector_faults(selector, &stage.axes);
        if !faults.is_empty() {
            report.diagnostics.extend(faults.into_iter().map(|fault| item.fault(fault)));
            return None;
        }
        self.pairs = self.pairs.saturating_add(stage.nodes.len());
        if self.pairs > MAX_PAIRS {
            report.push(item.fault(format!("this compares more than {MAX_PAIRS} pairs of nodes")));
            return None;
        }
        let nodes: Vec<&Node> = self.nodes[stage.nodes.clone()].iter().filter(|node| node.matches(selector)).collect();
        if nodes.is_empty() {
            report.push(
                item.fault(format!(
                    "{:?} has no node {selector}: the stage leaves this combination out",
                    selector.stage
                )),
            );
            return None;
        }
        let mut found = Vec::new();
        for node in &nodes {
            let declaration = self.catalog.declaration(&node.kind)?;
            let made = match output {
                None => declaration.main_output(),
                Some(output) => declaration.outputs.get_key_value(output).map(|(name, output)| (name.as_str(), output)),
            };
            let Some((name, made)) = made else {
                let output = output.unwrap_or_default();
                let near = did_you_mean(output, declaration.outputs.keys().map(String::as_str));
                let place = part_of(item, text, text.len() - output.len()..text.len());
                let message = format!("stage {:?} ({}) has no output {output:?}{near}", selector.stage, node.kind);
                let names: Vec<_> = declaration.outputs.keys().map(String::as_str).collect();
                report.push(Diagnostic::at(&place, message).help(format!("its outputs are {}", names.join(", "))));
                return None;
            };
            let from = Endpoint::Node { node: NodeId(node.id.0), output: name.to_string() };
            found.push(Found { from, artifact: made.artifact });
        }
        let fixed: Vec<String> = selector.axes.keys().cloned().collect();
        let everywhere =
            |name: &&String| nodes.iter().all(|node| node.axes.contains_key(*name)) && !fixed.contains(name);
        let common = stage.axes.keys().filter(everywhere).cloned().collect();
        Some(Members { found, fixed, common })
    }
}

/// What a selector names that a stage with these axes does not have.
pub fn selector_faults(selector: &Selector, axes: &IndexMap<String, Vec<Value>>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, text) in &selector.axes {
        match axes.get(name) {
            None => {
                let known = axes.keys().map(String::as_str);
                faults.push(unknown_axis(&format!("stage {:?}", selector.stage), name, known));
            }
            Some(values) if !values.iter().any(|value| value_matches(value, text)) => {
                faults.push(unknown_value(name, text, values));
            }
            Some(_) => {}
        }
    }
    faults
}
