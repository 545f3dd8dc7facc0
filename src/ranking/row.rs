//! One result on record, with everything that can be asked of it by name.

use crate::catalog::Catalog;
use crate::lineage::{Lineage, Settings, Values, kind_of, params, stage_of};
use crate::number::significant;
use crate::selector::Selector;
use crate::when;
use ddpipe_cache::{Key, Record, RunSeen};
use ddpipe_interface::Value;
use indexmap::IndexMap;
use std::cmp::Ordering;
use std::time::SystemTime;

/// One result on record.
#[derive(Clone, Debug)]
pub struct Row {
    /// The key of its record.
    pub key: Key,
    /// The pipeline that made it.
    pub pipeline: String,
    /// The node's address.
    pub node: String,
    /// The node's stage.
    pub stage: String,
    /// The stage's kind.
    pub kind: String,
    /// When its stage started.
    pub made: SystemTime,
    /// The run that made it, while its folder is there.
    pub run: Option<String>,
    /// The axes of the node.
    pub axes: IndexMap<String, String>,
    /// The seed, of a kind that draws random numbers.
    pub seed: Option<String>,
    /// The parameters of it and of what it read.
    pub settings: Settings,
    /// Its own parameters that were set.
    pub given: IndexMap<String, Value>,
    /// Results.
    pub metrics: IndexMap<String, f64>,
    /// Measured quantities, and `seconds`.
    pub measured: IndexMap<String, f64>,
    /// Of a row that stands for several results, whose means it has.
    pub folded: Option<Folded>,
}

/// Several results in one row.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    /// Their records.
    pub keys: Vec<Key>,
    /// The sample standard deviations of their metrics, where there are at least two values.
    pub deviations: IndexMap<String, f64>,
}

/// What a row says under a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl Row {
    pub(super) fn of(record: &Record, lineage: &Lineage, run: Option<&RunSeen>, catalog: &Catalog) -> Self {
        let axes = record.node.parse::<Selector>().map(|selector| selector.axes).unwrap_or_default();
        let seed = record.description.iter().find(|(name, _)| name == "seed").map(|(_, seed)| seed.clone());
        let given = params(record)
            .filter_map(|(name, value)| Some((name.to_string(), serde_json::from_str(value).ok()?)))
            .collect();
        let mut measured = record.measured.clone();
        measured.entry("seconds".into()).or_insert(record.provenance.seconds);
        Row {
            key: record.key,
            pipeline: record.pipeline.clone(),
            stage: stage_of(&record.node).to_string(),
            node: record.node.clone(),
            kind: kind_of(record).to_string(),
            made: when::since_1970(record.provenance.started_unix),
            run: run.map(|run| run.name.clone().unwrap_or_else(|| run.id.clone())),
            axes,
            seed,
            settings: lineage.settings(record, catalog),
            given,
            metrics: record.metrics.clone(),
            measured,
            folded: None,
        }
    }

    /// A result or a measured quantity.
    pub fn number(&self, name: &str) -> Option<f64> {
        let name = name.strip_prefix(ddpipe_interface::metric::MEASURED).unwrap_or(name);
        self.metrics.get(name).or_else(|| self.measured.get(name)).copied()
    }

    /// What it says under a name: one of its own words, an axis, a parameter as `param` or `stage.param`, or a metric.
    pub fn cell(&self, name: &str) -> Option<Cell> {
        let text = |text: &str| Some(Cell::Text(text.to_string()));
        match name {
            "pipeline" => text(&self.pipeline),
            "node" => text(&self.node),
            "stage" => text(&self.stage),
            "kind" => text(&self.kind),
            "key" if self.folded.is_none() => text(&self.key.short()),
            "key" => None,
            "run" => self.run.as_deref().and_then(text),
            "made" => Some(Cell::Text(when::rfc3339(self.made))),
            _ => self
                .setting(name)
                .map(|setting| Cell::Text(setting.to_string()))
                .or_else(|| self.number(name).map(Cell::Number))
                .or_else(|| self.of_fold(name)),
        }
    }

    /// All that it says under a name: of a parameter with several values each of them, and all together.
    pub fn cells(&self, name: &str) -> Vec<Cell> {
        let several = self.setting(name).filter(|values| values.count() > 1 && !self.is_word(name));
        let several = several.iter().flat_map(Values::iter).map(|value| Cell::Text(value.to_string()));
        several.chain(self.cell(name)).collect()
    }

    fn is_word(&self, name: &str) -> bool {
        ["pipeline", "node", "stage", "kind", "key", "run", "made"].contains(&name)
    }

    /// `n`, and `METRIC.std`.
    fn of_fold(&self, name: &str) -> Option<Cell> {
        let folded = self.folded.as_ref()?;
        if name == "n" {
            return Some(Cell::Number(folded.keys.len() as f64));
        }
        folded.deviations.get(name.strip_suffix(".std")?).copied().map(Cell::Number)
    }

    /// An axis, the seed, or a parameter: its own before those of what it read.
    pub(super) fn setting(&self, name: &str) -> Option<Values> {
        let of = |stage: &str| self.settings.params.get(&format!("{stage}.{name}"));
        let behind = || self.settings.stages.keys().find_map(|stage| of(stage));
        if let Some(axis) = self.axes.get(name) {
            return Some(Values::one(axis));
        }
        let seed = self.seed.as_ref().filter(|_| name == "seed").map(Values::one);
        self.settings.params.get(name).cloned().or(seed).or_else(|| of(&self.stage).or_else(behind).cloned())
    }
}

impl Cell {
    /// As shown in a table.
    pub fn text(&self) -> String {
        match self {
            Cell::Number(number) => significant(*number),
            Cell::Text(text) => text.clone(),
        }
    }

    /// With all digits, for programs.
    pub fn exact(&self) -> String {
        match self {
            Cell::Number(number) => number.to_string(),
            Cell::Text(text) => text.clone(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Cell::Number(number) => Some(*number),
            Cell::Text(text) => text.parse().ok(),
        }
    }

    /// Whether it is a number, or reads as one.
    pub fn is_number(&self) -> bool {
        self.number().is_some_and(|number| !number.is_nan())
    }

    /// The order of two cells: numbers by size, others by text. What is no number among numbers is last, whichever way.
    pub fn compared(&self, other: &Cell, descending: bool) -> Ordering {
        let turned = |order: Ordering| if descending { order.reverse() } else { order };
        match (self.number().filter(|number| !number.is_nan()), other.number().filter(|number| !number.is_nan())) {
            (Some(one), Some(other)) => turned(one.total_cmp(&other)),
            (None, None) => turned(self.exact().cmp(&other.exact())),
            (one, other) => other.is_some().cmp(&one.is_some()),
        }
    }
}
