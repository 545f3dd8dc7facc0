//! Reads `[[published]]`: the figures that others report, each with its source and how sure it is. Knows no stage: which
//! cells a figure speaks of is found when the manifest is resolved.

use super::Reader;
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::manifest::PublishedTable;
use crate::manifest::document::{Entry, Item, Raw, Table};
use crate::published::{Figure, Sure};

/// The keys of a figure.
const KEYS: [&str; 10] = ["metric", "value", "std", "n", "source", "sure", "protocol", "differs", "within", "over"];

/// The axes that repeat a measurement unless the figure says others.
const OVER: &str = "seed";

impl Reader<'_> {
    /// The figures, in order.
    pub(super) fn published(&mut self, entry: Option<&Entry>) -> Vec<PublishedTable> {
        let Some(entry) = entry else { return Vec::new() };
        match &entry.item.raw {
            Raw::List(items) => items.iter().filter_map(|item| self.figure(item)).collect(),
            Raw::Faulty => Vec::new(),
            _ => {
                let fault = format!("expected a list of tables, found {}", entry.item.describe());
                self.report.push(entry.item.fault(fault).help("write [[published]] with two brackets"));
                Vec::new()
            }
        }
    }

    fn figure(&mut self, item: &Item) -> Option<PublishedTable> {
        let table = self.table(item)?;
        self.known_keys(table, "a published figure", &KEYS);
        let sure = self.sure(item, table);
        let (value, std) = (self.number(table, "value"), self.number(table, "std"));
        let n = table.get("n").and_then(|entry| self.count(&entry.item));
        let within = self.number(table, "within");
        for (key, number) in [("std", std), ("within", within)] {
            if let (Some(entry), Some(..0.0)) = (table.get(key), number) {
                self.report.push(entry.item.fault(format!("{key} cannot be negative")));
            }
        }
        self.agree(item, table, sure);
        let source = self.words(table, "source");
        if !table.contains_key("source") {
            let fault = Diagnostic::at(&item.place, "the figure needs a source: where it is published");
            self.report.push(fault.help("name the paper or the file, and the table: source = \"DC, Table 1\""));
        }
        let (protocol, differs) = (self.words(table, "protocol"), self.words(table, "differs"));
        let given = table.contains_key("over");
        let over = given.then(|| self.texts(table, "over"));
        let Some(metric) = table.get("metric") else {
            let what = "the figure needs a metric, such as \"evaluate[method=dm].accuracy\"";
            self.report.push(Diagnostic::at(&item.place, what));
            return None;
        };
        let text = self.text(table, "metric")?;
        let figure = Figure { value, std, n, source: source?, sure: sure?, protocol, differs };
        let [value, protocol] = ["value", "protocol"].map(|key| table.get(key).map(|entry| entry.item.place.clone()));
        let over = over.unwrap_or_else(|| vec![(OVER.to_string(), item.place.clone())]);
        Some(PublishedTable { metric: (text, metric.item.place.clone()), figure, value, protocol, over, given, within })
    }

    /// How sure the figure is.
    fn sure(&mut self, item: &Item, table: &Table) -> Option<Sure> {
        let names = Sure::ALL.map(Sure::name);
        let help = "read: in the named source; computed: from figures that were read; remembered: not found again; none: the \
                    source has no figure";
        let Some(entry) = table.get("sure") else {
            let fault =
                Diagnostic::at(&item.place, format!("the figure needs to say how sure it is: {}", names.join(", ")));
            self.report.push(fault.help(help));
            return None;
        };
        let text = self.text(table, "sure")?;
        let sure = Sure::named(&text);
        if sure.is_none() {
            let near = did_you_mean(&text, names);
            let fault = format!("sure is one of {}, not {text:?}{near}", names.join(", "));
            self.report.push(entry.item.fault(fault).help(help));
        }
        sure
    }

    /// Whether what is given goes together.
    fn agree(&mut self, item: &Item, table: &Table, sure: Option<Sure>) {
        match (sure, table.get("value")) {
            (Some(Sure::None), Some(value)) => {
                let fault = value.item.fault("sure = \"none\" says that nothing is published, and here is a value");
                self.report.push(fault.help("leave the value out, or say how sure it is"));
            }
            (Some(Sure::None), None) | (_, Some(_)) => {}
            (_, None) => {
                let fault = Diagnostic::at(&item.place, "the figure needs a value");
                self.report.push(fault.help("where the source has none, write sure = \"none\""));
            }
        }
        for (key, other) in [("std", "value"), ("n", "std")] {
            if let Some(entry) = table.get(key).filter(|_| !table.contains_key(other)) {
                self.report
                    .push(Diagnostic::at(&entry.key, format!("{key} says something of {other}, which is missing")));
            }
        }
    }

    fn count(&mut self, item: &Item) -> Option<u64> {
        if let Raw::Integer(number @ 1..) = item.raw {
            return u64::try_from(number).ok();
        }
        if !matches!(item.raw, Raw::Faulty) {
            let found = item.describe();
            self.report
                .push(item.fault(format!("n is a whole number from 1: of how many values std is; found {found}")));
        }
        None
    }

    /// A text that says something.
    fn words(&mut self, table: &Table, key: &str) -> Option<String> {
        let text = self.text(table, key)?;
        if let Some(entry) = table.get(key).filter(|_| text.trim().is_empty()) {
            self.report.push(entry.item.fault(format!("{key} is empty")));
        }
        Some(text)
    }
}
