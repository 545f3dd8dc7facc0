//! Pictures of image tensors: a grid of images as one PNG file, with the same bytes for the same content. Used by
//! reports and by the previews of distillation; the caller sorts the images.

use super::lettering;
use crate::artifact::Normalisation;
use anyhow::{Context as _, Result, bail, ensure};
use ddpipe_nn::transfer;
use tch::{Device, Kind, Tensor};

/// The largest number of bytes of an unpacked picture; a larger one is an error.
const MAX_BYTES: usize = 1 << 29;

/// White pixels before and behind the words of the rows.
const GAP: usize = 4;

/// \[classes*columns,C,H,W\] float32 on the CPU: the first `columns` images of every class, mapped by `shown`, and
/// white where a class has fewer.
pub fn by_class(images: &Tensor, positions: &[Vec<i64>], columns: usize, shown: impl Fn(Tensor) -> Tensor) -> Tensor {
    let mut parts = Vec::new();
    for class in positions {
        let first = &class[..columns.min(class.len())];
        let index = Tensor::from_slice(first).to_device(images.device());
        let taken = images.index_select(0, &index).to_device(Device::Cpu).to_kind(Kind::Float);
        parts.push(shown(taken));
        let mut missing = images.size();
        missing[0] = (columns - first.len()) as i64;
        parts.push(Tensor::ones(missing, (Kind::Float, Device::Cpu)));
    }
    Tensor::cat(&parts, 0)
}

/// The positions of the images of every class, of which each has so many that follow each other.
pub fn positions(counts: &[i64]) -> Vec<Vec<i64>> {
    let mut next = 0..;
    counts.iter().map(|&count| next.by_ref().take(count.max(0) as usize).collect()).collect()
}

/// The layout of images in a grid, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// The number of images in a row.
    pub columns: usize,
    /// The number of picture pixels per image pixel along each side; each pixel is repeated.
    pub scale: usize,
    /// The width of the white border around every image, in picture pixels.
    pub border: usize,
    /// The origin of the images, written into the file as `Source`, unless empty.
    pub origin: String,
    /// Words to the left of the rows, from the first; may be empty or fewer.
    pub row_names: Vec<String>,
}

impl Grid {
    /// A grid of this many columns, with images at twice their size and borders of 2 pixels.
    pub fn new(columns: usize, origin: &str) -> Self {
        Grid { columns, scale: 2, border: 2, origin: origin.to_string(), row_names: Vec::new() }
    }

    /// The same grid with words to the left of the rows.
    pub fn with_row_names(self, row_names: Vec<String>) -> Self {
        Grid { row_names: row_names.iter().map(|name| lettering::shortened(name)).collect(), ..self }
    }

    /// Draws images \[M,C,H,W\] (one channel: grey, three: red, green, blue) as a PNG file. After `normalisation` is
    /// undone, values are clamped to \[0,1\]; NaN is drawn black. An error if there are no images, another number of
    /// channels, or the picture is too large.
    pub fn png(&self, images: &Tensor, normalisation: Option<&Normalisation>) -> Result<Vec<u8>> {
        ensure!(images.dim() == 4, "a picture is drawn of images with 4 axes, these have {}", images.dim());
        let (color, channels) = match images.size()[1] {
            1 => (png::ColorType::Grayscale, 1),
            3 => (png::ColorType::Rgb, 3),
            other => bail!("images of {other} channels cannot be drawn; 1 (grey) or 3 (red, green, blue) can"),
        };
        let bytes = bytes_of(images, normalisation)?;
        let [count, height, width] = [0, 2, 3].map(|axis| images.size()[axis] as usize);
        let canvas = self.canvas(count, height, width, channels)?;
        let mut pixels = vec![u8::MAX; canvas.bytes];
        for (index, image) in bytes.chunks_exact((height * width * channels).max(1)).enumerate() {
            let top = self.border + index / self.columns * (height * self.scale + self.border);
            let left = canvas.margin + self.border + index % self.columns * (width * self.scale + self.border);
            for (y, row) in image.chunks_exact(width * channels).enumerate() {
                let wide: Vec<u8> = row.chunks_exact(channels).flat_map(|pixel| pixel.repeat(self.scale)).collect();
                for repeat in 0..self.scale {
                    let line = top + y * self.scale + repeat;
                    let start = (line * canvas.width + left) * channels;
                    pixels[start..start + wide.len()].copy_from_slice(&wide);
                }
            }
        }
        for (row, name) in self.row_names.iter().enumerate().take(count.div_ceil(self.columns)) {
            let middle = self.border + row * (height * self.scale + self.border) + height * self.scale / 2;
            let top = middle.saturating_sub(lettering::SIDE / 2);
            lettering::draw(name, |x, y| {
                let start = ((top + y) * canvas.width + GAP + x) * channels;
                if let Some(pixel) = pixels.get_mut(start..start + channels) {
                    pixel.fill(0);
                }
            });
        }
        self.encode(&pixels, &canvas, color).context("could not write a picture")
    }

    fn canvas(&self, count: usize, height: usize, width: usize, channels: usize) -> Result<Canvas> {
        ensure!(count > 0 && height > 0 && width > 0, "there are no images to draw");
        ensure!(self.columns > 0 && self.scale > 0, "a picture needs at least one column and a scale of at least 1");
        let along = |images: usize, pixels: usize| {
            let one = pixels.checked_mul(self.scale)?.checked_add(self.border)?;
            one.checked_mul(images)?.checked_add(self.border)
        };
        let letters = self.row_names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let margin = if letters == 0 { 0 } else { letters * lettering::SIDE + 2 * GAP };
        let canvas = || {
            let height = along(count.div_ceil(self.columns), height)?;
            let width = along(self.columns, width)?.checked_add(margin)?;
            let bytes = height.checked_mul(width)?.checked_mul(channels).filter(|&bytes| bytes <= MAX_BYTES)?;
            Some(Canvas { height, width, margin, bytes })
        };
        canvas().with_context(|| {
            format!(
                "a picture of {count} images of {height}x{width} pixels at scale {} is too large; draw fewer or smaller",
                self.scale
            )
        })
    }

    fn encode(&self, pixels: &[u8], canvas: &Canvas, color: png::ColorType) -> Result<Vec<u8>> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, canvas.width.try_into()?, canvas.height.try_into()?);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        encoder.add_text_chunk("Software".into(), "ddpipe".into())?;
        if self.origin.chars().all(|letter| letter as u32 <= 0xFF) && !self.origin.is_empty() {
            encoder.add_text_chunk("Source".into(), self.origin.clone())?;
        } else if !self.origin.is_empty() {
            // The plain text chunk holds Latin-1 only.
            encoder.add_itxt_chunk("Source".into(), self.origin.clone())?;
        }
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()?;
        Ok(file)
    }
}

struct Canvas {
    height: usize,
    width: usize,
    /// Pixels for the words, left of the images.
    margin: usize,
    bytes: usize,
}

/// The bytes \[M,H,W,C\] of images \[M,C,H,W\] in \[0,1\], after their normalisation is undone.
fn bytes_of(images: &Tensor, normalisation: Option<&Normalisation>) -> Result<Vec<u8>> {
    let images = transfer::to_host(&images.detach())?.f_to_kind(Kind::Float)?;
    let images = match normalisation {
        Some(normalisation) => normalisation.undo(&images),
        None => images,
    };
    let images = images.f_nan_to_num(0.0, 1.0, 0.0)?.f_clamp(0.0, 1.0)?;
    let images = (images * 255.0).f_round()?.f_to_kind(Kind::Uint8)?.f_permute([0, 2, 3, 1])?.f_contiguous()?;
    Ok(Vec::try_from(images.f_flatten(0, -1)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// The header's width, height and colour type, the texts, and the pixels of a PNG file.
    fn read(file: &[u8]) -> (u32, u32, png::ColorType, Vec<(String, String)>, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        let info = reader.info();
        let texts = info.uncompressed_latin1_text.iter().map(|chunk| (chunk.keyword.clone(), chunk.text.clone()));
        let wide = info.utf8_text.iter().map(|chunk| (chunk.keyword.clone(), chunk.get_text().unwrap()));
        (frame.width, frame.height, frame.color_type, texts.chain(wide).collect(), pixels)
    }

    #[test]
    fn images_lie_row_by_row_each_pixel_repeated() {
        let images = Tensor::from_slice(&[0.0f32, 0.2, 0.4, 0.6, 0.8, 1.0]).reshape([3, 1, 1, 2]);
        let grid = Grid { scale: 2, border: 1, ..Grid::new(2, "") };
        let (width, height, color, texts, pixels) = read(&grid.png(&images, None).unwrap());
        assert_eq!((width, height, color), (11, 7, png::ColorType::Grayscale));
        assert_eq!(texts, [("Software".to_string(), "ddpipe".to_string())]);
        let lines: Vec<&[u8]> = pixels.chunks(11).collect();
        let (white, first) = ([255; 11], [255, 0, 0, 51, 51, 255, 102, 102, 153, 153, 255]);
        let second = [255, 204, 204, 255, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(lines, [white, first, first, white, second, second, white]);
    }

    #[test]
    fn the_normalisation_is_undone_and_values_are_clamped() {
        let normalisation = Normalisation::new(vec![0.5, 0.0, 0.0], vec![0.25, 1.0, 1.0]);
        let images = Tensor::from_slice(&[-1.0f32, 7.0, f32::NAN]).reshape([1, 3, 1, 1]);
        let grid = Grid { scale: 1, border: 0, ..Grid::new(1, "sample data") };
        let (_, _, color, texts, pixels) = read(&grid.png(&images, Some(&normalisation)).unwrap());
        assert_eq!((color, pixels), (png::ColorType::Rgb, vec![64, 255, 0]));
        assert!(texts.contains(&("Source".to_string(), "sample data".to_string())), "{texts:?}");
    }

    #[test]
    fn words_stand_to_the_left_of_their_rows() {
        let images = Tensor::ones([2, 1, 8, 1], (Kind::Float, Device::Cpu));
        let grid = Grid { scale: 1, border: 0, ..Grid::new(1, "") };
        let (width, _, _, _, plain) = read(&grid.png(&images, None).unwrap());
        let names = vec!["I".to_string(), String::new(), "no third row".into()];
        let named = Grid { row_names: names, ..grid };
        let (wide, height, _, _, pixels) = read(&named.png(&images, None).unwrap());
        assert_eq!((width, wide, height), (1, 12 * 8 + 8 + 1, 16));
        let black = |rows: std::ops::Range<usize>| {
            pixels[rows.start * wide as usize..rows.end * wide as usize].iter().filter(|&&pixel| pixel == 0).count()
        };
        assert!(black(0..8) > 10 && black(8..16) == 0 && plain.iter().all(|&pixel| pixel == 255));
    }

    #[test]
    fn an_origin_beyond_latin_is_kept() {
        let images = Tensor::zeros([1, 1, 1, 1], (Kind::Float, Device::Cpu));
        let file = Grid::new(1, "数字").png(&images, None).unwrap();
        assert_eq!(file, Grid::new(1, "数字").png(&images, None).unwrap());
        assert!(read(&file).3.contains(&("Source".to_string(), "数字".to_string())));
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let refused = |shape: [i64; 4], grid: Grid| {
            grid.png(&Tensor::zeros(shape, (Kind::Float, Device::Cpu)), None).unwrap_err().to_string()
        };
        assert!(refused([1, 2, 4, 4], Grid::new(1, "")).contains("2 channels"));
        assert!(refused([0, 1, 4, 4], Grid::new(1, "")).contains("no images"));
        assert!(refused([1, 1, 4, 4], Grid::new(0, "")).contains("one column"));
        let huge = Grid { scale: usize::MAX / 2, ..Grid::new(1, "") };
        assert!(refused([1, 1, 4, 4], huge).contains("too large"));
    }
}
