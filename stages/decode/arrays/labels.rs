//! Labels of any type and form: whole numbers in a row or a column, booleans, or one-hot rows.

use crate::data::numpy::Array;
use anyhow::{Context as _, Result, bail, ensure};

/// How the labels are numbered.
#[derive(Debug)]
pub struct Numbering {
    /// What they start from.
    pub offset: i64,
    /// A label that stands for class 0.
    pub zero: Option<i64>,
}

/// The classes of the labels, counted from 0.
pub fn read(array: &Array, numbering: &Numbering) -> Result<Vec<i64>> {
    let shape = &array.header.shape;
    let labels = match shape[..] {
        [_] | [_, 1] | [1, _] => array.integers()?,
        [images, classes] => one_hot(array, images, classes)?,
        _ => bail!("{shape:?} numbers, where one label per image is expected"),
    };
    ensure!(!labels.is_empty(), "there are no labels");
    let class = |label: i64| if numbering.zero == Some(label) { Some(0) } else { label.checked_sub(numbering.offset) };
    labels.into_iter().map(|label| class(label).context("a label is too small")).collect()
}

fn one_hot(array: &Array, images: usize, classes: usize) -> Result<Vec<i64>> {
    let numbers = array.floats()?;
    let mut labels = Vec::with_capacity(images);
    for (image, row) in numbers.chunks_exact(classes.max(1)).enumerate() {
        let mut ones = row.iter().enumerate().filter(|(_, number)| **number != 0.0);
        match (ones.next(), ones.next()) {
            (Some((class, number)), None) if *number == 1.0 => labels.push(class as i64),
            _ => bail!(
                "{classes} numbers per image, which is read where one of them is 1 and the others are 0; those of image \
                 {image} are not, and nothing here trains on several labels per image"
            ),
        }
    }
    Ok(labels)
}

/// The number of classes: `given`, or the largest training label plus 1. An error if a label of either set is not below it,
/// or if there would be more classes than training images.
pub fn classes(sets: [&[i64]; 2], given: Option<i64>) -> Result<i64> {
    let largest = sets[0].iter().max().copied().unwrap_or(0);
    let classes = given.unwrap_or(largest.saturating_add(1));
    for (set, labels) in ["training", "test"].into_iter().zip(sets) {
        if let Some(image) = labels.iter().position(|label| !(0..classes).contains(label)) {
            let counted = if given.is_some() { "by parameter `classes`" } else { "by the largest training label" };
            bail!("label {} of {set} image {image} is not in 0 to {} ({counted})", labels[image], classes - 1);
        }
    }
    ensure!(
        given.is_some() || classes <= sets[0].len() as i64,
        "label {largest} makes {classes} classes of {} images; give `classes` if that is meant",
        sets[0].len()
    );
    Ok(classes)
}
