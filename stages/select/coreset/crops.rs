//! Random square crops of real images, as torchvision's `RandomResizedCrop` with ratio 1 draws them, from the bytes.

use crate::artifact::Dataset;
use crate::data::resize;
use anyhow::{Context as _, Result};
use ddpipe_nn::stream::Stream;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

/// A part of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Crop {
    /// The first row.
    pub top: i64,
    /// The first column.
    pub left: i64,
    /// Rows.
    pub height: i64,
    /// Columns.
    pub width: i64,
}

impl Crop {
    /// A square of at least this share of the area of an image of this size, of even chance, where it has room; the whole
    /// image for a share of 1.
    pub fn draw(stream: &mut Stream, [height, width]: [i64; 2], min_area: f64) -> Self {
        if min_area >= 1.0 {
            return Crop { top: 0, left: 0, height, width };
        }
        let share = min_area + (1.0 - min_area) * f64::from(stream.uniform());
        let side = ((height * width) as f64 * share).sqrt().round() as i64;
        let side = side.clamp(1, height.min(width));
        let (top, left) = (stream.integer(0, height - side + 1), stream.integer(0, width - side + 1));
        Crop { top, left, height: side, width: side }
    }
}

/// Crops of the image at each position, resized to this size and normalised, \[n,C,h,w\] on the CPU.
pub(super) fn cropped(real: &Dataset, crops: &[(i64, Crop)], size: [i64; 2]) -> Result<Tensor> {
    let cut = |&(position, crop): &(i64, Crop)| -> Result<Tensor> {
        let image = real.images.f_narrow(0, position, 1)?.f_to_device(Device::Cpu)?;
        let part = image.f_narrow(2, crop.top, crop.height)?.f_narrow(3, crop.left, crop.width)?;
        if [crop.height, crop.width] == size {
            return Ok(part);
        }
        resize::resize(&part, size).context("method = \"confidence\": min_area = 1 with factor = 1 takes images whole")
    };
    let parts = crops.iter().map(cut).collect::<Result<Vec<_>>>()?;
    let pixels = Tensor::f_cat(&parts, 0)?.f_to_kind(Kind::Float)?.f_div_scalar(real.scale)?;
    Ok(real.normalisation.apply(&pixels))
}
