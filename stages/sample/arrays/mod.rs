//! `sample.arrays`: the sample digits in two more formats: in colour as CIFAR-10's archive of records, in grey as
//! MedMNIST's archive of NumPy arrays. They are neither data set, and the files say so. `colours.rs` colours the
//! digits, `tar_file.rs` and `npz_file.rs` pack the files. No code is shared with the readers, so that each tests the
//! other.

mod colours;
mod npz_file;
mod tar_file;

use super::digits;
use crate::context::{Context, Inputs, Outputs};
use anyhow::Result;
use ddpipe_interface::ArtifactType;
use ddpipe_nn::stream::stream;
use serde::Deserialize;

/// The parameters: the numbers of training, validation and test images.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    train: u32,
    val: u32,
    test: u32,
}

/// Height and width in pixels of CIFAR's images, and of MedMNIST's smallest.
const SIZES: [usize; 2] = [32, 28];

/// The number of training files of CIFAR-10.
const BATCHES: usize = 5;

/// Runs the stage: draws the images and packs both archives. Each set of each archive has its own digits.
pub fn run(ctx: &Context, _inputs: &Inputs, params: Params) -> Result<Outputs> {
    let Params { train, val, test } = params;
    let total = 2 * u64::from(train) + u64::from(val) + 2 * u64::from(test);
    let mut done = 0;
    let mut draw = |set: &str, count: u32, size: usize| {
        digits::draw(ctx, set, count, size, |images| {
            done += images;
            ctx.progress(done, total, "images", None);
        })
    };

    let mut batches = Vec::new();
    for (set, count) in [("cifar train", train), ("cifar test", test)] {
        let (labels, pixels) = draw(set, count, SIZES[0])?;
        let records = records(ctx.seed, set, &labels, &pixels);
        let files = if set == "cifar train" { BATCHES } else { 1 };
        let end = |file: usize| file * records.len() / files;
        batches.extend((0..files).map(|file| records[end(file)..end(file + 1)].concat()));
    }
    let mut arrays = npz_file::Archive::new()?;
    for (set, count) in [("train", train), ("val", val), ("test", test)] {
        let (labels, pixels) = draw(&format!("medmnist {set}"), count, SIZES[1])?;
        arrays.add(&format!("{set}_images"), &[count as usize, SIZES[1], SIZES[1]], &pixels)?;
        arrays.add(&format!("{set}_labels"), &[count as usize, 1], &labels)?;
    }
    Ok(Outputs::default().bytes("cifar", ArtifactType::Files, tar_file::pack(&batches)?).bytes(
        "medmnist",
        ArtifactType::Files,
        arrays.finish()?,
    ))
}

/// One record per image: the label, then the red, the green and the blue plane.
fn records(seed: u64, set: &str, labels: &[u8], pixels: &[u8]) -> Vec<Vec<u8>> {
    let record = |(index, (&label, picture)): (usize, (&u8, &[u8]))| {
        let mut stream = stream(seed, &format!("colours {set}"), index as u64);
        let mut record = vec![label];
        record.extend(colours::paint(&mut stream, picture));
        record
    };
    labels.iter().zip(pixels.chunks_exact(SIZES[0] * SIZES[0])).enumerate().map(record).collect()
}
