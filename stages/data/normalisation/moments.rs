//! Mean, variance and covariance of images of bytes. Sums of bytes are exact, so the result does not depend on the
//! number of threads.

use anyhow::{Result, ensure};
use rayon::prelude::*;
use tch::{Kind, Tensor};

/// The number of images over which one partial sum is taken.
const IMAGES: usize = 256;

/// The number of images whose products are summed in float32: whole numbers are exact below 2^24, and 258 times 255
/// squared is below it.
const EXACT: i64 = 258;

/// Mean and variance (divided by N) of the bytes of each channel, for images \[N,channels,area\].
pub fn of_bytes(bytes: &[u8], channels: usize, area: usize) -> Vec<(f64, f64)> {
    let sums = sums(bytes, channels, area);
    let count = (bytes.len() / channels) as u128;
    sums.into_iter().map(|sums| moments(sums, count)).collect()
}

/// Mean and variance (divided by N) of the bytes of each channel, for images \[N,C,H,W\] u8, which are copied a few at
/// a time.
pub fn of_images(images: &Tensor) -> Result<Vec<(f64, f64)>> {
    let (count, channels, height, width) = images.size4()?;
    let mut total = vec![(0u128, 0u128); channels as usize];
    for part in images.f_split(16 * IMAGES as i64, 0)? {
        let bytes = Vec::<u8>::try_from(part.f_contiguous()?.f_flatten(0, -1)?)?;
        for (total, (sum, squares)) in total.iter_mut().zip(sums(&bytes, channels as usize, (height * width) as usize))
        {
            *total = (total.0 + sum, total.1 + squares);
        }
    }
    Ok(total.into_iter().map(|sums| moments(sums, (count * height * width) as u128)).collect())
}

/// The sum of the bytes of each channel, and of their squares.
fn sums(bytes: &[u8], channels: usize, area: usize) -> Vec<(u128, u128)> {
    let group = |images: &[u8]| {
        let mut sums = vec![(0u64, 0u64); channels];
        for (plane, pixels) in images.chunks_exact(area).enumerate() {
            let (sum, squares) = &mut sums[plane % channels];
            // One row of u32 sums cannot overflow below 65,536 pixels, and the compiler vectorises it.
            for part in pixels.chunks(1 << 15) {
                *sum += u64::from(part.iter().map(|&pixel| u32::from(pixel)).sum::<u32>());
                *squares += u64::from(part.iter().map(|&pixel| u32::from(pixel) * u32::from(pixel)).sum::<u32>());
            }
        }
        sums
    };
    let groups: Vec<_> = bytes.par_chunks(IMAGES * channels * area).map(group).collect();
    let of = |channel: usize| {
        let sum = groups.iter().map(|sums| u128::from(sums[channel].0)).sum();
        (sum, groups.iter().map(|sums| u128::from(sums[channel].1)).sum())
    };
    (0..channels).map(of).collect()
}

fn moments((sum, squares): (u128, u128), count: u128) -> (f64, f64) {
    let variance = (count * squares - sum * sum) as f64 / (count as f64 * count as f64);
    (sum as f64 / count as f64, variance)
}

/// Mean \[D\] and covariance \[D,D\] (divided by N-1) of the D bytes of each of N images \[N,C,H,W\] u8, as float64 on
/// the images' device. `step` is called with the number of images done and may return an error to stop. An error if
/// there are fewer than two images or they are not bytes.
pub fn covariance(images: &Tensor, step: &mut dyn FnMut(i64) -> Result<()>) -> Result<(Tensor, Tensor)> {
    ensure!(images.kind() == Kind::Uint8, "the exact covariance is that of bytes, these are {:?}", images.kind());
    let count = images.size()[0];
    ensure!(count > 1, "a covariance needs two images or more, there are {count}");
    let flat = images.f_flatten(1, -1)?;
    let doubles = (Kind::Double, flat.device());
    let pixels = flat.size()[1];
    let mut sum = Tensor::f_zeros([pixels], doubles)?;
    let mut products = Tensor::f_zeros([pixels, pixels], doubles)?;
    let mut done = 0;
    for part in flat.f_split(EXACT, 0)? {
        let part = part.f_to_kind(Kind::Float)?;
        let _ = sum.f_add_(&part.f_sum_dim_intlist(0, false, Kind::Double)?)?;
        let _ = products.f_add_(&part.f_transpose(0, 1)?.f_matmul(&part)?)?;
        done += part.size()[0];
        step(done)?;
    }
    // Both terms are whole numbers, exact up to some 370,000 images.
    let mut covariance = products.f_mul_scalar_(count)?;
    let _ = covariance.f_sub_(&sum.f_outer(&sum)?)?;
    let _ = covariance.f_div_scalar_(count as f64 * (count - 1) as f64)?;
    Ok((sum.f_div_scalar(count)?, covariance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn a_tensor_has_the_moments_of_its_bytes_and_their_covariance_is_exact() {
        let images = Tensor::randint_low(0, 256, [5000, 3, 2, 3], (Kind::Int64, Device::Cpu)).to_kind(Kind::Uint8);
        let bytes = Vec::<u8>::try_from(images.flatten(0, -1)).unwrap();
        assert_eq!(of_images(&images).unwrap(), of_bytes(&bytes, 3, 6));

        let mut told = Vec::new();
        let (mean, covariance) = covariance(&images, &mut |done| {
            told.push(done);
            Ok(())
        })
        .unwrap();
        assert_eq!(told.last(), Some(&5000));
        let flat = images.flatten(1, -1).to_kind(Kind::Double);
        let centred = &flat - flat.mean_dim(0, true, Kind::Double);
        let expected = centred.transpose(0, 1).matmul(&centred) / 4999;
        assert!((covariance - expected).abs().max().double_value(&[]) < 1e-8);
        assert!((mean - flat.mean_dim(0, false, Kind::Double)).abs().max().double_value(&[]) < 1e-10);
    }
}
