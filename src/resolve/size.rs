//! How large a pipeline may be. A few lines of a matrix or a gather can stand for more than any memory holds, so what
//! they come to is counted while it is made. The number of nodes is bounded by [`super::matrix::MAX_NODES`].

use crate::diagnostic::{Diagnostic, Place, Report};
use crate::manifest::Manifest;
use ddpipe_interface::Value;
use indexmap::IndexMap;

/// A pipeline has at most so many edges.
pub const MAX_EDGES: usize = 2_000_000;

/// Joining one stage with what it reads compares at most so many pairs of nodes.
pub const MAX_PAIRS: usize = 10_000_000;

/// The axes and parameters of all nodes have at most so many bytes.
pub const MAX_BYTES: usize = 512 << 20;

/// A stage has at most so many axes of its own.
pub const MAX_AXES: usize = 64;

/// A value of an axis has at most so many bytes: it is part of names of nodes and of files.
pub const MAX_AXIS_TEXT: usize = 1000;

/// A manifest has at most so many stages.
pub const MAX_STAGES: usize = 10_000;

/// A manifest has at most so many expectations.
pub const MAX_EXPECTATIONS: usize = 1000;

/// A manifest has at most so many published figures.
pub const MAX_PUBLISHED: usize = 10_000;

/// What the nodes of a pipeline come to so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Size {
    /// The edges.
    pub edges: usize,
    /// The bytes of axes and parameters.
    pub bytes: usize,
    /// The combinations that were checked of stages which have no nodes because of a fault.
    pub probed: usize,
}

/// Whether a manifest has few enough tables; reports it otherwise.
pub fn bearable(manifest: &Manifest, report: &mut Report) -> bool {
    let counts = [("stages", manifest.stages.len(), MAX_STAGES)];
    let counts = counts.into_iter().chain([
        ("expectations", manifest.expectations.len(), MAX_EXPECTATIONS),
        ("published figures", manifest.published.len(), MAX_PUBLISHED),
    ]);
    let before = report.diagnostics.len();
    for (what, _, most) in counts.filter(|(_, count, most)| count > most) {
        let place = Place::new(&manifest.main, 0..0);
        report.push(Diagnostic::at(&place, format!("the manifest has more than {most} {what}")));
    }
    report.diagnostics.len() == before
}

/// The bytes of named values, as they lie in memory.
pub fn bytes(values: &IndexMap<String, Value>) -> usize {
    values.iter().map(|(name, value)| 64 + name.len() + bytes_of(value)).sum()
}

fn bytes_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::List(values) => values.iter().map(|value| 32 + bytes_of(value)).sum(),
        _ => 0,
    }
}
