//! A folder from outside, held against the digest that the run was planned with, and again file by file as it is read:
//! it may change behind ddpipe's back.

use anyhow::{Context as _, Result, ensure};
use ddpipe_cache::{Digest, folder};
use rayon::prelude::*;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A file from outside no longer has the bytes that the run was planned with.
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
    /// Reads all files once, on all cores, and keeps their digests.
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

    /// The files' names below the folder, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _, _)| name.as_str())
    }

    /// What is there and is no file of the folder, by name.
    pub fn strays(&self) -> &[(String, folder::Stray)] {
        &self.strays
    }

    /// The bytes of the file at this position of the names; an error when there are more than `limit`, or others than
    /// there were.
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

    /// The first file that was read and had changed.
    pub fn changed(&self) -> Option<&SourceChanged> {
        self.changed.get()
    }
}
