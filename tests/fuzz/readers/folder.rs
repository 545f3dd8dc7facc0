//! Folders of a stranger's files. The bytes are a list of entries, one a line: a file's path, or `path -> target` for a
//! link, or `path/` for a folder.

use super::with_folder;
use ddpipe_cache::folder;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// No folder gets more entries.
const MOST: usize = 200;

/// The path below the folder, where the text is one.
fn below(root: &Path, text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && !text.is_empty() && !text.contains('\0') && text.len() < 1000).then(|| root.join(path))
}

fn lay_out(root: &Path, data: &[u8]) {
    for line in String::from_utf8_lossy(data).lines().take(MOST) {
        let (name, target) = line.split_once(" -> ").map_or((line, None), |(name, target)| (name, Some(target)));
        let Some(path) = below(root, name) else { continue };
        // What the file system refuses is no entry.
        let _ = path.parent().map(fs::create_dir_all);
        let _ = match target {
            Some(target) => std::os::unix::fs::symlink(target, &path),
            None if name.ends_with('/') => fs::create_dir_all(&path),
            None => fs::write(&path, name),
        };
    }
}

/// Nothing outside the folder is found in it, and looking twice finds the same.
pub fn folder(data: &[u8]) {
    with_folder(|temp| {
        let root = temp.join("folder");
        let _ = fs::remove_dir_all(&root);
        fs::create_dir(&root).unwrap();
        lay_out(&root, data);
        let whole = fs::canonicalize(&root).unwrap();
        let found = folder::walk(&root).unwrap();
        assert_eq!(folder::walk(&root).unwrap(), found);
        for path in found.iter().filter_map(|found| found.place.as_ref().ok()) {
            assert!(fs::canonicalize(path).unwrap().starts_with(&whole), "{path:?} is outside");
        }
        assert!(found.is_sorted_by(|one, next| one.name < next.name));
        assert_eq!(folder::program(&root).unwrap(), folder::program(&root).unwrap());
    });
}
