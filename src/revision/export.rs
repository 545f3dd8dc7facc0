//! Writes a folder of a git tree to disk. The tree may be a stranger's: it says nothing about where files go beyond their
//! names, and there is a limit to what it may bring.

use git2::{ObjectType, Repository, Tree, TreeEntry};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

/// So many files are written at most.
const FILES: usize = 10_000;
/// So many bytes are written at most.
const BYTES: u64 = 256 << 20;
/// So deep may folders lie in each other.
const DEPTH: usize = 64;
/// The mode that git gives a link.
const LINK: i32 = 0o120000;
/// The mode that git gives a program.
const PROGRAM: i32 = 0o100755;

/// Writes folders, with one limit for all of them.
pub(super) struct Export<'a> {
    repository: &'a Repository,
    files: usize,
    bytes: u64,
}

impl<'a> Export<'a> {
    pub(super) fn new(repository: &'a Repository) -> Self {
        Export { repository, files: 0, bytes: 0 }
    }

    /// Writes the folder of this name in a tree, if it has one.
    pub(super) fn folder(&mut self, tree: &Tree<'_>, name: &Path, to: &Path) -> Result<(), String> {
        let found = match name.as_os_str().is_empty() {
            true => Some(tree.id()),
            false => tree.get_path(name).ok().filter(|entry| entry.kind() == Some(ObjectType::Tree)).map(|it| it.id()),
        };
        let Some(found) = found else { return Ok(()) };
        let tree = self.repository.find_tree(found).map_err(|error| error.message().to_string())?;
        self.tree(&tree, to, DEPTH)
    }

    fn tree(&mut self, tree: &Tree<'_>, to: &Path, deep: usize) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("could not write {}: {error}", to.display());
        fs::create_dir_all(to).map_err(failed)?;
        for entry in tree.iter() {
            let name = entry.name_bytes();
            if name.is_empty() || name == b"." || name == b".." || name.contains(&b'/') {
                return Err("a folder of kinds has a file without a proper name there".into());
            }
            let path = to.join(OsStr::from_bytes(name));
            // What goes through a link would be written elsewhere.
            match (path.is_symlink(), entry.filemode() == LINK) {
                (true, true) => continue,
                (true, false) => return Err("a folder of kinds has two files of one name there".into()),
                (false, _) => {}
            }
            match entry.kind() {
                Some(ObjectType::Tree) if deep == 0 => {
                    return Err(format!("folders of kinds are more than {DEPTH} deep"));
                }
                Some(ObjectType::Tree) => {
                    let below = self.repository.find_tree(entry.id()).map_err(|error| error.message().to_string())?;
                    self.tree(&below, &path, deep - 1)?;
                }
                Some(ObjectType::Blob) => self.file(&entry, &path)?,
                // A repository in the repository.
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, entry: &TreeEntry<'_>, to: &Path) -> Result<(), String> {
        let unreadable = |error: git2::Error| error.message().to_string();
        let (size, _) = self.repository.odb().and_then(|odb| odb.read_header(entry.id())).map_err(unreadable)?;
        self.files += 1;
        self.bytes += size as u64;
        if self.files > FILES || self.bytes > BYTES {
            return Err(format!("the folders of kinds have more than {FILES} files or {} MiB there", BYTES >> 20));
        }
        let blob = self.repository.find_blob(entry.id()).map_err(unreadable)?;
        let written = match entry.filemode() {
            LINK => symlink(OsStr::from_bytes(blob.content()), to),
            mode => fs::write(to, blob.content()).and_then(|()| {
                let mode = if mode == PROGRAM { 0o755 } else { 0o644 };
                fs::set_permissions(to, fs::Permissions::from_mode(mode))
            }),
        };
        written.map_err(|error| format!("could not write {}: {error}", to.display()))
    }
}
