//! Steps and batches that depend on how many images a set has, as some authors' evaluations choose them.

use super::TrainingParams;
use anyhow::{Result, ensure};
use serde::Deserialize;

/// Steps in place of epochs, and batch sizes, by the number of images. Part of a kind's `Params`, by `#[serde(flatten)]`.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "each is the parameter of the same name in stage.toml, which has the help")]
pub struct BySize {
    pub sizes: Vec<i64>,
    pub steps: Vec<u64>,
    pub batch_sizes: Vec<i64>,
}

impl BySize {
    /// The parameters of a training on a set of so many images. The entry counts whose size is the first that is not
    /// smaller than the set, or the last one; without sizes, or where only one is given, there is a single entry.
    pub fn of(&self, training: TrainingParams, images: i64) -> Result<TrainingParams> {
        let entries = self.sizes.len().max(1);
        for (name, given) in [("steps", self.steps.len()), ("batch_sizes", self.batch_sizes.len())] {
            ensure!(
                given <= 1 || given == entries,
                "{name} has {given} entries; give one for each of the {entries} entries of sizes (which a protocol may have \
                 set), a single one for every size, or none"
            );
        }
        ensure!(self.sizes.is_sorted(), "sizes = {:?} have to rise", self.sizes);
        let place = self.sizes.iter().position(|&size| size >= images).unwrap_or(entries - 1);
        let batch_size = at(&self.batch_sizes, place).unwrap_or(training.batch_size);
        let Some(steps) = at(&self.steps, place) else { return Ok(TrainingParams { batch_size, ..training }) };
        let batches = (images.max(1) as u64).div_ceil(batch_size.max(1) as u64);
        Ok(TrainingParams { batch_size, epochs: steps.div_ceil(batches), planned_steps: Some(steps), ..training })
    }
}

/// The entry at this place, or the only one.
fn at<T: Copy>(entries: &[T], place: usize) -> Option<T> {
    let place = if entries.len() == 1 { 0 } else { place };
    entries.get(place).copied()
}
