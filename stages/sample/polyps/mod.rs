//! `sample.polyps`: generated pictures of tissue in the layout of MHIST, a table of annotations and a ZIP file of PNG
//! images, for trying pipelines out and for tests. They are not MHIST, and the ZIP file says so. `tissue.rs` draws a
//! picture, `glands.rs` gives the shapes of glands, `files.rs` packs. No code is shared with the reader
//! (`split.mhist`), so that each tests the other.

mod files;
mod glands;
mod tissue;

use crate::context::{Context, Inputs, Outputs};
use anyhow::{Result, anyhow};
use ddpipe_interface::ArtifactType;
use ddpipe_nn::stream::{Stream, stream};
use rayon::prelude::*;
use serde::Deserialize;

/// The parameters: the numbers of training and test images, their height and width in pixels, and the folders of the
/// ZIP file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    train: usize,
    test: usize,
    size: usize,
    folders: Folders,
}

/// The folders of the images in the ZIP file.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Folders {
    Images,
    Classes,
}

/// The number of images that are drawn between two checks for cancellation.
const PART: usize = 64;

/// The share of SSA among MHIST's training images, and among its test images.
const SHARES: [f64; 2] = [630.0 / 2175.0, 360.0 / 977.0];

/// The probability, in percent, that 0, 1, 2 or 3 of the seven annotators dissent from the majority.
const DISSENT: [i64; 4] = [30, 30, 25, 15];

struct Row {
    name: String,
    ssa: bool,
    votes: i64,
    partition: &'static str,
}

/// Runs the stage: draws all images and writes table and ZIP file. Every image has its own random stream, so the result
/// does not depend on the number of threads.
pub fn run(ctx: &Context, _inputs: &Inputs, params: Params) -> Result<Outputs> {
    let (seed, size) = (ctx.seed, params.size);
    let rows = rows(seed, &params);
    let mut archive = files::Archive::new(ctx.temporary()?)?;
    for (part, rows_of_part) in rows.chunks(PART).enumerate() {
        ctx.check()?;
        let pictures: Result<Vec<Vec<u8>>> = rows_of_part
            .par_iter()
            .enumerate()
            .map(|(offset, row)| {
                let mut stream = stream(seed, "polyps image", (part * PART + offset) as u64);
                let pixels = tissue::draw(&mut stream, row.ssa, row.votes as f32 / 7.0, size);
                files::png(size as u32, &pixels)
            })
            .collect();
        for (row, picture) in rows_of_part.iter().zip(pictures?) {
            archive.add(&row.path(params.folders), &picture)?;
        }
        ctx.progress((part * PART + rows_of_part.len()) as u64, rows.len() as u64, "images", None);
    }
    let mut table = files::HEADER.to_string();
    for row in &rows {
        table.push_str(&format!("{},{},{},{}\n", row.name, row.label(), row.votes, row.partition));
    }
    let images = archive.finish().map_err(|why| anyhow!("could not pack the images: {why:#}"))?;
    let outputs = Outputs::default().bytes("annotations", ArtifactType::Files, table.into_bytes());
    Ok(outputs.file("images", ArtifactType::Files, images))
}

impl Row {
    fn label(&self) -> &'static str {
        if self.ssa { "SSA" } else { "HP" }
    }

    fn path(&self, folders: Folders) -> String {
        match folders {
            Folders::Images => format!("images/{}", self.name),
            Folders::Classes => format!("{}/{}/{}", self.partition, self.label(), self.name),
        }
    }
}

/// The rows of the table in random order; the number of SSA images in each partition is fixed.
fn rows(seed: u64, params: &Params) -> Vec<Row> {
    let mut rows = Vec::new();
    for ((partition, count), share) in [("train", params.train), ("test", params.test)].into_iter().zip(SHARES) {
        // At least one of each class, where there is room for both.
        let ssa = ((count as f64 * share).round() as usize).clamp(usize::from(count > 1), count);
        rows.extend((0..count).map(|index| (partition, index < ssa)));
    }
    let order = stream(seed, "polyps order", 0).permutation(rows.len() as i64);
    let mut stream = stream(seed, "polyps votes", 0);
    let row = |(index, position): (usize, i64)| {
        let (partition, ssa) = rows[position as usize];
        let dissent = dissent(&mut stream);
        Row { name: format!("sample_{index:05}.png"), ssa, votes: if ssa { 7 - dissent } else { dissent }, partition }
    };
    order.into_iter().enumerate().map(row).collect()
}

fn dissent(stream: &mut Stream) -> i64 {
    let mut draw = stream.integer(0, DISSENT.iter().sum());
    for (votes, share) in DISSENT.into_iter().enumerate() {
        if draw < share {
            return votes as i64;
        }
        draw -= share;
    }
    0
}
