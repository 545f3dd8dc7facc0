//! Parameters that go together with some values of others only (`only_with`): the width of a network that has none is a
//! fault before anything runs. A parameter at its default counts as not given, unless its
//! declaration is `strict`.

use super::StageInfo;
use super::concerned::{Concerned, Sound};
use super::names::place;
use crate::address::bare;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Report};
use crate::pipeline::Node;
use ddpipe_interface::{Param, Value};

/// Reports parameters that were given where another parameter has a value that they do not go with.
pub fn check(infos: &[StageInfo<'_>], nodes: &[Node], catalog: &Catalog, report: &mut Report) {
    let concerned = Concerned::of(catalog, |param| !param.only_with.is_empty());
    let mut sound = Sound::default();
    for node in nodes {
        let Some((kind, params)) = concerned.kind(node).filter(|_| !sound.has(node)) else { continue };
        let mut is_sound = true;
        for (name, param) in params.iter().copied() {
            let given = |value: &&Value| match param.strict {
                true => **value != Value::Boolean(false),
                false => param.default.as_ref() != Some(*value),
            };
            let Some(value) = node.params.get(name).filter(given) else { continue };
            let unfit = param.only_with.iter().find_map(|(other, allowed)| match node.params.get(other) {
                Some(Value::String(text)) if !param.goes_with(other, text) => Some((other, text, allowed)),
                _ => None,
            });
            let Some((other, text, allowed)) = unfit else { continue };
            is_sound = false;
            let by_default = param.default.as_ref() == Some(value);
            // What is left at its default stands nowhere.
            let Some(place) = (match by_default {
                true => place(infos, node, other, text),
                false => place(infos, node, name, ""),
            }) else {
                continue;
            };
            let (none, at) = match (param.strict, by_default) {
                (true, true) => ("has to have it false", ", and true by default"),
                (true, false) => ("has to have it false", ""),
                (false, _) => ("takes none", ""),
            };
            let message = format!(
                "parameter {name:?} of {}: {other} = {text:?} {none}; it is for {}{at}",
                kind.name,
                listed(allowed)
            );
            if param.strict {
                report.push_once(Diagnostic::at(&place, message).help(format!("write {name} = false")));
                continue;
            }
            let example = example(node, nodes, (name, param, value), other);
            let help = example.map_or("leave it out".into(), |example| format!("give it where it applies: {example}"));
            report.push_once(Diagnostic::at(&place, message).help(help));
        }
        if is_sound {
            sound.add(node);
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
