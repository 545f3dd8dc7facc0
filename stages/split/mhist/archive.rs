//! The images as one ZIP file, the form in which they are distributed. Nothing is ever unpacked to a disk; names that
//! point outside are refused all the same, since such a file is not what it claims to be.

use super::images::Images;
use super::problems::Problems;
use anyhow::{Context as _, Result, bail, ensure};
use std::collections::HashMap;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// A ZIP file in memory.
pub struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    names: Vec<String>,
    /// For every name, its position in the ZIP file.
    entries: Vec<usize>,
    /// What the file says about itself.
    pub comment: String,
}

impl<'a> Archive<'a> {
    /// Reads the list of files. `file` is the archive's name, for messages; entries that have no place in it are added
    /// to `problems`.
    pub fn open(bytes: &'a [u8], file: &str, problems: &mut Problems) -> Result<Self> {
        let mut zip = ZipArchive::new(Cursor::new(bytes))
            .with_context(|| format!("{file}: not a ZIP file, or one that was not downloaded to its end"))?;
        for name in repeated(bytes, zip.central_directory_start()) {
            problems.add(format!("{file}: {name}: the archive holds two files of this name"));
        }
        let comment = String::from_utf8_lossy(zip.comment()).into_owned();
        let (mut names, mut entries) = (Vec::new(), Vec::new());
        let mut seen: HashMap<String, String> = HashMap::new();
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).with_context(|| format!("{file}: entry {index}"))?;
            let path = String::from_utf8_lossy(entry.name_raw()).into_owned();
            let base = path.rsplit('/').next().unwrap_or_default();
            if leads_outside(&path) {
                problems.add(format!("{file}: {path:?}: a name that leads out of the archive"));
            } else if entry.is_symlink() {
                problems.add(format!("{file}: {path}: a link, where an image is expected"));
            } else if let Some(other) = seen.get(base) {
                problems.add(format!("{file}: {path}: the archive holds the image twice, first as {other}"));
            } else if !(path.ends_with('/') || path.starts_with("__MACOSX/") || base.starts_with('.')) {
                names.push(base.to_string());
                entries.push(index);
                seen.insert(base.to_string(), path.clone());
            }
        }
        Ok(Archive { zip, names, entries, comment })
    }
}

impl Images for Archive<'_> {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn read(&self, position: usize, limit: usize) -> Result<Vec<u8>> {
        // A clone shares the list of files and has a reading position of its own.
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

/// Whether a path is absolute, climbs up, or means something else on another system.
fn leads_outside(path: &str) -> bool {
    path.starts_with('/') || path.contains(['\\', '\0', ':']) || path.split('/').any(|part| part == "..")
}

/// Names that the central directory lists more than once: readers, ours among them, otherwise keep the last silently.
fn repeated(bytes: &[u8], start: u64) -> Vec<String> {
    let mut counts: HashMap<&[u8], usize> = HashMap::new();
    let mut found = Vec::new();
    let mut rest = usize::try_from(start).ok().and_then(|start| bytes.get(start..)).unwrap_or_default();
    while rest.starts_with(b"PK\x01\x02") && rest.len() >= 46 {
        let length = |at: usize| usize::from(u16::from_le_bytes([rest[at], rest[at + 1]]));
        let Some(name) = rest.get(46..46 + length(28)) else { break };
        let count = counts.entry(name).or_default();
        *count += 1;
        if *count == 2 {
            found.push(String::from_utf8_lossy(name).into_owned());
        }
        rest = rest.get(46 + length(28) + length(30) + length(32)..).unwrap_or_default();
    }
    found
}
