//! From the merged document to the tables of a [`Manifest`]: unknown keys, missing keys and wrong types are found here,
//! all of them. Knows no kinds: inputs, parameters and axes pass through as written.

mod published;

use super::document::{Entry, Item, Raw, Table};
use super::include::Files;
use super::{ExpectTable, FileTable, Manifest, PipelineTable, SourceTable, StageTable, limits};
use crate::address::is_name_letter;
use crate::diagnostic::{Diagnostic, Place, Report, SourceText, did_you_mean};
use crate::pipeline::NumericsMode;
use std::path::{Component, Path};
use std::sync::Arc;

/// The keys of a manifest; those of `include`, `vars` and `profiles` are done with by the time that they would be read here.
const TOP_LEVEL: [&str; 8] = ["pipeline", "include", "vars", "sources", "stages", "expect", "published", "profiles"];

/// Reads the whole document of these files, of which `main` is the first.
pub fn manifest(mut document: Table, main: Arc<SourceText>, files: Files, report: &mut Report) -> Manifest {
    let mut reader = Reader { report };
    reader.known_keys(&document, "the top level", &TOP_LEVEL);
    let pipeline = reader.pipeline(document.get("pipeline"), &main);
    let sources = reader.named_tables(document.shift_remove("sources"), Some("a source"));
    let sources = sources.into_iter().filter_map(|(name, entry)| Some((name, reader.source(entry)?))).collect();
    let stages = document.shift_remove("stages");
    let no_stages = stages.as_ref().is_none_or(|entry| entry.item.as_table().is_some_and(Table::is_empty));
    let stages = reader.named_tables(stages, Some("a stage"));
    let stages = stages.into_iter().filter_map(|(name, entry)| Some((name, reader.stage(entry)?))).collect();
    let expectations = reader.expectations(document.get("expect"));
    let published = reader.published(document.get("published"));
    if no_stages {
        let fault = Diagnostic::at(&Place::new(&main, 0..0), "the manifest has no stages");
        reader.report.push(fault.help("add a [stages.NAME] table with a kind"));
    }
    Manifest { main, files, pipeline, sources, stages, expectations, published }
}

struct Reader<'a> {
    report: &'a mut Report,
}

impl Reader<'_> {
    fn pipeline(&mut self, entry: Option<&Entry>, main: &Arc<SourceText>) -> PipelineTable {
        let Some(entry) = entry else {
            let fault = Diagnostic::at(&Place::new(main, 0..0), "the manifest has no [pipeline] table");
            self.report.push(fault.help("begin with [pipeline] and name = \"…\""));
            return PipelineTable::default();
        };
        let Some(table) = self.table(&entry.item) else { return PipelineTable::default() };
        self.known_keys(table, "[pipeline]", &["name", "about", "licence", "seed", "numerics", "kinds"]);
        let name = self.text(table, "name").unwrap_or_default();
        match table.get("name") {
            None => self.report.push(Diagnostic::at(&entry.key, "[pipeline] needs a name")),
            Some(entry) if name.trim().is_empty() && matches!(entry.item.raw, Raw::String(_)) => {
                self.report.push(entry.item.fault("the name of the pipeline is empty"));
            }
            // It is the name of a folder, and stands in every line about the run.
            Some(entry) if !names_pipeline(&name) && matches!(entry.item.raw, Raw::String(_)) => {
                let fault = entry.item.fault(format!("{name:?} cannot be the name of a pipeline"));
                self.report.push(fault.help("a name has up to 64 of the characters A-Z, a-z, 0-9, `.`, `_` and `-`"));
            }
            _ => {}
        }
        let seed = table.get("seed").and_then(|entry| seed(&entry.item, self.report)).unwrap_or(0);
        let numerics = table.get("numerics").map_or(NumericsMode::Loose, |entry| match &entry.item.raw {
            Raw::String(text) if text == "strict" => NumericsMode::Strict,
            Raw::String(text) if text == "loose" => NumericsMode::Loose,
            Raw::Faulty => NumericsMode::Loose,
            _ => {
                let found = entry.item.describe();
                self.report.push(entry.item.fault(format!("numerics is \"loose\" or \"strict\", not {found}")));
                NumericsMode::Loose
            }
        });
        let (about, licence) = (self.text(table, "about"), self.text(table, "licence"));
        PipelineTable { name, about, licence, seed, numerics, kinds: self.texts(table, "kinds") }
    }

    fn source(&mut self, entry: Entry) -> Option<SourceTable> {
        let table = self.table(&entry.item)?;
        self.known_keys(table, "a source", &["path", "obtain", "licence", "verify", "optional", "files"]);
        let path = self.text(table, "path").unwrap_or_default();
        if !table.contains_key("path") {
            self.report.push(Diagnostic::at(&entry.key, "the source needs a path: the folder that its files lie in"));
        }
        let files = self.named_tables(table.get("files").cloned(), None);
        let files =
            files.into_iter().filter_map(|(name, entry)| Some((name.clone(), self.file(&name, &entry)?))).collect();
        let (obtain, verify) = (self.text(table, "obtain"), self.boolean(table, "verify").unwrap_or(true));
        let (optional, licence) = (self.boolean(table, "optional").unwrap_or(false), self.text(table, "licence"));
        let place = table.get("path").map(|entry| entry.item.place.clone());
        Some(SourceTable { key: entry.key.clone(), path, place, obtain, licence, verify, optional, files })
    }

    fn file(&mut self, name: &str, entry: &Entry) -> Option<FileTable> {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !inside || name.contains(['\n', '\t', '\r']) {
            self.report.push(Diagnostic::at(
                &entry.key,
                format!("{name:?} is not the name of a file below the source's path"),
            ));
        }
        let table = self.table(&entry.item)?;
        self.known_keys(table, "a file", &["md5", "sha256", "blake3", "url"]);
        let url = self.texts(table, "url");
        for (url, place) in &url {
            if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
                self.report.push(Diagnostic::at(place, format!("{url:?} is not a URL (http:// or https://)")));
            }
        }
        if name.ends_with('/') {
            for key in ["md5", "sha256", "url"] {
                if let Some(entry) = table.get(key) {
                    let fault = Diagnostic::at(&entry.key, format!("{name:?} is a folder, which has no {key}"));
                    self.report.push(fault.help("a folder is pinned by `blake3` alone; an archive can be downloaded"));
                }
            }
        }
        Some(FileTable {
            md5: self.hexadecimal(table, "md5", 32),
            sha256: self.hexadecimal(table, "sha256", 64),
            blake3: self.hexadecimal(table, "blake3", 64),
            url: url.into_iter().map(|(url, _)| url).collect(),
        })
    }

    fn stage(&mut self, entry: Entry) -> Option<StageTable> {
        let table = self.table(&entry.item)?;
        self.known_keys(
            table,
            "a stage",
            &["kind", "about", "inputs", "params", "matrix", "seed", "timeout", "retries"],
        );
        self.text(table, "about");
        let kind = table.get("kind").map(|entry| entry.item.clone());
        match kind.as_ref().map(|kind| &kind.raw) {
            None => self.report.push(Diagnostic::at(&entry.key, "the stage needs a kind")),
            Some(Raw::String(_) | Raw::Template(_) | Raw::Faulty) => {}
            Some(_) => self.wrong(table.get("kind"), "the name of a kind"),
        }
        let kind = kind.filter(|kind| matches!(kind.raw, Raw::String(_) | Raw::Template(_)));
        let mut inner = |key: &str| {
            let item = table.get(key).map(|entry| &entry.item);
            item.and_then(|item| self.table(item)).cloned().unwrap_or_default()
        };
        let (inputs, params, mut matrix) = (inner("inputs"), inner("params"), inner("matrix"));
        let exclude = matrix.shift_remove("exclude").map(|entry| entry.item);
        matrix.retain(|name, entry| self.good_name(name, entry, "an axis"));
        let seed = table.get("seed").map(|entry| entry.item.clone());
        let limits = limits::read(table, self.report);
        Some(StageTable { key: entry.key.clone(), kind, inputs, params, matrix, exclude, seed, limits })
    }

    fn expectations(&mut self, entry: Option<&Entry>) -> Vec<ExpectTable> {
        let Some(entry) = entry else { return Vec::new() };
        match &entry.item.raw {
            Raw::List(items) => items.iter().filter_map(|item| self.expectation(item)).collect(),
            _ => {
                let fault = format!("expected a list of tables, found {}", entry.item.describe());
                self.report.push(entry.item.fault(fault).help("write [[expect]] with two brackets"));
                Vec::new()
            }
        }
    }

    fn expectation(&mut self, item: &Item) -> Option<ExpectTable> {
        let table = self.table(item)?;
        let bounds_named = ["at_least", "at_most", "equals", "under_published"];
        let keys = ["metric", "at_least", "at_most", "equals", "within", "under_published", "mean"];
        self.known_keys(table, "an expectation", &keys);
        let bounds = ["at_least", "at_most", "equals"].map(|key| self.number(table, key));
        let within = self.number(table, "within");
        if !bounds_named.iter().any(|key| table.contains_key(*key)) {
            let what = "the expectation needs at_least, at_most, equals or under_published";
            self.report.push(Diagnostic::at(&item.place, what));
        }
        let under = self.under_published(table);
        if let (Some(least), Some(most), Some(entry)) = (bounds[0], bounds[1], table.get("at_most"))
            && least > most
        {
            self.report.push(entry.item.fault(format!("no number is at least {least} and at most {most}")));
        }
        if let Some(entry) = table.get("within") {
            if !table.contains_key("equals") {
                self.report.push(Diagnostic::at(
                    &entry.key,
                    "within says how far from equals still passes; equals is missing",
                ));
            } else if within.is_some_and(|within| within < 0.0) {
                self.report.push(entry.item.fault("within cannot be negative"));
            }
        }
        let Some(metric) = table.get("metric") else {
            self.report
                .push(Diagnostic::at(&item.place, "the expectation needs a metric, such as \"evaluate.accuracy\""));
            return None;
        };
        let text = self.text(table, "metric")?;
        let mean = self.boolean(table, "mean").unwrap_or(false);
        let [at_least, at_most, equals] = bounds;
        let metric = (text, metric.item.place.clone());
        Some(ExpectTable { metric, at_least, at_most, equals, within, under_published: under, mean })
    }

    /// How far a value may fall short of the published one; stands alone.
    fn under_published(&mut self, table: &Table) -> Option<(f64, Place)> {
        let under = self.number(table, "under_published")?;
        let entry = table.get("under_published")?;
        if under < 0.0 {
            self.report.push(entry.item.fault("under_published cannot be negative"));
            return None;
        }
        if let Some(key) = ["at_least", "at_most", "equals"].iter().find(|key| table.contains_key(**key)) {
            let what = format!("under_published makes the bound from the published figure; {key} states another");
            self.report.push(Diagnostic::at(&entry.key, what).help("keep one of them"));
        }
        Some((under, entry.item.place.clone()))
    }

    fn table<'i>(&mut self, item: &'i Item) -> Option<&'i Table> {
        if item.as_table().is_none() && !matches!(item.raw, Raw::Faulty) {
            self.report.push(item.fault(format!("expected a table, found {}", item.describe())));
        }
        item.as_table()
    }

    fn known_keys(&mut self, table: &Table, place: &str, known: &[&str]) {
        for (name, entry) in table.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let near = did_you_mean(name, known.iter().copied());
            let fault = Diagnostic::at(&entry.key, format!("key {name:?} is not known here{near}"));
            self.report.push(fault.help(format!("the keys of {place} are {}", known.join(", "))));
        }
    }

    /// The entries of a table of tables; with `names`, only those whose name is a good one for that noun.
    fn named_tables(&mut self, entry: Option<Entry>, names: Option<&str>) -> Vec<(String, Entry)> {
        let Some(Entry { item, .. }) = entry else { return Vec::new() };
        let Some(table) = self.table(&item) else { return Vec::new() };
        let mut tables: Vec<_> = table.iter().map(|(name, entry)| (name.clone(), entry.clone())).collect();
        tables.retain(|(name, entry)| names.is_none_or(|noun| self.good_name(name, entry, noun)));
        tables
    }

    fn good_name(&mut self, name: &str, entry: &Entry, noun: &str) -> bool {
        let good = !name.is_empty() && name.chars().all(is_name_letter);
        if !good {
            let message = format!("{name:?} cannot be the name of {noun} (a-z, 0-9 and _)");
            self.report.push(Diagnostic::at(&entry.key, message));
        }
        good
    }

    fn wrong(&mut self, entry: Option<&Entry>, expected: &str) {
        if let Some(Entry { item, .. }) = entry
            && !matches!(item.raw, Raw::Faulty)
        {
            self.report.push(item.fault(format!("expected {expected}, found {}", item.describe())));
        }
    }

    fn text(&mut self, table: &Table, key: &str) -> Option<String> {
        let entry = table.get(key)?;
        if let Raw::String(text) = &entry.item.raw {
            return Some(text.clone());
        }
        self.wrong(Some(entry), "a string");
        None
    }

    /// A text or a list of texts.
    fn texts(&mut self, table: &Table, key: &str) -> Vec<(String, Place)> {
        let Some(entry) = table.get(key) else { return Vec::new() };
        let items = match &entry.item.raw {
            Raw::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.item),
        };
        let mut texts = Vec::new();
        for item in items {
            match &item.raw {
                Raw::String(text) => texts.push((text.clone(), item.place.clone())),
                Raw::Faulty => {}
                _ => self.report.push(item.fault(format!("expected a string, found {}", item.describe()))),
            }
        }
        texts
    }

    fn boolean(&mut self, table: &Table, key: &str) -> Option<bool> {
        let entry = table.get(key)?;
        if let Raw::Boolean(value) = entry.item.raw {
            return Some(value);
        }
        self.wrong(Some(entry), "true or false");
        None
    }

    fn number(&mut self, table: &Table, key: &str) -> Option<f64> {
        let entry = table.get(key)?;
        match entry.item.raw {
            Raw::Integer(number) => Some(number as f64),
            Raw::Float(number) => Some(number),
            _ => {
                self.wrong(Some(entry), "a number");
                None
            }
        }
    }

    fn hexadecimal(&mut self, table: &Table, key: &str, digits: usize) -> Option<String> {
        let text = self.text(table, key)?;
        if text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(text.to_lowercase());
        }
        let entry = table.get(key)?;
        self.report.push(entry.item.fault(format!("{key} is a text of {digits} hexadecimal digits")));
        None
    }
}

/// Whether this may be the name of a pipeline: `[A-Za-z0-9._-]{1,64}`, and neither `.` nor `..`.
fn names_pipeline(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(fits) && name != "." && name != ".."
}

/// Reads a seed: a whole number from 0.
pub fn seed(item: &Item, report: &mut Report) -> Option<u64> {
    match item.raw {
        Raw::Integer(number) if number >= 0 => Some(number.unsigned_abs()),
        Raw::Faulty => None,
        _ => {
            report.push(item.fault(format!("a seed is a whole number from 0; found {}", item.describe())));
            None
        }
    }
}
