//! Folders of a stranger's files. The bytes are a list of entries, one a line: a file's path, or `path -> target` for a
//! link, or `path/` for a folder.

use super::with_folder;
use ddpipe_cache::folder;
use std::fs;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

/// No folder gets more entries.
const MOST: usize = 200;

/// The path below the folder, where the text is one.
fn below(root: &Path, text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && !text.is_empty() && !text.contains('\0') && text.len() < 1000).then(|| root.join(path))
}

/// Makes the entries. Links come last and files never replace anything: nothing may be written through a link, which may lead
/// anywhere on this machine.
fn lay_out(root: &Path, data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let entries: Vec<(PathBuf, &str, Option<&str>)> = text
        .lines()
        .take(MOST)
        .filter_map(|line| {
            let (name, target) = line.split_once(" -> ").map_or((line, None), |(name, target)| (name, Some(target)));
            Some((below(root, name)?, name, target))
        })
        .collect();
    // What the file system refuses is no entry.
    for (path, name, target) in &entries {
        let _ = path.parent().map(fs::create_dir_all);
        let _ = match target {
            Some(_) => Ok(()),
            None if name.ends_with('/') => fs::create_dir_all(path),
            None => fs::File::create_new(path).and_then(|mut file| file.write_all(name.as_bytes())),
        };
    }
    let is_plain = |folder: &Path| fs::canonicalize(folder).is_ok_and(|whole| whole == folder);
    for (path, _, target) in &entries {
        if let Some(target) = target.filter(|_| path.parent().is_some_and(is_plain)) {
            let _ = std::os::unix::fs::symlink(target, path);
        }
    }
}

/// Nothing outside the folder is found in it, and looking twice finds the same.
pub fn folder(data: &[u8]) {
    with_folder(|temp| {
        let root = temp.join("folder");
        let _ = fs::remove_dir_all(&root);
        fs::create_dir(&root).unwrap();
        let whole = fs::canonicalize(&root).unwrap();
        lay_out(&whole, data);
        let found = folder::walk(&root).unwrap();
        assert_eq!(folder::walk(&root).unwrap(), found);
        for path in found.iter().filter_map(|found| found.place.as_ref().ok()) {
            assert!(fs::canonicalize(path).unwrap().starts_with(&whole), "{path:?} is outside");
        }
        assert!(found.is_sorted_by(|one, next| one.name < next.name));
        assert_eq!(folder::program(&root).unwrap(), folder::program(&root).unwrap());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever an input says, the test itself touches nothing but its own folder.
    #[test]
    fn nothing_is_written_through_a_link() {
        let temp = tempfile::tempdir().unwrap();
        let whole = fs::canonicalize(temp.path()).unwrap();
        let (root, outside) = (whole.join("folder"), whole.join("outside"));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        let at = outside.display();
        for text in [
            format!("a -> {at}/kept\na\na/\n"),
            format!("b -> {at}\nb/new\nb/folder/\nb/link -> kept\nb/more/link -> kept\n"),
            "c -> ../outside\nd -> c\nd/new\nd/link -> x\n".to_string(),
            format!("e/f -> {at}\ne/f/g -> x\ne/f/new\n"),
        ] {
            lay_out(&root, text.as_bytes());
            let names: Vec<_> = fs::read_dir(&outside).unwrap().flatten().map(|entry| entry.file_name()).collect();
            assert_eq!(names, ["kept"], "{text}");
            assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept", "{text}");
        }
    }
}
