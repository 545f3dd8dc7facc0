//! What others report for cells of a pipeline: the figures of `[[published]]`, checked. Each says where it stands and how
//! sure it is. Knows no result: [`crate::ledger`] sets results beside them.

use crate::diagnostic::Place;
use crate::pipeline::{Node, NodeId};
use crate::selector::Selector;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A figure of a manifest with the cells that it speaks of.
#[derive(Clone, Debug)]
pub struct Published {
    /// The nodes and the metric as written: `evaluate[method=dc,ipc=1].accuracy`.
    pub metric: String,
    /// The nodes.
    pub node: Selector,
    /// The name of the metric: `accuracy`.
    pub name: String,
    /// The nodes by cell: those of one cell differ in axes of `over` alone. One cell where there is a value, in the
    /// pipeline's order.
    pub cells: Vec<Vec<NodeId>>,
    /// The axes whose nodes repeat one measurement.
    pub over: Vec<String>,
    /// How far from the value still counts as reproduced, in the metric's unit, where the manifest says it.
    pub within: Option<f64>,
    /// What is reported.
    pub figure: Figure,
    /// The place in the manifest where it is written.
    pub place: Place,
}

/// What is reported for a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The value, in the metric's unit; absent where nothing is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Its standard deviation, as reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<f64>,
    /// Of how many values `std` is the deviation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Where it stands: paper or file, and table.
    pub source: String,
    /// How sure it is.
    pub sure: Sure,
    /// The protocol by which the source trains and tests, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// In what the manifest as written differs from what the source did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
}

/// How sure a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sure {
    /// Read in the named source.
    Read,
    /// Computed from figures that were read.
    Computed,
    /// Remembered, and not found again.
    Remembered,
    /// Looked for in the named source, which has none.
    None,
}

impl Sure {
    /// All of them.
    pub const ALL: [Sure; 4] = [Sure::Read, Sure::Computed, Sure::Remembered, Sure::None];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Sure::Read => "read",
            Sure::Computed => "computed",
            Sure::Remembered => "remembered",
            Sure::None => "none",
        }
    }

    /// The one of this name.
    pub fn named(text: &str) -> Option<Self> {
        Sure::ALL.into_iter().find(|sure| sure.name() == text)
    }
}

/// The nodes sorted into cells: those of one cell have the same stage and the same values of all axes but `over`.
pub fn cells(nodes: &[&Node], over: &[String]) -> Vec<Vec<NodeId>> {
    let mut cells: IndexMap<String, Vec<NodeId>> = IndexMap::new();
    for node in nodes {
        cells.entry(cell(node, over)).or_default().push(node.id);
    }
    cells.into_values().collect()
}

/// A node's address without the axes of `over`.
pub fn cell(node: &Node, over: &[String]) -> String {
    let axes = node.axes.iter().filter(|(name, _)| !over.contains(name));
    crate::address::address(&node.stage, &axes.map(|(name, value)| (name.clone(), value.clone())).collect())
}
