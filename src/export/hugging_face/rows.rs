//! The images of a set, some at a time, in the forms that columns have.

use crate::image_set::{ImageSet, png_of};
use std::io;

/// Some images.
#[derive(Default)]
pub struct Rows {
    /// PNG files; empty where there are no pictures.
    pub pictures: Vec<Vec<u8>>,
    /// Names of these.
    pub names: Vec<String>,
    /// Classes; empty where labels are soft.
    pub labels: Vec<i64>,
    /// The numbers that a network is given, one image after the other; empty of raw images.
    pub pixels: Vec<f32>,
    /// Soft labels, one after the other.
    pub soft: Vec<f32>,
}

/// Whether the images of a set can be shown.
pub fn has_pictures(set: &ImageSet) -> bool {
    !set.is_whitened() && [1, 3].contains(&set.shape()[1])
}

/// The images at these places.
///
/// # Errors
/// The file ends before them.
pub fn at(set: &mut ImageSet, places: std::ops::Range<usize>) -> io::Result<Rows> {
    let mut rows = Rows::default();
    for place in places {
        add(set, place, &mut rows).ok_or_else(|| io::Error::other(format!("image {place} cannot be read")))?;
    }
    Ok(rows)
}

fn add(set: &mut ImageSet, place: usize, rows: &mut Rows) -> Option<()> {
    let [_, channels, height, width] = set.shape();
    if has_pictures(set) {
        let planes = set.pixels(place)?;
        let area = height * width;
        // A PNG file has the channels of a pixel beside each other.
        let by_pixel = (0..area).flat_map(|pixel| (0..channels).map(move |channel| channel * area + pixel));
        let pixels: Vec<u8> = by_pixel.map(|at| planes.get(at).copied()).collect::<Option<_>>()?;
        rows.pictures.push(png_of(&pixels, channels, width, height)?);
        rows.names.push(format!("{place:06}.png"));
    }
    if !set.is_raw() || !has_pictures(set) {
        rows.pixels.extend(set.values(place)?);
    }
    match set.labels() {
        Some(labels) => rows.labels.push(*labels.get(place)?),
        None if set.soft_size().is_some() => rows.soft.extend(set.soft_label(place)?),
        None => {}
    }
    Some(())
}
