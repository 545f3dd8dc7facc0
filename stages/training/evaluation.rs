//! Tests a trained network on held-out images.

use super::{Batch, Examples};
use anyhow::Result;
use ddpipe_nn::metrics::{Agreement, Confusion, Probabilities, TestScores};
use ddpipe_nn::network::{Network, Parameters};
use ddpipe_nn::pieces::Graph;
use std::time::{Duration, Instant};
use tch::{Kind, Tensor};

/// Classifies all examples (labels \[N\] int64) in evaluation mode and returns the scores. `tick` is called after each
/// batch and may return an error to stop.
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
    // Read at a time; the network divides them into chunks.
    let batch = network.read_at_a_time();
    for start in (0..count).step_by(batch as usize) {
        let started = Instant::now();
        let positions = Tensor::f_arange_start(start, (start + batch).min(count), (Kind::Int64, device))?;
        let Batch { images, labels, .. } = examples.at(&positions)?;
        let logits = network.forward_chunked(parameters, &images, network.chunk(device, Graph::Without))?;
        let predictions = logits.f_argmax(1, false)?;
        confusion.count(&labels, &predictions)?;
        if let Some(votes) = examples.votes_at(&positions)? {
            agreement.get_or_insert_default().count(&votes, &labels, &predictions)?;
        }
        // Reads results back from the device, so that its work is finished when the time is measured.
        probabilities.add(&labels, &logits)?;
        took += started.elapsed();
        tick()?;
    }
    let (auc, ece) = (probabilities.auc(), probabilities.ece());
    Ok(TestScores { auc, ece, confusion, agreement, seconds: took.as_secs_f64() })
}
