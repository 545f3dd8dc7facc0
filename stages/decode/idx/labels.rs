//! The numbers of a label file as class numbers, counted from 0.

use crate::decode::idx::header::{Element, IdxFile};
use anyhow::{Result, bail};
use tch::Tensor;

/// \[N\] int64, the file's labels minus `first`. Of a file of 2 axes they are the numbers in `column`. An error if one of
/// them is not in 0 to `classes` - 1.
pub fn tensor(file: &IdxFile, column: usize, first: i64, classes: i64) -> Result<Tensor> {
    let bytes = &file.payload;
    let mut labels: Vec<i64> = match file.element {
        Element::U8 => bytes.iter().map(|&label| i64::from(label)).collect(),
        Element::I8 => bytes.iter().map(|&label| i64::from(label as i8)).collect(),
        Element::I16 => bytes.as_chunks().0.iter().map(|&label| i64::from(i16::from_be_bytes(label))).collect(),
        Element::I32 => bytes.as_chunks().0.iter().map(|&label| i64::from(i32::from_be_bytes(label))).collect(),
        Element::F32 | Element::F64 => bail!("offset 2: labels of element type {}", file.element),
    };
    let width = file.axes.get(1).copied().unwrap_or(1);
    if width > 1 {
        labels = labels.into_iter().skip(column).step_by(width).collect();
    }
    for (position, label) in labels.iter_mut().enumerate() {
        match label.checked_sub(first) {
            Some(class) if (0..classes).contains(&class) => *label = class,
            _ => bail!(
                "offset {}: label {label} of image {position} is not in {first} to {}; see parameters `classes` and \
                 `label_offset`",
                file.offset_of(position * width + column),
                first.saturating_add(classes - 1)
            ),
        }
    }
    Ok(Tensor::from_slice(&labels))
}
