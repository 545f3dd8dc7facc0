//! Checks and converts the two arrays of a set: images of bytes, grey or RGB, and one integer label per image.

use crate::data::numpy::{Archive, Element, Header};
use anyhow::{Context as _, Result, bail, ensure};
use tch::{Kind, Tensor};

/// One of the three sets.
#[derive(Debug)]
pub struct Set {
    /// \[N,C,H,W\] u8, C 1 or 3.
    pub images: Tensor,
    /// \[N\], the labels, not yet checked against the number of classes.
    pub labels: Vec<i64>,
}

impl Set {
    /// Reads the arrays `NAME_images` and `NAME_labels`; an error if they do not fit each other.
    pub fn read(archive: &mut Archive, name: &str) -> Result<Self> {
        let images = archive.array(&format!("{name}_images"), |header| shape_of(header).map(|_| ()))?;
        let labels = archive.array(&format!("{name}_labels"), one_label)?;
        ensure!(
            images.count() == labels.count(),
            "{name}_images.npy holds {} images, but {name}_labels.npy {} labels",
            images.count(),
            labels.count()
        );
        let labels = labels.integers().with_context(|| format!("{name}_labels.npy"))?;
        let [count, height, width, channels] = shape_of(&images.header)?;
        let pixels = Tensor::f_from_data_size(&images.bytes, &[count, height, width, channels], Kind::Uint8);
        let pixels = pixels.with_context(|| format!("{name}_images.npy does not fit into memory"))?;
        Ok(Set { images: pixels.f_permute([0, 3, 1, 2])?.f_contiguous()?, labels })
    }
}

/// The number of images, height, width and channels; an error if the array does not hold images of bytes.
fn shape_of(header: &Header) -> Result<[i64; 4]> {
    let Element { kind, size, .. } = header.element;
    ensure!(kind == 'u' && size == 1, "images of type {kind}{size}; MedMNIST's are unsigned bytes (u1)");
    let axes: Vec<i64> = header.shape.iter().map(|&axis| i64::try_from(axis)).collect::<Result<_, _>>()?;
    let shape = match axes[..] {
        [images, height, width] => [images, height, width, 1],
        [images, height, width, channels @ (1 | 3)] => [images, height, width, channels],
        [_, depth, height, width] | [_, depth, height, width, 1 | 3] => {
            bail!(
                "volumes of {depth} x {height} x {width} voxels; images have 2 axes, and a last one of 3 where coloured"
            )
        }
        _ => bail!("{axes:?} numbers are no images; those have axes image, row, column and, where coloured, 3"),
    };
    ensure!(shape.iter().all(|&axis| axis > 0), "{axes:?}: there are no images");
    Ok(shape)
}

/// An error if the array does not hold one number per image, in a row or in a column.
pub fn one_label(header: &Header) -> Result<()> {
    match header.shape[..] {
        [_] | [_, 1] => Ok(()),
        [_, labels] => bail!(
            "{labels} labels per image: a set of several labels (such as ChestMNIST) is not one of classes, and nothing here \
             trains on it"
        ),
        _ => bail!("{:?} numbers, where one label per image is expected", header.shape),
    }
}

/// The number of classes: `given`, or the largest training label plus 1. An error if a label of any set is not below
/// it, or if there would be more classes than training images.
pub fn classes(names: &[&str], sets: &[Set], given: Option<i64>) -> Result<i64> {
    let largest = sets.first().and_then(|train| train.labels.iter().max()).copied().unwrap_or(0);
    // A label far above any number of classes is damage, and no memory may be allocated by it.
    let classes = given.unwrap_or(largest.saturating_add(1));
    let counted = if given.is_some() { "parameter `classes`" } else { "the largest label of train_labels.npy" };
    for (name, set) in names.iter().zip(sets) {
        let wrong = set.labels.iter().position(|label| !(0..classes).contains(label));
        if let Some(image) = wrong {
            bail!(
                "{name}_labels.npy: label {} of image {image} is not in 0 to {} (by {counted})",
                set.labels[image],
                classes - 1
            );
        }
    }
    let images = sets.first().map_or(0, |train| train.labels.len());
    ensure!(
        given.is_some() || classes <= images as i64,
        "train_labels.npy: label {largest} makes {classes} classes of {images} images; give `classes` if that is meant"
    );
    Ok(classes)
}
