//! Tables of results: `layout.rs` sorts results into cells by their labels, `cell.rs` folds numbers, and `markdown.rs`,
//! `csv.rs` and `latex.rs` write a [`Sheet`]. Which numbers a cell is made of and what they are compared with is the
//! kinds' own affair.

mod cell;
pub mod csv;
pub mod document;
pub mod latex;
mod layout;
pub mod markdown;
mod wording;

pub use cell::{Cell, same_n};
pub use layout::{Layout, folded, metric};
pub use wording::caption;

use crate::context::Outputs;
use ddpipe_interface::ArtifactType;
use serde::Serialize;

/// A table that is ready to be written.
#[derive(Debug)]
pub struct Sheet {
    /// Its title.
    pub caption: String,
    /// What the numbers are.
    pub note: String,
    /// What the marks mean, for those that occur.
    pub legend: Vec<(Mark, String)>,
    /// What the first column holds.
    pub corner: String,
    /// The titles of the rows.
    pub rows: Vec<String>,
    /// The titles of the columns.
    pub columns: Vec<String>,
    /// The same for programs, who read numbers without people's units.
    pub plain_columns: Vec<String>,
    /// `entries[row][column]`; no result, no entry.
    pub entries: Vec<Vec<Option<Entry>>>,
    /// Whether the CSV file has p and mark as columns.
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
    /// Its numbers.
    pub cell: Cell,
    /// What they are multiplied by for people.
    pub factor: f64,
    /// Digits after the point for people.
    pub digits: usize,
    /// Whether it says of how many values it is; else the note says it, or there is nothing to say.
    pub show_n: bool,
    /// How the cell compares with the best one.
    pub mark: Option<Mark>,
    /// The p-value of the comparison with the best.
    pub p: Option<f64>,
}

/// How a cell stands to the best of those it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The best.
    Best,
    /// Not significantly worse.
    Tied,
    /// Significantly worse.
    Worse,
    /// Not tested: there is nothing to judge a difference by.
    Untested,
}

impl Mark {
    /// Its name in files for programs.
    pub fn name(self) -> &'static str {
        match self {
            Mark::Best => "best",
            Mark::Tied => "tied",
            Mark::Worse => "worse",
            Mark::Untested => "untested",
        }
    }
}
