//! Image files in one ZIP file, the form in which they are distributed. Nothing is unpacked to disk; names that point
//! outside are refused all the same, because such a file is not what it claims to be.

use super::Images;
use super::names::{self, is_left_behind};
use crate::artifact::{Content, Reader};
use crate::data::problems::{Problems, listed};
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
    /// What the user should know of the names: that they are not UTF-8; empty where they are.
    pub note: String,
}

impl Archive {
    /// Reads the list of files. `file` is the archive's name, for messages; links, names that lead out of the archive
    /// and repeated names are added to `problems`. An error if this is not a complete ZIP file.
    pub fn open(content: &Content, file: &str, problems: &mut Problems) -> Result<Self> {
        let mut zip = ZipArchive::new(content.reader())
            .with_context(|| format!("{file}: not a ZIP file, or one that was not downloaded to its end"))?;
        let twice = repeated(content.reader(), zip.central_directory_start());
        for name in twice.with_context(|| format!("{file}: its list of files"))? {
            problems.at(file, name, "the archive holds two files of this name");
        }
        let comment = String::from_utf8_lossy(zip.comment()).into_owned();
        let mut found = Vec::new();
        for index in 0..zip.len() {
            let entry = zip.by_index_raw(index).with_context(|| format!("{file}: entry {index}"))?;
            let (path, plain) = names::text(entry.name_raw());
            found.push((path, plain, entry.is_symlink(), index));
        }
        // Some programs for Windows write its separator; where others stand too, it is a letter of a name.
        if !found.iter().any(|(path, ..)| path.contains('/')) {
            found.iter_mut().for_each(|(path, ..)| *path = path.replace('\\', "/"));
        }
        let (mut names, mut entries, mut foreign, mut first) = (Vec::new(), Vec::new(), 0, Vec::new());
        for (path, plain, link, index) in found {
            if path.ends_with('/') || is_left_behind(&path) {
                continue;
            }
            if leads_outside(&path) {
                problems.at(file, format!("{path:?}"), "a name that leads out of the archive");
            } else if link {
                problems.at(file, path, "a link, where an image is expected");
            } else {
                if !plain {
                    foreign += 1;
                    first.extend((foreign <= 3).then(|| path.clone()));
                }
                names.push(path);
                entries.push(index);
            }
        }
        let note = match foreign {
            0 => String::new(),
            _ => format!(
                "{file}: {}: names that are not UTF-8 text; they are kept apart, and shown as in code page 437",
                listed(foreign, &first)
            ),
        };
        Ok(Archive { zip, names, entries, comment, note })
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

/// Whether a path is absolute, on any system, leads upwards by `..`, or has a zero byte.
fn leads_outside(path: &str) -> bool {
    let drive = matches!(path.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    path.starts_with(['/', '\\']) || drive || path.contains('\0') || path.split(['/', '\\']).any(|part| part == "..")
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
            found.push(names::text(&name).0);
        }
    }
    Ok(found)
}
