//! Sorts results into the cells of a table by their labels. A cell whose results differ in something that nobody said
//! to fold is an error: a mean of unlike things is never shown.

use anyhow::{Result, bail, ensure};
use ddpipe_interface::Value;
use ddpipe_interface::protocol::InputArtifact;

/// Rows and columns in the order in which the results name them, and which results belong where.
#[derive(Debug)]
pub struct Layout<'a> {
    /// The titles of the rows.
    pub rows: Vec<String>,
    /// The titles of the columns.
    pub columns: Vec<String>,
    /// `groups[row][column]`: positions and descriptions of the results of a cell.
    pub groups: Vec<Vec<Group<'a>>>,
}

/// The results of one cell, each with its position among all.
pub type Group<'a> = Vec<(usize, &'a InputArtifact)>;

/// The values of some labels; a missing one stays missing.
type Place<'a> = Vec<Option<&'a Value>>;

impl<'a> Layout<'a> {
    /// Sorts by the values of these labels. `only` is the title of the one column that there is without labels.
    pub fn of(results: &'a [InputArtifact], rows: &[String], columns: &[String], only: &str) -> Result<Self> {
        ensure!(!results.is_empty(), "there are no results to show; what is gathered selects no stage");
        for name in rows.iter().chain(columns) {
            ensure!(
                results.iter().any(|result| result.labels.contains_key(name)),
                "no result has the label {name:?}; there are {}",
                names(results.iter().flat_map(|result| result.labels.keys()))
            );
        }
        let (row_places, column_places) = (places(results, rows), places(results, columns));
        let mut layout = Layout {
            rows: row_places.iter().map(|place| title(place, "all")).collect(),
            columns: column_places.iter().map(|place| title(place, only)).collect(),
            groups: Vec::new(),
        };
        for (row, row_title) in row_places.iter().zip(&layout.rows) {
            let mut line = Vec::new();
            for (column, column_title) in column_places.iter().zip(&layout.columns) {
                let here = |result: &InputArtifact| place(result, rows) == *row && place(result, columns) == *column;
                let inside: Group = results.iter().enumerate().filter(|(_, result)| here(result)).collect();
                unlike(&inside, &format!("cell ({row_title}; {column_title})"))?;
                line.push(inside);
            }
            layout.groups.push(line);
        }
        Ok(layout)
    }
}

/// The axes that any result says are folded, each once.
pub fn folded(results: &[InputArtifact]) -> Vec<String> {
    let mut over: Vec<String> = Vec::new();
    for axis in results.iter().flat_map(|result| &result.over) {
        if !over.contains(axis) {
            over.push(axis.clone());
        }
    }
    over
}

fn place<'a>(result: &'a InputArtifact, labels: &[String]) -> Place<'a> {
    labels.iter().map(|label| result.labels.get(label)).collect()
}

fn places<'a>(results: &'a [InputArtifact], labels: &[String]) -> Vec<Place<'a>> {
    let mut places: Vec<Place> = Vec::new();
    for result in results {
        let place = place(result, labels);
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

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An error when results of one cell differ in a label that is not folded, or in nothing at all.
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

/// A scalar of a result, or an error that lists what there is.
pub fn metric(result: &InputArtifact, name: &str) -> Result<f64> {
    match result.metrics.get(name) {
        Some(&value) => Ok(value),
        None => bail!("{} has no metric {name:?}; it has {}", result.name, names(result.metrics.keys())),
    }
}

/// Each name once, in order, with commas.
fn names<S: Into<String>>(names: impl Iterator<Item = S>) -> String {
    let mut known: Vec<String> = Vec::new();
    for name in names.map(Into::into) {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    if known.is_empty() { "none".into() } else { known.join(", ") }
}
