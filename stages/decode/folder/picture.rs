//! Decodes one PNG or JPEG file into planes of bytes. The format is recognised by the first bytes, not by the name.

use crate::data::resize;
use anyhow::{Context as _, Result, bail, ensure};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, Luma, Rgb, RgbImage};
use std::io::Cursor;

/// The largest number of bytes of a file.
pub const FILE_LIMIT: usize = 256 << 20;

/// The largest number of pixels along a side, and of bytes of one unpacked picture: limits for files with a broken
/// header.
const SIDE: u32 = 1 << 15;
const UNPACKED: u64 = 1 << 30;

/// Height and width in pixels, read from the header alone; of the picture as it is turned, with `upright`.
pub fn size(file: &[u8], upright: bool) -> Result<[usize; 2]> {
    let mut decoder = reader(file)?.into_decoder().context("not a readable picture")?;
    let (width, height) = decoder.dimensions();
    let size = [height as usize, width as usize];
    Ok(if upright && lies(orientation(&mut decoder)) { [size[1], size[0]] } else { size })
}

/// How files are read that programs disagree about.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The number of channels, 1 or 3.
    pub channels: usize,
    /// Whether a JPEG file without an end marker is refused; else what it lacks is grey.
    pub whole: bool,
    /// The value of pixels of 16 bits that becomes white; 65,535 where there is none.
    pub white: Option<u16>,
    /// Whether a picture is turned as its EXIF data say that the camera was held.
    pub upright: bool,
}

/// What was found while a file was decoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found {
    /// The largest value of a picture of 16 bits.
    pub highest: Option<u16>,
    /// Whether it is a JPEG file without an end marker.
    pub endless: bool,
    /// Whether its EXIF data say that it is to be turned or mirrored.
    pub turned: bool,
}

/// Decodes into planes \[channels,height,width\], resized to `made` where the picture has another size; without
/// `planes`, only checks it. Grey is 0.299 R + 0.587 G + 0.114 B, as Pillow computes it; transparency is dropped. An
/// error if the file is damaged or cut off.
pub fn decode(file: &[u8], reading: Reading, made: [usize; 2], planes: Option<&mut [u8]>) -> Result<Found> {
    let reader = reader(file)?;
    let format = reader.format();
    let mut decoder = reader.into_decoder().context("the picture is damaged or cut off")?;
    ensure!(decoder.total_bytes() <= UNPACKED, "the picture would take more than {} MiB of memory", UNPACKED >> 20);
    let orientation = orientation(&mut decoder);
    let mut picture = DynamicImage::from_decoder(decoder).context("the picture is damaged or cut off")?;
    let endless = format == Some(ImageFormat::Jpeg) && !is_whole(file);
    ensure!(
        !(endless && reading.whole),
        "the JPEG file has no end marker: it is cut off, or a camera left the marker out; `jpeg_end = \"optional\"` reads it, \
         what it lacks is grey"
    );
    let found = Found { highest: highest(&picture), endless, turned: orientation != Orientation::NoTransforms };
    let Some(planes) = planes else { return Ok(found) };
    if reading.upright {
        picture.apply_orientation(orientation);
    }
    let picture = match (found.highest, reading.white) {
        (Some(_), Some(white)) => scaled(&picture, white),
        _ => picture,
    };
    let channels = reading.channels;
    let size = [picture.height() as usize, picture.width() as usize];
    let pixels = if channels == 1 { grey(picture) } else { picture.into_rgb8().into_raw() };
    let mut plane = Vec::with_capacity(size[0] * size[1]);
    for (channel, into) in planes.chunks_exact_mut(made[0] * made[1]).enumerate() {
        plane.clear();
        plane.extend(pixels.iter().skip(channel).step_by(channels));
        resize::plane(&plane, size, into, made)?;
    }
    Ok(found)
}

/// How the EXIF data say that the picture is to be turned; data that cannot be read say nothing.
fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

/// Whether height and width change places.
fn lies(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// The largest value of a picture of 16 bits; transparency does not count.
fn highest(picture: &DynamicImage) -> Option<u16> {
    let highest = |values: &[u16], channels: usize, colours: usize| {
        values.chunks_exact(channels).flat_map(|pixel| pixel.iter().take(colours)).max().copied()
    };
    match picture {
        DynamicImage::ImageLuma16(picture) => highest(picture.as_raw(), 1, 1),
        DynamicImage::ImageLumaA16(picture) => highest(picture.as_raw(), 2, 1),
        DynamicImage::ImageRgb16(picture) => highest(picture.as_raw(), 3, 3),
        DynamicImage::ImageRgba16(picture) => highest(picture.as_raw(), 4, 3),
        _ => None,
    }
}

/// A picture of 16 bits as one of 8 bits in which `white` and what is above it is white.
fn scaled(picture: &DynamicImage, white: u16) -> DynamicImage {
    let white = u32::from(white.max(1));
    let byte = |value: u16| ((u32::from(value).min(white) * 255 + white / 2) / white) as u8;
    match picture {
        DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_) => {
            let wide = picture.to_luma16();
            DynamicImage::ImageLuma8(GrayImage::from_fn(wide.width(), wide.height(), |x, y| {
                Luma(wide.get_pixel(x, y).0.map(byte))
            }))
        }
        _ => {
            let wide = picture.to_rgb16();
            DynamicImage::ImageRgb8(RgbImage::from_fn(wide.width(), wide.height(), |x, y| {
                Rgb(wide.get_pixel(x, y).0.map(byte))
            }))
        }
    }
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

/// Whether a JPEG file has its end marker, whatever lies behind it. Decoders fill what is missing at its end with grey.
fn is_whole(file: &[u8]) -> bool {
    // Within pixels a byte 0xFF is followed by 0 or by the number of a restart; a segment says how long it is.
    let is_marker = |pair: &[u8]| matches!(pair, [0xFF, marker] if !matches!(marker, 0 | 0xD0..=0xD7 | 0xFF));
    let mut rest = file.get(2..).unwrap_or_default();
    while let Some(at) = rest.windows(2).position(is_marker) {
        match rest.get(at + 1..).unwrap_or_default() {
            [0xD9, ..] => return true,
            [_, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = rest.get(at + 2 + length..).unwrap_or_default();
            }
            _ => return false,
        }
    }
    false
}

fn grey(picture: DynamicImage) -> Vec<u8> {
    if !picture.color().has_color() {
        return picture.into_luma8().into_raw();
    }
    let weighed =
        |[r, g, b]: [u8; 3]| (19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b) + 0x8000) >> 16;
    picture.into_rgb8().pixels().map(|pixel| weighed(pixel.0) as u8).collect()
}
