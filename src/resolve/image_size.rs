//! Images that are too small for a network, where the manifest alone says how large they are: sizes, and the number of
//! channels, travel from output to output as the declarations say (`image_size`). What is not known is passed over; so are networks that nobody chose.

use super::StageInfo;
use super::concerned::Concerned;
use super::names::place;
use crate::catalog::Catalog;
use crate::diagnostic::{Diagnostic, Report};
use crate::pipeline::{Edge, Endpoint, Node};
use ddpipe_interface::{ImageSize, Value};
use std::collections::HashMap;

/// What is known of the images of outputs, by the node's index and the output's name.
type Sizes<'a> = HashMap<(usize, &'a str), Known>;

/// What is known of the images of an output.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Height and width.
    pixels: Option<u32>,
    channels: Option<u32>,
}

/// Reports networks that need larger images than they get.
pub fn check(infos: &[StageInfo<'_>], nodes: &[Node], catalog: &Catalog, report: &mut Report) {
    let sizes = sizes(nodes, catalog);
    let concerned = Concerned::of(catalog, |param| param.smallest_image.is_some());
    for node in nodes {
        let Some((kind, params)) = concerned.kind(node) else { continue };
        for (name, param) in params.iter().copied() {
            let (Some(smallest), Some(Value::String(network))) = (&param.smallest_image, node.params.get(name)) else {
                continue;
            };
            let chosen = param.default.as_ref() != node.params.get(name);
            let open = smallest.unless.iter().any(|other| node.params.contains_key(other));
            if !chosen || open {
                continue;
            }
            let given = node.inputs.values().flatten().filter_map(|edge| {
                let Known { pixels, channels } = known(edge, &sizes)?;
                Some((edge, pixels?, smallest.of(network, channels)?))
            });
            let Some((edge, size, needed)) = given.filter(|(_, size, needed)| size < needed).min_by_key(|it| it.1)
            else {
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
            if let Some(declared) = &output.image_size {
                sizes.insert((node.id.index(), name.as_str()), of_output(node, declared, &sizes));
            }
        }
    }
    sizes
}

fn of_output(node: &Node, declared: &ImageSize, sizes: &Sizes<'_>) -> Known {
    let number = |param: &Option<String>| match node.params.get(param.as_ref()?) {
        Some(Value::Integer(number)) => u32::try_from(*number).ok(),
        _ => None,
    };
    let edges = declared.input.as_ref().and_then(|input| node.inputs.get(input));
    let input: Vec<Known> = edges.into_iter().flatten().filter_map(|edge| known(edge, sizes)).collect();
    let pixels = || input.iter().find_map(|known| known.pixels);
    let channels = || input.iter().find_map(|known| known.channels);
    Known {
        pixels: number(&declared.param).or_else(pixels).or(declared.pixels),
        channels: number(&declared.channels_param).or_else(channels).or(declared.channels),
    }
}

fn known(edge: &Edge, sizes: &Sizes<'_>) -> Option<Known> {
    match &edge.from {
        Endpoint::Node { node, output } => sizes.get(&(node.index(), output.as_str())).copied(),
        Endpoint::Source { .. } => None,
    }
}
