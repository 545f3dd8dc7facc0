//! The way in: from the path of a manifest to a checked [`Pipeline`], or everything that is wrong with it.

use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Report};
use crate::manifest::{Manifest, Overrides};
use crate::pipeline::Pipeline;
use crate::resolve::{Resolved, add_own_kinds, kind_folders, resolve};
use std::path::{Path, PathBuf};

/// Reads a manifest with these overrides, resolves it against these kinds and those of the project, and checks it.
///
/// # Errors
/// Everything that is wrong with the manifest, sorted by place.
pub fn load(path: &Path, overrides: &Overrides, catalog: Catalog) -> Result<Pipeline, Report> {
    let spare = overrides.changes_values().then(|| catalog.clone());
    let mut report = Report::default();
    let mut warnings = Vec::new();
    let manifest = Manifest::read(path, overrides, &mut report, &mut warnings);
    warnings.sort_by(|left, right| left.place.cmp(&right.place));
    let resolved = manifest.and_then(|manifest| resolve(manifest, path, overrides, catalog, warnings, &mut report));
    if let (Some(Resolved { passed_over, .. }), Some(catalog)) = (&resolved, spare)
        && !passed_over.is_empty()
        // What is not a cell here has to be one of the manifest as written.
        && let Err(written) = load(path, &overrides.as_written(), catalog)
    {
        let of_figure = |fault: &Diagnostic| fault.place.as_ref().is_some_and(|place| passed_over.contains(place));
        report.diagnostics.extend(written.diagnostics.into_iter().filter(of_figure));
    }
    resolved.filter(|_| report.is_empty()).map(|resolved| resolved.pipeline).ok_or_else(|| {
        report.sort();
        report
    })
}

/// Adds the kinds of a manifest's project. What else is wrong with the manifest does not matter here.
///
/// # Errors
/// The manifest cannot be read, or everything that is wrong with the kinds.
pub fn add_kinds(path: &Path, catalog: &mut Catalog) -> Result<(), Report> {
    let manifest = as_written(path)?;
    let mut report = Report::default();
    add_own_kinds(catalog, &manifest, path, &Overrides::default(), &mut report);
    report.sort();
    if report.is_empty() { Ok(()) } else { Err(report) }
}

/// The folders of a project's own kinds that a manifest names; none of one that cannot be read.
pub fn folders_of_kinds(path: &Path) -> Vec<PathBuf> {
    let folders = |manifest: Manifest| kind_folders(&manifest, path).map(|(folder, ..)| folder).collect();
    as_written(path).map(folders).unwrap_or_default()
}

/// The manifest without any overrides, as far as it can be read.
fn as_written(path: &Path) -> Result<Manifest, Report> {
    let mut report = Report::default();
    let manifest = Manifest::read(path, &Overrides::default(), &mut report, &mut Vec::new());
    manifest.ok_or_else(|| {
        report.sort();
        report
    })
}
