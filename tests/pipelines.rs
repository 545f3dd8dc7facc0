//! The pipelines that come with ddpipe: each loads, as it is and in every profile, and `ci.toml` runs every kind.

#![allow(clippy::unwrap_used)]

use ddpipe::catalog::Catalog;
use ddpipe::ledger::Ledger;
use ddpipe::pipeline::Pipeline;
use ddpipe::published::Figure;
use ddpipe::{Overrides, load};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn manifests(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(manifests(&path)),
            false if path.extension().is_some_and(|extension| extension == "toml") => found.push(path),
            false => {}
        }
    }
    found
}

fn parsed(manifest: &Path) -> toml::Table {
    fs::read_to_string(manifest).unwrap().parse().unwrap()
}

/// A part is a file without a name of its own, which pipelines include.
fn is_part(manifest: &Path) -> bool {
    !parsed(manifest).contains_key("pipeline")
}

/// The files that a manifest names in `include`.
fn included(manifest: &Path) -> Vec<PathBuf> {
    let parsed = parsed(manifest);
    let names = parsed.get("include").and_then(|include| include.as_array()).into_iter().flatten();
    names.map(|name| manifest.parent().unwrap().join(name.as_str().unwrap()).canonicalize().unwrap()).collect()
}

fn profiles(manifest: &Path) -> Vec<String> {
    parsed(manifest)
        .get("profiles")
        .and_then(|profiles| profiles.as_table())
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect()
}

fn loaded(manifest: &Path, profile: Vec<String>) -> Pipeline {
    let overrides = Overrides { profile, ..Overrides::default() };
    let loaded = Catalog::built_in().and_then(|catalog| load(manifest, &overrides, catalog));
    loaded.unwrap_or_else(|report| panic!("{:?}: {}", overrides.profile, report.render(false)))
}

#[test]
fn every_pipeline_loads_in_every_profile_without_a_warning() {
    let paths = manifests(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines"));
    assert!(paths.len() >= 4, "{paths:?}");
    for path in paths.into_iter().filter(|path| !is_part(path)) {
        let chosen = std::iter::once(Vec::new()).chain(profiles(&path).into_iter().map(|profile| vec![profile]));
        for profile in chosen {
            let pipeline = loaded(&path, profile);
            let warnings: Vec<String> = pipeline.warnings.iter().map(|warning| warning.render(false)).collect();
            assert!(warnings.is_empty(), "{}: {warnings:?}", path.display());
        }
    }
}

/// No figure in a document is typed: tables are what kept ledgers give, and these have the figures of the manifests.
#[test]
fn documents_show_what_their_ledgers_and_manifests_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let args = ["ledger", "--update", "docs/results.md", "--check"];
    let shown = Command::new(env!("CARGO_BIN_EXE_ddpipe")).args(args).current_dir(root).output().unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let stated: Vec<Figure> = ["paper/mnist.toml", "paper/fashion.toml", "projectA/mnist.toml"]
        .iter()
        .flat_map(|name| loaded(&root.join("pipelines").join(name), Vec::new()).published)
        .map(|published| published.figure)
        .collect();
    for entry in fs::read_dir(root.join("docs/ledgers")).unwrap() {
        let path = entry.unwrap().path();
        let ledger = Ledger::read(&fs::read_to_string(&path).unwrap()).unwrap();
        for row in &ledger.rows {
            let (path, cell) = (path.display(), &row.cell);
            assert!(stated.contains(&row.published), "{path}: the figure of {cell} is no longer that of its manifest");
        }
    }
}

/// So a part is loaded with them.
#[test]
fn every_part_belongs_to_a_pipeline() {
    let paths = manifests(&Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines"));
    let (parts, whole): (Vec<PathBuf>, Vec<PathBuf>) = paths.into_iter().partition(|path| is_part(path));
    let wanted: BTreeSet<PathBuf> = whole.iter().flat_map(|manifest| included(manifest)).collect();
    for part in parts {
        assert!(wanted.contains(&part.canonicalize().unwrap()), "no pipeline includes {}", part.display());
    }
}

#[test]
fn ci_runs_every_built_in_kind() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/ci.toml");
    let pipeline = loaded(&path, Vec::new());
    let used: BTreeSet<&str> = pipeline.nodes.iter().map(|node| node.kind.as_str()).collect();
    let unused: Vec<&str> = pipeline.catalog.names().filter(|kind| !used.contains(kind)).collect();
    assert!(unused.is_empty(), "ci.toml does not run {unused:?}");
}
