//! Image files in a folder. `artifact::Folder` verifies its digest; this file reports entries that are not regular
//! files, with the way out.

use super::Images;
use super::names::is_left_behind;
use crate::artifact::Folder;
use crate::data::problems::Problems;
use anyhow::{Context as _, Result, ensure};
use ddpipe_cache::folder::Stray;
use std::sync::Arc;

/// The files of a folder.
pub struct Files {
    folder: Arc<Folder>,
    names: Vec<String>,
    /// For every name, its index in the folder.
    entries: Vec<usize>,
}

impl Files {
    /// The files of a folder. `file` is the folder's name, for messages; entries that are not regular files of it, such
    /// as links that lead out, are added to `problems`.
    pub fn new(folder: Arc<Folder>, file: &str, problems: &mut Problems) -> Self {
        for (name, stray) in folder.strays().iter().filter(|(name, _)| !is_left_behind(name)) {
            problems.at(file, name, format!("{stray}; {}", way_out(*stray)));
        }
        let kept = folder.names().enumerate().filter(|(_, name)| !is_left_behind(name));
        let (entries, names) = kept.map(|(index, name)| (index, name.to_string())).unzip();
        Files { folder, names, entries }
    }
}

fn way_out(stray: Stray) -> &'static str {
    match stray {
        Stray::Link => "such links are not followed: copy what they lead to into the folder (cp -rL FOLDER COPY)",
        Stray::Special => "remove it",
        Stray::Name => "rename it (convmv -r -f latin1 -t utf8 --notest FOLDER)",
    }
}

impl Images for Files {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn read(&self, position: usize, limit: usize) -> Result<Vec<u8>> {
        let bytes = self.folder.read(*self.entries.get(position).context("no such file")?, limit)?;
        ensure!(!bytes.is_empty(), "the file is empty");
        Ok(bytes)
    }
}
