//! What a manifest lets its users choose: its variables and its profiles, as they are written. Reads no stage, puts
//! nothing in, and so works for a manifest that has faults elsewhere.

use super::Overrides;
use super::document::{Raw, Table};
use super::include;
use crate::diagnostic::{Place, Report};
use indexmap::IndexMap;
use std::path::Path;

/// The variables and profiles of a manifest, with those that it includes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Variables, each with its value as written.
    pub vars: Vec<(String, String)>,
    /// Profiles, each with the values that it changes, as paths and texts.
    pub profiles: Vec<(String, Vec<(String, String)>)>,
}

impl Outline {
    /// Reads a manifest's files.
    ///
    /// # Errors
    /// A file cannot be read or is not TOML.
    pub fn read(path: &Path, overrides: &Overrides) -> Result<Self, Report> {
        let mut report = Report::default();
        let read = include::read(path, overrides, &mut report).filter(|read| read.whole);
        let Some(include::Read { document, .. }) = read else {
            report.sort();
            return Err(report);
        };
        let table = |name: &str| document.get(name).and_then(|entry| entry.item.as_table());
        let vars = table("vars").into_iter().flatten().map(|(name, entry)| (name.clone(), written(&entry.item.place)));
        let profiles = table("profiles").into_iter().flatten().map(|(name, entry)| {
            let mut changes = Vec::new();
            entry.item.as_table().into_iter().for_each(|over| changed(over, "", &mut changes));
            (name.clone(), changes)
        });
        Ok(Outline { vars: vars.collect(), profiles: profiles.collect() })
    }
}

/// The variables of a manifest with everything that is laid over it, as they are written; none of one that cannot be read.
pub fn variables(path: &Path, overrides: &Overrides) -> IndexMap<String, String> {
    let mut report = Report::default();
    let Some(mut read) = include::read(path, overrides, &mut report) else { return IndexMap::new() };
    overrides.apply(&mut read.document, &mut report, &mut Vec::new());
    let vars = read.document.get("vars").and_then(|entry| entry.item.as_table());
    vars.into_iter().flatten().map(|(name, entry)| (name.clone(), written(&entry.item.place))).collect()
}

/// The values of a table by their dotted paths.
fn changed(table: &Table, above: &str, changes: &mut Vec<(String, String)>) {
    for (name, entry) in table {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match &entry.item.raw {
            Raw::Table(inner) if !inner.is_empty() => changed(inner, &path, changes),
            _ => changes.push((path, written(&entry.item.place))),
        }
    }
}

/// A value as it is written, on one line.
fn written(place: &Place) -> String {
    let text = place.source.text.get(place.span.clone()).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
