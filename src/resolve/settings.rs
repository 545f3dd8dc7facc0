//! Parameters that go together with some values of others only (`only_with`): the width of a network that has none is a
//! fault before anything runs. A parameter at its default counts as not given.

use super::StageInfo;
use super::names::place;
use crate::address::bare;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Report};
use crate::pipeline::Node;
use ddpipe_interface::{Param, Value};

/// Reports parameters that were given where another parameter has a value that they do not go with.
pub fn check(infos: &[StageInfo<'_>], nodes: &[Node], catalog: &Catalog, report: &mut Report) {
    for node in nodes {
        let Some(kind) = catalog.declaration(&node.kind) else { continue };
        for (name, param) in kind.params.iter().filter(|(_, param)| !param.only_with.is_empty()) {
            let Some(value) = node.params.get(name).filter(|value| param.default.as_ref() != Some(value)) else {
                continue;
            };
            let unfit = param.only_with.iter().find_map(|(other, allowed)| match node.params.get(other) {
                Some(Value::String(text)) if !param.goes_with(other, text) => Some((other, text, allowed)),
                _ => None,
            });
            let Some((other, text, allowed)) = unfit else { continue };
            let Some(place) = place(infos, node, name, "") else { continue };
            let message = format!(
                "parameter {name:?} of {}: {other} = {text:?} takes none; it is for {}",
                kind.name,
                listed(allowed)
            );
            let example = example(node, nodes, (name, param, value), other);
            let help = example.map_or("leave it out".into(), |example| format!("give it where it applies: {example}"));
            report.push_once(Diagnostic::at(&place, message).help(help));
        }
    }
}

/// `width = { arch = { convnet3 = 16 } }`, where an axis decides and has a value that the parameter goes with.
fn example(node: &Node, nodes: &[Node], (name, param, value): (&str, &Param, &Value), other: &str) -> Option<String> {
    let axis = node.axes.iter().find(|(_, value)| node.params.get(other) == Some(value)).map(|(axis, _)| axis)?;
    let siblings = nodes.iter().filter(|sibling| sibling.stage == node.stage);
    let fitting = siblings.filter_map(|sibling| match sibling.axes.get(axis) {
        Some(Value::String(text)) if param.goes_with(other, text) => Some(text.as_str()),
        _ => None,
    });
    let fitting = fitting.map(bare).next()?;
    Some(format!("{name} = {{ {axis} = {{ {fitting} = {value} }} }}"))
}

/// `"convnet*", "alexnet" and "vgg*"`.
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => quoted.join(""),
    }
}
