//! A PNG picture in a terminal: two pixels in each letter, an upper half block whose own colour is the upper one and whose
//! ground is the lower one. Made smaller to fit, never larger.

use png::{ColorType, Decoder, Limits, Transformations};
use std::io::Cursor;

/// Bytes that a picture may take when it is read.
const LARGEST: usize = 256 << 20;

/// The colours that a terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// Every mixture of red, green and blue.
    All,
    /// 256: a cube of six steps, and greys.
    Some,
}

impl Colours {
    /// What the environment says of the terminal.
    pub fn of_environment() -> Self {
        let told = std::env::var("COLORTERM").unwrap_or_default();
        if told == "truecolor" || told == "24bit" { Colours::All } else { Colours::Some }
    }
}

type Pixel = [u8; 3];

/// Whether these are the bytes of a PNG file.
pub fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG\r\n\x1a\n")
}

/// The picture in so many columns and rows at most; none of what is no picture.
pub fn draw(png: &[u8], colours: Colours, (columns, rows): (usize, usize)) -> Option<String> {
    let (pixels, wide, high) = pixels(png)?;
    let scale = [1.0, columns.max(1) as f64 / wide as f64, (2 * rows.max(1)) as f64 / high as f64]
        .into_iter()
        .fold(f64::INFINITY, f64::min);
    let small = |size: usize| ((size as f64 * scale).floor() as usize).clamp(1, size);
    let (columns, lines) = (small(wide), small(high));
    let at = |column: usize, line: usize| {
        // The mean of all pixels that fall together.
        let part = |at: usize, of: usize, all: usize| (at * all / of, ((at + 1) * all).div_ceil(of).min(all));
        let ((left, right), (top, bottom)) = (part(column, columns, wide), part(line, lines, high));
        let (mut sum, mut count) = ([0u64; 3], 0u64);
        for row in top..bottom {
            for pixel in pixels.get(row * wide + left..row * wide + right).unwrap_or_default() {
                sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u64::from(*value));
                count += 1;
            }
        }
        sum.map(|sum| (sum / count.max(1)) as u8)
    };
    let mut text = String::new();
    for line in (0..lines).step_by(2) {
        for column in 0..columns {
            let upper = colours.code(38, at(column, line));
            match line + 1 < lines {
                true => text.push_str(&format!("\u{1b}[{upper};{}m▀", colours.code(48, at(column, line + 1)))),
                false => text.push_str(&format!("\u{1b}[{upper};49m▀")),
            }
        }
        text.push_str("\u{1b}[0m\n");
    }
    Some(text)
}

impl Colours {
    /// The numbers that set a colour: 38 for letters, 48 for the ground.
    fn code(self, what: u8, [red, green, blue]: Pixel) -> String {
        match self {
            Colours::All => format!("{what};2;{red};{green};{blue}"),
            Colours::Some => {
                let grey = red.abs_diff(green) < 8 && green.abs_diff(blue) < 8;
                let number = match (grey, red) {
                    (true, 0..=3) => 16,
                    (true, 247..) => 231,
                    (true, red) => 232 + (u16::from(red).saturating_sub(3) / 10).min(23),
                    (false, _) => {
                        let step = |value: u8| (u16::from(value) * 5 + 127) / 255;
                        16 + 36 * step(red) + 6 * step(green) + step(blue)
                    }
                };
                format!("{what};5;{number}")
            }
        }
    }
}

/// The pixels in rows, on white where the picture is transparent.
fn pixels(png: &[u8]) -> Option<(Vec<Pixel>, usize, usize)> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(png), Limits { bytes: LARGEST });
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let mut bytes = vec![0; reader.output_buffer_size().filter(|size| *size <= LARGEST)?];
    let seen = reader.next_frame(&mut bytes).ok()?;
    let bytes = bytes.get(..seen.buffer_size())?;
    let over_white = |value: u8, alpha: u8| {
        let (value, alpha) = (u16::from(value), u16::from(alpha));
        ((value * alpha + 255 * (255 - alpha)) / 255) as u8
    };
    let width = seen.color_type.samples();
    let pixel = |samples: &[u8]| match (seen.color_type, samples) {
        (ColorType::Grayscale, [grey]) => Some([*grey; 3]),
        (ColorType::GrayscaleAlpha, [grey, alpha]) => Some([over_white(*grey, *alpha); 3]),
        (ColorType::Rgb, [red, green, blue]) => Some([*red, *green, *blue]),
        (ColorType::Rgba, [red, green, blue, alpha]) => Some([*red, *green, *blue].map(|v| over_white(v, *alpha))),
        _ => None,
    };
    let pixels: Option<Vec<Pixel>> = bytes.chunks_exact(width).map(pixel).collect();
    let (wide, high) = (seen.width as usize, seen.height as usize);
    pixels.filter(|pixels| !pixels.is_empty() && pixels.len() == wide * high).map(|pixels| (pixels, wide, high))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn png(colour: ColorType, wide: u32, high: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, wide, high);
        encoder.set_color(colour);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    #[test]
    fn two_pixels_are_one_letter() {
        let red_over_blue = png(ColorType::Rgb, 1, 2, &[255, 0, 0, 0, 0, 255]);
        let drawn = draw(&red_over_blue, Colours::All, (80, 24)).unwrap();
        assert_eq!(drawn, "\u{1b}[38;2;255;0;0;48;2;0;0;255m▀\u{1b}[0m\n");
        let drawn = draw(&red_over_blue, Colours::Some, (80, 24)).unwrap();
        assert_eq!(drawn, "\u{1b}[38;5;196;48;5;21m▀\u{1b}[0m\n");
        let clear = png(ColorType::GrayscaleAlpha, 1, 1, &[0, 0]);
        assert_eq!(draw(&clear, Colours::Some, (80, 24)).unwrap(), "\u{1b}[38;5;231;49m▀\u{1b}[0m\n");
    }

    #[test]
    fn it_fits_and_keeps_its_form() {
        let picture = png(ColorType::Grayscale, 200, 100, &[128; 20_000]);
        let size = |room| {
            let drawn = draw(&picture, Colours::All, room).unwrap();
            (drawn.lines().next().unwrap().matches('▀').count(), drawn.lines().count())
        };
        assert_eq!(size((400, 400)), (200, 50));
        assert_eq!(size((100, 400)), (100, 25));
        assert_eq!(size((400, 10)), (40, 10));
        assert_eq!(size((0, 0)), (1, 1));
    }

    #[test]
    fn what_is_no_picture_is_not_drawn() {
        let whole = png(ColorType::Rgb, 4, 4, &[9; 48]);
        for bytes in [&whole[..whole.len() / 2], b"\x89PNG\r\n\x1a\n", b"", b"<svg/>"] {
            assert_eq!(draw(bytes, Colours::All, (80, 24)), None);
        }
    }
}
