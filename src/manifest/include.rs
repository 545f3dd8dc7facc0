//! Reads a manifest and the files that it includes into one document. The including file wins over what it includes;
//! two included files that disagree are a fault. Every value keeps the place in the file that it came from.

use super::Overrides;
use super::document::{self, Entry, Item, Raw, Table};
use crate::diagnostic::{Diagnostic, Place, Report, SourceText, shown_path};
use indexmap::IndexMap;
use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// So deep may files include each other.
pub const MAX_DEPTH: usize = 64;

/// So often may the files of one manifest name others in `include`, all together.
pub const MAX_INCLUDES: usize = 256;

/// A manifest, and each file that it includes, has at most so many bytes.
pub const MAX_FILE: u64 = 1 << 20;

/// All files of a manifest together have at most so many bytes.
pub const MAX_FILES: usize = 4 << 20;

/// A value that two included files state differently.
struct Conflict {
    path: Vec<String>,
    first: Place,
    second: Place,
}

/// What a manifest's files say.
pub struct Read {
    /// The document.
    pub document: Table,
    /// The text of the file that was named.
    pub main: Arc<SourceText>,
    /// The texts of all files by absolute path, that of the file that was named first.
    pub files: Files,
    /// Whether all files could be read and agree; single values may be at fault all the same.
    pub whole: bool,
}

/// Texts of files by absolute path.
pub type Files = IndexMap<PathBuf, Arc<SourceText>>;

/// Reads the file and everything below it: from the disk, or as the overrides say.
pub fn read(path: &Path, overrides: &Overrides, report: &mut Report) -> Option<Read> {
    let (open, known, files) = (Vec::new(), HashMap::new(), Files::new());
    let before = report.diagnostics.len();
    let (texts, stdin) = (overrides.texts.as_ref(), overrides.stdin.as_deref());
    let mut reader = Reader { report, texts, stdin, open, known, files, named: 0, bytes: 0, values: 0 };
    let mut main = None;
    let document = reader.file(path, None, &mut main)?;
    let whole = reader.report.diagnostics.len() == before + reader.values;
    Some(Read { document, main: main?, files: reader.files, whole })
}

struct Reader<'a> {
    report: &'a mut Report,
    texts: Option<&'a BTreeMap<PathBuf, String>>,
    /// The text of the first file, where it came from standard input.
    stdin: Option<&'a str>,
    /// The texts that were read, the first one first.
    files: Files,
    /// The files on the way down, to notice a cycle: their true paths, and their names in messages.
    open: Vec<(PathBuf, String)>,
    /// The files that were read, by their true paths, each with what it includes; none for those at fault.
    known: HashMap<PathBuf, Option<Table>>,
    /// How many names in `include` were followed.
    named: usize,
    /// How many bytes were read.
    bytes: usize,
    /// How many faults of single values were reported.
    values: usize,
}

impl Reader<'_> {
    /// A file with all that it includes. The text of the first one is left in `main`.
    fn file(&mut self, path: &Path, from: Option<&Place>, main: &mut Option<Arc<SourceText>>) -> Option<Table> {
        let stdin = self.stdin.filter(|_| from.is_none());
        let name = stdin.map_or_else(|| shown_path(path), |_| "<stdin>".to_string());
        let fault = |message: String| match from {
            Some(place) => Diagnostic::at(place, message),
            None => Diagnostic::general(message),
        };
        let real = match self.texts {
            None if stdin.is_none() => path.canonicalize(),
            _ => Ok(normal(path)),
        };
        let real = match real {
            Ok(real) => real,
            Err(error) => {
                self.report.push(fault(format!("could not read {name}: {}", error_text(&error))));
                return None;
            }
        };
        if let Some(start) = self.open.iter().position(|(open, _)| *open == real) {
            let names = self.open[start..].iter().map(|(_, name)| name.as_str()).chain([name.as_str()]);
            let path = names.collect::<Vec<_>>().join(" -> ");
            self.report.push(fault(format!("the files include each other: {path}")));
            return None;
        }
        if let Some(known) = self.known.get(&real) {
            return known.clone();
        }
        if self.open.len() >= MAX_DEPTH {
            self.report.push(fault(format!("files include each other more than {MAX_DEPTH} deep")));
            return None;
        }
        let text = match self.texts {
            _ if stdin.is_some() => Ok(stdin.unwrap_or_default().to_string()),
            Some(texts) => texts.get(&real).cloned().ok_or_else(|| "that run or revision has no such file".to_string()),
            None => text_of(path),
        };
        let text = match text {
            Ok(text) => text,
            Err(why) => {
                self.report.push(fault(format!("could not read {name}: {why}")));
                self.known.insert(real, None);
                return None;
            }
        };
        self.bytes += text.len();
        if self.bytes > MAX_FILES {
            self.report.push(fault(format!("the files of this manifest have more than {MAX_FILES} bytes")));
            return None;
        }
        let source = SourceText::file(name.clone(), text);
        self.files.insert(normal(path), source.clone());
        let merged = match document::parse(&source) {
            Ok((own, faults)) => {
                self.values += faults.len();
                self.report.diagnostics.extend(faults);
                self.open.push((real.clone(), name));
                let merged = self.included(path, own);
                self.open.pop();
                Some(merged)
            }
            Err(faults) => {
                self.report.diagnostics.extend(faults);
                None
            }
        };
        main.get_or_insert(source);
        self.known.insert(real, merged.clone());
        merged
    }

    /// Puts what a document includes underneath it.
    fn included(&mut self, path: &Path, mut own: Table) -> Table {
        let Some(entry) = own.shift_remove("include") else { return own };
        let mut base = Table::new();
        let mut conflicts = Vec::new();
        for (place, name) in file_names(&entry, self.report) {
            self.named += 1;
            if self.named > MAX_INCLUDES {
                if self.named == MAX_INCLUDES + 1 {
                    let message = format!("the files of this manifest include more than {MAX_INCLUDES} others");
                    self.report.push(Diagnostic::at(&place, message));
                }
                break;
            }
            let file = path.parent().unwrap_or(Path::new("")).join(name);
            if let Some(mut table) = self.file(&file, Some(&place), &mut Some(place.source.clone())) {
                collect_lists(&mut base, &mut table);
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
        collect_lists(&mut base, &mut own);
        lay_over(&mut base, own);
        base
    }
}

/// An absolute path without `.` and `..`, in letters: the name under which a text is kept.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir => {}
            part => parts.push(part),
        }
    }
    parts
}

/// The text of a plain file, or in words why it cannot be had.
fn text_of(path: &Path) -> Result<String, String> {
    // A device or a pipe may give bytes for ever, or none and no end.
    if !path.is_file() {
        return Err("it is not a file".into());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error_text(&error))?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| error_text(&error))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("it has more than {MAX_FILE} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".into())
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
                    Some(_) if below.item.same(&item) || below.item.is_faulty() || item.is_faulty() => {}
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

/// The lists of tables that all files add to.
const COLLECTED: [&str; 2] = ["expect", "published"];

/// Moves the expectations and figures of both documents into the upper one, each of them once.
fn collect_lists(base: &mut Table, over: &mut Table) {
    for name in COLLECTED {
        let is_list = |table: &Table| table.get(name).is_some_and(|entry| matches!(entry.item.raw, Raw::List(_)));
        if !is_list(base) || !is_list(over) {
            continue;
        }
        let Some(Raw::List(mut all)) = base.shift_remove(name).map(|entry| entry.item.raw) else { continue };
        if let Some(Entry { item: Item { raw: Raw::List(own), .. }, .. }) = over.get_mut(name) {
            own.retain(|item| all.iter().all(|known| known.place != item.place));
            all.append(own);
            *own = all;
        }
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
