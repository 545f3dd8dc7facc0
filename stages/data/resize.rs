//! Resizes images of bytes: antialiased bilinear (a triangle filter as wide as a new pixel), as Pillow's `BILINEAR` and
//! torchvision's antialiased `resize` do. It is written in Rust and does not use libtorch, whose kernels differ between
//! processors, because the same action has to give the same bytes everywhere. The aspect ratio is not kept.

use crate::artifact::memory;
use anyhow::{Context as _, Result, ensure};
use image::imageops::{FilterType, resize as resample};
use image::{ImageBuffer, Luma};
use rayon::prelude::*;
use tch::{Kind, Tensor};

/// Resizes \[N,C,H,W\] u8 to \[N,C,height,width\] u8, on all cores. A tensor that has this size already is shared, not
/// copied. Beyond the two tensors it needs the memory of one plane per core. An error if the images are not bytes or a
/// size is zero.
pub fn resize(images: &Tensor, size: [i64; 2]) -> Result<Tensor> {
    let found = images.size();
    let [count, channels, height, width] = found[..] else {
        anyhow::bail!("{} axes, where images have 4", found.len());
    };
    ensure!(images.kind() == Kind::Uint8, "only images of bytes are resized, these are {:?}", images.kind());
    ensure!(size.iter().all(|&axis| axis > 0), "images of {} x {} pixels cannot be made", size[0], size[1]);
    if [height, width] == size || count * channels == 0 {
        let empty = || images.f_reshape([count, channels, size[0], size[1]]);
        return if [height, width] == size { Ok(images.shallow_clone()) } else { Ok(empty()?) };
    }
    ensure!(height > 0 && width > 0, "images of {height} x {width} pixels cannot be resized");
    let images = images.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
    let mut resized = memory::black(&[count, channels, size[0], size[1]])?;
    let from = memory::bytes(&images)?.par_chunks_exact((height * width) as usize);
    let into = memory::bytes_mut(&mut resized)?.par_chunks_exact_mut((size[0] * size[1]) as usize);
    let sizes = ([height as usize, width as usize], size.map(|axis| axis as usize));
    from.zip(into).try_for_each(|(from, into)| plane(from, sizes.0, into, sizes.1))?;
    Ok(resized)
}

/// Resizes one channel of one image, row by row, from `[height, width]` to `[tall, wide]`.
pub fn plane(from: &[u8], [height, width]: [usize; 2], into: &mut [u8], [tall, wide]: [usize; 2]) -> Result<()> {
    if (height, width) == (tall, wide) {
        into.copy_from_slice(from);
        return Ok(());
    }
    let axis = |pixels: usize| u32::try_from(pixels).context("too many pixels");
    let picture: ImageBuffer<Luma<u8>, &[u8]> =
        ImageBuffer::from_raw(axis(width)?, axis(height)?, from).context("a plane of another size than announced")?;
    into.copy_from_slice(&resample(&picture, axis(wide)?, axis(tall)?, FilterType::Triangle));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(shape: &[i64]) -> Tensor {
        let numbers: i64 = shape.iter().product();
        let byte = |index: i64| ((index * 7919 + index * index * 31) % 251) as u8;
        Tensor::from_slice(&(0..numbers).map(byte).collect::<Vec<u8>>()).reshape(shape)
    }

    /// libtorch's antialiased kernel on floats is another implementation of the same filter.
    #[test]
    fn it_is_antialiased_bilinear_in_both_directions() {
        for (shape, size) in [([3, 3, 56, 40], [16, 24]), ([2, 1, 9, 9], [20, 31]), ([1, 3, 224, 224], [64, 64])] {
            let images = noise(&shape);
            let ours = resize(&images, size).unwrap();
            assert_eq!(ours.size(), [shape[0], shape[1], size[0], size[1]]);
            let theirs = images.to_kind(Kind::Float).internal_upsample_bilinear2d_aa(size, false, None, None);
            let apart = (ours.to_kind(Kind::Float) - theirs).abs().max().double_value(&[]);
            assert!(apart <= 1.0, "{shape:?} to {size:?}: {apart} of 255 apart");
        }
    }

    #[test]
    fn the_same_size_is_shared_and_nonsense_is_refused() {
        let images = noise(&[2, 3, 8, 8]);
        assert_eq!(resize(&images, [8, 8]).unwrap().data_ptr(), images.data_ptr());
        assert_eq!(resize(&images.narrow(0, 0, 0), [4, 4]).unwrap().size(), [0, 3, 4, 4]);
        assert!(resize(&images, [0, 4]).is_err());
        assert!(resize(&images.to_kind(Kind::Float), [4, 4]).is_err());
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let of_one = alone.install(|| resize(&noise(&[2, 3, 8, 8]), [5, 7]).unwrap());
        assert_eq!(of_one, resize(&images, [5, 7]).unwrap());
    }
}
