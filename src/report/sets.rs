//! Synthetic sets beside what they were made from: of each the first images of every class, drawn from the tensors in the cache.
//! Pixels are what a network would see without its normalisation; nothing is smoothed.

use super::pictures::address;
use super::subject::Subject;
use super::words::Link;
use crate::image_set::{ImageSet, png_of};
use crate::pipeline::{Endpoint, Node, NodeId};
use ddpipe_interface::ArtifactType;

/// So many sets are shown.
const SETS: usize = 12;
/// So many classes, and images of each.
const CLASSES: usize = 10;
const EACH: usize = 6;
/// Images of more pixels on a side are left out.
const LARGEST: usize = 128;
/// So many bytes all pictures of sets may have together.
const ALL: usize = 1_400_000;
/// Larger files are not opened.
const FILE: u64 = 512 << 20;
/// Between two images, in pixels.
const GAP: usize = 1;

/// A synthetic set with what it was made from.
pub struct Set {
    /// The node that made it.
    pub node: Link,
    /// What it read, and at last the set itself.
    pub pictures: Vec<Drawn>,
}

/// The first images of a set.
pub struct Drawn {
    /// `real: train_set`, or `synthetic`.
    pub title: String,
    /// The picture as a `data:` address.
    pub data: String,
    /// Width and height in pixels.
    pub size: (usize, usize),
}

/// The sets, and how many are left out.
pub fn of(subject: &Subject) -> (Vec<Set>, usize) {
    let makers: Vec<&Node> = subject.pipeline.nodes.iter().filter(|node| is_final(subject, node)).collect();
    let (mut sets, mut room) = (Vec::new(), ALL);
    for node in &makers {
        if sets.len() == SETS || room == 0 {
            break;
        }
        sets.extend(set(subject, node, &mut room));
    }
    let left_out = makers.len().saturating_sub(sets.len());
    (sets, left_out)
}

/// The output of a node that is a synthetic set.
fn synthetic(subject: &Subject, node: NodeId) -> Option<String> {
    let record = subject.record(node)?;
    let is_set = |artifact: &str| artifact == ArtifactType::Synthetic.name();
    record.outputs.iter().find(|(_, output)| is_set(&output.artifact_type)).map(|(name, _)| name.clone())
}

/// Whether a node makes a synthetic set from another set, and no other set is made from it.
fn is_final(subject: &Subject, node: &Node) -> bool {
    let goes_on = || subject.graph.readers(node.id).any(|reader| synthetic(subject, reader).is_some());
    synthetic(subject, node.id).is_some() && !read(subject, node).is_empty() && !goes_on()
}

/// The sets that a node reads: the input, the node behind it, and its output.
fn read<'a>(subject: &'a Subject, node: &'a Node) -> Vec<(&'a str, NodeId, &'a str)> {
    let is_set =
        |artifact: &str| [ArtifactType::Synthetic, ArtifactType::Dataset].iter().any(|it| it.name() == artifact);
    let one = |(name, edges): (&'a String, &'a Vec<crate::pipeline::Edge>)| {
        let [edge] = edges.as_slice() else { return None };
        let Endpoint::Node { node, output } = &edge.from else { return None };
        let made = subject.record(*node)?.outputs.get(output)?;
        is_set(&made.artifact_type).then_some((name.as_str(), *node, output.as_str()))
    };
    node.inputs.iter().filter_map(one).collect()
}

fn set(subject: &Subject, node: &Node, room: &mut usize) -> Option<Set> {
    let own = synthetic(subject, node.id)?;
    let mut pictures = Vec::new();
    for (input, from, output) in read(subject, node) {
        let title = format!("{input}: {}", subject.pipeline.node(from).address);
        pictures.extend(drawn(subject, from, output, title, room));
    }
    let last = drawn(subject, node.id, &own, own.clone(), room)?;
    pictures.push(last);
    (pictures.len() > 1).then_some(Set { node: Link::to(subject.pipeline, node.id), pictures })
}

fn drawn(subject: &Subject, node: NodeId, output: &str, title: String, room: &mut usize) -> Option<Drawn> {
    let made = subject.record(node)?.outputs.get(output)?;
    if made.bytes > FILE {
        return None;
    }
    let path = subject.cache.blobs().verify_once(made.digest).ok()?;
    let grid = grid(&mut ImageSet::of(&path)?)?;
    let data = address(&grid.png()?)?;
    if data.len() > *room {
        *room = 0;
        return None;
    }
    *room -= data.len();
    Some(Drawn { title, data, size: (grid.width, grid.height) })
}

/// The places of the first images of each class, class by class.
fn chosen(set: &ImageSet) -> Vec<Vec<usize>> {
    let [count, ..] = set.shape();
    let classes = set.classes().clamp(1, CLASSES);
    match set.labels() {
        Some(labels) => {
            let of = |class: usize| {
                let here = labels.iter().enumerate().filter(move |(_, label)| **label == class as i64);
                here.map(|(at, _)| at).take(EACH).collect()
            };
            (0..classes).map(of).collect()
        }
        // Sets with soft labels are sorted by class.
        None => {
            let each = count / set.classes().max(1);
            (0..classes).map(|class| (class * each..(class * each + each.min(EACH)).min(count)).collect()).collect()
        }
    }
}

/// The first images of each class, a class in each row; none of a form that cannot be drawn.
fn grid(set: &mut ImageSet) -> Option<Grid> {
    let [_, channels, height, width] = set.shape();
    if ![1, 3].contains(&channels) || height.max(width) > LARGEST || height.min(width) == 0 {
        return None;
    }
    let chosen = chosen(set);
    let columns = chosen.iter().map(Vec::len).max().filter(|columns| *columns > 0)?;
    let mut grid = Grid {
        width: columns * (width + GAP) + GAP,
        height: chosen.len() * (height + GAP) + GAP,
        channels,
        pixels: Vec::new(),
    };
    grid.pixels = vec![255; grid.width * grid.height * channels];
    for (row, images) in chosen.iter().enumerate() {
        for (column, at) in images.iter().enumerate() {
            let pixels = set.pixels(*at)?;
            let (left, top) = (GAP + column * (width + GAP), GAP + row * (height + GAP));
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                for channel in 0..channels {
                    let to = ((top + y) * grid.width + left + x) * channels + channel;
                    let from = (channel * height + y) * width + x;
                    *grid.pixels.get_mut(to)? = *pixels.get(from)?;
                }
            }
        }
    }
    Some(grid)
}

/// A picture in the making.
struct Grid {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
}

impl Grid {
    fn png(&self) -> Option<Vec<u8>> {
        png_of(&self.pixels, self.channels, self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::fs;

    fn file(images: &str, labels: &str, about: &str, data: &[u8]) -> tempfile::NamedTempFile {
        let about = serde_json::to_string(about).unwrap();
        let head = format!("{{\"__metadata__\":{{\"ddpipe\":{about}}},\"images\":{images}{labels}}}");
        let temp = tempfile::NamedTempFile::new().unwrap();
        fs::write(temp.path(), [&(head.len() as u64).to_le_bytes(), head.as_bytes(), data].concat()).unwrap();
        temp
    }

    #[test]
    fn the_first_images_of_each_class_are_drawn_without_their_normalisation() {
        let about = "{\"about\":{\"classes\":2,\"normalisation\":{\"mean\":[0.5],\"std\":[0.5]}}}";
        let values: Vec<u8> = [-1.0f32, 1.0, f32::NAN, 9.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let images = "{\"dtype\":\"F32\",\"shape\":[4,1,1,1],\"data_offsets\":[0,16]}";
        let set = file(images, "", about, &values);
        let grid = grid(&mut ImageSet::of(set.path()).unwrap()).unwrap();
        assert_eq!((grid.width, grid.height, grid.channels), (5, 5, 1));
        assert_eq!([6, 8, 16, 18].map(|at| grid.pixels[at]), [0, 255, 0, 255]);
        assert!(grid.png().unwrap().starts_with(b"\x89PNG"));
    }

    #[test]
    fn bytes_are_scaled_and_labels_decide_on_the_row() {
        let about = "{\"about\":{\"classes\":2,\"scale\":100.0}}";
        let labels = ",\"labels\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[2,18]}";
        let data = [&[100u8, 50][..], &1i64.to_le_bytes(), &0i64.to_le_bytes()].concat();
        let set = file("{\"dtype\":\"U8\",\"shape\":[2,1,1,1],\"data_offsets\":[0,2]}", labels, about, &data);
        let grid = grid(&mut ImageSet::of(set.path()).unwrap()).unwrap();
        assert_eq!((grid.pixels[4], grid.pixels[10]), (128, 255), "{:?}", grid.pixels);
    }

    #[test]
    fn raw_floats_are_not_normalised_and_have_nothing_undone() {
        let about = "{\"type\":\"dataset\",\"about\":{\"classes\":1,\"scale\":2.0,\"normalisation\":{\"mean\":[0.5],\"std\":[0.5]}}}";
        let values: Vec<u8> = [1.0f32, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let set = file("{\"dtype\":\"F32\",\"shape\":[2,1,1,1],\"data_offsets\":[0,8]}", "", about, &values);
        let grid = grid(&mut ImageSet::of(set.path()).unwrap()).unwrap();
        assert_eq!([6, 8].map(|at| grid.pixels[at]), [128, 255]);
    }

    #[test]
    fn what_is_no_set_of_images_is_not_drawn() {
        let cases = [
            ("{\"dtype\":\"F32\",\"shape\":[4,1,1],\"data_offsets\":[0,16]}", "{\"about\":{\"classes\":2}}"),
            ("{\"dtype\":\"F32\",\"shape\":[4,1,1,1],\"data_offsets\":[0,16]}", "{}"),
            ("{\"dtype\":\"F64\",\"shape\":[4,1,1,1],\"data_offsets\":[0,16]}", "{\"about\":{\"classes\":2}}"),
        ];
        for (images, about) in cases {
            assert!(ImageSet::of(file(images, "", about, &[0; 16]).path()).is_none(), "{images} {about}");
        }
        let cut = "{\"dtype\":\"F32\",\"shape\":[400,1,100,100],\"data_offsets\":[0,16]}";
        let set = file(cut, "", "{\"about\":{\"classes\":2}}", &[0; 16]);
        assert!(grid(&mut ImageSet::of(set.path()).unwrap()).is_none());
    }
}
