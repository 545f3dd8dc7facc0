//! Baselines: metrics that a project keeps in `baselines/<pipeline>.toml`, under git, and whether later ones are worse.
//! A baseline is a value; so are what a pipeline gives now and what comes of comparing the two. Nothing here opens the
//! cache or prints.

mod compare;
mod file;
mod gather;
mod judge;
pub(crate) mod statistics;
mod words;

pub use compare::{Comparison, compare};
pub use file::Baselines;
pub(crate) use gather::SEED;
pub use gather::{Gathered, gather};
pub use judge::Verdict;

use ddpipe_cache::Commit;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The baseline that is meant where none is named.
pub const MAIN: &str = "main";

/// One named baseline of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// When it was recorded, after RFC 3339.
    pub recorded: String,
    /// The version of ddpipe that recorded it.
    pub ddpipe: String,
    /// The state of the project's git repository then.
    pub commit: Option<Commit>,
    /// How later values are judged.
    pub rules: Rules,
    /// The metrics, sorted by node and name.
    pub entries: Vec<Entry>,
}

/// How values are judged beside a baseline. Stated by the file, so that a project decides it once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The chance of calling equal means different that is accepted, over all metrics that are tested.
    pub significance: f64,
    /// The chance of finding a difference that is asked for where the file says how many values would be enough.
    pub power: f64,
    /// A difference of means that does not matter, as a share of the baseline's mean.
    pub tolerance: f64,
    /// How many times as long, or as much, a measured quantity may become.
    pub ratio: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { significance: 0.05, power: 0.8, tolerance: 0.01, ratio: 1.5 }
    }
}

/// One metric of the nodes that differ only in their seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The nodes, by their address without the axis `seed`.
    pub node: String,
    /// The metric.
    pub metric: String,
    /// Whether it is a measurement of the run, judged by its ratio and only on equal hardware.
    pub measured: bool,
    /// A difference of means that does not matter, where it differs from the one that [`Rules`] give.
    pub within: Option<f64>,
    /// One value for each node, in the pipeline's order.
    pub values: Vec<f64>,
    /// What decided the bits of the values, in words; several are joined by `; `.
    pub numerics: Option<String>,
    /// The device, its threads and the processor's instruction sets, of a measured quantity.
    pub hardware: Option<String>,
}

/// Some values in three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Side {
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation; absent of a single value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// How many values.
    pub n: usize,
}

/// A metric of a group of nodes beside its baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The nodes, by their address without the axis `seed`.
    pub node: String,
    /// The metric.
    pub metric: String,
    /// What became of it.
    pub verdict: Verdict,
    /// The baseline.
    pub was: Side,
    /// The values now; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<Side>,
    /// The p-value of Welch's test after Holm's correction, where there was a test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// The confidence interval of the difference of the means, now less then, at the significance of the baseline's rules and
    /// without a correction for other tests; where there was a test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// How many values on each side would be enough to tell, where it cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enough: Option<u64>,
    /// Why, in words.
    pub why: String,
}

impl Side {
    /// The three numbers of some values.
    pub fn of(values: &[f64]) -> Self {
        let deviation = (values.len() > 1).then(|| statistics::deviation(values));
        Side { mean: statistics::mean(values), deviation, n: values.len() }
    }
}

/// The file of a pipeline's baselines.
pub fn path(root: &Path, pipeline: &str) -> PathBuf {
    root.join("baselines").join(format!("{pipeline}.toml"))
}
