//! Words that the sections of a report have in common.

use crate::history::shown;
use crate::number::significant;
use crate::pipeline::{NodeId, Pipeline};
use crate::size;
use ddpipe_interface::Value;

/// A text that leads to a place of the page.
#[derive(Clone, Debug)]
pub struct Link {
    /// The text.
    pub text: String,
    /// `#n12`.
    pub href: String,
}

impl Link {
    /// To the proof of a node.
    pub fn to(pipeline: &Pipeline, node: NodeId) -> Self {
        Link { text: pipeline.node(node).address(), href: format!("#n{}", node.0) }
    }
}

/// A name with its value.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl Pair {
    /// A name with its value.
    pub fn of(name: impl Into<String>, value: impl Into<String>) -> Self {
        Pair { name: name.into(), value: value.into() }
    }
}

/// A value as a person writes it.
pub fn plain(value: &Value) -> String {
    shown(&value.to_string())
}

/// A number with four significant digits.
pub fn brief(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() || size == 0.0 || size >= 1e4 {
        return significant(value);
    }
    let places = (3 - size.log10().floor() as i32).clamp(0, 12);
    let factor = 10f64.powi(places);
    significant((value * factor).round() / factor)
}

/// A number with its unit: `0.9338`, `1.2 GiB`, `12.5 images/s`.
pub fn measured(value: f64, unit: Option<&str>) -> String {
    match unit {
        Some("bytes") if value >= 0.0 => size::show(value as u64),
        Some("share") | None => brief(value),
        Some(unit) => format!("{} {unit}", brief(value)),
    }
}

/// `1 node`, `3 nodes`.
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
