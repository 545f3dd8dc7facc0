//! The expectations: which nodes each of them speaks of, and whether these have the metric.

use super::metric::{Among, Named, Unnamed, named};
use crate::diagnostic::{Diagnostic, Place, Report};
use crate::manifest::ExpectTable;
use crate::pipeline::Expectation;
use crate::published::{Published, Sure};
use ddpipe_interface::metric::Better;

/// Checks all expectations against the expanded stages.
pub fn resolve(
    tables: &[ExpectTable],
    published: &[Published],
    among: Among<'_>,
    report: &mut Report,
) -> Vec<Expectation> {
    tables.iter().filter_map(|table| expectation(table, published, among, report)).collect()
}

fn expectation(
    table: &ExpectTable,
    published: &[Published],
    among: Among<'_>,
    report: &mut Report,
) -> Option<Expectation> {
    let (text, place) = &table.metric;
    let named = match named(text, place, among) {
        Ok(named) => named,
        Err(Unnamed::Fault(faults) | Unnamed::NoNode(faults)) => {
            report.diagnostics.extend(faults);
            return None;
        }
        Err(Unnamed::Reported) => return None,
    };
    let (at_least, at_most) = match &table.under_published {
        None => (table.at_least, table.at_most),
        Some((under, place)) => bound(*under, place, &named, published, among, report)?,
    };
    Some(Expectation {
        metric: text.clone(),
        name: named.name,
        at_least,
        at_most,
        equals: table.equals,
        within: table.within.unwrap_or(0.0),
        mean: table.mean,
        node: named.selector,
        place: Place::clone(place),
    })
}

/// The bounds that a published figure makes: the value may fall short of the surest one of the same nodes by so much.
fn bound(
    under: f64,
    place: &Place,
    named: &Named<'_>,
    published: &[Published],
    among: Among<'_>,
    report: &mut Report,
) -> Option<(Option<f64>, Option<f64>)> {
    let nodes: Vec<_> = named.nodes.iter().map(|node| node.id).collect();
    let of_cell = |it: &&Published| it.name == named.name && it.cells.len() == 1 && it.cells.concat() == nodes;
    let rank =
        |it: &&Published| [Sure::Read, Sure::Computed].iter().position(|sure| *sure == it.figure.sure).unwrap_or(2);
    let figures = published.iter().filter(of_cell).filter(|it| it.figure.value.is_some());
    let Some(value) = figures.min_by_key(rank).and_then(|it| it.figure.value) else {
        let fault = Diagnostic::at(place, "no figure with a value is published for exactly these nodes");
        report.push(fault.help("add it as [[published]], or state at_least"));
        return None;
    };
    let node = named.nodes.first()?;
    let better = among.catalog.declaration(&node.kind).and_then(|kind| kind.metric(&named.name, &node.params)?.better);
    // Without the last digits of a difference that no decimal number has.
    let rounded = |value: f64| (value * 1e12).round() / 1e12;
    match better {
        Some(Better::Higher) => Some((Some(rounded(value - under)), None)),
        Some(Better::Lower) => Some((None, Some(rounded(value + under)))),
        None => {
            let what = format!("the kind {} does not declare which values of {} are better", node.kind, named.name);
            report.push(Diagnostic::at(place, what).help("state at_least or at_most"));
            None
        }
    }
}
