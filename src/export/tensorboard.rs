//! Event files of TensorBoard: a folder for each node, with its curves and results as scalars, its pictures, and its parameters
//! as hyper-parameters. Documents hold no times of single steps, so that all points of a node have the time at which it began.

mod event;
mod frame;

use super::{curve, name, settings, times};
use crate::exit::Fault;
use crate::pipeline::Node;
use crate::progress::kept_pictures;
use crate::report::{Subject, dimensions};
use crate::results::write_whole;
use crate::visible::visible;
use ddpipe_cache::Record;
use ddpipe_interface::{ArtifactType, Value};
use event::{Event, Setting, Status, Summary};
use std::path::Path;

/// A picture of more bytes is left out.
const PICTURE: u64 = 16 << 20;

/// Writes the event files below a folder, and gives how many there are. A node without a record has none.
///
/// # Errors
/// A file cannot be written.
pub fn write(subject: &Subject, folder: &Path) -> Result<usize, Fault> {
    let mut files = 0;
    for node in &subject.pipeline.nodes {
        let Some(record) = subject.record(node.id) else { continue };
        let events = events(subject, node, record);
        let name = format!("events.out.tfevents.{:010}.{}", record.provenance.started_unix as u64, record.key.short());
        let bytes: Vec<u8> = events.iter().flat_map(frame::framed).collect();
        write_whole(&folder.join(name::of_node(&node.address)).join(name), &bytes)?;
        files += 1;
    }
    Ok(files)
}

fn events(subject: &Subject, node: &Node, record: &Record) -> Vec<Event> {
    let (begun, ended) = times(record);
    let settings = settings(subject.pipeline, node).into_iter().map(|(name, value)| (name, setting(&value)));
    let mut events = vec![
        Event::version(begun),
        Event::of(begun, 0, Summary::session_begun(&node.address, begun, settings.collect())),
    ];
    for curve in curve::of(subject, node) {
        events.extend(curve.points.iter().map(|(step, value)| Event::of(begun, *step, scalar(&curve.name, *value))));
    }
    let kinds = [("results", &record.metrics), ("measured", &record.measured)];
    for (kind, numbers) in kinds {
        events
            .extend(numbers.iter().map(|(name, value)| Event::of(ended, 0, scalar(&format!("{kind}/{name}"), *value))));
    }
    events.extend(pictures(subject, node, record));
    events.push(Event::of(ended, 0, Summary::session_ended(Status::Success, ended)));
    events
}

fn scalar(name: &str, value: f64) -> Summary {
    Summary::scalar(&visible(name), value as f32)
}

/// Numbers and truths as such; everything else as the text that a manifest has.
fn setting(value: &Value) -> Setting {
    match value {
        Value::Integer(number) => Setting::number(*number as f64),
        Value::Float(number) => Setting::number(*number),
        Value::Boolean(truth) => Setting::truth(*truth),
        other => Setting::text(visible(&crate::history::shown(&other.to_string())).into_owned()),
    }
}

/// The pictures on the way and then the finished ones, as far as they are PNG files, which are all that TensorBoard shows.
fn pictures(subject: &Subject, node: &Node, record: &Record) -> Vec<Event> {
    let (begun, ended) = times(record);
    let mut events = Vec::new();
    let picture = |name: &str, bytes: Vec<u8>| {
        let (width, height) = dimensions(&bytes)?;
        Some(Summary::picture(name, i32::try_from(width).ok()?, i32::try_from(height).ok()?, bytes))
    };
    if let Some((folder, _)) = subject.told(node.id) {
        for (step, path) in kept_pictures(&folder, &record.node) {
            let read = std::fs::read(&path).ok().and_then(|bytes| picture("on the way", bytes));
            events.extend(read.map(|summary| Event::of(begun, i64::try_from(step).unwrap_or(i64::MAX), summary)));
        }
    }
    let is_picture = |artifact: &str| artifact == ArtifactType::Image.name();
    for (name, output) in record.outputs.iter().filter(|(_, output)| is_picture(&output.artifact_type)) {
        let small = output.bytes <= PICTURE;
        let read = if small { subject.cache.blobs().read_verified(output.digest).ok() } else { None };
        events.extend(read.and_then(|bytes| picture(name, bytes)).map(|summary| Event::of(ended, 0, summary)));
    }
    events
}
