//! Checks that all images have the same size, where they are not resized. Only headers are read; files that cannot be
//! read are reported when they are decoded.

use super::picture;
use crate::data::images::Images;
use crate::data::problems::Problems;
use crate::decode::folder::layout::Entry;
use anyhow::Result;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Height and width of most images, in pixels, turned as their EXIF data say with `upright`. Images of another size are added to `problems`.
pub fn agreed(
    files: &dyn Images,
    entries: &[&Entry],
    name: &str,
    upright: bool,
    problems: &mut Problems,
) -> Result<[usize; 2]> {
    let size = |entry: &&Entry| {
        let file = files.read(entry.position, picture::FILE_LIMIT).ok()?;
        picture::size(&file, upright).ok()
    };
    let sizes: Vec<Option<[usize; 2]>> = entries.par_iter().map(size).collect();
    let mut counts: BTreeMap<[usize; 2], usize> = BTreeMap::new();
    sizes.iter().flatten().for_each(|size| *counts.entry(*size).or_default() += 1);
    let Some((&most, _)) = counts.iter().max_by_key(|(_, count)| **count) else { return Ok([1, 1]) };
    let [height, width] = most;
    for (entry, size) in entries.iter().zip(&sizes) {
        if let Some([tall, wide]) = size.filter(|size| *size != most) {
            let fault = format!("another size than most, {width} x {height} pixels; `resize` brings them to one");
            problems.at(name, format!("{} ({wide} x {tall})", entry.name), fault);
        }
    }
    Ok(most)
}
