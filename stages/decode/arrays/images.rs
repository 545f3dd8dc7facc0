//! Images of any type and order of axes. The axis of the images is the one that has as many entries as there are labels.

use crate::data::normalisation::moments;
use crate::data::numpy::Array;
use anyhow::{Context as _, Result, bail, ensure};
use tch::{Kind, Tensor};

/// The images of one set.
#[derive(Debug)]
pub struct Images {
    /// \[N,C,H,W\], u8 for bytes and float32 for all other types; C is 1 or 3.
    pub pixels: Tensor,
    /// What a raw pixel is divided by, by its type: 255 for whole numbers, 1 for floating-point numbers and booleans.
    pub scale: f64,
}

impl Images {
    /// Reads the images to which there are so many labels.
    pub fn read(array: &Array, labels: usize) -> Result<Self> {
        let shape: Vec<i64> = array.header.shape.iter().map(|&axis| i64::try_from(axis)).collect::<Result<_, _>>()?;
        ensure!(shape.iter().all(|&axis| axis > 0), "{shape:?}: there are no images");
        let count = i64::try_from(labels)?;
        let (image, last) = match shape[..] {
            [first, ref image @ ..] if first == count => (image.to_vec(), false),
            [ref image @ .., last] if last == count => (image.to_vec(), true),
            _ => bail!(
                "{shape:?} numbers, where there are {count} labels: neither the first nor the last axis is so long"
            ),
        };
        let pixels = pixels(array)?;
        let pixels = pixels.f_reshape(&shape).context("the images do not fit into memory")?;
        let pixels = if last { pixels.f_movedim_int(-1, 0)? } else { pixels };
        let side = |numbers: i64| (numbers as f64).sqrt().round() as i64;
        let pixels = match image[..] {
            [_, _] => pixels.f_unsqueeze(1)?,
            [_, _, 1 | 3] => pixels.f_permute([0, 3, 1, 2])?,
            [1 | 3, _, _] => pixels,
            [numbers] if side(numbers) * side(numbers) == numbers => {
                pixels.f_reshape([count, 1, side(numbers), side(numbers)])?
            }
            _ => bail!(
                "{image:?} numbers per image; images have rows and columns, with 1 or 3 channels before or behind them, or \
                 are squares in one row"
            ),
        };
        let scale = if matches!(array.header.element.kind, 'u' | 'i') { 255.0 } else { 1.0 };
        Ok(Images { pixels: pixels.f_contiguous()?, scale })
    }

    /// Mean and variance of the raw pixels of each channel. They are summed in one order, whatever the number of threads.
    pub fn moments(&self) -> Result<Vec<(f64, f64)>> {
        if self.pixels.kind() == Kind::Uint8 {
            return moments::of_images(&self.pixels);
        }
        let of_channel = |channel: i64| {
            let pixels = Vec::<f32>::try_from(self.pixels.f_select(1, channel)?.f_contiguous()?.f_flatten(0, -1)?)?;
            let count = pixels.len() as f64;
            let mean = pixels.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / count;
            let squares = pixels.iter().map(|&pixel| (f64::from(pixel) - mean).powi(2)).sum::<f64>();
            Ok((mean, squares / count))
        };
        (0..self.pixels.size()[1]).map(of_channel).collect()
    }

    /// What to say where pixels do not lie in \[0,1\] after they are divided by `scale`; nothing where they do.
    pub fn out_of_range(&self, scale: f64) -> Result<Option<String>> {
        let (low, high) = (f64::try_from(self.pixels.f_min()?)?, f64::try_from(self.pixels.f_max()?)?);
        let within = low >= 0.0 && high <= scale * 1.001;
        Ok((!within).then(|| {
            format!("pixels from {low} to {high}, divided by {scale}, do not lie in 0 to 1; set `scale` to the largest that there can be")
        }))
    }
}

/// All numbers in one row: bytes as they are, others as float32. An error if one of them is not finite.
fn pixels(array: &Array) -> Result<Tensor> {
    if (array.header.element.kind, array.header.element.size) == ('u', 1) {
        return Ok(Tensor::f_from_slice(&array.bytes)?);
    }
    let numbers: Vec<f32> = array.floats()?.into_iter().map(|number| number as f32).collect();
    if let Some(position) = numbers.iter().position(|number| !number.is_finite()) {
        bail!("number {position} is {}, not a finite 32-bit number", numbers[position]);
    }
    let pixels = Tensor::f_from_slice(&numbers)?;
    Ok(pixels.f_to_kind(Kind::Float)?)
}
