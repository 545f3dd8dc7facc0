//! Reads MATLAB's files of version 5 (level 5 MAT-files, as MATLAB 5 to 7 and SciPy write them): full arrays of real numbers,
//! by their names, compressed or not. SVHN is published so. Knows no data set.

use super::numpy::{Array, Element, Header};
use super::unpacking::Unpacking;
use anyhow::{Context as _, Result, bail, ensure};
use flate2::read::ZlibDecoder;
use indexmap::IndexMap;
use std::io::Read;

/// Types of elements, by the codes of the format.
const INT8: u32 = 1;
const UINT8: u32 = 2;
const INT16: u32 = 3;
const UINT16: u32 = 4;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const SINGLE: u32 = 7;
const DOUBLE: u32 = 9;
const INT64: u32 = 12;
const UINT64: u32 = 13;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

/// The bytes of the header.
const HEADER: usize = 128;

/// The arrays of a file by their names. Those that are no full arrays of real numbers, such as structures and texts, are left out. What is
/// compressed may unpack to as much as `max_ratio` allows. An error names the offset.
pub fn read(bytes: &[u8], max_ratio: u64) -> Result<IndexMap<String, Array>> {
    ensure!(!bytes.is_empty(), "the file is empty");
    ensure!(
        !bytes.starts_with(b"MATLAB 7.3"),
        "a MAT-file of version 7.3, which is HDF5; version 5 is read: save it with the option -v7"
    );
    let marks = bytes.get(124..HEADER).context("not a MAT-file of version 5: it has fewer than 128 bytes")?;
    let big_endian = match marks {
        [0x00, 0x01, b'I', b'M'] => false,
        [0x01, 0x00, b'M', b'I'] => true,
        _ => bail!("not a MAT-file of version 5: its header does not end with the marks of that version"),
    };
    let mut arrays = IndexMap::new();
    let mut rest = Elements { bytes: bytes.get(HEADER..).unwrap_or_default(), offset: HEADER, big_endian };
    while let Some(element) = rest.following()? {
        let place = || format!("offset {}", element.offset);
        let found = match element.kind {
            MATRIX => array(&element, big_endian).with_context(place)?,
            COMPRESSED => {
                let unpacked = unpacked(element.bytes, max_ratio).with_context(place)?;
                let mut inside = Elements { bytes: &unpacked, offset: 0, big_endian };
                let inside = inside.following().with_context(place)?.filter(|inside| inside.kind == MATRIX);
                inside.map(|inside| array(&inside, big_endian)).transpose().with_context(place)?.flatten()
            }
            _ => None,
        };
        arrays.extend(found);
    }
    Ok(arrays)
}

/// The type of numbers of this code.
fn element(kind: u32, big_endian: bool) -> Option<Element> {
    let (kind, size) = match kind {
        UINT8 => ('u', 1),
        INT8 => ('i', 1),
        UINT16 => ('u', 2),
        INT16 => ('i', 2),
        UINT32 => ('u', 4),
        INT32 => ('i', 4),
        SINGLE => ('f', 4),
        DOUBLE => ('f', 8),
        UINT64 => ('u', 8),
        INT64 => ('i', 8),
        _ => return None,
    };
    Some(Element { kind, size, big_endian })
}

fn unpacked(bytes: &[u8], max_ratio: u64) -> Result<Vec<u8>> {
    let unpacking = Unpacking::of(bytes, max_ratio);
    let mut unpacked = Vec::new();
    ZlibDecoder::new(bytes)
        .take(unpacking.most().saturating_add(1))
        .read_to_end(&mut unpacked)
        .context("the compressed data are damaged or cut off; fetch the file again")?;
    unpacking.check(unpacked.len() as u64)?;
    Ok(unpacked)
}

/// One element of the file: a tag and its data.
struct Tagged<'a> {
    kind: u32,
    offset: usize,
    bytes: &'a [u8],
}

/// The elements of a file or of an array, one after the other.
struct Elements<'a> {
    bytes: &'a [u8],
    offset: usize,
    big_endian: bool,
}

impl<'a> Elements<'a> {
    fn number(&self, at: usize) -> Result<u32> {
        let bytes = self.bytes.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        let bytes = bytes.with_context(|| format!("offset {}: the file ends early", self.offset))?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn following(&mut self) -> Result<Option<Tagged<'a>>> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let (offset, first) = (self.offset, self.number(0)?);
        // Up to four bytes stand in the tag itself, with their number in its upper half.
        let (kind, length, start): (u32, usize, usize) = if first >> 16 == 0 {
            (first, self.number(4)? as usize, 8)
        } else {
            (first & 0xFFFF, (first >> 16) as usize, 4)
        };
        let data = start.checked_add(length).and_then(|end| self.bytes.get(start..end));
        let data =
            data.with_context(|| format!("offset {offset}: the file ends early: {length} bytes are announced"))?;
        let padded = if kind == COMPRESSED { start + length } else { (start + length).next_multiple_of(8) };
        let taken = padded.min(self.bytes.len());
        self.bytes = self.bytes.get(taken..).unwrap_or_default();
        self.offset += taken;
        Ok(Some(Tagged { kind, offset, bytes: data }))
    }
}

/// Reads an array; nothing if it is not a full array of real numbers.
fn array(tagged: &Tagged, big_endian: bool) -> Result<Option<(String, Array)>> {
    let mut parts = Elements { bytes: tagged.bytes, offset: tagged.offset + 8, big_endian };
    let mut part = |what: &str| parts.following()?.with_context(|| format!("the array has no {what}"));
    let flags = part("flags")?;
    let flags = Elements { bytes: flags.bytes, offset: flags.offset, big_endian }.number(0)?;
    // Classes 6 to 15 are those of numbers; the bit says that the numbers are complex.
    if !(6..=15).contains(&(flags & 0xFF)) || flags & 0x0800 != 0 {
        return Ok(None);
    }
    let axes = part("dimensions")?;
    let axes = Elements { bytes: axes.bytes, offset: axes.offset, big_endian };
    let shape =
        (0..axes.bytes.len() / 4).map(|axis| Ok(axes.number(4 * axis)? as usize)).collect::<Result<Vec<_>>>()?;
    let name = String::from_utf8_lossy(part("name")?.bytes).into_owned();
    let numbers = part("numbers")?;
    let Some(element) = element(numbers.kind, big_endian) else {
        bail!("array {name:?}: numbers of an unknown type, {}", numbers.kind)
    };
    let count = shape.iter().try_fold(element.size, |bytes, &axis| bytes.checked_mul(axis));
    ensure!(
        count == Some(numbers.bytes.len()),
        "array {name:?}: {shape:?} numbers of {} bytes are announced, {} bytes are there",
        element.size,
        numbers.bytes.len()
    );
    let header = Header { element, shape, fortran: true };
    Ok(Some((name, Array::of(header, numbers.bytes.to_vec()))))
}
