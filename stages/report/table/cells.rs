//! Sorts results into the cells of a table by their labels, and folds those of one cell into mean and deviation. A
//! cell whose results differ in something that nobody said to fold is an error, never a mean of unlike things.

use super::Params;
use anyhow::{Result, bail, ensure};
use ddpipe_interface::Value;
use ddpipe_interface::protocol::InputArtifact;
use serde::Serialize;

/// One cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// The mean, or the single value.
    pub mean: f64,
    /// The sample standard deviation (divided by n-1) over the folded axes; of a single result, what it says itself.
    pub std: Option<f64>,
    /// How many results.
    pub n: usize,
}

/// Rows and columns in the order in which the results name them, and the cells, row by row.
#[derive(Debug)]
pub struct Cells {
    /// The titles of the rows.
    pub rows: Vec<String>,
    /// The titles of the columns.
    pub columns: Vec<String>,
    /// `grid[row][column]`; no result, no cell.
    pub grid: Vec<Vec<Option<Cell>>>,
}

/// The values of some labels; a missing one stays missing.
type Place<'a> = Vec<Option<&'a Value>>;

impl Cells {
    /// Sorts and folds.
    pub fn of(results: &[InputArtifact], params: &Params) -> Result<Self> {
        ensure!(!results.is_empty(), "there are no results to show; what is gathered selects no stage");
        for name in params.rows.iter().chain(&params.columns) {
            ensure!(
                results.iter().any(|result| result.labels.contains_key(name)),
                "no result has the label {name:?}; there are {}",
                names(results.iter().flat_map(|result| result.labels.keys()))
            );
        }
        let rows = places(results, &params.rows);
        let columns = places(results, &params.columns);
        let mut cells = Cells {
            rows: rows.iter().map(|place| title(place, "all")).collect(),
            columns: columns.iter().map(|place| title(place, &params.value)).collect(),
            grid: Vec::new(),
        };
        for (row, row_title) in rows.iter().zip(&cells.rows) {
            let mut line = Vec::new();
            for (column, column_title) in columns.iter().zip(&cells.columns) {
                let here = |result: &&InputArtifact| {
                    place(result, &params.rows) == *row && place(result, &params.columns) == *column
                };
                let inside: Vec<&InputArtifact> = results.iter().filter(here).collect();
                let cell = format!("cell ({row_title}; {column_title})");
                line.push(fold(&inside, params, &cell)?);
            }
            cells.grid.push(line);
        }
        Ok(cells)
    }

    /// All cells that there are.
    pub fn filled(&self) -> impl Iterator<Item = &Cell> {
        self.grid.iter().flatten().flatten()
    }

    /// How many results every cell is of, when that is one number.
    pub fn same_n(&self) -> Option<usize> {
        let mut counts = self.filled().map(|cell| cell.n);
        let first = counts.next()?;
        counts.all(|n| n == first).then_some(first)
    }

    /// The highest (or lowest) mean.
    pub fn best(&self, lowest: bool) -> Option<f64> {
        let means = self.filled().map(|cell| cell.mean).filter(|mean| !mean.is_nan());
        means.reduce(if lowest { f64::min } else { f64::max })
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

fn fold(results: &[&InputArtifact], params: &Params, cell: &str) -> Result<Option<Cell>> {
    if results.is_empty() {
        return Ok(None);
    }
    unlike(results, cell)?;
    let values = results.iter().map(|result| metric(result, &params.value)).collect::<Result<Vec<f64>>>()?;
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let std = match (&params.value_std, n) {
        (Some(name), 1) => Some(metric(results[0], name)?),
        (None, 1) => None,
        _ => Some((values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt()),
    };
    Ok(Some(Cell { mean, std, n }))
}

/// An error when results of one cell differ in a label that is not folded, or in nothing at all.
fn unlike(results: &[&InputArtifact], cell: &str) -> Result<()> {
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

fn metric(result: &InputArtifact, name: &str) -> Result<f64> {
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
