//! Packs arrays of bytes as NumPy's savez_compressed does: a ZIP file of one .npy file per array, with a comment that
//! says that it is sample data. No time stamp is written, so the same numbers give the same bytes.

use anyhow::Result;
use ddpipe_interface::npy;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The comment of the ZIP file. Other readers skip it; `decode.medmnist` shows it as the origin.
const COMMENT: &str = "ddpipe sample data, not MedMNIST";

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
        self.0.write_all(&npy::header("|u1", shape))?;
        Ok(self.0.write_all(numbers)?)
    }

    /// Finishes the archive and returns its bytes.
    pub fn finish(self) -> Result<Vec<u8>> {
        Ok(self.0.finish()?.into_inner())
    }
}
