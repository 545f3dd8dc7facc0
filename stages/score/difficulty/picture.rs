//! Draws the easiest and the hardest images of every class, one class per row. The drawing itself is in
//! `data::picture`.

use crate::artifact::Dataset;
use crate::data::picture::Grid;
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// The largest number of classes in a picture.
const ROWS: usize = 100;

/// A PNG file with one row per class: the `shown` easiest images from left to right, then the `shown` hardest, the
/// hardest of all last. `order` holds the positions of each class's images, easiest first. A class with few images
/// shows some of them twice; a class without images is left white. Images that have neither 1 nor 3 channels show their
/// first channel.
pub(super) fn ends(real: &Dataset, order: &[Vec<i64>], shown: usize) -> Result<Vec<u8>> {
    let [channels, height, width] = real.image_shape();
    let mut rows = Vec::new();
    for positions in order.iter().take(ROWS) {
        let each = shown.min(positions.len());
        let white = || Tensor::f_ones([(shown - each) as i64, channels, height, width], (Kind::Float, Device::Cpu));
        for part in [&positions[..each], &positions[positions.len() - each..]] {
            let index = Tensor::f_from_slice(part)?.f_to_device(real.images.device())?;
            let images = real.images.f_index_select(0, &index)?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
            rows.push(images.f_div_scalar(real.scale)?);
            rows.push(white()?);
        }
    }
    let images = Tensor::f_cat(&rows, 0)?;
    let drawn = if channels == 1 || channels == 3 { images } else { images.f_narrow(1, 0, 1)? };
    Grid::new(2 * shown, &real.origin).png(&drawn, None)
}
