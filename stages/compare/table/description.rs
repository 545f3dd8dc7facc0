//! The table as a JSON document: unrounded numbers, with the single values on which the tests were computed.

use super::{Grid, Params, Singles};
use crate::compare::table::comparison::Sampled;
use crate::compare::table::value::Value;
use crate::report::sheet::Sheet;
use serde_json::json;

/// The JSON document of the table: caption, note, rows, columns, parameters of the tests, and for each cell its mean,
/// standard deviation, number of values, p-value, mark and single values; `null` for an empty cell.
pub fn of(
    sheet: &Sheet,
    grid: &Grid,
    values: &[Value],
    params: &Params,
    singles: Singles,
    over: &[String],
    origins: &[String],
) -> serde_json::Value {
    let cell = |sampled: &Option<Sampled>| {
        let Sampled { cell, values, mark, p } = sampled.as_ref()?;
        Some(json!({ "mean": cell.mean, "std": cell.std, "n": cell.n, "p": p, "mark": mark, "values": values }))
    };
    let cells: Vec<Vec<_>> = grid.iter().map(|row| row.iter().map(cell).collect()).collect();
    json!({
        "caption": sheet.caption,
        "note": sheet.note,
        "values": values,
        "singles": singles,
        "over": over,
        "against": params.against,
        "alpha": params.alpha,
        "correction": params.correction,
        "rows": sheet.rows,
        "columns": sheet.plain_columns,
        "cells": cells,
        "origins": origins,
        "sample_data": crate::report::sheet::document::is_sample(origins),
    })
}
