//! Decodes one PNG or JPEG file into planes of bytes. The format is recognised by the first bytes, not by the name.

use crate::data::resize;
use anyhow::{Context as _, Result, bail, ensure};
use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// The largest number of bytes of a file.
pub const FILE_LIMIT: usize = 256 << 20;

/// The largest number of pixels along a side, and of bytes of one unpacked picture: limits for files with a broken
/// header.
const SIDE: u32 = 1 << 15;
const UNPACKED: u64 = 1 << 30;

/// Height and width in pixels, read from the header alone.
pub fn size(file: &[u8]) -> Result<[usize; 2]> {
    let (width, height) = reader(file)?.into_dimensions().context("not a readable picture")?;
    Ok([height as usize, width as usize])
}

/// Decodes into planes \[channels,height,width\], resized to `made` where the picture has another size; without
/// `planes`, only checks it. Grey is 0.299 R + 0.587 G + 0.114 B, as Pillow computes it; transparency is dropped. An
/// error if the file is damaged or cut off.
pub fn decode(file: &[u8], channels: usize, made: [usize; 2], planes: Option<&mut [u8]>) -> Result<()> {
    let reader = reader(file)?;
    let format = reader.format();
    let picture = reader.decode().context("the picture is damaged or cut off")?;
    ensure!(format != Some(ImageFormat::Jpeg) || is_whole(file), "the JPEG file is cut off");
    let Some(planes) = planes else { return Ok(()) };
    let found = [picture.height() as usize, picture.width() as usize];
    let pixels = if channels == 1 { grey(picture) } else { picture.into_rgb8().into_raw() };
    let mut plane = Vec::with_capacity(found[0] * found[1]);
    for (channel, into) in planes.chunks_exact_mut(made[0] * made[1]).enumerate() {
        plane.clear();
        plane.extend(pixels.iter().skip(channel).step_by(channels));
        resize::plane(&plane, found, into, made)?;
    }
    Ok(())
}

fn reader(file: &[u8]) -> Result<ImageReader<Cursor<&[u8]>>> {
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format()?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
        bail!("neither a PNG nor a JPEG file");
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE);
    limits.max_image_height = Some(SIDE);
    limits.max_alloc = Some(UNPACKED);
    reader.limits(limits);
    Ok(reader)
}

/// Whether a JPEG file is complete. Decoders fill what is missing at its end with grey. Within its pixels no marker can
/// occur, so an end-of-image marker has to follow the last start-of-scan marker.
fn is_whole(file: &[u8]) -> bool {
    let last = |marker: u8| file.windows(2).rposition(|pair| pair == [0xFF, marker]);
    last(0xDA).is_none_or(|scan| last(0xD9).is_some_and(|end| end > scan))
}

fn grey(picture: DynamicImage) -> Vec<u8> {
    if !picture.color().has_color() {
        return picture.into_luma8().into_raw();
    }
    let weighed =
        |[r, g, b]: [u8; 3]| (19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b) + 0x8000) >> 16;
    picture.into_rgb8().pixels().map(|pixel| weighed(pixel.0) as u8).collect()
}
