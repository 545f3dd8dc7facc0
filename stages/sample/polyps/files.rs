//! Writes the two files: a table with MHIST's header, and a ZIP file with a comment that says that it is sample data.
//! No time stamp is written, so the same images give the same bytes.

use anyhow::Result;
use std::fs::File;
use std::io::{BufWriter, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The first line of the table of annotations.
pub const HEADER: &str = "Image Name,Majority Vote Label,Number of Annotators who Selected SSA (Out of 7),Partition\n";

/// The comment of the ZIP file. Other readers skip it; `split.mhist` shows it as the origin.
const COMMENT: &str = "ddpipe sample data, not MHIST";

/// A ZIP file to which images are being added.
pub struct Archive(ZipWriter<BufWriter<File>>);

impl Archive {
    /// An empty archive in this file, with its comment.
    pub fn new(file: File) -> Result<Self> {
        let mut zip = ZipWriter::new(BufWriter::new(file));
        zip.set_comment(COMMENT)?;
        Ok(Archive(zip))
    }

    /// Adds a PNG file under this path, stored as it is because PNG is compressed already.
    pub fn add(&mut self, path: &str, picture: &[u8]) -> Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        self.0.start_file(path, options)?;
        Ok(self.0.write_all(picture)?)
    }

    /// Finishes the archive and returns its file.
    pub fn finish(self) -> Result<File> {
        Ok(self.0.finish()?.into_inner().map_err(|failed| failed.into_error())?)
    }
}

/// The bytes of a PNG file of `size` times `size` RGB pixels, row by row.
pub fn png(size: u32, pixels: &[u8]) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size, size);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}
