//! How well a trained network does on images it has not seen.

use super::Examples;
use crate::common::metrics::{Confusion, Probabilities, TestScores};
use crate::common::network::{Chunk, Network, Parameters};
use anyhow::Result;
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
    let mut took = Duration::ZERO;
    for start in (0..count).step_by(BATCH as usize) {
        let started = Instant::now();
        let positions = Tensor::f_arange_start(start, (start + BATCH).min(count), (Kind::Int64, device))?;
        let (images, labels) = examples.at(&positions)?;
        let logits = network.forward_chunked(parameters, &images, Chunk::inference(device))?;
        confusion.count(&labels, &logits.f_argmax(1, false)?)?;
        // This reads numbers back, so that the device has done its work when the clock is read.
        probabilities.add(&labels, &logits)?;
        took += started.elapsed();
        tick()?;
    }
    Ok(TestScores { auc: probabilities.auc(), ece: probabilities.ece(), confusion, seconds: took.as_secs_f64() })
}
