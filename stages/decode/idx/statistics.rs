//! Mean and variance per channel over all images of a file. Sums of bytes are exact; floats are summed in a fixed
//! order, so that the result does not depend on the number of threads.

use crate::artifact::memory;
use crate::data::normalisation::moments;
use crate::decode::idx::header::{Element, IdxFile};
use anyhow::Result;
use rayon::prelude::*;
use tch::Tensor;

/// The number of images over which one partial sum is taken.
const IMAGES: usize = 256;

/// Mean and variance (divided by N) of each channel of `pixels` \[N,C,H,W\], the numbers of the file, possibly resized.
pub fn of(file: &IdxFile, pixels: &Tensor) -> Result<Vec<(f64, f64)>> {
    let size = pixels.size();
    let (channels, area) = (size[1] as usize, (size[2] * size[3]) as usize);
    if file.element == Element::U8 {
        return Ok(moments::of_bytes(memory::bytes(pixels)?, channels, area));
    }
    Ok(floating(&Vec::<f32>::try_from(pixels.f_flatten(0, -1)?)?, channels, area))
}

fn floating(pixels: &[f32], channels: usize, area: usize) -> Vec<(f64, f64)> {
    let count = (pixels.len() / channels) as f64;
    let total = |channel: usize, value: &(dyn Fn(f64) -> f64 + Sync)| -> f64 {
        let group = |images: &[f32]| -> f64 {
            let planes = images.chunks_exact(area).skip(channel).step_by(channels);
            planes.flatten().map(|&pixel| value(f64::from(pixel))).sum()
        };
        let groups: Vec<f64> = pixels.par_chunks(IMAGES * channels * area).map(group).collect();
        groups.iter().sum()
    };
    let moments = |channel: usize| {
        let mean = total(channel, &|pixel| pixel) / count;
        (mean, total(channel, &|pixel| (pixel - mean) * (pixel - mean)) / count)
    };
    (0..channels).map(moments).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_floats_of_the_same_numbers_agree_channel_by_channel() {
        let (channels, area) = (3, 5);
        let bytes: Vec<u8> = (0..700 * channels * area).map(|number| (number * 37 % 251) as u8).collect();
        let floats: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte)).collect();
        for (channel, (a, b)) in
            moments::of_bytes(&bytes, channels, area).iter().zip(floating(&floats, channels, area)).enumerate()
        {
            let plane = |index: usize| index / area % channels == channel;
            let values = || floats.iter().enumerate().filter(|(index, _)| plane(*index)).map(|(_, &v)| f64::from(v));
            let mean = values().sum::<f64>() / 3500.0;
            let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / 3500.0;
            for (got, expected) in [(a.0, mean), (a.1, variance), (b.0, mean), (b.1, variance)] {
                assert!((got - expected).abs() < 1e-9 * expected, "channel {channel}: {got} is not {expected}");
            }
        }
    }
}
