//! One run of MLflow: a run of ddpipe, or a node of one.

use super::meta::{self, Field, milliseconds};
use super::{Experiment, plain};
use crate::commit;
use crate::exit::Fault;
use crate::export::{curve, name, settings, times};
use crate::history::shown;
use crate::pipeline::Node;
use crate::report::Subject;
use crate::results::{file_name, write_whole};
use crate::visible::visible;
use ddpipe_cache::Record;
use ddpipe_interface::ArtifactType;
use indexmap::IndexMap;
use std::fmt::Write as _;

/// MLflow takes parameters of so many letters.
const LONGEST: usize = 6000;
/// A file of more bytes stays in the cache.
const FILE: u64 = 16 << 20;

/// How a run ended, with MLflow's numbers.
#[derive(Clone, Copy)]
pub enum Status {
    /// It goes on.
    Running = 1,
    /// Well.
    Finished = 3,
    /// Not well.
    Failed = 4,
    /// It was stopped.
    Killed = 5,
}

/// A number by step.
struct Metric {
    group: &'static str,
    name: String,
    points: Vec<(i64, f64)>,
}

/// A run.
pub struct Run {
    id: String,
    name: String,
    /// When it began, in seconds since 1970.
    pub begun: f64,
    ended: Option<f64>,
    status: Status,
    /// The parameters.
    pub params: Vec<(String, String)>,
    metrics: Vec<Metric>,
    tags: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
}

impl Run {
    /// A run of this name; what is told apart by `id` has another identifier.
    pub fn new(name: &str, id: &str, begun: f64, ended: Option<f64>, status: Status) -> Self {
        let digest = blake3::hash(format!("{name}\n{id}").as_bytes()).to_hex();
        let mut run = Run {
            id: digest.chars().take(32).collect(),
            name: name.to_string(),
            begun,
            ended,
            status,
            params: Vec::new(),
            metrics: Vec::new(),
            tags: Vec::new(),
            files: Vec::new(),
        };
        run.tag("mlflow.runName", name);
        run.tag("mlflow.source.name", "ddpipe");
        run.tag("mlflow.user", "ddpipe");
        run
    }

    /// Adds a tag; an empty one is none.
    pub fn tag(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.tags.push((name.to_string(), value.to_string()));
        }
    }

    /// Writes it below its experiment.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, experiment: &Experiment) -> Result<(), Fault> {
        let folder = experiment.folder.join(&self.id);
        let text = |text: &str| Field::Text(text.to_string());
        let meta = meta::text(&[
            ("artifact_uri", Field::Text(meta::address(&folder.join("artifacts"))?)),
            ("end_time", self.ended.map_or(Field::Nothing, |ended| Field::Number(milliseconds(ended)))),
            ("entry_point_name", text("")),
            ("experiment_id", text(&experiment.id)),
            ("lifecycle_stage", text("active")),
            ("run_id", text(&self.id)),
            ("run_name", text(&self.name)),
            ("run_uuid", text(&self.id)),
            ("source_name", text("")),
            ("source_type", Field::Number(4)),
            ("source_version", text("")),
            ("start_time", Field::Number(milliseconds(self.begun))),
            ("status", Field::Number(self.status as i64)),
            ("user_id", text("ddpipe")),
        ]);
        for part in ["artifacts", "metrics", "params", "tags"] {
            let part = folder.join(part);
            std::fs::create_dir_all(&part).map_err(|error| Fault::io("make", &part, &error))?;
        }
        let shortened = |text: &str| visible(text).chars().take(LONGEST).collect::<String>();
        for (part, entries) in [("params", &self.params), ("tags", &self.tags)] {
            for (name, value) in entries {
                write_whole(&folder.join(part).join(plain(name)), shortened(value).as_bytes())?;
            }
        }
        let time = milliseconds(self.ended.unwrap_or(self.begun));
        for Metric { group, name, points } in &self.metrics {
            let mut lines = String::new();
            for (step, value) in points {
                let _ = writeln!(lines, "{time} {} {step}", number(*value));
            }
            write_whole(&folder.join("metrics").join(group).join(plain(name)), lines.as_bytes())?;
        }
        for (name, bytes) in &self.files {
            write_whole(&folder.join("artifacts").join(name), bytes)?;
        }
        write_whole(&folder.join(meta::FILE), meta.as_bytes())
    }
}

/// A number as Python reads it.
fn number(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    value.to_string()
}

/// A node with its record.
pub fn of_node(subject: &Subject, node: &Node, record: &Record, whole: &Run) -> Run {
    let (begun, ended) = times(record);
    let made = &record.provenance;
    let mut run = Run::new(&node.address, &whole.id, begun, Some(ended), Status::Finished);
    run.params.push(("kind".into(), node.kind.clone()));
    let set = settings(subject.pipeline, node).into_iter();
    run.params.extend(set.map(|(name, value)| (name, shown(&value.to_string()))));
    let curves = curve::of(subject, node).into_iter().filter(|curve| !curve.points.is_empty());
    let results = |group, numbers: &IndexMap<String, f64>| -> Vec<_> {
        let metric = |(name, value): (&String, &f64)| Metric { group, name: name.clone(), points: vec![(0, *value)] };
        numbers.iter().map(metric).collect()
    };
    run.metrics.extend(results("results", &record.metrics));
    run.metrics.extend(results("measured", &record.measured));
    run.metrics.extend(curves.map(|curve| Metric { group: "curves", name: curve.name, points: curve.points }));
    run.tag("mlflow.parentRunId", &whole.id);
    run.tag("ddpipe.key", &record.key.hex());
    run.tag("ddpipe.stage", &node.stage);
    run.tag("ddpipe.device", &made.device_name);
    run.tag("ddpipe.host", &made.host);
    run.tag("ddpipe.version", &made.ddpipe);
    run.tag("libtorch.version", &made.libtorch);
    if let Some(commit) = &made.commit {
        run.tag("mlflow.source.git.commit", &commit.hash);
        run.tag("ddpipe.commit", &commit::in_words(commit));
    }
    for (input, seen) in &record.sources {
        run.tag(&format!("ddpipe.source.{input}"), &seen.digest.hex());
    }
    run.files = files(subject, node, record);
    run
}

/// Tables, pictures, documents and files for people, as results folders have them.
fn files(subject: &Subject, node: &Node, record: &Record) -> Vec<(String, Vec<u8>)> {
    let kind = subject.pipeline.catalog.declaration(&node.kind);
    let kept = [ArtifactType::Table, ArtifactType::Image, ArtifactType::Metrics, ArtifactType::Files];
    let mut files = Vec::new();
    for (output, made) in &record.outputs {
        let Some(declared) = kind.and_then(|kind| kind.outputs.get(output)) else { continue };
        let is_raw = declared.artifact == ArtifactType::Files && declared.extension.is_none();
        if !kept.contains(&declared.artifact) || is_raw || made.bytes > FILE {
            continue;
        }
        let Ok(bytes) = subject.cache.blobs().read_verified(made.digest) else { continue };
        let named = file_name(node, output, declared, &bytes);
        let ending = named.rsplit('.').next().filter(|_| named.contains('.')).unwrap_or("json");
        let ending = if declared.artifact == ArtifactType::Metrics { "json" } else { ending };
        files.push((format!("{}.{}", name::plain(output, "-_"), name::plain(ending, "")), bytes));
    }
    files
}
