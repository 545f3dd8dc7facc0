//! Reads one array of a .npz archive and checks its length against its header. Memory grows with the bytes that are
//! read, not with the size that the header announces.

use super::header::{self, Header};
use crate::data::unpacking::Unpacking;
use anyhow::{Context as _, Result, ensure};
use std::io::Read;

/// The contents of a .npy file.
#[derive(Debug)]
pub struct Array {
    /// The header: type and shape of the array.
    pub header: Header,
    /// The numbers, the last axis the fastest, whatever the order in the file.
    pub bytes: Vec<u8>,
}

impl Array {
    /// Reads a file to its end. `expect` is called with the header before the numbers are read and may return an error.
    pub fn read(
        mut source: impl Read,
        unpacking: Unpacking,
        expect: impl FnOnce(&Header) -> Result<()>,
    ) -> Result<Self> {
        let header = header::read(&mut source)?;
        expect(&header)?;
        let product = header.shape.iter().try_fold(header.element.size, |bytes, &axis| bytes.checked_mul(axis));
        let length = product
            .filter(|&bytes| bytes < isize::MAX as usize)
            .with_context(|| format!("the header announces {:?} numbers, more than can exist", header.shape))?;
        unpacking.check(length as u64)?;
        let mut bytes = Vec::new();
        source
            .take(length as u64 + 1)
            .read_to_end(&mut bytes)
            .context("the numbers are damaged; fetch the file again")?;
        ensure!(
            bytes.len() == length,
            "the header announces {:?} numbers ({length} bytes), {} are there",
            header.shape,
            if bytes.len() > length { "more".to_string() } else { format!("{} bytes", bytes.len()) }
        );
        Ok(Array::of(header, bytes))
    }

    /// The array of these numbers, which lie in the order that the header says.
    pub fn of(header: Header, bytes: Vec<u8>) -> Self {
        let bytes = if header.fortran { in_rows(&bytes, &header.shape, header.element.size) } else { bytes };
        Array { header, bytes }
    }

    /// The number of entries along the first axis.
    pub fn count(&self) -> usize {
        self.header.shape.first().copied().unwrap_or(0)
    }

    /// The numbers as i64, from any type; false is 0 and true is 1. An error for numbers that are not whole, and for those
    /// that are too large.
    pub fn integers(&self) -> Result<Vec<i64>> {
        let element = self.header.element;
        if element.kind == 'f' {
            let whole = |(position, number): (usize, f64)| {
                ensure!(number.fract() == 0.0, "number {position} is {number}, where whole ones are expected");
                ensure!(number.abs() < 1e15, "number {position} is {number}, too large");
                Ok(number as i64)
            };
            return self.floats()?.into_iter().enumerate().map(whole).collect();
        }
        let signed = element.kind == 'i';
        let number = |(position, stored): (usize, &[u8])| {
            let unsigned = bits(stored, element.big_endian);
            if element.kind == 'b' {
                return Ok(i64::from(unsigned != 0));
            }
            if signed {
                // Shifting left and arithmetically right extends the sign bit.
                let unused = 64 - 8 * element.size as u32;
                return Ok(((unsigned << unused) as i64) >> unused);
            }
            i64::try_from(unsigned).with_context(|| format!("number {position} is {unsigned}, too large"))
        };
        self.bytes.chunks_exact(element.size).enumerate().map(number).collect()
    }

    /// The numbers as f64, from any type.
    pub fn floats(&self) -> Result<Vec<f64>> {
        let element = self.header.element;
        if element.kind != 'f' {
            return Ok(self.integers()?.into_iter().map(|number| number as f64).collect());
        }
        let number = |stored: &[u8]| {
            let bits = bits(stored, element.big_endian);
            match element.size {
                2 => half(bits as u16),
                4 => f64::from(f32::from_bits(bits as u32)),
                _ => f64::from_bits(bits),
            }
        };
        Ok(self.bytes.chunks_exact(element.size).map(number).collect())
    }
}

/// The bits of a number of up to 8 bytes.
fn bits(stored: &[u8], big_endian: bool) -> u64 {
    let fold = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
    if big_endian { stored.iter().fold(0, fold) } else { stored.iter().rev().fold(0, fold) }
}

/// A number of IEEE 754's binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f64::from(bits & 0x3FF));
    match exponent {
        0 => sign * fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

/// The numbers of an array whose first axis is the fastest, brought to the order in which the last one is.
fn in_rows(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for axis in shape {
        strides.push(stride);
        stride *= axis;
    }
    let (mut made, mut index, mut from) = (Vec::with_capacity(bytes.len()), vec![0usize; shape.len()], 0);
    for _ in 0..count {
        made.extend_from_slice(bytes.get(from * size..(from + 1) * size).unwrap_or_default());
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            from += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            from -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::super::header::Element;
    use super::*;

    fn of(kind: char, size: usize, big_endian: bool, bytes: &[u8]) -> Result<Vec<i64>> {
        let header =
            Header { element: Element { kind, size, big_endian }, shape: vec![bytes.len() / size], fortran: false };
        Array { header, bytes: bytes.to_vec() }.integers()
    }

    #[test]
    fn whole_numbers_of_every_type_and_order_are_read() {
        assert_eq!(of('u', 1, false, &[0, 255]).unwrap(), [0, 255]);
        assert_eq!(of('i', 1, false, &[1, 255]).unwrap(), [1, -1]);
        assert_eq!(of('u', 2, false, &[1, 2]).unwrap(), [0x0201]);
        assert_eq!(of('u', 2, true, &[1, 2]).unwrap(), [0x0102]);
        assert_eq!(of('i', 4, true, &[255, 255, 255, 254]).unwrap(), [-2]);
        assert_eq!(of('i', 8, false, &[3, 0, 0, 0, 0, 0, 0, 128]).unwrap(), [i64::MIN + 3]);
        assert!(of('u', 8, true, &[255; 8]).unwrap_err().to_string().contains("too large"));
        assert_eq!(of('b', 1, false, &[0, 1, 7]).unwrap(), [0, 1, 1]);
        assert_eq!(of('f', 4, false, &3.0f32.to_le_bytes()).unwrap(), [3]);
        assert_eq!(of('f', 8, true, &(-2.0f64).to_be_bytes()).unwrap(), [-2]);
        assert!(of('f', 4, false, &0.5f32.to_le_bytes()).unwrap_err().to_string().contains("whole"));
        assert!(
            of('f', 4, false, &f32::NAN.to_le_bytes()).is_err() && of('f', 8, false, &1e300f64.to_le_bytes()).is_err()
        );
    }

    #[test]
    fn halves_are_those_of_ieee_754() {
        for (bits, number) in
            [(0x3C00, 1.0), (0xC000, -2.0), (0x7BFF, 65504.0), (0x0001, 2f64.powi(-24)), (0x3555, 0.333251953125)]
        {
            assert_eq!(half(bits), number);
        }
        assert!(half(0x7C00).is_infinite() && half(0x7C01).is_nan());
    }

    #[test]
    fn the_order_of_fortran_is_turned() {
        // [[0, 1, 2], [3, 4, 5]], first axis the fastest.
        assert_eq!(in_rows(&[0, 3, 1, 4, 2, 5], &[2, 3], 1), [0, 1, 2, 3, 4, 5]);
        assert_eq!(in_rows(&[7, 7, 8, 8], &[2], 2), [7, 7, 8, 8]);
        assert!(in_rows(&[], &[0, 3], 1).is_empty());
        let cube: Vec<u8> = (0..24).map(|number| (number % 2 * 12 + number / 2 % 3 * 4 + number / 6) as u8).collect();
        assert_eq!(in_rows(&cube, &[2, 3, 4], 1), (0..24).collect::<Vec<u8>>());
    }
}
