//! The inputs of a stage, checked against the declarations of its kinds: names, number and types.

use super::info::StageInfo;
use super::join::Link;
use super::params::lacking;
use super::reference::Input;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Report, did_you_mean};
use crate::pipeline::{Edge, Endpoint, Node};
use ddpipe_interface::{ArtifactType, Declaration};

/// Reports inputs that no kind knows, for each kind those that are missing, and lists given to an input that takes one.
/// With `open`, not all kinds are known.
pub fn check_names(stage: &StageInfo<'_>, kinds: &[&Declaration], open: bool, report: &mut Report) {
    for (name, entry) in &stage.table.inputs {
        if !open && !kinds.iter().any(|kind| kind.inputs.contains_key(name)) {
            let known = kinds.iter().flat_map(|kind| kind.inputs.keys().map(String::as_str));
            let near = did_you_mean(name, known.clone());
            let fault = Diagnostic::at(&entry.key, format!("{}{near}", lacking(kinds, "input", name)));
            let known: Vec<_> = known.collect();
            report.push(match known.is_empty() {
                true => fault.help("it takes no inputs"),
                false => fault.help(format!("its inputs are {}", known.join(", "))),
            });
        }
    }
    for kind in kinds {
        for (name, input) in &kind.inputs {
            match stage.inputs.get(name) {
                None if !input.optional => {
                    let message = format!("stage {:?} needs input {name:?} of {}", stage.name, kind.name);
                    let help = format!("{name}: {} ({})", input.help, types(&input.types));
                    report.push(Diagnostic::at(&stage.table.key, message).help(help));
                }
                Some(_) if lacks_partner(stage, input) => {
                    let (Some(entry), Some(other)) = (stage.table.inputs.get(name), &input.together_with) else {
                        continue;
                    };
                    let message = format!(
                        "input {name:?} of {} is connected, and {other:?} is not; connect both, or none",
                        kind.name
                    );
                    let other =
                        kind.inputs.get(other).map_or(String::new(), |input| format!("{other}: {}", input.help));
                    report.push(entry.item.fault(message).help(other));
                }
                Some(Some(Input::List(_) | Input::Gather(_))) if !input.many => {
                    let Some(entry) = stage.table.inputs.get(name) else { continue };
                    let message =
                        format!("input {name:?} of {} takes one {}, not several", kind.name, types(&input.types));
                    let help = "name one stage; the axes of its nodes are inherited, so that each node gets its own";
                    report.push(entry.item.fault(message).help(help));
                }
                _ => {}
            }
        }
    }
}

/// Whether another input has to be connected where this one is, and is not.
fn lacks_partner(stage: &StageInfo<'_>, input: &ddpipe_interface::Input) -> bool {
    input.together_with.as_ref().is_some_and(|other| !stage.inputs.contains_key(other))
}

/// The link with the output that the input takes, where it was gathered without the name of one: the node's first output, or
/// else the only one that fits.
pub fn chosen(kind: &Declaration, name: &str, link: Link, nodes: &[Node], catalog: &Catalog) -> Link {
    let Some(input) = kind.inputs.get(name).filter(|input| !input.types.contains(&link.artifact)) else { return link };
    let Endpoint::Node { node, .. } = &link.edge.from else { return link };
    let outputs = catalog.declaration(&nodes[node.index()].kind).map(|kind| &kind.outputs);
    let mut fitting = outputs.into_iter().flatten().filter(|(_, output)| input.types.contains(&output.artifact));
    match (fitting.next(), fitting.next()) {
        (Some((output, made)), None) if link.any_output => {
            let from = Endpoint::Node { node: *node, output: output.clone() };
            Link { edge: Edge { from, ..link.edge }, artifact: made.artifact, ..link }
        }
        _ => link,
    }
}

/// Reports a link that carries what the input does not take.
pub fn check_type(kind: &Declaration, name: &str, link: &Link, nodes: &[Node], catalog: &Catalog, report: &mut Report) {
    let Some(input) = kind.inputs.get(name) else { return };
    if input.types.contains(&link.artifact) {
        return;
    }
    // One message for each place, however many nodes and kinds share it.
    let start = format!("wrong connection: input {name:?} of ");
    let told = |known: &Diagnostic| known.place.as_ref() == Some(&link.place) && known.message.starts_with(&start);
    if report.diagnostics.iter().rev().take(64).any(told) {
        return;
    }
    let (given, way_out) = match &link.edge.from {
        Endpoint::Source { source, file } => (format!("source:{source}/{file}"), None),
        Endpoint::Node { node, output } => {
            let node = &nodes[node.index()];
            let given = format!("{}.{output} ({})", node.stage, node.kind);
            let outputs = catalog.declaration(&node.kind).map(|kind| &kind.outputs);
            let fitting: Vec<_> = outputs
                .into_iter()
                .flatten()
                .filter(|(_, output)| input.types.contains(&output.artifact))
                .map(|(name, _)| format!("{}.{name}", node.stage))
                .collect();
            (given, (fitting.len() == 1).then(|| format!("; did you mean {:?}?", fitting[0])))
        }
    };
    let message = format!(
        "{start}{} takes {}, but {given} is {}{}",
        kind.name,
        types(&input.types),
        link.artifact,
        way_out.unwrap_or_default()
    );
    let label = format!("gives {}", link.artifact);
    report.push(Diagnostic::at(&link.place, message).label(label).help(format!("{name}: {}", input.help)));
}

/// `dataset or synthetic`.
fn types(types: &[ArtifactType]) -> String {
    types.iter().map(|artifact| artifact.name()).collect::<Vec<_>>().join(" or ")
}
