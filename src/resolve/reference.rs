//! What an input may say: `"stage"`, `"stage.output"`, `"stage[axis=value].output"`, `"source:name/file"`, a list of
//! these, or a gather. Only the form; whether the names exist is decided in `lookup.rs`.

use super::matrix::Axes;
use crate::address::value_text;
use crate::diagnostic::{Diagnostic, Place, Report, did_you_mean};
use crate::manifest::document::{Entry, Item, Part, Raw, Table};
use crate::selector::{Selector, SelectorError};
use ddpipe_interface::Value;
use std::ops::Range;

/// One input of a stage as written. The items are texts or templates.
#[derive(Clone, Debug)]
pub enum Input {
    /// One reference.
    One(Item),
    /// Several references, for an input that takes many.
    List(Vec<Item>),
    /// All nodes of some stages.
    Gather(Gather),
}

/// `{ gather = …, over = […], each = […] }`.
#[derive(Clone, Debug)]
pub struct Gather {
    /// Its place in the text.
    pub place: Place,
    /// The stages.
    pub members: Vec<Item>,
    /// The axes that the consumer folds.
    pub over: Vec<(String, Place)>,
    /// The axes that stay axes of the stage.
    pub each: Vec<(String, Place)>,
}

/// A reference whose axes are filled in.
#[derive(Clone, Debug)]
pub enum Target {
    /// A file from outside.
    Source {
        /// The name of the source.
        source: String,
        /// The name of the file.
        file: String,
    },
    /// An output of the nodes of a stage.
    Stage {
        /// The stage and the axes that are fixed.
        selector: Selector,
        /// The output; the main one unless given.
        output: Option<String>,
    },
}

impl Target {
    /// Whether it says which output is meant; a file is one.
    pub fn names_output(&self) -> bool {
        !matches!(self, Target::Stage { output: None, .. })
    }
}

impl Input {
    /// Reads an input; none when it is at fault.
    pub fn read(item: &Item, report: &mut Report) -> Option<Self> {
        match &item.raw {
            Raw::String(_) | Raw::Template(_) => Some(Input::One(item.clone())),
            Raw::List(items) => references(items, report).map(Input::List),
            Raw::Table(table) => gather(item, table, report).map(Input::Gather),
            Raw::Faulty => None,
            _ => {
                report.push(wrong(item));
                None
            }
        }
    }

    /// The references in it.
    pub fn references(&self) -> &[Item] {
        match self {
            Input::One(item) => std::slice::from_ref(item),
            Input::List(items) => items,
            Input::Gather(gather) => &gather.members,
        }
    }
}

fn wrong(item: &Item) -> Diagnostic {
    let fault = item.fault(format!("expected a reference, found {}", item.describe()));
    fault.help(
        "an input is \"stage\", \"stage.output\", \"source:name/file\" or { gather = \"stage\", over = [\"axis\"] }",
    )
}

fn references(items: &[Item], report: &mut Report) -> Option<Vec<Item>> {
    let good = |item: &&Item| matches!(item.raw, Raw::String(_) | Raw::Template(_));
    let faulty = |item: &&Item| !good(item) && !matches!(item.raw, Raw::Faulty);
    items.iter().filter(faulty).for_each(|item| report.push(wrong(item)));
    let read: Vec<_> = items.iter().filter(good).cloned().collect();
    (read.len() == items.len()).then_some(read)
}

fn gather(item: &Item, table: &Table, report: &mut Report) -> Option<Gather> {
    let before = report.diagnostics.len();
    for (name, entry) in table.iter().filter(|(name, _)| !["gather", "over", "each"].contains(&name.as_str())) {
        let near = did_you_mean(name, ["gather", "over", "each"]);
        let fault = Diagnostic::at(&entry.key, format!("key {name:?} is not known in an input{near}"));
        report.push(fault.help("the keys of a gather are gather, over, each"));
    }
    let members = match table.get("gather").map(|entry| &entry.item) {
        None => {
            report.push(Diagnostic::at(&item.place, "the input does not say what it gathers: \"gather\" is missing"));
            None
        }
        Some(Item { raw: Raw::List(items), .. }) => references(items, report),
        Some(one) => references(std::slice::from_ref(one), report),
    };
    let (over, each) = (names(table.get("over"), report), names(table.get("each"), report));
    for (name, place) in each.iter().filter(|(name, _)| over.iter().any(|(other, _)| other == name)) {
        let message = format!("axis {name:?} is in \"over\" and in \"each\": it is either folded or kept");
        report.push(Diagnostic::at(place, message));
    }
    let members = members?;
    let whole = report.diagnostics.len() == before;
    whole.then(|| Gather { place: item.place.clone(), members, over, each })
}

fn names(entry: Option<&Entry>, report: &mut Report) -> Vec<(String, Place)> {
    let Some(Entry { item, .. }) = entry else { return Vec::new() };
    let items = if let Raw::List(items) = &item.raw { items.as_slice() } else { std::slice::from_ref(item) };
    let mut names = Vec::new();
    for item in items {
        match &item.raw {
            Raw::String(name) => names.push((name.clone(), item.place.clone())),
            Raw::Faulty => {}
            _ => report.push(item.fault(format!("expected the name of an axis, found {}", item.describe()))),
        }
    }
    names
}

impl Target {
    /// Reads a filled-in reference.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if let Some(rest) = text.strip_prefix("source:") {
            let Some((source, file)) = rest.split_once('/') else {
                let message = "a file from outside is written \"source:name/file\"".to_string();
                return Err(SelectorError { message, range: 0..text.len() });
            };
            return Ok(Target::Source { source: source.into(), file: file.into() });
        }
        let (selector, used) = Selector::parse_prefix(text)?;
        if selector.is_pattern() {
            return Err(SelectorError {
                message: "a reference names one stage; * is not allowed".into(),
                range: 0..used,
            });
        }
        let rest = &text[used..];
        let output = match rest.strip_prefix('.') {
            Some(output) if !output.is_empty() => Some(output.to_string()),
            None if rest.is_empty() => None,
            _ => {
                let message = "expected .output after the name of the stage".to_string();
                return Err(SelectorError { message, range: used..text.len() });
            }
        };
        Ok(Target::Stage { selector, output })
    }
}

/// The place of some bytes of a text value; the whole value where it is not written literally.
pub fn part_of(item: &Item, text: &str, range: Range<usize>) -> Place {
    let span = &item.place.span;
    let written = item.place.source.text.get(span.clone()).unwrap_or("");
    let literal = written.len() == text.len() + 2 && written.get(1..=text.len()) == Some(text);
    if !literal {
        return item.place.clone();
    }
    Place::new(&item.place.source, span.start + 1 + range.start..span.start + 1 + range.end)
}

/// An item with its axes filled in; the axis and the place of its reference where one is missing.
pub fn fill<'a>(item: &Item, axis: &impl Fn(&str) -> Option<&'a Value>) -> Result<Value, Option<(String, Place)>> {
    match &item.raw {
        Raw::Template(parts) => {
            let value = |name: &str, place: &Place| axis(name).ok_or_else(|| Some((name.to_string(), place.clone())));
            if let [Part::Axis { name, place }] = parts.as_slice() {
                return value(name, place).cloned();
            }
            let mut text = String::new();
            for part in parts {
                match part {
                    Part::Text(piece) => text.push_str(piece),
                    Part::Axis { name, place } => match value(name, place)? {
                        Value::String(piece) => text.push_str(piece),
                        other => text.push_str(&value_text(other)),
                    },
                }
            }
            Ok(Value::String(text))
        }
        Raw::List(items) => items.iter().map(|item| fill(item, axis)).collect::<Result<_, _>>().map(Value::List),
        _ => item.to_value().ok_or(None),
    }
}

/// Fills the axes in as [`fill`] does, and gives the value as a text.
pub fn fill_text<'a>(
    item: &Item,
    axis: &impl Fn(&str) -> Option<&'a Value>,
) -> Result<String, Option<(String, Place)>> {
    fill(item, axis).map(|value| match value {
        Value::String(text) => text,
        other => value_text(&other),
    })
}

/// The axes that an item refers to.
pub fn axes_in(item: &Item, found: &mut Vec<String>) {
    match &item.raw {
        Raw::Template(parts) => found.extend(parts.iter().filter_map(|part| match part {
            Part::Axis { name, .. } => Some(name.clone()),
            Part::Text(_) => None,
        })),
        Raw::List(items) => items.iter().for_each(|item| axes_in(item, found)),
        Raw::Table(table) => table.values().for_each(|entry| axes_in(&entry.item, found)),
        _ => {}
    }
}

/// The stages that a reference may name, found before anything is expanded: references to axes in the name of a
/// stage go through all values of the stage's own matrix.
pub fn stages_named(item: &Item, own: &Axes) -> Result<Vec<String>, Box<Diagnostic>> {
    let head = |text: &str| text.find(['[', '.']).unwrap_or(text.len());
    let parts = match &item.raw {
        Raw::String(text) if text.starts_with("source:") => return Ok(Vec::new()),
        Raw::String(text) => return Ok(vec![text[..head(text)].to_string()]),
        Raw::Template(parts) => parts,
        _ => return Ok(Vec::new()),
    };
    let mut names = vec![String::new()];
    for part in parts {
        match part {
            Part::Text(text) => {
                names.iter_mut().for_each(|name| name.push_str(&text[..head(text)]));
                if head(text) < text.len() {
                    break;
                }
            }
            Part::Axis { .. } if names.first().is_some_and(|name| name.starts_with("source:")) => return Ok(Vec::new()),
            Part::Axis { name: axis, place } => {
                let Some(own) = own.get(axis) else {
                    let message = format!(
                        "the name of a stage can only depend on this stage's own matrix, which has no {axis:?}"
                    );
                    return Err(Box::new(Diagnostic::at(place, message)));
                };
                let texts = own.values.iter().map(|(value, _)| match value {
                    Value::String(text) => text.clone(),
                    other => value_text(other),
                });
                let texts: Vec<_> = texts.collect();
                names = names.iter().flat_map(|name| texts.iter().map(move |text| format!("{name}{text}"))).collect();
            }
        }
    }
    names.retain(|name| !name.starts_with("source:"));
    Ok(names
        .into_iter()
        .map(|name| name[..head(&name)].to_string())
        .collect::<indexmap::IndexSet<_>>()
        .into_iter()
        .collect())
}
