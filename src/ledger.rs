//! The ledger: what is published for cells of a pipeline beside what was measured, with the difference, how sure it is, and
//! the records that prove it. A [`Ledger`] is a value that can be kept as JSON and read again; making one needs a pipeline
//! and its records, showing one needs neither. Nothing here opens a cache or prints.

mod beside;
mod csv;
mod judge;
mod kept;
mod make;
mod markdown;
mod measure;
mod page;
mod protocol;
mod text;
mod words;

pub use beside::beside_table;
pub use judge::DEFAULT_MARGIN;
pub use make::make;
pub use page::{PageError, replaced};

use crate::published::Figure;
use ddpipe_interface::metric::Better;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// All figures of a pipeline beside what was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The pipeline's name.
    pub pipeline: String,
    /// The command that measures what is in it.
    pub command: String,
    /// One row for each figure and cell, in the manifest's order.
    pub rows: Vec<Row>,
}

/// A figure, and what was measured for the same cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The address of the cell: that of its nodes without the axes that repeat.
    pub cell: String,
    /// Its stage.
    pub stage: String,
    /// The values of its axes, as texts.
    pub axes: IndexMap<String, String>,
    /// The metric.
    pub metric: String,
    /// The metric's unit; the numbers of the row are in it, so that a share is 0.917.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Which of two values of the metric is better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub better: Option<Better>,
    /// What is published.
    pub published: Figure,
    /// What was measured; absent where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// The measured mean less the published value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// A difference up to this one counts as reproduced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, in words; empty where the numbers say it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What else a reader has to know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What was measured for a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The mean.
    #[serde(with = "kept::number")]
    pub mean: f64,
    /// The sample standard deviation; absent of a single value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// How many values.
    pub n: u64,
    /// Of what: the axis that repeats (`seed`), or the parameter that counts what a single node takes the mean over
    /// (`students`). Absent of a single value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
    /// The nodes, each with the key of its record.
    pub records: Vec<Recorded>,
    /// Seconds that these nodes and all that they were made from took. What several cells share counts in each.
    pub seconds: f64,
    /// The devices that all of it ran on.
    pub hardware: Vec<String>,
    /// The commits of the project that all of it was made at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<String>,
}

/// A node that is on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Its address.
    pub node: String,
    /// The key of its record, in hexadecimal digits.
    pub key: String,
}

/// A difference with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The measured mean less the published value.
    pub value: f64,
    /// The ends of its 95 % interval; absent where a single value was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// What was measured falls short of it by no more than the margin, for certain.
    Reproduced,
    /// It falls short by more, for certain.
    NotReproduced,
    /// The interval of the difference has the margin inside it, or there is no interval.
    CannotSay,
    /// It was measured in another way than the figure.
    OtherProtocol,
    /// Nothing was measured.
    NotRun,
    /// There is no figure.
    NothingPublished,
}

impl Verdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Reproduced => "reproduced",
            Verdict::NotReproduced => "not reproduced",
            Verdict::CannotSay => "cannot say",
            Verdict::OtherProtocol => "other protocol",
            Verdict::NotRun => "not run",
            Verdict::NothingPublished => "nothing published",
        }
    }
}
