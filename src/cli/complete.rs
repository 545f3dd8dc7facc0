//! What a shell is told while somebody types: nodes, variables, parameters, profiles, kinds and runs of the manifest that
//! stands on the line. Says nothing where anything is wrong; the command itself says that.

use super::kinds;
use crate::catalog::Catalog;
use crate::load::load;
use crate::manifest::Overrides;
use crate::pipeline::Pipeline;
use crate::visible::is_hidden;
use clap_complete::engine::{CompletionCandidate, PathCompleter};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The environment variable by which the shell's script asks.
pub(super) const VARIABLE: &str = "DDPIPE_COMPLETE";

/// More nodes than this are not listed one by one.
const MOST_NODES: usize = 2000;
/// How deep `include` is followed.
const DEEPEST: usize = 8;

/// Completes a path to a manifest.
pub(super) fn manifests() -> PathCompleter {
    PathCompleter::file().filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
}

/// The stages of the manifest, and its nodes.
pub(super) fn nodes() -> Vec<CompletionCandidate> {
    let Some(pipeline) = pipeline() else { return Vec::new() };
    let stages: BTreeSet<&str> = pipeline.nodes.iter().map(|node| node.stage.as_str()).collect();
    let mut names: Vec<String> = stages.into_iter().map(String::from).collect();
    if pipeline.nodes.len() <= MOST_NODES {
        names.extend(pipeline.nodes.iter().map(|node| node.address()).filter(|address| address.contains('[')));
    }
    candidates(names)
}

/// What `--set` can change: the variables of the manifest and the parameters of its stages.
pub(super) fn sets() -> Vec<CompletionCandidate> {
    let variables = manifest().map(|path| keys(&path, "vars", DEEPEST)).unwrap_or_default();
    let mut paths: Vec<String> = variables.iter().map(|name| format!("vars.{name}=")).collect();
    if let Some(pipeline) = pipeline() {
        let mut params = BTreeSet::new();
        for node in &pipeline.nodes {
            let declared = pipeline.catalog.declaration(&node.kind).map(|declaration| declaration.params.keys());
            params.extend(declared.into_iter().flatten().map(|name| format!("stages.{}.params.{name}=", node.stage)));
        }
        paths.extend(params);
    }
    candidates(paths)
}

/// The profiles of the manifest.
pub(super) fn profiles() -> Vec<CompletionCandidate> {
    candidates(manifest().map(|path| keys(&path, "profiles", DEEPEST)).unwrap_or_default())
}

/// The stage kinds, those of the project here included.
pub(super) fn kinds() -> Vec<CompletionCandidate> {
    let catalog = kinds::catalog(&[], manifest().as_deref()).unwrap_or_default();
    let candidate = |(name, kind): (&str, &crate::catalog::Kind)| {
        let help = kind.declaration.help.replace(is_hidden, " ");
        CompletionCandidate::new(name).help(Some(help.into()))
    };
    catalog.iter().filter(|(name, _)| !name.contains(is_hidden)).map(candidate).collect()
}

/// The runs in the cache here.
pub(super) fn runs() -> Vec<CompletionCandidate> {
    let entries = std::fs::read_dir(".ddpipe/runs").into_iter().flatten().flatten();
    candidates(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

fn candidates(names: Vec<String>) -> Vec<CompletionCandidate> {
    names.into_iter().filter(|name| !name.contains(is_hidden)).map(CompletionCandidate::new).collect()
}

/// The words on the line.
fn words() -> Vec<String> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    words.filter_map(|word| word.into_string().ok()).collect()
}

/// The manifest on the line.
fn manifest() -> Option<PathBuf> {
    words()
        .iter()
        .map(PathBuf::from)
        .find(|path| path.extension().is_some_and(|ending| ending == "toml") && path.is_file())
}

/// The pipeline of the manifest on the line, with the profiles that stand there too.
fn pipeline() -> Option<Pipeline> {
    let words = words();
    let named = words.iter().zip(words.iter().skip(1)).filter(|(option, _)| *option == "--profile");
    let profile = named.map(|(_, name)| name.clone()).collect();
    let load_with = |profile| {
        let overrides = Overrides { profile, ..Overrides::default() };
        load(&manifest()?, &overrides, Catalog::built_in().ok()?).ok()
    };
    load_with(profile).or_else(|| load_with(Vec::new()))
}

/// The keys of a table at the top of a manifest and of what it includes.
fn keys(path: &Path, table: &str, deepest: usize) -> Vec<String> {
    let Some(text) = std::fs::read_to_string(path).ok() else { return Vec::new() };
    let Ok(document) = text.parse::<toml::Table>() else { return Vec::new() };
    let own = document.get(table).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys).cloned();
    let mut found: BTreeSet<String> = own.collect();
    let includes = document.get("include").and_then(toml::Value::as_array).into_iter().flatten();
    for name in includes.filter_map(toml::Value::as_str).filter(|_| deepest > 0) {
        let below = path.parent().unwrap_or(Path::new("")).join(name);
        found.extend(keys(&below, table, deepest - 1));
    }
    found.into_iter().collect()
}
