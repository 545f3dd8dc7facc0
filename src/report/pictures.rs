//! The pictures among the outputs, as they lie in the cache, and those on the way that runs kept, with the loss beside. All of
//! them together have a bound, so that a report stays small enough to send.

use super::nodes::main_results;
use super::sets::{self, Set};
use super::subject::Subject;
use super::words::Link;
use crate::number::significant;
use crate::pipeline::Node;
use crate::progress::kept_pictures;
use crate::size;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ddpipe_interface::ArtifactType;

/// So many bytes all finished pictures may have together.
const FINISHED: usize = 2_600_000;
/// So many bytes one of them may have.
const ONE: u64 = 1 << 20;
/// So many bytes all pictures on the way may have together.
const ON_THE_WAY: usize = 1_300_000;

/// A picture.
pub struct Picture {
    /// The node that made it.
    pub node: Link,
    /// The node, with the output where it has several pictures.
    pub title: String,
    /// Its main results, in a line.
    pub results: String,
    /// The picture as a `data:` address; empty where it is left out.
    pub data: String,
    /// Why it is left out.
    pub without: String,
    /// Width and height in pixels, where they are known.
    pub size: Option<(u32, u32)>,
}

/// The pictures on the way of a node.
pub struct Way {
    /// The node.
    pub node: Link,
    /// The pictures in order.
    pub steps: Vec<Step>,
    /// How many more the run kept.
    pub thinned: usize,
}

/// A picture on the way.
pub struct Step {
    /// `step 12`.
    pub title: String,
    /// The loss near it.
    pub loss: String,
    /// The picture as a `data:` address.
    pub data: String,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
}

/// All pictures.
pub struct Pictures {
    /// The finished ones, pixel by pixel.
    pub finished: Vec<Picture>,
    /// The finished ones that are drawings.
    pub drawings: Vec<Picture>,
    /// Synthetic sets beside what they were made from.
    pub sets: Vec<Set>,
    /// How many further sets there are.
    pub more: usize,
    /// Those on the way, by node.
    pub ways: Vec<Way>,
}

impl Pictures {
    /// Whether there is nothing to see.
    pub fn is_empty(&self) -> bool {
        self.finished.is_empty() && self.drawings.is_empty() && self.sets.is_empty() && self.ways.is_empty()
    }
}

/// All pictures.
pub fn of(subject: &Subject) -> Pictures {
    let mut room = FINISHED;
    let all: Vec<Picture> = subject.pipeline.nodes.iter().flat_map(|node| finished(subject, node, &mut room)).collect();
    let (drawings, finished) = all.into_iter().partition(|picture| picture.data.starts_with("data:image/svg"));
    let (sets, more) = sets::of(subject);
    Pictures { finished, drawings, sets, more, ways: ways(subject) }
}

fn finished(subject: &Subject, node: &Node, room: &mut usize) -> Vec<Picture> {
    let Some(record) = subject.record(node.id) else { return Vec::new() };
    let images: Vec<_> =
        record.outputs.iter().filter(|(_, output)| output.artifact_type == ArtifactType::Image.name()).collect();
    let several = images.len() > 1;
    let picture = |(name, output): &(&String, &ddpipe_cache::Output)| {
        let read = || subject.cache.blobs().read_verified(output.digest).ok();
        let fits = output.bytes <= ONE && encoded(output.bytes as usize) <= *room;
        let bytes = if fits { read() } else { None };
        let data = bytes.as_deref().and_then(address).unwrap_or_default();
        *room = room.saturating_sub(data.len());
        let without = match (&bytes, data.is_empty()) {
            (_, false) => String::new(),
            (None, _) if !fits => format!("{}; left out to keep this file small", size::show(output.bytes)),
            _ => "no picture that can be shown here".to_string(),
        };
        let title = if several { format!("{}, {name}", node.address) } else { node.address() };
        Picture {
            node: Link::to(subject.pipeline, node.id),
            title,
            results: main_results(subject, node),
            size: bytes.as_deref().and_then(dimensions),
            data,
            without,
        }
    };
    images.iter().map(picture).collect()
}

/// What a picture needs in the page.
fn encoded(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4 + 40
}

/// A picture as a `data:` address; none where it is neither PNG nor SVG.
pub fn address(bytes: &[u8]) -> Option<String> {
    let kind = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        "image/png"
    } else if bytes.trim_ascii_start().starts_with(b"<svg") || bytes.trim_ascii_start().starts_with(b"<?xml") {
        // As a picture it runs no script and asks for nothing.
        "image/svg+xml"
    } else {
        return None;
    };
    Some(format!("data:{kind};base64,{}", STANDARD.encode(bytes)))
}

/// The width and height that a PNG file says.
pub fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    bytes.starts_with(b"\x89PNG").then(|| Some((number(16)?, number(20)?)))?
}

fn ways(subject: &Subject) -> Vec<Way> {
    let kept: Vec<_> = subject
        .pipeline
        .nodes
        .iter()
        .filter_map(|node| {
            let (folder, work) = subject.told(node.id)?;
            let pictures =
                kept_pictures(&folder, &subject.record(node.id).map_or(node.address(), |it| it.node.clone()));
            (!pictures.is_empty()).then_some((node, work, pictures))
        })
        .collect();
    let of_each = ON_THE_WAY / kept.len().max(1);
    let mut ways = Vec::new();
    for (node, work, pictures) in kept {
        let bytes = pictures.iter().map(|(_, path)| path.metadata().map_or(0, |seen| seen.len() as usize)).max();
        let fit = of_each / encoded(bytes.unwrap_or(0)).max(1);
        if fit < 2 {
            continue;
        }
        let loss = work.curves.get("loss").or_else(|| work.curves.values().next());
        let chosen = spread(pictures.len(), fit);
        let thinned = pictures.len() - chosen.len();
        let step = |at: usize| {
            let (step, path) = pictures.get(at)?;
            let bytes = std::fs::read(path).ok()?;
            let near = loss.and_then(|curve| {
                let at = curve.partition_point(|(at, _)| *at <= *step as f64);
                curve.get(at.saturating_sub(1))
            });
            Some(Step {
                title: format!("step {step}"),
                loss: near.map_or(String::new(), |(_, value)| format!("loss {}", significant(*value))),
                data: address(&bytes)?,
                size: dimensions(&bytes),
            })
        };
        let steps: Vec<Step> = chosen.into_iter().filter_map(step).collect();
        if steps.len() > 1 {
            ways.push(Way { node: Link::to(subject.pipeline, node.id), steps, thinned });
        }
    }
    ways
}

/// So many of these, the first and the last among them, evenly.
fn spread(all: usize, most: usize) -> Vec<usize> {
    if all <= most || most < 2 {
        return (0..all).collect();
    }
    (0..most).map(|at| at * (all - 1) / (most - 1)).collect()
}
