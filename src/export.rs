//! A run, or what is on record for a manifest, in the forms that other programs read: event files of TensorBoard, a file store of
//! MLflow, an RO-Crate, and sets of images as the Hub of Hugging Face has them, as files of NumPy and as folders of pictures. Each
//! reads a [`Subject`](crate::report::Subject) and writes into one folder; nothing here runs a stage.

pub mod arrays;
mod curve;
pub mod hugging_face;
pub mod mlflow;
mod name;
pub mod pictures;
pub mod ro_crate;
mod sets;
pub mod tensorboard;

pub use sets::Chosen;

use crate::pipeline::{Node, Pipeline};
use ddpipe_cache::Record;
use ddpipe_interface::Value;

/// The parameters of a node that differ from the defaults of its kind, with the seed where it has random numbers.
fn settings(pipeline: &Pipeline, node: &Node) -> Vec<(String, Value)> {
    let kind = pipeline.catalog.declaration(&node.kind);
    let default = |name: &str| kind.and_then(|kind| kind.params.get(name)).and_then(|param| param.default.as_ref());
    let set = node.params.iter().filter(|(name, value)| default(name) != Some(value));
    let mut settings: Vec<(String, Value)> = set.map(|(name, value)| (name.clone(), value.clone())).collect();
    for (name, value) in &node.axes {
        if !settings.iter().any(|(known, _)| known == name) {
            settings.push((name.clone(), value.clone()));
        }
    }
    if kind.is_some_and(|kind| kind.seeded) && !settings.iter().any(|(name, _)| name == "seed") {
        settings.push(("seed".to_string(), Value::Integer(i64::try_from(node.seed).unwrap_or(i64::MAX))));
    }
    settings
}

/// When the stage of a record began and ended, in seconds since 1970.
fn times(record: &Record) -> (f64, f64) {
    let made = &record.provenance;
    (made.started_unix, made.started_unix + made.seconds.max(0.0))
}
