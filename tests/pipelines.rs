//! The pipelines that come with ddpipe: each loads, as it is and in every profile, and `ci.toml` runs every kind.

#![allow(clippy::unwrap_used)]

use ddpipe::catalog::Catalog;
use ddpipe::pipeline::Pipeline;
use ddpipe::{Overrides, load};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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

fn profiles(manifest: &Path) -> Vec<String> {
    let parsed: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
    parsed
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
    for path in paths {
        let chosen = std::iter::once(Vec::new()).chain(profiles(&path).into_iter().map(|profile| vec![profile]));
        for profile in chosen {
            let pipeline = loaded(&path, profile);
            let warnings: Vec<String> = pipeline.warnings.iter().map(|warning| warning.render(false)).collect();
            assert!(warnings.is_empty(), "{}: {warnings:?}", path.display());
        }
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
