//! The metrics of a stage: the numbers that expectations, tables and the journal address as `node.name`. A kind declares
//! every one that it can give, so that a misspelt name is found before anything runs.

use crate::{Param, ParamType, Value};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// Name of the metric that holds the largest memory of the host that a stage needed; the worker measures it.
pub const PEAK_MEMORY: &str = "peak_memory_bytes";
/// Name of the metric that holds the largest memory of a CUDA device that a stage needed; the worker measures it.
pub const PEAK_DEVICE_MEMORY: &str = "peak_device_memory_bytes";

/// One metric of a kind. Its name may hold one `*`, which stands for any text, where names depend on the data, and
/// `${param}`, which stands for the value of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// One line.
    pub help: String,
    /// Unit, for the reader: `share` (a number from 0 to 1), `seconds`, `bytes`, `images/s`; none of a plain number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Which of two values is better, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub better: Option<Better>,
    /// Whether it is a measurement of the run (seconds, rates, peak memory), which differs from run to run: kept beside
    /// the results, and handed to a table only where the table names it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub measured: bool,
    /// Whether it is shown on the line that says that a stage is done. At most two of a kind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub headline: bool,
    /// How far the single values scatter, where it is the mean over several that the stage makes itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// What tells how sure a mean is that a stage takes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The metric that holds the standard deviation of the single values.
    pub deviation: String,
    /// The parameter that says how many they are. Another number makes the mean more or less sure, and measures the same.
    pub over: String,
}

impl Spread {
    /// Says what a kind with these metrics and parameters does not have of what it names.
    pub(crate) fn check(
        &self,
        metrics: &IndexMap<String, Metric>,
        params: &IndexMap<String, Param>,
    ) -> Result<(), String> {
        if !metrics.contains_key(&self.deviation) {
            return Err(format!("`spread` names {:?}, which is no metric", self.deviation));
        }
        if !params.get(&self.over).is_some_and(|param| param.kind == ParamType::Integer) {
            return Err(format!("`spread` needs a parameter that holds a whole number, not {:?}", self.over));
        }
        Ok(())
    }
}

/// Which of two values of a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// The higher one.
    Higher,
    /// The lower one.
    Lower,
}

/// What stands before the name of a measured quantity where a manifest names one: `measured.seconds`.
pub const MEASURED: &str = "measured.";

/// The metrics that every stage has beside those of its kind.
pub fn of_every_stage() -> &'static IndexMap<String, Metric> {
    static METRICS: LazyLock<IndexMap<String, Metric>> = LazyLock::new(|| {
        let bytes = |name: &str, help: &str| {
            let (unit, better) = (Some("bytes".into()), Some(Better::Lower));
            let metric = Metric { help: help.into(), unit, better, measured: true, headline: false, spread: None };
            (name.to_string(), metric)
        };
        IndexMap::from([
            bytes(
                PEAK_MEMORY,
                "The most memory of the host that the stage needed at once; absent where it is not known.",
            ),
            bytes(
                PEAK_DEVICE_MEMORY,
                "The most memory of the CUDA device that its tensors held at once; absent on a CPU.",
            ),
        ])
    });
    &METRICS
}

/// Whether a declared name, with the values of a stage's parameters, stands for `name`.
pub fn stands_for(declared: &str, params: &IndexMap<String, Value>, name: &str) -> bool {
    let Some(declared) = filled_in(declared, params) else { return false };
    match declared.split_once('*') {
        None => declared == name,
        Some((before, after)) => {
            let rest = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            rest.is_some_and(|middle| !middle.is_empty())
        }
    }
}

/// A declared name with its `${param}` replaced; none when the parameter is no text or absent.
pub fn filled_in(declared: &str, params: &IndexMap<String, Value>) -> Option<String> {
    match parts(declared) {
        None => Some(declared.to_string()),
        Some((before, param, after)) => match params.get(param) {
            Some(Value::String(text)) => Some(format!("{before}{text}{after}")),
            _ => None,
        },
    }
}

/// What stands before, in and behind the `${…}` of a declared name.
pub(crate) fn parts(declared: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = declared.split_once("${")?;
    let (param, after) = rest.split_once('}')?;
    Some((before, param, after))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Declaration;

    #[test]
    fn a_spread_names_a_metric_and_a_whole_number() {
        let parsed = |spread: &str| {
            let text = format!(
                "name = \"a.b\"\nhelp = \"h\"\nversion = 1\n[outputs]\nz = {{ type = \"model\", help = \"h\" }}\n\
                 [params]\nn = {{ type = \"integer\", default = 2, help = \"h\" }}\n\
                 [metrics]\na = {{ help = \"h\", spread = {{ {spread} }} }}\ns = {{ help = \"h\" }}\n"
            );
            Declaration::parse(&text).map_err(|error| error.to_string())
        };
        assert!(parsed("deviation = \"s\", over = \"n\"").is_ok());
        assert!(parsed("deviation = \"t\", over = \"n\"").unwrap_err().contains("\"t\", which is no metric"));
        assert!(parsed("deviation = \"s\", over = \"m\"").unwrap_err().contains("a whole number, not \"m\""));
    }

    #[test]
    fn a_star_stands_for_some_text_and_a_parameter_for_its_value() {
        let params = IndexMap::from([("axis".to_string(), Value::String("ipc".into()))]);
        let fits = |declared: &str, name: &str| stands_for(declared, &params, name);
        assert!(fits("accuracy", "accuracy") && !fits("accuracy", "accuracy_std"));
        assert!(fits("accuracy_*_of_7", "accuracy_4_of_7"));
        assert!(!fits("accuracy_*_of_7", "accuracy__of_7") && !fits("accuracy_*_of_7", "accuracy_of_7"));
        assert!(fits("${axis}", "ipc") && fits("best_${axis}", "best_ipc") && !fits("${axis}", "axis"));
        assert!(!fits("${value}", "${value}"));
    }
}
