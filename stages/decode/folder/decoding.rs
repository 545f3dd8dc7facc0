//! Decodes all files of both sets, on all cores, straight into the memory of their tensors.

use super::layout::Entry;
use super::picture::{self, Found, Reading};
use crate::artifact::memory;
use crate::context::Context;
use crate::data::images::Images;
use crate::data::problems::Problems;
use anyhow::Result;
use rayon::prelude::*;
use tch::Tensor;

/// The number of images that are decoded between two checks for cancellation.
const PART: usize = 256;

/// What the images become.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// How files are read.
    pub reading: Reading,
    /// Height and width of the images.
    pub made: [usize; 2],
    /// The name of the archive or folder of the images, for messages.
    pub images: &'a str,
}

/// What was found in all files.
#[derive(Debug, Default)]
pub struct Pictures {
    /// The largest value of pictures of 16 bits, if there are any.
    highest: Option<u16>,
    /// The number of JPEG files without an end marker.
    endless: usize,
    /// The number of pictures whose EXIF data say that they are to be turned.
    turned: usize,
}

impl Pictures {
    fn add(&mut self, found: Found) {
        self.highest = self.highest.max(found.highest);
        self.endless += usize::from(found.endless);
        self.turned += usize::from(found.turned);
    }

    /// What the user should know.
    pub fn notes(&self, wanted: &Wanted) -> Vec<String> {
        let (mut notes, name) = (Vec::new(), wanted.images);
        if self.endless > 0 {
            let files = self.endless;
            notes.push(format!("{name}: {files} JPEG files have no end marker; what they lack is grey"));
        }
        if self.turned > 0 && !wanted.reading.upright {
            let files = self.turned;
            notes.push(format!(
                "{name}: the EXIF data of {files} pictures say that they are to be turned or mirrored; they are read as they \
                 are stored, and `orientation = \"exif\"` turns them"
            ));
        }
        // A quarter of the range is left to pictures that are dark by what they show.
        if let Some(highest) = self.highest.filter(|highest| *highest < u16::MAX / 4 && wanted.reading.white.is_none())
        {
            let levels = u32::from(highest) / 257 + 1;
            let white = (u32::from(highest) + 1).next_power_of_two() - 1;
            notes.push(format!(
                "{name}: the pictures of 16 bits go up to {highest} of 65535, which leaves {levels} levels of grey; \
                 `white = {white}` makes that value white"
            ));
        }
        notes
    }
}

/// The images of both sets, \[N,channels,height,width\] u8, decoded on all cores directly into the memory of the
/// tensors. All problems are returned as one error.
pub fn decoded(
    ctx: &Context,
    files: &dyn Images,
    sets: &[Vec<Entry>; 2],
    wanted: &Wanted,
    mut problems: Problems,
) -> Result<([Tensor; 2], Pictures)> {
    let Wanted { reading, made, images } = *wanted;
    let length = reading.channels * made[0] * made[1];
    // If there are problems already, files are only checked for further problems, and no memory is allocated.
    let sound = problems.is_empty();
    let black = |set: &Vec<Entry>| {
        let count = if sound { set.len() } else { 0 };
        memory::black(&[count as i64, reading.channels as i64, made[0] as i64, made[1] as i64])
    };
    let mut tensors = [black(&sets[0])?, black(&sets[1])?];
    let (mut done, total) = (0, sets[0].len() + sets[1].len());
    let mut pictures = Pictures::default();
    for (set, tensor) in sets.iter().zip(&mut tensors) {
        let mut planes: Vec<Option<&mut [u8]>> =
            memory::bytes_mut(tensor)?.chunks_exact_mut(length).map(Some).collect();
        planes.resize_with(set.len(), || None);
        for (entries, planes) in set.chunks(PART).zip(planes.chunks_mut(PART)) {
            let one = |(entry, planes): (&Entry, &mut Option<&mut [u8]>)| {
                let bytes = files.read(entry.position, picture::FILE_LIMIT);
                bytes.and_then(|file| picture::decode(&file, reading, made, planes.as_deref_mut()))
            };
            let found: Vec<Result<Found>> = entries.par_iter().zip(planes.par_iter_mut()).map(one).collect();
            for (entry, found) in entries.iter().zip(found) {
                match found {
                    Ok(found) => pictures.add(found),
                    Err(why) => {
                        let more: Vec<String> = why.chain().skip(1).map(|cause| cause.to_string()).collect();
                        problems.at_with(images, &entry.name, why.to_string(), &more.join(": "));
                    }
                }
            }
            done += entries.len();
            ctx.progress(done as u64, total as u64, "images", None);
            ctx.check()?;
        }
    }
    problems.finish()?;
    Ok((tensors, pictures))
}
