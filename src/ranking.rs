//! The results on record as rows of one table: where each comes from, the parameters in which they differ, its metrics; and
//! which of them are wanted, in which order, and which is the best. Functions of records; prints nothing.

mod condition;
mod fold;
mod row;

pub use condition::{Compared, Condition};
pub use fold::fold;
pub use row::{Cell, Folded, Row};

use crate::catalog::Catalog;
use crate::history::{Column, differing};
use crate::lineage::{Lineage, Values, default_of};
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
        with_results.map(|record| Row::of(record, lineage, made_by.get(&record.key).copied(), catalog)).collect();
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
            let Some(kinds) = row.settings.stages.get(stage) else { continue };
            let given = row.settings.params.contains_key(name);
            let is_axis = stage == row.stage && row.axes.contains_key(param);
            if !given && !is_axis {
                let values = Values::of(kinds.iter().filter_map(|kind| default_of(kind, param, catalog)));
                if values.count() > 0 {
                    row.settings.params.insert(name.clone(), values);
                }
            }
        }
    }
}

/// The axes and parameters of these rows: axes first, the seed, their own parameters, those of what they read.
pub fn settings(rows: &[Row]) -> IndexSet<String> {
    let own = |row: &Row, name: &str| name.split('.').next() == Some(row.stage.as_str());
    let params = |of_row: bool| {
        rows.iter().flat_map(move |row| row.settings.params.keys().filter(move |name| own(row, name) == of_row))
    };
    let axes = rows.iter().flat_map(|row| row.axes.keys()).filter(|name| *name != "seed");
    let seed = rows.iter().any(|row| row.seed.is_some() || row.axes.contains_key("seed"));
    let seed = seed.then(|| "seed".to_string());
    // The kinds come last: a kind mostly repeats an axis.
    let is_kind = |name: &String| name.ends_with(".kind");
    let mut names: IndexSet<String> =
        axes.cloned().chain(seed).chain(params(true).chain(params(false)).cloned()).collect();
    let axes: IndexSet<String> = rows.iter().flat_map(|row| row.axes.keys().cloned()).collect();
    names.sort_by_key(|name| is_kind(name) && !axes.contains(name));
    names
}

/// Those of [`settings`] in which these rows differ; of those that tell the same rows apart, the first.
pub fn differing_settings(rows: &[Row]) -> Vec<Column> {
    let names = settings(rows);
    let said = |row: &Row| -> IndexMap<String, String> {
        names.iter().filter_map(|name| Some((name.clone(), row.setting(name)?.to_string()))).collect()
    };
    let mut said: Vec<IndexMap<String, String>> = rows.iter().map(said).collect();
    for row in &mut said {
        row.sort_by_cached_key(|name, _| names.get_index_of(name));
    }
    let mut columns = differing(&said);
    columns.sort_by_cached_key(|column| names.get_index_of(&column.name));
    columns
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
