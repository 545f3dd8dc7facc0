//! What is laid over a manifest as written: the chosen profiles, then `DDPIPE_VAR_*` from the environment, then `--set`.
//! An override changes what is there: it may not bring a new variable, source or stage. Whether a key below
//! those is known is checked where that table is read; the place of the override goes along.

use super::document::{self, Entry, Item, Raw, Table};
use super::include::lay_over;
use crate::diagnostic::{Diagnostic, Place, Report, SourceText, did_you_mean};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The variables of the environment that set variables of the manifest.
const ENVIRONMENT_PREFIX: &str = "DDPIPE_VAR_";

/// The top-level tables that may be overridden.
const TABLES: [&str; 5] = ["pipeline", "vars", "sources", "stages", "expect"];

/// What the command line and the environment change of a manifest.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The profiles to lay over the manifest, in order.
    pub profile: Vec<String>,
    /// `--set PATH=VALUE`: a dotted path, and the text of a TOML value (or else a string).
    pub sets: Vec<(String, String)>,
    /// The environment; only `DDPIPE_VAR_*` and `DDPIPE_DATA` are read.
    pub env: Vec<(String, String)>,
    /// Whether files may be downloaded to any folder that the manifest names (`--allow-outside`).
    pub allow_outside: bool,
    /// The texts of the manifest's files by absolute path, where those of an earlier run are read instead of the files.
    pub texts: Option<BTreeMap<PathBuf, String>>,
}

impl Overrides {
    /// Applies all overrides in their order. Checks the profiles that were not chosen, too.
    pub(super) fn apply(&self, document: &mut Table, report: &mut Report, warnings: &mut Vec<Diagnostic>) {
        apply_profiles(document, &self.profile, report);
        for (name, text) in &self.env {
            if let Some(variable) = name.strip_prefix(ENVIRONMENT_PREFIX) {
                apply_environment(document, name, &variable.to_lowercase(), text, warnings);
            }
        }
        for (path, text) in &self.sets {
            apply_set(document, path, text, report);
        }
    }
}

fn apply_profiles(document: &mut Table, chosen: &[String], report: &mut Report) {
    let mut profiles = Table::new();
    if let Some(Entry { item, .. }) = document.shift_remove("profiles") {
        match item.raw {
            Raw::Table(table) => profiles = table,
            _ => report.push(item.fault(format!("expected a table of profiles, found {}", item.describe()))),
        }
    }
    for profile in profiles.values() {
        match &profile.item.raw {
            Raw::Table(over) => check(document, over, report),
            _ => report.push(profile.item.fault(format!("expected a table, found {}", profile.item.describe()))),
        }
    }
    for name in chosen {
        match profiles.get(name).map(|entry| &entry.item.raw) {
            Some(Raw::Table(over)) => lay_over(document, over.clone()),
            Some(_) => {}
            None => {
                let source = SourceText::argument("--profile", name.as_str());
                let place = Place::new(&source, 0..name.len());
                let near = did_you_mean(name, profiles.keys().map(String::as_str));
                let mut fault = Diagnostic::at(&place, format!("there is no profile {name:?}{near}"));
                if profiles.is_empty() {
                    fault = fault.help("the manifest has no [profiles.…] table");
                }
                report.push(fault);
            }
        }
    }
}

fn apply_environment(document: &mut Table, full: &str, name: &str, text: &str, warnings: &mut Vec<Diagnostic>) {
    let source = SourceText::argument("environment", format!("{full}={text}"));
    let key = Place::new(&source, 0..full.len());
    let Some(Raw::Table(vars)) = document.get_mut("vars").map(|entry| &mut entry.item.raw) else { return };
    if !vars.contains_key(name) {
        let near = did_you_mean(name, vars.keys().map(String::as_str));
        warnings.push(Diagnostic::at(&key, format!("the manifest has no variable {name:?}{near}")));
        return;
    }
    let item = argument_value(&source, full.len() + 1);
    vars.insert(name.to_string(), Entry { key, item });
}

fn apply_set(document: &mut Table, path: &str, text: &str, report: &mut Report) {
    let source = SourceText::argument("--set", format!("{path}={text}"));
    let Some(parts) = document::parse_path(path) else {
        let place = Place::new(&source, 0..path.len());
        let fault = Diagnostic::at(&place, format!("{path:?} is not a path of names joined by dots"));
        report.push(fault.help("for example: --set vars.ipc=50"));
        return;
    };
    let mut item = argument_value(&source, path.len() + 1);
    let mut over = Table::new();
    for (name, span) in parts.into_iter().rev() {
        let key = Place::new(&source, span);
        over = Table::from([(name, Entry { key: key.clone(), item })]);
        item = Item::new(key, Raw::Table(over.clone()));
    }
    let before = report.diagnostics.len();
    check(document, &over, report);
    if report.diagnostics.len() == before {
        lay_over(document, over);
    }
}

/// The rest of an argument as a TOML value, or else as a text.
fn argument_value(source: &Arc<SourceText>, start: usize) -> Item {
    document::parse_value(source, start).unwrap_or_else(|| {
        let text = source.text.get(start..).unwrap_or("").to_string();
        Item::new(Place::new(source, start..source.text.len()), Raw::String(text))
    })
}

/// Reports what an override names that is not there.
fn check(document: &Table, over: &Table, report: &mut Report) {
    for (name, entry) in over {
        if !TABLES.contains(&name.as_str()) {
            let near = did_you_mean(name, TABLES);
            let fault = Diagnostic::at(&entry.key, format!("{name:?} cannot be overridden{near}"));
            report.push(fault.help("overrides may change pipeline, vars, sources, stages and expect"));
            continue;
        }
        let Some(inner) = entry.item.as_table() else {
            if name != "expect" {
                let found = entry.item.describe();
                report.push(entry.item.fault(format!("expected a table of {name}, found {found}")));
            }
            continue;
        };
        let noun = match name.as_str() {
            "vars" => "variable",
            "sources" => "source",
            "stages" => "stage",
            _ => continue,
        };
        check_names(document.get(name), inner, noun, report);
        for (source, entry) in inner.iter().filter(|_| name == "sources") {
            let below =
                document.get(name).and_then(|all| all.item.as_table()?.get(source)?.item.as_table()?.get("files"));
            let files = entry.item.as_table().and_then(|table| table.get("files")?.item.as_table());
            if let (Some(files), Some(below)) = (files, below) {
                check_names(Some(below), files, "file", report);
            }
        }
    }
}

/// Every key of `over` has to be one of the table below it.
fn check_names(below: Option<&Entry>, over: &Table, noun: &str, report: &mut Report) {
    let below = below.and_then(|entry| entry.item.as_table());
    for (name, entry) in over {
        if below.is_none_or(|table| !table.contains_key(name)) {
            let names = below.into_iter().flat_map(|table| table.keys().map(String::as_str));
            let fault =
                Diagnostic::at(&entry.key, format!("{noun} {name:?} is not known{}", did_you_mean(name, names)));
            report.push(fault.help(format!("an override changes a {noun} of the manifest, it cannot add one")));
        }
    }
}
