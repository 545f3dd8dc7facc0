//! Reads a manifest and the files that it includes into one document. The including file wins over what it includes;
//! two included files that disagree are a fault. Every value keeps the place in the file that it came from.

use super::document::{self, Entry, Item, Raw, Table};
use crate::diagnostic::{Diagnostic, Place, Report, SourceText, shown_path};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A value that two included files state differently.
struct Conflict {
    path: Vec<String>,
    first: Place,
    second: Place,
}

/// Reads the file and everything below it; the document, and the text of the file itself.
pub fn read(path: &Path, report: &mut Report) -> Option<(Table, Arc<SourceText>)> {
    let mut reader = Reader { report, open: Vec::new() };
    reader.file(path, None)
}

struct Reader<'a> {
    report: &'a mut Report,
    /// The files on the way down, to notice a cycle: their true paths, and their names in messages.
    open: Vec<(PathBuf, String)>,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, from: Option<&Place>) -> Option<(Table, Arc<SourceText>)> {
        let name = shown_path(path);
        let fault = |message: String| match from {
            Some(place) => Diagnostic::at(place, message),
            None => Diagnostic::general(message),
        };
        let read = path.canonicalize().and_then(|real| std::fs::read(path).map(|bytes| (real, bytes)));
        let (real, bytes) = match read {
            Ok(read) => read,
            Err(error) => {
                self.report.push(fault(format!("could not read {name}: {}", error_text(&error))));
                return None;
            }
        };
        let Ok(text) = String::from_utf8(bytes) else {
            self.report.push(fault(format!("could not read {name}: it is not UTF-8 text")));
            return None;
        };
        if let Some(start) = self.open.iter().position(|(open, _)| *open == real) {
            let names = self.open[start..].iter().map(|(_, name)| name.as_str()).chain([name.as_str()]);
            let path = names.collect::<Vec<_>>().join(" -> ");
            self.report.push(fault(format!("the files include each other: {path}")));
            return None;
        }
        let source = SourceText::file(name.clone(), text);
        let own = match document::parse(&source) {
            Ok(table) => table,
            Err(faults) => {
                self.report.diagnostics.extend(faults);
                return None;
            }
        };
        self.open.push((real, name));
        let merged = self.included(path, own);
        self.open.pop();
        Some((merged, source))
    }

    /// Puts what a document includes underneath it.
    fn included(&mut self, path: &Path, mut own: Table) -> Table {
        let Some(entry) = own.shift_remove("include") else { return own };
        let mut base = Table::new();
        let mut conflicts = Vec::new();
        for (place, name) in file_names(&entry, self.report) {
            let file = path.parent().unwrap_or(Path::new("")).join(name);
            if let Some((mut table, _)) = self.file(&file, Some(&place)) {
                collect_expectations(&mut base, &mut table);
                merge(&mut base, table, &mut Vec::new(), Some(&mut conflicts));
            }
        }
        for conflict in conflicts.iter().filter(|conflict| !states(&own, &conflict.path)) {
            let path = conflict.path.join(".");
            let (first, second) = (&conflict.first.source.name, &conflict.second.source.name);
            let fault = Diagnostic::at(&conflict.second, format!("{path} differs between {first} and {second}"))
                .and(&conflict.first, "the other value")
                .help(format!("state {path} in the file that includes both"));
            self.report.push(fault);
        }
        collect_expectations(&mut base, &mut own);
        lay_over(&mut base, own);
        base
    }
}

/// The files that an `include` names.
fn file_names(entry: &Entry, report: &mut Report) -> Vec<(Place, String)> {
    let expected = "expected a list of files, as in include = [\"base.toml\"]";
    let Raw::List(items) = &entry.item.raw else {
        report.push(entry.item.fault(format!("{expected}, found {}", entry.item.describe())));
        return Vec::new();
    };
    let mut names = Vec::new();
    for item in items {
        match &item.raw {
            Raw::String(name) => names.push((item.place.clone(), name.clone())),
            _ => report.push(item.fault(format!("{expected}, found {}", item.describe()))),
        }
    }
    names
}

/// Lays one table over another: tables are merged, other values replaced.
pub fn lay_over(base: &mut Table, over: Table) {
    merge(base, over, &mut Vec::new(), None);
}

/// As [`lay_over`]; but with `conflicts`, the first value stays and differences are noted.
fn merge(base: &mut Table, over: Table, path: &mut Vec<String>, mut conflicts: Option<&mut Vec<Conflict>>) {
    for (name, entry) in over {
        let Some(below) = base.get_mut(&name) else {
            base.insert(name, entry);
            continue;
        };
        path.push(name);
        match (&mut below.item.raw, entry.item.raw) {
            (Raw::Table(below), Raw::Table(above)) => merge(below, above, path, conflicts.as_deref_mut()),
            (_, raw) => {
                let item = Item { raw, ..entry.item };
                match conflicts.as_deref_mut() {
                    None => *below = Entry { key: entry.key, item },
                    Some(_) if below.item.same(&item) => {}
                    Some(conflicts) => conflicts.push(Conflict {
                        path: path.clone(),
                        first: below.item.place.clone(),
                        second: item.place,
                    }),
                }
            }
        }
        path.pop();
    }
}

/// Moves the expectations of both documents into the upper one, each of them once.
fn collect_expectations(base: &mut Table, over: &mut Table) {
    let is_list = |table: &Table| table.get("expect").is_some_and(|entry| matches!(entry.item.raw, Raw::List(_)));
    if !is_list(base) || !is_list(over) {
        return;
    }
    let Some(Raw::List(mut all)) = base.shift_remove("expect").map(|entry| entry.item.raw) else { return };
    if let Some(Entry { item: Item { raw: Raw::List(own), .. }, .. }) = over.get_mut("expect") {
        own.retain(|item| all.iter().all(|known| known.place != item.place));
        all.append(own);
        *own = all;
    }
}

/// Whether the table states a value at this path.
fn states(table: &Table, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match table.get(first) {
        None => false,
        Some(entry) => entry.item.as_table().is_none_or(|inner| states(inner, rest)),
    }
}

/// The error in words, without the operating system's number.
fn error_text(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}
