//! Decodes one PNG file into three planes of bytes. The header is checked before pixels are unpacked, so that a file
//! that announces a huge picture takes no memory.

use anyhow::{Context as _, Result, bail, ensure};
use png::{BitDepth, ColorType, Decoder, Limits};
use std::io::Cursor;

/// The number of channels of an image: red, green, blue.
pub const CHANNELS: usize = 3;

/// The number of bytes of an unpacked image with `size` times `size` pixels.
pub fn bytes_of(size: usize) -> usize {
    CHANNELS * size * size
}

/// The largest number of bytes of a PNG file of such an image that is accepted: twice its unpacked pixels and 1 MiB for
/// text chunks.
pub fn file_limit(size: usize) -> usize {
    2 * bytes_of(size) + (1 << 20)
}

/// Decodes a PNG file of `size` times `size` RGB pixels of 8 bits into planes \[3,size,size\]; without `planes`, only
/// checks it. `scratch` is a buffer for reuse. An error if the file is damaged or has another size or type of pixels.
pub fn decode(file: &[u8], size: usize, scratch: &mut Vec<u8>, planes: Option<&mut [u8]>) -> Result<()> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(file), Limits { bytes: file_limit(size) });
    decoder.ignore_checksums(false);
    let info = decoder.read_header_info().context("not a readable PNG file")?;
    let (width, height, color, depth) = (info.width, info.height, info.color_type, info.bit_depth);
    ensure!(
        (width as usize, height as usize) == (size, size),
        "{width} x {height} pixels, where {size} x {size} are expected; see parameter `size`"
    );
    let color = match color {
        ColorType::Rgb => "RGB",
        ColorType::Rgba => "RGB with alpha",
        ColorType::Indexed => "palette",
        ColorType::Grayscale => "grey",
        ColorType::GrayscaleAlpha => "grey with alpha",
    };
    if color != "RGB" || depth != BitDepth::Eight {
        bail!("a {color} image of {} bits, where RGB of 8 bits is expected", depth as u8);
    }
    let mut reader = decoder.read_info().context("the PNG file is damaged")?;
    scratch.resize(bytes_of(size), 0);
    reader.next_frame(scratch).context("the PNG file is damaged or cut off")?;
    reader.finish().context("the PNG file is damaged or cut off after its pixels")?;
    if let Some(planes) = planes {
        for (channel, plane) in planes.chunks_exact_mut(size * size).enumerate() {
            for (value, pixel) in plane.iter_mut().zip(scratch.chunks_exact(CHANNELS)) {
                *value = pixel[channel];
            }
        }
    }
    Ok(())
}
