//! A parameter that has another value at each value of an axis: `lr_img = { ipc = { 1 = 0.1, 10 = 1.0 } }`. Choosing one
//! leaves an item as if it had been written by itself; what a parameter may be is for `params`.

use super::matrix::shortened;
use crate::address::value_text;
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
        values.values().for_each(|entry| choosing(&entry.item, found));
    }
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
        let Some(entry) = values.get(&text).or_else(|| values.get(ELSE)) else {
            let known = shortened(&values.keys().cloned().collect::<Vec<_>>());
            // Numbers are near to each other without being meant.
            let near = match value {
                Value::String(_) => did_you_mean(&text, values.keys().map(String::as_str)),
                _ => String::new(),
            };
            return Err(Lacking::Value { why: format!("no value for {axis} = {text}, only for {known}"), near });
        };
        item = &entry.item;
    }
    Ok(item)
}
