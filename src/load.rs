//! The way in: from the path of a manifest to a checked [`Pipeline`], or everything that is wrong with it.

use crate::catalog::Catalog;
use crate::diagnostic::Report;
use crate::manifest::{Manifest, Overrides};
use crate::pipeline::Pipeline;
use crate::resolve::resolve;
use std::path::Path;

/// Reads a manifest with these overrides, resolves it against these kinds and those of the project, and checks it.
///
/// # Errors
/// Everything that is wrong with the manifest, sorted by place.
pub fn load(path: &Path, overrides: &Overrides, catalog: Catalog) -> Result<Pipeline, Report> {
    let mut report = Report::default();
    let mut warnings = Vec::new();
    let manifest = Manifest::read(path, overrides, &mut report, &mut warnings);
    warnings.sort_by(|left, right| left.place.cmp(&right.place));
    let pipeline = manifest.and_then(|manifest| resolve(manifest, path, overrides, catalog, warnings, &mut report));
    pipeline.ok_or_else(|| {
        report.sort();
        report
    })
}
