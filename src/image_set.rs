//! A set of images in its file, real or synthetic, read image by image without torch: as numbers, and as pixels without the
//! normalisation. Knows no cache and not what is drawn.

use ddpipe_interface::{ArtifactType, tensor_file};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Images of more channels are none.
const CHANNELS: usize = 4096;
/// Nor are there more classes, each of which is named.
const CLASSES: u64 = 1_000_000;

/// The images of a set, which stay in its file.
pub struct ImageSet {
    file: File,
    /// The length of the file.
    length: u64,
    /// Where the first image begins.
    start: u64,
    shape: [usize; 4],
    /// Whether a pixel is a byte; else it is a 32 bit number.
    is_bytes: bool,
    /// Whether pixels are those of the source; else they are what a network is given.
    is_raw: bool,
    /// Per channel, what a pixel is multiplied by, and what is added, to lie between 0 and 1.
    scale: Vec<(f64, f64)>,
    classes: usize,
    labels: Option<Vec<i64>>,
    /// Where the soft labels begin, and how many numbers there are of each image.
    soft: Option<(u64, usize)>,
    is_whitened: bool,
    about: Value,
}

impl ImageSet {
    /// Opens a set; none of a form that is none.
    pub fn of(path: &Path) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let head = tensor_file::head(&mut file)?;
        let (begin, length) = (file.stream_position().ok()?, file.metadata().ok()?.len());
        let images = head.get("images")?;
        let shape: [usize; 4] = sizes(images)?.try_into().ok()?;
        if shape[1] > CHANNELS {
            return None;
        }
        let is_bytes = match images["dtype"].as_str()? {
            "U8" => true,
            "F32" => false,
            _ => return None,
        };
        let described = tensor_file::about(&head)?;
        let about = described["about"].clone();
        let is_raw = is_bytes || described["type"] == ArtifactType::Dataset.name();
        let offset = |tensor: &Value| begin.checked_add(tensor["data_offsets"][0].as_u64()?);
        let soft = soft(&head, shape[0]).and_then(|(tensor, count)| Some((offset(tensor)?, count)));
        let labels = head.get("labels").filter(|labels| labels["dtype"] == "I64").and_then(|labels| {
            let count = labels["shape"][0].as_u64().filter(|count| *count == shape[0] as u64)?;
            file.seek(SeekFrom::Start(offset(labels)?)).ok()?;
            let bytes = usize::try_from(count).ok()?.checked_mul(8).filter(|bytes| *bytes as u64 <= length)?;
            let mut bytes = vec![0; bytes];
            file.read_exact(&mut bytes).ok()?;
            Some(bytes.chunks_exact(8).filter_map(|it| Some(i64::from_le_bytes(it.try_into().ok()?))).collect())
        });
        Some(ImageSet {
            start: offset(images)?,
            shape,
            is_bytes,
            is_raw,
            scale: (0..shape[1]).map(|channel| scale(&about, channel, is_raw)).collect(),
            classes: about["classes"].as_u64().filter(|classes| *classes <= CLASSES)? as usize,
            labels,
            soft,
            is_whitened: head.contains_key("whitening_inverse"),
            file,
            length,
            about,
        })
    }

    /// Images, channels, height, width.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The names of the classes; their numbers where they have none.
    pub fn class_names(&self) -> Vec<String> {
        let named = self.about["class_names"].as_array().map(|names| names.iter().filter_map(Value::as_str));
        let named: Vec<String> = named.into_iter().flatten().map(String::from).collect();
        if named.len() == self.classes { named } else { (0..self.classes).map(|class| class.to_string()).collect() }
    }

    /// The class of each image; none of a set with soft labels.
    pub fn labels(&self) -> Option<&[i64]> {
        self.labels.as_deref()
    }

    /// What the file says of itself.
    pub fn about(&self) -> &Value {
        &self.about
    }

    /// Whether pixels are those of the source; else they are what a network is given.
    pub fn is_raw(&self) -> bool {
        self.is_raw
    }

    /// Whether a number of an image is a byte; else it is one of 32 bits.
    pub fn is_bytes(&self) -> bool {
        self.is_bytes
    }

    /// Whether the images are whitened, and so no pictures.
    pub fn is_whitened(&self) -> bool {
        self.is_whitened
    }

    /// How many numbers the soft label of an image has, where the set has soft labels.
    pub fn soft_size(&self) -> Option<usize> {
        self.soft.map(|(_, size)| size)
    }

    /// The soft label of an image.
    pub fn soft_label(&mut self, at: usize) -> Option<Vec<f32>> {
        let (start, size) = self.soft?;
        let bytes = self.read(start, at, size.checked_mul(4)?)?;
        Some(floats(&bytes))
    }

    /// The numbers of an image as the file has them, little end first, channel by channel and row by row.
    pub fn bytes(&mut self, at: usize) -> Option<Vec<u8>> {
        let [_, channels, height, width] = self.shape;
        let wide = if self.is_bytes { 1 } else { 4 };
        let size = height.checked_mul(width)?.checked_mul(channels)?.checked_mul(wide)?;
        self.read(self.start, at, size)
    }

    /// The numbers of an image; bytes as they are.
    pub fn values(&mut self, at: usize) -> Option<Vec<f32>> {
        let bytes = self.bytes(at)?;
        Some(if self.is_bytes { bytes.iter().map(|byte| f32::from(*byte)).collect() } else { floats(&bytes) })
    }

    /// The pixels of an image from 0 to 255 without the normalisation, channel by channel; none of whitened images.
    pub fn pixels(&mut self, at: usize) -> Option<Vec<u8>> {
        if self.is_whitened {
            return None;
        }
        let values = self.values(at)?;
        let area = self.shape[2].saturating_mul(self.shape[3]);
        let pixel = |(at, value): (usize, &f32)| {
            let (times, plus) = self.scale.get(at / area.max(1)).copied().unwrap_or((1.0, 0.0));
            // What is no number becomes 0.
            ((f64::from(*value) * times + plus) * 255.0).round().clamp(0.0, 255.0) as u8
        };
        Some(values.iter().enumerate().map(pixel).collect())
    }

    fn read(&mut self, start: u64, at: usize, size: usize) -> Option<Vec<u8>> {
        let from = start.checked_add((at as u64).checked_mul(size as u64)?)?;
        if from.checked_add(size as u64)? > self.length {
            return None;
        }
        self.file.seek(SeekFrom::Start(from)).ok()?;
        let mut bytes = vec![0; size];
        self.file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}

fn sizes(tensor: &Value) -> Option<Vec<usize>> {
    tensor["shape"].as_array()?.iter().map(|size| Some(size.as_u64()? as usize)).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).filter_map(|it| Some(f32::from_le_bytes(it.try_into().ok()?))).collect()
}

/// The soft labels of so many images, and how many numbers each has.
fn soft(head: &Map<String, Value>, images: usize) -> Option<(&Value, usize)> {
    let labels = head.get("labels").filter(|labels| labels["dtype"] == "F32")?;
    match sizes(labels)?.as_slice() {
        [count, size] if *count == images => Some((labels, *size)),
        _ => None,
    }
}

/// What a pixel of a channel is multiplied by, and what is added, to lie between 0 and 1.
fn scale(about: &Value, channel: usize, is_raw: bool) -> (f64, f64) {
    if is_raw {
        return (1.0 / about["scale"].as_f64().unwrap_or(255.0), 0.0);
    }
    let number = |name: &str, otherwise: f64| {
        let numbers = &about["normalisation"][name];
        numbers[channel].as_f64().or_else(|| numbers[0].as_f64()).unwrap_or(otherwise)
    };
    (number("std", 1.0), number("mean", 0.0))
}

/// Pixels as a PNG file: grey or colours, pixel by pixel.
pub fn png_of(pixels: &[u8], channels: usize, width: usize, height: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    encoder.set_color(match channels {
        1 => png::ColorType::Grayscale,
        3 => png::ColorType::Rgb,
        _ => return None,
    });
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(pixels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}
