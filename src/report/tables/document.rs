//! The document of a table, as stages write it: rows, columns, and cells with numbers or texts.

use super::cell::Cell;
use crate::report::words::brief;
use ddpipe_interface::metric::Better;
use serde::Deserialize;
use serde_json::Value;

/// What a table's document says. Fields that it lacks are at their defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Document {
    /// The caption.
    pub caption: String,
    /// The note.
    pub note: String,
    /// The titles of the rows.
    pub rows: Vec<String>,
    /// The titles of the columns.
    pub columns: Vec<String>,
    cells: Vec<Vec<Value>>,
    /// The metric of all cells.
    value: Option<String>,
    percent: bool,
    digits: Option<usize>,
    /// The metrics of the columns, where each has its own; of a table with one, that of all.
    values: Vec<Column>,
}

/// A metric that a table shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Column {
    name: String,
    title: String,
    unit: Option<String>,
    best: Option<String>,
    digits: Option<usize>,
}

/// Mean, deviation and count of a cell, unscaled.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// The mean, or the single value.
    pub mean: f64,
    /// The deviation.
    pub std: Option<f64>,
    /// How many values.
    pub n: Option<u64>,
}

impl Document {
    /// Reads a document; none where it is no table of rows and columns.
    pub fn read(value: &Value) -> Option<Self> {
        let document: Document = serde_json::from_value(value.clone()).ok()?;
        (!document.rows.is_empty() && !document.columns.is_empty()).then_some(document)
    }

    /// What is said of a column: its own entry, or the only one.
    fn column(&self, column: usize) -> Option<&Column> {
        match self.values.as_slice() {
            [one] => Some(one),
            several if several.len() == self.columns.len() => several.get(column),
            _ => None,
        }
    }

    /// The metric of a column.
    pub fn metric(&self, column: usize) -> Option<&str> {
        self.column(column).map(|it| it.name.as_str()).or(self.value.as_deref())
    }

    /// Which values of a column are better, where the document says it.
    pub fn better(&self, column: usize) -> Option<Better> {
        match self.column(column)?.best.as_deref()? {
            "highest" => Some(Better::Higher),
            "lowest" => Some(Better::Lower),
            _ => None,
        }
    }

    /// The factor of a column, its unit, and digits after the point.
    pub fn scale(&self, column: usize) -> (f64, &str, Option<usize>) {
        let Some(it) = self.column(column) else {
            return (if self.percent { 100.0 } else { 1.0 }, if self.percent { "%" } else { "" }, self.digits);
        };
        match it.unit.as_deref() {
            Some("percent") => (100.0, "%", it.digits),
            Some("MiB") => (1.0 / f64::from(1 << 20), "MiB", it.digits),
            None | Some("none") => (1.0, "", it.digits),
            Some(unit) => (1.0, unit, it.digits),
        }
    }

    /// The titles of the columns, with units where each has its own.
    pub fn titles(&self) -> Vec<String> {
        let title = |(at, title): (usize, &String)| {
            let own = self.values.get(at).filter(|_| self.values.len() == self.columns.len());
            let Some(own) = own.filter(|own| !own.title.is_empty()) else { return title.clone() };
            match self.scale(at).1 {
                "" => own.title.clone(),
                unit if own.title.contains(unit) => own.title.clone(),
                unit => format!("{} ({unit})", own.title),
            }
        };
        self.columns.iter().enumerate().map(title).collect()
    }

    /// The numbers of a cell, if it has any.
    pub fn numbers(&self, row: usize, column: usize) -> Option<Numbers> {
        let cell = self.cells.get(row)?.get(column)?;
        if let Some(mean) = cell.as_f64() {
            return Some(Numbers { mean, std: None, n: None });
        }
        Some(Numbers { mean: cell.get("mean")?.as_f64()?, std: cell["std"].as_f64(), n: cell["n"].as_u64() })
    }

    /// A number of a column as it is shown.
    pub fn shown(&self, column: usize, value: f64) -> String {
        let (factor, _, digits) = self.scale(column);
        match digits {
            Some(digits) if digits <= 15 => format!("{:.digits$}", value * factor),
            _ => brief(value * factor),
        }
    }

    /// A cell as it is shown.
    pub fn cell(&self, row: usize, column: usize) -> Cell {
        if let Some(numbers) = self.numbers(row, column) {
            let same = self.same_count();
            let count = numbers.n.filter(|n| *n > 1 && same.is_none()).map(|n| format!("n {n}"));
            let mark = self.cells[row][column]["mark"].as_str().filter(|mark| *mark == "tied");
            return Cell {
                text: self.shown(column, numbers.mean),
                spread: numbers.std.map_or(String::new(), |std| format!("± {}", self.shown(column, std))),
                count: count.unwrap_or_default(),
                mark: mark.unwrap_or_default().to_string(),
                order: numbers.mean.to_string(),
                ..Cell::default()
            };
        }
        let text = self.cells.get(row).and_then(|row| row.get(column)).map_or(String::new(), |cell| match cell {
            Value::String(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            _ => String::new(),
        });
        Cell { order: text.clone(), text, ..Cell::default() }
    }

    /// How many values every cell has, where that is the same for all.
    fn same_count(&self) -> Option<u64> {
        let mut counts = self.cells.iter().flatten().filter_map(|cell| cell["n"].as_u64());
        let first = counts.next()?;
        counts.all(|n| n == first).then_some(first)
    }
}
