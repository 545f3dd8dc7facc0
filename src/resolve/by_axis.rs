//! A parameter that has another value at each value of an axis: `lr_img = { ipc = { 1 = 0.1, 10 = 1.0 } }`. Choosing one
//! leaves an item as if it had been written by itself; what a parameter may be is for `params`.

use super::matrix::shortened;
use crate::address::{value_matches, value_text};
use crate::diagnostic::{Place, did_you_mean};
use crate::manifest::document::{Item, Raw, Table};
use ddpipe_interface::Value;

/// Stands for all values of the axis that are not listed.
const ELSE: &str = "else";

/// The axis and the values by its values, where an item is of that form: a table with one key, which holds a table.
pub fn by_axis(item: &Item) -> Option<(&str, &Table)> {
    let Raw::Table(table) = &item.raw else { return None };
    match table.iter().collect::<Vec<_>>()[..] {
        [(axis, entry)] => Some((axis, entry.item.as_table()?)),
        _ => None,
    }
}

/// The axes that a value is chosen by. They do not use an axis up: it may set a parameter of its name besides.
pub fn choosing(item: &Item, found: &mut Vec<String>) {
    if let Some((axis, values)) = by_axis(item) {
        found.push(axis.to_string());
        listed(values).into_iter().for_each(|(_, item)| choosing(item, found));
    }
}

/// The items by the values of the axis. TOML reads `0.5 = 12` as the key 5 in a table 0; here it is the number again.
fn listed(values: &Table) -> Vec<(String, &Item)> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let behind = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_digit()) && format!("0.{text}").parse::<f64>().is_ok()
    };
    let mut found = Vec::new();
    for (key, entry) in values {
        let whole = key.strip_prefix('-').unwrap_or(key);
        match &entry.item.raw {
            Raw::Table(inner) if digits(whole) && !inner.is_empty() && inner.keys().all(|key| behind(key)) => {
                found.extend(inner.iter().map(|(after, entry)| (format!("{key}.{after}"), &entry.item)));
            }
            _ => found.push((key.clone(), &entry.item)),
        }
    }
    found
}

/// Why there is no value.
pub enum Lacking {
    /// The node has no such axis.
    Axis(String, Place),
    /// The axis has a value that is not listed.
    Value {
        /// The rest of a message that says so.
        why: String,
        /// A listed value that the axis does not have and that looks like this one, `; did you mean …`; else nothing.
        near: String,
    },
}

/// The item that a node with these axes has; items of another form are their own. A chosen value may be chosen again, by
/// another axis.
pub fn choose<'i, 'a>(item: &'i Item, axes: &impl Fn(&str) -> Option<&'a Value>) -> Result<&'i Item, Lacking> {
    let mut item = item;
    while let Some((axis, values)) = by_axis(item) {
        let Some(value) = axes(axis) else {
            return Err(Lacking::Axis(axis.to_string(), item.place.clone()));
        };
        let text = match value {
            Value::String(text) => text.clone(),
            other => value_text(other),
        };
        let listed = listed(values);
        // As text first; numbers are compared as numbers, so that 10 is 10.0 too.
        let written = listed.iter().find(|(key, _)| *key == text);
        let same = written.or_else(|| listed.iter().find(|(key, _)| value_matches(value, key)));
        let Some((_, chosen)) = same.or_else(|| listed.iter().find(|(key, _)| key == ELSE)) else {
            let known: Vec<String> = listed.into_iter().map(|(key, _)| key).collect();
            let known = shortened(&known);
            // Numbers are near to each other without being meant.
            let near = match value {
                Value::String(_) => did_you_mean(&text, values.keys().map(String::as_str)),
                _ => String::new(),
            };
            return Err(Lacking::Value { why: format!("no value for {axis} = {text}, only for {known}"), near });
        };
        item = *chosen;
    }
    Ok(item)
}
