//! Sets of images as files of NumPy: an archive `.npz` for each set, with `images` \[N,C,H,W\] and `labels` as they are in the cache.

use super::sets::{self, Chosen};
use crate::exit::Fault;
use crate::image_set::ImageSet;
use crate::report::Subject;
use crate::results::write_by;
use ddpipe_interface::npy::header;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{DateTime, ZipWriter};

/// Writes the sets of these nodes into a folder, and gives how many there are.
///
/// # Errors
/// Those of `sets::of`, or a file cannot be written.
pub fn write(subject: &Subject, chosen: Chosen, folder: &Path) -> Result<usize, Fault> {
    let sets = sets::of(subject, chosen)?;
    for found in &sets {
        let mut set = found.open(subject)?;
        write_by(&folder.join(format!("{}.npz", found.name)), |file| archive(&mut set, file))?;
    }
    Ok(sets.len())
}

fn archive(set: &mut ImageSet, file: &mut File) -> io::Result<()> {
    let mut zip = ZipWriter::new(io::BufWriter::new(file));
    // Without a time the same numbers are the same bytes.
    let options = SimpleFileOptions::default().last_modified_time(DateTime::default()).large_file(true);
    let (shape, count) = (set.shape(), set.shape()[0]);
    let lost = || io::Error::other("the set ends before its last image");
    zip.start_file("images.npy", options)?;
    zip.write_all(&header(if set.is_bytes() { "|u1" } else { "<f4" }, &shape))?;
    for at in 0..count {
        zip.write_all(&set.bytes(at).ok_or_else(lost)?)?;
    }
    if let Some(labels) = set.labels() {
        zip.start_file("labels.npy", options)?;
        zip.write_all(&header("<i8", &[count]))?;
        zip.write_all(&labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<u8>>())?;
    } else if let Some(size) = set.soft_size() {
        zip.start_file("labels.npy", options)?;
        zip.write_all(&header("<f4", &[count, size]))?;
        for at in 0..count {
            let label = set.soft_label(at).ok_or_else(lost)?;
            zip.write_all(&label.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())?;
        }
    }
    zip.finish()?.flush()
}
