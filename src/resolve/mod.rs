//! From the manifest as written to the [`Pipeline`]: the matrix is expanded, references are looked up, connections and
//! parameters checked against the catalog, defaults filled in. A fault of one stage does not hide those of others, nor
//! does it make new ones: what depends on it is passed over.

mod by_axis;
mod cells;
mod concerned;
mod connect;
mod expect;
mod image_size;
mod info;
mod join;
mod lookup;
mod matrix;
mod metric;
mod names;
mod needed;
mod order;
mod params;
mod path;
mod published;
mod reference;
mod settings;
mod size;
mod stage;
mod territory;

use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Place, Report};
use crate::manifest::{Manifest, Overrides, SourceTable};
use crate::pipeline::{Pipeline, Source, SourceFile};
use indexmap::{IndexMap, IndexSet};
use info::StageInfo;
use lookup::Stages;
pub(crate) use lookup::selector_faults;
use matrix::Axes;
use order::Dependencies;
use reference::Input;
use size::Size;
use std::path::{Path, PathBuf};
use territory::Territory;

/// A pipeline, and what was passed over in making it.
pub struct Resolved {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Where published figures are written whose cells the overrides leave out of it.
    pub passed_over: Vec<Place>,
}

/// Resolves a manifest that was read from `path` against these kinds and those of the project. `warnings` become the
/// pipeline's; `overrides` say where the user lets files be written. No pipeline where anything was reported, here or before.
pub fn resolve(
    manifest: Manifest,
    path: &Path,
    overrides: &Overrides,
    mut catalog: Catalog,
    warnings: Vec<Diagnostic>,
    report: &mut Report,
) -> Option<Resolved> {
    let file = absolute(path);
    let folder = file.parent().unwrap_or(Path::new("/"));
    let root = project(folder).to_path_buf();
    add_own_kinds(&mut catalog, &manifest, path, overrides, report);
    if !size::bearable(&manifest, report) {
        return None;
    }
    let infos: Vec<_> = manifest.stages.iter().map(|(name, table)| StageInfo::read(name, table, report)).collect();
    let (order, cyclic) = order::stages(&dependencies(&infos), report);
    let mut stages: Stages = manifest.stages.keys().map(|name| (name.clone(), None)).collect();
    let mut nodes = Vec::new();
    let mut used = IndexSet::new();
    let mut size = Size::default();
    for name in &order {
        let Some(info) = manifest.stages.get_index_of(name).and_then(|index| infos.get(index)) else { continue };
        let mut context = stage::Context {
            catalog: &catalog,
            sources: &manifest.sources,
            stages: &stages,
            nodes: &mut nodes,
            used: &mut used,
            size: &mut size,
            seed: manifest.pipeline.seed,
        };
        let expanded = context.expand(info, cyclic.contains(name), report);
        stages.insert(name.clone(), expanded);
    }
    cells::fill_in(&infos, &mut nodes, &catalog);
    names::check(&infos, &nodes, &catalog, report);
    cells::check(&infos, &nodes, &catalog, report);
    settings::check(&infos, &nodes, &catalog, report);
    needed::check(&infos, &nodes, &catalog, report);
    image_size::check(&infos, &nodes, &catalog, report);
    let among = metric::Among { stages: &stages, nodes: &nodes, catalog: &catalog };
    let figures = published::resolve(&manifest.published, among, overrides.changes_values(), report);
    let expectations = expect::resolve(&manifest.expectations, &figures.published, among, report);
    let at_fault = infos.iter().filter(|info| stages.get(info.name).is_none_or(Option::is_none));
    mentioned_sources(at_fault, &manifest.sources, &mut used);
    let territory = Territory::new(&root, overrides);
    let sources = sources(&manifest, &root, &territory, &used, report);
    report.is_empty().then(|| Resolved {
        passed_over: figures.passed_over,
        pipeline: Pipeline {
            name: manifest.pipeline.name,
            about: manifest.pipeline.about,
            licence: manifest.pipeline.licence,
            file,
            files: manifest.files,
            root,
            seed: manifest.pipeline.seed,
            numerics: manifest.pipeline.numerics,
            sources,
            catalog,
            nodes,
            expectations,
            published: figures.published,
            warnings,
        },
    })
}

/// The folder of the project that a manifest belongs to: the one that holds the `pipelines` folder that the manifest
/// lies in, directly or one folder deeper (`pipelines/paper/mnist.toml`); else the manifest's own.
fn project(folder: &Path) -> &Path {
    let pipelines =
        folder.ancestors().take(2).find(|folder| folder.file_name().is_some_and(|name| name == "pipelines"));
    pipelines.and_then(Path::parent).unwrap_or(folder)
}

/// The folder of the project that the manifest at this path belongs to.
pub fn project_of(manifest: &Path) -> PathBuf {
    project(absolute(manifest).parent().unwrap_or(Path::new("/"))).to_path_buf()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Adds the kinds of the project's own to the built-in ones. `path` is the manifest's, as the user wrote it.
pub fn add_own_kinds(
    catalog: &mut Catalog,
    manifest: &Manifest,
    path: &Path,
    overrides: &Overrides,
    report: &mut Report,
) {
    for (folder, shown, place) in kind_folders(manifest, path) {
        let other = overrides.kinds.as_ref().and_then(|(there, stands_for)| {
            Some(there.join(crate::manifest::normal(&folder).strip_prefix(stands_for).ok()?))
        });
        catalog.add_folder(&other.unwrap_or(folder), &shown, place, report);
    }
}

/// The folders of the project's own kinds: absolute, as messages call them, and where the manifest names them.
pub fn kind_folders<'a>(manifest: &'a Manifest, path: &'a Path) -> impl Iterator<Item = (PathBuf, PathBuf, &'a Place)> {
    let folder = absolute(path).parent().unwrap_or(Path::new("/")).to_path_buf();
    let near = path.parent().unwrap_or(Path::new(""));
    manifest.pipeline.kinds.iter().map(move |(named, place)| (folder.join(named), near.join(named), place))
}

/// What each stage reads, as far as its references can be read; what is wrong with them is reported by `stage`.
fn dependencies(infos: &[StageInfo<'_>]) -> Dependencies {
    let none = Axes::new();
    let mut dependencies = Dependencies::new();
    for info in infos {
        let reads: &mut IndexMap<_, _> = dependencies.entry(info.name.to_string()).or_default();
        for item in info.inputs.values().flatten().flat_map(Input::references) {
            for name in reference::stages_named(item, info.own.as_ref().unwrap_or(&none)).unwrap_or_default() {
                reads.entry(name).or_insert_with(|| item.place.clone());
            }
        }
    }
    dependencies
}

/// Stages at fault are not looked up; the sources that they mention, or may mention, are used all the same.
fn mentioned_sources<'a>(
    at_fault: impl Iterator<Item = &'a StageInfo<'a>>,
    sources: &IndexMap<String, SourceTable>,
    used: &mut IndexSet<String>,
) {
    for item in at_fault.flat_map(|info| info.table.inputs.values()).map(|entry| &entry.item) {
        let written = item.place.source.text.get(item.place.span.clone()).unwrap_or_default();
        let any = written.contains("${");
        used.extend(sources.keys().filter(|name| any || written.contains(&format!("source:{name}/"))).cloned());
    }
}

/// The sources that the stages use. One that the main file declares and nothing uses is a fault; one from an included
/// file is left out. One that would be downloaded to a place which the user did not allow is a fault, too.
fn sources(
    manifest: &Manifest,
    root: &Path,
    territory: &Territory,
    used: &IndexSet<String>,
    report: &mut Report,
) -> IndexMap<String, Source> {
    let mut sources = IndexMap::new();
    for (name, table) in &manifest.sources {
        if !used.contains(name) {
            if table.key.source.name == manifest.main.name {
                let fault = Diagnostic::at(&table.key, format!("source {name:?} is not used by any stage"));
                report.push(fault.help(format!("a stage reads a file of it with \"source:{name}/FILE\"")));
            }
            continue;
        }
        let written = match path::expanded(&table.path, |name| std::env::var(name).ok()) {
            Ok(path) => path,
            Err((what, help)) => {
                report.push(Diagnostic::at(table.place.as_ref().unwrap_or(&table.key), what).help(help));
                continue;
            }
        };
        let path = absolute(&root.join(written));
        let file = |(name, file): (&String, &crate::manifest::FileTable)| {
            let file = SourceFile {
                name: name.clone(),
                path: path.join(name),
                md5: file.md5.clone(),
                sha256: file.sha256.clone(),
                blake3: file.blake3.clone(),
                url: file.url.clone(),
            };
            (name.clone(), file)
        };
        let files = table.files.iter().map(file).collect();
        let (obtain, verify, optional) = (table.obtain.clone(), table.verify, table.optional);
        let licence = table.licence.clone();
        let source = Source { name: name.clone(), path: path.clone(), obtain, licence, verify, optional, files };
        report.diagnostics.extend(territory.fault(table, &source));
        sources.insert(name.clone(), source);
    }
    sources
}
