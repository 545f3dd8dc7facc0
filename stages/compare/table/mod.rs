//! `compare.table`: a table of metrics in which each cell is tested against the best one. `value.rs` says which metrics
//! are shown and how, `singles.rs` finds the single values of a cell, `comparison.rs` tests and marks the cells,
//! `wording.rs` writes titles, note and legend, `description.rs` writes the JSON document. Layout and formats are in
//! `report::sheet`.

mod comparison;
mod description;
mod singles;
mod value;
mod wording;

use crate::context::{Context, Inputs, Outputs};
use crate::report::sheet::{self, Entry, Layout, Mark, Missing, Sheet, document, missing, same_n};
use anyhow::{Result, ensure};
use comparison::Sampled;
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::InputArtifact;
use serde::{Deserialize, Serialize};
use value::{Best, Unit, Value};

/// The parameters: rows, columns and metrics of the table, which cells are compared with each other, and by which test.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    rows: Vec<String>,
    columns: Vec<String>,
    values: Vec<String>,
    titles: Vec<String>,
    units: Vec<Unit>,
    best: Vec<Best>,
    digits: Vec<usize>,
    singles: Option<Singles>,
    against: Against,
    alpha: f64,
    correction: Correction,
    show_n: bool,
    caption: Option<String>,
    missing: Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Singles {
    Results,
    Lists,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Against {
    Column,
    Row,
    Table,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Correction {
    None,
    Holm,
}

/// The cells as `grid[row][column]`. For each label of the columns there is one column per metric, next to each other:
/// column = label × number of metrics + metric. Empty cells are `None`.
type Grid = Vec<Vec<Option<Sampled>>>;

/// Runs the stage: reads the results, tests the cells, and writes the table as JSON, Markdown, CSV and LaTeX. An error
/// if no result has one of the metrics.
pub fn run(_ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let values = Value::all(&params)?;
    let results = inputs.many("results");
    for value in &values {
        ensure!(
            results.is_empty() || results.iter().any(|result| result.metrics.contains_key(&value.name)),
            "no result has the metric {:?}; {} has {}",
            value.name,
            results[0].name,
            results[0].metrics.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        );
    }
    let absent = inputs.absent("results");
    let layout = Layout::of(results, absent, &params.rows, &params.columns, &params.values.join(", "))?;
    let documents = document::all(inputs, "results")?;
    let over = sheet::folded(results);
    let singles = params.singles.unwrap_or(if over.is_empty() { Singles::Lists } else { Singles::Results });
    let mut grid = Grid::new();
    for row in &layout.groups {
        let mut cells = Vec::new();
        for group in row {
            for value in &values {
                cells.push(Sampled::of(singles::of(group, &documents, value, singles, params.missing)?));
            }
        }
        grid.push(cells);
    }
    comparison::compare(families(&mut grid, &values, params.against), &params);

    let lacks = |result: &InputArtifact| values.iter().all(|value| !result.metrics.contains_key(&value.name));
    let diverged = results.iter().filter(|result| lacks(result)).map(|result| &result.labels);
    let missing = match params.missing {
        Missing::Show => missing::words(absent.iter().map(|absent| &absent.labels).chain(diverged), &over),
        Missing::Fail => String::new(),
    };
    let note = [wording::note(&grid, &values, &over, singles, params.show_n), missing];

    let origins = document::origins(&documents);
    let sample = document::is_sample(&origins);
    let by = params.rows.iter().chain(&params.columns);
    let labelled = !params.columns.is_empty();
    let sheet = Sheet {
        caption: sheet::caption(params.caption.as_deref(), &wording::shown(&values), by, sample),
        note: note.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; "),
        legend: wording::legend(&grid, &params),
        corner: params.rows.join(", "),
        rows: layout.rows,
        columns: layout.columns.iter().flat_map(|title| wording::columns(title, labelled, &values)).collect(),
        plain_columns: layout
            .columns
            .iter()
            .flat_map(|title| wording::plain_columns(title, labelled, &values))
            .collect(),
        entries: entries(&grid, &values, params.show_n),
        tested: true,
    };
    let counted = |mark| grid.iter().flatten().flatten().filter(|sampled| sampled.mark == Some(mark)).count() as f64;
    let description = description::of(&sheet, &grid, &values, &params, singles, &over, &origins);
    let outputs = sheet
        .add_to(Outputs::default().json("table", ArtifactType::Table, description))
        .metric("tied", counted(Mark::Tied))
        .metric("worse", counted(Mark::Worse))
        .metric("untested", counted(Mark::Untested));
    let means = of_value(&grid, values.len(), 0).map(|sampled| sampled.cell.mean);
    let best = match values[0].best {
        Best::Highest => means.reduce(f64::max),
        Best::Lowest => means.reduce(f64::min),
        Best::None => None,
    };
    Ok(match best {
        Some(best) => outputs.metric("best", best),
        None => outputs,
    })
}

/// The cells of the metric with index `value`, out of `count` metrics, row by row.
fn of_value(grid: &Grid, count: usize, value: usize) -> impl Iterator<Item = &Sampled> {
    grid.iter().flat_map(move |row| row.iter().skip(value).step_by(count)).flatten()
}

/// The families of cells that are compared with each other, each with the direction of its metric. All cells of a
/// family show the same metric; `against` says whether a family is a column, a row or the whole table.
fn families<'a>(grid: &'a mut Grid, values: &[Value], against: Against) -> Vec<(Best, Vec<&'a mut Sampled>)> {
    let columns = grid.first().map_or(0, Vec::len);
    let rows = grid.len();
    let place = |row: usize, column: usize| match against {
        Against::Column => column,
        Against::Row => row * values.len() + column % values.len(),
        Against::Table => column % values.len(),
    };
    let count = columns.max(rows * values.len());
    let mut families: Vec<(Best, Vec<&mut Sampled>)> = (0..count).map(|_| (Best::None, Vec::new())).collect();
    for (row, cells) in grid.iter_mut().enumerate() {
        for (column, cell) in cells.iter_mut().enumerate() {
            let (best, family) = &mut families[place(row, column)];
            *best = values[column % values.len()].best;
            family.extend(cell.as_mut());
        }
    }
    families
}

fn entries(grid: &Grid, values: &[Value], show_n: bool) -> Vec<Vec<Option<Entry>>> {
    let differs = |value: usize| same_n(of_value(grid, values.len(), value).map(|sampled| &sampled.cell)).is_none();
    let show_n: Vec<bool> = (0..values.len()).map(|value| show_n || differs(value)).collect();
    let entry = |(sampled, (value, &show_n)): (&Option<Sampled>, (&Value, &bool))| {
        let Sampled { cell, mark, p, .. } = sampled.as_ref()?;
        let (factor, digits) = (value.unit.factor(), value.digits);
        Some(Entry { cell: cell.clone(), factor, digits, show_n, mark: *mark, p: *p })
    };
    let how = || values.iter().zip(&show_n).cycle();
    grid.iter().map(|row| row.iter().zip(how()).map(entry).collect()).collect()
}
