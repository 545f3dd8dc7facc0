//! `split.held_out`: holds images out of a training set, so that settings can be chosen without the test images.

use crate::artifact::Dataset;
use crate::context::{Context, Inputs, Outputs};
use anyhow::{Result, ensure};
use ddpipe_nn::stream::stream;
use serde::Deserialize;
use std::cmp::Reverse;
use tch::Tensor;

/// The parameters: how many images, and which.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    images: usize,
    choose: Choose,
    split_seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choose {
    Drawn,
    Last,
}

/// Runs the stage: both parts, each in the order of the data set.
pub fn run(_ctx: &Context, inputs: &Inputs, params: Params) -> Result<Outputs> {
    let real = inputs.dataset("real")?;
    let count = real.len() as usize;
    ensure!(
        params.images < count,
        "images = {}, but {} has {count} images, and some have to be left",
        params.images,
        inputs.one("real")?.name
    );
    let mut held: Vec<i64> = match params.choose {
        Choose::Last => (count as i64 - params.images as i64..count as i64).collect(),
        Choose::Drawn => drawn(&real.positions_by_class()?, params.images, params.split_seed),
    };
    held.sort_unstable();
    let left: Vec<i64> = (0..count as i64).filter(|position| held.binary_search(position).is_err()).collect();
    Ok(Outputs::default()
        .metric("train_images", left.len() as f64)
        .metric("held_out_images", held.len() as f64)
        .tensors("train", part(&real, &left).to_file())
        .tensors("held_out", part(&real, &held).to_file()))
}

/// So many positions together, of every class in proportion to its size. What rounding down leaves goes to the classes
/// with the largest remainders, of equal ones to the first.
fn drawn(by_class: &[Vec<i64>], images: usize, seed: u64) -> Vec<i64> {
    let all: usize = by_class.iter().map(Vec::len).sum();
    let quota = |class: &Vec<i64>| images * class.len();
    let mut shares: Vec<usize> = by_class.iter().map(|class| quota(class) / all.max(1)).collect();
    let mut by_remainder: Vec<usize> = (0..by_class.len()).collect();
    by_remainder.sort_by_key(|&class| Reverse(quota(&by_class[class]) % all.max(1)));
    let left = images - shares.iter().sum::<usize>();
    by_remainder.into_iter().take(left).for_each(|class| shares[class] += 1);
    let of = |(class, positions): (usize, &Vec<i64>)| {
        stream(seed, "held out", class as u64).choose(positions, shares[class])
    };
    by_class.iter().enumerate().flat_map(of).collect()
}

/// The images at these positions.
fn part(real: &Dataset, positions: &[i64]) -> Dataset {
    let positions = Tensor::from_slice(positions).to_device(real.images.device());
    let at = |tensor: &Tensor| tensor.index_select(0, &positions);
    Dataset {
        images: at(&real.images),
        labels: at(&real.labels),
        agreement: real.agreement.as_ref().map(at),
        normalisation: real.normalisation.clone(),
        origin: real.origin.clone(),
        class_names: real.class_names.clone(),
        ..*real
    }
}
