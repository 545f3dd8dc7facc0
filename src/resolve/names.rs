//! Names of metrics and labels, checked before anything runs: in parameters that their declaration says to hold such
//! names (`names`), and in expectations. What a stage gives is what its kind declares.

use super::StageInfo;
use super::by_axis::choose;
use super::concerned::Concerned;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Place, Report, did_you_mean};
use crate::manifest::document::{Item, Raw};
use crate::pipeline::{Endpoint, Node};
use ddpipe_interface::{Names, Value};
use indexmap::IndexSet;

/// Reports parameters that name a metric or a label which nothing that is connected has, and inputs of which the stage reads
/// measured quantities that what is connected does not give.
pub fn check(infos: &[StageInfo<'_>], nodes: &[Node], catalog: &Catalog, report: &mut Report) {
    let concerned = Concerned::of(catalog, |param| param.names.is_some());
    for node in nodes {
        let Some(kind) = catalog.declaration(&node.kind) else { continue };
        let measured = kind.inputs.iter().filter(|(_, input)| !input.measured.is_empty());
        for (input, measured) in measured.map(|(name, input)| (name, &input.measured)) {
            let read = read(node, input, nodes);
            let fault = measured.iter().filter(|_| !read.is_empty()).find_map(|name| no_metric(&read, name, catalog));
            let info = infos.iter().find(|info| info.name == node.stage);
            let written = info.and_then(|info| info.table.inputs.get(input));
            if let Some(((what, help), written)) = fault.zip(written) {
                report.push_once(written.item.fault(format!("input {input:?} of {}: {what}", kind.name)).help(help));
            }
        }
        let params = concerned.kind(node).map_or(&[][..], |(_, params)| params);
        let naming = params.iter().filter_map(|(name, param)| Some((*name, param.names.as_ref()?)));
        for (param, names) in naming {
            let read = read(node, names.input(), nodes);
            let texts = node.params.get(param).into_iter().flat_map(Value::texts);
            for text in texts.filter(|_| !read.is_empty()) {
                let fault = match names {
                    Names::LabelOf(_) => no_label(&read, text),
                    Names::MetricOf(_) if read.iter().any(|node| !lacks(node, text, catalog)) => None,
                    Names::MetricOf(_) | Names::MetricOfEach(_) => no_metric(&read, text, catalog),
                };
                if let Some(((what, help), place)) = fault.zip(place(infos, node, param, text)) {
                    let message = format!("parameter {param:?} of {}: {what}", kind.name);
                    report.push_once(Diagnostic::at(&place, message).help(help));
                }
            }
        }
    }
}

/// What is wrong with the metric `name` of these nodes, and what there is: the first of them that does not give it.
pub fn no_metric(nodes: &[&Node], name: &str, catalog: &Catalog) -> Option<(String, String)> {
    let node = nodes.iter().find(|node| lacks(node, name, catalog))?;
    let names = catalog.declaration(&node.kind)?.metric_names(&node.params);
    let near = did_you_mean(name, names.iter().map(String::as_str).filter(|name| !name.contains('*')));
    let what = format!("stage {:?} ({}) has no metric {name:?}{near}", node.stage, node.kind);
    Some((what, format!("its metrics are {}", names.join(", "))))
}

/// Whether a node's kind declares its metrics, and this is none of them.
fn lacks(node: &Node, name: &str, catalog: &Catalog) -> bool {
    let kind = catalog.declaration(&node.kind);
    kind.is_some_and(|kind| kind.declares_metrics() && kind.metric(name, &node.params).is_none())
}

fn no_label(read: &[&Node], name: &str) -> Option<(String, String)> {
    let axes = read.iter().flat_map(|node| node.axes.keys().map(String::as_str));
    let stages: IndexSet<&str> = read.iter().map(|node| node.stage.as_str()).collect();
    let labels: IndexSet<&str> = axes.chain((stages.len() > 1).then_some("stage")).collect();
    if labels.contains(name) {
        return None;
    }
    let near = did_you_mean(name, labels.iter().copied());
    let labels: Vec<&str> = labels.into_iter().collect();
    let help = match (labels.is_empty(), name) {
        (true, _) => "what is connected has no labels: it is one stage without axes".into(),
        (false, "stage") => {
            format!("stages are labels where several are gathered; the labels are {}", labels.join(", "))
        }
        (false, _) => format!("the labels are {}", labels.join(", ")),
    };
    Some((format!("nothing that is connected has a label {name:?}{near}"), help))
}

/// The nodes that are connected to an input.
pub fn read<'a>(node: &Node, input: &str, nodes: &'a [Node]) -> Vec<&'a Node> {
    let edges = node.inputs.get(input).into_iter().flatten();
    let from = edges.filter_map(|edge| match &edge.from {
        Endpoint::Node { node, .. } => nodes.get(node.index()),
        Endpoint::Source { .. } => None,
    });
    from.collect()
}

/// Where a text of a node's parameter stands: in the list, in the parameter, at the value of the axis that sets it, or, of
/// a default, at the stage's name.
pub fn place(infos: &[StageInfo<'_>], node: &Node, param: &str, text: &str) -> Option<Place> {
    let info = infos.iter().find(|info| info.name == node.stage)?;
    let Some(entry) = info.table.params.get(param) else {
        let axis = info.own.as_ref().and_then(|own| own.get(param));
        let value = axis.and_then(|axis| axis.values.iter().find(|(value, _)| node.axes.get(param) == Some(value)));
        return Some(value.map_or(&info.table.key, |(_, place)| place).clone());
    };
    let item = choose(&entry.item, &|axis| node.axes.get(axis)).unwrap_or(&entry.item);
    let Item { raw, place, .. } = item;
    let entries = if let Raw::List(items) = raw { items.as_slice() } else { &[] };
    let entry = entries.iter().find(|item| matches!(&item.raw, Raw::String(written) if written == text));
    Some(entry.map_or(place, |entry| &entry.place).clone())
}
