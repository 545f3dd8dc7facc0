//! Sample digits: drawn pictures of 0 to 9 in files of MNIST's format, for trying things out and for tests. They are
//! not MNIST, and the files say so. `glyphs.rs` holds the shapes, `writer.rs` varies them as a hand would, `pen.rs`
//! draws lines, `idx_file.rs` packs. It shares nothing with the reader of IDX files, so that each tests the other.

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

/// How many images of which size.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    train: u32,
    test: u32,
    size: u32,
}

/// Images drawn between two looks at the host.
const PART: usize = 500;

/// Draws both sets.
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

/// Labels \[N\] and pictures \[N,size,size\] of a set; another name gives other digits. Every image has a random stream
/// of its own, so threads change nothing. `told` hears of images as they are done.
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

/// As many of each class as of any other (give or take one), in random order.
fn labels(seed: u64, set: &str, count: u32) -> Vec<u8> {
    let order = stream(seed, &format!("digits {set} order"), 0).permutation(i64::from(count));
    order.into_iter().map(|position| (position % 10) as u8).collect()
}
