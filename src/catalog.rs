//! The kinds that a manifest may use: the built-in ones, whose declarations are embedded at build time, and those that
//! a project brings along. Validation, defaults, help and the JSON Schema read them from here. Knows no manifest.

use crate::diagnostic::{Diagnostic, Place, Report, SourceText, shown_path};
use ddpipe_cache::Digest;
use ddpipe_interface::{Declaration, DeclarationError};
use indexmap::IndexMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Path and text of every built-in `stage.toml`.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/declarations.rs"));

/// The known kinds, by name, sorted.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    kinds: IndexMap<String, Kind>,
}

/// One known kind.
#[derive(Clone, Debug)]
pub struct Kind {
    /// What its `stage.toml` says.
    pub declaration: Arc<Declaration>,
    /// The folder of a project's own kind, absolute: what relative names in its `command` refer to.
    pub folder: Option<PathBuf>,
}

impl Catalog {
    /// The kinds that ddpipe brings along.
    pub fn built_in() -> Result<Self, Report> {
        let mut catalog = Catalog::default();
        let mut report = Report::default();
        for (file, text) in BUILT_IN {
            let parts: Vec<&str> = file.split('/').collect();
            // Folders between group and kind hold a family of kinds together.
            let expected = match parts.as_slice() {
                ["stages", group, .., kind, _] => format!("{group}.{kind}"),
                _ => file.to_string(),
            };
            let source = SourceText::file(*file, *text);
            if let Some(declaration) = read(&source, &mut report) {
                if declaration.name != expected {
                    report.push(misnamed(&source, &declaration, &expected));
                }
                catalog.insert(&source, declaration, None, &mut report);
            }
        }
        catalog.kinds.sort_unstable_keys();
        if report.is_empty() { Ok(catalog) } else { Err(report) }
    }

    /// The digest of all declarations that ddpipe brings along: two builds with the same plan the same.
    pub fn digest_of_built_in() -> Digest {
        let texts = BUILT_IN.iter().map(|(file, text)| format!("{file} {}\n{text}", text.len()));
        Digest::of(texts.collect::<String>().as_bytes())
    }

    /// A catalog of exactly these kinds; of two with one name, the last.
    pub fn from_declarations(declarations: impl IntoIterator<Item = Declaration>) -> Self {
        let kind = |declaration: Declaration| {
            (declaration.name.clone(), Kind { declaration: Arc::new(declaration), folder: None })
        };
        let mut kinds: IndexMap<_, _> = declarations.into_iter().map(kind).collect();
        kinds.sort_unstable_keys();
        Catalog { kinds }
    }

    /// Adds a project's own kinds: `<kind>/stage.toml` and `<group>/<kind>/stage.toml` below the folder. `shown` is the
    /// folder as messages call it, `place` is where the manifest names it.
    pub fn add_folder(&mut self, folder: &Path, shown: &Path, place: &Place, report: &mut Report) {
        let mut files = Vec::new();
        if let Err(error) = declarations_below(folder, 0, &mut files) {
            let why = if error.kind() == io::ErrorKind::NotFound {
                "there is no such folder".into()
            } else {
                error.to_string()
            };
            report.push(Diagnostic::at(place, format!("could not read the kinds in {}: {why}", shown_path(shown))));
            return;
        }
        if files.is_empty() {
            let fault = Diagnostic::at(place, format!("there are no kinds in {}", shown_path(shown)));
            report.push(fault.help("a kind is a folder with a stage.toml"));
        }
        for file in files {
            let name = shown_path(&shown.join(file.strip_prefix(folder).unwrap_or(&file)));
            let source = match std::fs::read_to_string(&file) {
                Ok(text) => SourceText::file(name, text),
                Err(error) => {
                    report.push(Diagnostic::at(place, format!("could not read {name}: {error}")));
                    continue;
                }
            };
            let Some(declaration) = read(&source, report) else { continue };
            let below = file.parent().unwrap_or(folder);
            let parts: Vec<_> =
                below.strip_prefix(folder).unwrap_or(below).iter().map(|part| part.to_string_lossy()).collect();
            let expected = parts.join(".");
            if declaration.name != expected
                && !(parts.len() == 1 && declaration.name.ends_with(&format!(".{expected}")))
            {
                report.push(misnamed(&source, &declaration, &expected));
            }
            if declaration.command.as_ref().is_none_or(Vec::is_empty) {
                let fault = Diagnostic::at(&Place::new(&source, 0..0), "a kind of the project's own needs a command");
                report.push(fault.help("for example: command = [\"python\", \"my_stage.py\"]"));
            }
            self.insert(&source, declaration, Some(below.to_path_buf()), report);
        }
        self.kinds.sort_unstable_keys();
    }

    /// The kind of this name.
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }

    /// The declaration of this name.
    pub fn declaration(&self, name: &str) -> Option<&Declaration> {
        self.kinds.get(name).map(|kind| kind.declaration.as_ref())
    }

    /// All kinds, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Kind)> {
        self.kinds.iter().map(|(name, kind)| (name.as_str(), kind))
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    fn insert(
        &mut self,
        source: &Arc<SourceText>,
        declaration: Declaration,
        folder: Option<PathBuf>,
        report: &mut Report,
    ) {
        if self.kinds.contains_key(&declaration.name) {
            let place = name_place(source, &declaration);
            report.push(Diagnostic::at(&place, format!("there is a kind {:?} already", declaration.name)));
            return;
        }
        self.kinds.insert(declaration.name.clone(), Kind { declaration: Arc::new(declaration), folder });
    }
}

fn read(source: &Arc<SourceText>, report: &mut Report) -> Option<Declaration> {
    match Declaration::parse(&source.text) {
        Ok(declaration) => Some(declaration),
        Err(DeclarationError::Form(error)) => {
            let place = Place::new(source, error.span().unwrap_or(0..0));
            report.push(Diagnostic::at(&place, format!("not a declaration: {}", error.message())));
            None
        }
        Err(DeclarationError::Meaning { what, span }) => {
            let place = Place::new(source, span.unwrap_or(0..0));
            report.push(Diagnostic::at(&place, format!("not a declaration: {what}")));
            None
        }
    }
}

fn misnamed(source: &Arc<SourceText>, declaration: &Declaration, expected: &str) -> Diagnostic {
    let message = format!("the kind is named {:?}, but lies in the folder of {expected:?}", declaration.name);
    Diagnostic::at(&name_place(source, declaration), message)
}

/// Where a declaration says its name.
fn name_place(source: &Arc<SourceText>, declaration: &Declaration) -> Place {
    let written = format!("{:?}", declaration.name);
    let start = source.text.find(&written).unwrap_or(0);
    Place::new(source, start..start + if start > 0 { written.len() } else { 0 })
}

/// Collects `stage.toml` one and two levels below a folder, sorted.
fn declarations_below(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries: io::Result<Vec<_>> = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut folders: Vec<_> = entries?.into_iter().filter(|path| path.is_dir()).collect();
    folders.sort();
    for folder in folders {
        let file = folder.join("stage.toml");
        if file.is_file() {
            files.push(file);
        } else if depth == 0 {
            declarations_below(&folder, 1, files)?;
        }
    }
    Ok(())
}
