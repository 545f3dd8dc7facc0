//! Where a project's cache lies, seen from a folder inside the project: the nearest `.ddpipe` upwards, as git finds its
//! folder.

use std::path::{Path, PathBuf};

/// The name of a project's cache.
pub const FOLDER: &str = ".ddpipe";

/// The nearest cache from the current folder upwards; relative where it is in the current folder.
pub fn nearest() -> Option<PathBuf> {
    if Path::new(FOLDER).is_dir() {
        return Some(PathBuf::from(FOLDER));
    }
    nearest_from(&std::env::current_dir().ok()?)
}

/// The nearest cache from an absolute folder upwards.
pub fn nearest_from(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().map(|folder| folder.join(FOLDER)).find(|folder| folder.is_dir())
}
