//! The published figures: which cells each of them speaks of. A figure with a value belongs to one cell. What a profile or
//! an override leaves out of the pipeline is passed over; the manifest as written has to have it.

use super::matrix::unknown_axis;
use super::metric::{Among, Named, Unnamed, named};
use crate::diagnostic::{Diagnostic, Place, Report, did_you_mean};
use crate::manifest::PublishedTable;
use crate::published::{Published, cells};
use indexmap::{IndexMap, IndexSet};

/// The figures of a pipeline.
#[derive(Default)]
pub struct Figures {
    /// Those of cells that it has.
    pub published: Vec<Published>,
    /// Where those are named whose cells it does not have, while something is laid over the manifest.
    pub passed_over: Vec<Place>,
}

/// Looks all figures up among the expanded stages. `overridden` says that something is laid over the manifest.
pub fn resolve(tables: &[PublishedTable], among: Among<'_>, overridden: bool, report: &mut Report) -> Figures {
    let mut figures = Figures::default();
    let mut stated: IndexMap<(&str, &str), &Place> = IndexMap::new();
    for table in tables {
        let (text, place) = &table.metric;
        if let Some(first) = stated.insert((text, &table.figure.source), place) {
            let fault = Diagnostic::at(place, format!("{text:?} has two figures of the same source"));
            report.push(
                fault.and(first, "the other one").help("keep one of them, or say in `source` in what they differ"),
            );
        }
        match named(text, place, among) {
            Ok(named) => figures.published.extend(published(table, &named, among, report)),
            Err(Unnamed::NoNode(_)) if overridden => figures.passed_over.push(place.clone()),
            Err(Unnamed::Fault(faults) | Unnamed::NoNode(faults)) => report.diagnostics.extend(faults),
            Err(Unnamed::Reported) => {}
        }
    }
    figures
}

fn published(table: &PublishedTable, named: &Named<'_>, among: Among<'_>, report: &mut Report) -> Option<Published> {
    let (text, place) = &table.metric;
    let axes: IndexSet<&str> = named.nodes.iter().flat_map(|node| node.axes.keys().map(String::as_str)).collect();
    for (axis, at) in table.over.iter().filter(|_| table.given) {
        if !axes.contains(axis.as_str()) {
            let who = format!("stage {:?}", named.selector.stage);
            report.push(Diagnostic::at(at, unknown_axis(&who, axis, axes.iter().copied())));
            return None;
        }
    }
    let over: Vec<String> = table.over.iter().map(|(axis, _)| axis.clone()).collect();
    let cells = cells(&named.nodes, &over);
    if table.figure.value.is_some() && cells.len() > 1 {
        let differ = differing(named, &over);
        let count = cells.len();
        let fault =
            format!("{text:?} names {count} cells, which differ in {}; a figure belongs to one", differ.join(", "));
        let fixed = named.selector.axes.iter().map(|(axis, value)| format!("{axis}={value}"));
        let free = differ.iter().filter(|name| **name != "stage").map(|axis| format!("{axis}=…"));
        let all = fixed.chain(free).collect::<Vec<_>>().join(",");
        let stage = &named.selector.stage;
        let help = format!("fix the axis, as in {stage}[{all}], or name it in `over` where its values are repetitions");
        report.push(Diagnostic::at(place, fault).help(help));
        return None;
    }
    let kind = named.nodes.first().and_then(|node| Some((among.catalog.declaration(&node.kind)?, node)));
    let unit = kind.and_then(|(kind, node)| kind.metric(&named.name, &node.params)?.unit.clone());
    if let (Some(at), Some(value), Some("share")) = (&table.value, table.figure.value, unit.as_deref())
        && !(0.0..=1.0).contains(&value)
    {
        let fault = Diagnostic::at(at, format!("{} is a share, from 0 to 1, and {value} is not", named.name));
        let help =
            if value > 1.0 && value <= 100.0 { format!("{value} % is {}", percent(value)) } else { String::new() };
        report.push(if help.is_empty() { fault } else { fault.help(help) });
        return None;
    }
    if let (Some(at), Some(name), Some((kind, _))) = (&table.protocol, &table.figure.protocol, kind) {
        let choices = kind.params.values().filter(|param| !param.sets.is_empty()).flat_map(|param| &param.choices);
        let choices: Vec<&str> = choices.map(String::as_str).collect();
        if !choices.is_empty() && !choices.contains(&name.as_str()) {
            let near = did_you_mean(name, choices.iter().copied());
            let fault = Diagnostic::at(at, format!("{} has no protocol {name:?}{near}", kind.name));
            report.push(fault.help(format!("its protocols are {}", choices.join(", "))));
            return None;
        }
    }
    Some(Published {
        metric: text.clone(),
        node: named.selector.clone(),
        name: named.name.clone(),
        cells,
        over,
        within: table.within,
        figure: table.figure.clone(),
        place: place.clone(),
    })
}

/// A hundredth, with no more digits than it needs.
fn percent(value: f64) -> f64 {
    (value * 1e8).round() / 1e10
}

/// The axes in which these nodes differ, without those of `over`; `stage` where it is that.
fn differing<'a>(named: &Named<'a>, over: &[String]) -> Vec<&'a str> {
    let stages: IndexSet<&str> = named.nodes.iter().map(|node| node.stage.as_str()).collect();
    let axes: IndexSet<&str> = named.nodes.iter().flat_map(|node| node.axes.keys().map(String::as_str)).collect();
    let differs = |axis: &&str| {
        let mut values = named.nodes.iter().map(|node| node.axes.get(*axis));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let axes = axes.into_iter().filter(|axis| !over.iter().any(|name| name == axis)).filter(differs);
    (stages.len() > 1).then_some("stage").into_iter().chain(axes).collect()
}
