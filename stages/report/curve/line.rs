//! Sorts curves into lines: one for each combination of labels that are not folded.

use crate::report::sheet::{Cell, plain};
use anyhow::{Context as _, Result, bail, ensure};
use ddpipe_interface::Value;
use ddpipe_interface::protocol::InputArtifact;
use serde_json::Value as Json;

/// A line of a chart.
#[derive(Debug)]
pub struct Line {
    /// The labels that tell it from the others, in words; empty for a single line.
    pub title: String,
    /// Step and value at it, by ascending step.
    pub points: Vec<(u64, Cell)>,
}

/// The points of one curve of one run.
type Points = Vec<(u64, f64)>;

/// The curves of one line.
type Group<'a> = Vec<(&'a InputArtifact, Points)>;

/// The labels that tell the lines apart, and the lines, in the order of the results. An error if there are no results, if a
/// result has no curve of this name, if two results that are not folded have the same labels, or if folded curves have no
/// step in common.
pub fn lines(results: &[InputArtifact], documents: &[Json], value: &str) -> Result<(Vec<String>, Vec<Line>)> {
    ensure!(!results.is_empty(), "there are no curves to draw; what is gathered selects no stage");
    let by = telling(results);
    let mut groups: Vec<(Vec<Option<&Value>>, Group)> = Vec::new();
    for (result, document) in results.iter().zip(documents) {
        let place: Vec<Option<&Value>> = by.iter().map(|label| result.labels.get(label)).collect();
        let points = points(document, value).with_context(|| result.name.clone())?;
        match groups.iter_mut().find(|(other, _)| *other == place) {
            Some((_, group)) => {
                let twin = group.iter().find(|(other, _)| other.labels == result.labels);
                if let Some((twin, _)) = twin {
                    bail!("{} and {} have the same labels; gather one of them", twin.name, result.name);
                }
                group.push((result, points));
            }
            None => groups.push((place, vec![(result, points)])),
        }
    }
    let lines = groups.into_iter().map(|(place, group)| Ok(Line { title: title(&by, &place), points: fold(&group)? }));
    let lines = lines.collect::<Result<_>>()?;
    Ok((by, lines))
}

/// The labels that are not folded and in which results differ.
fn telling(results: &[InputArtifact]) -> Vec<String> {
    let mut by: Vec<String> = Vec::new();
    for label in results.iter().flat_map(|result| result.labels.keys()) {
        let differs = results.iter().any(|result| result.labels.get(label) != results[0].labels.get(label));
        let is_folded = results.iter().all(|result| result.over.contains(label));
        if differs && !is_folded && !by.contains(label) {
            by.push(label.clone());
        }
    }
    by
}

/// Texts by themselves, numbers with the name of their label.
fn title(by: &[String], place: &[Option<&Value>]) -> String {
    let part = |(label, value): (&String, &Option<&Value>)| match value {
        None => format!("no {label}"),
        Some(Value::String(text)) => text.clone(),
        Some(value) => format!("{label}={}", plain(value)),
    };
    by.iter().zip(place).map(part).collect::<Vec<_>>().join(", ")
}

/// The points of the curve of this name.
fn points(document: &Json, name: &str) -> Result<Points> {
    let curves = document["curves"].as_object().context("these metrics have no curves; gather an output \"curve\"")?;
    let Some(curve) = curves.get(name) else {
        let known: Vec<&str> = curves.keys().map(String::as_str).collect();
        bail!("there is no curve {name:?}; there are {}", known.join(", "));
    };
    let points: Points = serde_json::from_value(curve.clone())
        .with_context(|| format!("the curve {name:?} is not a list of pairs of step and number"))?;
    ensure!(!points.is_empty(), "the curve {name:?} has no points");
    Ok(points)
}

/// Mean and deviation at every step that all curves have.
fn fold(group: &[(&InputArtifact, Points)]) -> Result<Vec<(u64, Cell)>> {
    let (first, others) = group.split_first().context("a line has at least one curve")?;
    let at = |points: &Points, step: u64| {
        points.binary_search_by_key(&step, |(step, _)| *step).ok().and_then(|index| points.get(index)).map(|it| it.1)
    };
    let mut folded = Vec::new();
    for (step, value) in &first.1 {
        let others: Option<Vec<f64>> = others.iter().map(|(_, points)| at(points, *step)).collect();
        let Some(mut values) = others else { continue };
        values.insert(0, *value);
        folded.extend(Cell::of(&values).map(|cell| (*step, cell)));
    }
    ensure!(
        !folded.is_empty(),
        "{} and the curves folded with it have no step in common; do not fold them, or give them equal numbers of iterations",
        first.0.name
    );
    Ok(folded)
}
