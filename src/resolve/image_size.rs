//! Images that are too small for a network, where the manifest alone says how large they are: sizes travel from output to
//! output as the declarations say (`image_size`). What is not known is passed over; so are networks that nobody chose.

use super::StageInfo;
use super::names::place;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Report};
use crate::pipeline::{Edge, Endpoint, Node};
use ddpipe_interface::{ImageSize, Value};
use std::collections::HashMap;

/// Height and width of the images of outputs, by the node's index and the output's name, as far as they are known.
type Sizes<'a> = HashMap<(usize, &'a str), u32>;

/// Reports networks that need larger images than they get.
pub fn check(infos: &[StageInfo<'_>], nodes: &[Node], catalog: &Catalog, report: &mut Report) {
    let sizes = sizes(nodes, catalog);
    for node in nodes {
        let Some(kind) = catalog.declaration(&node.kind) else { continue };
        for (name, param) in &kind.params {
            let (Some(smallest), Some(Value::String(network))) = (&param.smallest_image, node.params.get(name)) else {
                continue;
            };
            let chosen = param.default.as_ref() != node.params.get(name);
            let open = smallest.unless.iter().any(|other| node.params.contains_key(other));
            let Some(needed) = smallest.of(network).filter(|_| chosen && !open) else { continue };
            let given = node.inputs.values().flatten().filter_map(|edge| Some((edge, size(edge, &sizes)?)));
            let Some((edge, size)) = given.min_by_key(|(_, size)| *size).filter(|(_, size)| *size < needed) else {
                continue;
            };
            let from = match &edge.from {
                Endpoint::Node { node, .. } => nodes.get(node.index()).map_or("", |node| node.stage.as_str()),
                Endpoint::Source { source, .. } => source,
            };
            let Some(place) = place(infos, node, name, network) else { continue };
            let message = format!(
                "parameter {name:?} of {}: {network:?} needs images of at least {needed}x{needed}; those of {from:?} have \
                 {size}x{size}",
                kind.name
            );
            report
                .push_once(Diagnostic::at(&place, message).help("take a network with fewer layers, or larger images"));
        }
    }
}

fn sizes<'a>(nodes: &[Node], catalog: &'a Catalog) -> Sizes<'a> {
    let mut sizes = Sizes::new();
    for node in nodes {
        let Some(kind) = catalog.declaration(&node.kind) else { continue };
        for (name, output) in &kind.outputs {
            if let Some(size) = output.image_size.as_ref().and_then(|known| output_size(node, known, &sizes)) {
                sizes.insert((node.id.index(), name.as_str()), size);
            }
        }
    }
    sizes
}

fn output_size(node: &Node, known: &ImageSize, sizes: &Sizes<'_>) -> Option<u32> {
    let param = known.param.as_ref().and_then(|param| match node.params.get(param) {
        Some(Value::Integer(number)) => u32::try_from(*number).ok(),
        _ => None,
    });
    let input = || node.inputs.get(known.input.as_ref()?)?.iter().find_map(|edge| size(edge, sizes));
    param.or_else(input).or(known.pixels)
}

fn size(edge: &Edge, sizes: &Sizes<'_>) -> Option<u32> {
    match &edge.from {
        Endpoint::Node { node, output } => sizes.get(&(node.index(), output.as_str())).copied(),
        Endpoint::Source { .. } => None,
    }
}
