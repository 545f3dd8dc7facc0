//! What the tests of the front end share: the kinds below `tests/kinds`, overrides written in a manifest's first lines,
//! and expected texts that `DDPIPE_BLESS=1` rewrites.

#![allow(clippy::unwrap_used, dead_code)]

use ddpipe::Overrides;
use ddpipe::catalog::Catalog;
use ddpipe_interface::Declaration;
use std::fs;
use std::path::{Path, PathBuf};

/// The kinds below `tests/kinds`: they resemble the real ones, but change only with these tests.
pub fn catalog() -> Catalog {
    let mut declarations = Vec::new();
    for group in sorted(Path::new("tests/kinds")) {
        for kind in sorted(&group) {
            let text = fs::read_to_string(kind.join("stage.toml")).unwrap();
            declarations.push(Declaration::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", kind.display())));
        }
    }
    Catalog::from_declarations(declarations)
}

/// The overrides in lines such as `#! --set vars.ipc=50`.
pub fn overrides(text: &str) -> Overrides {
    let mut overrides = Overrides::default();
    for line in text.lines().filter_map(|line| line.strip_prefix("#! ")) {
        let (flag, value) = line.split_once(' ').unwrap();
        let pair = || value.split_once('=').map(|(left, right)| (left.to_string(), right.to_string())).unwrap();
        match flag {
            "--profile" => overrides.profile.push(value.to_string()),
            "--set" => overrides.sets.push(pair()),
            "--env" => overrides.env.push(pair()),
            other => panic!("{other} is not an option of these tests"),
        }
    }
    overrides
}

/// The entries of a folder, sorted.
pub fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The manifests of a folder of `tests/manifests`.
pub fn manifests(folder: &str) -> Vec<PathBuf> {
    let mut paths = sorted(&Path::new("tests/manifests").join(folder));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths
}

/// Compares with the `.txt` beside a manifest, or rewrites it; the name of the manifest when they differ.
pub fn differs(manifest: &Path, found: &str) -> Option<String> {
    let file = manifest.with_extension("txt");
    if std::env::var_os("DDPIPE_BLESS").is_some() {
        fs::write(&file, found).unwrap();
        return None;
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    (expected != found).then(|| format!("{}\n--- expected\n{expected}--- found\n{found}", file.display()))
}
