//! Image files by name, in a ZIP file or in a folder. They are read one by one, so that memory holds the decoded images
//! and not the files. The formats of images and the meaning of names are up to the caller.

mod archive;
mod folder;
pub mod names;

use crate::context::Inputs;
use crate::data::problems::Problems;
use anyhow::Result;
use ddpipe_interface::ArtifactType;

/// Image files by name: an archive, a folder, or a table in memory.
pub trait Images: Sync {
    /// The paths of the files below the archive or folder, with `/` between their parts, without repetitions.
    fn names(&self) -> &[String];

    /// The bytes of the file with this index in the names; an error when it is empty or has more than `limit` bytes.
    fn read(&self, position: usize, limit: usize) -> Result<Vec<u8>>;
}

/// An input of image files.
pub struct Opened {
    /// The files.
    pub files: Box<dyn Images>,
    /// The comment of the ZIP file; empty for a folder.
    pub comment: String,
    /// A name by the digest, `ZIP file 0123…` or `folder 0123…`, for files whose origin is not known otherwise.
    pub known_as: String,
    /// What the user should know of the names; empty where there is nothing.
    pub note: String,
}

/// Opens an input of type `files` (a ZIP file) or `folder`. What systems leave behind is passed over; other entries that are
/// not regular files are added to `problems`.
pub fn open(inputs: &Inputs, input: &str, problems: &mut Problems) -> Result<Opened> {
    let described = inputs.one(input)?;
    let (name, digest) = (&described.name, described.digest.short());
    if described.artifact == ArtifactType::Folder {
        let files = folder::Files::new(inputs.folder(input)?, name, problems);
        let (comment, note) = (String::new(), String::new());
        return Ok(Opened { files: Box::new(files), comment, known_as: format!("folder {digest}"), note });
    }
    let archive = archive::Archive::open(&inputs.content(input)?, name, problems)?;
    let (comment, note) = (archive.comment.clone(), archive.note.clone());
    Ok(Opened { files: Box::new(archive), comment, known_as: format!("ZIP file {digest}"), note })
}
