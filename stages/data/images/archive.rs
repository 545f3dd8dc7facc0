//! Image files in one ZIP file, the form in which they are distributed. Nothing is unpacked to disk; names that point
//! outside are refused all the same, because such a file is not what it claims to be.

use super::Images;
use crate::artifact::{Content, Reader};
use crate::data::problems::Problems;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use zip::ZipArchive;

/// A ZIP file, read entry by entry without unpacking it.
pub struct Archive {
    zip: ZipArchive<Reader>,
    names: Vec<String>,
    /// For every name, its index in the ZIP file.
    entries: Vec<usize>,
    /// The comment of the ZIP file; empty where there is none.
    pub comment: String,
}

impl Archive {
    /// Reads the list of files. `file` is the archive's name, for messages; links, names that lead out of the archive
    /// and repeated names are added to `problems`. An error if this is not a complete ZIP file.
    pub fn open(content: &Content, file: &str, problems: &mut Problems) -> Result<Self> {
        let mut zip = ZipArchive::new(content.reader())
            .with_context(|| format!("{file}: not a ZIP file, or one that was not downloaded to its end"))?;
        let twice = repeated(content.reader(), zip.central_directory_start());
        for name in twice.with_context(|| format!("{file}: its list of files"))? {
            problems.add(format!("{file}: {name}: the archive holds two files of this name"));
        }
        let comment = String::from_utf8_lossy(zip.comment()).into_owned();
        let (mut names, mut entries) = (Vec::new(), Vec::new());
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).with_context(|| format!("{file}: entry {index}"))?;
            let path = String::from_utf8_lossy(entry.name_raw()).into_owned();
            let base = path.rsplit('/').next().unwrap_or_default();
            if leads_outside(&path) {
                problems.add(format!("{file}: {path:?}: a name that leads out of the archive"));
            } else if entry.is_symlink() {
                problems.add(format!("{file}: {path}: a link, where an image is expected"));
            } else if !(path.ends_with('/') || path.starts_with("__MACOSX/") || base.starts_with('.')) {
                names.push(path);
                entries.push(index);
            }
        }
        Ok(Archive { zip, names, entries, comment })
    }
}

impl Images for Archive {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn read(&self, position: usize, limit: usize) -> Result<Vec<u8>> {
        // A clone shares the list of files and has its own position for reading.
        let mut zip = self.zip.clone();
        let entry = zip.by_index(*self.entries.get(position).context("no such entry")?)?;
        let mut bytes = Vec::new();
        entry.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() <= limit, "the file has more than {limit} bytes, too many for such an image");
        if bytes.is_empty() {
            bail!("the file is empty");
        }
        Ok(bytes)
    }
}

/// Whether a path is absolute, leads upwards by `..`, or has characters with a different meaning on other systems.
fn leads_outside(path: &str) -> bool {
    path.starts_with('/') || path.contains(['\\', '\0', ':']) || path.split('/').any(|part| part == "..")
}

/// The names that the central directory lists more than once; readers of ZIP files, this one included, keep the last of
/// them without a warning.
fn repeated(content: Reader, start: u64) -> io::Result<Vec<String>> {
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut found = Vec::new();
    let mut list = BufReader::new(content);
    list.seek(SeekFrom::Start(start))?;
    let mut fixed = [0u8; 46];
    while list.read_exact(&mut fixed).is_ok() && fixed.starts_with(b"PK\x01\x02") {
        let length = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
        let mut name = vec![0u8; usize::from(length(28))];
        if list.read_exact(&mut name).is_err() {
            break;
        }
        list.seek_relative(i64::from(length(30)) + i64::from(length(32)))?;
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        if *count == 2 {
            found.push(String::from_utf8_lossy(&name).into_owned());
        }
    }
    Ok(found)
}
