//! Sorts results into the cells of a table by their labels. It is an error if the results of a cell differ in a label
//! that the manifest does not fold, so that no mean is taken over different things.

use anyhow::{Result, bail, ensure};
use ddpipe_interface::Value;
use ddpipe_interface::protocol::{Absent, InputArtifact};
use indexmap::IndexMap;

/// Rows and columns in the order in which the results name them, and the results of each cell.
#[derive(Debug)]
pub struct Layout<'a> {
    /// The titles of the rows.
    pub rows: Vec<String>,
    /// The titles of the columns.
    pub columns: Vec<String>,
    /// The results of each cell as `groups[row][column]`.
    pub groups: Vec<Vec<Group<'a>>>,
}

/// The results of one cell, each with its index among all results.
pub type Group<'a> = Vec<(usize, &'a InputArtifact)>;

/// The labels of a result.
type Labels = IndexMap<String, Value>;

/// The values of some labels of a result; `None` for a label that the result does not have.
type Place<'a> = Vec<Option<&'a Value>>;

impl<'a> Layout<'a> {
    /// Sorts results by the values of these labels. `only` is the title of the single column that there is when
    /// `columns` is empty. What is `absent` has a row and a column all the same. An error if there is nothing at all, if
    /// nothing has a label, or if the results of a cell differ in a label that is not folded.
    pub fn of(
        results: &'a [InputArtifact],
        absent: &'a [Absent],
        rows: &[String],
        columns: &[String],
        only: &str,
    ) -> Result<Self> {
        let all = in_order(results, absent);
        ensure!(!all.is_empty(), "there are no results to show; what is gathered selects no stage");
        for name in rows.iter().chain(columns) {
            ensure!(
                all.iter().any(|labels| labels.contains_key(name)),
                "no result has the label {name:?}; there are {}",
                names(all.iter().flat_map(|labels| labels.keys()))
            );
        }
        let (row_places, column_places) = (places(&all, rows), places(&all, columns));
        let mut layout = Layout {
            rows: row_places.iter().map(|place| title(place, "all")).collect(),
            columns: column_places.iter().map(|place| title(place, only)).collect(),
            groups: Vec::new(),
        };
        for (row, row_title) in row_places.iter().zip(&layout.rows) {
            let mut line = Vec::new();
            for (column, column_title) in column_places.iter().zip(&layout.columns) {
                let here = |result: &InputArtifact| {
                    place(&result.labels, rows) == *row && place(&result.labels, columns) == *column
                };
                let inside: Group = results.iter().enumerate().filter(|(_, result)| here(result)).collect();
                unlike(&inside, &format!("cell ({row_title}; {column_title})"))?;
                line.push(inside);
            }
            layout.groups.push(line);
        }
        Ok(layout)
    }
}

/// The labels of all results and of what is absent, in the order in which they are connected.
fn in_order<'a>(results: &'a [InputArtifact], absent: &'a [Absent]) -> Vec<&'a Labels> {
    let mut there = results.iter().map(|result| &result.labels);
    let mut absent = absent.iter().peekable();
    let mut all = Vec::new();
    loop {
        let next = match absent.next_if(|absent| absent.position == all.len()) {
            Some(absent) => Some(&absent.labels),
            None => there.next().or_else(|| absent.next().map(|absent| &absent.labels)),
        };
        match next {
            Some(labels) => all.push(labels),
            None => return all,
        }
    }
}

/// The axes that are folded in any of the results, without repetitions.
pub fn folded(results: &[InputArtifact]) -> Vec<String> {
    let mut over: Vec<String> = Vec::new();
    for axis in results.iter().flat_map(|result| &result.over) {
        if !over.contains(axis) {
            over.push(axis.clone());
        }
    }
    over
}

fn place<'a>(of: &'a Labels, labels: &[String]) -> Place<'a> {
    labels.iter().map(|label| of.get(label)).collect()
}

fn places<'a>(all: &[&'a Labels], labels: &[String]) -> Vec<Place<'a>> {
    let mut places: Vec<Place> = Vec::new();
    for of in all {
        let place = place(of, labels);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

fn title(place: &Place, otherwise: &str) -> String {
    let values: Vec<String> = place.iter().flatten().map(|value| plain(value)).collect();
    match (place.is_empty(), values.is_empty()) {
        (true, _) => otherwise.to_string(),
        (false, true) => "–".to_string(),
        (false, false) => values.join(", "),
    }
}

/// A label's value as people write it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Fails when results of one cell differ in a label that is not folded, or when two of them have the same labels.
fn unlike(group: &Group, cell: &str) -> Result<()> {
    let results: Vec<&InputArtifact> = group.iter().map(|(_, result)| *result).collect();
    let differs = |label: &String| results.iter().any(|other| other.labels.get(label) != results[0].labels.get(label));
    let is_folded = |label: &String| results.iter().all(|result| result.over.contains(label));
    for label in results.iter().flat_map(|result| result.labels.keys()) {
        if differs(label) && !is_folded(label) {
            let values = names(results.iter().map(|result| result.labels.get(label).map_or("(none)".into(), plain)));
            bail!(
                "{cell} holds {} results that differ in {label:?} ({values}); fold it with `over = [{label:?}]`, or name \
                 it in `rows` or `columns`",
                results.len()
            );
        }
    }
    for (index, result) in results.iter().enumerate() {
        if let Some(twin) = results[..index].iter().find(|twin| twin.labels == result.labels) {
            bail!(
                "{cell} holds two results with the same labels, {} and {}; gather one of them",
                twin.name,
                result.name
            );
        }
    }
    Ok(())
}

/// The metric of this name, or an error that lists the metrics of the result.
pub fn metric(result: &InputArtifact, name: &str) -> Result<f64> {
    match result.metrics.get(name) {
        Some(&value) => Ok(value),
        None => bail!("{} has no metric {name:?}; it has {}", result.name, names(result.metrics.keys())),
    }
}

/// The names without repetitions, in order, separated by commas; `none` if there are none.
fn names<S: Into<String>>(names: impl Iterator<Item = S>) -> String {
    let mut known: Vec<String> = Vec::new();
    for name in names.map(Into::into) {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    if known.is_empty() { "none".into() } else { known.join(", ") }
}
