//! Reads the archive as it is distributed: a tar file, gzipped or plain. Only the files that belong to the data set are
//! read, by their exact names and up to their published size; nothing is unpacked to disk.

use crate::data::gzip::{Gunzip, MAGIC};
use crate::decode::cifar::layout::Set;
use anyhow::{Context as _, Result, bail, ensure};
use std::io::{self, Read};

/// The bytes of the files, in the order of [`Set::files`], and the comment of the archive.
pub struct Archive {
    /// Name and bytes of each file: the training files in order, then the test file.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// The comment of the gzip header; empty where there is none.
    pub comment: String,
}

impl Archive {
    /// Reads the archive, which messages call `name`. `check` is called between files and may return an error to stop.
    /// An error if the archive is damaged, or if a file is missing, too large or there twice.
    pub fn read(bytes: &[u8], name: &str, set: Set, check: impl Fn() -> Result<()>) -> Result<Self> {
        ensure!(!bytes.is_empty(), "{name}: the file is empty");
        if !bytes.starts_with(&MAGIC) {
            let files = entries(bytes, name, set, &check)?.0;
            return Ok(Archive { files, comment: String::new() });
        }
        let (files, mut decoder) = entries(Gunzip::new(bytes), name, set, &check)?;
        // The checksum follows the last byte that a reader of tar files reads, so the rest is read too.
        let rest = io::copy(&mut (&mut decoder).take(REST), &mut io::sink()).with_context(|| damaged(name))?;
        ensure!(rest < REST, "{name}: more than {REST} bytes follow the end of the archive; fetch it again");
        Ok(Archive { files, comment: decoder.comment().unwrap_or_default() })
    }
}

/// Bytes that may follow the end of the archive within the gzip stream: tar programs pad to a block.
const REST: u64 = 1 << 20;

fn damaged(name: &str) -> String {
    format!("{name}: not a tar archive (gzipped or plain), or one that is damaged or incomplete; fetch it again")
}

type Files = Vec<(&'static str, Vec<u8>)>;

fn entries<R: Read>(reader: R, name: &str, set: Set, check: &dyn Fn() -> Result<()>) -> Result<(Files, R)> {
    let mut archive = tar::Archive::new(reader);
    let mut found: Vec<Option<Vec<u8>>> = set.files().iter().map(|_| None).collect();
    let mut others = Vec::new();
    for entry in archive.entries().with_context(|| damaged(name))? {
        check()?;
        let mut entry = entry.with_context(|| damaged(name))?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(position) = set.files().iter().position(|file| path.trim_start_matches("./") == *file) else {
            others.push(path);
            continue;
        };
        let slot = &mut found[position];
        ensure!(slot.is_none(), "{name}: {path}: the archive holds two files of this name");
        ensure!(entry.header().entry_type().is_file(), "{name}: {path}: not a file, but a link or a folder");
        let (size, limit) = (entry.size(), (set.largest() * set.record()) as u64);
        ensure!(
            size <= limit,
            "{name}: {path}: {size} bytes are announced, but no file of {} has more than {limit}",
            set.name()
        );
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).with_context(|| damaged(name))?;
        ensure!(bytes.len() as u64 == size, "{name}: {path}: {} bytes, where {size} are announced", bytes.len());
        *slot = Some(bytes);
    }
    let missing: Vec<&str> =
        set.files().iter().zip(&found).filter(|(_, bytes)| bytes.is_none()).map(|(file, _)| *file).collect();
    if !missing.is_empty() {
        bail!("{name}: the archive lacks {}{}", missing.join(", "), foreign(set, &others));
    }
    let files = set.files().iter().zip(found).filter_map(|(file, bytes)| Some((*file, bytes?))).collect();
    Ok((files, archive.into_inner()))
}

/// A hint for an error about missing files: what the archive may be instead.
fn foreign(set: Set, paths: &[String]) -> String {
    let other = set.other();
    if paths.iter().any(|path| other.files().contains(&path.trim_start_matches("./"))) {
        return format!("; it holds {}: `set = \"{}\"`", other.name(), other.param());
    }
    let python = |path: &String| path.starts_with("cifar-10-batches-py") || path.starts_with("cifar-100-python");
    if paths.iter().any(python) {
        return "; it is the Python version, which is pickled: fetch the binary version".into();
    }
    String::new()
}
