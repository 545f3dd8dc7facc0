//! The numbers of an image file as a tensor \[N,C,H,W\]: u8 for bytes, float32 for all other types.

use crate::decode::idx::header::{Element, IdxFile};
use anyhow::{Context as _, Result, bail};
use tch::{Kind, Tensor};

/// The images \[N,C,H,W\]; C is 1 for files with 3 axes. An error if a pixel is not finite as float32.
pub fn tensor(file: &IdxFile) -> Result<Tensor> {
    let sizes: Vec<i64> = file.axes.iter().map(|&size| size as i64).collect();
    let shape = match sizes[..] {
        [images, rows, columns] => [images, 1, rows, columns],
        [images, channels, rows, columns] => [images, channels, rows, columns],
        _ => bail!("offset 3: {} axes are not those of images", sizes.len()),
    };
    if file.element == Element::U8 {
        return Tensor::f_from_data_size(&file.payload, &shape, Kind::Uint8)
            .context("the images do not fit into memory");
    }
    let floats = floats(file);
    if let Some(position) = floats.iter().position(|pixel| !pixel.is_finite()) {
        let image = position / (floats.len() / file.count());
        bail!(
            "offset {}: a pixel of image {image} is {}, not a finite 32-bit number",
            file.offset_of(position),
            floats[position]
        );
    }
    Ok(Tensor::f_from_slice(&floats)?.f_reshape(shape)?)
}

fn floats(file: &IdxFile) -> Vec<f32> {
    let bytes = &file.payload;
    match file.element {
        Element::U8 => bytes.iter().map(|&pixel| f32::from(pixel)).collect(),
        Element::I8 => bytes.iter().map(|&pixel| f32::from(pixel as i8)).collect(),
        Element::I16 => bytes.as_chunks().0.iter().map(|&pixel| f32::from(i16::from_be_bytes(pixel))).collect(),
        Element::I32 => bytes.as_chunks().0.iter().map(|&pixel| i32::from_be_bytes(pixel) as f32).collect(),
        Element::F32 => bytes.as_chunks().0.iter().map(|&pixel| f32::from_be_bytes(pixel)).collect(),
        Element::F64 => bytes.as_chunks().0.iter().map(|&pixel| f64::from_be_bytes(pixel) as f32).collect(),
    }
}
