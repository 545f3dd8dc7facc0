//! From a pipeline, its records and the manifest as written to the rows of a ledger.

use super::Row;
use super::judge::{Case, judge};
use super::measure::measured;
use super::protocol::AsWritten;
use crate::pipeline::{NodeId, Pipeline};
use crate::published::{Published, cell};
use ddpipe_cache::Record;
use ddpipe_interface::Value;
use ddpipe_interface::metric::MEASURED;
use indexmap::IndexMap;

/// The rows of a pipeline's figures whose cells `wanted` names. `written` is the pipeline of the manifest as written, where
/// anything is laid over it. `margin` takes the place of the margins that figures do not state.
pub fn make<'a>(
    pipeline: &Pipeline,
    written: Option<&Pipeline>,
    wanted: &dyn Fn(NodeId) -> bool,
    record: &dyn Fn(NodeId) -> Option<&'a Record>,
    margin: Option<f64>,
) -> Vec<Row> {
    let mut as_written = written.map(|written| AsWritten::new(pipeline, written));
    let mut rows = Vec::new();
    for published in &pipeline.published {
        for nodes in published.cells.iter().filter(|cell| cell.iter().any(|id| wanted(*id))) {
            let differences = match &mut as_written {
                Some(as_written) => as_written.differences(nodes, &published.over),
                None => Vec::new(),
            };
            rows.extend(row(pipeline, published, nodes, differences, record, margin));
        }
    }
    rows
}

fn row<'a>(
    pipeline: &Pipeline,
    published: &Published,
    nodes: &[NodeId],
    differences: Vec<String>,
    record: &dyn Fn(NodeId) -> Option<&'a Record>,
    margin: Option<f64>,
) -> Option<Row> {
    let node = pipeline.node(*nodes.first()?);
    let kind = pipeline.catalog.declaration(&node.kind);
    let metric = kind.and_then(|kind| kind.metric(&published.name, &node.params));
    let name = published.name.strip_prefix(MEASURED).unwrap_or(&published.name);
    let (measured, notes) = measured(pipeline, published, nodes, name, metric, record);
    let axes = node.axes.iter().filter(|(axis, _)| !published.over.contains(axis));
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let axes: IndexMap<String, String> = axes.map(|(axis, value)| (axis.clone(), text(value))).collect();
    let unit = metric.and_then(|metric| metric.unit.clone());
    let better = metric.and_then(|metric| metric.better);
    let chosen = node.params.iter().filter(|(name, _)| kind.is_some_and(|kind| kind.is_selector(name)));
    let reasons = reasons(published, chosen, differences);
    let case = Case {
        figure: &published.figure,
        measured: measured.as_ref(),
        better,
        unit: unit.as_deref(),
        margin: published.within.or(margin),
        other: &reasons,
    };
    let judged = judge(&case);
    Some(Row {
        cell: cell(node, &published.over),
        stage: node.stage.clone(),
        axes,
        metric: published.name.clone(),
        unit,
        better,
        published: published.figure.clone(),
        difference: judged.difference,
        margin: judged.margin,
        verdict: judged.verdict,
        why: judged.why,
        notes,
        measured,
    })
}

/// Why what is measured here is another quantity than the published one: nothing where it is the same.
/// `chosen` are the node's parameters that name a protocol: that do nothing but set others.
fn reasons<'a>(
    published: &Published,
    chosen: impl Iterator<Item = (&'a String, &'a Value)>,
    differences: Vec<String>,
) -> Vec<String> {
    let mut reasons = differences;
    for (name, here) in chosen {
        if let (Value::String(here), Some(there)) = (here, &published.figure.protocol)
            && here != there
        {
            reasons.push(format!("{name} is {here:?}, and that of the figure is {there:?}"));
        }
    }
    reasons.extend(published.figure.differs.clone());
    reasons
}
