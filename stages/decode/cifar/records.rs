//! Reads the records of a file: label bytes, then the pixels of one image. The bytes may come from an archive or from
//! single files.

use crate::decode::cifar::layout::{IMAGE, PIXELS, Set};
use anyhow::{Context as _, Result, bail, ensure};
use tch::{Kind, Tensor};

/// Images and labels of one or several files, in their order.
#[derive(Debug)]
pub struct Records {
    set: Set,
    /// The index of the label byte that is used as the label.
    chosen: usize,
    pixels: Vec<u8>,
    labels: Vec<i64>,
}

impl Records {
    /// Starts without records. `chosen` is the index of the label byte that is used as the label.
    pub fn new(set: Set, chosen: usize) -> Self {
        Records { set, chosen, pixels: Vec::new(), labels: Vec::new() }
    }

    /// Adds the records of a file. All label bytes are checked, also those that are not used. An error names the file
    /// and the offset.
    pub fn add(&mut self, file: &str, bytes: &[u8]) -> Result<()> {
        let (set, size) = (self.set, self.set.record());
        ensure!(!bytes.is_empty(), "{file}: the file is empty");
        if !bytes.len().is_multiple_of(size) {
            let (whole, rest) = (bytes.len() / size, bytes.len() % size);
            bail!(
                "{file}: offset {}: image {whole} has {rest} of the {size} bytes that one of {} has{}",
                whole * size,
                set.name(),
                foreign(set, bytes)
            );
        }
        for (image, record) in bytes.chunks_exact(size).enumerate() {
            let (labels, pixels) = record.split_at(size - PIXELS);
            for (at, (label, &value)) in set.labels().iter().zip(labels).enumerate() {
                ensure!(
                    value < label.classes,
                    "{file}: offset {}: {} {value} of image {image} is not in 0 to {}{}",
                    image * size + at,
                    label.name,
                    label.classes - 1,
                    foreign(set, bytes)
                );
            }
            self.labels.push(i64::from(labels[self.chosen]));
            self.pixels.extend_from_slice(pixels);
        }
        Ok(())
    }

    /// The images \[N,3,32,32\] u8 and the labels \[N\] int64.
    pub fn tensors(self) -> Result<(Tensor, Tensor)> {
        let [channels, height, width] = IMAGE;
        let shape = [self.labels.len() as i64, channels, height, width];
        let images = Tensor::f_from_data_size(&self.pixels, &shape, Kind::Uint8);
        Ok((images.context("the images do not fit into memory")?, Tensor::f_from_slice(&self.labels)?))
    }
}

/// A hint for an error about a file that is not one of this set: what it may be instead.
fn foreign(set: Set, bytes: &[u8]) -> String {
    match bytes {
        [0x1F, 0x8B, ..] => "; it is gzipped: an archive belongs at input `archive`".into(),
        [b'<', ..] => "; it looks like a web page: the download did not give the file".into(),
        [0x80, 2..=5, ..] => "; it looks pickled: fetch the binary version".into(),
        _ if bytes.len().is_multiple_of(set.other().record()) => {
            format!("; by its size it may be {}: `set = \"{}\"`", set.other().name(), set.other().param())
        }
        _ => String::new(),
    }
}
