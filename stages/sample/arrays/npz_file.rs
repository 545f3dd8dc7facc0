//! Packs arrays of bytes as NumPy's savez_compressed does: a ZIP file of one .npy file per array, with a comment that
//! says that it is sample data. No time stamp is written, so the same numbers give the same bytes.

use anyhow::Result;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The comment of the ZIP file. Other readers skip it; `decode.medmnist` shows it as the origin.
const COMMENT: &str = "ddpipe sample data, not MedMNIST";

/// The numbers of a .npy file start at a multiple of this many bytes.
const ALIGNMENT: usize = 64;

/// A ZIP file to which arrays are being added.
pub struct Archive(ZipWriter<Cursor<Vec<u8>>>);

impl Archive {
    /// An empty archive with its comment.
    pub fn new() -> Result<Self> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.set_comment(COMMENT)?;
        Ok(Archive(zip))
    }

    /// Adds an array of unsigned bytes as `<name>.npy`; `numbers` are in C order, the last axis fastest.
    pub fn add(&mut self, name: &str, shape: &[usize], numbers: &[u8]) -> Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        self.0.start_file(format!("{name}.npy"), options)?;
        self.0.write_all(&header(shape))?;
        Ok(self.0.write_all(numbers)?)
    }

    /// Finishes the archive and returns its bytes.
    pub fn finish(self) -> Result<Vec<u8>> {
        Ok(self.0.finish()?.into_inner())
    }
}

/// The header of a .npy file for unsigned bytes of this shape, in version 1.0 of the format.
fn header(shape: &[usize]) -> Vec<u8> {
    let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let mut text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({},), }}", axes.join(", "));
    let length = (10 + text.len() + 1).next_multiple_of(ALIGNMENT);
    text.extend(std::iter::repeat_n(' ', length - 10 - text.len() - 1));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}
