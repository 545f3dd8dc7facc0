//! What is shown: scalars with their titles, units and directions. What a manifest does not say follows from the
//! scalar's name.

use super::Params;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// What numbers are shown in.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub enum Unit {
    /// As they are.
    #[serde(rename = "none")]
    Plain,
    /// Times 100.
    #[serde(rename = "percent")]
    Percent,
    /// Divided by 1,000,000.
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

/// Which cell is best.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Best {
    /// The one with the highest mean.
    Highest,
    /// The one with the lowest mean.
    Lowest,
    /// None; nothing is compared.
    None,
}

/// One scalar and how it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Value {
    /// The scalar's name.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// What it is shown in.
    pub unit: Unit,
    /// Which cell is best.
    pub best: Best,
    /// Digits after the point.
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

    /// What a number is multiplied by.
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
    /// The values of these parameters.
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
            let unit = params.units.get(index).copied().unwrap_or_else(|| Unit::of(name));
            let title = name.strip_suffix("_bytes").unwrap_or(name).replace('_', " ");
            Value {
                name: name.clone(),
                title: params.titles.get(index).cloned().unwrap_or(title),
                unit,
                best: params.best.get(index).copied().unwrap_or_else(|| Best::of(name, unit)),
                digits: params.digits[if params.digits.len() == 1 { 0 } else { index }],
            }
        };
        Ok(params.values.iter().enumerate().map(value).collect())
    }

    /// What its numbers are, in a sentence.
    pub fn in_words(&self) -> String {
        match self.unit.sign() {
            Some(sign) => format!("{} in {sign}", self.title),
            None => self.title.clone(),
        }
    }

    /// The title with its unit.
    pub fn full_title(&self) -> String {
        match self.unit.sign() {
            Some(sign) => format!("{} ({sign})", self.title),
            None => self.title.clone(),
        }
    }

    /// The name of the list that holds a result's single values of this scalar, in its document.
    pub fn list(&self) -> String {
        match self.name.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{}s", self.name),
        }
    }
}
