//! Tables of results: `layout.rs` sorts results into cells by their labels, `cell.rs` computes means, and
//! `markdown.rs`, `csv.rs` and `latex.rs` write a [`Sheet`]. The kinds that use it choose the numbers of each cell and
//! their comparison.

mod cell;
pub mod csv;
pub mod document;
pub mod latex;
mod layout;
pub mod markdown;
pub mod missing;
mod wording;

pub use cell::{Cell, same_n};
pub use layout::{Layout, folded, metric, plain};
pub use missing::Missing;
pub use wording::caption;

use crate::context::Outputs;
use ddpipe_interface::ArtifactType;
use serde::Serialize;

/// A finished table, which can be written in several formats.
#[derive(Debug)]
pub struct Sheet {
    /// The caption of the table.
    pub caption: String,
    /// The note below the table: what the numbers are.
    pub note: String,
    /// The marks that occur, each with its meaning in words.
    pub legend: Vec<(Mark, String)>,
    /// The title of the first column, which holds the titles of the rows.
    pub corner: String,
    /// The titles of the rows.
    pub rows: Vec<String>,
    /// The titles of the columns, with units.
    pub columns: Vec<String>,
    /// The titles of the columns in the CSV file, whose numbers are unscaled.
    pub plain_columns: Vec<String>,
    /// The cells as `entries[row][column]`; `None` where there is no result.
    pub entries: Vec<Vec<Option<Entry>>>,
    /// Whether the CSV file has the columns p and mark.
    pub tested: bool,
}

impl Sheet {
    /// Adds the table in every format to a stage's outputs: `markdown`, `csv` and `latex`.
    pub fn add_to(&self, outputs: Outputs) -> Outputs {
        let formats = [("markdown", markdown::write(self)), ("csv", csv::write(self)), ("latex", latex::write(self))];
        let add = |outputs: Outputs, (name, text): (&str, String)| {
            outputs.bytes(name, ArtifactType::Files, text.into_bytes())
        };
        formats.into_iter().fold(outputs, add)
    }
}

/// One cell and how it is shown.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Mean, standard deviation and number of values, unscaled.
    pub cell: Cell,
    /// The factor by which the numbers are multiplied in Markdown and LaTeX.
    pub factor: f64,
    /// Digits after the decimal point in Markdown and LaTeX.
    pub digits: usize,
    /// Whether the cell shows its number of values; if not, the note shows it, or all cells have a single value.
    pub show_n: bool,
    /// How the cell compares with the best one.
    pub mark: Option<Mark>,
    /// The p-value of the comparison with the best cell, if it was tested.
    pub p: Option<f64>,
}

/// The result of comparing a cell with the best of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The best cell.
    Best,
    /// Not significantly worse than the best cell.
    Tied,
    /// Significantly worse than the best cell.
    Worse,
    /// Not tested, because there are fewer than two values or they do not vary.
    Untested,
}

impl Mark {
    /// The name of the mark in CSV and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Mark::Best => "best",
            Mark::Tied => "tied",
            Mark::Worse => "worse",
            Mark::Untested => "untested",
        }
    }
}
