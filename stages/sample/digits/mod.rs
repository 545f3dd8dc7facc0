//! `sample.digits`: generated pictures of the digits 0 to 9 in files of MNIST's format, for trying pipelines out and
//! for tests. They are not MNIST, and the files say so. `glyphs.rs` holds the shapes, `writer.rs` varies them as
//! handwriting does, `pen.rs` draws lines, `idx_file.rs` packs the files. No code is shared with the reader of IDX
//! files (`decode.idx`), so that each tests the other.

mod glyphs;
mod idx_file;
mod pen;
mod writer;

use crate::context::{Context, Inputs, Outputs};
use anyhow::Result;
use ddpipe_interface::ArtifactType;
use ddpipe_nn::stream::stream;
use rayon::prelude::*;
use serde::Deserialize;

/// The parameters: the numbers of training and test images, and their height and width in pixels.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    train: u32,
    test: u32,
    size: u32,
}

/// The number of images that are drawn between two checks for cancellation.
const PART: usize = 500;

/// Runs the stage: draws the training and the test set and packs images and labels of each as IDX files.
pub fn run(ctx: &Context, _inputs: &Inputs, params: Params) -> Result<Outputs> {
    let total = u64::from(params.train) + u64::from(params.test);
    let mut outputs = Outputs::default();
    let mut done = 0;
    for (set, count) in [("train", params.train), ("test", params.test)] {
        let (labels, pixels) = draw(ctx, set, count, params.size as usize, |images| {
            done += images;
            ctx.progress(done, total, "images", None);
        })?;
        let images = idx_file::pack(&[count, params.size, params.size], &pixels)?;
        let labels = idx_file::pack(&[count], &labels)?;
        outputs = outputs.bytes(&format!("{set}_images"), ArtifactType::Files, images).bytes(
            &format!("{set}_labels"),
            ArtifactType::Files,
            labels,
        );
    }
    Ok(outputs)
}

/// Draws a set of `count` images: labels \[N\] and pixels \[N,size,size\] as bytes. A different name `set` gives
/// different digits. Every image has its own random stream, so the result does not depend on the number of threads.
/// `told` is called with the number of images that were just finished.
pub fn draw(
    ctx: &Context,
    set: &str,
    count: u32,
    size: usize,
    mut told: impl FnMut(u64),
) -> Result<(Vec<u8>, Vec<u8>)> {
    let seed = ctx.seed;
    let labels = labels(seed, set, count);
    let mut pixels = vec![0u8; labels.len() * size * size];
    for (part, pixels) in pixels.chunks_mut(PART * size * size).enumerate() {
        ctx.check()?;
        pixels.par_chunks_exact_mut(size * size).enumerate().for_each(|(offset, picture)| {
            let index = part * PART + offset;
            let mut stream = stream(seed, &format!("digits {set} image"), index as u64);
            writer::write(&mut stream, labels[index], size, picture);
        });
        told((pixels.len() / (size * size)) as u64);
    }
    Ok((labels, pixels))
}

/// The labels of a set in random order; the numbers of images per class differ by at most one.
fn labels(seed: u64, set: &str, count: u32) -> Vec<u8> {
    let order = stream(seed, &format!("digits {set} order"), 0).permutation(i64::from(count));
    order.into_iter().map(|position| (position % 10) as u8).collect()
}
