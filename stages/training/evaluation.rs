//! Tests a trained network on held-out images.

use super::{Batch, Examples};
use anyhow::Result;
use ddpipe_nn::metrics::{Agreement, Confusion, Probabilities, TestScores};
use ddpipe_nn::network::{Network, Parameters};
use ddpipe_nn::pieces::Graph;
use ddpipe_nn::transfer;
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
        let mut columns = vec![Probabilities::of(&logits)?, column(&labels)?, column(&logits.f_argmax(1, false)?)?];
        let votes = examples.votes_at(&positions)?;
        columns.extend(votes.as_ref().map(column).transpose()?);
        // All that is read of these images, at once: the device's work is finished when the time is measured.
        let read: Vec<f64> = transfer::numbers(&Tensor::f_cat(&columns, 1)?.f_reshape([-1])?)?;
        let rows = || read.chunks_exact(classes as usize + columns.len() - 1);
        let whole =
            |at: usize| rows().filter_map(move |row| row.get(classes as usize + at)).map(|number| *number as i64);
        let (labels, predictions): (Vec<i64>, Vec<i64>) = (whole(0).collect(), whole(1).collect());
        confusion.count_read(&labels, &predictions)?;
        if votes.is_some() {
            agreement.get_or_insert_default().count_read(&whole(2).collect::<Vec<_>>(), &labels, &predictions)?;
        }
        probabilities.add_read(labels, rows().flat_map(|row| &row[..classes as usize]).copied());
        took += started.elapsed();
        tick()?;
    }
    let (auc, calibration) = (probabilities.auc(), probabilities.calibration());
    Ok(TestScores { auc, calibration, confusion, agreement, seconds: took.as_secs_f64() })
}

/// \[B,1\] float64, whole numbers \[B\].
fn column(numbers: &Tensor) -> Result<Tensor> {
    Ok(numbers.f_to_kind(Kind::Double)?.f_unsqueeze(1)?)
}
