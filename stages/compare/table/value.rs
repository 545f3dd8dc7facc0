//! The metrics that the table shows, with their titles, units and directions. What the parameters leave out follows
//! from the name of the metric.

use super::Params;
use anyhow::{Result, ensure};
use ddpipe_interface::metric::MEASURED;
use serde::{Deserialize, Serialize};

/// The unit in which the numbers of a metric are shown.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub enum Unit {
    /// The number as it is reported.
    #[serde(rename = "none")]
    Plain,
    /// The number times 100, for shares from 0 to 1.
    #[serde(rename = "percent")]
    Percent,
    /// The number divided by 1,000,000.
    #[serde(rename = "million")]
    Million,
    /// Bytes divided by 1024.
    KiB,
    /// Bytes divided by 1024².
    MiB,
    /// Bytes divided by 1024³.
    GiB,
    /// Seconds.
    #[serde(rename = "s")]
    Second,
    /// Seconds divided by 60.
    #[serde(rename = "min")]
    Minute,
    /// Seconds divided by 3600.
    #[serde(rename = "h")]
    Hour,
}

/// Whether the highest or the lowest mean of a family of cells counts as best.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Best {
    /// The highest mean is best.
    Highest,
    /// The lowest mean is best.
    Lowest,
    /// No mean is best: the cells are shown without a test.
    None,
}

/// One metric that the table shows, and how it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Value {
    /// The name of the metric in the results.
    pub name: String,
    /// The title of the metric in the table.
    pub title: String,
    /// The unit in which the metric is shown.
    pub unit: Unit,
    /// Whether the highest or the lowest mean counts as best.
    pub best: Best,
    /// Digits after the decimal point.
    pub digits: usize,
}

impl Unit {
    fn of(name: &str) -> Self {
        match name {
            _ if name.ends_with("_bytes") => Unit::MiB,
            _ if name == "seconds" || name.ends_with("_seconds") => Unit::Second,
            "parameters" | "flops" => Unit::Million,
            "macro_f1" | "auc" | "ece" => Unit::Percent,
            _ if name.contains("accuracy") => Unit::Percent,
            _ => Unit::Plain,
        }
    }

    /// The factor that turns a number as it is reported into this unit.
    pub fn factor(self) -> f64 {
        match self {
            Unit::Plain | Unit::Second => 1.0,
            Unit::Percent => 100.0,
            Unit::Million => 1e-6,
            Unit::KiB => 1.0 / 1024.0,
            Unit::MiB => 1.0 / (1u64 << 20) as f64,
            Unit::GiB => 1.0 / (1u64 << 30) as f64,
            Unit::Minute => 1.0 / 60.0,
            Unit::Hour => 1.0 / 3600.0,
        }
    }

    fn sign(self) -> Option<&'static str> {
        Some(match self {
            Unit::Plain => return None,
            Unit::Percent => "%",
            Unit::Million => "millions",
            Unit::KiB => "KiB",
            Unit::MiB => "MiB",
            Unit::GiB => "GiB",
            Unit::Second => "s",
            Unit::Minute => "min",
            Unit::Hour => "h",
        })
    }
}

impl Best {
    fn of(name: &str, unit: Unit) -> Self {
        let costs = matches!(name, "loss" | "ece" | "parameters" | "flops");
        let measured = !matches!(unit, Unit::Plain | Unit::Percent | Unit::Million);
        if costs || measured { Best::Lowest } else { Best::Highest }
    }
}

impl Value {
    /// The metrics that `params.values` names, in that order, with titles, units, directions and digits. An error if
    /// `values` is empty or another list has a different number of entries.
    pub fn all(params: &Params) -> Result<Vec<Self>> {
        let count = params.values.len();
        ensure!(count > 0, "`values` is empty; name at least one scalar to show");
        let fits = |name: &str, given: usize| {
            ensure!(
                given == 0 || given == count,
                "`{name}` has {given} entries for {count} `values`; give one for each"
            );
            Ok(())
        };
        fits("titles", params.titles.len())?;
        fits("units", params.units.len())?;
        fits("best", params.best.len())?;
        ensure!(
            [1, count].contains(&params.digits.len()),
            "`digits` has {} entries for {count} `values`; give one for all, or one for each",
            params.digits.len()
        );
        let value = |(index, name): (usize, &String)| {
            let plain = name.strip_prefix(MEASURED).unwrap_or(name);
            let unit = params.units.get(index).copied().unwrap_or_else(|| Unit::of(plain));
            let title = plain.strip_suffix("_bytes").unwrap_or(plain).replace('_', " ");
            Value {
                name: name.clone(),
                title: params.titles.get(index).cloned().unwrap_or(title),
                unit,
                best: params.best.get(index).copied().unwrap_or_else(|| Best::of(plain, unit)),
                digits: params.digits[if params.digits.len() == 1 { 0 } else { index }],
            }
        };
        Ok(params.values.iter().enumerate().map(value).collect())
    }

    /// Title and unit as part of a sentence: `peak memory in MiB`; the title alone where there is no unit.
    pub fn in_words(&self) -> String {
        match self.unit.sign() {
            Some(sign) => format!("{} in {sign}", self.title),
            None => self.title.clone(),
        }
    }

    /// Title and unit as the title of a column: `peak memory (MiB)`; the title alone where there is no unit.
    pub fn full_title(&self) -> String {
        match self.unit.sign() {
            Some(sign) => format!("{} ({sign})", self.title),
            None => self.title.clone(),
        }
    }

    /// The name of the list in a result's document that holds the single values of this metric: `accuracies` for
    /// `accuracy`, `aucs` for `auc`.
    pub fn list(&self) -> String {
        match self.name.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{}s", self.name),
        }
    }
}
