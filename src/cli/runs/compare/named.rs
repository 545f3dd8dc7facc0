//! What a side of a comparison is called on the command line, and the plan of a manifest that is called so.

use super::super::super::project::{Invocation, OverArgs, Planned};
use crate::catalog::Catalog;
use crate::commit;
use crate::comparison::Side;
use crate::exit::Fault;
use crate::pipeline::NumericsMode;
use crate::revision::Revision;
use crate::slots::Slots;
use ddpipe_cache::{Cache, Commit};
use std::path::{Path, PathBuf};

/// How the name of a manifest ends.
const ENDING: &str = ".toml";

/// A side as it is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A run.
    Run(String),
    /// A manifest.
    Manifest {
        /// The git revision that it is taken from; none: as it is now.
        revision: Option<String>,
        /// Its path.
        path: PathBuf,
        /// The profiles to lay over it.
        profiles: Vec<String>,
    },
}

impl Named {
    /// Reads a name: what ends with `.toml`, or goes on with `@profile` behind it, is a manifest, with a revision and a colon
    /// before it or without; everything else is a run.
    pub(super) fn read(text: &str) -> Result<Self, Fault> {
        let end = text.rmatch_indices(ENDING).map(|(at, _)| at + ENDING.len());
        let is_end = |end: &usize| matches!(text.get(*end..), Some(rest) if rest.is_empty() || rest.starts_with('@'));
        let Some((file, rest)) = end.into_iter().find(is_end).and_then(|end| text.split_at_checked(end)) else {
            return Ok(Named::Run(text.to_string()));
        };
        let profiles: Vec<String> = rest.split('@').skip(1).map(String::from).collect();
        if profiles.iter().any(String::is_empty) {
            return Err(Fault::usage(format!("{text}: name a profile behind @, as in {file}@small")));
        }
        let (revision, path) = match colon(file) {
            Some(at) => (file.get(..at), file.get(at + 1..).unwrap_or_default()),
            None => (None, file),
        };
        if revision.is_some_and(str::is_empty) || path == ENDING {
            return Err(Fault::usage(format!("{text}: expected REVISION:PATH, as in HEAD~1:pipelines/mnist.toml")));
        }
        Ok(Named::Manifest { revision: revision.map(String::from), path: path.into(), profiles })
    }
}

/// The first colon that is not part of a revision such as `HEAD^{/fix: rounding}`.
fn colon(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    text.char_indices().find_map(|(at, letter)| {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => return Some(at),
            _ => {}
        }
        None
    })
}

/// The name again.
pub(super) fn written(revision: Option<&str>, path: &Path, profiles: &[String]) -> String {
    let revision = revision.map_or(String::new(), |revision| format!("{revision}:"));
    let profiles: String = profiles.iter().map(|profile| format!("@{profile}")).collect();
    format!("{revision}{}{profiles}", path.display())
}

/// A manifest as a side, with the kinds that it knows.
pub(super) struct OfManifest {
    pub(super) side: Side,
    pub(super) catalog: Catalog,
}

/// Plans a manifest. Changes nothing.
pub(super) fn plan(
    revision: Option<&str>,
    path: PathBuf,
    profile: Vec<String>,
    cache: &Cache,
    numerics: Option<NumericsMode>,
    slots: &Slots,
) -> Result<OfManifest, Fault> {
    // Nothing is downloaded, wherever the manifest would have files put.
    let mut overrides = OverArgs { profile, set: Vec::new(), allow_outside: true }.overrides()?;
    // The folders of its kinds are there as long as this is.
    let revision = revision.map(|revision| Revision::find(revision, &path, &mut overrides)).transpose()?;
    let manifest = revision.as_ref().map_or(path, |revision| revision.manifest.clone());
    let invocation = Invocation { manifest, overrides: overrides.clone(), select: Vec::new() };
    let loaded = invocation.load(&[])?;
    let project = invocation.open(loaded, cache.clone(), numerics, slots)?;
    let Planned { plan, sources, .. } = project.planned()?;
    let commit = match &revision {
        Some(revision) => Some(Commit { hash: revision.commit.clone(), dirty: false }),
        None => commit::of(&project.pipeline.root),
    };
    let side = Side::of_plan(&project.pipeline, &overrides, commit.as_ref(), &plan, &sources);
    Ok(OfManifest { side, catalog: project.pipeline.catalog })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_name_is_a_run_or_a_manifest() {
        let read = |text: &str| match Named::read(text).unwrap() {
            Named::Run(run) => (None, run, Vec::new()),
            Named::Manifest { revision, path, profiles } => {
                (Some(revision.unwrap_or_default()), path.display().to_string(), profiles)
            }
        };
        for run in ["last", "20261128-1015", "paper-fig3", "a.b", "x.tom", "toml"] {
            assert_eq!(read(run), (None, run.to_string(), vec![]));
        }
        let manifests: [(&str, &str, &str, &[&str]); 6] = [
            ("x.toml", "", "x.toml", &[]),
            ("a/x.toml@cpu", "", "a/x.toml", &["cpu"]),
            ("HEAD~2:a/x.toml@cpu@ci", "HEAD~2", "a/x.toml", &["cpu", "ci"]),
            ("main@{1}:x.toml", "main@{1}", "x.toml", &[]),
            ("HEAD^{/fix: it}:x.toml", "HEAD^{/fix: it}", "x.toml", &[]),
            ("v1.toml:x.toml", "v1.toml", "x.toml", &[]),
        ];
        for (text, revision, path, profiles) in manifests {
            let profiles = profiles.iter().map(ToString::to_string).collect();
            assert_eq!(read(text), (Some(revision.to_string()), path.to_string(), profiles), "{text}");
        }
        for wrong in [":x.toml", "x.toml@", "x.toml@a@", "HEAD:.toml"] {
            assert!(Named::read(wrong).is_err(), "{wrong}");
        }
    }
}
