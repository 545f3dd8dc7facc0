//! Image files in a folder. `artifact::Folder` verifies its digest; this file reports entries that are not regular
//! files.

use super::Images;
use crate::artifact::Folder;
use crate::data::problems::Problems;
use anyhow::{Result, ensure};
use std::sync::Arc;

/// The files of a folder.
pub struct Files {
    folder: Arc<Folder>,
    names: Vec<String>,
}

impl Files {
    /// The files of a folder. `file` is the folder's name, for messages; entries that are not regular files of it, such
    /// as links that lead out, are added to `problems`.
    pub fn new(folder: Arc<Folder>, file: &str, problems: &mut Problems) -> Self {
        problems.extend(folder.strays().iter().map(|(name, stray)| format!("{file}: {name}: {stray}")));
        let names = folder.names().map(String::from).collect();
        Files { folder, names }
    }
}

impl Images for Files {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn read(&self, position: usize, limit: usize) -> Result<Vec<u8>> {
        let bytes = self.folder.read(position, limit)?;
        ensure!(!bytes.is_empty(), "the file is empty");
        Ok(bytes)
    }
}
