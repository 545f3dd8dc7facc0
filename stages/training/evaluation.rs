//! How well a trained network does on images it has not seen.

use super::{Batch, Examples};
use anyhow::Result;
use ddpipe_nn::metrics::{Agreement, Confusion, Probabilities, TestScores};
use ddpipe_nn::network::{Chunk, Network, Parameters};
use std::time::{Duration, Instant};
use tch::{Kind, Tensor};

/// Images that are taken out of the examples at a time; the network takes them in its own chunks.
const BATCH: i64 = 1024;

/// Classifies all examples, labels \[N\] int64, in evaluation mode. `tick` is called now and then and may end it.
pub fn evaluate(
    network: &Network,
    parameters: &Parameters,
    examples: &dyn Examples,
    mut tick: impl FnMut() -> Result<()>,
) -> Result<TestScores> {
    let (count, device) = (examples.count(), examples.device());
    let classes = network.spec().classes;
    let (mut confusion, mut probabilities) = (Confusion::new(classes as usize), Probabilities::new(classes as usize));
    let mut agreement: Option<Agreement> = None;
    let mut took = Duration::ZERO;
    for start in (0..count).step_by(BATCH as usize) {
        let started = Instant::now();
        let positions = Tensor::f_arange_start(start, (start + BATCH).min(count), (Kind::Int64, device))?;
        let Batch { images, labels, .. } = examples.at(&positions)?;
        let logits = network.forward_chunked(parameters, &images, Chunk::inference(device))?;
        let predictions = logits.f_argmax(1, false)?;
        confusion.count(&labels, &predictions)?;
        if let Some(votes) = examples.votes_at(&positions)? {
            agreement.get_or_insert_default().count(&votes, &labels, &predictions)?;
        }
        // This reads numbers back, so that the device has done its work when the clock is read.
        probabilities.add(&labels, &logits)?;
        took += started.elapsed();
        tick()?;
    }
    let (auc, ece) = (probabilities.auc(), probabilities.ece());
    Ok(TestScores { auc, ece, confusion, agreement, seconds: took.as_secs_f64() })
}
