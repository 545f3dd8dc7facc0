//! What a folder from outside holds, as one digest: that of the sorted list of its files and their digests. Renaming,
//! adding or changing a file changes it; times, owners and hidden files do not. Knows no images.

use crate::{CacheError, Digest};
use std::fs;
use std::path::{Path, PathBuf};

/// One entry below a folder, found without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path below the folder, `/` between the parts.
    pub name: String,
    /// Where it is, or why it is no file of this folder.
    pub place: Result<PathBuf, Stray>,
}

/// Why an entry is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Stray {
    /// A link to something outside the folder, to nothing, or to a folder.
    #[error("a link that leads to no file of this folder")]
    Link,
    /// A device, a socket or a pipe.
    #[error("neither a file nor a folder")]
    Special,
    /// A name that is not UTF-8.
    #[error("a name that is not UTF-8 text")]
    Name,
}

/// Everything below a folder, sorted by name. Names that start with a dot are passed over, folders of such names too.
/// Links are followed only to files of this same folder.
///
/// # Errors
/// The folder or one below it cannot be listed.
pub fn walk(root: &Path) -> Result<Vec<Found>, CacheError> {
    let whole = fs::canonicalize(root).map_err(CacheError::io("find", root))?;
    let mut found = Vec::new();
    let mut todo = vec![(whole.clone(), String::new())];
    while let Some((folder, above)) = todo.pop() {
        let failed = || CacheError::io("list", &folder);
        for entry in fs::read_dir(&folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let base = entry.file_name();
            let name = format!("{above}{}", base.to_string_lossy());
            let kind = entry.file_type().map_err(failed())?;
            let path = entry.path();
            if base.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let place = if base.to_str().is_none() {
                Err(Stray::Name)
            } else if kind.is_dir() {
                todo.push((path, format!("{name}/")));
                continue;
            } else if kind.is_file() {
                Ok(path)
            } else if kind.is_symlink() {
                let inside = |path: &PathBuf| path.starts_with(&whole) && path.is_file();
                fs::canonicalize(&path).ok().filter(inside).ok_or(Stray::Link)
            } else {
                Err(Stray::Special)
            };
            found.push(Found { name, place });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The digest of a folder whose files, in the order of [`walk`], have these digests; strays have none.
pub fn digest_of<'a>(files: impl IntoIterator<Item = (&'a str, Option<Digest>)>) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"ddpipe folder 1\n");
    for (name, digest) in files {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(digest.map_or("stray".into(), |digest| digest.hex()).as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().into()
}

/// The digest of the folder of a program: of all its files as [`walk`] finds them, without what Python compiles
/// (`__pycache__`). Reads every file.
///
/// # Errors
/// A folder cannot be listed, or a file cannot be read.
pub fn program(root: &Path) -> Result<Digest, CacheError> {
    let mut files = Vec::new();
    for found in walk(root)?.into_iter().filter(|found| !found.name.split('/').any(|part| part == "__pycache__")) {
        let digest = match &found.place {
            Ok(path) => Some(Digest::of_file(path).map_err(CacheError::io("read", path))?.0),
            Err(_) => None,
        };
        files.push((found.name, digest));
    }
    Ok(digest_of(files.iter().map(|(name, digest)| (name.as_str(), *digest))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    fn digest(root: &Path) -> Digest {
        let found = walk(root).unwrap();
        let each = |found: &Found| found.place.as_ref().ok().map(|path| Digest::of_file(path).unwrap().0);
        let digests: Vec<_> = found.iter().map(|found| (found.name.as_str(), each(found))).collect();
        digest_of(digests)
    }

    #[test]
    fn names_and_content_count_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |name: &str, text: &str| {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        };
        write("b/2.png", "two");
        write("a.png", "one");
        let before = digest(root);
        write(".DS_Store", "x");
        write(".thumbnails/1.png", "x");
        fs::create_dir(root.join("empty")).unwrap();
        assert_eq!(digest(root), before);
        write("b/2.png", "too");
        let changed = digest(root);
        assert_ne!(changed, before);
        write("b/2.png", "two");
        fs::rename(root.join("a.png"), root.join("c.png")).unwrap();
        assert!(![before, changed].contains(&digest(root)));
        let link = folder.path().with_extension("link");
        symlink(root, &link).unwrap();
        assert_eq!(digest(&link), digest(root));
        fs::remove_file(link).unwrap();
    }

    #[test]
    fn links_count_only_where_they_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("images");
        fs::create_dir_all(root.join("deep")).unwrap();
        fs::write(root.join("a.png"), "one").unwrap();
        fs::write(folder.path().join("secret"), "two").unwrap();
        for (name, target) in
            [("b", "a.png"), ("c", "../secret"), ("d", "nothing"), ("e", "deep"), ("f", ".."), ("deep/g", "../a.png")]
        {
            symlink(target, root.join(name)).unwrap();
        }
        let found = walk(&root).unwrap();
        let names = |good: bool| {
            let chosen = found.iter().filter(|found| found.place.is_ok() == good);
            chosen.map(|found| found.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(names(true), ["a.png", "b", "deep/g"]);
        assert_eq!(names(false), ["c", "d", "e", "f"]);
        assert!(walk(&root.join("none")).is_err());
    }
}
