//! The kinds that `stages` and `schema` are about: the built-in ones and those of a project. Reads their declarations and
//! runs none of their programs.

use crate::catalog::Catalog;
use crate::diagnostic::{Place, Report, SourceText};
use crate::exit::Fault;
use crate::load;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The built-in kinds, and those in these folders and of this manifest's project. If neither is given, those of the
/// project here, if there is one: what is wrong with its manifests and kinds is then nobody's question.
pub(super) fn catalog(folders: &[PathBuf], manifest: Option<&Path>) -> Result<Catalog, Fault> {
    let mut catalog = Catalog::built_in()?;
    let mut report = Report::default();
    for folder in folders {
        let text = folder.display().to_string();
        let place = Place::new(&SourceText::argument("--kinds", text.as_str()), 0..text.len());
        catalog.add_folder(&absolute(folder), folder, &place, &mut report);
    }
    if !report.is_empty() {
        return Err(report.into());
    }
    match manifest {
        Some(manifest) => load::add_kinds(manifest, &mut catalog)?,
        None if folders.is_empty() => add_those_here(&mut catalog),
        None => {}
    }
    Ok(catalog)
}

/// Adds the kinds that the manifests of the project here name, each folder once.
fn add_those_here(catalog: &mut Catalog) {
    let folders: BTreeSet<PathBuf> = manifests_here()
        .iter()
        .flat_map(|manifest| load::folders_of_kinds(manifest))
        .filter_map(|folder| folder.canonicalize().ok())
        .collect();
    for folder in folders {
        let text = SourceText::argument("pipelines", "");
        catalog.add_folder(&folder, &folder, &Place::new(&text, 0..0), &mut Report::default());
    }
}

/// The manifests in the `pipelines` folder of this folder, or of the nearest one above that has one, and those one
/// folder deeper; sorted.
pub(super) fn manifests_here() -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let Some(project) = here.ancestors().find(|folder| folder.join("pipelines").is_dir()) else { return Vec::new() };
    // As a user here would write it.
    let base = if project == here { PathBuf::new() } else { project.to_path_buf() };
    let mut found = Vec::new();
    let below = entries(&base.join("pipelines"));
    for path in below.iter().filter(|path| path.is_dir()).flat_map(|folder| entries(folder)).chain(below.clone()) {
        if path.extension().is_some_and(|ending| ending == "toml") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
