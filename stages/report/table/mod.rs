//! Makes a table of many results. `cells.rs` sorts results into cells and folds them, `markdown.rs`, `csv.rs` and
//! `latex.rs` write what came out, `wording.rs` holds what they share. It trains and computes nothing itself.

mod cells;
mod csv;
mod latex;
mod markdown;
mod wording;

use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result};
use cells::Cells;
use ddpipe_interface::ArtifactType;
use serde::Deserialize;
use serde_json::json;

/// What to show, and how.
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
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Best {
    Highest,
    Lowest,
}

/// A table that is ready to be written.
struct Table {
    caption: String,
    note: String,
    /// What the first column holds.
    corner: String,
    cells: Cells,
    percent: bool,
    digits: usize,
    /// Whether every cell says of how many results it is; else the note says it, or there is nothing to say.
    show_n: bool,
}

/// Makes the table.
pub fn run(_ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let results = inputs.many("results");
    let cells = Cells::of(results, &params)?;
    let origins = origins(inputs)?;
    let sample = origins.iter().any(|origin| origin.contains("sample data"));
    let over = cells::folded(results);
    let best = cells.best(params.best == Best::Lowest);
    let table = Table {
        caption: wording::caption(&params, sample),
        note: wording::note(&params, &cells, &over),
        corner: params.rows.join(", "),
        show_n: cells.same_n().is_none(),
        percent: params.percent,
        digits: params.digits,
        cells,
    };
    let document = json!({
        "caption": table.caption,
        "note": table.note,
        "value": params.value,
        "percent": table.percent,
        "digits": table.digits,
        "over": over,
        "rows": table.cells.rows,
        "columns": table.cells.columns,
        "cells": table.cells.grid,
        "origins": origins,
        "sample_data": sample,
    });
    let mut outputs = Outputs::default()
        .json("table", ArtifactType::Table, document)
        .bytes("markdown", ArtifactType::Files, markdown::write(&table).into_bytes())
        .bytes("csv", ArtifactType::Files, csv::write(&table).into_bytes())
        .bytes("latex", ArtifactType::Files, latex::write(&table).into_bytes());
    if let Some(best) = best {
        outputs = outputs.metric("best", best);
    }
    Ok(outputs)
}

/// Where the data of the results came from, as the results themselves say (`origin`), each once.
fn origins(inputs: &Inputs) -> Result<Vec<String>> {
    let mut origins: Vec<String> = Vec::new();
    for result in inputs.many("results") {
        let bytes = inputs.bytes_of(result)?;
        let document: serde_json::Value =
            serde_json::from_slice(&bytes).with_context(|| format!("{}: the metrics are not JSON", result.name))?;
        if let Some(origin) = document["origin"].as_str()
            && !origins.iter().any(|known| known == origin)
        {
            origins.push(origin.to_string());
        }
    }
    Ok(origins)
}
