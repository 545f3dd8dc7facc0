//! What a text such as `evaluate[method=dm].accuracy` names: nodes and a metric that each of them has. Expectations and
//! published figures are written so.

use super::lookup::{Stages, selector_faults};
use super::names::no_metric;
use super::reference::part_of;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Place, did_you_mean};
use crate::manifest::document::{Item, Raw};
use crate::pipeline::Node;
use crate::selector::Selector;

/// The stages and nodes that names are looked up among.
#[derive(Clone, Copy)]
pub struct Among<'a> {
    pub stages: &'a Stages,
    pub nodes: &'a [Node],
    pub catalog: &'a Catalog,
}

/// Nodes and a metric.
pub struct Named<'a> {
    /// The nodes' selector.
    pub selector: Selector,
    /// The metric's name.
    pub name: String,
    /// The nodes, at least one.
    pub nodes: Vec<&'a Node>,
}

/// Why a text names nothing.
pub enum Unnamed {
    /// It is at fault.
    Fault(Vec<Diagnostic>),
    /// Stage and axes are there; the values that it names are not.
    NoNode(Vec<Diagnostic>),
    /// A stage that it names is at fault, which was reported.
    Reported,
}

/// What the text at this place names.
pub fn named<'a>(text: &str, place: &Place, among: Among<'a>) -> Result<Named<'a>, Unnamed> {
    let fault = |diagnostic: Diagnostic| Unnamed::Fault(vec![diagnostic]);
    let item = Item::new(place.clone(), Raw::String(text.to_string()));
    let (selector, used) = Selector::parse_prefix(text).map_err(|error| {
        let place = part_of(&item, text, error.range.clone());
        fault(Diagnostic::at(&place, format!("{text:?} is not a metric: {}", error.message)))
    })?;
    let Some(name) = text.get(used..).and_then(|rest| rest.strip_prefix('.')).filter(|name| !name.is_empty()) else {
        let missing = Diagnostic::at(place, format!("{text:?} names no metric: .NAME is missing after the node"));
        return Err(fault(missing.help("for example: evaluate[method=dm].accuracy")));
    };
    let matching: Vec<_> = among.stages.iter().filter(|(stage, _)| selector.matches_stage(stage)).collect();
    if matching.is_empty() {
        let near = did_you_mean(&selector.stage, among.stages.keys().map(String::as_str));
        let place = part_of(&item, text, 0..selector.stage.len());
        return Err(fault(Diagnostic::at(&place, format!("stage {:?} is not known{near}", selector.stage))));
    }
    let expanded: Option<Vec<_>> = matching.into_iter().map(|(_, stage)| stage.as_ref()).collect();
    let expanded = expanded.ok_or(Unnamed::Reported)?;
    let faults: Vec<_> = expanded.iter().map(|stage| selector_faults(&selector, &stage.axes)).collect();
    if !faults.iter().any(Vec::is_empty) {
        let faults = faults.into_iter().flatten().map(|fault| Diagnostic::at(place, fault)).collect();
        let has_axes = expanded.iter().any(|stage| selector.axes.keys().all(|axis| stage.axes.contains_key(axis)));
        return Err(if has_axes { Unnamed::NoNode(faults) } else { Unnamed::Fault(faults) });
    }
    let nodes: Vec<&Node> = among.nodes.iter().filter(|node| node.matches(&selector)).collect();
    if nodes.is_empty() {
        return Err(Unnamed::NoNode(vec![Diagnostic::at(place, format!("no node matches {selector}"))]));
    }
    if let Some((what, help)) = no_metric(&nodes, name, among.catalog) {
        let place = part_of(&item, text, text.len() - name.len()..text.len());
        return Err(fault(Diagnostic::at(&place, what).help(help)));
    }
    let name = name.to_string();
    Ok(Named { selector, name, nodes })
}
