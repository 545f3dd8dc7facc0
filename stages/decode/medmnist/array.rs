//! Reads one array of a .npz archive and checks its length against its header. Memory grows with the bytes that are
//! read, not with the size that the header announces.

use super::header;
use crate::data::unpacking::Unpacking;
use crate::decode::medmnist::header::Header;
use anyhow::{Context as _, Result, bail, ensure};
use std::io::Read;

/// The contents of a .npy file.
#[derive(Debug)]
pub struct Array {
    /// The header: type and shape of the array.
    pub header: Header,
    /// The numbers as stored, in C order.
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
        Ok(Array { header, bytes })
    }

    /// The number of entries along the first axis.
    pub fn count(&self) -> usize {
        self.header.shape.first().copied().unwrap_or(0)
    }

    /// The numbers as i64, from any integer type; an error for floating-point types and for numbers that are too large.
    pub fn integers(&self) -> Result<Vec<i64>> {
        let element = self.header.element;
        let signed = match element.kind {
            'u' => false,
            'i' => true,
            _ => bail!("floating-point numbers, where whole ones are expected"),
        };
        let number = |(position, stored): (usize, &[u8])| {
            let mut bytes = [0; 8];
            bytes[..stored.len()].copy_from_slice(stored);
            if element.big_endian {
                bytes[..stored.len()].reverse();
            }
            let unsigned = u64::from_le_bytes(bytes);
            if signed {
                // Shifting left and arithmetically right extends the sign bit.
                let unused = 64 - 8 * element.size as u32;
                return Ok(((unsigned << unused) as i64) >> unused);
            }
            i64::try_from(unsigned).with_context(|| format!("number {position} is {unsigned}, too large"))
        };
        self.bytes.chunks_exact(element.size).enumerate().map(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::medmnist::header::Element;

    fn of(kind: char, size: usize, big_endian: bool, bytes: &[u8]) -> Result<Vec<i64>> {
        let header = Header { element: Element { kind, size, big_endian }, shape: vec![bytes.len() / size] };
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
        assert!(of('f', 4, false, &[0; 4]).unwrap_err().to_string().contains("floating-point"));
    }
}
