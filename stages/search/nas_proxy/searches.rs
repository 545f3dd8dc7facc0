//! Combines gathered results of `search.candidates`: the parts of one search become one list, and searches that differ
//! in a folded axis become one with mean accuracies. Lists with different candidates are an error; no correlation is
//! computed for them.

use crate::context::Inputs;
use crate::search::candidates::Tested;
use anyhow::{Context as _, Result, bail, ensure};
use ddpipe_interface::Value;
use ddpipe_interface::protocol::InputArtifact;
use indexmap::IndexMap;
use serde::Deserialize;

/// The axis whose values are the parts of one search.
const PART: &str = "part";

/// One search with all its parts, averaged over the folded runs.
#[derive(Debug)]
pub(super) struct Search {
    /// The address `stage[axis=value]`, without the axis `part` and the folded axes.
    pub address: String,
    /// The candidates, in the order of the search space.
    pub candidates: Vec<Tested>,
    /// The test accuracy of each of `candidates`, in the same order: the mean over the runs.
    pub accuracies: Vec<f64>,
    /// The number of searches (runs) that were folded into this one.
    pub runs: usize,
    /// The number of images on which each candidate was trained.
    pub images: u64,
    /// The number of optimiser steps of each training.
    pub steps: u64,
    /// Wall time of one search in seconds, with its tests; the mean over the runs.
    pub seconds: f64,
    /// Wall time of the tests of one search in seconds; the mean over the runs.
    pub test_seconds: f64,
    /// The number of trainings that diverged, summed over the runs.
    pub diverged: usize,
    origins: Vec<String>,
}

/// The fields that are read from the document of a result.
#[derive(Deserialize)]
struct Document {
    origin: String,
    images: u64,
    steps: u64,
    candidates: Vec<Tested>,
}

type Labels = IndexMap<String, Value>;

/// Reads all searches of the input `name`, in the order in which they are gathered. Results carry the name of their
/// stage only when several stages are gathered; otherwise `role` takes its place in the address. An error if nothing is
/// gathered or the candidates of runs or parts do not fit.
pub(super) fn read(inputs: &Inputs, name: &str, role: &str) -> Result<Vec<Search>> {
    let mut groups: Vec<(Labels, Vec<&InputArtifact>)> = Vec::new();
    for result in inputs.many(name) {
        let labels = without(&result.labels, |axis| axis == PART || result.over.iter().any(|folded| folded == axis));
        match groups.iter_mut().find(|(known, _)| *known == labels) {
            Some((_, results)) => results.push(result),
            None => groups.push((labels, vec![result])),
        }
    }
    ensure!(!groups.is_empty(), "input {name:?} is empty; what is gathered selects no stage");
    groups.into_iter().map(|(labels, results)| fold(inputs, role, &labels, &results)).collect()
}

/// The origins of the images of these searches, without repetitions.
pub(super) fn origins<'a>(searches: impl Iterator<Item = &'a Search>) -> Vec<String> {
    let mut origins: Vec<String> = Vec::new();
    for origin in searches.flat_map(|search| &search.origins) {
        if !origins.contains(origin) {
            origins.push(origin.clone());
        }
    }
    origins
}

impl Search {
    /// Checks that both searches have the same candidates; the error names a candidate that only one of them has.
    pub fn same_candidates(&self, other: &Search) -> Result<()> {
        same(&self.address, &self.candidates, &other.address, &other.candidates)
    }
}

/// Folds the results of one search, which may be several runs in several parts, into one search with the mean
/// accuracies and times of the runs. An error if the runs differ in candidates, images or steps.
fn fold(inputs: &Inputs, role: &str, labels: &Labels, results: &[&InputArtifact]) -> Result<Search> {
    let mut runs: Vec<(Labels, Vec<&InputArtifact>)> = Vec::new();
    for &result in results {
        let labels = without(&result.labels, |axis| axis == PART);
        match runs.iter_mut().find(|(known, _)| *known == labels) {
            Some((_, parts)) => parts.push(result),
            None => runs.push((labels, vec![result])),
        }
    }
    let mut runs = runs.into_iter().map(|(labels, parts)| join(inputs, address(role, &labels), &parts));
    let mut search = runs.next().context("a search without a run")??;
    let first = search.address.clone();
    search.address = address(role, labels);
    for run in runs {
        let run = run?;
        same(&run.address, &run.candidates, &first, &search.candidates)?;
        ensure!(
            (run.images, run.steps) == (search.images, search.steps),
            "{} and {first} cannot be folded: {} steps on {} images, and {} on {}",
            run.address,
            run.steps,
            run.images,
            search.steps,
            search.images
        );
        search.runs += 1;
        search.seconds += run.seconds;
        search.test_seconds += run.test_seconds;
        search.diverged += run.diverged;
        search.accuracies.iter_mut().zip(run.accuracies).for_each(|(sum, accuracy)| *sum += accuracy);
        search.origins.extend(run.origins);
    }
    if search.runs == 1 {
        return Ok(search);
    }
    let runs = search.runs as f64;
    // Rounded so that equal means stay equal: sums in a different order differ in their last digit.
    search.accuracies.iter_mut().for_each(|sum| *sum = (*sum / runs * 1e12).round() / 1e12);
    search.seconds /= runs;
    search.test_seconds /= runs;
    Ok(search)
}

/// Joins the parts of one run into one search, with the candidates in the order of the search space. An error if the
/// parts differ in images or steps, or if a candidate occurs twice.
fn join(inputs: &Inputs, address: String, parts: &[&InputArtifact]) -> Result<Search> {
    let mut search: Option<Search> = None;
    for &part in parts {
        let bytes = inputs.bytes_of(part)?;
        let document: Document = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not a result of search.candidates", part.name))?;
        let search = search.get_or_insert_with(|| Search {
            address: address.clone(),
            candidates: Vec::new(),
            accuracies: Vec::new(),
            runs: 1,
            images: document.images,
            steps: document.steps,
            seconds: 0.0,
            test_seconds: 0.0,
            diverged: 0,
            origins: Vec::new(),
        });
        ensure!(
            (search.images, search.steps) == (document.images, document.steps),
            "the parts of {address} differ: {} steps on {} images, and {} on {}",
            search.steps,
            search.images,
            document.steps,
            document.images
        );
        search.candidates.extend(document.candidates);
        search.origins.push(document.origin);
        search.seconds += metric(part, "seconds")?;
        search.test_seconds += metric(part, "test_seconds")?;
    }
    let mut search = search.context("a search without a part")?;
    search.candidates.sort_by_key(|candidate| candidate.index);
    if let Some(twins) = search.candidates.windows(2).find(|pair| pair[0].index == pair[1].index) {
        bail!(
            "{address} holds candidate {:?} (number {}) twice; gather every part once",
            twins[0].name,
            twins[0].index
        );
    }
    search.accuracies = search.candidates.iter().map(|candidate| candidate.accuracy).collect();
    search.diverged = search.candidates.iter().filter(|candidate| candidate.diverged).count();
    Ok(search)
}

fn same(here: &str, ours: &[Tested], there: &str, theirs: &[Tested]) -> Result<()> {
    let way_out = "give both the same space, `candidates` and `space_seed`, and gather every part";
    let lacks = |list: &[Tested], other: &Tested| !list.iter().any(|candidate| candidate.index == other.index);
    let only = |whose: &str, candidate: &Tested, list: &[Tested], other: &[Tested]| {
        let counts = format!("{} candidates against {}", list.len(), other.len());
        format!("only {whose} has {:?} (number {}; {counts}); {way_out}", candidate.name, candidate.index)
    };
    if let Some(candidate) = theirs.iter().find(|candidate| lacks(ours, candidate)) {
        bail!("{here} and {there} have other candidates: {}", only(there, candidate, theirs, ours));
    }
    if let Some(candidate) = ours.iter().find(|candidate| lacks(theirs, candidate)) {
        bail!("{here} and {there} have other candidates: {}", only(here, candidate, ours, theirs));
    }
    for (a, b) in ours.iter().zip(theirs) {
        ensure!(
            a.network.architecture == b.network.architecture,
            "{here} and {there} have other candidates: number {} is {:?} in one and {:?} in the other; {way_out}",
            a.index,
            a.name,
            b.name
        );
        ensure!(
            a.network == b.network,
            "{here} and {there} are about images of other sizes or other numbers of classes"
        );
    }
    Ok(())
}

fn without(labels: &Labels, dropped: impl Fn(&str) -> bool) -> Labels {
    let kept = labels.iter().filter(|(axis, _)| !dropped(axis));
    kept.map(|(axis, value)| (axis.clone(), value.clone())).collect()
}

/// The address of a node, `stage[axis=value]`, from its labels; `role` is the name of the stage where the labels have
/// none.
fn address(role: &str, labels: &Labels) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let stage = labels.get("stage").map_or_else(|| role.into(), text);
    let axes = labels.iter().filter(|(axis, _)| *axis != "stage");
    let axes: Vec<String> = axes.map(|(axis, value)| format!("{axis}={}", text(value))).collect();
    if axes.is_empty() { stage } else { format!("{stage}[{}]", axes.join(",")) }
}

fn metric(result: &InputArtifact, name: &str) -> Result<f64> {
    let value = result.metrics.get(name).copied();
    value.with_context(|| format!("{} has no metric {name:?}; it is no result of search.candidates", result.name))
}
