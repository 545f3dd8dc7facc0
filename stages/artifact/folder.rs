//! A folder of source files. Its digest is compared with the one that the run was planned with, and each file is
//! verified again when it is read, because the folder may change while ddpipe runs.

use anyhow::{Context as _, Result, ensure};
use ddpipe_cache::{Digest, folder};
use rayon::prelude::*;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The error that a source file no longer has the bytes with which the run was planned.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: it has changed since this run began", .0.display())]
pub struct SourceChanged(pub PathBuf);

/// A folder whose files are known by name and content.
#[derive(Debug)]
pub struct Folder {
    files: Vec<(String, PathBuf, Digest)>,
    strays: Vec<(String, folder::Stray)>,
    changed: OnceLock<SourceChanged>,
}

impl Folder {
    /// Reads all files once, on all cores, keeps their digests, and checks the digest of the folder.
    ///
    /// # Errors
    /// [`SourceChanged`], or a file that cannot be read.
    pub fn open(path: &Path, expected: Digest) -> Result<Self> {
        let found = folder::walk(path)?;
        let digest = |found: &folder::Found| -> Result<Option<Digest>> {
            let Ok(path) = &found.place else { return Ok(None) };
            let (digest, _) = Digest::of_file(path).with_context(|| format!("could not read {}", path.display()))?;
            Ok(Some(digest))
        };
        let digests: Vec<Option<Digest>> = found.par_iter().map(digest).collect::<Result<_>>()?;
        let named = found.iter().map(|found| found.name.as_str()).zip(digests.iter().copied());
        ensure!(folder::digest_of(named) == expected, SourceChanged(path.to_path_buf()));
        let mut opened = Folder { files: Vec::new(), strays: Vec::new(), changed: OnceLock::new() };
        for (found, digest) in found.into_iter().zip(digests) {
            match (found.place, digest) {
                (Ok(path), Some(digest)) => opened.files.push((found.name, path, digest)),
                (Ok(_), None) => {}
                (Err(stray), _) => opened.strays.push((found.name, stray)),
            }
        }
        Ok(opened)
    }

    /// The paths of the files below the folder, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _, _)| name.as_str())
    }

    /// The entries of the folder that are not regular files of it, such as links that lead out, by name.
    pub fn strays(&self) -> &[(String, folder::Stray)] {
        &self.strays
    }

    /// The bytes of the file with this index in the names. An error when it has more than `limit` bytes, or has changed
    /// since the folder was opened.
    pub fn read(&self, position: usize, limit: usize) -> Result<Vec<u8>> {
        let (_, path, digest) = self.files.get(position).context("no such file")?;
        let mut bytes = Vec::new();
        File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() <= limit, "the file has more than {limit} bytes, too many for such an image");
        if Digest::of(&bytes) != *digest {
            let changed = SourceChanged(path.clone());
            return Err(self.changed.get_or_init(|| changed).clone().into());
        }
        Ok(bytes)
    }

    /// The first file that was found to have changed when it was read, if any.
    pub fn changed(&self) -> Option<&SourceChanged> {
        self.changed.get()
    }
}
