//! `search.ipc`: the smallest number of images per class whose evaluation reaches a share of the value on the whole
//! set. It bisects over evaluations that run only when it asks for them; it distils and trains nothing itself, and
//! works with any method. `bisection.rs` decides which evaluation is next.

mod bisection;

use crate::context::{Context, Inputs, Outputs};
use anyhow::{Context as _, Result, ensure};
use bisection::{Step, next};
use ddpipe_interface::protocol::{Absent, InputArtifact};
use ddpipe_interface::{ArtifactType, Value};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// The parameters: the share of the whole set's value that is to be reached, the axis that holds the numbers of images
/// per class, and the metric that is compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    share: f64,
    axis: String,
    value: String,
}

/// One number of images per class: the values of its evaluations that have run, and the evaluations that have not.
#[derive(Default)]
struct Choice<'a> {
    values: Vec<f64>,
    absent: Vec<&'a Absent>,
}

impl Choice<'_> {
    /// The mean value over its evaluations; `None` while one of them has not run.
    fn mean(&self) -> Option<f64> {
        let whole = self.absent.is_empty() && !self.values.is_empty();
        whole.then(|| self.values.iter().sum::<f64>() / self.values.len() as f64)
    }
}

/// Runs the stage: from the evaluations that are there, either reports the number found or asks for further
/// evaluations.
pub fn run(ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let whole: serde_json::Value = serde_json::from_slice(&inputs.bytes("whole")?).context("input \"whole\"")?;
    let reference = whole[&params.value].as_f64().with_context(|| {
        format!("input \"whole\" has no result {:?}; name one that it has with `value`", params.value)
    })?;
    let target = params.share * reference;

    let mut choices: BTreeMap<i64, Choice> = BTreeMap::new();
    for result in inputs.many("results") {
        let value = result.metrics.get(&params.value).with_context(|| unmeasured(result, &params.value))?;
        choices.entry(number(&result.labels, &params.axis)?).or_default().values.push(*value);
    }
    for absent in inputs.absent("results") {
        choices.entry(number(&absent.labels, &params.axis)?).or_default().absent.push(absent);
    }
    ensure!(!choices.is_empty(), "input \"results\" is empty; gather evaluations over an axis {:?}", params.axis);
    let numbers: Vec<i64> = choices.keys().copied().collect();
    let known: Vec<Option<f64>> = choices.values().map(Choice::mean).collect();

    let found = match next(&known, target) {
        Step::Look(index) => {
            ctx.log(format!("asks for {} = {}", params.axis, numbers[index]));
            let wanted = choices[&numbers[index]].absent.iter();
            return Ok(wanted.fold(Outputs::default(), |outputs, absent| outputs.ask("results", absent)));
        }
        Step::Found(index) => index,
    };
    let looked: Vec<_> = numbers.iter().zip(&known).filter_map(|(&number, &value)| Some((number, value?))).collect();
    let document = json!({
        "axis": params.axis,
        "value": params.value,
        "share": params.share,
        "whole": reference,
        "target": target,
        "found": found.map(|index| numbers[index]),
        "reached": found.and_then(|index| known[index]),
        "looked_at": looked
            .iter()
            .map(|(number, value)| json!({ "number": number, "value": value, "reaches": *value >= target }))
            .collect::<Vec<_>>(),
        "choices": numbers,
        "origin": whole["origin"],
    });
    let mut outputs = Outputs::default()
        .json("metrics", ArtifactType::Metrics, document)
        .metric("target", target)
        .metric("whole", reference)
        .metric("looked_at", looked.len() as f64);
    match found {
        Some(index) => {
            outputs = outputs.metric(&params.axis, numbers[index] as f64);
            if let Some(value) = known[index] {
                outputs = outputs.metric(&params.value, value).metric("share", value / reference);
            }
        }
        None => ctx.warn(format!(
            "no {} up to {} reaches {} {target:.4}; it takes larger ones",
            params.axis,
            numbers[numbers.len() - 1],
            params.value
        )),
    }
    Ok(outputs)
}

fn number(labels: &IndexMap<String, Value>, axis: &str) -> Result<i64> {
    match labels.get(axis) {
        Some(Value::Integer(number)) => Ok(*number),
        Some(other) => anyhow::bail!("axis {axis:?} has to hold whole numbers; found {}", other.describe()),
        None => {
            let names: Vec<&str> = labels.keys().map(String::as_str).collect();
            anyhow::bail!("the gathered results have no axis {axis:?}; they have: {}", names.join(", "))
        }
    }
}

fn unmeasured(result: &InputArtifact, value: &str) -> String {
    let names: Vec<&str> = result.metrics.keys().map(String::as_str).collect();
    format!("{} has no result {value:?}; it has: {}", result.name, names.join(", "))
}
