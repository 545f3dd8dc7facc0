//! A file store of MLflow: an experiment for the pipeline, in it a run for the run of ddpipe and, nested in it, one for each node
//! with a record: parameters, results, curves by step, and tables, pictures and documents as files. What is written again
//! for the same run has the same names, so that nothing is there twice.

mod meta;
mod run;

use super::name;
use crate::exit::Fault;
use crate::history::State;
use crate::report::Subject;
use crate::results::write_whole;
use crate::when;
use run::{Run, Status};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Experiments of ddpipe are called so, and the pipeline's name.
const EXPERIMENT: &str = "ddpipe/";

/// Writes a run into the store in this folder, and gives how many runs of MLflow it became.
///
/// # Errors
/// A file cannot be written, or the folder's path cannot be an address.
pub fn write(subject: &Subject, folder: &Path) -> Result<usize, Fault> {
    std::fs::create_dir_all(folder).map_err(|error| Fault::io("make", folder, &error))?;
    let folder = folder.canonicalize().map_err(|error| Fault::io("find", folder, &error))?;
    let experiment = Experiment::of(&subject.pipeline.name, &folder);
    let whole = whole(subject);
    let nodes: Vec<Run> = subject
        .pipeline
        .nodes
        .iter()
        .filter_map(|node| Some(run::of_node(subject, node, subject.record(node.id)?, &whole)))
        .collect();
    experiment.write(whole.begun)?;
    for run in std::iter::once(&whole).chain(&nodes) {
        run.write(&experiment)?;
    }
    Ok(nodes.len() + 1)
}

/// The run of ddpipe itself, or what is on record as if it were one.
fn whole(subject: &Subject) -> Run {
    let of_records = || subject.records().map(|(_, record)| super::times(record));
    let (begun, ended) = match &subject.run {
        Some(run) => {
            let begun = run.begun().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            (begun, run.ended().map(|ended| begun + ended.seconds))
        }
        None => (
            of_records().map(|times| times.0).fold(f64::INFINITY, f64::min),
            Some(of_records().map(|times| times.1).fold(0.0, f64::max)),
        ),
    };
    let begun = if begun.is_finite() { begun } else { 0.0 };
    let id = subject.run.as_ref().map_or("on record", |run| run.seen.id.as_str());
    let status = match subject.run.as_ref().map(|run| &run.state) {
        None => Status::Finished,
        Some(State::Running(_)) => Status::Running,
        Some(State::DidNotEnd(_)) => Status::Killed,
        Some(State::Ended(ended)) if ended.exit == 0 => Status::Finished,
        Some(State::Ended(ended)) if ended.exit > 128 => Status::Killed,
        Some(State::Ended(_)) => Status::Failed,
    };
    let mut run = Run::new(&subject.pipeline.name, id, begun, ended, status);
    if let Some(started) = &subject.started {
        run.params.extend(started.profile.iter().map(|name| (format!("profile {name}"), "yes".to_string())));
        run.params.extend(started.sets.iter().map(|(path, value)| (path.clone(), value.clone())));
        run.tag("ddpipe.command", &crate::command::line(&started.command));
    }
    let about = subject.pipeline.about.as_deref().unwrap_or_default();
    run.tag("mlflow.note.content", about);
    run.tag("ddpipe.run", id);
    run.tag("ddpipe.began", &when::rfc3339(when::since_1970(begun)));
    if let Some(commit) = &subject.commit {
        run.tag("mlflow.source.git.commit", &commit.hash);
    }
    run
}

/// An experiment in the store.
struct Experiment {
    id: String,
    name: String,
    folder: PathBuf,
}

impl Experiment {
    fn of(pipeline: &str, store: &Path) -> Self {
        // MLflow's own identifiers are numbers of 18 digits.
        let digest = blake3::hash(pipeline.as_bytes());
        let first: [u8; 8] = digest.as_bytes().first_chunk().copied().unwrap_or_default();
        let id = format!("{}", 100_000_000_000_000_000 + u64::from_le_bytes(first) % 800_000_000_000_000_000);
        Experiment { folder: store.join(&id), id, name: format!("{EXPERIMENT}{pipeline}") }
    }

    /// One that is there already keeps its times.
    fn write(&self, begun: f64) -> Result<(), Fault> {
        let file = self.folder.join(meta::FILE);
        if file.exists() {
            return Ok(());
        }
        let text = meta::text(&[
            ("artifact_location", meta::Field::Text(meta::address(&self.folder)?)),
            ("creation_time", meta::Field::Number(meta::milliseconds(begun))),
            ("experiment_id", meta::Field::Text(self.id.clone())),
            ("last_update_time", meta::Field::Number(meta::milliseconds(begun))),
            ("lifecycle_stage", meta::Field::Text("active".into())),
            ("name", meta::Field::Text(self.name.clone())),
        ]);
        write_whole(&file, text.as_bytes())
    }
}

/// A name of a parameter or a number, of letters that MLflow takes and that are no path.
fn plain(text: &str) -> String {
    name::plain(text, "-_. ")
}
