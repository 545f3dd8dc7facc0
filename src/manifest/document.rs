//! A TOML text as a tree in which every key and value knows its place. All later phases of the front end read this
//! tree instead of serde's types, so that they can report every fault at once. Knows nothing of what a manifest means.

use crate::diagnostic::{Diagnostic, Place, SourceText};
use crate::visible::is_hidden;
use ddpipe_interface::{Value, is_too_deep};
use indexmap::IndexMap;
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// A table: its entries in the order written.
pub type Table = IndexMap<String, Entry>;

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The place of the key in the text.
    pub key: Place,
    /// The value.
    pub item: Item,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Item {
    /// The place of the value in the text; for a table, that of its head.
    pub place: Place,
    /// Where it came from when it was put in for a variable.
    pub origin: Option<Place>,
    /// The value.
    pub raw: Raw,
}

/// A value of a manifest.
#[derive(Clone, Debug)]
pub enum Raw {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text without references.
    String(String),
    /// A text that depends on axes of its stage; made when variables are put in.
    Template(Vec<Part>),
    /// A list.
    List(Vec<Item>),
    /// A table.
    Table(Table),
    /// A value whose fault was reported already: later phases say no more about it.
    Faulty,
}

/// A piece of a [`Raw::Template`].
#[derive(Clone, Debug)]
pub enum Part {
    /// Text that stands for itself.
    Text(String),
    /// A reference to an axis of the matrix: `${axis}`.
    Axis {
        /// The name of the axis.
        name: String,
        /// The place of the reference in the text.
        place: Place,
    },
}

impl Item {
    /// A value at a place.
    pub fn new(place: Place, raw: Raw) -> Self {
        Item { place, origin: None, raw }
    }

    /// The table, if it is one.
    pub fn as_table(&self) -> Option<&Table> {
        if let Raw::Table(table) = &self.raw { Some(table) } else { None }
    }

    /// The table, to be changed, if it is one.
    pub fn as_table_mut(&mut self) -> Option<&mut Table> {
        if let Raw::Table(table) = &mut self.raw { Some(table) } else { None }
    }

    /// The value as parameters and axes know it; none for tables, templates and lists that hold such.
    pub fn to_value(&self) -> Option<Value> {
        match &self.raw {
            Raw::Boolean(value) => Some(Value::Boolean(*value)),
            Raw::Integer(value) => Some(Value::Integer(*value)),
            Raw::Float(value) => Some(Value::Float(*value)),
            Raw::String(value) => Some(Value::String(value.clone())),
            Raw::List(items) => items.iter().map(Item::to_value).collect::<Option<_>>().map(Value::List),
            Raw::Template(_) | Raw::Table(_) | Raw::Faulty => None,
        }
    }

    /// Whether it, or an entry of the list, was reported already.
    pub fn is_faulty(&self) -> bool {
        match &self.raw {
            Raw::Faulty => true,
            Raw::List(items) => items.iter().any(Item::is_faulty),
            _ => false,
        }
    }

    /// What it is, in words, for `expected …, found …`.
    pub fn describe(&self) -> String {
        match &self.raw {
            Raw::Table(_) => "a table".into(),
            Raw::List(_) => "a list".into(),
            Raw::Template(_) => "a text that refers to axes".into(),
            _ => self.to_value().map_or_else(|| "a value".into(), |value| value.describe()),
        }
    }

    /// A fault of this value; names the place that it came from as well.
    pub fn fault(&self, message: impl Into<String>) -> Diagnostic {
        let diagnostic = Diagnostic::at(&self.place, message);
        match &self.origin {
            Some(origin) => diagnostic.and(origin, "the value comes from here"),
            None => diagnostic,
        }
    }

    /// Whether two values are the same, wherever they stand.
    pub fn same(&self, other: &Item) -> bool {
        match (&self.raw, &other.raw) {
            (Raw::List(left), Raw::List(right)) => {
                left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.same(right))
            }
            (Raw::Table(left), Raw::Table(right)) => {
                let same =
                    |(name, entry): (&String, &Entry)| right.get(name).is_some_and(|it| it.item.same(&entry.item));
                left.len() == right.len() && left.iter().all(same)
            }
            _ => self.to_value().is_some() && self.to_value() == other.to_value(),
        }
    }
}

/// Reads a TOML document, and what is wrong with single values of it, which are [`Raw::Faulty`] then; all of its faults of
/// form where it is not TOML.
pub fn parse(source: &Arc<SourceText>) -> Result<(Table, Vec<Diagnostic>), Vec<Diagnostic>> {
    if is_too_deep(&source.text) {
        let what = "not TOML: brackets nest too deep, or do not close what they open";
        return Err(vec![Diagnostic::at(&Place::new(source, 0..0), what)]);
    }
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let mut faults = syntax_faults(source, 0, &errors);
    let is_toml = faults.is_empty();
    let table = convert_table(source, 0, document.get_ref(), &mut faults);
    if is_toml { Ok((table, faults)) } else { Err(faults) }
}

/// Reads one TOML value that stands at `start` of a text; none if it is not one.
pub fn parse_value(source: &Arc<SourceText>, start: usize) -> Option<Item> {
    let value = DeValue::parse(source.text.get(start..)?).ok()?;
    let mut faults = Vec::new();
    let item = convert(source, start, value.span(), value.get_ref(), &mut faults);
    faults.is_empty().then_some(item)
}

/// Reads a dotted key, `vars.ipc` or `sources.mnist."a.gz"`: its parts, each with the bytes it takes.
pub fn parse_path(text: &str) -> Option<Vec<(String, Range<usize>)>> {
    if text.contains(['\n', '#', '=']) {
        return None;
    }
    let document = format!("{text}=0");
    let parsed = DeTable::parse(&document).ok()?;
    let mut parts = Vec::new();
    let mut table = parsed.get_ref();
    loop {
        let (key, value) = table.iter().next()?;
        parts.push((key.get_ref().to_string(), key.span()));
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(parts),
        }
    }
}

fn syntax_faults(source: &Arc<SourceText>, start: usize, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let fault = |error: &toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        Diagnostic::at(
            &Place::new(source, start + span.start..start + span.end),
            format!("not TOML: {}", error.message()),
        )
    };
    errors.iter().map(fault).collect()
}

fn convert_table(source: &Arc<SourceText>, start: usize, table: &DeTable<'_>, faults: &mut Vec<Diagnostic>) -> Table {
    let entry = |(key, value): (&toml::Spanned<toml::de::DeString<'_>>, &toml::Spanned<DeValue<'_>>)| {
        let place = Place::new(source, start + key.span().start..start + key.span().end);
        faults.extend(hidden(&place, key.get_ref()));
        let item = convert(source, start, value.span(), value.get_ref(), faults);
        (key.get_ref().to_string(), Entry { key: place, item })
    };
    table.iter().map(entry).collect()
}

/// The fault of a text with characters that show nothing: names and words of a manifest reach terminals and file names.
fn hidden(place: &Place, text: &str) -> Option<Diagnostic> {
    let text = text.replace("\r\n", "\n");
    let letter = text.chars().find(|letter| is_hidden(*letter))?;
    let message = format!("the text has the character U+{:04X}, which is not visible", u32::from(letter));
    Some(Diagnostic::at(place, message).help("write the text without it"))
}

fn convert(
    source: &Arc<SourceText>,
    start: usize,
    span: Range<usize>,
    value: &DeValue<'_>,
    faults: &mut Vec<Diagnostic>,
) -> Item {
    let place = Place::new(source, start + span.start..start + span.end);
    let raw = match value {
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::String(text) => match hidden(&place, text) {
            None => Raw::String(text.to_string()),
            Some(fault) => {
                faults.push(fault);
                Raw::Faulty
            }
        },
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Raw::Integer(number),
            Err(_) => {
                faults.push(Diagnostic::at(&place, "the whole number does not fit 64 bits"));
                Raw::Faulty
            }
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Raw::Float(number),
            _ => {
                faults.push(Diagnostic::at(&place, "the number is not finite"));
                Raw::Faulty
            }
        },
        DeValue::Datetime(_) => {
            faults
                .push(Diagnostic::at(&place, "a date has no meaning here").help("put it in quotes to make it a text"));
            Raw::Faulty
        }
        DeValue::Array(items) => {
            let items = items.iter().map(|item| convert(source, start, item.span(), item.get_ref(), faults));
            Raw::List(items.collect())
        }
        DeValue::Table(table) => Raw::Table(convert_table(source, start, table, faults)),
    };
    Item::new(place, raw)
}
