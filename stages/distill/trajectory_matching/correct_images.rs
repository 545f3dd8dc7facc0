//! The choice of the first images: real images that experts classify correctly, so that the labels learnt for them
//! start from experts that agree with their class.

use anyhow::Result;
use ddpipe_nn::network::{Network, Parameters};
use ddpipe_nn::pieces::Graph;
use tch::{Device, Tensor};

/// The number of images that an expert classifies at a time.
pub const BATCH: i64 = 256;

/// Chooses `ipc` of the `count` candidates of a class and returns their positions, ascending. The candidates are
/// visited in order, `batch` at a time, and those are taken that the expert classifies as `class`. If all candidates
/// were seen and more are wanted, the next expert visits them again. Returns fewer than `ipc` when there is no expert
/// left. `images` returns the candidates \[n,C,H,W\] at these positions (int64), `expert` the parameters of the expert
/// with this number, or `None`.
pub fn correct_images(
    network: &Network,
    class: i64,
    (ipc, count, batch): (usize, i64, i64),
    images: &dyn Fn(&Tensor) -> Result<Tensor>,
    expert: &dyn Fn(u64) -> Option<Result<Parameters>>,
    device: Device,
) -> Result<Vec<i64>> {
    let mut taken: Vec<i64> = Vec::new();
    for number in 0.. {
        let Some(parameters) = expert(number).transpose()? else { break };
        for start in (0..count).step_by(batch.max(1) as usize) {
            let end = (start + batch).min(count);
            let positions: Vec<i64> = (start..end).collect();
            let candidates = images(&Tensor::from_slice(&positions))?;
            let logits = network.forward_chunked(&parameters, &candidates, network.chunk(device, Graph::Without))?;
            let answers = Vec::<i64>::try_from(logits.f_argmax(1, false)?)?;
            for (position, answer) in positions.into_iter().zip(answers) {
                if answer == class && taken.len() < ipc && !taken.contains(&position) {
                    taken.push(position);
                }
            }
            if taken.len() == ipc {
                taken.sort_unstable();
                return Ok(taken);
            }
        }
    }
    taken.sort_unstable();
    Ok(taken)
}
