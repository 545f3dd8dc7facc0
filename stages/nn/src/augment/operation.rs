//! The operations of DSA as pure, differentiable functions of images and draws (Zhao & Bilen, Dataset Condensation with
//! Differentiable Siamese Augmentation, 2021). Draws nothing itself, keeps no state.
//!
//! Legend: B batch, C channels, H height, W width. Images are [B, C, H, W]; every result has the same shape and is
//! contiguous.

use crate::augment::draw::Operation;
use crate::augment::planned::Planned;
use crate::augment::settings::Settings;
use crate::transfer::{self, Parcel};
use tch::Tensor;

/// Applies the operations in order to images [B, C, H, W]. Draws made per image must be B in number; they are sent at once.
pub fn apply(images: &Tensor, operations: &[Operation], settings: &Settings) -> Tensor {
    let mut parcel = Parcel::default();
    let planned = Planned::new(operations, &images.size(), images.kind(), settings, &mut parcel);
    planned.apply(images, &parcel.send(images.device()))
}

/// A number of an operation: one for all images, or one per image in whatever holds these.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number<T, E> {
    Shared(T),
    Each(E),
}

/// Whole pixels, none of them further from zero than `largest`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole<E> {
    pub number: Number<i64, E>,
    pub largest: i64,
}

/// What is done to the pixels. Numbers per image are [B, 1, 1, 1] once they are tensors.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<E> {
    /// Adds a number.
    Add(Number<f64, E>),
    /// Scales the distance from the pixel's mean over channels.
    FromGrey(Number<f64, E>),
    /// Scales the distance from the image's mean.
    FromMean(Number<f64, E>),
    /// Pixel (h, w) becomes pixel (h + rows, w + columns), zero where there is none.
    Shift([Whole<E>; 2]),
    /// Zeroes a rectangle, given by its first row and column and its sides; the part beyond the border falls away.
    Blank([(Whole<E>, i64); 2]),
    /// Mirrors left to right where it is true.
    Mirror(Number<bool, E>),
    /// Samples at theta * (x, y, 1) about the centre; six numbers an image.
    Resample { theta: Number<[f64; 6], E>, align_corners: bool },
}

impl<T: Copy, E> Number<T, E> {
    fn sent<F>(&self, send: &impl Fn(&E) -> F) -> Number<T, F> {
        match self {
            Number::Shared(value) => Number::Shared(*value),
            Number::Each(each) => Number::Each(send(each)),
        }
    }
}

impl<E> Change<E> {
    /// The same with the numbers per image as `send` makes them.
    pub fn sent<F>(&self, send: &impl Fn(&E) -> F) -> Change<F> {
        let whole = |whole: &Whole<E>| Whole { number: whole.number.sent(send), largest: whole.largest };
        match self {
            Change::Add(number) => Change::Add(number.sent(send)),
            Change::FromGrey(number) => Change::FromGrey(number.sent(send)),
            Change::FromMean(number) => Change::FromMean(number.sent(send)),
            Change::Shift(by) => Change::Shift(by.each_ref().map(whole)),
            Change::Blank(sides) => Change::Blank(sides.each_ref().map(|(first, side)| (whole(first), *side))),
            Change::Mirror(mirrored) => Change::Mirror(mirrored.sent(send)),
            Change::Resample { theta, align_corners } => {
                Change::Resample { theta: theta.sent(send), align_corners: *align_corners }
            }
        }
    }
}

impl Change<Tensor> {
    /// Changes images [B, C, H, W].
    pub fn apply(&self, images: &Tensor) -> Tensor {
        match self {
            Change::Add(Number::Shared(number)) => images + *number,
            Change::Add(Number::Each(number)) => images + number.to_kind(images.kind()),
            Change::FromGrey(factor) => {
                spread(images, &images.mean_dim([1i64].as_slice(), true, images.kind()), factor)
            }
            Change::FromMean(factor) => {
                spread(images, &images.mean_dim([1i64, 2, 3].as_slice(), true, images.kind()), factor)
            }
            Change::Shift([rows, columns]) => shift(images, rows, columns),
            Change::Blank([rows, columns]) => blank(images, rows, columns),
            Change::Mirror(Number::Shared(true)) => images.flip([3]),
            Change::Mirror(Number::Shared(false)) => images.shallow_clone(),
            Change::Mirror(Number::Each(mirrored)) => images.flip([3]).where_self(mirrored, images),
            Change::Resample { theta, align_corners } => resample(images, theta, *align_corners),
        }
    }
}

/// (x - mean) * factor + mean.
fn spread(images: &Tensor, mean: &Tensor, factor: &Number<f64, Tensor>) -> Tensor {
    match factor {
        Number::Shared(factor) => (images - mean) * *factor + mean,
        Number::Each(factor) => (images - mean) * factor.to_kind(images.kind()) + mean,
    }
}

/// y[h, w] = x[h + rows, w + columns] inside the image, zero outside.
fn shift(images: &Tensor, rows: &Whole<Tensor>, columns: &Whole<Tensor>) -> Tensor {
    if let (Number::Shared(row), Number::Shared(column)) = (&rows.number, &columns.number) {
        // A negative pad cuts: the shared shift is one copy.
        return images.constant_pad_nd([-column, *column, -row, *row]);
    }
    let (batch, channels, height, width) = sizes(images);
    let (pad_rows, pad_columns) = (rows.largest, columns.largest);
    let padded = images.constant_pad_nd([pad_columns, pad_columns, pad_rows, pad_rows]);
    let index = |whole: &Whole<Tensor>, length: i64| {
        let places = transfer::positions(length, images.device()) + whole.largest;
        match &whole.number {
            Number::Shared(shift) => (places + *shift).view([1, 1, 1, -1]),
            Number::Each(shift) => shift + places,
        }
    };
    let rows = index(rows, height).transpose(2, 3);
    let columns = index(columns, width);
    padded.gather(2, &rows.expand([batch, channels, height, width + 2 * pad_columns], false), false).gather(
        3,
        &columns.expand([batch, channels, height, width], false),
        false,
    )
}

/// Zeroes a rectangle of these first rows and columns and sides; the part of it beyond the border falls away.
fn blank(images: &Tensor, rows: &(Whole<Tensor>, i64), columns: &(Whole<Tensor>, i64)) -> Tensor {
    let (_, _, height, width) = sizes(images);
    let inside = |(first, side): &(Whole<Tensor>, i64), length: i64| {
        let places = transfer::positions(length, images.device());
        let offset = match &first.number {
            Number::Shared(first) => (places - *first).view([1, 1, 1, -1]),
            Number::Each(first) => places - first,
        };
        offset.ge(0).logical_and(&offset.lt(*side))
    };
    let blank = inside(rows, height).transpose(2, 3).logical_and(&inside(columns, width));
    images * blank.logical_not().to_kind(images.kind())
}

/// Bilinear sampling at theta * (x, y, 1) about the centre, zeros outside.
fn resample(images: &Tensor, theta: &Number<[f64; 6], Tensor>, align_corners: bool) -> Tensor {
    const BILINEAR: i64 = 0;
    const ZEROS: i64 = 0;
    let (batch, channels, height, width) = sizes(images);
    let theta = match theta {
        Number::Each(theta) => theta.to_kind(images.kind()).view([batch, 2, 3]),
        Number::Shared(entries) => {
            // Filled in on the device: nothing is sent, and nobody waits.
            let theta = Tensor::zeros([6], (images.kind(), images.device()));
            for (place, entry) in (0..).zip(entries).filter(|(_, entry)| **entry != 0.0) {
                let _ = theta.get(place).fill_(*entry);
            }
            theta.view([1, 2, 3])
        }
    };
    let grids = theta.size()[0];
    let grid = Tensor::affine_grid_generator(&theta, [grids, channels, height, width], align_corners);
    images.grid_sampler(&grid.expand([batch, height, width, 2], false), BILINEAR, ZEROS, align_corners)
}

fn sizes(images: &Tensor) -> (i64, i64, i64, i64) {
    let size = images.size();
    (size[0], size[1], size[2], size[3])
}
