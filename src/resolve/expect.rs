//! The expectations: which nodes each of them speaks of, and whether these have the metric.

use super::lookup::{Stages, selector_faults};
use super::names::no_metric;
use super::reference::part_of;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Place, Report, did_you_mean};
use crate::manifest::ExpectTable;
use crate::manifest::document::{Item, Raw};
use crate::pipeline::{Expectation, Node};
use crate::selector::Selector;

/// Checks all expectations against the expanded stages.
pub fn resolve(
    tables: &[ExpectTable],
    stages: &Stages,
    nodes: &[Node],
    catalog: &Catalog,
    report: &mut Report,
) -> Vec<Expectation> {
    tables.iter().filter_map(|table| expectation(table, stages, nodes, catalog, report)).collect()
}

fn expectation(
    table: &ExpectTable,
    stages: &Stages,
    nodes: &[Node],
    catalog: &Catalog,
    report: &mut Report,
) -> Option<Expectation> {
    let (text, place) = &table.metric;
    let item = Item::new(place.clone(), Raw::String(text.clone()));
    let (selector, used) = match Selector::parse_prefix(text) {
        Ok(read) => read,
        Err(fault) => {
            let place = part_of(&item, text, fault.range.clone());
            report.push(Diagnostic::at(&place, format!("{text:?} is not a metric: {}", fault.message)));
            return None;
        }
    };
    let Some(name) = text[used..].strip_prefix('.').filter(|name| !name.is_empty()) else {
        let fault = Diagnostic::at(place, format!("{text:?} names no metric: .NAME is missing after the node"));
        report.push(fault.help("for example: evaluate[method=dm].accuracy"));
        return None;
    };
    let matching: Vec<_> = stages.iter().filter(|(stage, _)| selector.matches_stage(stage)).collect();
    if matching.is_empty() {
        let near = did_you_mean(&selector.stage, stages.keys().map(String::as_str));
        let place = part_of(&item, text, 0..selector.stage.len());
        report.push(Diagnostic::at(&place, format!("stage {:?} is not known{near}", selector.stage)));
        return None;
    }
    let expanded: Option<Vec<_>> = matching.into_iter().map(|(_, stage)| stage.as_ref()).collect();
    let faults: Vec<_> = expanded?.into_iter().map(|stage| selector_faults(&selector, &stage.axes)).collect();
    if !faults.iter().any(Vec::is_empty) {
        report.diagnostics.extend(faults.into_iter().flatten().map(|fault| Diagnostic::at(place, fault)));
        return None;
    }
    let matching: Vec<&Node> = nodes.iter().filter(|node| node.matches(&selector)).collect();
    if matching.is_empty() {
        report.push(Diagnostic::at(place, format!("no node matches {selector}")));
        return None;
    }
    if let Some((what, help)) = no_metric(&matching, name, catalog) {
        let place = part_of(&item, text, text.len() - name.len()..text.len());
        report.push(Diagnostic::at(&place, what).help(help));
        return None;
    }
    Some(Expectation {
        metric: text.clone(),
        name: name.to_string(),
        at_least: table.at_least,
        at_most: table.at_most,
        equals: table.equals,
        within: table.within.unwrap_or(0.0),
        mean: table.mean,
        node: selector,
        place: Place::clone(place),
    })
}
