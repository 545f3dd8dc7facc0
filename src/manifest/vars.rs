//! Puts variables in: `"${ipc}"` becomes the variable's value with its type, inside a longer text its text; `$${` is
//! `${` itself. References to axes of the matrix stay, as templates that each node fills. No expressions, no nesting.

use super::document::{Entry, Item, Part, Raw, Table};
use super::weight::{self, MAX_DEPTH, MAX_VALUE, MAX_VALUES};
use crate::address::{is_name_letter, value_text};
use crate::diagnostic::{Diagnostic, Place, Report, SourceText, did_you_mean};
use ddpipe_interface::Value;
use indexmap::{IndexMap, IndexSet};

/// Replaces every reference in the document and takes its `vars` out. Warns of variables that the main file (its
/// name) declares and nothing uses.
pub fn substitute(document: &mut Table, main: &SourceText, report: &mut Report, warnings: &mut Vec<Diagnostic>) {
    let axes = axis_names(document, report);
    let vars = document.shift_remove("vars");
    let mut state =
        Variables { raw: take_vars(vars, &axes, report), axes, done: IndexMap::new(), used: IndexSet::new(), spent: 0 };
    for name in state.raw.keys().cloned().collect::<Vec<_>>() {
        state.resolve(&name, &mut Vec::new(), report);
    }
    for (name, entry) in document.iter_mut() {
        state.fill(&mut entry.item, name == "stages", report);
    }
    for (name, entry) in &state.raw {
        // A profile that was not chosen may use it, too.
        let mentioned = main.text.contains(&format!("${{{name}}}"));
        if !state.used.contains(name) && !mentioned && entry.key.source.name == main.name {
            warnings.push(Diagnostic::at(&entry.key, format!("variable {name:?} is not used")));
        }
    }
}

struct Variables {
    raw: IndexMap<String, Entry>,
    axes: IndexMap<String, Place>,
    /// Variables with their own references replaced; none for those at fault.
    done: IndexMap<String, Option<Item>>,
    used: IndexSet<String>,
    /// What was put in for variables so far, as `weight` counts.
    spent: usize,
}

/// The axes of all stages, with the place of the first of each name.
fn axis_names(document: &Table, report: &mut Report) -> IndexMap<String, Place> {
    let mut axes = IndexMap::new();
    let vars = document.get("vars").and_then(|entry| entry.item.as_table());
    let stages = document.get("stages").and_then(|entry| entry.item.as_table());
    let matrix = |stage: &'_ Entry| Some(stage.item.as_table()?.get("matrix")?.item.as_table()?.clone());
    for (name, axis) in stages.into_iter().flat_map(Table::values).filter_map(matrix).flatten() {
        if let Some(var) = vars.and_then(|vars| vars.get(&name)) {
            let fault = Diagnostic::at(&axis.key, format!("axis {name:?} has the name of a variable"));
            let help = format!("rename one of them: ${{{name}}} could mean either");
            report.push(fault.and(&var.key, "the variable").help(help));
        }
        axes.entry(name).or_insert(axis.key);
    }
    axes.shift_remove("exclude");
    axes
}

fn take_vars(vars: Option<Entry>, axes: &IndexMap<String, Place>, report: &mut Report) -> IndexMap<String, Entry> {
    let Some(Entry { item, .. }) = vars else { return IndexMap::new() };
    let Raw::Table(mut table) = item.raw else {
        report.push(item.fault(format!("expected a table of variables, found {}", item.describe())));
        return IndexMap::new();
    };
    table.retain(|name, entry| {
        if name.is_empty() || !name.chars().all(is_name_letter) {
            report.push(Diagnostic::at(
                &entry.key,
                format!("{name:?} cannot be the name of a variable (a-z, 0-9 and _)"),
            ));
            return false;
        }
        if entry.item.as_table().is_some() {
            report
                .push(entry.item.fault(format!("variable {name:?} is a table; expected a value or a list of values")));
            entry.item.raw = Raw::Faulty;
        }
        !axes.contains_key(name)
    });
    table
}

impl Variables {
    /// The value of a variable, with its own references replaced.
    fn resolve(&mut self, name: &str, open: &mut Vec<String>, report: &mut Report) -> Option<Item> {
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        let entry = self.raw.get(name)?.clone();
        if let Some(start) = open.iter().position(|other| other == name) {
            let path = open[start..].iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(" -> ");
            report.push(entry.item.fault(format!("the variables need each other: {path}")));
            return None;
        }
        if open.len() >= MAX_DEPTH {
            report.push(entry.item.fault(format!("variables need each other more than {MAX_DEPTH} deep")));
            return None;
        }
        open.push(name.to_string());
        let mut item = entry.item;
        let before = report.diagnostics.len();
        self.fill_open(&mut item, false, open, report);
        open.pop();
        let value = (report.diagnostics.len() == before).then_some(item);
        self.done.insert(name.to_string(), value.clone());
        value
    }

    fn fill(&mut self, item: &mut Item, in_stage: bool, report: &mut Report) {
        self.fill_open(item, in_stage, &mut Vec::new(), report);
    }

    fn fill_open(&mut self, item: &mut Item, in_stage: bool, open: &mut Vec<String>, report: &mut Report) {
        match &mut item.raw {
            Raw::Table(table) => {
                table.values_mut().for_each(|entry| self.fill_open(&mut entry.item, in_stage, open, report));
            }
            Raw::List(items) => {
                items.iter_mut().for_each(|item| self.fill_open(item, in_stage, open, report));
                if let Some(why) = weight::too_much(items) {
                    report.push(Diagnostic::at(&item.place, format!("with its variables put in, the list {why}")));
                    item.raw = Raw::Faulty;
                }
            }
            Raw::String(text) if text.contains("${") => {
                let text = text.clone();
                self.fill_text(item, &text, in_stage, open, report);
            }
            _ => {}
        }
    }

    fn fill_text(&mut self, item: &mut Item, text: &str, in_stage: bool, open: &mut Vec<String>, report: &mut Report) {
        let place = item.place.clone();
        *item = self.filled(item, text, in_stage, open, report).unwrap_or(Item::new(place, Raw::Faulty));
    }

    /// The text with its references replaced; none, with a report, where one of them is at fault.
    fn filled(
        &mut self,
        item: &Item,
        text: &str,
        in_stage: bool,
        open: &mut Vec<String>,
        report: &mut Report,
    ) -> Option<Item> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                push_text(&mut parts, &format!("{}${{", &rest[..at - 1]));
                rest = &rest[at + 2..];
                continue;
            }
            push_text(&mut parts, &rest[..at]);
            let Some(length) = rest[at..].find('}') else {
                let fault = Diagnostic::at(&within(item, &rest[at..]), "the reference does not end: } is missing");
                report.push(fault.help("write $${ for ${ itself"));
                return None;
            };
            let reference = &rest[at..=at + length];
            let name = &reference[2..length];
            let place = within(item, reference);
            rest = &rest[at + length + 1..];
            if self.raw.contains_key(name) {
                self.used.insert(name.to_string());
                let value = self.resolve(name, open, report)?;
                self.spend(&value, &place, report)?;
                if reference.len() == text.len() {
                    let origin = Some(value.origin.unwrap_or(value.place));
                    return Some(Item { place: item.place.clone(), origin, raw: value.raw });
                }
                match value.to_value() {
                    None if value.is_faulty() => return None,
                    Some(Value::List(_)) | None => {
                        let message = format!("variable {name:?} is a list and cannot be part of a text");
                        report.push(Diagnostic::at(&place, message));
                        return None;
                    }
                    Some(Value::String(value)) => push_text(&mut parts, &value),
                    Some(value) => push_text(&mut parts, &value_text(&value)),
                }
                if weight::of_parts(&parts) > MAX_VALUE {
                    let message = format!("with its variables put in, the text has more than {MAX_VALUE} bytes");
                    report.push(Diagnostic::at(&item.place, message));
                    return None;
                }
            } else if in_stage && self.axes.contains_key(name) {
                parts.push(Part::Axis { name: name.to_string(), place });
            } else {
                report.push(self.unknown(name, &place, in_stage));
                return None;
            }
        }
        push_text(&mut parts, rest);
        let raw = match parts.as_mut_slice() {
            [] => Raw::String(String::new()),
            [Part::Text(text)] => Raw::String(std::mem::take(text)),
            _ => Raw::Template(parts),
        };
        Some(Item::new(item.place.clone(), raw))
    }

    /// Counts a value that is put in; none once it is too much, which is reported once.
    fn spend(&mut self, value: &Item, place: &Place, report: &mut Report) -> Option<()> {
        let before = self.spent;
        self.spent = before.saturating_add(weight::of(value));
        if self.spent <= MAX_VALUES {
            return Some(());
        }
        if before <= MAX_VALUES {
            let message = format!("variables put more than {MAX_VALUES} bytes into this manifest");
            report.push(Diagnostic::at(place, message));
        }
        None
    }

    fn unknown(&self, name: &str, place: &Place, in_stage: bool) -> Diagnostic {
        if !in_stage && self.axes.contains_key(name) {
            let fault = Diagnostic::at(place, format!("{name:?} is an axis; only stages can refer to axes"));
            return fault;
        }
        let axes = self.axes.keys().filter(|_| in_stage);
        let names = self.raw.keys().chain(axes).map(String::as_str);
        let what = if in_stage { "no variable and no axis" } else { "no variable" };
        Diagnostic::at(place, format!("there is {what} {name:?}{}", did_you_mean(name, names)))
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Text(last)) => last.push_str(text),
        _ if text.is_empty() => {}
        _ => parts.push(Part::Text(text.to_string())),
    }
}

/// The place of a piece of a text value, or the whole value where it is not written literally.
fn within(item: &Item, piece: &str) -> Place {
    let span = &item.place.span;
    let written = item.place.source.text.get(span.clone()).unwrap_or("");
    match written.find(piece) {
        Some(at) => Place::new(&item.place.source, span.start + at..span.start + at + piece.len()),
        None => item.place.clone(),
    }
}
