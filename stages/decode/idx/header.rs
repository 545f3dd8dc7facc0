//! Reads the header of an IDX file (two zero bytes, element type, number of axes, then one big-endian u32 per axis) and
//! checks that exactly the announced bytes follow. Images and labels are read in the same way.

use crate::data::unpacking::Unpacking;
use crate::decode::idx::source::Source;
use anyhow::{Context as _, Result, bail, ensure};
use std::borrow::Cow;
use std::fmt;

/// The type of the stored numbers; all are big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Unsigned byte, code 0x08.
    U8,
    /// Signed byte, code 0x09.
    I8,
    /// 16-bit integer, code 0x0B.
    I16,
    /// 32-bit integer, code 0x0C.
    I32,
    /// 32-bit float, code 0x0D.
    F32,
    /// 64-bit float, code 0x0E.
    F64,
}

impl Element {
    fn of(code: u8) -> Option<Self> {
        Some(match code {
            0x08 => Element::U8,
            0x09 => Element::I8,
            0x0B => Element::I16,
            0x0C => Element::I32,
            0x0D => Element::F32,
            0x0E => Element::F64,
            _ => return None,
        })
    }

    /// The number of bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Element::U8 | Element::I8 => 1,
            Element::I16 => 2,
            Element::I32 | Element::F32 => 4,
            Element::F64 => 8,
        }
    }

    /// Whether the numbers are integers.
    pub fn is_whole(self) -> bool {
        !matches!(self, Element::F32 | Element::F64)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Element::U8 => "unsigned byte",
            Element::I8 => "signed byte",
            Element::I16 => "16-bit integer",
            Element::I32 => "32-bit integer",
            Element::F32 => "32-bit float",
            Element::F64 => "64-bit float",
        })
    }
}

/// A file whose header and length agree.
#[derive(Debug)]
pub struct IdxFile<'a> {
    /// The type of the numbers.
    pub element: Element,
    /// The number of entries along each axis, above zero.
    pub axes: Vec<usize>,
    /// The numbers as stored, the last axis fastest.
    pub payload: Cow<'a, [u8]>,
    /// The comment of the gzip header, if there is one.
    pub comment: Option<String>,
}

impl IdxFile<'_> {
    /// The number of entries along the first axis: of images, or of labels.
    pub fn count(&self) -> usize {
        self.axes[0]
    }

    /// The offset of a number in the unpacked file, in bytes; `number` counts from 0.
    pub fn offset_of(&self, number: usize) -> usize {
        4 + 4 * self.axes.len() + number * self.element.size()
    }
}

/// Reads a whole file, which may unpack to as much as `unpacking` allows. `expect` is called with the header before the numbers are read and may return an error. Errors
/// name the offset in the unpacked file.
pub fn read<'a>(
    bytes: &'a [u8],
    unpacking: Unpacking,
    expect: impl FnOnce(&IdxFile) -> Result<()>,
) -> Result<IdxFile<'a>> {
    ensure!(!bytes.is_empty(), "offset 0: the file is empty");
    let mut source = Source::new(bytes);
    let magic = source.take(4)?;
    let [zero, nought, code, axes] = magic[..] else {
        bail!("offset {}: the file ends inside the magic number", magic.len());
    };
    ensure!(
        zero == 0 && nought == 0,
        "offset 0: not an IDX file: the magic number {zero:02x} {nought:02x} {code:02x} {axes:02x} does not start with \
         00 00{}",
        foreign(&magic)
    );
    let element = Element::of(code).with_context(|| {
        format!("offset 2: element type {code:#04x} is not known; IDX has 0x08, 0x09, 0x0b, 0x0c, 0x0d and 0x0e")
    })?;
    ensure!(axes > 0, "offset 3: an IDX file of no axes holds nothing");

    let sizes = source.take(4 * axes as usize)?;
    ensure!(sizes.len() == 4 * axes as usize, "offset {}: the file ends inside the header", source.offset());
    let (sizes, _) = sizes.as_chunks::<4>();
    let axes: Vec<usize> = sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    let mut file = IdxFile { element, axes, payload: Cow::Borrowed(&[]), comment: source.comment() };
    expect(&file)?;
    if let Some(axis) = file.axes.iter().position(|&size| size == 0) {
        let what = if axis == 0 { "the file holds no entries".into() } else { format!("axis {axis} has no entries") };
        bail!("offset {}: {what}", 4 + 4 * axis);
    }
    let product = file.axes.iter().try_fold(element.size(), |bytes, &size| bytes.checked_mul(size));
    let length = product
        .filter(|&bytes| i64::try_from(bytes).is_ok())
        .with_context(|| format!("offset 4: the header announces {:?} numbers, more than can exist", file.axes))?;

    let start = source.offset();
    if let Source::Gzip(..) = source {
        unpacking.check(length as u64).context("offset 4")?;
    }
    file.payload = source.take(length)?;
    ensure!(
        file.payload.len() == length,
        "offset {}: the file ends early: the header announces {:?} numbers ({length} bytes from offset {start}), {} bytes \
         are there",
        source.offset(),
        file.axes,
        file.payload.len()
    );
    source.end()?;
    Ok(file)
}

/// A hint for an error about a file that is not an IDX file: what it may be instead.
fn foreign(magic: &[u8]) -> &'static str {
    match magic {
        [b'P', b'K', ..] => "; it is a ZIP archive: unpack it first",
        [0x89, b'P', b'N', b'G'] => "; it is a PNG picture",
        [b'<', ..] => "; it looks like a web page: the download did not give the file",
        _ => "",
    }
}
