//! The operations of DSA as pure, differentiable functions of images and draws (Zhao & Bilen, Dataset Condensation with
//! Differentiable Siamese Augmentation, 2021). Draws nothing itself, keeps no state.
//!
//! Legend: B batch, C channels, H height, W width. Images are [B, C, H, W]; every result has the same shape and is
//! contiguous.

use crate::augment::draw::{Draws, Operation};
use crate::augment::settings::Settings;
use std::f64::consts::PI;
use tch::{Kind, Tensor};

/// Applies the operations in order to images [B, C, H, W]. Draws made per image must be B in number.
pub fn apply(images: &Tensor, operations: &[Operation], settings: &Settings) -> Tensor {
    operations.iter().fold(images.shallow_clone(), |images, operation| operation.apply(&images, settings))
}

impl Operation {
    /// Applies this operation to images [B, C, H, W].
    pub fn apply(&self, images: &Tensor, settings: &Settings) -> Tensor {
        match self {
            Operation::Brightness { u } => images + column(&u.map(|u| (u - 0.5) * settings.brightness), images),
            Operation::Saturation { u } => {
                let grey = images.mean_dim([1i64].as_slice(), true, images.kind());
                spread(images, &grey, &u.map(|u| u * settings.saturation))
            }
            Operation::Contrast { u } => {
                let mean = images.mean_dim([1i64, 2, 3].as_slice(), true, images.kind());
                spread(images, &mean, &u.map(|u| u + settings.contrast))
            }
            Operation::Crop { tx, ty } => shift(images, tx, ty),
            Operation::Cutout { ox, oy } => cutout(images, ox, oy, settings),
            Operation::Flip { u } => flip(images, &u.map(|u| u < settings.prob_flip)),
            Operation::Scale { ux, uy } => {
                let largest = settings.ratio_scale;
                let factor = |u: f64| u * (largest - 1.0 / largest) + 1.0 / largest;
                let zero = ux.map(|_| 0.0);
                resample(images, [&ux.map(factor), &zero, &zero, &uy.map(factor)], settings)
            }
            Operation::Rotate { u } => {
                let angle = u.map(|u| (u - 0.5) * 2.0 * settings.ratio_rotate / 180.0 * PI);
                let (cosine, sine) = (angle.map(f64::cos), angle.map(f64::sin));
                resample(images, [&cosine, &sine.map(|sine| -sine), &sine, &cosine], settings)
            }
        }
    }
}

fn column(draws: &Draws<f64>, images: &Tensor) -> Tensor {
    draws.column(images.kind(), images.device())
}

/// (x - mean) * factor + mean.
fn spread(images: &Tensor, mean: &Tensor, factor: &Draws<f64>) -> Tensor {
    (images - mean) * column(factor, images) + mean
}

/// y[h, w] = x[h + rows, w + columns] inside the image, zero outside.
fn shift(images: &Tensor, rows: &Draws<i64>, columns: &Draws<i64>) -> Tensor {
    if let (Draws::Shared(row), Draws::Shared(column)) = (rows, columns) {
        // A negative pad cuts: the shared shift is one copy.
        return images.constant_pad_nd([-column, *column, -row, *row]);
    }
    let (batch, channels, height, width) = sizes(images);
    let largest = |draws: &Draws<i64>| draws.as_slice().iter().map(|shift| shift.abs()).max().unwrap_or(0);
    let (pad_rows, pad_columns) = (largest(rows), largest(columns));
    let padded = images.constant_pad_nd([pad_columns, pad_columns, pad_rows, pad_rows]);
    let index = |draws: &Draws<i64>, pad: i64, length: i64| {
        let start = draws.map(|shift| shift + pad).column(Kind::Int64, images.device());
        start + Tensor::arange(length, (Kind::Int64, images.device()))
    };
    let rows = index(rows, pad_rows, height).transpose(2, 3);
    let columns = index(columns, pad_columns, width);
    padded.gather(2, &rows.expand([batch, channels, height, width + 2 * pad_columns], false), false).gather(
        3,
        &columns.expand([batch, channels, height, width], false),
        false,
    )
}

/// Zeroes a rectangle about (rows, columns); the part of it beyond the border falls away.
fn cutout(images: &Tensor, rows: &Draws<i64>, columns: &Draws<i64>, settings: &Settings) -> Tensor {
    let (_, _, height, width) = sizes(images);
    let inside = |middle: &Draws<i64>, length: i64| {
        let side = settings.cutout_side(length);
        let offset = Tensor::arange(length, (Kind::Int64, images.device()))
            - middle.map(|middle| middle - side / 2).column(Kind::Int64, images.device());
        offset.ge(0).logical_and(&offset.lt(side))
    };
    let blank = inside(rows, height).transpose(2, 3).logical_and(&inside(columns, width));
    images * blank.logical_not().to_kind(images.kind())
}

/// Mirrors the width axis of the images that are marked.
fn flip(images: &Tensor, mirrored: &Draws<bool>) -> Tensor {
    match mirrored {
        Draws::Shared(true) => images.flip([3]),
        Draws::Shared(false) => images.shallow_clone(),
        Draws::Each(_) => images.flip([3]).where_self(&mirrored.column(Kind::Bool, images.device()), images),
    }
}

/// Bilinear sampling at theta * (x, y) with theta = [[a, b], [c, d]] about the centre, zeros outside.
fn resample(images: &Tensor, [a, b, c, d]: [&Draws<f64>; 4], settings: &Settings) -> Tensor {
    const BILINEAR: i64 = 0;
    const ZEROS: i64 = 0;
    let (batch, channels, height, width) = sizes(images);
    let zero = a.map(|_| 0.0);
    let entries = [a, b, &zero, c, d, &zero].map(|entry| column(entry, images).view(-1).expand([batch], false));
    let theta = Tensor::stack(&entries, 1).view([batch, 2, 3]);
    let grid = Tensor::affine_grid_generator(&theta, [batch, channels, height, width], settings.align_corners);
    images.grid_sampler(&grid, BILINEAR, ZEROS, settings.align_corners)
}

fn sizes(images: &Tensor) -> (i64, i64, i64, i64) {
    let size = images.size();
    (size[0], size[1], size[2], size[3])
}
