//! What is laid over a manifest as written: the chosen profiles, then `DDPIPE_VAR_*` from the environment, then `--set`.
//! An override changes what is there: it may not bring a new variable, source or stage. Whether a key below
//! those is known is checked where that table is read; the place of the override goes along.

use super::document::{self, Entry, Item, Raw, Table};
use super::include::lay_over;
use super::options::StageOption;
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
    /// Options of a command that change a stage; the last word.
    pub options: Vec<StageOption>,
    /// The environment; only `DDPIPE_VAR_*` and `DDPIPE_DATA` are read.
    pub env: Vec<(String, String)>,
    /// Whether files may be downloaded to any folder that the manifest names (`--allow-outside`).
    pub allow_outside: bool,
    /// The texts of the manifest's files by absolute path, where those of an earlier run are read instead of the files.
    pub texts: Option<BTreeMap<PathBuf, String>>,
    /// The folder below which the kinds of the project's own are read, and the one that it stands for: those of another
    /// revision.
    pub kinds: Option<(PathBuf, PathBuf)>,
    /// The text of the manifest, where it was read from standard input; what it includes is read from files.
    pub stdin: Option<String>,
}

impl Overrides {
    /// Whether anything is laid over the manifest.
    pub fn changes_values(&self) -> bool {
        let env = || self.env.iter().any(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
        !self.profile.is_empty() || !self.sets.is_empty() || !self.options.is_empty() || env()
    }

    /// The same texts with nothing laid over them.
    pub fn as_written(&self) -> Overrides {
        let env = self.env.iter().filter(|(name, _)| !name.starts_with(ENVIRONMENT_PREFIX)).cloned().collect();
        Overrides { profile: Vec::new(), sets: Vec::new(), options: Vec::new(), env, ..self.clone() }
    }

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
        self.options.iter().for_each(|option| option.apply(document, report));
    }
}

/// Lays a table over a document in which everything that it names is there.
pub(super) fn lay(document: &mut Table, over: Table) {
    displace(document, &over);
    lay_over(document, over);
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
            Some(Raw::Table(over)) => {
                lay(document, over.clone());
            }
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
        lay(document, over);
    }
}

/// What is laid over a stage has the last word about a parameter: an axis takes the place of the value in `params`, and a
/// value that of the axis. Where the stage refers to the axis, both mean something, and both stay.
fn displace(document: &mut Table, over: &Table) {
    let Some(stages) = over.get("stages").and_then(|entry| entry.item.as_table()) else { return };
    for (name, above) in stages {
        let below = document.get_mut("stages").and_then(|entry| entry.item.as_table_mut());
        let stage = below.and_then(|stages| stages.get_mut(name)).and_then(|stage| stage.item.as_table_mut());
        let (Some(stage), Some(above)) = (stage, above.item.as_table()) else { continue };
        for (set, other) in [("matrix", "params"), ("params", "matrix")] {
            let named = above.get(set).and_then(|entry| entry.item.as_table()).into_iter().flat_map(Table::keys);
            let also = |name: &&String| {
                let table = above.get(other).and_then(|entry| entry.item.as_table());
                table.is_some_and(|table| table.contains_key(*name)) || refers(stage, name)
            };
            let gone: Vec<String> = named.filter(|name| !also(name)).cloned().collect();
            if let Some(table) = stage.get_mut(other).and_then(|entry| entry.item.as_table_mut()) {
                gone.iter().for_each(|name| drop(table.shift_remove(name)));
            }
        }
    }
}

/// Whether a value of the stage refers to this axis.
fn refers(stage: &Table, axis: &str) -> bool {
    let reference = format!("${{{axis}}}");
    fn any(item: &Item, reference: &str) -> bool {
        match &item.raw {
            Raw::String(text) => text.contains(reference),
            Raw::List(items) => items.iter().any(|item| any(item, reference)),
            Raw::Table(table) => table.values().any(|entry| any(&entry.item, reference)),
            _ => false,
        }
    }
    stage.values().any(|entry| any(&entry.item, &reference))
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
            let paths = paths_of(document, name);
            let near = if paths.is_empty() { did_you_mean(name, TABLES) } else { String::new() };
            let fault = Diagnostic::at(&entry.key, format!("{name:?} cannot be overridden{near}"));
            report.push(match paths.split_last() {
                None => fault.help("overrides may change pipeline, vars, sources, stages and expect"),
                Some((last, [])) => fault.help(format!("there is {last}")),
                Some((last, others)) => fault.help(format!("there are {} and {last}", others.join(", "))),
            });
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

/// Where the manifest has something of this name that could be meant: a variable, or what stages state of it; of very many
/// the first ones.
fn paths_of(document: &Table, name: &str) -> Vec<String> {
    let table = |name: &str| document.get(name).and_then(|entry| entry.item.as_table());
    let var = table("vars").filter(|vars| vars.contains_key(name)).map(|_| format!("vars.{name}"));
    let stages = table("stages").into_iter().flatten();
    let stated = stages.flat_map(|(stage, entry)| {
        let has = |part: &&&str| {
            let table = entry.item.as_table().and_then(|stage| stage.get(**part)?.item.as_table());
            table.is_some_and(|table| table.contains_key(name))
        };
        let parts = ["params", "matrix"].iter().filter(has).collect::<Vec<_>>();
        parts.into_iter().map(move |part| format!("stages.{stage}.{part}.{name}"))
    });
    var.into_iter().chain(stated).take(6).collect()
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
