//! Reads the .npz archive: a ZIP file of one .npy file per array. Only the arrays that are asked for are read, by their
//! names.

use super::array::Array;
use super::header::Header;
use crate::data::unpacking::Unpacking;
use anyhow::{Context as _, Result, ensure};
use std::io::Cursor;
use zip::ZipArchive;
use zip::result::ZipError;

/// An archive in memory.
pub struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    unpacking: Unpacking,
    /// The comment of the ZIP file; empty where there is none.
    pub comment: String,
}

impl<'a> Archive<'a> {
    /// Reads the list of files; an error if this is not a complete ZIP file. An array may unpack to 64 MiB, or to
    /// `max_ratio` times the length of the archive where that is more.
    pub fn open(bytes: &'a [u8], max_ratio: u64) -> Result<Self> {
        ensure!(!bytes.is_empty(), "the file is empty");
        let zip = ZipArchive::new(Cursor::new(bytes))
            .context("not an .npz archive (a ZIP file), or one that was not downloaded to its end; fetch it again")?;
        let comment = String::from_utf8_lossy(zip.comment()).into_owned();
        Ok(Archive { zip, unpacking: Unpacking::of(bytes, max_ratio), comment })
    }

    /// The names of the arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let names = self.zip.file_names().filter_map(|name| Some(name.ok()?.into_owned()));
        let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".npy")?.to_string())).collect();
        names.sort_unstable();
        names
    }

    /// Reads the array `<name>.npy`. `expect` is called with its header before the numbers are read and may return an
    /// error.
    pub fn array(&mut self, name: &str, expect: impl FnOnce(&Header) -> Result<()>) -> Result<Array> {
        let file = format!("{name}.npy");
        let mut names: Vec<String> = self.names().iter().map(|name| format!("{name}.npy")).collect();
        match self.zip.by_name(&file) {
            Ok(entry) => Array::read(entry, self.unpacking, expect).context(file),
            Err(ZipError::FileNotFound) => {
                names.truncate(12);
                Err(anyhow::anyhow!("the archive has no {file}; it has {}", names.join(", ")))
            }
            Err(why) => Err(why).context(file),
        }
    }
}
