//! How much a value of a manifest is. A few variables that use each other can stand for more than any memory holds, so
//! what they come to is bounded.

use super::document::{Item, Part, Raw};

/// One value has at most so many bytes once variables are put in; each entry of a list counts as [`ENTRY`] more.
pub const MAX_VALUE: usize = 1 << 20;

/// Variables put at most so many bytes into a whole manifest, counted in the same way.
pub const MAX_VALUES: usize = 16 << 20;

/// Variables use each other, and lists hold each other, at most so deep.
pub const MAX_DEPTH: usize = 64;

/// What an entry of a list counts beside its text.
const ENTRY: usize = 8;

/// The bytes of a value. Its lists are at most [`MAX_DEPTH`] deep.
pub fn of(item: &Item) -> usize {
    match &item.raw {
        Raw::String(text) => text.len(),
        Raw::Template(parts) => of_parts(parts),
        Raw::List(items) => items.iter().map(|item| ENTRY + of(item)).sum(),
        _ => 0,
    }
}

/// The bytes of a text that is put together.
pub fn of_parts(parts: &[Part]) -> usize {
    let bytes = |part: &Part| match part {
        Part::Text(text) => text.len(),
        Part::Axis { name, .. } => name.len(),
    };
    parts.iter().map(bytes).sum()
}

/// Why a list cannot stay, in words behind "the list": it is too long or too deep. What it holds was asked before.
pub fn too_much(items: &[Item]) -> Option<String> {
    if 1 + items.iter().map(depth).max().unwrap_or(0) > MAX_DEPTH {
        return Some(format!("holds lists more than {MAX_DEPTH} deep"));
    }
    let bytes = items.iter().try_fold(0usize, |sum, item| sum.checked_add(ENTRY + of(item)));
    bytes.is_none_or(|bytes| bytes > MAX_VALUE).then(|| format!("has more than {MAX_VALUE} bytes"))
}

fn depth(item: &Item) -> usize {
    match &item.raw {
        Raw::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
