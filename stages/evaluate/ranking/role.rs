//! One input of the ranking: the accuracies of its runs, and the facts about their training that its results report.
//! This file reads results; `fit.rs` decides whether those of several inputs may be compared.

use crate::context::Inputs;
use anyhow::{Context as _, Result, bail, ensure};
use ddpipe_interface::Value;
use ddpipe_interface::protocol::InputArtifact;
use serde_json::Value as Json;

/// The results of one input, read and checked to be of one setting.
#[derive(Debug)]
pub(super) struct Role {
    /// The name of the input, as `stage.toml` declares it.
    pub name: &'static str,
    /// The test accuracy of every run, from 0 to 1; where an axis was tuned, the best one over its values.
    pub accuracies: Vec<f64>,
    /// The facts that are the same for all results of the input.
    pub facts: Facts,
}

/// The axes of a result with their values, without the tuned axes. Results with the same place are attempts at the same
/// runs.
type Place<'a> = Vec<(&'a String, &'a Value)>;

/// What a result reports about its data and training.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    /// The origin of the images.
    pub origin: Json,
    /// The architecture of the network with its settings, as the results describe it.
    pub network: Json,
    /// The number of training images.
    pub images: u64,
    /// \[K\], the number of test images of each class.
    pub tested: Vec<u64>,
    /// The kind of the labels: `hard`, `soft` or `targets`; `None` for results of kinds other than
    /// `evaluate.classifier`.
    pub labels: Option<String>,
    /// The settings of the training, without the learning rate and the tuned parameters; `None` where the results
    /// report none.
    pub protocol: Option<serde_json::Map<String, Json>>,
}

impl Role {
    /// Reads the input of this name; `None` when it is not connected. Errors as in [`of`](Self::of).
    pub fn optional(inputs: &Inputs, name: &'static str, tuned: &[String]) -> Result<Option<Self>> {
        let connected = inputs.has(name);
        connected.then(|| Role::of(inputs, name, tuned)).transpose()
    }

    /// Reads the input of this name. Results that differ in an axis of `tuned` are attempts at the same runs, of which
    /// the best accuracy counts; those that differ in another axis that the manifest folds are further runs. An error
    /// if there are no results, if they differ in an axis that is neither folded nor tuned, or if their facts differ.
    pub fn of(inputs: &Inputs, name: &'static str, tuned: &[String]) -> Result<Self> {
        let results = inputs.many(name);
        ensure!(!results.is_empty(), "input {name:?} holds no result; what is gathered selects no stage");
        let mut facts: Option<Facts> = None;
        let mut groups: Vec<(Place, Vec<f64>)> = Vec::new();
        for result in results {
            unfolded(name, &results[0], result, tuned)?;
            let bytes = inputs.bytes_of(result)?;
            let document: Json =
                serde_json::from_slice(&bytes).with_context(|| format!("{}: the metrics are not JSON", result.name))?;
            let (accuracies, own) = read(&document, tuned).with_context(|| result.name.clone())?;
            match &facts {
                None => facts = Some(own),
                Some(first) => ensure!(
                    *first == own,
                    "input {name:?}: {} and {} differ in {}; give it results of one setting",
                    results[0].name,
                    result.name,
                    first.difference(&own)
                ),
            }
            let place: Place = result.labels.iter().filter(|(axis, _)| !tuned.contains(axis)).collect();
            match groups.iter_mut().find(|(other, _)| *other == place) {
                None => groups.push((place, accuracies)),
                Some((_, best)) => {
                    ensure!(
                        best.len() == accuracies.len(),
                        "{} has {} students, others of the same runs have {}",
                        result.name,
                        accuracies.len(),
                        best.len()
                    );
                    best.iter_mut().zip(&accuracies).for_each(|(best, accuracy)| *best = best.max(*accuracy));
                }
            }
        }
        let facts = facts.with_context(|| format!("input {name:?} holds no result"))?;
        Ok(Role { name, accuracies: groups.into_iter().flat_map(|(_, accuracies)| accuracies).collect(), facts })
    }
}

impl Facts {
    /// The first fact in which the two differ, in words, with both values.
    pub fn difference(&self, other: &Facts) -> String {
        if self.origin != other.origin {
            return format!("where the images come from ({} and {})", self.origin, other.origin);
        }
        if self.network != other.network {
            return format!("the network ({} and {})", self.network, other.network);
        }
        if self.tested != other.tested {
            let sum = |counts: &[u64]| counts.iter().sum::<u64>();
            return format!("the test set ({} and {} images)", sum(&self.tested), sum(&other.tested));
        }
        if self.images != other.images {
            return format!("the number of training images ({} and {})", self.images, other.images);
        }
        if self.labels != other.labels {
            let word = |labels: &Option<String>| labels.clone().unwrap_or_else(|| "unknown".into());
            return format!("the labels ({} and {})", word(&self.labels), word(&other.labels));
        }
        let setting = |facts: &Facts, key: &str| {
            let value = facts.protocol.as_ref().and_then(|protocol| protocol.get(key));
            value.map_or_else(|| "nothing".into(), Json::to_string)
        };
        let keys = [self, other].into_iter().filter_map(|facts| facts.protocol.as_ref()).flat_map(|map| map.keys());
        match keys.into_iter().find(|key| setting(self, key) != setting(other, key)) {
            Some(key) => format!("{key} ({} and {})", setting(self, key), setting(other, key)),
            None => "nothing".into(),
        }
    }

    /// The setting of the training with this name, if it is reported.
    pub fn setting(&self, key: &str) -> Option<&Json> {
        self.protocol.as_ref().and_then(|protocol| protocol.get(key))
    }
}

/// Fails if two results of one input differ in an axis that is neither folded (`over`) nor tuned.
fn unfolded(name: &str, first: &InputArtifact, other: &InputArtifact, tuned: &[String]) -> Result<()> {
    let known = |axis: &String| tuned.contains(axis) || first.over.contains(axis) || other.over.contains(axis);
    for axis in first.labels.keys().chain(other.labels.keys()) {
        if first.labels.get(axis) != other.labels.get(axis) && !known(axis) {
            bail!(
                "input {name:?} holds results that differ in {axis:?}; name it in `over` if they are runs, in `tuned` if \
                 the best one counts, or in `each` to score them one by one"
            );
        }
    }
    Ok(())
}

/// The test accuracies of the students of a result, and its facts. An error if the document lacks accuracies, confusion
/// matrix or number of training images.
fn read(document: &Json, tuned: &[String]) -> Result<(Vec<f64>, Facts)> {
    let accuracies = match &document["accuracies"] {
        Json::Array(values) => values.iter().map(Json::as_f64).collect::<Option<Vec<f64>>>(),
        _ => document["accuracy"].as_f64().map(|accuracy| vec![accuracy]),
    };
    let accuracies = accuracies
        .filter(|values| !values.is_empty())
        .context("there is no test accuracy in it; connect a test set to the training")?;
    let students = accuracies.len() as u64;
    let rows = document["confusion"].as_array().context("there is no confusion matrix in it")?;
    let count = |row: &Json| row.as_array().map(|row| row.iter().filter_map(Json::as_u64).sum::<u64>() / students);
    let tested = rows.iter().map(count).collect::<Option<Vec<u64>>>().context("its confusion matrix has no rows")?;
    let mut protocol = document["protocol"].as_object().cloned();
    if let Some(protocol) = &mut protocol {
        protocol.retain(|key, _| key != "lr" && !tuned.contains(key));
    }
    let facts = Facts {
        origin: document["origin"].clone(),
        network: document["network"].clone(),
        images: document["images"].as_u64().context("it does not say how many images were learnt from")?,
        tested,
        labels: document["labels"].as_str().map(str::to_string),
        protocol,
    };
    Ok((accuracies, facts))
}
