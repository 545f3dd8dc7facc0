//! The way in: from the path of a manifest to a checked [`Pipeline`], or everything that is wrong with it.

use crate::catalog::Catalog;
use crate::diagnostic::Report;
use crate::manifest::Manifest;
use crate::pipeline::Pipeline;
use crate::resolve;
use std::path::Path;

/// What the command line and the environment say about a manifest.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The profiles to lay over the manifest, in order.
    pub profile: Vec<String>,
    /// `--set PATH=VALUE`: a dotted path, and the text of a TOML value (or else a string).
    pub sets: Vec<(String, String)>,
    /// The environment; only `DDPIPE_VAR_*` are read.
    pub env: Vec<(String, String)>,
    /// The kinds to resolve against; the built-in ones unless given. The project's own are added to them.
    pub catalog: Option<Catalog>,
}

/// Reads, merges, overrides, resolves and checks a manifest.
pub fn load(path: &Path, options: &Options) -> Result<Pipeline, Report> {
    let mut report = Report::default();
    let mut warnings = Vec::new();
    let manifest = Manifest::read(path, options, &mut report, &mut warnings);
    let pipeline = manifest.and_then(|manifest| resolve::resolve(manifest, path, options, &mut report));
    report.sort();
    match pipeline {
        Some(mut pipeline) if report.is_empty() => {
            warnings.sort_by(|left, right| left.place.cmp(&right.place));
            pipeline.warnings = warnings;
            Ok(pipeline)
        }
        _ => Err(report),
    }
}
