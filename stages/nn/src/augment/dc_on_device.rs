//! The augmentation of DC in a few operations for a whole batch, without the images leaving their device: what is sent are
//! the draws. The same numbers as `dc.rs` up to rounding. Images that get the same operation go together; crop and scale
//! choose rows and columns, and rotation interpolates by cubic splines, whose filter is a matrix for each axis.
//!
//! Legend: B images of one operation, C channels, H height, W width.

#![expect(non_snake_case, reason = "tensors carry their shape in their names")]

use crate::augment::dc::{DcAugmentation, Operation, Turn, scaled_from, scaled_sides};
use crate::augment::spline::filter_matrix;
use crate::transfer::{self, Parcel, Place, Sent};
use tch::{Kind, TchError, Tensor};

/// Rows and columns that are seen at each place; the length of the axis where nothing is.
#[derive(Default)]
struct Chosen {
    images: Vec<i64>,
    rows: Vec<i64>,
    columns: Vec<i64>,
}

/// The numbers of rotations, in the order of the images.
#[derive(Default)]
struct Turned {
    images: Vec<i64>,
    /// Cosine, sine, and the place of the first row and column relative to the middle.
    numbers: [Vec<f64>; 4],
}

impl Chosen {
    fn add(
        &mut self,
        image: i64,
        [height, width]: [usize; 2],
        row: impl Fn(usize) -> Option<usize>,
        column: impl Fn(usize) -> Option<usize>,
    ) {
        self.images.push(image);
        self.rows.extend((0..height).map(|at| row(at).unwrap_or(height) as i64));
        self.columns.extend((0..width).map(|at| column(at).unwrap_or(width) as i64));
    }

    fn packed(&self, parcel: &mut Parcel) -> [Place; 3] {
        [&self.images, &self.rows, &self.columns].map(|numbers| parcel.add(numbers))
    }
}

impl DcAugmentation {
    pub(super) fn apply_on_device(&self, images: &Tensor, operations: &[Operation]) -> Result<Tensor, TchError> {
        let &[count, _, height, width] = &images.size()[..] else {
            return Err(TchError::Shape("images have 4 axes".into()));
        };
        let size = [height as usize, width as usize];
        let (mut cropped, mut scaled, mut turned) = (Chosen::default(), Chosen::default(), Turned::default());
        let (mut noisy, mut noise) = (Vec::new(), Vec::new());
        for (image, operation) in (0..count).zip(operations) {
            match operation {
                Operation::Crop { row_offset, col_offset } => {
                    let inside = |at: usize, offset: usize, side: usize| {
                        (at + offset).checked_sub(self.crop).filter(|at| *at < side)
                    };
                    let (row, column) = (|at| inside(at, *row_offset, size[0]), |at| inside(at, *col_offset, size[1]));
                    cropped.add(image, size, row, column);
                }
                Operation::Scale { h_factor, w_factor } => {
                    let [tall, wide] = scaled_sides(size[0], *h_factor, *w_factor);
                    let square = tall.max(wide).max(size[0]).max(size[1]);
                    let row = |at| scaled_from(at, size[0], tall, square);
                    scaled.add(image, size, row, |at| scaled_from(at, size[1], wide, square));
                }
                Operation::Rotate { angle_degrees } => {
                    let Turn { sine, cosine, start, middle } = Turn::of(*angle_degrees, height as f64, width as f64);
                    turned.images.push(image);
                    let numbers = [cosine, sine, start[0] - middle[0], start[1] - middle[1]];
                    turned.numbers.iter_mut().zip(numbers).for_each(|(all, number)| all.push(number));
                }
                Operation::Noise { normal } => {
                    noisy.push(image);
                    noise.extend(normal.iter().copied());
                }
            }
        }
        let mut parcel = Parcel::default();
        let (crop, scale) = (cropped.packed(&mut parcel), scaled.packed(&mut parcel));
        let turn = [parcel.add(&turned.images)];
        let angles = turned.numbers.each_ref().map(|numbers| parcel.add(numbers));
        let (noisy_at, noise_at) = (parcel.add(&noisy), parcel.add(&noise));
        let sent = parcel.send(images.device());

        let pixels = images.f_to_kind(Kind::Float)?;
        let mean_C = images.f_mean_dim([0i64, 2, 3].as_slice(), false, Kind::Double)?;
        let mut changed = pixels.copy();
        let mut put = |at: Place, of: &dyn Fn(&Tensor) -> Result<Tensor, TchError>| -> Result<(), TchError> {
            let at = sent.get(at);
            changed = changed.f_index_copy(0, &at, &of(&pixels.f_index_select(0, &at)?)?)?;
            Ok(())
        };
        if !cropped.images.is_empty() {
            let outside = mean_C.f_to_kind(Kind::Float)?.f_view([1, -1, 1, 1])?;
            put(crop[0], &|images| chosen(images, &sent, [crop[1], crop[2]], &outside))?;
        }
        if !scaled.images.is_empty() {
            let outside = mean_C.f_to_kind(Kind::Float)?.f_zeros_like()?.f_view([1, -1, 1, 1])?;
            put(scale[0], &|images| chosen(images, &sent, [scale[1], scale[2]], &outside))?;
        }
        if !turned.images.is_empty() {
            let outside = mean_C.f_mean(Kind::Double)?;
            put(turn[0], &|images| rotated(images, angles.map(|place| sent.get(place)), &outside))?;
        }
        if !noisy.is_empty() {
            put(noisy_at, &|images| {
                images.f_add(&sent.get(noise_at).f_view_as(images)?.f_mul_scalar(f64::from(self.noise as f32))?)
            })?;
        }
        changed.f_to_kind(images.kind())
    }
}

/// The rows and columns of images \[B,C,H,W\] that were chosen, and what is outside where there is none.
fn chosen(images: &Tensor, sent: &Sent, places: [Place; 2], outside: &Tensor) -> Result<Tensor, TchError> {
    let &[batch, channels, height, width] = &images.size()[..] else {
        return Err(TchError::Shape("images have 4 axes".into()));
    };
    let rows = sent.get(places[0]).f_view([batch, 1, height, 1])?;
    let columns = sent.get(places[1]).f_view([batch, 1, 1, width])?;
    let beyond = rows.f_eq(height)?.f_logical_or(&columns.f_eq(width)?)?;
    let rows = rows.f_clamp_max(height - 1)?.f_expand([batch, channels, height, width], false)?;
    let columns = columns.f_clamp_max(width - 1)?.f_expand([batch, channels, height, width], false)?;
    let seen = images.f_gather(2, &rows, false)?.f_gather(3, &columns, false)?;
    outside.f_where_self(&beyond, &seen)
}

/// Images \[B,C,H,W\] rotated about their middles: the values of their splines, in double precision, at the places that come
/// to lie on the pixels.
fn rotated(images: &Tensor, numbers: [Tensor; 4], outside: &Tensor) -> Result<Tensor, TchError> {
    let &[batch, channels, height, width] = &images.size()[..] else {
        return Err(TchError::Shape("images have 4 axes".into()));
    };
    let device = images.device();
    let matrix =
        |side: i64| transfer::constant(&filter_matrix(side as usize), Kind::Double, device).f_view([side, side]);
    let coefficients = matrix(height)?.f_matmul(&images.f_to_kind(Kind::Double)?)?;
    let coefficients = coefficients.f_matmul(&matrix(width)?.f_transpose(0, 1)?)?.f_flatten(2, -1)?;

    let [cosine, sine, top, left] = numbers.map(|numbers| numbers.view([batch, 1, 1]));
    let places = |side: i64| transfer::positions(side, device).f_to_kind(Kind::Double);
    let y = places(height)?.f_view([1, height, 1])?.f_add(&top)?;
    let x = places(width)?.f_view([1, 1, width])?.f_add(&left)?;
    let source_y = cosine.f_mul(&y)?.f_add(&sine.f_mul(&x)?)?.f_add_scalar((height - 1) as f64 / 2.0)?;
    let source_x = cosine.f_mul(&x)?.f_sub(&sine.f_mul(&y)?)?.f_add_scalar((width - 1) as f64 / 2.0)?;
    let within = |source: &Tensor, side: i64| source.f_ge(0.0)?.f_logical_and(&source.f_le((side - 1) as f64)?);
    let inside = within(&source_y, height)?.f_logical_and(&within(&source_x, width)?)?;

    let (rows, row_weights) = support(&source_y, height)?;
    let (columns, column_weights) = support(&source_x, width)?;
    // [B,4,4,H,W]: of each pixel the sixteen coefficients about its source.
    let at = rows.f_unsqueeze(2)?.f_mul_scalar(width)?.f_add(&columns.f_unsqueeze(1)?)?;
    let weights = row_weights.f_unsqueeze(2)?.f_mul(&column_weights.f_unsqueeze(1)?)?;
    let at = at.f_view([batch, 1, -1])?.f_expand([batch, channels, -1], false)?;
    let about = coefficients.f_gather(2, &at, false)?.f_view([batch, channels, 16, height, width])?;
    let weights = weights.f_view([batch, 1, 16, height, width])?;
    let values = about.f_mul(&weights)?.f_sum_dim_intlist([2i64].as_slice(), false, Kind::Double)?;
    values.f_where_self(&inside.f_unsqueeze(1)?, outside)?.f_to_kind(Kind::Float)
}

/// \[B,4,H,W\]: the four coefficients about places \[B,H,W\] of an axis, mirrored at its borders, and their weights.
fn support(places: &Tensor, side: i64) -> Result<(Tensor, Tensor), TchError> {
    let floor = places.f_floor()?;
    let after = places.f_sub(&floor)?;
    let before = after.f_neg()?.f_add_scalar(1.0)?;
    let far = |distance: &Tensor| distance.f_pow_tensor_scalar(3)?.f_div_scalar(6.0);
    let near = |distance: &Tensor| {
        let cubic = distance.f_square()?.f_mul(&distance.f_sub_scalar(2.0)?)?;
        cubic.f_mul_scalar(3.0)?.f_add_scalar(4.0)?.f_div_scalar(6.0)
    };
    let weights = Tensor::f_stack(&[far(&before)?, near(&after)?, near(&before)?, far(&after)?], 1)?;
    let period = (2 * side - 2).max(1);
    let offsets = transfer::positions(4, places.device()).f_sub_scalar(1)?.f_view([1, 4, 1, 1])?;
    let around = floor.f_to_kind(Kind::Int64)?.f_unsqueeze(1)?.f_add(&offsets)?.f_remainder(period)?;
    let mirrored = around.f_minimum(&around.f_neg()?.f_add_scalar(period)?)?;
    Ok((mirrored, weights))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::augment::dc::Choice;
    use crate::layout::Layout;
    use crate::stream::stream;

    #[test]
    fn the_device_does_what_the_host_does() {
        for (channels, height, width) in [(1, 28, 28), (3, 9, 13), (2, 12, 7)] {
            let images = stream(1, "images", 0).normal_tensor(&[40, channels, height, width]);
            let every = vec![Choice::Crop, Choice::Scale, Choice::Rotate, Choice::Noise];
            let augmentation = DcAugmentation { choices: every, noise: 0.1, ..DcAugmentation::mnist() };
            let pixels = (channels * height * width) as usize;
            let mut draws = stream(1, "augment", 0);
            // One image stays as it is.
            let operations = augmentation.draw(39, pixels, draws.generator());
            let on = |layout: Layout| layout.on_cpu(|| augmentation.apply(&images, &operations).unwrap());
            let (host, device) = (on(Layout::Pieces), on(Layout::Together));
            let apart = f64::try_from((&host - &device).abs().max()).unwrap();
            assert!(apart < 1e-5, "{channels}x{height}x{width}: {apart}");
            assert_eq!(device.get(39), images.get(39));
        }
    }
}
