//! The results on record as rows of one table: where each comes from, the parameters in which they differ, its metrics; and
//! which of them are wanted, in which order, and which is the best. Functions of records; prints nothing.

mod condition;
mod row;

pub use condition::{Compared, Condition};
pub use row::{Cell, Row};

use crate::catalog::Catalog;
use crate::history::{Column, differing};
use crate::lineage::Lineage;
use ddpipe_cache::{Key, RunSeen};
use ddpipe_interface::metric::Better;
use indexmap::{IndexMap, IndexSet};
use std::cmp::Ordering;
use std::collections::HashMap;

/// All records that have results, the newest first. Parameters that a row leaves at their defaults are filled in where the
/// kind is known, so that rows can be compared.
pub fn rows(lineage: &Lineage, runs: &[RunSeen], catalog: &Catalog) -> Vec<Row> {
    let mut made_by: HashMap<Key, &RunSeen> = HashMap::new();
    for run in runs {
        for key in &run.reached {
            // The first run that reached it is the one that made it.
            made_by.entry(*key).or_insert(run);
        }
    }
    let with_results = lineage.records().filter(|record| !record.metrics.is_empty());
    let mut rows: Vec<Row> =
        with_results.map(|record| Row::of(record, lineage, made_by.get(&record.key).copied())).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.made));
    fill_in(&mut rows, catalog);
    rows
}

/// Puts defaults where some rows set a parameter and others do not.
fn fill_in(rows: &mut [Row], catalog: &Catalog) {
    let names: IndexSet<String> = rows.iter().flat_map(|row| row.settings.params.keys().cloned()).collect();
    for row in rows {
        for name in &names {
            let Some((stage, param)) = name.split_once('.') else { continue };
            let Some(kind) = row.settings.stages.get(stage) else { continue };
            if !row.settings.params.contains_key(name) {
                let declared = catalog.declaration(kind).and_then(|kind| kind.params.get(param)?.default.as_ref());
                let value = declared.map_or("default".to_string(), |value| crate::history::shown(&value.to_string()));
                row.settings.params.insert(name.clone(), value);
            }
        }
    }
}

/// The axes and parameters in which these rows differ: axes first, then its own parameters, then those of what it read. Of
/// those that tell the same rows apart, the first.
pub fn differing_settings(rows: &[Row]) -> Vec<Column> {
    let all = |row: &Row| -> IndexMap<String, String> {
        let own = |name: &&String| name.split('.').next() == Some(row.stage.as_str());
        let params = || row.settings.params.iter();
        let (first, then) = (params().filter(|(name, _)| own(name)), params().filter(|(name, _)| !own(name)));
        let axes = row.axes.iter().map(|(name, value)| (name.clone(), value.clone()));
        let seed =
            row.seed.iter().filter(|_| !row.axes.contains_key("seed")).map(|seed| ("seed".to_string(), seed.clone()));
        axes.chain(seed).chain(first.chain(then).map(|(name, value)| (name.clone(), value.clone()))).collect()
    };
    // Every axis is told before any parameter.
    let mut named: Vec<IndexMap<String, String>> = rows.iter().map(all).collect();
    let order: IndexSet<String> = named.iter().flat_map(|row| row.keys().cloned()).collect();
    let is_param = |name: &String| name.contains('.');
    for row in &mut named {
        row.sort_by_cached_key(|name, _| (is_param(name), order.get_index_of(name)));
    }
    differing(&named)
}

/// The metrics of these rows: in the order in which their kinds declare them, then the others.
pub fn metrics(rows: &[Row], catalog: &Catalog) -> Vec<String> {
    let present: IndexSet<&String> = rows.iter().flat_map(|row| row.metrics.keys()).collect();
    let kinds: IndexSet<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
    let declared = kinds.into_iter().filter_map(|kind| catalog.declaration(kind)).flat_map(|kind| kind.metrics.keys());
    let first: IndexSet<&String> = declared.filter(|name| present.contains(*name)).collect();
    first.iter().chain(present.iter().filter(|name| !first.contains(**name))).map(|name| (*name).clone()).collect()
}

/// Which of two values of a metric is better, as the kind of the first row that has it declares.
pub fn better(rows: &[Row], metric: &str, catalog: &Catalog) -> Option<Better> {
    rows.iter()
        .filter(|row| row.number(metric).is_some())
        .find_map(|row| catalog.declaration(&row.kind)?.metric(metric, &row.given)?.better)
}

/// Sorts by what a column says; rows without it, and values that are no numbers among numbers, come last.
pub fn sort(rows: &mut [Row], name: &str, descending: bool) {
    rows.sort_by(|one, other| match (one.cell(name), other.cell(name)) {
        (Some(one), Some(other)) => one.compared(&other, descending),
        (one, other) => other.is_some().cmp(&one.is_some()),
    });
}

/// The best row of each group of rows that agree in `by`; rows without the metric, or for which it is no number, do not
/// count. The best of all first.
pub fn best(mut rows: Vec<Row>, metric: &str, better: Better, by: &[String]) -> Vec<Row> {
    rows.retain(|row| row.number(metric).is_some_and(|value| !value.is_nan()));
    let order = |one: &Row, other: &Row| -> Ordering {
        let (one, other) = (one.number(metric).unwrap_or(f64::NAN), other.number(metric).unwrap_or(f64::NAN));
        match better {
            Better::Higher => other.total_cmp(&one),
            Better::Lower => one.total_cmp(&other),
        }
    };
    rows.sort_by(order);
    let mut groups: IndexSet<Vec<Option<String>>> = IndexSet::new();
    rows.retain(|row| groups.insert(by.iter().map(|name| row.cell(name).map(|cell| cell.text())).collect()));
    rows
}
