//! Mean and variance per channel of images made of bytes. Sums of bytes are exact, so no number of threads changes a
//! digit.

use rayon::prelude::*;

/// Images whose sums are taken together.
const IMAGES: usize = 256;

/// For every channel, mean and variance (divided by N) of the bytes of \[N,channels,area\].
pub fn of_bytes(bytes: &[u8], channels: usize, area: usize) -> Vec<(f64, f64)> {
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
    let count = (bytes.len() / channels) as u128;
    let moments = |channel: usize| {
        let sum: u128 = groups.iter().map(|sums| u128::from(sums[channel].0)).sum();
        let squares: u128 = groups.iter().map(|sums| u128::from(sums[channel].1)).sum();
        let variance = (count * squares - sum * sum) as f64 / (count as f64 * count as f64);
        (sum as f64 / count as f64, variance)
    };
    (0..channels).map(moments).collect()
}
