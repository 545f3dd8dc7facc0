//! `report.table`: a table of one metric of many results. Sorting, means and formats are in `report::sheet`, which it
//! shares with `compare.table`. There are no tests for significance.

use super::sheet;
use crate::context::{Context, Inputs, Outputs};
use crate::report::sheet::{Cell, Entry, Layout, Missing, Sheet, document, missing, same_n};
use anyhow::Result;
use ddpipe_interface::ArtifactType;
use ddpipe_interface::protocol::InputArtifact;
use serde::Deserialize;
use serde_json::json;

/// The parameters: rows and columns of the table, the metric, and how its numbers are shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    rows: Vec<String>,
    columns: Vec<String>,
    value: String,
    value_std: Option<String>,
    percent: bool,
    digits: usize,
    best: Best,
    caption: Option<String>,
    missing: Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Best {
    Highest,
    Lowest,
}

/// Runs the stage: sorts the results into cells and writes the table as JSON, Markdown, CSV and LaTeX.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let results = inputs.many("results");
    let absent = inputs.absent("results");
    let layout = Layout::of(results, absent, &params.rows, &params.columns, &params.value)?;
    let mut grid: Vec<Vec<Option<Cell>>> = Vec::new();
    for row in &layout.groups {
        grid.push(row.iter().map(|group| fold(group, &params)).collect::<Result<_>>()?);
    }
    if let Some(name) =
        params.value_std.as_ref().filter(|name| !results.iter().any(|it| it.metrics.contains_key(*name)))
    {
        ctx.warn(format!("no result has the metric {name:?} (value_std), so a cell of a single result has no ±"));
    }
    let origins = document::origins(&document::all(inputs, "results")?);
    let sample = document::is_sample(&origins);
    let over = sheet::folded(results);
    let diverged = results.iter().filter(|result| !result.metrics.contains_key(&params.value)).map(|it| &it.labels);
    let missing = missing::words(absent.iter().map(|absent| &absent.labels).chain(diverged), &over);
    let cells = || grid.iter().flatten().flatten();
    let means = cells().map(|cell| cell.mean).filter(|mean| !mean.is_nan());
    let best = means.reduce(if params.best == Best::Lowest { f64::min } else { f64::max });
    let factor = if params.percent { 100.0 } else { 1.0 };
    let show_n = same_n(cells()).is_none();
    let entry = |cell: &Cell| Entry { cell: cell.clone(), factor, digits: params.digits, show_n, mark: None, p: None };
    let sheet = Sheet {
        caption: sheet::caption(
            params.caption.as_deref(),
            &params.value,
            params.rows.iter().chain(&params.columns),
            sample,
        ),
        note: [note(&params, &grid, &over), missing]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; "),
        legend: Vec::new(),
        corner: params.rows.join(", "),
        rows: layout.rows,
        plain_columns: layout.columns.clone(),
        columns: layout.columns,
        entries: grid.iter().map(|row| row.iter().map(|cell| cell.as_ref().map(entry)).collect()).collect(),
        tested: false,
    };
    let document = json!({
        "caption": sheet.caption,
        "note": sheet.note,
        "value": params.value,
        "percent": params.percent,
        "digits": params.digits,
        "over": over,
        "rows": sheet.rows,
        "columns": sheet.columns,
        "cells": grid,
        "origins": origins,
        "sample_data": sample,
    });
    let outputs = sheet.add_to(Outputs::default().json("table", ArtifactType::Table, document));
    Ok(match best {
        Some(best) => outputs.metric("best", best),
        None => outputs,
    })
}

/// The mean and standard deviation of the results of one cell that have the metric; all have to, unless what is missing is
/// to be shown. The deviation of a single result is its metric
/// `value_std`, if it has one.
fn fold(group: &[(usize, &InputArtifact)], params: &Params) -> Result<Option<Cell>> {
    let has = |result: &InputArtifact| result.metrics.contains_key(&params.value);
    let kept: Vec<&InputArtifact> = group.iter().map(|(_, result)| *result).collect();
    let kept: Vec<&InputArtifact> =
        kept.into_iter().filter(|result| params.missing == Missing::Fail || has(result)).collect();
    let values = kept.iter().map(|result| sheet::metric(result, &params.value)).collect::<Result<Vec<f64>>>()?;
    let Some(mut cell) = Cell::of(&values) else { return Ok(None) };
    if let (Some(name), [single]) = (&params.value_std, kept.as_slice()) {
        cell.std = single.metrics.get(name).copied();
    }
    Ok(Some(cell))
}

/// The note below the table: what the numbers are, and over which axes mean and standard deviation are taken.
fn note(params: &Params, grid: &[Vec<Option<Cell>>], over: &[String]) -> String {
    let cells = || grid.iter().flatten().flatten();
    let mut note = format!("{}{}", params.value, if params.percent { " in %" } else { "" });
    if !over.is_empty() {
        note += &format!("; mean ± standard deviation over {}", over.join(" and "));
        if let Some(n) = same_n(cells()) {
            note += &format!(", n = {n}");
        }
    }
    match &params.value_std {
        Some(name) if cells().any(|cell| cell.n == 1 && cell.std.is_some()) => {
            note + &format!("; of a single result: ± {name}")
        }
        _ => note,
    }
}
