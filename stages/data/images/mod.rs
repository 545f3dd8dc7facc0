//! Image files by name, wherever they are: in a ZIP file, or in a folder. They are read one by one, so that memory holds
//! what is decoded and not what it is decoded from. Knows neither formats nor what the names mean.

mod archive;
mod folder;

use crate::context::Inputs;
use crate::data::problems::Problems;
use anyhow::Result;
use ddpipe_interface::ArtifactType;

/// Image files by name: an archive, a folder, or a table in memory.
pub trait Images: Sync {
    /// Paths below the archive or folder, `/` between the parts, each once.
    fn names(&self) -> &[String];

    /// The bytes of the file at this position of the names; an error when there are more than `limit`, or none.
    fn read(&self, position: usize, limit: usize) -> Result<Vec<u8>>;
}

/// An input of image files.
pub struct Opened {
    /// The files.
    pub files: Box<dyn Images>,
    /// What a ZIP file says about itself.
    pub comment: String,
    /// `ZIP file 0123…` or `folder 0123…`: for where nothing else says what the images are.
    pub known_as: String,
}

/// Opens an input of type `files` (a ZIP file) or `folder`. What has no place in it is added to `problems`.
pub fn open(inputs: &Inputs, input: &str, problems: &mut Problems) -> Result<Opened> {
    let described = inputs.one(input)?;
    let (name, digest) = (&described.name, described.digest.short());
    if described.artifact == ArtifactType::Folder {
        let files = folder::Files::new(inputs.folder(input)?, name, problems);
        return Ok(Opened { files: Box::new(files), comment: String::new(), known_as: format!("folder {digest}") });
    }
    let archive = archive::Archive::open(&inputs.content(input)?, name, problems)?;
    let comment = archive.comment.clone();
    Ok(Opened { files: Box::new(archive), comment, known_as: format!("ZIP file {digest}") })
}
